"""What an archive is asked after things were added: list, scrub, health, export, import, gc. `sanctity.verbs.archiving` adds."""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError
from sanctity.model.archive import ArchivedLock, For
from sanctity.model.lock import SourceKind
from sanctity.verbs.gathering import for_of, platform_name
from sanctity.verbs.references import kept_lock, kept_seal, locks_named
from sanctity.verbs.sources import archive_place, fetcher_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.fetch.fetcher import Fetcher
    from sanctity.model.archive import ArchivedArtifact, ArchivedInterpreter, ArchivedSeal
    from sanctity.model.artifact import Wanted
    from sanctity.model.digest import Digest
    from sanctity.model.environment import Interpreter
    from sanctity.model.interpreter import InstalledInterpreter
    from sanctity.model.lock import Lock
    from sanctity.model.platform import Build
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.plan.needs import Need
    from sanctity.store.archive import Archive
    from sanctity.store.carrying import Carried
    from sanctity.store.layout import Descriptor
    from sanctity.store.upkeep import Garbage, Scrubbed
    from sanctity.verbs.world import World

__all__ = [
    "Ailment",
    "Contents",
    "Health",
    "Healthy",
    "State",
    "archive_contents",
    "archive_health",
    "collect_garbage",
    "export_from_archive",
    "import_into_archive",
    "scrub_archive",
]

_JOBS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an archive keeps; *size* is the bytes of all its blobs."""

    place: str
    locks: tuple[ArchivedLock, ...]
    seals: tuple[ArchivedSeal, ...]
    interpreters: tuple[ArchivedInterpreter, ...]
    artifacts: tuple[ArchivedArtifact, ...]
    blobs: int
    size: int


class State(StrEnum):
    """Whether a lock can be rebuilt."""

    GOOD = "good"
    LACKING = "lacking"  # something that it needs is not there
    UNKNOWN = "unknown"  # it can not be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """Something that a rebuild would lack, or that is worth knowing: *what* it is about, the *code* and the *reason* in words.

    *ails* says that it can not be rebuilt; else it is told, such as that only the archive has it now.
    """

    code: str
    what: str
    reason: str
    ails: bool = True
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a lock fares for one platform and Python: *artifacts* that it needs, and what ails it."""

    lock: str
    digest: Digest
    wanted_for: For
    artifacts: int
    ailments: tuple[Ailment, ...]

    @property
    def state(self) -> State:
        """Whether it can be rebuilt."""
        if any(item.ails and not item.unknown for item in self.ailments):
            return State.LACKING
        return State.UNKNOWN if any(item.ails for item in self.ailments) else State.GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthy:
    """The health of all that was asked about; *asked* says that indexes were asked too."""

    place: str
    results: tuple[Health, ...]
    asked: bool

    @property
    def state(self) -> State:
        """The worst of all."""
        states = {item.state for item in self.results}
        return next((state for state in (State.LACKING, State.UNKNOWN) if state in states), State.GOOD)


def _open(place: str, world: World) -> Archive:
    from sanctity.store.archive import Archive

    return Archive.open(archive_place(place, world))


def archive_contents(world: World, *, place: str) -> Contents:
    """What the archive at *place* keeps. Raises SanctityError where it can not be read."""
    with _open(place, world) as archive:
        blobs = list(archive.blobs.every())
        return Contents(
            place=place,
            locks=archive.locks(),
            seals=archive.seals(),
            interpreters=archive.interpreters(),
            artifacts=archive.artifacts(),
            blobs=len(blobs),
            size=sum(blob.size for blob in blobs),
        )


def scrub_archive(world: World, *, place: str, workers: int = 0, deep: bool = False) -> Scrubbed:
    """Hash every byte in the archive at *place* again; *deep* also computes the content of each wheel again.

    Raises:
        SanctityError: it can not be read at all.
    """
    from sanctity.observe.wheels import wheel_content
    from sanctity.store.upkeep import scrub

    with _open(place, world) as archive:
        return scrub(archive, workers=workers, tick=world.tick, content_of=wheel_content if deep else None)


# -- export, import, gc -----------------------------------------------------------------------------------------------------------


