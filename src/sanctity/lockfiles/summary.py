"""What a lock comes to, in numbers: the columns that a report's `locks` have, the same for every format.

The pins tell most of it. What they do not tell, since a format's rows were merged or say more than a pin keeps, its reader has
counted in `Lock.facts`: a key there that is a column's name takes the column's place, every other one is among `more_facts`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from sanctity.model.lock import Ecosystem, LockFormat, SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.lock import Lock, Pin

__all__ = ["COLUMNS", "count_markers", "summarise"]

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
    algorithms: Counter[str] = Counter()
    hashed = unhashed = 0
    names: set[str] = set()
    safe: set[str] = set()
    nameless = False
    versions: set[tuple[str, str, str]] = set()
    elsewhere: set[str] = set()
    for pin in lock.pins:
        name = _name(pin)
        names.add(name)
        versions.add((name, pin.version or pin.specifier or pin.source.location, pin.build))
        if pin.source.kind is not SourceKind.REGISTRY:
            elsewhere.add(f"{name}:{_KINDS.get(pin.source.kind, pin.source.kind.value)}")
        for artifact in pin.artifacts:
            if artifact.digests:
                hashed += 1
                safe.add(name)
                nameless = nameless or not artifact.filename
                algorithms.update([digest.algorithm for digest in artifact.digests])
            else:
                unhashed += 1
    found: dict[str, object] = {
        "packages": len(lock.pins),
        "unique_names": len(names),
        "hashed_artifacts": hashed,
        "unhashed_artifacts": unhashed,
        "hash_only": int(nameless or lock.format in {LockFormat.REQUIREMENTS, LockFormat.PIPFILE}),
        "hash_algos": dict(sorted(algorithms.items())),
        "no_hash_packages": sorted(names - safe),
        "vcs_url_path_packages": sorted(elsewhere),
        **_markers(lock),
    }
    more: dict[str, object] = {"unique_name_versions": len(versions), "ill_formed_hashes": 0}
    for key, value in lock.facts.items():
        (found if key in COLUMNS else more)[key] = value
    without = found["no_hash_packages"]
    found.setdefault("no_hash_count", len(without) if isinstance(without, (list, tuple)) else 0)
    found["more_facts"] = dict(sorted(more.items()))
    return {column: found[column] for column in COLUMNS}


def _name(pin: Pin) -> str:
    name = pin.name or "-"
    return f"conda:{name}" if pin.ecosystem is Ecosystem.CONDA else name


def _markers(lock: Lock) -> dict[str, object]:
    """How many conditions of pins and edges are about platforms, and how many about anything else."""
    if "platform_markers" in lock.facts and "python_markers" in lock.facts:
        return {}
    edges = [edge.marker for pin in lock.pins for edge in pin.dependencies]
    edges += [edge.marker for pin in lock.pins for _, optional in pin.optional for edge in optional]
    return count_markers([*(pin.marker for pin in lock.pins), *edges])


def count_markers(markers: Iterable[str]) -> dict[str, object]:
    """The columns ``platform_markers`` and ``python_markers`` of *markers*; an empty one is none."""
    written = [marker for marker in markers if marker]
    of_platforms = sum(map(_is_of_platforms, written))
    return {"platform_markers": of_platforms, "python_markers": len(written) - of_platforms}
