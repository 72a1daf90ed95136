"""Runs the command line on each of the files named on standard input, each in a process of its own under the bounds of the contract.

A fork of a process that has everything imported costs a few milliseconds, where a new interpreter costs two hundred. A line of
input is a JSON array: the folder to be in, then the arguments. A line of output is a JSON object: the exit code (negative for
the signal that ended it), the processor seconds, the most memory in KiB, and what was written to either stream.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
from typing import NoReturn

from sanctity.cli import main

#: Processor seconds: two for one report, and as much again since a case draws five of them on a machine that others use too;
#: and seconds on the wall after which nobody would wait any longer.
SECONDS = 4
PATIENCE = 60


def _child(folder: str, words: list[str], out: int, err: int) -> NoReturn:
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))  # a child has used none of it yet
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(PATIENCE)
    try:
        main(words)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 70)
    except BaseException:  # noqa: BLE001 - whatever comes out of it is told, and is a failure
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    os._exit(71)


def _run(folder: str, words: list[str]) -> dict[str, object]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _child(folder, words, out.fileno(), err.fileno())
        _, status, usage = os.wait4(child, 0)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode("utf-8", "backslashreplace"))
    code = os.waitstatus_to_exitcode(status)
    return {"exit": code, "seconds": usage.ru_utime + usage.ru_stime, "kib": usage.ru_maxrss, "out": said[0], "err": said[1]}


def _warm() -> None:
    """Import what a lint imports, so that every child has it."""
    import sanctity.linting.rules
    import sanctity.lockfiles.summary
    import sanctity.observe.locks
    import sanctity.report.linting
    import sanctity.verbs.linting  # noqa: F401


if __name__ == "__main__":
    _warm()
    for line in sys.stdin:
        folder, *words = json.loads(line)
        print(json.dumps(_run(folder, words)), flush=True)
