"""A file that is there whole or as it was before: written under a temporary name beside it, and renamed."""

from __future__ import annotations

import os

__all__ = ["place_file", "replace_file"]


def place_file(path: str, data: bytes, *, sync: bool = False) -> None:
    """Have *data* in the file *path*, which may be new; with *sync* on the disk too. What is there and is no file stays.

    Raises:
        OSError: it can not be written, or something else than a file is there.
        ValueError: *path* holds a null character.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError("there is something else than a file")
    replace_file(path, data, sync=sync)


def replace_file(path: str, data: bytes, *, sync: bool = False) -> None:
    """As `place_file`, whatever is there. No temporary file is left. Raises OSError, ValueError."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    made = False
    try:
        with open(temporary, "xb") as file:
            made = True
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if made and os.path.exists(temporary):
            os.unlink(temporary)
        raise
