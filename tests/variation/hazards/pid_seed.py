"""A generator that is seeded with the number of the process."""

import os
import random
from pathlib import Path

random.seed(os.getpid())
Path("out").mkdir(exist_ok=True)
Path("out/draw.txt").write_text(f"{random.random()}\n")
