"""`diff`: any two of lock, seal and environment, also as they were at a revision of git."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, UsageError
from sanctity.model.drift import Depth
from sanctity.model.environment import LookedAtFrom
from sanctity.model.names import SEEDS, normalise_name
from sanctity.verbs.judging import observe, with_platform
from sanctity.verbs.reviewing import Asked, Reviewed, reviewed
from sanctity.verbs.world import Target, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sanctity.model.difference import Difference
    from sanctity.model.environment import Environment
    from sanctity.model.inventory import Inventory
    from sanctity.model.lock import Lock
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.observe.git import Revision
    from sanctity.observe.places import Place
    from sanctity.seals.files import Rows
    from sanctity.verbs.world import World

__all__ = ["Differing", "Located", "diff"]

_LARGEST: Final = 1 << 26
_HINT: Final = "name a lock, a seal, an environment's folder, or a lock or seal at a revision: REV:PATH"
#: What a seal states once, and not for each of its environments.
_OF_DOCUMENT: Final = frozenset({"policy", "waivers", "canary"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a reviewer is pointed to: the *file* of a lock or seal, and the *lines* of its packages, by name and version."""

    file: str
    lines: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """All *differences*, one for each environment that a seal is about; beside each its place; and *notices* for the reader."""

    before: str
    after: str
    differences: tuple[Difference, ...]
    places: tuple[Located, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One side as it was named: just one of *lock*, *seal* and *place* is there. *file* and *text* are the document's own."""

    shown: str
    lock: Lock | None = None
    seal: Seal | None = None
    place: Place | None = None
    rows: Rows | None = None
    project: str = ""
    file: str = ""
    text: Callable[[], str] = str
    notices: tuple[str, ...] = ()


def diff(
    before: str,
    after: str,
    world: World,
    *,
    platform: str = "",
    workers: int = 0,
    located: bool = False,
    asked: Asked | None = None,
) -> Differing:
    """What *before* and *after* differ in. Each is a lock, a seal, an environment's or project's folder, or ``REV:PATH``.

    Two locks are reviewed, as *asked*.

    Of a seal with several environments those are compared that both sides have; *platform* names one of them by the beginning of
    its key (``linux-x86_64-glibc cpython-3.11``). *located* also finds the line of each package.

    Raises:
        UsageError: an argument names nothing that can be compared.
        DocumentError: a lock or seal can not be read, or git can not say what it was.
        NoEnvironmentError, ObservationError: an environment can not be looked at.
    """
    older, newer = _read(before, world), _read(after, world)
    if platform and older.seal is None and newer.seal is None:
        hint = "leave it out: neither side is a seal"
        raise UsageError("usage", "it chooses one of a seal's environments", where=f"--platform {platform}", hint=hint)
    asked = asked or Asked()
    asked.check()
    locks = older.lock is not None and newer.lock is not None
    if asked.wants_locks and not locks:
        hint = "leave it out, or name two locks"
        raise UsageError("usage", "it is about a change of a lock, and not both are locks", where=asked.wants_locks, hint=hint)
    only_packages = older.lock is not None or newer.lock is not None
    environments = {
        side.shown: _look(side.place, world, workers=workers, whole=not only_packages)
        for side in (older, newer)
        if side.place is not None
    }
    older, newer = _named(older, newer, environments, world), _named(newer, older, environments, world)
    from sanctity.compare.difference import difference
    from sanctity.model.difference import Difference as Found

    found: list[Difference] = []
    places: list[Located] = []
    notices = [*older.notices, *newer.notices]
    notices += [
        f"{name} is looked at from itself: code in it could blind this tool; install it with pipx or `uv tool`"
        for name, environment in environments.items()
        if environment.looked_at_from is LookedAtFrom.ITSELF
    ]
    for one, other in _pairs(older, newer, environments, platform, notices):
        if found:
            one, other = _once(one), _once(other)  # noqa: PLW2901 - what was told above is not told again
        if one is not None and other is not None:
            different = difference(one, other)
            if locks:
                different = reviewed(different, _reviewed(older), _reviewed(newer), world, asked)
            found.append(different)
        else:
            found.append(Found(before=one, after=other))
        places.append(_locate(older, newer, one, other) if located else Located(file="", lines={}))
    return Differing(
        before=older.shown,
        after=newer.shown,
        differences=tuple(found),
        places=tuple(places),
        notices=tuple(dict.fromkeys(text for text in notices if text)),
    )


def _named(side: _Side, other: _Side, environments: Mapping[str, Environment], world: World) -> _Side:
    """*side* with a name for each row of its lock that has only a place, as the *other* side tells it."""
    from sanctity.compare.distributions import with_names_of_places

    if side.lock is None:
        return side
    folder = os.path.dirname(os.path.realpath(os.path.join(world.cwd, os.path.expanduser(side.file))))
    environment = environments[other.shown] if other.place is not None else None
    project = normalise_name(side.project)
    if other.lock is not None and project not in other.lock.names():
        project = ""  # the other lock says nothing of the project by name: its row is there in one of them, or in both
    return replace(side, lock=with_names_of_places(side.lock, environment, lock_folder=folder, project_name=project))


def _reviewed(side: _Side) -> Reviewed:
    """The lock of *side* as it is reviewed: where it lies, and who needs whom in a flat list."""
    from sanctity.lockfiles.parents import parents

    assert side.lock is not None
    flat = not any(pin.dependencies or pin.optional for pin in side.lock.pins)
    return Reviewed(
        lock=replace(side.lock, path=os.path.expanduser(side.file)),
        parents=parents(side.text(), side.lock.format) if flat else {},
    )


# -- what is named ----------------------------------------------------------------------------------------------------------------


def _read(text: str, world: World) -> _Side:
    """The side that *text* names; a file that is there counts before a revision."""
    from sanctity.observe.git import open_revision, split_revision

    if not text.strip():
        raise UsageError("usage", "one of the two is an empty text", hint=_HINT)
    path = os.path.join(world.cwd, os.path.expanduser(text))
    if os.path.isdir(path):
        return _environment(text, path, world)
    if os.path.lexists(path):
        return _file(text, path, world)
    if text.startswith("sha256:"):
        hint = "`sanctity verify` compares an environment with one"
        raise UsageError("usage", "a fingerprint does not say what it is over", where=text, hint=hint)
    split = split_revision(text)
    if split is None:
        raise DocumentError("lock-not-found", "there is no such file or folder", where=text, hint=_HINT)
    return _revision(text, open_revision(*split, cwd=world.cwd, environ=world.environ))


def _environment(text: str, path: str, world: World) -> _Side:
    """The environment in the folder *path*, which is its own or a project's."""
    from sanctity.observe.places import find_environment, find_project, is_environment

    if is_environment(path):
        place = find_environment(path, environ=world.environ, cwd=world.cwd, env=text)
    else:
        # The shell's own environment is not the one of a project that is named.
        environ = {name: value for name, value in world.environ.items() if name not in {"VIRTUAL_ENV", "CONDA_PREFIX"}}
        place = find_environment(find_project(path), environ=environ, cwd=world.cwd)
    return _Side(shown=place.shown, place=place, notices=(place.notice,))


def _file(text: str, path: str, world: World) -> _Side:
    from sanctity.lockfiles import reader_for
    from sanctity.observe.locks import read_lock
    from sanctity.observe.places import find_environment, read_project_name
    from sanctity.observe.seal_files import read_rows_beside
    from sanctity.observe.seals import is_seal, read_seal

    name = os.path.basename(path)
    if is_seal(path):
        rows, notice = read_rows_beside(path, shown=text)
        return _Side(shown=text, seal=read_seal(path, shown=text), rows=rows, file=text, text=_text_of(path), notices=(notice,))
    if reader_for(name) is None and name.startswith(("python", "pypy")) and os.access(path, os.X_OK):
        place = find_environment(world.cwd, environ=world.environ, cwd=world.cwd, python=text)
        return _Side(shown=shown(place.prefix, world), place=place)
    lock = replace(read_lock(os.path.expanduser(text)), path=text)
    project = read_project_name(os.path.dirname(path))
    return _Side(shown=text, lock=lock, project=project, file=text, text=_text_of(path), notices=_told(lock))


def _text_of(path: str) -> Callable[[], str]:
    def read() -> str:
        try:
            with open(path, encoding="utf-8-sig") as file:
                return file.read()
        except (OSError, ValueError):
            return ""

    return read


def _revision(text: str, revision: Revision) -> _Side:
    """The lock or seal at a *revision*; it is shown as *text*."""
    from sanctity.lockfiles import reader_for
    from sanctity.observe.locks import read_lock
    from sanctity.observe.seal_files import read_rows_beside
    from sanctity.seals.document import parse_seal

    path = revision.path
    name = posixpath.basename(path)

    def whole() -> bytes:
        try:
            data = revision.read(path, _LARGEST)
        except DocumentError as error:
            if error.code != "lock-not-a-file" or "link" in error.message:
                raise
            hint = "name a lock or a seal at that revision, and the environment's folder as it is"
            raise UsageError(
                "usage", "no environment lies in a revision, and this is a folder there", where=text, hint=hint
            ) from error
        if data is None:
            raise DocumentError("lock-not-found", "there is no such file in that revision", where=text, hint=_HINT)
        return data

    def decoded() -> str:
        return (revision.read(path, _LARGEST) or b"").decode("utf-8-sig", "replace")

    data = whole()
    if name.endswith(".seal.json") or (reader_for(name) is None and b'"sanctity.seal/' in data[:200]):
        rows, notice = read_rows_beside(path, shown=text, read=revision.read)
        return _Side(shown=text, seal=parse_seal(data, text), rows=rows, file=path, text=decoded, notices=(notice,))
    lock = read_lock(path, read=revision.read, revision=f"{revision.name}:")
    return _Side(shown=text, lock=replace(lock, path=text), file=path, text=decoded, notices=_told(lock))


def _told(lock: Lock) -> tuple[str, ...]:
    return tuple(f"{note.code}: {lock.path}: {note.where}: {note.message}" for note in lock.notes)


def _look(place: Place, world: World, *, workers: int, whole: bool) -> Environment:
    """The environment at *place*: all of it, or, where a lock is beside it that knows no more, names and versions."""
    target = Target(env=place.prefix)
    depth = Depth.RECORD if whole else Depth.VERSION
    environment = observe(place, target, world, depth=depth, workers=workers, keep_rows=whole)
    return with_platform(environment, target, world, workers=workers) if whole else environment


# -- which is compared with which -------------------------------------------------------------------------------------------------


def _pairs(
    older: _Side, newer: _Side, environments: Mapping[str, Environment], platform: str, notices: list[str]
) -> Iterator[tuple[Inventory | None, Inventory | None]]:
    """The inventories to compare; one of a pair is None where only the other seal has an entry for an environment."""
    from sanctity.compare.inventory import inventory_of_environment, inventory_of_lock, inventory_of_seal, narrowed

    def of_environment(side: _Side, seeds: frozenset[str], *, conda: bool = False) -> Inventory:
        environment = environments[side.shown]
        return inventory_of_environment(environment, path=side.shown, seeds=seeds, conda=conda)

    def of_seal(side: _Side, sealed: SealedEnvironment | None) -> Inventory | None:
        assert side.seal is not None
        return inventory_of_seal(side.seal, sealed, rows=side.rows) if sealed is not None else None

    def of_lock(side: _Side, beside: Inventory | None = None, other: Lock | None = None) -> Inventory:
        assert side.lock is not None
        whole = inventory_of_lock(side.lock, project=normalise_name(side.project), beside=other)
        return narrowed(whole, side.lock, beside) if beside is not None and beside.interpreter is not None else whole

    if older.seal is not None and newer.seal is not None:
        for entry, counterpart in _matched(_chosen(older.seal, platform), _chosen(newer.seal, platform)):
            yield of_seal(older, entry), of_seal(newer, counterpart)
    elif older.seal is not None or newer.seal is not None:
        side, beside = (older, newer) if older.seal is not None else (newer, older)
        assert side.seal is not None
        for sealed in _entries(side.seal, environments.get(beside.shown) if beside.place else None, platform, notices):
            one = of_seal(side, sealed)
            other = of_environment(beside, SEEDS - sealed.names()) if beside.place is not None else of_lock(beside, one)
            yield (one, other) if side is older else (other, one)
    elif older.lock is not None and newer.lock is not None:
        yield of_lock(older, other=newer.lock), of_lock(newer, other=older.lock)
    elif older.lock is not None or newer.lock is not None:
        side, beside = (older, newer) if older.lock is not None else (newer, older)
        assert side.lock is not None
        there = of_environment(beside, SEEDS - side.lock.names(), conda=side.lock.format.is_of_conda)
        locked = of_lock(side, there)
        yield (locked, there) if side is older else (there, locked)
    else:
        yield of_environment(older, SEEDS), of_environment(newer, SEEDS)


def _chosen(seal: Seal, platform: str) -> tuple[SealedEnvironment, ...]:
    """The entries of *seal* that *platform* means, all where it is empty."""
    from sanctity.compare.inventory import environment_key

    found = tuple(sealed for sealed in seal.environments if environment_key(sealed).startswith(platform))
    if not found:
        known = ", ".join(environment_key(sealed) for sealed in seal.environments)
        raise UsageError("usage", f"{seal.path} has no such entry", where=f"--platform {platform}", hint=f"it has {known}")
    return found


def _entries(seal: Seal, environment: Environment | None, platform: str, notices: list[str]) -> tuple[SealedEnvironment, ...]:
    """The entries of *seal* to compare with a lock, or the one to compare with *environment*."""
    from sanctity.compare.inventory import environment_key
    from sanctity.compare.seal import entry_for

    found = _chosen(seal, platform)
    if environment is None:
        return found
    own = entry_for(seal, environment)
    if own in found:
        return (own,)
    if len(found) > 1:
        known = ", ".join(environment_key(sealed) for sealed in found)
        hint = f"choose one of {known} with --platform"
        raise UsageError("usage", "it has no entry for this platform and Python, and several others", where=seal.path, hint=hint)
    notices.append(f"{seal.path} has no entry for this platform and Python: compared with {environment_key(found[0])}")
    return found


def _matched(
    before: tuple[SealedEnvironment, ...], after: tuple[SealedEnvironment, ...]
) -> Iterator[tuple[SealedEnvironment | None, SealedEnvironment | None]]:
    """Which entry of one seal is which of the other: of the same platform and Python, else the only ones left of a platform."""
    older, newer = list(before), list(after)
    pairs: list[tuple[SealedEnvironment | None, SealedEnvironment | None]] = []
    keys: tuple[Callable[[SealedEnvironment], object], ...] = (
        lambda sealed: (sealed.platform, sealed.python),
        lambda sealed: sealed.platform,
        lambda _: None,
    )
    for key in keys:
        for one in tuple(older):
            alike = [other for other in newer if key(other) == key(one)]
            if len(alike) == 1 and sum(key(each) == key(one) for each in older) == 1:
                older.remove(one)
                newer.remove(alike[0])
                pairs.append((one, alike[0]))
    pairs += [(one, None) for one in older]
    pairs += [(None, other) for other in newer]
    yield from sorted(pairs, key=lambda pair: [(each.platform, each.python) for each in pair if each is not None])


def _once(inventory: Inventory | None) -> Inventory | None:
    """*inventory* without what its document states once for all of its environments."""
    if inventory is None:
        return None
    return replace(inventory, parts=tuple(part for part in inventory.parts if part.name not in _OF_DOCUMENT))


def _locate(older: _Side, newer: _Side, before: Inventory | None, after: Inventory | None) -> Located:
    """The document that a reviewer has before him: the new one, or the old one where the new side is an environment."""
    from sanctity.compare.inventory import environment_key
    from sanctity.lockfiles.lines import lines, seal_lines

    for side, inventory in ((newer, after), (older, before)):
        if side.lock is not None:
            return Located(file=side.file, lines=lines(side.text(), side.lock.format))
        if side.seal is not None:
            keys: Iterable[str] = [environment_key(sealed) for sealed in side.seal.environments]
            number = list(keys).index(inventory.environment) if inventory is not None else 0
            return Located(file=side.file, lines=seal_lines(side.text(), number) if inventory is not None else {})
    return Located(file=newer.shown, lines={})
