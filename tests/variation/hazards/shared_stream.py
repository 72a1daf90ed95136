"""Four threads that draw from one seeded stream: who draws which number is left to the scheduler (F16)."""

import random
import sys
import threading
from pathlib import Path

sys.setswitchinterval(1e-6)
random.seed(0)
sums = [0.0] * 4


def work(number: int) -> None:
    for _ in range(20_000):
        sums[number] += random.random()


threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
Path("out").mkdir(exist_ok=True)
Path("out/sums.txt").write_text(f"{sums}\n")
