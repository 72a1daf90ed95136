"""Who owns which file: RECORD rows against what was found, in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanctity.model.environment import Distribution, Environment, FileEntry, RecordRow

__all__ = ["Ownership", "own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Files and their owners.

    *files* are by path; *owners* maps a claimed path to its first owner; *rivals* maps a path with several owners to every
    (distribution, row) that claims it; *kept* maps a path to the system's package that owns it; *unclaimed* are the files in no
    RECORD and in no such package, sorted by path; *shown* strips site-packages.
    """

    files: dict[str, FileEntry]
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
    first_rows: dict[str, RecordRow] = {}
    rivals: dict[str, list[tuple[Distribution, RecordRow]]] = {}
    for item in environment.distributions:
        for row in item.record or ():
            path = row.path
            known = owners.setdefault(path, item)
            if known is item:
                first_rows[path] = row
            else:
                rivals.setdefault(path, [(known, first_rows[path])]).append((item, row))
    kept = {file.path: file.package for file in environment.system}
    return Ownership(
        files={entry.path: entry for entry in environment.files},
        owners=owners,
        rivals={path: tuple(claims) for path, claims in rivals.items()},
        kept=kept,
        unclaimed=tuple(entry for entry in environment.files if entry.path not in owners and entry.path not in kept),
        site=environment.layout.site,
    )
