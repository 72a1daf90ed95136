"""`seal`: state what an environment must be, once it is what its lock says, or before there is one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import UsageError
from sanctity.model.drift import Depth, Verdict
from sanctity.verbs.judging import compare_and_judge, fingerprint_or_fail, look, seeds_for
from sanctity.verbs.references import lock_beside
from sanctity.verbs.running import canary_of
from sanctity.verbs.world import folder_of, shown

if TYPE_CHECKING:
    from sanctity.compare.selection import Selected
    from sanctity.model.artifact import Wanted
    from sanctity.model.environment import Interpreter
    from sanctity.model.lock import Lock
    from sanctity.model.seal import Seal, SealedEnvironment
    from sanctity.plan.needs import Need
    from sanctity.seals.from_lock import Part
    from sanctity.verbs.judging import Look
    from sanctity.verbs.proving import Means
    from sanctity.verbs.sources import Sources
    from sanctity.verbs.world import Outcome, Target, World

__all__ = ["FromLock", "Sealing", "seal", "seal_lock"]

_EXACT: Final = re.compile(r"3\.\d+\.\d+(?:(?:a|b|rc)\d+)?t?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What sealing came to: the *outcome* of the comparison before it, and the seal with its *text*, None where it was refused.

    *path* is where it belongs; *files_text* is the text of ``env.seal.files``, empty where nobody asked for it.
    """

    outcome: Outcome
    path: str = ""
    seal: Seal | None = None
    text: str = ""
    files_text: str = ""


def seal(
    target: Target,
    world: World,
    *,
    lock: str = "",
    output: str = "",
    accept: bool = False,
    canary: str = "",
    files: bool = False,
    workers: int = 0,
    depth: Depth = Depth.RECORD,
    means: Means | None = None,
) -> Sealing:
    """Compare an environment with its lock, and state what it is in a seal.

    *lock* names the lock, by default the project's own; *output* is the seal's path, by default ``env.seal.json`` in the project's
    folder. What the seal there says of other platforms and Pythons is kept. A drifted environment is sealed only with *accept*,
    and then the drifts are named in the seal; what could not be looked at is never sealed. *canary* is the path of a canary's
    description, which is run twice; *files* asks for the rows behind each digest. At *depth* ``artifact`` each distribution is
    proven by its locked wheel first, as far as *means* go, and the seal says so (its basis).

    Raises:
        SanctityError: as `verify`, or the canary does not say the same twice.
    """
    from sanctity.observe.seals import SEAL_NAME, read_seal
    from sanctity.seals.document import format_seal, seal_of
    from sanctity.seals.make import merged, seal_environment

    taken = look(target, world, reference=lock, workers=workers, depth=depth, platform=True, keep_rows=files, seals=False)
    outcome = compare_and_judge(taken, world, depth=depth, means=means)
    comparison = outcome.comparison
    if comparison.verdict is Verdict.UNDECIDED or (comparison.verdict is Verdict.DRIFTED and not accept):
        return Sealing(outcome=outcome)
    path = os.path.join(world.cwd, output) if output else f"{taken.project}/{SEAL_NAME}"
    folder = os.path.dirname(os.path.abspath(path))
    before = read_seal(path, shown=shown(path, world)) if os.path.exists(path) else None
    found = taken.references.lock
    made = seal_environment(
        taken.environment,
        fingerprint_or_fail(taken),
        seeds=seeds_for(taken.references, taken.environment),
        comparison=comparison,
        lock=found,
        sealed_lock=lock_beside(found, folder, world) if found is not None else None,
    )
    policy = taken.judging
    sealed = seal_of(
        shown(path, world),
        merged(before, made),
        policy=policy.policy,
        waivers=policy.waivers,
        canary=canary_of(canary, taken, comparison, folder, world) if canary else before.canary if before is not None else None,
    )
    return Sealing(
        outcome=outcome,
        path=path,
        seal=sealed,
        text=format_seal(sealed),
        files_text=_files_text(taken, sealed, path) if files else "",
    )


