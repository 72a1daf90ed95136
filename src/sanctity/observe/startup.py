"""The start-up surface at rest: everything on disk that runs, or redirects imports, before a program's first line.

Source: the `site` module's documentation, PEP 829 (``.start`` files), and ``Modules/getpath.py`` of CPython (``._pth``,
``pyvenv.cfg``, the zipped standard library). Nothing found is run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from sanctity.model.environment import Distribution, Hook, HookKind, Interpreter, Layout, Problem
from sanctity.observe.view import is_blind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.observe.interpreter import Configuration
    from sanctity.observe.view import View

__all__ = ["observe_hooks"]

_LARGEST: Final = 1 << 26
_CUSTOMIZE: Final = re.compile(r"(?:site|user)customize(?:\.py|\.pyc|\.[\w.-]*so|\.pyd)?")


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


def observe_hooks(
    view: View,
    prefix: str,
    layout: Layout,
    interpreter: Interpreter,
    configuration: Configuration | None,
    distributions: Iterable[Distribution],
) -> tuple[tuple[Hook, ...], tuple[Problem, ...]]:
    """Find every hook of the environment at *prefix*, in path order, and what could not be read.

    In the digest of a ``.pth`` that an editable distribution owns, the project's folder is written ``${root}``, so that the same
    environment at another path has the same digest.
    """
    roots = {
        row.path: os.fsencode(unquote(urlsplit(item.origin.url).path).rstrip("/"))
        for item in distributions
        if item.origin is not None and item.origin.editable
        for row in item.record or ()
        if row.path.endswith(".pth")
    }
    hooks: list[Hook] = []
    problems: list[Problem] = []

    def read(path: str) -> bytes | None:
        try:
            return view.read(path, _LARGEST)
        except OSError as error:
            # What is no file at all is told by who looks at the files; it starts nothing.
            if is_blind(error) or error.errno == errno.EFBIG:
                problems.append(Problem("unreadable", path.removeprefix(prefix + "/"), error.strerror or "unreadable"))
            return None

    for site in layout.site:
        for name in view.listing(f"{prefix}/{site}"):
            path = f"{site}/{name}"
            if name.endswith((".pth", ".start")):
                if view.is_folder(f"{prefix}/{path}"):
                    continue
                data = read(f"{prefix}/{path}")
                if data is None:
                    continue
                root = roots.get(path, b"")
                digest = hashlib.sha256(data.replace(root, b"${root}") if root else data).digest()
                code, effect = _effect(data.removeprefix(b"\xef\xbb\xbf").splitlines())
                kind = HookKind.START if name.endswith(".start") else HookKind.PTH_CODE if code else HookKind.PTH_PATH
                hooks.append(Hook(kind, path, digest, effect))
            elif _CUSTOMIZE.fullmatch(name):
                if view.is_folder(f"{prefix}/{path}"):
                    inner = next((entry for entry in view.listing(f"{prefix}/{path}") if entry.startswith("__init__.")), "")
                    if not inner:
                        continue
                    path = f"{path}/{inner}"
                data = read(f"{prefix}/{path}")
                if data is not None:
                    hooks.append(Hook(HookKind.CUSTOMIZE, path, hashlib.sha256(data).digest(), "imported by every start of Python"))
    folders = {f"{prefix}/{layout.scripts}"}
    if interpreter.executable.startswith("/"):
        folders.add(os.path.dirname(interpreter.executable))
    for folder in sorted(folders):
        for name in view.listing(folder):
            if name.endswith("._pth"):
                data = read(f"{folder}/{name}")
                if data is not None:
                    shown = f"{folder}/{name}".removeprefix(prefix + "/")
                    hooks.append(Hook(HookKind.PATH_FILE, shown, hashlib.sha256(data).digest(), "it replaces sys.path"))
    if configuration is not None and configuration.system_site:
        hooks.append(Hook(HookKind.SYSTEM_SITE, "pyvenv.cfg", b"", "include-system-site-packages = true"))
    if interpreter.base and layout.version:
        threaded = "t" if interpreter.abi.endswith("t") else ""
        zipped = f"lib/python{layout.version.replace('.', '')}{threaded}.zip"
        if view.exists(f"{interpreter.base}/{zipped}"):
            data = read(f"{interpreter.base}/{zipped}")
            digest = hashlib.sha256(data or b"").digest()
            hooks.append(Hook(HookKind.STDLIB_ZIP, zipped, digest, "it precedes the standard library on sys.path"))
    return tuple(sorted(hooks)), tuple(problems)
