"""`cone`: what a loose file of requirements came to at a row of dates, beside the lock that came to one thing at all of them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, UsageError
from sanctity.model.timeline import Cone, Release, Target
from sanctity.verbs.world import shown

if TYPE_CHECKING:
    from sanctity.model.lock import Lock, Pin
    from sanctity.timeline.requirements import Requirements
    from sanctity.verbs.world import World

__all__ = ["Coning", "cone"]

#: Where a project's lock lies beside its pyproject.toml.
_LOCKS: Final = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
#: uv's words for machines, as those that markers know: what begins so, by what is in its name.
_SYSTEMS: Final = (("windows", "win"), ("darwin", "macosx"), ("macos", "macosx"), ("ios", "macosx"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coning:
    """The *cone*, and what a reader should be told beside it."""

    cone: Cone
    notices: tuple[str, ...] = ()


def cone(
    world: World,
    requirements: str,
    *,
    first: str,
    last: str,
    every: str,
    python: str = "",
    platform: str = "",
    lock: str = "",
    extras: tuple[str, ...] = (),
    groups: tuple[str, ...] = (),
    undated: tuple[str, ...] = (),
    only_binary: bool = False,
    fresh: bool = False,
    workers: int = 0,
) -> Coning:
    """*requirements* resolved at each date from *first* to *last* in steps of *every*, for *python* on *platform*.

    By default *python* is the version of this one, and *platform* this machine's. *lock* is what it is seen beside; by default a
    lock that lies beside it and is named as it.

    Raises:
        UsageError: a date, a step, a version or a platform can not be read.
        DocumentError: the requirements or the lock can not be read.
        SanctityError: as `timeline.resolver.Resolver.resolve`.
    """
    from sanctity.timeline.cache import cache_folder
    from sanctity.timeline.dates import row
    from sanctity.timeline.requirements import read_requirements
    from sanctity.timeline.resolver import Resolver
    from sanctity.timeline.uv import find_uv

    now = datetime.fromtimestamp(world.now_ns() / 1e9, UTC)
    instants = row(first, last, every, now=now)
    wanted = read_requirements(requirements, cwd=world.cwd, extras=extras, groups=groups)
    target = Target(python=_python(python, world), platform=platform)
    notices: list[str] = []
    beside, locked = _locked(wanted, lock, target, world, notices)
    resolver = Resolver(
        uv=find_uv(world.environ),
        environ=world.environ,
        target=target,
        cache=cache_folder(world.environ),
        python=sys.executable,
        only_binary=only_binary,
        fresh=fresh,
        clock=lambda: world.now_ns() / 1e9,
    )
    try:
        found = resolver.resolve_each(wanted, instants, undated=undated, workers=workers, tick=world.tick)
        version = resolver.version
    finally:
        resolver.close()
    if only_binary:
        notices.append("only wheels were chosen: a release without one was passed over")
    passed = sorted({file for each in found for file in each.passed_over})
    if passed:
        words = (
            f"{len(passed):,} files without a time of upload were passed over, such as {passed[0]}: no index says when they came"
        )
        notices.append(words if len(passed) > 1 else f"{passed[0]} has no time of upload and was passed over")
    made = Cone(
        subject=wanted.shown,
        target=target,
        resolutions=found,
        every=every,
        lock=beside,
        locked=locked,
        undated=undated,
        resolver=version,
    )
    return Coning(cone=made, notices=tuple(notices))


def _python(python: str, world: World) -> str:
    """*python*, or the interpreter that it names, as a version; by default this one's."""
    if not python:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    from sanctity.timeline.pythons import is_path, version_at

    if is_path(python):
        return version_at(python, world.environ, world.cwd)
    parts = python.split(".")
    if not (2 <= len(parts) <= 3 and all(part.isascii() and part.isdigit() and len(part) < 4 for part in parts)):
        raise UsageError(
            "usage", f"{python[:40]!r} is no version of Python", where="--python", hint="name it as 3.11 or 3.11.7, or give a path"
        )
    return python


