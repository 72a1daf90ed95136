"""The standard library that an environment stands on: every file of it, hashed.

Its sources are the same in every build of one version, unless whoever ships it patches them. What a build makes for itself is kept
apart: extension modules, static libraries, what configure and make wrote down. Bytecode in ``__pycache__`` is looked at by its
header alone, as in site-packages, which are not part of this.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from sanctity.errors import ObservationError
from sanctity.model.environment import FileKind, Problem
from sanctity.model.platform import StandardLibrary
from sanctity.observe.walk import default_workers, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.environment import FileEntry, Interpreter
    from sanctity.observe.view import View

__all__ = ["find_stdlib", "is_built", "observe_stdlib"]

#: Where installers put packages; these belong to an environment, and are looked at there.
_SITES: Final = frozenset({"site-packages", "dist-packages"})
#: Files that a build writes for itself, whatever folder they are in: by their end, by their name.
_BUILT_ENDS: Final = (".so", ".a", ".o", ".dylib", ".pyd", ".dll", ".lib")
_BUILT_NAMES: Final = re.compile(
    r"_sysconfigdata\w*[\w.+-]*\.py"
    r"|_sysconfig_vars[\w.+-]*\.json"  # from 3.14 on
    r"|build-details\.json"  # PEP 739
    r"|_missing_stdlib_info\.py"  # from 3.15 on
    r"|EXTERNALLY-MANAGED"  # PEP 668: whoever ships the build puts it there
    r"|Makefile|pyconfig\.h"
    r"|(?:Pattern)?Grammar\d[\w.+]*\.pickle"  # lib2to3 makes these when it is installed
)
_BUILT_FOLDERS: Final = re.compile(r"lib-dynload|config(?:-[\w.+-]*)?")
_UNCHECKED_HASH: Final = 1
#: Bytecode that is being written, or was when its writer was ended; no name that import looks for.
_UNFINISHED: Final = re.compile(r"(?:.*/)?__pycache__/[^/]+\.pyc\.\d+", re.DOTALL)


def find_stdlib(view: View, interpreter: Interpreter) -> str:
    """The folder of the standard library of *interpreter*, an absolute path; empty where there is none."""
    base = interpreter.base.rstrip("/")
    minor = ".".join(interpreter.version.split(".")[:2])
    if not interpreter.base or not minor:
        return ""
    if interpreter.implementation == "pypy":
        names = [f"pypy{minor}"]
    else:
        names = [f"python{minor}", f"python{minor}t"]
        if interpreter.abi.endswith("t"):
            names.reverse()
    folders = [f"{base}/{library}/{name}" for name in names for library in ("lib", "lib64")]
    with_modules = (folder for folder in folders if view.exists(f"{folder}/os.py"))
    return next(with_modules, "") or next((folder for folder in folders if view.is_folder(folder)), "")


def is_built(path: str) -> bool:
    """Whether a file at *path*, relative to the standard library, is one that each build makes for itself."""
    name = path.rpartition("/")[2]
    if name.endswith(_BUILT_ENDS) or _BUILT_NAMES.fullmatch(name):
        return True
    return _BUILT_FOLDERS.fullmatch(path.partition("/")[0]) is not None


def _never_tick(_done: int, _found: int) -> None:
    return


def observe_stdlib(
    view: View,
    interpreter: Interpreter,
    *,
    workers: int,
    clock: Callable[[], float],
    tick: Callable[[int, int], None] = _never_tick,
) -> tuple[StandardLibrary, tuple[Problem, ...], tuple[str, ...]]:
    """Hash the standard library of *interpreter*; give it, what could not be looked at, and the absolute paths of its ELF files.

    A link to a folder, one that leads nowhere, and what is no file at all are there by the digest of what they are, so that a
    change of theirs is one of the library. It is empty, with a problem, where there is no such folder.

    Raises:
        ObservationError: no reading process can be started.
    """
    folder = find_stdlib(view, interpreter)
    if not folder:
        where = f"{interpreter.base}/lib"
        return StandardLibrary(), (Problem("unreadable", where, "there is no standard library here"),), ()
    home = view.real(folder)

    def resolve(path: str) -> str:
        return view.host(view.real(f"{home}/{path}"))

    try:
        tree = walk(
            view.host(home),
            [""],
            workers=workers or default_workers(),
            clock=clock,
            tick=tick,
            resolve=resolve if view.root else None,
            skip=_SITES,
        )
    except ObservationError as error:
        if error.code != "unreadable":
            raise
        return StandardLibrary(), (Problem("unreadable", folder, error.message),), ()
    sources: list[tuple[str, bytes]] = []
    built: list[tuple[str, bytes]] = []
    unchecked: list[str] = []
    for path, entry in tree.files.items():
        if path.endswith(".pyc") and "__pycache__/" in path:
            if int.from_bytes(entry.header[4:8], "little") == _UNCHECKED_HASH:
                unchecked.append(path)
            if entry.kind in {FileKind.FILE, FileKind.LINK}:
                continue
        if _UNFINISHED.fullmatch(path) and entry.kind is FileKind.FILE:
            continue
        if not entry.problem:
            (built if is_built(path) else sources).append((path, entry.digest or _stand_in(entry)))
    problems = (problem._replace(path=f"{folder}/{problem.path}") for problem in tree.problems)
    library = StandardLibrary(sources=tuple(sorted(sources)), built=tuple(sorted(built)), unchecked=tuple(sorted(unchecked)))
    return library, tuple(sorted(set(problems))), tuple(sorted(f"{folder}/{path}" for path in tree.elves))


def _stand_in(entry: FileEntry) -> bytes:
    """A digest of what holds no bytes of its own: its kind, and where it leads."""
    return hashlib.sha256(f"{entry.kind}\0{entry.target}".encode("utf-8", "surrogateescape")).digest()
