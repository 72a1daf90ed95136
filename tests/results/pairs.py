"""Two files of the given bytes, compared as the command compares them."""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from sanctity.cli import main
from sanctity.verbs.comparing import compare
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from sanctity.model.result import FileResult, ResultComparison

__all__ = ["both", "command", "folders", "safetensors", "world"]

_NAMES = {"b1": "BOOL", "u1": "U8", "i1": "I8", "f2": "F16", "i4": "I32", "f4": "F32", "f8": "F64", "i8": "I64", "c8": "C64"}


def world(folder: Path) -> World:
    """The world as a command in *folder* has it."""
    return World(cwd=str(folder), environ={}, clock=time.monotonic)


def command(*arguments: str) -> int:
    """The exit code of ``sanctity compare`` with *arguments*."""
    with pytest.raises(SystemExit) as ended:
        main(["compare", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def both(folder: Path, name: str, before: bytes, after: bytes, **more: bool) -> FileResult:
    """How the two compare, each in a file called *name*."""
    for side, data in (("one", before), ("two", after)):
        (folder / side).mkdir(exist_ok=True)
        (folder / side / name).write_bytes(data)
    (found,) = compare(f"one/{name}", f"two/{name}", world(folder), **more).files
    return found


def folders(folder: Path) -> ResultComparison:
    """How the folders ``one`` and ``two`` compare."""
    return compare("one", "two", world(folder))


def safetensors(tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A file of *tensors* in their order, as the format is specified."""
    stated: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    body = b""
    for name, array in tensors.items():
        raw = array.tobytes()
        dtype = _NAMES[array.dtype.str[1:]]
        stated[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    head = json.dumps(stated).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + body
