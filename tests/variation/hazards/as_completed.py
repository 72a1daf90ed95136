"""A mean that is carried along in the order in which tasks end (F17)."""

import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path


def term(number: int) -> float:
    value = number * 0.7
    for _ in range(300 + 170 * (number % 7)):
        value = value * 3.9 * (1 - value) % 1.0
    return value * 10.0 ** (number % 17)


sys.setswitchinterval(1e-5)
total = 0.0
with ThreadPoolExecutor(8) as pool:
    for done in as_completed([pool.submit(term, number) for number in range(1500)]):
        total = 0.999 * total + done.result()
Path("out").mkdir(exist_ok=True)
Path("out/total.txt").write_text(f"{total!r}\n")
