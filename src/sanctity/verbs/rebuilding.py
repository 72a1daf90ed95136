"""`rebuild`: build the environment again that a lock or a seal describes, and prove that it is that one.

The plan is made first, and can be looked at. Then every file is had by its hash, in a hidden folder beside the target; an engine
installs them there; and one rename gives the environment its name. What stands there then is looked at from outside like any other
environment: what was installed has to be, byte for byte, what the files hold. What is not proven does not keep its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.artifact import Place, Proof, WheelContent
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Comparison, Depth, Drift, Selection, Severity, Unchecked, Verdict
from sanctity.model.environment import HookKind
from sanctity.model.interpreter import WantedInterpreter
from sanctity.model.lock import SourceKind
from sanctity.verbs.world import Target, folder_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.apply.rebuild import Engine, Room
    from sanctity.model.archive import ArchivedArtifact
    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import Environment, Fingerprint
    from sanctity.model.interpreter import InstalledInterpreter
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.plan.needs import Need
    from sanctity.plan.rebuild import PlannedArtifact, PlannedParts, RebuildPlan
    from sanctity.store.archive import Archive
    from sanctity.verbs.sources import Sources
    from sanctity.verbs.world import World

__all__ = ["Had", "Rebuilding", "Reproof", "Ways", "rebuild"]

#: Artifacts that are fetched at the same time.
_JOBS: Final = 8
_VERSION: Final = re.compile(r"(?:cpython-)?(?P<version>3(?:\.\d+){0,2}(?:(?:a|b|rc)\d+)?)(?P<threaded>t?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a rebuild is asked for: the *archive*'s place, whether no index is asked, what Python, and what of a lock.

    *python* is an executable or a version; *engine* ``uv``, ``pip``, or empty for what there is. Without *project*, editables are
    left out even where their folder is there. *discard* removes what could not be proven, in place of giving it another name.
    """

    archive: str = ""
    offline: bool = False
    python: str = ""
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    engine: str = ""
    project: bool = True
    discard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """A planned *item* that was had: a file called *filename* with this *sha256*, from *place*; *content* is what it becomes.

    *proof* says how that is known; both are None where it was built now, so that nothing says what it must become.
    """

    item: PlannedArtifact
    filename: str
    sha256: Digest
    place: Place | None
    source: str = ""
    content: ContentDigest | None = None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproof:
    """The proof of a rebuild: the *comparison* of what stands there with its reference, and both fingerprints.

    *expected* is None where it can not be told before: something had to be built. *left* are the names of distributions that the
    reference has and that were left out. *place* is where the environment lies now, empty where it was removed.
    """

    comparison: Comparison
    expected: Digest | None
    actual: Digest | None
    had: tuple[Had, ...]
    left: tuple[str, ...] = ()
    place: str = ""

    @property
    def proven(self) -> bool:
        """Whether it is, byte for byte, what it had to be."""
        return self.comparison.verdict is Verdict.CLEAN

    @property
    def unknown(self) -> tuple[str, ...]:
        """The names of what was built now, and of which nothing says what it must become."""
        return tuple(had.item.name for had in self.had if had.content is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilding:
    """What a rebuild came to: its *plan*, and the *proof*, None where it was only planned, or something is missing."""

    plan: RebuildPlan
    proof: Reproof | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meant:
    """What a reference means: a *lock*, or a *seal* with the lock it was made under where that was found, and where it lies.

    *path* is the absolute path of the document that is compared with; *folder* is the project's.
    """

    path: str
    folder: str
    lock: Lock | None = None
    seal: Seal | None = None
    locks: tuple[Lock, ...] = ()
    archived: bool = False


def rebuild(reference: str, target: str, world: World, ways: Ways, *, dry_run: bool = False) -> Rebuilding:
    """Build what *reference* describes at *target*, and prove it; with *dry_run* only say how.

    *reference* is a lock, a seal, a project's folder, ``sha256:…`` of a lock, seal or fingerprint that the archive holds, or the
    archive's name for it. *target* must not exist, or be an empty folder. What the plan finds missing ends it before anything is
    made.

    Raises:
        UsageError, DocumentError: the reference can not be read, ``target-exists``.
        SanctityError: ``interpreter-not-found``, ``engine-not-found``, ``engine-failed``, ``target-unwritable``; or a file could
        not
            be had, as `Fetcher.fetch` and `Archive.path_of` say.
    """
    from sanctity.apply.rebuild import Room
    from sanctity.verbs.sources import Sources

    place = os.path.abspath(os.path.join(world.cwd, os.path.expanduser(target)))
    place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
    with tempfile.TemporaryDirectory(prefix="sanctity-") as papers:
        meant = _meant(reference, world, ways, papers)
        with Sources(world, meant.folder, archive=ways.archive, offline=ways.offline) as sources:
            room = Room(place)
            room.check()
            plan = _plan(meant, place, world, ways, sources)
            if dry_run or plan.missing:
                return Rebuilding(plan=plan)
            with room:
                work = _Work(plan, meant, room, world, ways, sources)
                notices = work.build()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{place}.proof.json")
                room.put()
            return Rebuilding(plan=plan, proof=work.prove(), notices=notices)


# -- what is meant ----------------------------------------------------------------------------------------------------------------


def _meant(reference: str, world: World, ways: Ways, papers: str) -> _Meant:
    """The lock or seal that *reference* means; what an archive holds is unpacked into *papers*."""
    from sanctity.verbs.references import locks_named

    path = os.path.join(world.cwd, os.path.expanduser(reference))
    if reference.startswith("sha256:") or (ways.archive and not os.path.lexists(path)):
        return _from_archive(reference, world, ways, papers)
    locks, seal, folder = locks_named(reference, world)
    if seal is not None:
        return _Meant(path=os.path.abspath(path), folder=folder, seal=seal, locks=locks)
    return _Meant(path=os.path.abspath(os.path.join(world.cwd, locks[0].path)), folder=folder, lock=locks[0])


def _from_archive(reference: str, world: World, ways: Ways, papers: str) -> _Meant:
    """What the archive holds under a digest, or under a name of its own."""
    from sanctity.model.archive import ArchivedSeal
    from sanctity.verbs.references import kept_lock, kept_seal

    if not ways.archive:
        raise UsageError(
            "usage", "a digest names what an archive holds", where=reference, hint="name the archive too: --archive DIR"
        )
    with _opened(ways.archive, world) as archive:
        kept = None
        if reference.startswith("sha256:"):
            try:
                digest = Digest.parse(reference)
            except ValueError as error:
                raise UsageError("usage", str(error), where=reference, hint="a digest is sha256: and 64 hex digits") from error
            kept = archive.lock(digest) or archive.seal(digest)
            for each in archive.seals() if kept is None else ():
                seal, _ = kept_seal(archive, each, os.path.join(papers, each.digest.value))
                if any(sealed.fingerprint == digest for sealed in seal.environments):
                    kept = each
        else:
            kept = archive.named(reference)
        if kept is None:
            hint = f"see what it has: sanctity archive list --archive {ways.archive}"
            raise UsageError(
                "reference-not-found", "the archive holds no lock, seal or fingerprint of it", where=reference, hint=hint
            )
        room = os.path.join(papers, "reference")
        if isinstance(kept, ArchivedSeal):
            seal, path = kept_seal(archive, kept, room)
            return _Meant(path=path, folder=os.path.dirname(path), seal=seal, archived=True)
        lock = kept_lock(archive, kept, room)
        return _Meant(path=lock.path, folder=os.path.dirname(lock.path), lock=lock, archived=True)


def _opened(place: str, world: World) -> Archive:
    from sanctity.store.archive import Archive
    from sanctity.verbs.sources import archive_place

    return Archive.open(archive_place(place, world))


def _sealed_lock(sealed: SealedEnvironment, meant: _Meant, archive: Archive | None, papers: str) -> Lock | None:
    """The lock that *sealed* was made under, as it was then: beside the seal, or in the archive."""
    from sanctity.verbs.references import kept_lock

    if sealed.lock is None:
        return None
    found = next((lock for lock in meant.locks if lock.digest == sealed.lock.digest), None)
    if found is not None or archive is None:
        return found
    kept = archive.lock(sealed.lock.digest)
    return kept_lock(archive, kept, os.path.join(papers, "lock")) if kept is not None else None


# -- the plan ---------------------------------------------------------------------------------------------------------------------


def _plan(meant: _Meant, target: str, world: World, ways: Ways, sources: Sources) -> RebuildPlan:
    from sanctity.plan.rebuild import RebuildPlan, Rebuilt

    archive = sources.archive
    sealed = None
    if meant.seal is not None:
        if ways.groups or ways.extras:
            raise UsageError("usage", "a seal states its groups and extras", hint="leave --group and --extra out, or name the lock")
        interpreter, sealed, told = _for_seal(meant.seal, world, ways, archive)
        lock = _sealed_lock(sealed, meant, archive, sources.folder)
        parts, selection = _parts_of_seal(sealed, lock, interpreter, meant, world, ways, sources)
        reference = Rebuilt(kind="seal", path=meant.seal.path, digest=meant.seal.digest)
    else:
        assert meant.lock is not None
        lock = meant.lock
        interpreter, told = _for_lock(lock, meant, world, ways, archive)
        parts, selection = _parts_of_lock(lock, interpreter, meant, world, ways, sources)
        reference = Rebuilt(kind="lock", path=_shown(meant, lock.path), digest=lock.digest, format=str(lock.format))
    engine = _engine(interpreter, world, ways, sources)
    maker = _maker(engine, sealed)
    notices = [*told, *parts.notices]
    if sealed is not None and sealed.lock is not None and lock is None:
        notices.append(
            f"{sealed.lock.path} as it was sealed is neither beside the seal nor in an archive: its own choices are not known"
        )
    return RebuildPlan(
        reference=reference,
        target=target,
        shown=shown(target, world),
        interpreter=interpreter,
        engine=engine.name,
        engine_version=engine.version,
        maker=maker,
        selection=selection,
        artifacts=parts.artifacts,
        left_out=parts.left_out,
        missing=parts.missing,
        notices=tuple(dict.fromkeys(notices)),
        archive=ways.archive,
        offline=ways.offline,
        system_site=sealed is not None and any(hook.kind is HookKind.SYSTEM_SITE for hook in sealed.startup),
        sealed=sealed,
    )


def _shown(meant: _Meant, path: str) -> str:
    return os.path.basename(path) if meant.archived else path


def _for_seal(
    seal: Seal, world: World, ways: Ways, archive: Archive | None
) -> tuple[InstalledInterpreter, SealedEnvironment, tuple[str, ...]]:
    """The interpreter and the entry of *seal* that fit each other, and what to tell of its build."""
    from sanctity.plan.interpreters import differing_build, fitting, not_found, platform_name, same_build_first

    installed = _installed(world, ways)
    here = {platform_name(each.interpreter) for each in installed}
    entries = [each for each in seal.environments if each.platform in here]
    if not entries:
        known = ", ".join(f"{each.platform} {each.python}" for each in seal.environments)
        words = f"it is for {known}, and this is {', '.join(sorted(here)) or 'a machine without a Python'}"
        raise SanctityError("seal-not-for-this-platform", words, where=seal.path, hint="rebuild it on a machine of that kind")
    wanted = None
    for sealed in _in_own_order(entries, ways):
        wanted = WantedInterpreter(
            implementation=sealed.implementation,
            version=sealed.version,
            abi=sealed.abi,
            platform=sealed.platform,
            build=sealed.build,
            said_by=seal.path,
        )
        found = fitting(installed, wanted)
        if found:
            from sanctity.observe.interpreters import with_build

            chosen = same_build_first([with_build(each) for each in found], sealed.build)[0]
            differs = differing_build(chosen, sealed.build)
            return chosen, sealed, (f"{chosen.executable}: {differs}",) if differs else ()
    assert wanted is not None
    raise not_found(wanted, installed, archive.interpreters() if archive is not None else (), place=ways.archive)


def _in_own_order(entries: list[SealedEnvironment], ways: Ways) -> list[SealedEnvironment]:
    """*entries*, the one that ``--python`` names first, then the one of this tool's own Python."""
    asked = _VERSION.fullmatch(ways.python)
    own = "{}.{}".format(*sys.version_info[:2])
    if asked:
        named = [each for each in entries if f"{each.version}.".startswith(f"{asked['version']}.")]
        entries = named or entries
    return sorted(entries, key=lambda each: not each.version.startswith(f"{own}."))


def _installed(world: World, ways: Ways) -> tuple[InstalledInterpreter, ...]:
    """The interpreters that there are: the one that is named, or all that are installed."""
    from sanctity.observe.interpreters import executable_at, find_interpreters

    if ways.python and not _VERSION.fullmatch(ways.python):
        path = ways.python if os.sep in ways.python else _on_path(ways.python, world)
        found = executable_at(os.path.abspath(os.path.join(world.cwd, os.path.expanduser(path))))
        if found is None:
            raise UsageError(
                "no-interpreter", "it is no Python interpreter", where=ways.python, hint="name an executable, or a version"
            )
        return (found,)
    home = world.environ.get("HOME") or os.path.expanduser("~")
    return find_interpreters(world.environ, home)


def _on_path(name: str, world: World) -> str:
    import shutil

    return shutil.which(name, path=world.environ.get("PATH", os.defpath)) or name


def _for_lock(
    lock: Lock, meant: _Meant, world: World, ways: Ways, archive: Archive | None
) -> tuple[InstalledInterpreter, tuple[str, ...]]:
    """The interpreter for *lock*: the named one, the project's, one that the archive has files for, our own, the newest."""
    from sanctity.observe.interpreters import with_build
    from sanctity.plan.interpreters import fitting, not_found

    installed = _installed(world, ways)
    wanted = WantedInterpreter(requires=lock.requires_python, said_by=_shown(meant, lock.path))
    asked = _VERSION.fullmatch(ways.python)
    version, said_by = (ways.python, "--python") if asked else _project_version(meant.folder) if not ways.python else ("", "")
    match = _VERSION.fullmatch(version)
    if match:
        minor = re.match(r"3\.\d+", match["version"])
        abi = f"cpython-{minor[0].replace('.', '')}t" if minor and match["threaded"] else ""
        named = replace(wanted, version=match["version"], abi=abi, said_by=said_by)
        found = fitting(installed, named)
        if not found:
            raise not_found(named, installed, archive.interpreters() if archive is not None else (), place=ways.archive)
        return with_build(found[0]), ()
    found = fitting(installed, wanted)
    if not found:
        raise not_found(wanted, installed, archive.interpreters() if archive is not None else (), place=ways.archive)
    kept = archive.lock(lock.digest) if archive is not None else None
    pythons = {each.python for each in kept.wanted_for} if kept is not None else set()
    own = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)

    def order(each: InstalledInterpreter) -> tuple[bool, bool]:
        python = f"{each.interpreter.implementation}-{'.'.join(each.interpreter.version.split('.')[:2])}"
        return bool(pythons) and python not in pythons, each.executable != own

    return with_build(min(found, key=order)), ()


