"""An environment against a lock, or against nothing but its own RECORDs: every finding, in one `Comparison`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from sanctity.canon.fingerprint import fingerprint
from sanctity.compare.bytecode import compare_bytecode
from sanctity.compare.distributions import compare_distributions, compare_distributions_alone
from sanctity.compare.files import compare_claimed, compare_problems, compare_shared, compare_unclaimed, unclaimed_code
from sanctity.compare.markers import environment_of
from sanctity.compare.ownership import own
from sanctity.compare.selection import SEEDS, select
from sanctity.compare.startup import compare_interpreter, compare_startup
from sanctity.compare.system import compare_system
from sanctity.model.drift import Checked, Code, Comparison, Depth, Drift, Reference, ReferenceKind, Severity, Unchecked
from sanctity.model.lock import Artifact, SourceKind

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment, Fingerprint
    from sanctity.model.lock import Lock

__all__ = ["compare_with_lock", "compare_with_records", "fingerprint_of", "seeds_of"]


#: A pin without artifacts is a pin without hashes.
_NONE: Final = (Artifact(),)
#: Drifts that are none where some RECORD claims the file.
_BY_CLAIM: Final = frozenset(
    {Code.FILE_UNCLAIMED, Code.PATH_SHADOW, Code.BYTECODE_ORPHAN, Code.PTH_HOOK, Code.CUSTOMIZE_HOOK, Code.PATH_INVALID}
)


def seeds_of(lock: Lock | None) -> frozenset[str]:
    """The names that an environment may be seeded with: pip, setuptools and wheel, less those that the lock names."""
    return SEEDS - (lock.names() if lock else frozenset())


def fingerprint_of(environment: Environment, seeds: AbstractSet[str], ownership: Ownership | None = None) -> Fingerprint | None:
    """The fingerprint of *environment*, or None where a part of it could not be read. Unreadable code in scope is such a part."""
    index = ownership or own(environment)
    if any(item.in_scope for item in compare_problems(environment, index)):
        return None
    return fingerprint(environment, seeds=seeds, unclaimed=unclaimed_code(environment, index))


def _look_at_files(environment: Environment, ownership: Ownership, seeds: AbstractSet[str]) -> tuple[list[Drift], list[Unchecked]]:
    drifts = compare_claimed(environment, ownership, seeds)
    unchecked = list(compare_problems(environment, ownership))
    unclaimed = [*compare_unclaimed(environment, ownership), *compare_startup(environment, ownership, seeds)]
    unread = {problem.path for problem in environment.problems}
    if any(f"{item.home}/RECORD" in unread for item in environment.distributions):
        # Who knows what the RECORD claims that could not be read: so nothing can be called unclaimed.
        sure = [drift for drift in unclaimed if not drift.gating or drift.code not in _BY_CLAIM]
        unsure = [
            replace(drift, gating=False, severity=Severity.WARNING)
            for drift in unclaimed
            if drift.gating and drift.code in _BY_CLAIM
        ]
        if unsure:
            reason = "no RECORD that could be read claims them"
            unchecked.append(Unchecked(code="unreadable", what="files", reason=reason, count=len(unsure), in_scope=True))
        unclaimed = sure + unsure
    drifts.extend(unclaimed)
    for found in (*compare_system(environment, ownership), *compare_bytecode(environment, ownership)):
        if isinstance(found, Drift):
            drifts.append(found)
        else:
            unchecked.append(found)
    drifts.extend(compare_shared(ownership))
    return drifts, unchecked


def _compare(
    environment: Environment,
    *,
    depth: Depth,
    reference: Reference,
    seeds: frozenset[str],
    drifts: list[Drift],
    unchecked: list[Unchecked],
    read: int,
) -> Comparison:
    for each in compare_interpreter(environment):
        if isinstance(each, Drift):
            drifts.append(each)
        else:
            unchecked.append(each)
    if depth is Depth.VERSION:
        drifts.extend(compare_claimed(environment, own(environment), seeds))  # no RECORD was read: what is wrong with the metadata
        unchecked.extend(
            Unchecked(code=each.code, what=each.path, reason=each.reason, in_scope=True) for each in environment.problems
        )
    found = None
    if depth is Depth.RECORD:
        ownership = own(environment)
        more, blind = _look_at_files(environment, ownership, seeds)
        drifts.extend(more)
        unchecked.extend(blind)
        found = fingerprint_of(environment, seeds, ownership)
    return Comparison(
        depth=depth,
        reference=reference,
        prefix=environment.prefix,
        looked_at_from=environment.looked_at_from,
        checked=Checked(distributions=len(environment.distributions), files=len(environment.files), bytes=read),
        drifts=tuple(drifts),
        unchecked=tuple(unchecked),
        fingerprint=found,
    )


def compare_with_records(environment: Environment, *, depth: Depth) -> Comparison:
    """Compare *environment* with what it says of itself: consistency, and never proof."""
    return _compare(
        environment,
        depth=depth,
        reference=Reference(),
        seeds=SEEDS,
        drifts=list(compare_distributions_alone(environment)),
        unchecked=[],
        read=sum(entry.size for entry in environment.files.values() if entry.digest),
    )


def compare_with_lock(
    environment: Environment,
    lock: Lock,
    *,
    depth: Depth,
    lock_folder: str,
    project_name: str = "",
    groups: tuple[str, ...] | None = None,
    extras: tuple[str, ...] | None = None,
) -> Comparison:
    """Compare *environment* with *lock*.

    *lock_folder* is the absolute folder that the lock's relative paths start from; *project_name* the project's own, for formats
    whose lock does not name it; *groups* and *extras* were asked for by name, None where they are to be read off the
    environment.

    Raises:
        UsageError: a group or extra was asked for that the lock does not have.
    """
    markers = environment_of(environment.interpreter)
    installed: dict[str, set[str]] = {}
    for item in environment.distributions:
        installed.setdefault(item.key, set()).add(item.version)
    local = {SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL}
    members = frozenset(pin.name for pin in lock.pins if pin.source.kind in local and pin.name in installed)
    selected = select(
        lock,
        markers,
        {key: frozenset(versions) for key, versions in installed.items()},
        members_installed=members,
        groups=groups,
        extras=extras,
    )
    drifts, unchecked = compare_distributions(
        lock, environment, selected, lock_folder=lock_folder, project_name=canonicalize_name(project_name) if project_name else ""
    )
    bare = sum(
        not all(item.digests for item in pin.artifacts or _NONE) for pin in lock.pins if pin.source.kind is SourceKind.REGISTRY
    )
    if bare:
        words = "it gives no hash for them, so it does not say which artifact is meant"
        unchecked = (*unchecked, Unchecked(code="unhashed", what="pins of the lock", reason=words, count=bare))
    reference = Reference(
        kind=ReferenceKind.LOCK, format=lock.format, path=lock.path, digest=str(lock.digest), selection=selected.selection
    )
    return _compare(
        environment,
        depth=depth,
        reference=reference,
        seeds=seeds_of(lock),
        drifts=list(drifts),
        unchecked=list(unchecked),
        read=sum(entry.size for entry in environment.files.values() if entry.digest),
    )
