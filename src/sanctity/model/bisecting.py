"""The nouns of a bisect: what one trial came to, what was asked, and what was found.

A *trial* is one command run in one environment, so often as its verdict needs. It passes or fails; whatever else becomes of it
decides nothing, and is never counted as either. A *break* is a passing environment and a failing one a day later, and the releases
that lie between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanctity.model.digest import Digest
    from sanctity.model.timeline import Release, Resolution

__all__ = [
    "Answer",
    "Break",
    "Certainty",
    "Counts",
    "Culprit",
    "FileDigest",
    "Kept",
    "Outcome",
    "Pinned",
    "Question",
    "Role",
    "Run",
    "Span",
    "Trial",
    "Withdrawn",
    "day",
]


def day(at: str) -> str:
    """The day that the instant *at* is the end of, where it is one, as people name it; else the instant."""
    if at.endswith("T00:00:00Z"):
        return (date.fromisoformat(at[:10]) - timedelta(days=1)).isoformat()
    return at


class Outcome(StrEnum):
    """What became of an environment: the first two are verdicts, the others decide nothing."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SKIPPED = "skipped"
    UNRESOLVABLE = "unresolvable"
    UNBUILDABLE = "unbuildable"
    FLAKY = "flaky"

    @property
    def decided(self) -> bool:
        """Whether it is a verdict."""
        return self in {Outcome.PASS, Outcome.FAIL}


class Certainty(StrEnum):
    """Whether something was shown, was shown not to be so, or could not be told."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a release has to do with a failure.

    Without a *necessary* one the command passes. A *companion* can not be left out, since nothing can be installed without it, and
    so its own part can not be told. A *suspect* is one of several of which at least one breaks the command.
    """

    NECESSARY = "necessary"
    COMPANION = "companion"
    SUSPECT = "suspect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the command: its exit *code* (negative: the signal that ended it), None where it took too long (*seconds*).

    *tail* is the end of what it wrote. *result* is the digest of what ``--compare`` names, None where it wrote none.
    """

    code: int | None
    seconds: float = 0.0
    tail: str = ""
    result: Digest | None = None

    @property
    def how(self) -> str:
        """How it ended, in words."""
        if self.code is None:
            return f"did not end within {self.seconds:,.0f} s"
        return f"ended by signal {-self.code}" if self.code < 0 else f"ended with {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of an environment, with its *runs*; *reason* says why where it is no verdict, or how it failed."""

    outcome: Outcome
    reason: str = ""
    runs: tuple[Run, ...] = ()

    @property
    def passed(self) -> int:
        """How many runs ended with 0."""
        return sum(run.code == 0 for run in self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One line of an environment that can be built again: a release and the *hashes* (``sha256:…``) of its files.

    *url* is where it comes from if that is no index (PEP 508), for an *editable* one the folder's path.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    url: str = ""
    editable: bool = False

    @property
    def requirement(self) -> str:
        """Its line in a requirements file."""
        if self.editable:
            return f"-e {self.url}"
        words = f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"
        return " ".join((words, *(f"--hash={digest}" for digest in self.hashes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a log keeps of an environment: resolved *at* an instant, first tried *why*, and its *runs* so far.

    *rows* are empty until it was to be built, and *failure* says why it could not be.
    """

    at: str = ""
    why: str = ""
    rows: tuple[Pinned, ...] = ()
    failure: str = ""
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDigest:
    """A file that the question is about, and its digest."""

    path: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked. Two bisects with equal questions may share their trials.

    *good* and *bad* are as given, *files* those that the requirements and the command name, *timeout* in seconds (0: none).
    With *only_binary* nothing is built from source.
    """

    requirements: str
    good: str
    bad: str
    python: str
    command: tuple[str, ...]
    compare: str = ""
    timeout: int = 0
    undated: tuple[str, ...] = ()
    only_binary: bool = False
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: tuple[FileDigest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """A release that broke the command: the package was at *old* (empty: not there) and is *new* now.

    *among* are the versions that it may be instead, where those between could not be tried. *yanked* is why it was withdrawn since,
    a blank where no reason is given, None where it was not.
    """

    release: Release
    old: str = ""
    role: Role = Role.NECESSARY
    among: tuple[str, ...] = ()
    yanked: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A release of the package *name* that is yanked now (PEP 592), for a *reason* that may be blank."""

    name: str
    version: str
    uploaded: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Break:
    """Where the command begins to fail: *passing* is the last environment that passes, *failing* the first that fails.

    The *culprits* are what makes the difference. Those of *earlier* dates broke nothing by themselves, and fail only together with
    them. *between* are environments of the days between, which decided nothing; *exact* says that the culprits are known all the
    same. *alone*: whether they break good's own environment too, without any other change; where they can not be had there without
    others, those are *along*. *held* are the constraints under which all this was found, where another break had been found before.
    """

    passing: Resolution
    failing: Resolution
    culprits: tuple[Culprit, ...]
    earlier: tuple[Culprit, ...] = ()
    along: tuple[Culprit, ...] = ()
    between: tuple[Resolution, ...] = ()
    exact: bool = True
    alone: Certainty = Certainty.UNKNOWN
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From *first* to *last* (instants), each of which was tried, the *outcome* is not the one that a single break would give."""

    first: str
    last: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What it took, less what was taken from a log or a cache."""

    resolutions: int = 0
    builds: int = 0
    runs: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a bisect came to: each break that was found, in the order of dates, those found with others held back last.

    *complete*: whether bad's environment passes once everything that is named is put back; *remedy* are the constraints that did
    it.
    """

    breaks: tuple[Break, ...]
    contradictions: tuple[Span, ...] = ()
    complete: Certainty = Certainty.UNKNOWN
    remedy: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether every break has a name."""
        return all(each.exact for each in self.breaks)