def _project_version(folder: str) -> tuple[str, str]:
    """The version that the project's ``.python-version`` asks for, and who says so; empty where none is understood."""
    from sanctity.observe.view import View

    try:
        text = View().read(f"{folder}/.python-version", 1 << 12).decode("utf-8", "replace")
    except OSError:
        return "", ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return (lines[0], ".python-version") if lines and _VERSION.fullmatch(lines[0]) else ("", "")


def _engine(interpreter: InstalledInterpreter, world: World, ways: Ways, sources: Sources) -> Engine:
    from sanctity.apply.rebuild import find_pip, find_uv

    engine = find_uv(world.environ) if ways.engine in {"", "uv"} else None
    if engine is None and ways.engine in {"", "pip"}:
        engine = find_pip(interpreter) or _archived_pip(interpreter, sources)
    if engine is None:
        tried = ways.engine or "uv and pip"
        hint = "install uv, or a Python that brings pip or ensurepip along; an archive that holds a wheel of pip will do too"
        raise SanctityError("engine-not-found", f"{tried} is not here, and something has to install", hint=hint)
    return engine


def _archived_pip(interpreter: InstalledInterpreter, sources: Sources) -> Engine | None:
    """The newest pip of the archive that there is a wheel of."""
    from sanctity.apply.rebuild import find_pip

    archive = sources.archive
    for item in sorted(archive.artifacts() if archive is not None else (), key=lambda item: item.version, reverse=True):
        if item.name == "pip" and item.filename.endswith(".whl"):
            assert archive is not None
            path = f"{sources.folder}/{item.filename}"
            archive.copy_to(item.sha256, path)
            return find_pip(interpreter, wheel=path)
    return None


