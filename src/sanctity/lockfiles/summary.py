"""What a lock comes to, in numbers: the columns that a report's `locks` have, the same for every format.

The pins tell most of it. What they do not tell, since a format's rows were merged or say more than a pin keeps, its reader has
counted in `Lock.facts`: a key there that is a column's name takes the column's place, every other one is among `more_facts`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.model.lock import Ecosystem, LockFormat, SourceKind

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from sanctity.model.lock import Artifact, Lock, Pin, Source

__all__ = ["COLUMNS", "count_markers", "summarise", "tally"]

#: The columns, in their order.
COLUMNS: Final = (
    "packages",
    "unique_names",
    "hashed_artifacts",
    "unhashed_artifacts",
    "hash_only",
    "hash_algos",
    "no_hash_count",
    "no_hash_packages",
    "vcs_url_path_packages",
    "platform_markers",
    "python_markers",
    "more_facts",
)

#: How a source that is no index is called in ``NAME:KIND``.
_KINDS: Final = {SourceKind.FILE: "path", SourceKind.DIRECTORY: "dir"}
#: The variables of a marker that tell platforms and implementations apart; all others are about Python, or extras and groups.
_OF_PLATFORMS: Final = ("platform_", "implementation_", "sys_platform", "os_name", "os.name", "sys.platform", "platform.")


def _is_of_platforms(marker: str) -> bool:
    """Whether *marker* names a variable of the platform or of the implementation (``platform_python_implementation`` too)."""
    return any(word in marker for word in _OF_PLATFORMS)


def summarise(lock: Lock) -> dict[str, object]:
    """The columns of *lock*: numbers, sorted lists of names, and in ``more_facts`` what only its format has.

    A conda package is named ``conda:NAME``, and a row without a name ``-``.
    """
    found: dict[str, object] = {
        "hash_only": int(lock.format in {LockFormat.REQUIREMENTS, LockFormat.PIPFILE} or _nameless(lock)),
        **tally(
            (_name(pin), (pin.version or pin.specifier, pin.build), _renamed(pin.source, lock.format), pin.artifacts)
            for pin in lock.pins
        ),
        **_markers(lock),
    }
    more: dict[str, object] = {"unique_name_versions": found.pop("unique_name_versions"), "ill_formed_hashes": 0}
    for key, value in lock.facts.items():
        (found if key in COLUMNS else more)[key] = value
    without = found["no_hash_packages"]
    found.setdefault("no_hash_count", len(without) if isinstance(without, (list, tuple)) else 0)
    found["more_facts"] = dict(sorted(more.items()))
    return {column: found[column] for column in COLUMNS}


def tally(rows: Iterable[tuple[str, Hashable, Source, tuple[Artifact, ...]]]) -> dict[str, object]:
    """What *rows* come to: each a name, what tells it from others of that name, where it is from, and its artifacts."""
    algorithms: Counter[str] = Counter()
    count = hashed = unhashed = 0
    names: set[str] = set()
    safe: set[str] = set()
    versions: set[tuple[str, Hashable]] = set()
    elsewhere: set[str] = set()
    for name, version, source, artifacts in rows:
        count += 1
        names.add(name)
        versions.add((name, version))
        if source.kind is not SourceKind.REGISTRY:
            elsewhere.add(f"{name}:{_KINDS.get(source.kind, source.kind.value)}")
        given = [artifact.digests for artifact in artifacts if artifact.digests]
        hashed += len(given)
        unhashed += len(artifacts) - len(given)
        if given:
            safe.add(name)
            algorithms.update([digest.algorithm for digests in given for digest in digests])
    return {
        "packages": count,
        "unique_names": len(names),
        "hashed_artifacts": hashed,
        "unhashed_artifacts": unhashed,
        "hash_algos": dict(sorted(algorithms.items())),
        "no_hash_packages": sorted(names - safe),
        "vcs_url_path_packages": sorted(elsewhere),
        "unique_name_versions": len(versions),
    }


def _name(pin: Pin) -> str:
    name = pin.name or "-"
    return f"conda:{name}" if pin.ecosystem is Ecosystem.CONDA else name


def _renamed(source: Source, format: LockFormat) -> Source:  # noqa: A002 - the field's word
    """*source* as the format itself calls it: Poetry has no editable source, only a folder that is installed so."""
    if format is LockFormat.POETRY and source.kind is SourceKind.EDITABLE:
        return replace(source, kind=SourceKind.DIRECTORY)
    return source


def _nameless(lock: Lock) -> bool:
    """Whether the lock has hashes without the names of their files."""
    return any(artifact.digests and not artifact.filename for pin in lock.pins for artifact in pin.artifacts)


def _markers(lock: Lock) -> dict[str, object]:
    """How many conditions of pins and edges are about platforms, and how many about anything else."""
    if "platform_markers" in lock.facts and "python_markers" in lock.facts:
        return {}
    edges = [edge.marker for pin in lock.pins for edge in pin.dependencies]
    edges += [edge.marker for pin in lock.pins for _, optional in pin.optional for edge in optional]
    return count_markers([*(pin.marker for pin in lock.pins), *edges])


def count_markers(markers: Iterable[str]) -> dict[str, object]:
    """The columns ``platform_markers`` and ``python_markers`` of *markers*; an empty one is none."""
    counts = Counter(markers)
    of_platforms = sum(count for marker, count in counts.items() if _is_of_platforms(marker))
    return {"platform_markers": of_platforms, "python_markers": counts.total() - counts[""] - of_platforms}
