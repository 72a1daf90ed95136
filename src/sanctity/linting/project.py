"""What is wrong with a project, from its own files and from what git knows of them: facts in, findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sanctity.model.finding import Finding, LintedLock
    from sanctity.model.project import ProjectFacts

__all__ = ["judge"]


def judge(facts: ProjectFacts, locks: Sequence[LintedLock]) -> Iterator[Finding]:
    """The findings on the project that *facts* are of, whose *locks* were read."""
    del facts, locks
    yield from ()
