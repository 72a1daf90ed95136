"""The shared libraries outside of an environment that something in it needs, found as the system's loader would find them.

The closure of DT_NEEDED over the ELF files of the environment, its interpreter and the standard library's extension modules.
Extension modules are opened by the interpreter, so that an RPATH of its executable holds for them as well. A name that was loaded
before, by the same module or by the interpreter, is not looked for again. Which modules a program imports first is not known; so
each is taken as the first one.

What a program opens by itself while it runs (dlopen) is not seen, and ``LD_LIBRARY_PATH`` is not looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sanctity.model.environment import Problem
from sanctity.model.platform import PRELOADS, NativeLibrary
from sanctity.observe.build import executable_of, read_files
from sanctity.observe.elf import Elf, ElfError, build_id, constants, open_elf
from sanctity.observe.interpreter import library_of
from sanctity.observe.loader import Loader, read_loader
from sanctity.observe.packages import observe_owners
from sanctity.observe.view import is_blind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.environment import Interpreter
    from sanctity.observe.view import View

__all__ = ["Closure", "observe_libraries"]

_GLIBC: Final = re.compile(rb"GNU C Library [ -~]{0,200}?release version (\d+\.\d+(?:\.\d+)?)")
_MUSL: Final = re.compile(rb"(?<=\0)(\d+\.\d+\.\d+)(?:-git[-\w]{0,80})?\0")
#: No file of an environment has so many libraries behind it; more than this is a hostile one.
_MOST: Final = 20_000
_LONGEST_LIST: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """What was found: *libraries*, sorted; *libc* (``glibc 2.36``, empty where it can not be told); *problems*.

    *varied* are the names of libraries that the loader has in several versions, one for each kind of processor.
    """

    libraries: tuple[NativeLibrary, ...] = ()
    libc: str = ""
    problems: tuple[Problem, ...] = ()
    varied: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Object:
    """One ELF file as it is loaded: its *path* as it was found, which ``$ORIGIN`` goes by, and where that really is."""

    path: str
    real: str
    elf: Elf
    identity: str
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


@dataclass(slots=True)
class _Search:
    """A loader at work, with everything that it was asked before."""

    view: View
    loader: Loader
    objects: dict[str, _Object | None] = field(default_factory=dict)
    found: dict[tuple[str, tuple[str, ...], bool], str] = field(default_factory=dict)
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    #: (real path of who asks, name, real path of what it got): one file may get another library behind another module.
    answers: dict[tuple[str, str, str], _Object] = field(default_factory=dict)
    missing: set[tuple[str, str]] = field(default_factory=set)
    #: The real paths of all that was loaded since something else needs it.
    behind: set[str] = field(default_factory=set)
    varied: set[str] = field(default_factory=set)

    def open(self, path: str) -> _Object | None:
        """The ELF file at *path*; None where there is none that can be loaded."""
        if path in self.objects:
            return self.objects[path]
        found = None
        real = self.view.real(path)
        try:
            with open_elf(self.view.host(real)) as (data, elf):
                # glibc goes by the path that a file was found by, which may be a link; the kernel starts what that leads to.
                origin = os.path.dirname(path)
                runpath = self.loader.places(elf.runpath, origin)
                rpath = () if elf.runpath else self.loader.places(elf.rpath, origin)
                found = _Object(path, real, elf, build_id(data, elf), rpath, runpath)
        except ElfError:
            pass
        except OSError as error:
            if is_blind(error):
                self.problems.append(Problem("unreadable", path, error.strerror or "unreadable"))
        self.objects[path] = found
        return found

    def follow(self, root: _Object, *, main: dict[str, _Object], chain: tuple[str, ...]) -> dict[str, _Object]:
        """Load *root* and all that it needs, breadth first, and give it by every name it answers to.

        *main* is what the program has loaded before, *chain* the RPATHs that it hands down.
        """
        musl = self.loader.libc == "musl"
        loaded: dict[str, _Object] = {}
        seen = {root.real}
        queue = [(root, self.hand_down(root, chain))]
        for item, inherited in queue:
            for name in item.elf.needed:
                known = loaded.get(name) or main.get(name)
                if known is None:
                    known = self._find(name, item, inherited, root.elf)
                    if known is None:
                        self.missing.add((item.real, name))
                        continue
                    loaded[name] = known
                    if not musl and known.elf.soname:
                        loaded.setdefault(known.elf.soname, known)
                    self.behind.add(known.real)
                    if known.real not in seen and len(seen) < _MOST:
                        seen.add(known.real)
                        queue.append((known, self.hand_down(known, inherited)))
                self.answers[item.real, name, known.real] = known
        return loaded

    def hand_down(self, item: _Object, inherited: tuple[str, ...]) -> tuple[str, ...]:
        """The folders in which what *item* needs is looked for before all others, and after them those of who loaded it."""
        own = (item.runpath or item.rpath) if self.loader.libc == "musl" else item.rpath
        return own + inherited if own else inherited

    def _find(self, name: str, item: _Object, inherited: tuple[str, ...], like: Elf) -> _Object | None:
        if self.loader.is_own(name):
            return self.open(self.loader.path)
        if "/" in name:
            path = self.loader.expand(name, os.path.dirname(item.path))
            return self._fitting(path, like) if path.startswith("/") else None
        places = inherited if self.loader.libc == "musl" or not item.elf.runpath else item.runpath
        key = name, places, item.elf.no_defaults
        if key not in self.found:
            self.found[key] = self._look(name, places, like, defaults=not item.elf.no_defaults)
        path = self.found[key]
        return self.open(path) if path else None

    def _look(self, name: str, places: tuple[str, ...], like: Elf, *, defaults: bool) -> str:
        """The path of the first file called *name* that fits *like*, or an empty text."""
        if path := self._look_in(name, places, like):
            return path
        path = self.loader.cache.get(name, "")
        if path and (defaults or not path.startswith(tuple(f"{folder}/" for folder in self.loader.folders))):
            if name in self.loader.varied:
                self.varied.add(name)
            if self._fitting(path, like):
                return path
        return self._look_in(name, self.loader.folders, like) if defaults else ""

    def _look_in(self, name: str, places: tuple[str, ...], like: Elf) -> str:
        for place in places:
            for folder in self._variants(place):
                path = f"{folder}/{name}"
                if self._fitting(path, like):
                    return path
        return ""

    def _variants(self, folder: str) -> tuple[str, ...]:
        """*folder*, and before it those below it that hold what was compiled for this processor."""
        found = self.folders.get(folder)
        if found is None:
            inner = f"{folder}/glibc-hwcaps"
            names = self.view.listing(inner) if self.loader.libc == "glibc" else []
            self.varied.update(name for each in names for name in self.view.listing(f"{inner}/{each}"))
            found = (*(f"{inner}/{name}" for name in self.loader.hwcaps if name in names), folder)
            self.folders[folder] = found
        return found

    def _fitting(self, path: str, like: Elf) -> _Object | None:
        if path not in self.objects and not self.view.exists(path):
            return None
        found = self.open(path)
        return found if found and (found.elf.machine, found.elf.bits) == (like.machine, like.bits) else None


def observe_libraries(
    view: View,
    prefix: str,
    elves: Iterable[str],
    interpreter: Interpreter,
    *,
    more: Iterable[str] = (),
    hwcaps: tuple[str, ...] = (),
) -> Closure:
    """Find the libraries behind *elves* (relative to *prefix*), *interpreter*, and *more* files (absolute, the standard library's).

    *hwcaps* are the ``glibc-hwcaps`` folders that the processor takes, the best first (`loader.hwcaps_of`). Libraries that are
    among *elves* or *more* are not listed, since their bytes are looked at elsewhere; nor is libpython. A name that nothing was
    found for is there with an empty digest, unless the environment has a library of that name in a folder from which others are
    loaded: then a package loads it before it is asked for, which is how some wheels ship what their own libraries need.
    """
    executable = executable_of(prefix, interpreter)
    if not executable:
        return Closure()
    executable = view.real(executable)
    try:
        with open_elf(view.host(executable)) as (_, elf):
            loader = read_loader(view, elf, hwcaps=hwcaps)
    except (ElfError, OSError):
        return Closure()  # `observe_interpreter` and `observe_build` say so
    search = _Search(view, loader)
    if loader.fault[0]:
        search.problems.append(Problem("unreadable", *loader.fault))
    start = search.open(executable)
    if start is None:
        return Closure(problems=tuple(search.problems))
    library = library_of(view, executable, elf)
    main = _own_loader(search, start)
    _preload(search, main)
    main.update(search.follow(start, main=main, chain=()))
    own = [item for path in (*(f"{prefix.rstrip('/')}/{path}" for path in elves), *more) if (item := search.open(path))]
    own = [item for item in own if (item.elf.machine, item.elf.bits) == (elf.machine, elf.bits)]
    asked = {name for item in own for name in item.elf.needed}
    # What nobody asks for by name is opened by the interpreter; the rest is loaded by those, or else opened by a program too.
    behind = {item.real for item in own if item.elf.soname in asked or os.path.basename(item.path) in asked}
    for item in sorted(own, key=lambda item: item.real in behind):
        if item.real in behind and item.real in search.behind:
            continue
        if item.elf.loader:  # a program of its own
            search.follow(item, main=_own_loader(search, item), chain=())
        else:
            search.follow(item, main=main, chain=search.hand_down(start, ()))
    return _close(search, own, prefix, {start.real, view.real(library) if library else ""}, main)


def _preload(search: _Search, main: dict[str, _Object]) -> None:
    """What the system puts into every program, the interpreter among them; glibc reads the file, musl has no such thing.

    Source: ld.so(8): a list separated by blanks, colons or newlines; here each is named by its whole path.
    """
    if search.loader.libc == "musl" or not search.view.exists(PRELOADS):
        return
    try:
        text = search.view.read(PRELOADS, _LONGEST_LIST).decode("utf-8", "surrogateescape")
    except OSError as error:
        search.problems.append(Problem("unreadable", PRELOADS, error.strerror or "unreadable"))
        return
    for path in re.split(r"[\s:]+", re.sub(r"#[^\n]*", "", text)):
        if not path:
            continue
        found = search.open(path) if path.startswith("/") and search.view.exists(path) else None
        if found is None:
            search.missing.add((PRELOADS, path))
        else:
            search.answers[PRELOADS, path, found.real] = found
            search.follow(found, main=main, chain=())


def _own_loader(search: _Search, program: _Object) -> dict[str, _Object]:
    """The loader that *program* names, by its name: it is there before all else."""
    path = program.elf.loader
    if not path:
        return {}
    found = search.open(path) if search.view.exists(path) else None
    name = os.path.basename(path)
    if found is None:
        search.missing.add((program.real, name))
        return {}
    search.answers[program.real, name, found.real] = found
    return {name: found}


def _close(search: _Search, own: list[_Object], prefix: str, build: set[str], main: dict[str, _Object]) -> Closure:
    """List what was found outside; *build* are the files that are looked at as the interpreter."""
    view = search.view
    inside = prefix.rstrip("/") + "/"
    shown = {item.real: item.path.removeprefix(inside) for item in own}
    listed: dict[tuple[str, str], NativeLibrary] = {}
    places: set[str] = set()
    # Who asks is shown to people: the environment's own files before others.
    for asker, name, real in sorted(search.answers, key=lambda answer: (shown.get(answer[0], "/").startswith("/"), answer)):
        if real in shown:
            places.add(os.path.dirname(real))
        elif real not in build and (name, real) not in listed:
            identity = search.answers[asker, name, real].identity
            listed[name, real] = NativeLibrary(name, b"", identity, "", real, shown.get(asker, asker))
    files, unread = read_files(view, sorted({real for _, real in listed}))
    owners, unlisted = observe_owners(view, files)
    libraries = [
        item._replace(digest=files[real].digest if real in files else b"", package=owners.get(real, ""))
        for (_, real), item in listed.items()
    ]
    homes: dict[str, set[str]] = {}
    for item in own:
        for name in {item.elf.soname, os.path.basename(item.path)}:
            homes.setdefault(name, set()).add(os.path.dirname(item.real))
    answered = {(asker, name) for asker, name, _ in search.answers}
    gone = {name: asker for asker, name in sorted(search.missing - answered, reverse=True)}
    libraries += [
        NativeLibrary(name, b"", needed_by=shown.get(asker, asker))
        for name, asker in gone.items()
        if not homes.get(name, set()) & places
    ]
    return Closure(
        libraries=tuple(sorted(libraries)),
        libc=_libc(search, main),
        problems=tuple(sorted({*search.problems, *unread, *unlisted})),
        varied=tuple(sorted(search.varied & {name for _, name in answered})),
    )


def _libc(search: _Search, main: dict[str, _Object]) -> str:
    """Which C library it is, and its version, by its own bytes."""
    if search.loader.libc == "musl":
        found, pattern, name = search.open(search.loader.path), _MUSL, "musl"
    else:
        found, pattern, name = main.get("libc.so.6"), _GLIBC, "glibc"
    if found is None:
        return ""
    try:
        with open_elf(search.view.host(found.real)) as (data, elf):
            for block in constants(data, elf):
                if match := pattern.search(block):
                    return f"{name} {match[1].decode()}"
    except (ElfError, OSError):
        pass  # that it can not be read is told where its digest is
    return name
