"""What a rebuild is to do: which document is meant, on which interpreter, by which engine, and from which files.

Nothing is made here. A reference is a lock, a seal, a project's folder, or what an archive holds; its interpreter is the exact one
of a seal, or one that a lock allows; and each distribution has the file that a seal, the archive or the lock says.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError
from sanctity.model.digest import Digest
from sanctity.model.environment import HookKind
from sanctity.model.interpreter import WantedInterpreter
from sanctity.model.lock import Ecosystem, SourceKind
from sanctity.verbs.world import folder_of, shown

if TYPE_CHECKING:
    from sanctity.apply.rebuild import Engine
    from sanctity.model.archive import ArchivedArtifact
    from sanctity.model.drift import Selection
    from sanctity.model.interpreter import InstalledInterpreter
    from sanctity.model.lock import Lock, Pin
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.plan.needs import Need
    from sanctity.plan.rebuild import PlannedParts, RebuildPlan
    from sanctity.store.archive import Archive
    from sanctity.verbs.sources import Sources
    from sanctity.verbs.world import World

__all__ = ["Meant", "Ways", "find_engine", "find_meant", "plan_rebuild"]

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
class Meant:
    """What a reference means: a *lock*, or a *seal* with the lock it was made under where that was found, and where it lies.

    *path* is the absolute path of the document that is compared with; *folder* is the project's.
    """

    path: str
    folder: str
    lock: Lock | None = None
    seal: Seal | None = None
    locks: tuple[Lock, ...] = ()
    archived: bool = False


# -- what is meant ----------------------------------------------------------------------------------------------------------------


def find_meant(reference: str, world: World, ways: Ways, papers: str) -> Meant:
    """The lock or seal that *reference* means; what an archive holds is unpacked into *papers*."""
    from sanctity.verbs.references import locks_named

    path = os.path.join(world.cwd, os.path.expanduser(reference))
    if reference.startswith("sha256:") or (ways.archive and not os.path.lexists(path)):
        return _from_archive(reference, world, ways, papers)
    locks, seal, folder = locks_named(reference, world)
    if seal is not None:
        return Meant(path=os.path.abspath(path), folder=folder, seal=seal, locks=locks)
    return Meant(path=os.path.abspath(os.path.join(world.cwd, locks[0].path)), folder=folder, lock=locks[0])


def _from_archive(reference: str, world: World, ways: Ways, papers: str) -> Meant:
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
            return Meant(path=path, folder=os.path.dirname(path), seal=seal, archived=True)
        lock = kept_lock(archive, kept, room)
        return Meant(path=lock.path, folder=os.path.dirname(lock.path), lock=lock, archived=True)


def _opened(place: str, world: World) -> Archive:
    from sanctity.store.archive import Archive
    from sanctity.verbs.sources import archive_place

    return Archive.open(archive_place(place, world))


def _sealed_lock(sealed: SealedEnvironment, meant: Meant, archive: Archive | None, papers: str) -> Lock | None:
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


def plan_rebuild(meant: Meant, target: str, world: World, ways: Ways, sources: Sources) -> RebuildPlan:
    """What has to be done to build at *target* what is *meant*, in those *ways*."""
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
    engine = find_engine(interpreter, world, ways, sources)
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


def _shown(meant: Meant, path: str) -> str:
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
    lock: Lock, meant: Meant, world: World, ways: Ways, archive: Archive | None
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


def find_engine(interpreter: InstalledInterpreter, world: World, ways: Ways, sources: Sources) -> Engine:
    """What installs: uv where it is there, else a pip that can run on *interpreter*."""
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
    lock: Lock, interpreter: InstalledInterpreter, meant: Meant, world: World, ways: Ways, sources: Sources
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
    meant: Meant,
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
            and pin.ecosystem is Ecosystem.PYPI
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


def _folder(lock: Lock, meant: Meant, world: World) -> str:
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
