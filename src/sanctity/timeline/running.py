"""Around the command of a bisect: the variables that it has, and what it leaves.

The environment's programs come first on ``PATH`` and ``VIRTUAL_ENV`` names it; ``PYTHONHOME`` and ``__PYVENV_LAUNCHER__``, which
would lead its Python elsewhere, are left out; every other variable is the caller's.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, Final

from sanctity.model.digest import Digest
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["NOT_FOUND", "digest_of", "environ_of", "signature_of"]

#: What a shell ends with where a command can not be run or found.
NOT_FOUND: Final = (126, 127)
#: What leads a Python elsewhere.
_LEFT_OUT: Final = frozenset({"PYTHONHOME", "__PYVENV_LAUNCHER__"})


def environ_of(environment: str, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* as a program in the virtual *environment* has it."""
    kept = {name: value for name, value in environ.items() if name not in _LEFT_OUT}
    path = environ.get("PATH", os.defpath)
    return {**kept, "PATH": f"{environment}/bin{os.pathsep}{path}", "VIRTUAL_ENV": environment}


# -- a result ----------------------------------------------------------------------------------------------------------------------


def digest_of(path: str) -> Digest | None:
    """The digest of the file at *path*, or of the folder's files with their names; None where there is neither.

    A folder's is over the canonical list of [path, digest of the bytes], links as [path, target]; modes and times are not in it.
    """
    try:
        state = os.lstat(path)
        if stat.S_ISREG(state.st_mode):
            return Digest.of_sha256(_sha256(path))
        if not stat.S_ISDIR(state.st_mode):
            return None
        rows = sorted(_rows(path, ""))
        return Digest.of_sha256(hashlib.sha256(canonical([list(row) for row in rows])).digest())
    except OSError:
        return None


def _rows(folder: str, below: str) -> Iterator[tuple[str, str]]:
    with os.scandir(os.path.join(folder, below)) as entries:
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            if entry.is_symlink():
                yield shown, f"link {os.fsencode(os.readlink(entry.path)).decode('utf-8', 'backslashreplace')}"
            elif entry.is_dir():
                yield from _rows(folder, path)
            elif entry.is_file():
                yield shown, _sha256(entry.path).hex()


def signature_of(folder: str) -> str:
    """What the kernel says of every file below *folder* that is no bytecode: any write to one changes it (``ctime``).

    It is empty where there is no such folder any more, or it can not be read to its end: somebody removed it, or a part of it.
    """
    try:
        return "" if os.path.islink(folder) else _signature_of(folder)
    except OSError:
        return ""


def _signature_of(folder: str) -> str:
    hasher = hashlib.sha256()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    if entry.name != "__pycache__":
                        waiting.append(entry.path)
                        hasher.update(os.fsencode(entry.path) + b"/\0")
                    continue
                row = (state.st_mode, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                hasher.update(os.fsencode(entry.path) + b"\0" + repr(row).encode() + b"\0")
    return hasher.hexdigest()


def _sha256(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
