"""All rules over a lock, in one literal tuple, and how a lock is judged by them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.linting import files, graph, hashes, names, sources
from sanctity.linting.subject import finding
from sanctity.model.drift import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sanctity.errors import DocumentError
    from sanctity.linting.subject import Subject
    from sanctity.model.finding import Finding

__all__ = ["JUDGES", "judge", "judge_unreadable"]

#: What each finds, in the order in which they are told of one place.
JUDGES: Final[tuple[Callable[[Subject], Iterator[Finding]], ...]] = (
    hashes.unpinned,
    hashes.unhashed,
    hashes.weak_hash,
    files.filename_mismatch,
    files.sdist_only,
    files.no_wheel_for_platform,
    files.wheel_hook,
    files.wheel_runpath,
    graph.closure_incomplete,
    graph.pins_overlap,
    graph.requires_python_missing,
    sources.source_mutable,
    sources.source_insecure,
    sources.artifact_elsewhere,
    sources.indexes_several,
    names.name_lookalike,
)

#: What to do about what a reader noted and read past.
_HINTS: Final = {
    "lock-url-credentials": "replace the secret, which whoever has the lock has too, and keep it in a keyring or a variable",
    "lock-url-query": "nothing, unless it was a token: then replace it",
    "lock-variable": "write out what is meant, where it decides what is installed",
    "lock-version-newer": "use a newer sanctity: what that version added is not judged",
    "lock-bad-specifier": "mend requires-python in the project, and lock again",
    "lock-contradictory": "keep the row that is meant, or lock again",
    "lock-overlapping": "give the rows markers that exclude each other, or compile the file again",
    "lock-stale": "lock again with the tool that wrote it",
    "lock-include-missing": "put the file where this line says, or take the line out",
    "lock-include-cycle": "take the line out: what it includes is read already",
    "lock-neighbour-unreadable": "mend pyproject.toml, and look again",
}


def judge(subject: Subject) -> tuple[Finding, ...]:
    """All findings on the lock of *subject*: what its reader noted, then what each rule finds."""
    lock = subject.lock
    noted = [finding(note.code, note.message, where=note.where, hint=_HINTS.get(note.code, "")) for note in lock.notes]
    found = [*noted, *(each for rule in JUDGES for each in rule(subject))]
    commands = {subject.remedy: subject.command}
    return tuple(replace(each, path=lock.path, command=commands.get(each.hint, "")) for each in found)


def judge_unreadable(error: DocumentError, path: str) -> tuple[Finding, ...]:
    """Every fault for which the document *path*, as it is shown, could not be read: all of them are errors."""
    if not error.issues:
        place = error.where.removeprefix(path).removeprefix(": ")
        found = [finding(error.code, error.message, where=place, hint=error.hint, severity=Severity.ERROR)]
    else:
        found = [
            finding(issue.code, issue.message, where=issue.where, hint=issue.hint or error.hint, severity=Severity.ERROR)
            for issue in error.issues
        ]
    return tuple(replace(each, path=path) for each in found)
