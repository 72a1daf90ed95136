"""What is wrong with a project around its locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sanctity.model.finding import Finding, LintedLock
    from sanctity.verbs.world import World

__all__ = ["judge_project"]


def judge_project(folder: str, world: World, locks: Sequence[LintedLock]) -> tuple[Finding, ...]:
    """The findings on the project in *folder*, whose *locks* were read; each with its path as a report shows it."""
    from sanctity.linting.project import judge
    from sanctity.model.project import ProjectFacts

    del folder, world
    return tuple(judge(ProjectFacts(), locks))
