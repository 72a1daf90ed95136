"""A process that keeps a processor busy beside a run, now and then at rest, so that who runs when is another matter each time.

It is started as a file (``-I -S -B``) with the number of its parent, is niced, and ends with that parent however that one ends.
"""

from __future__ import annotations

import os
import sys
import time

__all__ = ["burn"]

_NICE = 5
#: How long it works and rests at most, in seconds.
_WORK = 0.004
_REST = 0.003


def burn(parent: int) -> None:
    """Work and rest while *parent* is there."""
    os.nice(_NICE)
    while os.getppid() == parent:
        share = os.urandom(1)[0] / 255
        until = time.monotonic() + _WORK * share
        while time.monotonic() < until:
            pass
        time.sleep(_REST * (1 - share) * (share > 0.5))


if __name__ == "__main__":
    burn(int(sys.argv[1]))
