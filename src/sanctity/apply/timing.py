"""A command's wall time, measured close: nothing is read, and nobody wakes, while it runs.

What it writes goes into a file. Its end is what the kernel tells of its process, not of pipes that a grandchild may hold; whatever
it leaves running is ended after the time was taken.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from typing import TYPE_CHECKING, Any, Final

from sanctity.apply.inject import place_zip, source, zip_bytes
from sanctity.errors import SanctityError
from sanctity.processes import TAIL, Done, end_group, last_lines, start_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sanctity.apply.inject import Hook

__all__ = ["place_cost_hook", "read_marks", "time_command"]

_GRACE: Final = 2.0
_MOST_MARKS: Final = 10_000


def time_command(
    command: Sequence[str], *, program: str, environ: Mapping[str, str], cwd: str, output: str, timeout: int = 0
) -> Done:
    """Run *command*, whose first word is *program*, to its end, or for *timeout* seconds (0: for ever).

    Its input is empty, and what it writes goes into the file *output*, which is made anew.

    Raises:
        SanctityError: ``command-not-executable``, it can not be started; ``output-failed``, *output* can not be written.
    """
    try:
        file = open(output, "wb")  # noqa: SIM115 - it is closed below, whatever comes
    except OSError as error:
        words, hint = error.strerror or "it can not be written", "let TMPDIR name a folder that can be written to"
        raise SanctityError("output-failed", words, where=output, hint=hint) from error
    with file:
        began = time.perf_counter()
        process = start_command(command, program=program, environ=environ, cwd=cwd, output=file)
    late = True
    try:
        number = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(number, select.POLLIN)  # readable when the process has ended (pidfd_open(2))
            late = not poll.poll(timeout * 1000 if timeout else None)
            seconds = time.perf_counter() - began
        finally:
            os.close(number)
    finally:
        end_group(process.pid, _GRACE if late else 0.0, process)
    return Done(code=None if late else process.returncode, seconds=float(timeout) if late else seconds, tail=_tail(output))


def _tail(path: str) -> str:
    """The end of the file *path* as text; empty where it can not be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL - 1))
            return last_lines(file.read())
    except OSError:
        return ""


def place_cost_hook(environ: Mapping[str, str]) -> Hook:
    """The start hook that switches one control, placed as `place_zip` does. Raises SanctityError ``inject-failed``."""
    members = [
        ("sitecustomize.py", source("determinism/cost_hook.py")),
        ("sanctity_start_hook.py", source("determinism/start_hook.py")),
        ("sanctity_arrival.py", source("determinism/arrival.py")),
    ]
    return place_zip(zip_bytes(members), environ)


def read_marks(folder: str) -> list[dict[str, Any]]:
    """The marks that the hooks left in *folder*; one that can not be read is of a process that was killed, and says nothing."""
    found = []
    for name in sorted(os.listdir(folder))[:_MOST_MARKS]:
        with contextlib.suppress(OSError, ValueError), open(f"{folder}/{name}", encoding="utf-8") as file:
            mark = json.load(file)
            if isinstance(mark, dict):
                found.append(mark)
    return found
