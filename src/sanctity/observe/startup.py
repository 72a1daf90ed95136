"""The start-up surface at rest: everything on disk that runs, or redirects imports, before a program's first line.

Source: as in `sanctity.canon.startup`, and ``Modules/getpath.py`` of CPython (``._pth``, ``pyvenv.cfg``, the zipped standard
library). Nothing found is run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from sanctity.canon.fingerprint import unversioned
from sanctity.canon.startup import customize_hook, is_customize, path_file_hook, pth_hook
from sanctity.model.environment import Distribution, Hook, HookKind, Interpreter, Layout, Problem
from sanctity.observe.view import is_blind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.observe.interpreter import Configuration
    from sanctity.observe.view import View

__all__ = ["observe_hooks"]

_LARGEST: Final = 1 << 26
#: What import or the loader takes for code; bytecode in ``__pycache__`` is judged by its header.
_CODE: Final = re.compile(
    r"(?!.*/__pycache__/[^/]*\.py[co]$).*\.(?:py[cowd]?|pth|start|so(?:\.[\w-]+)*|zip|egg|whl)", re.IGNORECASE | re.DOTALL
)
_PLAIN_ROOT: Final = re.compile(rb"/[^\x00-\x1f\x7f'\"\\;#]+")
_PLAIN_VERSION: Final = re.compile(r"[\w.+!-]+", re.ASCII)


def _canonical(data: bytes, path: str, owner: Distribution | None) -> bytes:
    """*data* of the file at *path* without the place of the editable that is its *owner*, and setuptools' without its version.

    Both are that editable's own word, so neither may hold what could be code where they stand in a line or in a text.
    """
    if owner is None or owner.origin is None:
        return data
    root = os.fsencode(unquote(urlsplit(owner.origin.url).path).rstrip("/"))
    if _PLAIN_ROOT.fullmatch(root):
        data = data.replace(root, b"${root}")
    if path.rpartition("/")[2].startswith("__editable__") and _PLAIN_VERSION.fullmatch(owner.version):
        data = unversioned(data.decode("latin-1"), owner.version).encode("latin-1")
    return data


def observe_hooks(
    view: View,
    prefix: str,
    layout: Layout,
    interpreter: Interpreter,
    configuration: Configuration | None,
    distributions: Iterable[Distribution],
) -> tuple[tuple[Hook, ...], tuple[Problem, ...]]:
    """Find every hook of the environment at *prefix*, in path order, and what could not be read.

    In a file that an editable distribution owns, the project's folder is written ``${root}``, and in what setuptools writes for one
    the version ``${version}``, so that the same environment at another path, or commit, has the same digest. Git governs the
    source, and not what its installer put into site-packages.
    """
    owners = {
        row.path: item
        for item in distributions
        if item.origin is not None and item.origin.editable
        for row in item.record or ()
        if _CODE.fullmatch(row.path)
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
                hooks.append(pth_hook(path, data, _canonical(data, path, owners.get(path))))
            elif is_customize(name):
                if view.is_folder(f"{prefix}/{path}"):
                    inner = next((entry for entry in view.listing(f"{prefix}/{path}") if entry.startswith("__init__.")), "")
                    if not inner:
                        continue
                    path = f"{path}/{inner}"
                data = read(f"{prefix}/{path}")
                if data is not None:
                    hooks.append(customize_hook(path, data))
    known = {hook.path for hook in hooks}
    inside = tuple(f"{site}/" for site in layout.site)
    for path, owner in sorted(owners.items()):
        if path.startswith(inside) and path not in known and (data := read(f"{prefix}/{path}")) is not None:
            digest = hashlib.sha256(_canonical(data, path, owner)).digest()
            hooks.append(Hook(HookKind.EDITABLE, path, digest, f"{owner.name}, an editable, put it there"))
    folders = {f"{prefix}/{layout.scripts}"}
    if interpreter.executable.startswith("/"):
        folders.add(os.path.dirname(interpreter.executable))
    for folder in sorted(folders):
        for name in view.listing(folder):
            if name.endswith("._pth"):
                data = read(f"{folder}/{name}")
                if data is not None:
                    shown = f"{folder}/{name}".removeprefix(prefix + "/")
                    hooks.append(path_file_hook(shown, data))
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
