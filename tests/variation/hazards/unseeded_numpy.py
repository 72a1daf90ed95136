"""A generator of numpy that nobody seeds."""

from pathlib import Path

import numpy as np

np.random.seed(0)  # noqa: NPY002 - what people write
Path("out").mkdir(exist_ok=True)
np.save("out/noise.npy", np.random.default_rng().standard_normal(100))
