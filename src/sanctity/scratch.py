"""Folders of one process alone, below the folder for temporary files, that nobody leaves behind.

Such a folder is held by a lock on the file ``alive`` in it, which its process gives up however it ends. So what a process that was
killed left is known for what it is by whoever comes next: a command that still runs there is ended, and the folder removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from typing import TYPE_CHECKING, Final

from sanctity.processes import end_group, started_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Scratch", "remove"]

#: A process that is making its folder holds it from so many seconds on.
_YOUNG: Final = 60


class Scratch:
    """A new folder at `home`, whose name begins with *prefix*, in the folder *below*, else in that for temporary files.

    What processes that are no more left there is removed first. `close` removes the folder itself. Raises OSError.
    """

    def __init__(self, prefix: str, below: str = "") -> None:
        parent = os.path.realpath(below or tempfile.gettempdir())
        _sweep(parent, prefix)
        self.home = tempfile.mkdtemp(prefix=prefix, dir=parent)
        self._alive = os.open(f"{self.home}/alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Remove it, and give it up."""
        remove(self.home)
        os.close(self._alive)

    def note(self, number: int) -> None:
        """Note that the process group *number* works here, for whoever finds this folder after a sudden end."""
        with contextlib.suppress(OSError), open(f"{self.home}/running-{number}", "w", encoding="ascii") as file:
            file.write(f"{number} {started_at(number)}\n")

    @contextlib.contextmanager
    def noting(self) -> Iterator[Callable[[int], None]]:
        """`note` in this context; what was noted in it has ended when it is left."""
        noted: list[int] = []

        def note(number: int) -> None:
            noted.append(number)
            self.note(number)

        try:
            yield note
        finally:
            for number in noted:
                with contextlib.suppress(OSError):
                    os.unlink(f"{self.home}/running-{number}")


def remove(path: str) -> None:
    """Remove the file or folder at *path*, if it is there; what is write-protected too. Links are removed, never followed."""
    if os.path.islink(path) or not os.path.isdir(path):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)
        return
    shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        for folder, _, _ in os.walk(path):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(path, ignore_errors=True)


def _sweep(below: str, prefix: str) -> None:
    """Remove what processes of this user that are no more left *below*."""
    with contextlib.suppress(OSError):
        for name in os.listdir(below):
            if name.startswith(prefix):
                with contextlib.suppress(OSError):
                    _sweep_one(os.path.join(below, name))


def _sweep_one(home: str) -> None:
    state = os.lstat(home)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        return
    try:
        alive = os.open(f"{home}/alive", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        if time.time() - state.st_mtime > _YOUNG:  # else somebody makes it just now
            remove(home)
        return
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    finally:
        # Closing it gives the lock up again, which matters to nobody: its process is gone.
        os.close(alive)
    for name in os.listdir(home):
        if name.startswith("running-"):
            _end_noted(os.path.join(home, name))
    remove(home)


def _end_noted(path: str) -> None:
    """End the process group that the file at *path* names, if it is the one that was meant, and not another of its number."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        number, _, when = file.read().strip().partition(" ")
        if when and started_at(int(number)) == when:
            end_group(int(number), 0.0)
