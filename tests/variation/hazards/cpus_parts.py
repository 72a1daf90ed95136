"""The same, with a part for each processor that this process may run on."""

import os
import random
from pathlib import Path

parts = len(os.sched_getaffinity(0))
stream = random.Random(0)
numbers = [stream.gauss(0, 1) for _ in range(10_000)]
Path("out").mkdir(exist_ok=True)
Path("out/sum.txt").write_text(f"{sum(sum(numbers[part::parts]) for part in range(parts))!r}\n")
