"""What two inventories differ in: packages first, then their files, then the parts beside them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sanctity.model.drift import Unchecked
    from sanctity.model.inventory import Inventory, LockedFile, Package

__all__ = ["Answer", "Change", "Difference", "FileChange", "PackageChange", "PartChange"]


class Change(StrEnum):
    """One way in which a package differs. Versions go ``up``, ``down``, or ``sideways`` where neither is the later one."""

    ADDED = "added"
    REMOVED = "removed"
    UP = "up"
    DOWN = "down"
    SIDEWAYS = "sideways"
    HASHES = "hashes"  # the same version, and other bytes for a file that both sides name: an alarm
    CONTENT = "content"  # the same version, and other files: an alarm
    ARTIFACTS = "artifacts"  # the same version, and more or fewer artifacts that may be taken
    SOURCE = "source"
    MARKER = "marker"

    @property
    def alarming(self) -> bool:
        """Whether something changed that has no business to: bytes under a version that stayed the same."""
        return self in {Change.HASHES, Change.CONTENT}


class FileChange(NamedTuple):
    """A row of a distribution's content that is not the same: *before* or *after* is empty where it is not there."""

    path: str
    before: str
    after: str


class PartChange(NamedTuple):
    """A row of a part that is not the same: *before* or *after* is empty where it is not there."""

    part: str
    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """A package that differs in all of *changes*; one side is None where it was added or removed.

    *files* are the rows that changed, where both sides have rows. *gone* and *new* are the artifacts that only
    one side allows.
    """

    name: str
    changes: tuple[Change, ...]
    before: Package | None
    after: Package | None
    files: tuple[FileChange, ...] = ()
    gone: tuple[LockedFile, ...] = ()
    new: tuple[LockedFile, ...] = ()

    @property
    def alarming(self) -> bool:
        """Whether bytes changed under a version that stayed the same."""
        return any(change.alarming for change in self.changes)


class Answer(StrEnum):
    """What a difference comes to. Its exit codes are 0, 1 and 3."""

    SAME = "same"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What *before* and *after* differ in. One side is None where only the other document has an entry for an environment.

    *unchecked* is what could not be compared; where some of it is in scope and nothing differs, it is undecided.
    """

    before: Inventory | None
    after: Inventory | None
    packages: tuple[PackageChange, ...] = ()
    parts: tuple[PartChange, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def environment(self) -> str:
        """The key of the environments that were compared, where a seal gave one."""
        keys = [side.environment for side in (self.before, self.after) if side is not None and side.environment]
        return " -> ".join(dict.fromkeys(keys))

    @property
    def answer(self) -> Answer:
        """Whether anything differs; if not, whether all could be looked at."""
        if self.packages or self.parts or self.before is None or self.after is None:
            return Answer.DIFFERENT
        return Answer.UNDECIDED if any(item.in_scope for item in self.unchecked) else Answer.SAME
