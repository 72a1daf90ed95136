"""The lab as data: the document ``sanctity.lab/1`` (``report/schema/lab-1.json`` in the package)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sanctity
from sanctity.report.json import dump, packaged_schema
from sanctity.report.words import utf8

if TYPE_CHECKING:
    from sanctity.lab.story import Command, Fact, Step, Story

__all__ = ["schema", "story_document", "story_json"]


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return packaged_schema("lab-1")


def story_document(story: Story) -> dict[str, Any]:
    """*story* as the document's own plain values."""
    return {
        "schema": "sanctity.lab/1",
        "tool": {"name": "sanctity", "version": sanctity.__version__},
        "complete": story.complete,
        "python": story.python,
        "tools": [
            {"name": tool.name, "version": tool.version or None, "missing": utf8(tool.missing) or None} for tool in story.tools
        ],
        "folder": utf8(story.folder) or None,
        "seconds": round(story.seconds, 1),
        "steps": [_step(step) for step in story.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "number": step.number,
        "name": step.name,
        "title": step.title,
        "outcome": str(step.outcome),
        "seconds": round(step.seconds, 1),
        "facts": [_fact(fact) for fact in step.facts],
        "commands": [_command(command) for command in step.commands],
    }


def _fact(fact: Fact) -> dict[str, Any]:
    return {"claim": utf8(fact.claim), "held": fact.held, "seen": utf8(fact.seen) or None}


def _command(command: Command) -> dict[str, Any]:
    return {
        "folder": command.folder,
        "line": utf8(command.line),
        "code": command.code,
        "output": utf8(command.output),
        "seconds": round(command.seconds, 2),
    }


def story_json(story: Story) -> str:
    """The text of the document."""
    return dump(story_document(story))
