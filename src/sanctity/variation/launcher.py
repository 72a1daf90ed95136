"""What becomes the program of a run: a process that sets what only a process itself can set, and then is that program.

It is started as a file, by the Python that `prove` runs under and with none of the caller's settings (``-I -S -B``). Its one
argument is a file that `marshal` wrote: *argv*, *program*, *environ* (pairs of bytes, in their order), *cwd*, *umask*, *random*
(addresses: None leaves them), *cpus*, *batch*, *stdout*. What could not be done is written to a file beside it, ``….failed``.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["launch"]

_NOT_RUNNABLE = 126
#: personality(2), PR_SET_PDEATHSIG of prctl(2), and SIGKILL.
_NO_RANDOM = 0x0040000
_AS_IT_IS = 0xFFFFFFFF
_PARENT_DEATH = 1
_KILL = 9


def launch(path: str) -> NoReturn:
    """Do what the file at *path* says."""
    with open(path, "rb") as file:
        what = marshal.load(file)  # noqa: S302 - our own file, in a folder of this user alone
    doing = "it can not be prepared"
    try:
        _libc(what)
        if what["cpus"]:
            doing = "the CPUs can not be set"
            os.sched_setaffinity(0, what["cpus"])
        if what["batch"]:
            doing = "the scheduling can not be set"
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        if what["umask"] is not None:
            os.umask(what["umask"])
        if what["stdout"]:
            doing = "standard output can not be kept"
            opened = os.open(what["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, 1)
            os.close(opened)
        doing = "the working folder can not be entered"
        os.chdir(what["cwd"])
        doing = ""
        os.execve(what["program"], what["argv"], dict(what["environ"]))  # noqa: S606 - it was found by its path
    except OSError as error:
        with open(path + ".failed", "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{doing}\n{error.strerror}")
        os._exit(_NOT_RUNNABLE)


def _libc(what: dict[str, Any]) -> None:
    """Be ended with the parent, and have addresses be random or not."""
    try:
        import ctypes
    except ImportError:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        libc.prctl(_PARENT_DEATH, _KILL, 0, 0, 0)
        if os.getppid() != what["parent"]:
            os._exit(_NOT_RUNNABLE)
        if what["random"] is not None:
            now = libc.personality(_AS_IT_IS)
            wanted = now & ~_NO_RANDOM if what["random"] else now | _NO_RANDOM
            if wanted != now and libc.personality(wanted) == -1:
                raise OSError(ctypes.get_errno(), "addresses: " + os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    launch(sys.argv[1])
