"""Workers with a stream each, all seeded, that take their tasks from one queue: who gets which task is left to the scheduler."""

import multiprocessing
import os
import random
from pathlib import Path


def start(queue: "multiprocessing.Queue[int]") -> None:
    random.seed(queue.get())


def work(number: int) -> tuple[int, float]:
    for _ in range(200):
        os.sched_yield()
    return number, random.random()


context = multiprocessing.get_context("fork")
seeds: "multiprocessing.Queue[int]" = context.Queue()
for seed in range(4):
    seeds.put(seed)
with context.Pool(4, start, (seeds,)) as pool:
    drawn = pool.map(work, range(400), chunksize=1)
Path("out").mkdir(exist_ok=True)
Path("out/draws.txt").write_text(f"{drawn}\n")
