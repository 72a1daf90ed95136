"""A seeded parent whose forked children draw: `random` seeds itself anew from the system in each (F13)."""

import multiprocessing
import random
from pathlib import Path


def draw(number: int) -> float:
    return number + random.random()


random.seed(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    drawn = pool.map(draw, range(4), chunksize=1)
Path("out").mkdir(exist_ok=True)
Path("out/draws.txt").write_text(f"{drawn}\n")
