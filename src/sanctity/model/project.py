"""A project's own files, as far as a lint judges them: what they say, and what git knows of them.

Paths are relative to the project's folder, with ``/`` between their parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ProjectFacts", "Repository", "Standing"]


class Standing(StrEnum):
    """What git knows of a file that is there."""

    TRACKED = "tracked"  # committed, or staged for the next commit
    UNTRACKED = "untracked"
    IGNORED = "ignored"  # untracked, and a .gitignore keeps it so


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What git says of a project: the *standing* of its locks, seals and manifests, and each tracked environment.

    *environments* are folders with how many files are tracked below each. *empty* says that nothing was committed or staged
    yet, so that nothing can be missing from it. *trouble* is why git gave no answer, else empty.
    """

    standing: Mapping[str, Standing] = field(default_factory=dict, hash=False)
    environments: tuple[tuple[str, int], ...] = ()
    empty: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFacts:
    """What was seen of a project.

    *texts* are the files read: manifests, scripts, CI and container files, and what those name; *scripts* are the paths of those
    that run commands. *locks* and *seals* are the paths of those that are there, and *above* says that the project is a member of a
    workspace whose lock lies further up. *repository* is None where the project lies in none.
    *unread* are files that were passed over, each with why.
    """

    texts: Mapping[str, str] = field(default_factory=dict, hash=False)
    scripts: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    seals: tuple[str, ...] = ()
    above: bool = False
    repository: Repository | None = None
    unread: tuple[tuple[str, str], ...] = ()