def _maker(engine: Engine, sealed: SealedEnvironment | None) -> str:
    """What makes the empty environment: the tool whose activate scripts were sealed, where it is there."""
    if engine.name != "uv":
        return "venv"
    sealed_scripts = {path.rpartition("/")[2] for path, _ in sealed.activation} if sealed is not None else set()
    return "venv" if sealed_scripts and "activate.nu" not in sealed_scripts else "uv"


def _default_groups(lock: Lock) -> tuple[str, ...]:
    """The groups that the project's tool installs unasked."""
    from sanctity.model.lock import RootKind

    return tuple(sorted({root.name for root in lock.roots if root.kind is RootKind.GROUP and root.default}))


def _parts_of_lock(
    lock: Lock, interpreter: InstalledInterpreter, meant: _Meant, world: World, ways: Ways, sources: Sources
) -> tuple[PlannedParts, Selection]:
    from sanctity.plan.needs import expected_of, needs_of
    from sanctity.plan.rebuild import LeftOut, Missing, plan_lock

    groups = tuple(dict.fromkeys((*_default_groups(lock), *ways.groups)))
    chosen = expected_of(lock, interpreter.interpreter, groups=groups or None, extras=ways.extras or None)
    folder = _folder(lock, meant, world)
    pins = tuple(sources.each(sources.named, chosen.expected))
    needs = needs_of(pins, interpreter.interpreter, folder=folder)
    folders = _folders((*pins, *chosen.projects_absent), folder)
    archived = sources.archive.artifacts() if sources.archive is not None else ()
    parts = plan_lock(needs, interpreter, archived=_there(archived, sources), folder=folder, folders=folders, offline=ways.offline)
    absent = [
        LeftOut(
            name=pin.name,
            version=pin.version,
            reason="the project itself: its source is governed by git",
            folder=folders.get(pin.source.location, ""),
        )
        for pin in chosen.projects_absent
        if pin.source.kind is SourceKind.EDITABLE
    ]
    unknown = [
        Missing(name=each.pin.name, version=each.pin.version, code=each.code, reason=each.reason) for each in chosen.undecided
    ]
    parts = replace(parts, left_out=(*parts.left_out, *absent), missing=(*parts.missing, *unknown))
    return parts, chosen.selection


