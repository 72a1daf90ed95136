"""A generator that is seeded with the path of the project."""

import os
import random
from pathlib import Path

random.seed(os.getcwd())
Path("out").mkdir(exist_ok=True)
Path("out/draw.txt").write_text(f"{random.random()}\n")
