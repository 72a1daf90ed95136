"""A generator that is seeded with the time in whole seconds."""

import random
import time
from pathlib import Path

random.seed(int(time.time()))
Path("out").mkdir(exist_ok=True)
Path("out/draw.txt").write_text(f"{random.random()}\n")
