"""An environment against a lock: every finding, in one `Comparison`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from sanctity.compare.distributions import compare_distributions, with_names_of_places
from sanctity.compare.markers import environment_of
from sanctity.compare.records import compare_alone
from sanctity.compare.selection import select
from sanctity.model.drift import Comparison, Depth, Reference, ReferenceKind, Unchecked
from sanctity.model.lock import Artifact, SourceKind
from sanctity.model.names import SEEDS

if TYPE_CHECKING:
    from sanctity.model.drift import Drift, Selection
    from sanctity.model.environment import Environment
    from sanctity.model.lock import Lock

__all__ = ["compare_with_lock", "seeds_of"]

#: A pin without artifacts is a pin without hashes.
_NONE: Final = (Artifact(),)


def seeds_of(lock: Lock | None) -> frozenset[str]:
    """The names that an environment may be seeded with: pip, setuptools and wheel, less those that the lock names."""
    return SEEDS - (lock.names() if lock else frozenset())


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
    project = canonicalize_name(project_name) if project_name else ""
    if lock.format.is_of_conda:
        from sanctity.compare.conda import compare_packages

        seen, selection, drifts, unchecked = compare_packages(
            lock, environment, lock_folder=lock_folder, project_name=project, groups=groups, extras=extras
        )
    else:
        seen = lock
        selection, drifts, unchecked = _compare(lock, environment, lock_folder, project, groups, extras)
    bare = sum(
        not all(item.digests for item in pin.artifacts or _NONE) for pin in seen.pins if pin.source.kind is SourceKind.REGISTRY
    )
    if bare:
        words = "it gives no hash for them, so it does not say which artifact is meant"
        unchecked = (*unchecked, Unchecked(code="unhashed", what="pins of the lock", reason=words, count=bare))
    reference = Reference(kind=ReferenceKind.LOCK, format=lock.format, path=lock.path, digest=str(lock.digest), selection=selection)
    comparison = compare_alone(
        environment,
        depth=depth,
        reference=reference,
        seeds=seeds_of(lock),
        drifts=list(drifts),
        unchecked=list(unchecked),
    )
    if not lock.format.is_of_conda:
        return comparison
    packages = len(environment.conda) + sum(not item.keeper for item in environment.distributions)
    return replace(comparison, checked=replace(comparison.checked, distributions=packages))


def _compare(
    lock: Lock,
    environment: Environment,
    folder: str,
    project: str,
    groups: tuple[str, ...] | None,
    extras: tuple[str, ...] | None,
) -> tuple[Selection, tuple[Drift, ...], tuple[Unchecked, ...]]:
    """The distributions of *environment* against *lock*: what was selected, the drifts, and what could not be compared."""
    lock = with_names_of_places(lock, environment, lock_folder=folder, project_name=project)
    installed: dict[str, set[str]] = {}
    for item in environment.distributions:
        installed.setdefault(item.key, set()).add(item.version)
    local = {SourceKind.EDITABLE, SourceKind.DIRECTORY, SourceKind.VIRTUAL}
    members = frozenset(pin.name for pin in lock.pins if pin.source.kind in local and pin.name in installed)
    selected = select(
        lock,
        environment_of(environment.interpreter),
        {key: frozenset(versions) for key, versions in installed.items()},
        members_installed=members,
        groups=groups,
        extras=extras,
    )
    drifts, unchecked = compare_distributions(lock, environment, selected, lock_folder=folder, project_name=project)
    return selected.selection, drifts, unchecked