def _files_text(taken: Look, sealed: Seal, path: str) -> str:
    """The text of the rows beside the seal at *path*: those of what was looked at, and those kept for its other entries."""
    from sanctity.observe.seal_files import read_rows
    from sanctity.seals.files import files_of, format_files

    return format_files({**read_rows(path), **files_of(taken.environment)}, sealed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FromLock:
    """A *seal* that was made from a lock, its *text*, and the *path* where it belongs; *made* are its new entries."""

    path: str
    seal: Seal
    text: str
    made: tuple[SealedEnvironment, ...]


def seal_lock(
    world: World,
    *,
    lock: str = "",
    platforms: tuple[str, ...] = (),
    pythons: tuple[str, ...] = (),
    archive: str = "",
    offline: bool = False,
    groups: tuple[str, ...] = (),
    extras: tuple[str, ...] = (),
    project: bool = True,
    output: str = "",
) -> FromLock:
    """State what an environment of *lock* must be, for each of *platforms* and *pythons*, from the lock and its wheels alone.

    *lock* and *output* are as in `seal`. By default it is for this machine and the Python of ``.python-version``, else the tool's
    own. Wheels come from *archive*, from caches, and, unless *offline*, from the indexes that the lock or the configuration names.
    Without *project*, editables are left out, as ``uv sync --no-install-project`` does.

    Raises:
        SanctityError: ``not-from-lock``, a pin whose content no wheel tells; and as reading the lock and fetching do.
    """
    from sanctity.observe.seals import SEAL_NAME, read_seal
    from sanctity.seals.document import format_seal, seal_of
    from sanctity.seals.from_lock import seal_from_lock
    from sanctity.seals.make import merged
    from sanctity.verbs.gathering import platform_name
    from sanctity.verbs.references import locks_named, read_policies
    from sanctity.verbs.sources import Sources

    (read, *_), named_seal, folder = locks_named(lock or ".", world)
    if named_seal is not None:
        raise UsageError("usage", "a seal is no lock", where=lock, hint="name the lock that is to be sealed")
    path = os.path.join(world.cwd, output) if output else f"{folder}/{SEAL_NAME}"
    seal_folder = os.path.dirname(os.path.abspath(path))
    before = read_seal(path, shown=shown(path, world)) if os.path.exists(path) else None
    judging = read_policies(folder, None, world)
    made: list[SealedEnvironment] = []
    with Sources(world, folder, archive=archive, offline=offline) as sources:
        for interpreter in _interpreters(platforms, pythons, folder, world):
            platform = platform_name(interpreter)
            chosen = _chosen(read, interpreter, groups, extras, project=project)
            parts = _parts(chosen, read, interpreter, sources)
            beside = lock_beside(read, seal_folder, world)
            made.append(seal_from_lock(interpreter, platform, parts, selection=chosen.selection, lock=beside))
        sources.keep()
    for each in made:
        before = seal_of(
            shown(path, world),
            merged(before, each),
            policy=judging.policy,
            waivers=judging.waivers,
            canary=before.canary if before is not None else None,
        )
    assert before is not None
    return FromLock(path=path, seal=before, text=format_seal(before), made=tuple(made))


def _interpreters(platforms: tuple[str, ...], pythons: tuple[str, ...], folder: str, world: World) -> tuple[Interpreter, ...]:
    """The interpreters that are meant, each with an exact version, since that is in the fingerprint."""
    from sanctity.plan.needs import named_interpreter
    from sanctity.verbs.archiving import own_interpreter
    from sanctity.verbs.gathering import platform_name

    own = own_interpreter(world)
    own_version = own.version + ("t" if own.abi.endswith("t") else "")
    asked, said_by = pythons, "--python-version"
    if not asked:
        text, said_by = _stated_version(folder), ".python-version"
        asked = (own_version if not text or f"{own_version}.".startswith(f"{text}.") else text,)
    for each in asked:
        if _EXACT.fullmatch(each.removeprefix("cpython-")) is None:
            raise UsageError(
                "usage", f"{each!r} is no exact version of Python", where=said_by, hint="name it with --python-version, as 3.11.7"
            )
    found = [named_interpreter(platform, each) for platform in platforms or (platform_name(own),) for each in asked]
    # This machine's own libc says which wheels it takes.
    return tuple(found if platforms else (replace(each, libc=own.libc) for each in found))


def _stated_version(folder: str) -> str:
    """What the first line of the project's ``.python-version`` asks for; empty where there is none."""
    from sanctity.observe.view import View

    try:
        lines = View().read(f"{folder}/.python-version", 1 << 12).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")


def _chosen(lock: Lock, interpreter: Interpreter, groups: tuple[str, ...], extras: tuple[str, ...], *, project: bool) -> Selected:
    """What *lock* expects for *interpreter*, all of which must be known."""
    from sanctity.model.lock import SourceKind
    from sanctity.plan.needs import expected_of
    from sanctity.seals.from_lock import not_from_lock

    chosen = expected_of(lock, interpreter, groups=groups or None, extras=extras or None)
    for unknown in chosen.undecided:
        raise not_from_lock(lock.path, f"whether {unknown.pin.name} belongs to it can not be told: {unknown.reason}")
    # A project that nothing installed needs could have been left out; its tool installs it unasked.
    pins = (*chosen.expected, *chosen.projects_absent)
    left_out = {SourceKind.VIRTUAL} if project else {SourceKind.VIRTUAL, SourceKind.EDITABLE}
    expected = tuple(pin for pin in pins if pin.source.kind not in left_out)
    for pin in expected:
        if pin.source.kind is SourceKind.EDITABLE:
            raise not_from_lock(
                lock.path,
                f"{pin.name} is an editable: what is put into site-packages for it, its build backend decides",
                "leave it out with --no-project, as `uv sync --no-install-project` does; or install it, and seal the environment",
            )
    return replace(chosen, expected=expected)


def _parts(chosen: Selected, lock: Lock, interpreter: Interpreter, sources: Sources) -> tuple[Part, ...]:
    """Each pin that *chosen* expects, with what its wheel holds."""
    from sanctity.plan.needs import needs_of

    needs = needs_of(sources.each(sources.named, chosen.expected), interpreter, folder=folder_of(lock, sources.world))
    return tuple(sources.each(lambda need: _part(need, interpreter, sources), needs))


def _part(need: Need, interpreter: Interpreter, sources: Sources) -> Part:
    """What the wheel of one pin holds: the lock's own, else the only one that an archive keeps as built from what it names."""
    from sanctity.canon.content import content_digest
    from sanctity.observe.wheels import wheel_surface
    from sanctity.seals.from_lock import Part, not_from_lock, origin_of

    pin = need.pin
    where = f"{pin.name} {pin.version}".strip()
    if need.unnamed:
        words = f"what {need.unnamed[0].digests[0]} is the hash of can not be told, so neither which wheel fits best"
        raise not_from_lock(where, words, "let an index be asked for it, or name an archive that keeps it")
    if need.wheel is not None:
        wanted, artifact = need.wheel, need.wheel.sha256
    else:
        wanted, artifact = _built_wheel(need, interpreter, sources), None
    rows, hooks = sources.read(wanted, wheel_surface)
    return Part(
        name=pin.name,
        version=pin.version,
        content=content_digest(rows),
        artifact=artifact,
        origin=origin_of(pin),
        rows=tuple(sorted(set(rows))),
        hooks=hooks,
    )


def _built_wheel(need: Need, interpreter: Interpreter, sources: Sources) -> Wanted:
    """The one wheel in the archive that was built from what *need* names, and that *interpreter* installs."""
    from sanctity.compare.tags import rank_of, tags_of
    from sanctity.model.artifact import Wanted
    from sanctity.model.names import normalise_name
    from sanctity.seals.from_lock import not_from_lock

    pin = need.pin
    meant = {f"git:{pin.source.revision}"} if pin.source.revision else set()
    if need.source is not None and need.source.sha256 is not None:
        meant.add(str(need.source.sha256))
    tags = tags_of(interpreter)
    fitting = [
        wheel
        for wheel in sources.built()
        if wheel.built_from in meant
        and normalise_name(wheel.filename.partition("-")[0]) == pin.name
        and rank_of(wheel.filename, tags) is not None
    ]
    if len(fitting) == 1:
        wheel = fitting[0]
        return Wanted(name=pin.name, version=pin.version, filename=wheel.filename, digests=(wheel.sha256,))
    where = f"{pin.name} {pin.version}".strip()
    if fitting:
        raise not_from_lock(
            where, f"the archive keeps {len(fitting)} wheels that were built from it, and they need not be the same"
        )
    what = "only be built from source" if need.source is not None else "not be installed as a wheel of the lock"
    words = f"it can {what} for this platform and Python, and what that becomes, nobody knows before"
    raise not_from_lock(
        where, words, "keep its built wheel: `sanctity archive add LOCK --archive DIR`; or install it, and seal that"
    )