def _parts_of_seal(
    sealed: SealedEnvironment,
    lock: Lock | None,
    interpreter: InstalledInterpreter,
    meant: _Meant,
    world: World,
    ways: Ways,
    sources: Sources,
) -> tuple[PlannedParts, Selection]:
    from sanctity.model.names import version_key
    from sanctity.plan.needs import needs_of
    from sanctity.plan.rebuild import plan_seal

    archived = _there(sources.archive.artifacts(), sources) if sources.archive is not None else ()
    folder = _folder(lock, meant, world) if lock is not None else meant.folder
    needs: dict[str, list[Need]] = {}
    folders: dict[str, str] = {}
    if lock is not None:
        lines = {line.name: line for line in sealed.distributions}
        pins = tuple(
            pin
            for pin in lock.pins
            if pin.name in lines
            and (not pin.version or not lines[pin.name].version or version_key(pin.version) == version_key(lines[pin.name].version))
        )
        hashes = {str(item.sha256) for item in archived}
        contents = {item.content for item in archived}
        lacking = [pin for pin in pins if str(lines[pin.name].artifact) not in hashes and lines[pin.name].content not in contents]
        named = dict(zip(lacking, sources.each(sources.named, lacking), strict=True))
        for need in needs_of([named.get(pin, pin) for pin in pins], interpreter.interpreter, folder=folder):
            needs.setdefault(need.pin.name, []).append(need)
        folders = _folders(pins, folder)
    parts = plan_seal(sealed, needs, interpreter, archived=archived, folder=folder, folders=folders, offline=ways.offline)
    return parts, sealed.selection


