"""Runs the command line and kills itself, as kill -9 does, at the *k*-th step that touches a file below a folder.

``dying.py FOLDER K ARGUMENTS...``: every open, rename, removal, lock and making of a folder below FOLDER is a step (Python's audit
events). With K 0 it ends by itself and prints on standard error how many steps there were.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

FOLDER, LAST = sys.argv[1], int(sys.argv[2])
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "fcntl.flock", "os.link"}
alone = threading.Lock()
taken = 0


def step(event: str, arguments: tuple[object, ...]) -> None:
    global taken  # noqa: PLW0603 - an audit hook has no other place
    if event not in STEPS:
        return
    if event != "fcntl.flock" and not any(str(argument).startswith(FOLDER) for argument in arguments):
        return
    with alone:
        taken += 1
        if taken == LAST:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from sanctity.cli import main

    sys.addaudithook(step)
    try:
        main(sys.argv[3:])
    finally:
        sys.stderr.write(f"steps: {taken}\n")
