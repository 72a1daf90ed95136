"""A process that keeps a processor busy beside a run, now and then at rest, so that who runs when is another matter each time.

It is started as a file (``-I -S -B``) with the number of its parent, is niced, and ends with that parent however that one ends.
"""

from __future__ import annotations

import os
import sys
import time

__all__ = ["burn"]

#: How nice it is in the first second, which is all that a short run has, and then: a long run is to lose a twentieth to it at most.
_NICE = 5
_NICER = 13
_FIRST = 1.0
#: How long it works and rests at most, in seconds.
_WORK = 0.004
_REST = 0.003


def burn(parent: int) -> None:
    """Work and rest while *parent* is there."""
    os.nice(_NICE)
    later: float = time.monotonic() + _FIRST
    while os.getppid() == parent:
        if time.monotonic() > later:
            os.nice(_NICER - _NICE)
            later = float("inf")
        share = os.urandom(1)[0] / 255
        until = time.monotonic() + _WORK * share
        while time.monotonic() < until:
            pass
        time.sleep(_REST * (1 - share) * (share > 0.5))


if __name__ == "__main__":
    burn(int(sys.argv[1]))