def export_from_archive(world: World, file: str, references: tuple[str, ...], *, place: str) -> Carried:
    """Write the archive at *place* to one *file*; with *references*, only those locks, their seals, and the interpreters.

    A reference is a lock's or seal's file, its name in the archive, or its digest.

    Raises:
        SanctityError: one of them is not kept; a blob is missing or altered; it can not be written.
    """
    from sanctity.store.carrying import export_archive

    with _open(place, world) as archive:
        entries = archive.entries() if not references else tuple(_chosen(archive, references, world))
        return export_archive(archive, os.path.join(world.cwd, os.path.expanduser(file)), entries, tick=world.tick)


def import_into_archive(world: World, file: str, *, place: str) -> Carried:
    """Take over an exported *file* into the archive at *place*, which is made. Raises as `sanctity.store.carrying`."""
    from sanctity.store.archive import Archive
    from sanctity.store.carrying import import_archive

    with Archive.open(archive_place(place, world), create=True) as archive:
        return import_archive(archive, os.path.join(world.cwd, os.path.expanduser(file)), tick=world.tick)


def _chosen(archive: Archive, references: tuple[str, ...], world: World) -> Iterator[Descriptor]:
    from sanctity.store.layout import INTERPRETER_TYPE, LOCK_TYPE, SEAL_TYPE, lock_of, seal_of

    locks: set[Digest] = set()
    seals: set[Digest] = set()
    for reference in references:
        kept = find_kept(archive, reference, world)
        if isinstance(kept, ArchivedLock):
            locks.add(kept.digest)
        else:
            seals.add(kept.digest)
            locks |= set(kept.locks)
    for entry in archive.entries():
        manifest = archive.manifest(entry)
        if entry.artifact_type == LOCK_TYPE and lock_of(manifest, entry, archive.place).digest in locks:
            yield entry
        elif entry.artifact_type == SEAL_TYPE:
            seal = seal_of(manifest, entry, archive.place)
            if seal.digest in seals or set(seal.locks) & locks:
                yield entry
        elif entry.artifact_type == INTERPRETER_TYPE:
            yield entry


def find_kept(archive: Archive, reference: str, world: World) -> ArchivedLock | ArchivedSeal:
    """What is kept of *reference*: a name in the archive, ``sha256:…``, or the file of a lock or seal.

    Raises:
        SanctityError: ``archive-lock-missing``, it is not kept.
        UsageError, DocumentError: the file can not be read.
    """
    from sanctity.model.digest import Digest

    found = archive.named(reference)
    if found is not None:
        return found
    digests: tuple[Digest, ...] = ()
    if reference.startswith("sha256:"):
        try:
            digests = (Digest.parse(reference),)
        except ValueError as error:
            raise UsageError("usage", str(error), where=reference, hint="a digest is sha256: and 64 hex digits") from error
    elif os.path.exists(os.path.join(world.cwd, os.path.expanduser(reference))):
        locks, seal, _ = locks_named(reference, world)
        digests = (seal.digest,) if seal is not None else tuple(lock.digest for lock in locks)
    for digest in digests:
        kept = archive.lock(digest) or archive.seal(digest)
        if kept is not None:
            return kept
    names = ", ".join(lock.name for lock in archive.locks(lenient=True)[:6] if lock.name) or "none"
    raise UsageError(
        "archive-lock-missing",
        f"it is not in the archive; the locks there are called: {names}",
        where=reference,
        hint="add it: sanctity archive add LOCK --archive DIR",
    )


def collect_garbage(world: World, *, place: str, apply: bool = False) -> Garbage:
    """What nothing in the archive at *place* needs any more; with *apply* it is deleted.

    Raises:
        SanctityError: a manifest or a seal can not be read, so that nobody can say what it needs; ``archive-busy``.
    """
    from sanctity.store.upkeep import collect, find_garbage

    with _open(place, world) as archive:
        now = time.time()
        if apply:
            return collect(archive, sealed=lambda: _sealed(archive), now=now)
        return find_garbage(archive, sealed=_sealed(archive), now=now)