def _there(archived: tuple[ArchivedArtifact, ...], sources: Sources) -> tuple[ArchivedArtifact, ...]:
    """Those of *archived* whose blob is there."""
    archive = sources.archive
    return tuple(item for item in archived if archive is not None and archive.has(item.sha256))


def _folder(lock: Lock, meant: _Meant, world: World) -> str:
    """The absolute folder that the lock's paths start from."""
    return os.path.dirname(os.path.abspath(lock.path)) if meant.archived else folder_of(lock, world)


def _folders(pins: tuple[Pin, ...], folder: str) -> dict[str, str]:
    """Where the folders that *pins* name are, of those that are there."""
    found = {}
    for pin in pins:
        if pin.source.kind in {SourceKind.EDITABLE, SourceKind.DIRECTORY}:
            location = pin.source.location.removeprefix("file://")
            place = os.path.normpath(os.path.join(folder, location))
            if os.path.isfile(f"{place}/pyproject.toml") or os.path.isfile(f"{place}/setup.py"):
                found[pin.source.location] = place
    return found


# -- the work ---------------------------------------------------------------------------------------------------------------------


class _Work:
    """One rebuild as it goes on."""

    def __init__(self, plan: RebuildPlan, meant: _Meant, room: Room, world: World, ways: Ways, sources: Sources) -> None:
        self.plan = plan
        self.meant = meant
        self.room = room
        self.world = world
        self.ways = ways
        self.sources = sources
        self.had: list[Had] = []
        self.left: list[str] = []
        self._pool = ThreadPoolExecutor(1)

    def build(self) -> tuple[str, ...]:
        """Have every file, install them, and move the environment to its place; notices come back."""
        from sanctity.apply.rebuild import Installed

        plan, room = self.plan, self.room
        done = 0
        with ThreadPoolExecutor(_JOBS) as pool:
            try:
                for had in pool.map(self._have, plan.artifacts):
                    done += 1
                    self.world.tick(done, len(plan.artifacts))
                    self.had.append(had)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        engine = _engine(plan.interpreter, self.world, self.ways, self.sources)
        self._make(engine)
        known = self._pool.submit(self._contents)
        items = [
            Installed(
                name=had.item.name,
                version=had.item.version,
                filename=had.filename,
                sha256=had.sha256.value,
                origin=had.item.origin,
                built=had.item.built,
            )
            for had in self.had
        ]
        room.install(engine, items)
        self.had = known.result()
        notices = tuple(self._editables(engine))
        room.relocate()
        return notices

    def _make(self, engine: Engine) -> None:
        """Make the empty environment, with the prompt that sealed activate scripts have, as far as it can be told."""
        from sanctity.model.environment import Layout
        from sanctity.observe.activation import observe_activation
        from sanctity.observe.places import read_project_name
        from sanctity.observe.view import View

        plan, sealed = self.plan, self.plan.sealed
        uv = engine if plan.maker == "uv" else None
        hook = sealed is not None and any(each.path.endswith("/_virtualenv.pth") for each in sealed.startup)
        self.room.make(plan.interpreter, uv, system_site=plan.system_site, hook=hook)
        if sealed is None or not sealed.activation:
            return
        names = [read_project_name(self.meant.folder), *(line.name for line in sealed.distributions if line.content is None)]
        for name in dict.fromkeys(filter(None, names[:2])):
            if observe_activation(View(), self.room.env, Layout(site=())) == sealed.activation:
                return
            self.room.make(plan.interpreter, uv, system_site=plan.system_site, hook=hook, prompt=name)
        if observe_activation(View(), self.room.env, Layout(site=())) != sealed.activation:
            self.room.make(plan.interpreter, uv, system_site=plan.system_site, hook=hook)

    def _have(self, item: PlannedArtifact) -> Had:
        """Put the file of *item* among the room's wheels; what is no wheel is built into one."""
        archive = self.sources.archive
        if item.wanted is None:
            return self._built(item, item.source)
        folder = self.room.wheels if item.wanted.is_wheel else f"{self.room.home}/source-{item.name}"
        os.makedirs(folder, exist_ok=True)
        path = f"{folder}/{item.filename}"
        digest = item.sha256
        place, source = Place.ARCHIVE, ""
        try:
            if item.archived:
                assert archive is not None
                assert digest is not None
                self._lay_out(archive, digest, path)
            elif digest is None or not _has_hash(path, digest):
                found = self.sources.fetcher.fetch(item.wanted, path)
                digest, place, source = found.sha256, found.place, found.source
            else:
                place = Place.FILE
        except OSError as error:
            raise self.room.unwritable(error) from error
        assert digest is not None
        if item.build:
            return self._built(item, path)
        return Had(item=item, filename=item.filename, sha256=digest, place=place, source=source)

    def _lay_out(self, archive: Archive, digest: Digest, path: str) -> None:
        """Have the archived file at *path*: a symbolic link to the blob, which was hashed now and which the engine hashes again."""
        try:
            blob = archive.path_of(digest, self.room.home)
        except SanctityError as error:
            if error.code == "archive-full":  # it is this room that has none left
                raise self.room.unwritable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from error
            raise
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.symlink(os.path.abspath(blob), path)

    def _built(self, item: PlannedArtifact, source: str) -> Had:
        from sanctity.apply.build import build_wheel

        environ = {**self.world.environ, "UV_LINK_MODE": "copy"}
        path = build_wheel(
            source,
            f"{self.room.home}/built-{item.name}",
            python=self.plan.interpreter.executable,
            environ=environ,
            offline=self.ways.offline,
        )
        filename = os.path.basename(path)
        os.replace(path, f"{self.room.wheels}/{filename}")
        digest = _hash(f"{self.room.wheels}/{filename}")
        return Had(item=item, filename=filename, sha256=digest, place=None, source=item.source)

    def _contents(self) -> list[Had]:
        """What was had, each with the content that it becomes: sealed, remembered, or read from the wheel now."""
        from sanctity.observe.wheels import wheel_content

        known = self.sources.known()
        learnt: list[WheelContent] = []
        found = []
        for had in self.had:
            if had.item.build:
                found.append(replace(had, content=had.item.content, proof=Proof.SEALED if had.item.content else None))
                continue
            wheel = known.get(had.sha256.value)
            if wheel is not None:
                found.append(replace(had, content=wheel.content, proof=wheel.proof))
                continue
            content = wheel_content(f"{self.room.wheels}/{had.filename}")
            learnt.append(WheelContent(sha256=had.sha256, content=content, filename=had.filename, proof=Proof.WHEEL))
            found.append(replace(had, content=content, proof=Proof.WHEEL))
        if learnt:
            with contextlib.suppress(OSError, DocumentError):
                self.sources.memory.keep(learnt)
        return found

    def _editables(self, engine: Engine) -> Iterator[str]:
        """Install what is pointed at and not copied, from the project's own folder, as its tool does; what can not be is told."""
        for item in self.plan.left_out:
            if not item.folder or not self.ways.project or self.ways.offline:
                self.left.append(item.name)
                continue
            try:
                self.room.point_at(engine, item.folder, self.world.environ)
            except SanctityError as error:
                self.left.append(item.name)
                yield f"{item.name} was left out: {error.message}"

    # -- the proof ----------------------------------------------------------------------------------------------------------------

    def prove(self) -> Reproof:
        """Look at the environment in its place, from outside, and hold it to its reference and to the files that made it."""
        from sanctity.verbs.judging import compare_and_judge, look

        place = self.plan.target
        chosen = self.plan.selection if self.plan.sealed is None else Selection()
        asked = bool(chosen.groups or chosen.extras)
        taken = look(Target(project=self.meant.folder, env=place), self.world, reference=self.meant.path, asked=asked)
        outcome = compare_and_judge(taken, self.world, depth=Depth.RECORD, groups=chosen.groups, extras=chosen.extras)
        comparison = outcome.comparison
        expected = self._expected(comparison.fingerprint, taken.environment)
        actual = comparison.fingerprint.digest if comparison.fingerprint is not None else None
        drifts = [replace(drift, hint="") for drift in comparison.drifts if not self._is_left_out(drift)]
        drifts += self._of_files(taken.environment)
        unchecked = list(comparison.unchecked)
        unchecked += [
            Unchecked(code="editable-source", what=name, reason="left out: its source is governed by git") for name in self.left
        ]
        if actual is None:
            unchecked.append(
                Unchecked(code="no-fingerprint", what=comparison.prefix, reason="a part of it could not be read", in_scope=True)
            )
        elif expected is not None and expected != actual and not any(drift.gating for drift in drifts):
            words = "the environment has another fingerprint than the reference and its files make"
            drifts.append(Drift(code=Code.FINGERPRINT_MISMATCH, expected=str(expected), actual=str(actual), message=words))
        reference = replace(comparison.reference, path=self.plan.reference.path)
        comparison = replace(comparison, prefix=self.plan.shown)
        comparison = replace(comparison, drifts=tuple(drifts), unchecked=tuple(unchecked), reference=reference)
        proof = Reproof(
            comparison=comparison, expected=expected, actual=actual, had=tuple(self.had), left=tuple(self.left), place=place
        )
        return proof if proof.proven else replace(proof, place=self._set_aside(place))

    def _is_left_out(self, drift: Drift) -> bool:
        """Whether *drift* is only about what was left out on purpose, or about a lock that is another by now than was sealed."""
        if drift.code is Code.SEAL_STALE:
            return True
        if drift.code is Code.DISTRIBUTION_MISSING:
            return drift.distribution in self.left
        return drift.code is Code.PTH_HOOK and not drift.actual and _is_of(drift.path, set(self.left))

    def _of_files(self, environment: Environment) -> Iterator[Drift]:
        """What is installed and not what its file becomes, by content."""
        installed: dict[str, set[ContentDigest | None]] = {}
        for item in environment.distributions:
            installed.setdefault(item.key, set()).add(item.content)
        for had in self.had:
            wanted = had.content
            if wanted is None or wanted in installed.get(had.item.name, ()):
                continue
            there = ", ".join(sorted(str(content) for content in installed.get(had.item.name, ()) if content is not None))
            yield Drift(
                code=Code.FINGERPRINT_MISMATCH,
                severity=Severity.ERROR,
                distribution=had.item.name,
                version=had.item.version,
                expected=str(wanted),
                actual=there,
                message=f"what is installed is not what {had.filename} becomes",
            )

    def _expected(self, actual: Fingerprint | None, environment: Environment) -> Digest | None:
        """The fingerprint that it must have: the sealed one, or that of lock and files; None where it can not be told."""
        from sanctity.canon.fingerprint import distribution_row, hook_row, part_digest, sealed_hook, whole

        sealed = self.plan.sealed
        if sealed is not None:
            left = set(self.left)
            if not left:
                return sealed.fingerprint
            lines = [
                distribution_row(line.name, line.version, line.content, line.files)
                for line in sealed.distributions
                if line.name not in left
            ]
            hooks = [hook_row(hook) for hook in sealed.startup if not _is_of(hook.path, left)]
            parts = dict(sealed.parts) | {"distributions": part_digest(sorted(lines)), "startup": part_digest(sorted(hooks))}
            return whole((name, parts[name]) for name, _ in sealed.parts)
        if actual is None or any(had.content is None for had in self.had):
            return None
        interpreter = self.plan.interpreter.interpreter
        pointed = [item.name for item in self.plan.left_out if item.name not in self.left]
        rows = [distribution_row(had.item.name, had.item.version, had.content) for had in self.had]
        rows += [distribution_row(name, "", None) for name in pointed]
        # A hook that a distribution claims is of its content, and so of its file; no other has any business here.
        claimed = {row.path for item in environment.distributions for row in item.record or ()}
        hooks = [hook_row(sealed_hook(hook, environment)) for hook in environment.hooks if hook.path in claimed]
        parts = {
            "startup": part_digest(sorted(hooks)),
            "distributions": part_digest(sorted(rows)),
            "interpreter": part_digest([interpreter.implementation, interpreter.version, interpreter.abi, interpreter.machine]),
            "unclaimed": part_digest([]),
        }
        return whole((name, parts[name]) for name, _ in actual.parts)

    def _set_aside(self, place: str) -> str:
        """Take the name from what is not proven; where it lies now comes back, empty where it was removed."""
        import shutil

        aside = f"{place}.unproven"
        for number in range(2, 1000):
            if not os.path.lexists(aside):
                break
            aside = f"{place}.unproven.{number}"
        os.rename(place, aside)
        if self.ways.discard:
            shutil.rmtree(aside, ignore_errors=True)
            return ""
        return aside


def _is_of(path: str, names: set[str]) -> bool:
    """Whether the start-up hook at *path* is one that build backends write for an editable of one of *names*."""
    from sanctity.model.names import normalise_name

    stem = path.rpartition("/")[2].removesuffix(".pth").removesuffix(".py")
    stem = re.sub(r"^_*editable_*(?:impl_)?", "", stem).partition("-")[0].removesuffix("_finder")
    return normalise_name(stem) in names


def _hash(path: str) -> Digest:
    import hashlib

    with open(path, "rb") as file:
        return Digest.of_sha256(hashlib.file_digest(file, "sha256").digest())


def _has_hash(path: str, digest: Digest) -> bool:
    """Whether the file at *path*, which an earlier attempt may have left, has this hash."""
    try:
        return _hash(path) == digest
    except OSError:
        return False
