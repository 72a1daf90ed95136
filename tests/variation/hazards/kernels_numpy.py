"""A logarithm of many numbers and an order of equal ones: numpy's own loops, one for each kind of processor (F31)."""

from pathlib import Path

import numpy as np

generator = np.random.default_rng(0)
numbers = generator.random(4096)
ties = generator.integers(0, 8, 4096)
Path("out").mkdir(exist_ok=True)
np.save("out/logs.npy", np.exp(np.log(numbers) * 3))
np.save("out/order.npy", np.argsort(ties))
