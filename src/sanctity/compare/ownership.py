"""Who owns which file: RECORD rows against what was found, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.environment import Distribution, Environment, FileEntry, RecordRow

__all__ = ["Ownership", "own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Files and their owners.

    *files* are by path; *owners* maps a claimed path to its first owner; *rivals* maps a path with several owners to every
    (distribution, row) that claims it; *kept* maps a path to the system's package that owns it; *unclaimed* are the files in no
    RECORD and in no such package, sorted by path; *shown* strips site-packages.
    """

    files: Mapping[str, FileEntry]
    owners: dict[str, Distribution]
    rivals: dict[str, tuple[tuple[Distribution, RecordRow], ...]]
    kept: dict[str, str]
    unclaimed: tuple[FileEntry, ...]
    site: tuple[str, ...]

    def shown(self, path: str) -> str:
        """*path* as a report prints it: relative to site-packages where it lies there."""
        for folder in self.site:
            if path.startswith(folder + "/"):
                return path[len(folder) + 1 :]
        return path

    def in_site(self, path: str) -> bool:
        """Whether *path* lies in site-packages."""
        return any(path.startswith(folder + "/") for folder in self.site)


def own(environment: Environment) -> Ownership:
    """Index the files of *environment* by their owners."""
    owners: dict[str, Distribution] = {}
    contested: set[str] = set()
    for item in environment.distributions:
        mine = dict.fromkeys([row[0] for row in item.record or ()], item)
        if not owners.keys().isdisjoint(mine):
            both = owners.keys() & mine.keys()
            for path in both:
                del mine[path]
            contested |= both
        owners.update(mine)
    rivals: dict[str, list[tuple[Distribution, RecordRow]]] = {path: [] for path in sorted(contested)}
    if contested:
        for item in environment.distributions:
            for row in item.record or ():
                if row.path in contested:
                    rivals[row.path].append((item, row))
    kept = {file.path: file.package for file in environment.system}
    return Ownership(
        files=environment.files,
        owners=owners,
        rivals={path: tuple(claims) for path, claims in rivals.items()},
        kept=kept,
        unclaimed=tuple(environment.files[path] for path in sorted(environment.files.keys() - owners.keys() - kept.keys())),
        site=environment.layout.site,
    )
