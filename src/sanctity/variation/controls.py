"""Programs that are known not to repeat: what `prove` must see to differ before it may say that something does not."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["KNOWN", "Known"]

#: Threads that share a generator take turns at once: who draws which number is another matter each time.
_RACE: Final = """\
import random, sys, threading
sys.setswitchinterval(1e-6)
random.seed(0)
sums = []
def draw():
    total = 0.0
    for turn in range(6000):
        total += random.random() * (turn % 7)
    sums.append(total)
threads = [threading.Thread(target=draw) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open("out", "w") as file:
    file.write(repr(sums))
"""

#: The order of a set of texts is that of their hashes.
_ORDER: Final = """\
with open("out", "w") as file:
    file.write(" ".join({str(number) for number in range(64)}))
"""


class Known(NamedTuple):
    """A *program* and the hash seeds of two runs of it, tried so many *times* until they differ."""

    name: str
    words: str
    program: str
    seeds: tuple[str, str]
    times: int


KNOWN: Final = (
    Known("race", "a race of threads", _RACE, ("0", "0"), 4),
    Known("hash-order", "an order of hashes", _ORDER, ("0", "1"), 1),
)