def _sealed(archive: Archive) -> frozenset[Digest]:
    """The locks and artifacts that the seals of *archive* refer to."""
    found: set[Digest] = set()
    for kept in archive.seals():
        seal = _read_seal(archive, kept)
        found |= set(kept.locks)
        for each in seal.environments:
            found |= {each.lock.digest} if each.lock is not None else set()
            found |= {item.artifact for item in each.distributions if item.artifact is not None}
    return frozenset(found)


def _read_seal(archive: Archive, kept: ArchivedSeal) -> Seal:
    with tempfile.TemporaryDirectory(prefix="sanctity-") as room:
        return kept_seal(archive, kept, room)[0]


# -- health -----------------------------------------------------------------------------------------------------------------------


def archive_health(
    references: tuple[str, ...],
    world: World,
    *,
    place: str,
    platforms: tuple[str, ...] = (),
    pythons: tuple[str, ...] = (),
    offline: bool = False,
) -> Healthy:
    """Whether each of the locks that *references* name (none: all) can be rebuilt from the archive at *place* alone.

    It is asked for *platforms* and *pythons*, by default for those that it was added for, and for the entries of seals. Unless
    *offline*, indexes are asked too: what they have yanked, or have no more, is told.

    Raises:
        SanctityError: the archive, or a lock in it, can not be read.
    """
    from sanctity.observe.interpreters import find_interpreters

    results: list[Health] = []
    with _open(place, world) as archive, tempfile.TemporaryDirectory(prefix="sanctity-") as room:
        fetcher = None if offline else fetcher_for(world.cwd, world, offline=False)
        here = find_interpreters(world.environ, os.path.expanduser("~"))
        kept = [find_kept(archive, each, world) for each in references if each != "all"]
        if not kept:
            kept = [*archive.locks(), *archive.seals()]
        locks = {each.digest: each for each in archive.locks()}
        for each in kept:
            if isinstance(each, ArchivedLock):
                results += _health_of_lock(archive, each, room, platforms, pythons, here)
            else:
                results += _health_of_seal(archive, each, locks, room, here)
        if fetcher is not None:
            results = _asked(results, fetcher, locks)
    return Healthy(place=place, results=tuple(results), asked=not offline)


def _read_lock(archive: Archive, kept: ArchivedLock, room: str) -> Lock:
    return kept_lock(archive, kept, tempfile.mkdtemp(dir=room))


def _health_of_lock(
    archive: Archive,
    kept: ArchivedLock,
    room: str,
    platforms: tuple[str, ...],
    pythons: tuple[str, ...],
    here: tuple[InstalledInterpreter, ...],
) -> Iterator[Health]:
    """The health of one lock, for each interpreter that is asked about."""
    from sanctity.plan.needs import named_interpreter

    name = kept.name or str(kept.digest)
    lock = _read_lock(archive, kept, room)
    wanted = [(each.platform, each.python) for each in kept.wanted_for]
    if platforms or pythons:
        wanted = [
            (platform, python)
            for platform in platforms or tuple(dict.fromkeys(each for each, _ in wanted))
            for python in pythons or tuple(dict.fromkeys(each for _, each in wanted))
        ]
    for platform, python in wanted:
        interpreter = named_interpreter(platform, python)
        ailments = list(_ailments(archive, lock, kept, interpreter, groups=None, extras=None))
        ailments += _interpreter(archive, platform, interpreter.version, None, here)
        yield Health(
            lock=name,
            digest=kept.digest,
            wanted_for=for_of(interpreter, platform),
            artifacts=len(kept.artifacts),
            ailments=tuple(ailments),
        )


