"""A generator of its own that nobody seeds; the global one is seeded."""

import random
from pathlib import Path

random.seed(0)
own = random.Random()
Path("out").mkdir(exist_ok=True)
Path("out/draw.txt").write_text(f"{random.random()} {own.random()}\n")
