"""What two inventories differ in: packages first, then their files, then the parts beside them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.model.drift import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Unchecked
    from sanctity.model.inventory import Inventory, LockedFile, Package

__all__ = [
    "LOOKS",
    "Answer",
    "Change",
    "Difference",
    "FileChange",
    "Look",
    "LookCode",
    "PackageChange",
    "PartChange",
    "Step",
    "Why",
]


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
    REACH = "reach"  # installed in other environments, or asked for by others
    PLACE = "place"  # the same file, fetched from elsewhere

    @property
    def alarming(self) -> bool:
        """Whether something changed that has no business to: bytes under a version that stayed the same."""
        return self in {Change.HASHES, Change.CONTENT}


class LookCode(StrEnum):
    """Why a reviewer of two locks should look at a package, the gravest first; what each weighs is in `LOOKS`."""

    HASH_CHANGED = "hash-changed"  # the same version, and other bytes for a file that both locks name
    HASH_CONTRADICTED = "hash-contradicted"  # the index states or has other bytes for a file that the new lock names
    HASH_SWAPPED = "hash-swapped"  # the same version, and a hash in the place of another one
    UNHELD = "unheld"  # a file is fetched from elsewhere, and no hash holds it
    SOURCE_CHANGED = "source-changed"  # another index, repository or kind of source
    NEW_INDEX = "new-index"  # from an index or host that nothing came from before
    NOT_FROM_INDEX = "not-from-index"  # added from a repository, archive or folder
    START_UP_HOOK = "start-up-hook"  # it brings or changes code that every start of Python runs
    YANKED = "yanked"  # its publisher took it back
    GONE = "gone"  # the index has it no more
    FIRST_RELEASE = "first-release"  # nothing of its project was released before
    RECENT = "recent"  # released so few days ago that nobody may have looked yet
    HASH_LOST = "hash-lost"  # it was locked by hash, and is no more
    SDIST_ONLY = "sdist-only"  # it is built where it is installed, and its build runs code
    WIDER = "wider"  # installed by default where it was not, or with one more extra
    DOWNGRADE = "downgrade"
    RUNPATH = "runpath"  # it looks for libraries in a folder of the machine that it was built on
    NATIVE_CODE = "native-code"  # it is machine code now, which nobody reads
    PRE_RELEASE = "pre-release"
    MORE_FILES = "more-files"  # a file more may be installed under a version that stayed the same
    MAJOR = "major"  # a jump of the number that stands for what breaks
    WHEELS_LOST = "wheels-lost"  # no wheel for a platform that had one
    NEW_TRANSITIVE = "new-transitive"  # added, and nobody asked for it but another package


#: What each reason weighs: an error is an alarm.
LOOKS: Final[Mapping[LookCode, Severity]] = {
    **dict.fromkeys(LookCode, Severity.WARNING),
    LookCode.HASH_CHANGED: Severity.ERROR,
    LookCode.HASH_CONTRADICTED: Severity.ERROR,
    **dict.fromkeys(
        (
            LookCode.NATIVE_CODE,
            LookCode.PRE_RELEASE,
            LookCode.MORE_FILES,
            LookCode.MAJOR,
            LookCode.WHEELS_LOST,
            LookCode.NEW_TRANSITIVE,
        ),
        Severity.NOTE,
    ),
}


class Look(NamedTuple):
    """One reason to look at a package, and what there is to say of it in *words*."""

    code: LookCode
    words: str

    @property
    def severity(self) -> Severity:
        """What it weighs."""
        return LOOKS[self.code]


class Step(NamedTuple):
    """A package on the way from what was asked for; *version* is empty where it is not known."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a package is locked: *steps* lead to it from one that is asked for, which is itself where it alone stands there.

    *root* says who asks: empty for the project itself, else such as ``group dev`` or ``extra plot``, that nothing of the project
    itself needs it. *member* is the project of a workspace.
    """

    steps: tuple[Step, ...]
    root: str = ""
    member: str = ""


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
    one side allows. *fork* is the condition that tells it from other packages of its name in the same lock.

    Of two locks also: *why* it is in the new one, or of one that was removed, was in the old; *looks*, the gravest first, are
    reasons to look at it; and *age_days* is how long ago its new version was released, None where that is not known or it has none.
    """

    name: str
    changes: tuple[Change, ...]
    before: Package | None
    after: Package | None
    files: tuple[FileChange, ...] = ()
    gone: tuple[LockedFile, ...] = ()
    new: tuple[LockedFile, ...] = ()
    fork: str = ""
    why: Why | None = None
    looks: tuple[Look, ...] = ()
    age_days: int | None = None

    @property
    def weight(self) -> Severity | None:
        """What the gravest of its looks weighs; None where it has none."""
        weights = {look.severity for look in self.looks}
        return next((weight for weight in (Severity.ERROR, Severity.WARNING, Severity.NOTE) if weight in weights), None)

    @property
    def reach(self) -> tuple[frozenset[str], frozenset[str]]:
        """For whom it was there and for whom it is, as far as both sides say."""
        if self.before is None or self.after is None:
            return frozenset(), frozenset()
        blind = self.before.doubtful | self.after.doubtful
        return self.before.reach - blind, self.after.reach - blind

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

    *unchecked* is what could not be compared; where some of it is in scope and nothing differs, it is undecided. *reviewed* is the
    day (``2026-07-11``) as of which two locks were reviewed, empty where they were not.
    """

    before: Inventory | None
    after: Inventory | None
    packages: tuple[PackageChange, ...] = ()
    parts: tuple[PartChange, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    reviewed: str = ""

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
