"""What a lint finds: findings on locks and projects, and what they weigh.

A finding is a result and never an exception. What a reader refuses (`errors.DocumentError`) and what it read past
(`model.lock.Note`) become findings with the same codes, so that one table says what each of them weighs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sanctity.model.drift import Unchecked
    from sanctity.model.lock import Lock

__all__ = ["NOTES", "RULES", "Finding", "LintedLock", "Linting", "severity_of"]

#: What lint judges itself: the code of each rule, and its severity. Errors are what is malformed, contradictory, unsafe or secret.
RULES: Final[Mapping[str, Severity]] = {
    "unpinned": Severity.WARNING,
    "unhashed": Severity.WARNING,
    "weak-hash": Severity.WARNING,
    "sdist-only": Severity.NOTE,
    "no-wheel-for-platform": Severity.WARNING,
    "closure-incomplete": Severity.WARNING,
    "source-mutable": Severity.WARNING,
    "source-insecure": Severity.WARNING,
    "filename-mismatch": Severity.ERROR,
    "artifact-elsewhere": Severity.WARNING,
    "pins-overlap": Severity.ERROR,
    "name-lookalike": Severity.WARNING,
    "indexes-several": Severity.WARNING,
    "requires-python-missing": Severity.NOTE,
    "wheel-hook": Severity.NOTE,
    "wheel-runpath": Severity.WARNING,
    # Of a project:
    "lock-missing": Severity.WARNING,
    "locks-disagree": Severity.WARNING,
    "lock-stale": Severity.WARNING,
    "lock-not-committed": Severity.WARNING,
    "seal-not-committed": Severity.WARNING,
    "environment-committed": Severity.WARNING,
    "interpreter-unpinned": Severity.NOTE,
    "install-unlocked": Severity.WARNING,
    "install-unhashed": Severity.WARNING,
}

#: What readers note and read past, where it weighs more or less than a warning.
NOTES: Final[Mapping[str, Severity]] = {
    "lock-url-credentials": Severity.ERROR,
    "lock-contradictory": Severity.ERROR,
    "lock-include-missing": Severity.ERROR,
    "lock-include-cycle": Severity.ERROR,
    "lock-url-query": Severity.NOTE,
    "lock-variable": Severity.NOTE,
    "lock-version-newer": Severity.NOTE,
}


def severity_of(code: str) -> Severity:
    """What *code* weighs: a rule's or a note's own severity; what a reader refuses is an error, what it notes a warning."""
    return RULES.get(code) or NOTES.get(code, Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with a lock or a project, or that its reader should know.

    *path* is the file (or folder) as a report shows it, *where* the place inside it as its reader names it
    (``package[12].files[3]``, ``line 4``), and *line* the line that a reviewer is pointed to, 0 for none. *package* is normalised,
    and *version* as written. *message* says what is wrong and *hint* what to do; *command* is what does it, as a shell takes it,
    where one command does. *count* is how many like it this one stands for. *known* says that the baseline has it, so that it
    weighs nothing.

    *about* is what the finding is about, beside its package: a host, a file, a command. It is what the finding is known again by,
    so it says nothing that an upgrade or another place of the same moves, and all that makes it another finding. One that speaks
    of several things names each of them. Where it is empty, the message counts.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    command: str = ""
    path: str = ""
    where: str = ""
    line: int = 0
    package: str = ""
    version: str = ""
    count: int = 1
    about: tuple[str, ...] = ()
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LintedLock:
    """A lock that was linted: *path* as shown, the *lock* itself, None where it could not be read, and its *summary*."""

    path: str
    lock: Lock | None
    summary: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Linting:
    """All that a lint found, by file and place. *unreadable* says that a document could not be read at all: exit code 2.

    *project* is the folder whose facts were judged, as shown, empty where only locks were named. With *strict* warnings weigh as
    much as errors. *judged_for* says which Python and platform the wheels were judged for, empty for none. *unchecked* is what
    could not be opened. *baseline* is the file of what is known, as shown, empty for none, and *gone* are its entries that nothing
    was found for, in words.
    """

    locks: tuple[LintedLock, ...] = ()
    findings: tuple[Finding, ...] = ()
    project: str = ""
    unreadable: bool = False
    strict: bool = False
    judged_for: str = ""
    unchecked: tuple[Unchecked, ...] = ()
    baseline: str = ""
    gone: tuple[str, ...] = ()

    def gates(self, finding: Finding) -> bool:
        """Whether *finding* keeps the verdict from being clean."""
        return not finding.known and (finding.severity is Severity.ERROR or (self.strict and finding.severity is Severity.WARNING))

    @property
    def verdict(self) -> Verdict:
        """Undecided where a document could not be read, drifted where something gates, else clean."""
        if self.unreadable:
            return Verdict.UNDECIDED
        return Verdict.DRIFTED if any(map(self.gates, self.findings)) else Verdict.CLEAN
