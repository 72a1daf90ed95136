"""What came of the lab, as values: commands as they were run, facts that had to hold, steps, and the whole story.

A fact is what a step expected. It held, or it did not, or it could not be known; what could not be known is no pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Command", "Fact", "Outcome", "Step", "Story", "Tool", "verdict_of"]

#: The words that a report of sanctity starts with, and how each is drawn.
_VERDICTS: Final = {"CLEAN": "good", "SEALED": "good", "PROVEN": "good", "DRIFTED": "bad", "UNDECIDED": "doubt"}


def verdict_of(line: str) -> tuple[str, str, str]:
    """*line* of a command's output in three parts: the verdict of sanctity that it starts with, how that is drawn, and the rest.

    The first two are empty where it starts with none.
    """
    line = line.strip()
    word = line.partition(" ")[0]
    return (word, _VERDICTS[word], line[len(word) :]) if word in _VERDICTS else ("", "", line)


class Outcome(StrEnum):
    """What became of a step."""

    EXPECTED = "as expected"
    UNEXPECTED = "not as expected"
    SKIPPED = "skipped"  # in whole or in part: something of it could not be tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as it was run by ``sh -c`` in *folder* (relative to the lab's own), and can be pasted.

    *lines* are those of its *output* (standard output and standard error, as they came) that matter; *code* is its exit code, as a
    shell gives it, and *seconds* how long it took.
    """

    folder: str
    line: str
    code: int
    output: str
    lines: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An expectation, in words; whether it *held*, None where it could not be known; and what was *seen* instead, or why not."""

    claim: str
    held: bool | None
    seen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its *name* on the command line, a *title*, what is asked (*why*), what was done, and what it *shows*."""

    number: int
    name: str
    title: str
    why: str
    shows: str
    commands: tuple[Command, ...]
    facts: tuple[Fact, ...]
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """The verdict on the step."""
        if any(fact.held is False for fact in self.facts):
            return Outcome.UNEXPECTED
        if not self.facts or any(fact.held is None for fact in self.facts):
            return Outcome.SKIPPED
        return Outcome.EXPECTED

    @property
    def held(self) -> int:
        """How many of its facts held."""
        return sum(fact.held is True for fact in self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program that the lab ran: its *version*, empty where it is not there, and then why not and what to do (*missing*)."""

    name: str
    version: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that was done. *folder* is where it lies, empty where it was removed."""

    steps: tuple[Step, ...]
    tools: tuple[Tool, ...]
    python: str
    folder: str
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every fact of every step held."""
        return bool(self.steps) and all(step.outcome is Outcome.EXPECTED for step in self.steps)

    def number(self, outcome: Outcome) -> int:
        """How many steps ended so."""
        return sum(step.outcome is outcome for step in self.steps)
