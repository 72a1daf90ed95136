"""What a file of the start-up surface is by its name and its bytes: the same for one that is installed, and for one in a wheel.

Source: the `site` module's documentation, and PEP 829 (``.start`` files).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from sanctity.model.environment import Hook, HookKind

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["customize_hook", "is_customize", "path_file_hook", "pth_hook"]

_CUSTOMIZE: Final = re.compile(r"(?:site|user)customize(?:\.py|\.pyc|\.[\w.-]*so|\.pyd)?")
_MARK: Final = b"\xef\xbb\xbf"


def is_customize(name: str) -> bool:
    """Whether an entry *name* of a site-packages folder is a module, or a package, that every start of Python imports."""
    return _CUSTOMIZE.fullmatch(name) is not None


def _effect(lines: Iterable[bytes]) -> tuple[bool, str]:
    """Whether any line is code, and the first telling line. `site` runs a line that starts with ``import`` and a blank or tab."""
    code = ""
    folders: list[str] = []
    for raw in lines:
        line = raw.rstrip()
        if not line or line.startswith(b"#"):
            continue
        if line.startswith((b"import ", b"import\t")):
            code = code or line.decode("utf-8", "replace")
        else:
            folders.append(line.decode("utf-8", "replace"))
    return bool(code), (code or ", ".join(folders))[:160]


def pth_hook(path: str, data: bytes, canonical: bytes | None = None) -> Hook:
    """The hook that the ``.pth`` or ``.start`` file *path* with the bytes *data* is; it counts by *canonical*, else by *data*."""
    counted = data if canonical is None else canonical
    code, _ = _effect(data.removeprefix(_MARK).splitlines())
    _, effect = _effect(counted.removeprefix(_MARK).splitlines())
    kind = HookKind.START if path.endswith(".start") else HookKind.PTH_CODE if code else HookKind.PTH_PATH
    return Hook(kind, path, hashlib.sha256(counted).digest(), effect)


def customize_hook(path: str, data: bytes) -> Hook:
    """The hook that a module is whose name, or whose package's, `is_customize`."""
    return Hook(HookKind.CUSTOMIZE, path, hashlib.sha256(data).digest(), "imported by every start of Python")


def path_file_hook(path: str, data: bytes) -> Hook:
    """The hook that a ``._pth`` beside an interpreter is."""
    return Hook(HookKind.PATH_FILE, path, hashlib.sha256(data).digest(), "it replaces sys.path")