def _health_of_seal(
    archive: Archive, kept: ArchivedSeal, locks: dict[Digest, ArchivedLock], room: str, here: tuple[InstalledInterpreter, ...]
) -> Iterator[Health]:
    """The health of each entry of a seal."""
    from sanctity.plan.needs import named_interpreter

    seal = _read_seal(archive, kept)
    for each in seal.environments:
        wanted_for = For(platform=each.platform, python=each.python)
        lock = locks.get(each.lock.digest) if each.lock is not None else None
        ailments: list[Ailment] = []
        if each.lock is None:
            words = "it was sealed under no lock, so nobody can say what it is made of"
            ailments.append(Ailment(code="seal-without-lock", what=kept.name, reason=words))
        elif lock is None:
            words = f"the lock it was sealed under, {each.lock.path} as {each.lock.digest}, is not kept"
            ailments.append(Ailment(code="archive-lock-missing", what=each.lock.path, reason=words))
        else:
            python = f"{each.version}t" if each.abi.endswith("t") else each.version
            interpreter = replace(named_interpreter(each.platform, python), libc=each.libc, abi=each.abi)
            chosen = each.selection
            read = _read_lock(archive, lock, room)
            ailments += _ailments(archive, read, lock, interpreter, groups=chosen.groups, extras=chosen.extras)
            ailments += _wrong(lock, each)
        ailments += _interpreter(archive, each.platform, each.version, each.build, here)
        yield Health(
            lock=kept.name or str(kept.digest),
            digest=kept.digest,
            wanted_for=wanted_for,
            artifacts=len(lock.artifacts) if lock is not None else 0,
            ailments=tuple(ailments),
        )


def _wrong(lock: ArchivedLock, sealed: SealedEnvironment) -> Iterator[Ailment]:
    """The distributions of which the archive keeps wheels, and none that becomes what was sealed."""
    for item in sealed.distributions:
        wheels = [
            each
            for each in lock.artifacts
            if each.name == item.name and each.content is not None and (each.built_from or each.sha256 == item.artifact)
        ]
        if item.content is not None and wheels and all(each.content != item.content for each in wheels):
            words = f"{wheels[0].filename} has {wheels[0].content}, and {item.content} is sealed"
            yield Ailment(code="archive-content-wrong", what=f"{item.name} {item.version}", reason=words)


def _interpreter(
    archive: Archive, platform: str, version: str, build: Build | None, here: tuple[InstalledInterpreter, ...]
) -> Iterator[Ailment]:
    """What to tell of the interpreter *version* for *platform*: whether one is installed here, and of the sealed *build*."""
    from sanctity.observe.interpreters import with_build

    def is_it(other: str) -> bool:
        return other == version or other.startswith(f"{version}.")

    fits = [each for each in here if platform_name(each.interpreter) == platform and is_it(each.interpreter.version)]
    kept = [each for each in archive.interpreters() if each.platform == platform and is_it(each.version)]
    filed = " (the archive has a file of it)" if any(each.file is not None for each in kept) else ""
    what = f"Python {version}"
    if not fits:
        yield Ailment(
            code="interpreter-not-here", what=what, reason=f"none is installed on this machine for {platform}{filed}", ails=False
        )
        return
    identities = {each.build.identity for each in kept} if build is None else {build.identity}
    if identities and not any(each.build is not None and each.build.identity in identities for each in map(with_build, fits)):
        words = f"{len(fits):,} installed here, of another build than the one that was used{filed}"
        yield Ailment(code="interpreter-not-here", what=what, reason=words, ails=False)


def _ailments(
    archive: Archive,
    lock: Lock,
    kept: ArchivedLock,
    interpreter: Interpreter,
    *,
    groups: tuple[str, ...] | None,
    extras: tuple[str, ...] | None,
) -> Iterator[Ailment]:
    """What a rebuild of *lock* under *interpreter* would lack in *archive*."""
    from sanctity.plan.needs import expected_of, needs_of, with_names

    names = {str(item.sha256): (item.filename, "") for item in archive.artifacts()}
    chosen = expected_of(lock, interpreter, groups=groups, extras=extras)
    for undecided in chosen.undecided:
        what = f"{undecided.pin.name} {undecided.pin.version}".strip()
        yield Ailment(code=undecided.code, what=what, reason=undecided.reason, unknown=True)
    for need in needs_of([with_names(pin, names) for pin in chosen.expected], interpreter):
        yield from _lacks(archive, kept, need)


