"""A product of square matrices and linear equations, of the size that is asked for: at size, each thread computes a part of its own."""

import sys
from pathlib import Path

import numpy as np

size = int(sys.argv[1]) if sys.argv[1:] else 500
generator = np.random.default_rng(0)
matrix = generator.standard_normal((size, size), dtype=np.float32)
Path("out").mkdir(exist_ok=True)
np.save("out/product.npy", matrix @ matrix)
np.save("out/solution.npy", np.linalg.solve(matrix, matrix[0]))
