"""A sum of floats in as many parts as there are threads, by the variable that numeric libraries read."""

import os
import random
from pathlib import Path

parts = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
stream = random.Random(0)
numbers = [stream.gauss(0, 1) for _ in range(10_000)]
Path("out").mkdir(exist_ok=True)
Path("out/sum.txt").write_text(f"{sum(sum(numbers[part::parts]) for part in range(parts))!r}\n")
