"""The lab as it is told on a terminal: each step a title, its commands as they can be pasted, what mattered of what they said."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from sanctity.lab.story import Outcome, verdict_of
from sanctity.report.text import Paint
from sanctity.report.words import count, plain

if TYPE_CHECKING:
    from sanctity.lab.steps import Definition
    from sanctity.lab.story import Command, Step, Story

__all__ = ["begin_text", "command_text", "end_text", "listing_text", "story_text"]

_STYLES: Final = {Outcome.EXPECTED: "good", Outcome.UNEXPECTED: "bad", Outcome.SKIPPED: "doubt"}
_WORDS: Final = {Outcome.EXPECTED: "as expected", Outcome.UNEXPECTED: "NOT as expected", Outcome.SKIPPED: "SKIPPED"}
_WIDTH: Final = 112
_LONGEST: Final = 150


def _wrapped(text: str, indent: str = "   ") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def begin_text(number: int, definition: Definition, paint: Paint | None = None) -> str:
    """The head of a step: its number, title, and the question it asks."""
    paint = paint or Paint()
    return f"\n{paint('bold', f'{number}  {plain(definition.title)}')}\n{_wrapped(plain(definition.why))}\n"


def command_text(command: Command, folder: str, paint: Paint | None = None) -> str:
    """*command* as it can be pasted, after a change of folder where the one before it ran in another *folder*."""
    paint = paint or Paint()
    lines = []
    if command.line.startswith("#"):
        return f"   {paint('dim', plain(command.line))}\n"
    if command.folder != folder:
        lines.append(paint("dim", f"   $ cd $LAB/{plain(command.folder)}".rstrip("/")))
    line = plain(command.line)
    # A long line is broken where a shell reads on by itself.
    lines.append(f"   $ {line}" if len(line) <= _WIDTH else "   $ " + line.replace(" && ", " &&\n     "))
    for line in command.lines:
        verdict, style, rest = verdict_of(_short(plain(line.strip())))
        lines.append(f"       {paint(style, verdict) if verdict else ''}{rest}")
    return "\n".join(lines) + "\n"


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def end_text(step: Step, paint: Paint | None = None) -> str:
    """What a step shows and its verdict; under it whatever did not hold, or could not be known."""
    paint = paint or Paint()
    outcome = step.outcome
    lines = [_wrapped(plain(step.shows))] if outcome is Outcome.EXPECTED else []
    verdict = paint(_STYLES[outcome], _WORDS[outcome])
    lines.append(f"   {verdict}   {step.held} of {count(len(step.facts), 'expectation')} held, {step.seconds:.1f} s")
    for fact in step.facts:
        if not fact.held:
            word = paint("bad", "NOT") if fact.held is False else paint("doubt", "not known")
            lines.append(f"     {word}  {plain(fact.claim)}   ({_short(plain(fact.seen))})")
    return "\n".join(lines) + "\n"


def story_text(story: Story, paint: Paint | None = None) -> str:
    """The last word: how many steps came out as expected, with what, and where it all lies."""
    paint = paint or Paint()
    style = "good" if story.complete else "bad" if story.number(Outcome.UNEXPECTED) else "doubt"
    tools = ", ".join(
        [f"Python {plain(story.python)}", *(f"{tool.name} {plain(tool.version)}" for tool in story.tools if tool.version)]
    )
    whole = f"{story.number(Outcome.EXPECTED)} of {count(len(story.steps), 'step')} as expected"
    parts = [
        whole,
        *(
            f"{story.number(outcome)} {_WORDS[outcome]}"
            for outcome in (Outcome.UNEXPECTED, Outcome.SKIPPED)
            if story.number(outcome)
        ),
    ]
    lines = [f"\n{paint(style, 'LAB')}  {', '.join(parts)}   {story.seconds:.0f} s; {tools}"]
    lines += [paint("doubt", f"  without {tool.name}: {_short(plain(tool.missing))}") for tool in story.tools if tool.missing]
    if story.folder:
        lines.append(f"  kept in {plain(story.folder)}; to go on by hand, in a new shell: . {plain(story.folder)}/activate")
    return "\n".join(lines) + "\n"


def listing_text(definitions: tuple[Definition, ...]) -> str:
    """The steps that there are."""
    width = max(len(each.name) for each in definitions)
    return "".join(f"{number}  {each.name:<{width}}  {each.title}\n" for number, each in enumerate(definitions))
