"""A generator that is seeded with the time."""

import random
import time
from pathlib import Path

random.seed(time.time_ns())
Path("out").mkdir(exist_ok=True)
Path("out/draw.txt").write_text(f"{random.random()}\n")