def _locked(
    wanted: Requirements, lock: str, target: Target, world: World, notices: list[str]
) -> tuple[str, tuple[Release, ...] | None]:
    """The lock beside what is *wanted*, as it is shown, and what it locks for *target*; none where there is none."""
    from sanctity.model.lock import SourceKind
    from sanctity.observe.locks import read_lock

    if lock:
        path = os.path.join(world.cwd, os.path.expanduser(lock))
        if not os.path.isfile(path):
            hint = "name the lock's file, or leave out --lock"
            raise DocumentError("lock-not-found", "there is no such file", where=lock, hint=hint)
        return lock, _releases(read_lock(shown(path, world)), wanted, target)
    path = next((path for path in map(wanted.folder.rstrip("/").__add__, _candidates(wanted)) if os.path.isfile(path)), "")
    if not path:
        return "", None
    # A file that was only guessed to be the lock need not be one: it is told, and the cone stands alone.
    try:
        read = read_lock(shown(path, world))
        if any(not pin.version for pin in read.pins if pin.source.kind is SourceKind.REGISTRY):
            return "", None
        return shown(path, world), _releases(read, wanted, target)
    except DocumentError as error:
        notices.append(f"{shown(path, world)} was not read as the lock: {error.message}")
        return "", None


def _candidates(wanted: Requirements) -> tuple[str, ...]:
    """The names, after a slash, under which the lock of what is *wanted* is looked for."""
    if wanted.is_project:
        return tuple(f"/{name}" for name in _LOCKS)
    stem, dot, suffix = wanted.name.rpartition(".")
    stem = stem if dot else wanted.name
    names = [f"{stem}.txt"] if suffix != "txt" else []
    return tuple(f"/{name}" for name in (*names, f"{stem}.lock", f"{stem}-lock.txt", f"{stem}.lock.txt", "pylock.toml"))


def _releases(lock: Lock, wanted: Requirements, target: Target) -> tuple[Release, ...]:
    """What *lock* has for *target*, of what is asked for at each date too: no group that its tool would add by itself."""
    from sanctity.compare.markers import environment_of
    from sanctity.compare.selection import select
    from sanctity.model.environment import Interpreter
    from sanctity.model.lock import Ecosystem, RootKind, SourceKind

    asked = {RootKind.EXTRA: wanted.extras, RootKind.GROUP: wanted.groups}
    roots = tuple(root for root in lock.roots if root.kind not in asked or root.name in asked[root.kind])
    there = {(root.kind, root.name) for root in roots}
    minor = "".join(target.python.split(".")[:2])
    interpreter = Interpreter(version=target.python, abi=f"cpython-{minor}", machine=_machine(target.platform))
    chosen = select(
        replace(lock, roots=roots),
        environment_of(interpreter),
        {},
        groups=tuple(name for name in wanted.groups if (RootKind.GROUP, name) in there),
        extras=tuple(name for name in wanted.extras if (RootKind.EXTRA, name) in there),
    )
    own = {SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY}
    pins = [pin for pin in chosen.expected if pin.ecosystem is Ecosystem.PYPI and pin.source.kind not in own]
    return tuple(Release(name=pin.name, version=_version_of(pin)) for pin in sorted(pins, key=lambda pin: pin.name))


def _version_of(pin: Pin) -> str:
    """The version of *pin*, or of a repository its commit, as the resolver has it."""
    return f"git.{pin.source.revision[:12]}" if pin.source.revision else pin.version or "unknown"


def _machine(platform: str) -> str:
    """The word *platform* of uv as an interpreter's machine."""
    if not platform:
        import platform as host

        system = {"darwin": "macosx-", "win32": "win-"}.get(sys.platform, "linux-")
        return f"{system}{host.machine()}"
    system = next((system for word, system in _SYSTEMS if word in platform), "linux")
    arm = platform.startswith(("aarch64", "arm64")) or platform == "macos"
    machine = "aarch64" if arm else next((name for name in ("i686", "riscv64") if platform.startswith(name)), "x86_64")
    return f"{system}-{machine}"