def _lacks(archive: Archive, kept: ArchivedLock, need: Need) -> Iterator[Ailment]:
    """What is missing for *need* in *archive*."""
    pin = need.pin
    what = f"{pin.name} {pin.version}".strip()
    if pin.source.kind in {SourceKind.EDITABLE, SourceKind.VIRTUAL}:
        return  # its source is in the project's own repository
    wheels = [item for item in (need.wheel, *need.others) if item is not None]
    if any(_is_kept(archive, kept, item) for item in wheels):
        return
    built = [item for item in kept.artifacts if item.name == pin.name and item.built_from and archive.has(item.sha256)]
    if built:
        return
    if wheels:
        yield Ailment(code="archive-blob-missing", what=what, reason=f"{wheels[0].filename} is not in the archive")
    elif need.source is not None and _is_kept(archive, kept, need.source):
        words = f"only {need.source.filename} is kept: a rebuild has to build it, and what that takes is not in the archive"
        yield Ailment(code="wheel-not-built", what=what, reason=words)
    elif need.source is not None:
        yield Ailment(code="archive-blob-missing", what=what, reason=f"{need.source.filename} is not in the archive")
    elif need.local:
        yield Ailment(code="wheel-not-built", what=what, reason=f"no wheel of {pin.source.kind} {pin.source.location} is kept")
    elif need.unnamed:
        yield Ailment(code="archive-blob-missing", what=what, reason="none of the hashes that the lock gives is in the archive")
    elif pin.artifacts:
        yield Ailment(code="artifact-none-fits", what=what, reason="no wheel of it fits, and there is no sdist")


def _is_kept(archive: Archive, kept: ArchivedLock, wanted: Wanted) -> bool:
    if wanted.sha256 is not None:
        return archive.has(wanted.sha256)
    return any(item.filename == wanted.filename and archive.has(item.sha256) for item in kept.artifacts)


def _asked(results: list[Health], fetcher: Fetcher, locks: dict[Digest, ArchivedLock]) -> list[Health]:
    """*results* with what the indexes say of each artifact: yanked, or gone so that it exists only here."""
    releases: dict[tuple[str, str], list[ArchivedArtifact]] = {}
    for lock in locks.values():
        for item in lock.artifacts:
            if not item.built_from:
                releases.setdefault((item.name, item.version), []).append(item)
    said: dict[tuple[str, str], list[Ailment]] = {}

    def ask(release: tuple[str, str]) -> tuple[tuple[str, str], list[Ailment]]:
        return release, list(_gone(fetcher, release, releases[release]))

    with ThreadPoolExecutor(_JOBS) as pool:
        said.update(pool.map(ask, sorted(releases)))
    more = []
    for result in results:
        mine = {(item.name, item.version) for lock in locks.values() if _is_of(result, lock) for item in lock.artifacts}
        told = [ailment for release in sorted(mine) for ailment in said.get(release, ())]
        more.append(replace(result, ailments=(*result.ailments, *told)))
    return more


def _is_of(result: Health, lock: ArchivedLock) -> bool:
    return result.digest == lock.digest or result.lock == lock.name


def _gone(fetcher: Fetcher, release: tuple[str, str], items: Iterable[ArchivedArtifact]) -> Iterator[Ailment]:
    """What an index says of the artifacts of one release."""
    name, version = release
    what = f"{name} {version}"
    try:
        offers = fetcher.offers(name, version)
    except SanctityError as error:
        if error.code == "artifact-gone":
            offers = ()
        else:
            yield Ailment(code=error.code, what=what, reason=f"the index can not be asked: {error.message}", ails=False)
            return
    for item in items:
        same = [offer for offer in offers if item.sha256 in offer.digests or offer.filename == item.filename]
        if not same:
            words = f"{item.filename} is gone from the index: the archive may have the only copy"
            yield Ailment(code="artifact-gone", what=what, reason=words, ails=False)
        elif same[0].yanked is not None:
            reason = same[0].yanked.strip() or "no reason is given"
            yield Ailment(code="artifact-yanked", what=what, reason=f"{item.filename} was yanked: {reason}", ails=False)
        elif same[0].digests and all(digest.algorithm != "sha256" or digest != item.sha256 for digest in same[0].digests):
            words = f"the index offers other bytes under the name {item.filename}"
            yield Ailment(code="artifact-mismatch", what=what, reason=words, ails=False)
