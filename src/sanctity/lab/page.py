"""The lab as one HTML page with nothing to load: no script, no font, no picture; light and dark as the reader has it.

Text from outside is escaped where it is put in. The colours have at least the contrast that WCAG 2.2 asks of text (4.5 to 1).
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

import sanctity
from sanctity.lab.story import Outcome, verdict_of
from sanctity.report.page import page
from sanctity.report.words import count, plain

if TYPE_CHECKING:
    from sanctity.lab.story import Command, Fact, Step, Story

__all__ = ["story_page"]

_MOST_OUTPUT: Final = 6000
_WORDS: Final = {Outcome.EXPECTED: "as expected", Outcome.UNEXPECTED: "not as expected", Outcome.SKIPPED: "skipped"}
_CLASSES: Final = {Outcome.EXPECTED: "good", Outcome.UNEXPECTED: "bad", Outcome.SKIPPED: "doubt"}

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fbfaf8; --ink: #22252b; --quiet: #5d636e; --line: #e2dfd9; --box: #f1efea;
  --good: #1b6e3c; --bad: #b3261e; --doubt: #7d5a00; --mark: #2f5fa8; }
@media (prefers-color-scheme: dark) { :root { --page: #16181c; --ink: #e4e2dd; --quiet: #a0a5af; --line: #2e3239; --box: #1f2228;
  --good: #76c893; --bad: #ff8a80; --doubt: #e0b44c; --mark: #8fb4ee; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 17px/1.6 ui-sans-serif, system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 3.5rem 1.5rem 5rem; }
h1 { font-size: 1.85rem; line-height: 1.2; margin: 0 0 .6rem; letter-spacing: -.015em; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 0; letter-spacing: -.01em; }
p { margin: .5rem 0; }
.lead { font-size: 1.1rem; color: var(--quiet); max-width: 42rem; }
.facts { color: var(--quiet); font-size: .9rem; }
.verdict { font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); } .doubt { color: var(--doubt); }
nav { margin: 2rem 0 0; border-top: 1px solid var(--line); }
nav a { display: grid; grid-template-columns: 2rem 1fr auto; gap: .5rem; padding: .45rem 0; border-bottom: 1px solid var(--line);
  color: inherit; text-decoration: none; }
nav a:hover .name, nav a:focus-visible .name { text-decoration: underline; }
nav .number { color: var(--quiet); font-variant-numeric: tabular-nums; }
nav .outcome { font-size: .9rem; white-space: nowrap; }
section { margin-top: 3.5rem; scroll-margin-top: 1.5rem; }
.head { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; justify-content: space-between; }
.number { color: var(--quiet); font-weight: 400; margin-right: .6rem; }
.why { max-width: 42rem; }
.run { background: var(--box); border-radius: 8px; padding: .3rem 1rem; margin: 1rem 0; }
.one { padding: .5rem 0; border-top: 1px solid var(--line); }
.one:first-child { border-top: 0; }
pre, code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
pre { margin: 0; font-size: .8rem; line-height: 1.55; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.line { padding-left: 1.1rem; text-indent: -1.1rem; }
pre.line::before { content: "$ "; color: var(--quiet); }
pre.note { color: var(--quiet); }
pre.said { margin: .25rem 0 0 1.1rem; color: var(--quiet); }
pre.where { color: var(--quiet); }
.code { font-size: .8rem; margin: .25rem 0 0 1.1rem; }
details { margin: .3rem 0 0 1.1rem; font-size: .8rem; color: var(--quiet); }
summary { cursor: pointer; width: fit-content; }
details pre { margin-top: .3rem; max-height: 22rem; overflow: auto; }
.shows { border-left: 3px solid var(--mark); padding: .1rem 0 .1rem 1rem; margin: 1rem 0; max-width: 42rem; }
ul { list-style: none; margin: .75rem 0 0; padding: 0; font-size: .92rem; }
li { display: grid; grid-template-columns: 1.4rem 1fr; padding: .12rem 0; }
li .seen { grid-column: 2; color: var(--quiet); font-size: .85rem; overflow-wrap: anywhere; }
footer { margin-top: 4rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: .85rem; }
footer code { overflow-wrap: anywhere; }
@media (max-width: 36rem) { body { font-size: 16px; } main { padding: 2rem 1rem 3rem; } h1 { font-size: 1.6rem; }
  .run { padding: .2rem .75rem; margin-inline: -.25rem; } section { margin-top: 2.75rem; } }
@media print { body { background: none; } .run { border: 1px solid var(--line); } details { display: none; } }
"""


def _text(text: str) -> str:
    return escape(plain(text))


def _lines(text: str) -> str:
    """*text* of several lines, each made plain; of a very long one its end."""
    cut = text if len(text) <= _MOST_OUTPUT else f"…{text[-_MOST_OUTPUT:]}"
    return "\n".join(_text(line.rstrip()) for line in cut.splitlines())


def _command(command: Command, folder: str) -> str:
    if command.line.startswith("#"):
        return f'<div class="one"><pre class="note">{_text(command.line)}</pre></div>'
    parts = ['<div class="one">']
    if command.folder != folder:
        parts.append(f'<pre class="where">{_text(f"$ cd $LAB/{command.folder}".rstrip("/"))}</pre>')
    parts.append(f'<pre class="line">{_text(command.line)}</pre>')
    if command.lines:
        said = "\n".join(_said(line) for line in command.lines)
        parts.append(f'<pre class="said">{said}</pre>')
    if command.code:
        parts.append(f'<div class="code facts">exit code {command.code}</div>')
    if sum(bool(line.strip()) for line in command.output.splitlines()) > len(command.lines):
        parts.append(f"<details><summary>all it said</summary><pre>{_lines(command.output)}</pre></details>")
    parts.append("</div>")
    return "".join(parts)


def _said(line: str) -> str:
    verdict, style, rest = verdict_of(line)
    return (f'<span class="verdict {style}">{verdict}</span>' if verdict else "") + _text(rest)


def _fact(fact: Fact) -> str:
    sign, style, word = ("✓", "good", "held")
    if fact.held is None:
        sign, style, word = ("?", "doubt", "not known")
    elif not fact.held:
        sign, style, word = ("✗", "bad", "did not hold")
    seen = f'<span class="seen">{_text(fact.seen)}</span>' if fact.seen else ""
    return f'<li><span class="{style}" role="img" aria-label="{word}">{sign}</span><span>{_text(fact.claim)}</span>{seen}</li>'


def _step(step: Step) -> str:
    outcome = step.outcome
    commands, folder = [], ""
    for command in step.commands:
        commands.append(_command(command, folder))
        if not command.line.startswith("#"):
            folder = command.folder
    shows = f'<p class="shows">{_text(step.shows)}</p>' if outcome is Outcome.EXPECTED else ""
    return f"""<section id="{_text(step.name)}">
<div class="head"><h2><span class="number">{step.number}</span>{_text(step.title)}</h2>
<span class="facts"><span class="verdict {_CLASSES[outcome]}">{_WORDS[outcome]}</span>, {step.seconds:.1f} s</span></div>
<p class="why">{_text(step.why)}</p>
<div class="run">{"".join(commands)}</div>
{shows}
<ul>{"".join(_fact(fact) for fact in step.facts)}</ul>
</section>"""


def story_page(story: Story) -> str:
    """The page of *story*."""
    whole = story.number(Outcome.EXPECTED)
    style = "good" if story.complete else "bad" if story.number(Outcome.UNEXPECTED) else "doubt"
    verdict = f"{whole} of {count(len(story.steps), 'step')} as expected"
    tools = ", ".join(
        [f"Python {_text(story.python)}", *(f"{_text(tool.name)} {_text(tool.version)}" for tool in story.tools if tool.version)]
    )
    missing = "".join(
        f'<p class="facts"><span class="doubt">without {_text(tool.name)}</span>: {_text(tool.missing)}</p>'
        for tool in story.tools
        if tool.missing
    )
    rows = "".join(
        f'<a href="#{_text(step.name)}"><span class="number">{step.number}</span><span class="name">{_text(step.title)}</span>'
        f'<span class="outcome {_CLASSES[step.outcome]}">{_WORDS[step.outcome]}</span></a>'
        for step in story.steps
    )
    if story.folder:
        where = f"It all lies in <code>{_text(story.folder)}</code>; to go on by hand, source <code>activate</code> there."
    else:
        where = "Its folder was removed; <code>sanctity lab --keep</code> leaves it there, to go on by hand."
    body = f"""<header>
<h1>What moves under a program, and what sees it</h1>
<p class="lead">Real packages, real installers, an index on this machine: what was run, what came of it, and what had to.</p>
<p class="facts"><span class="verdict {style}">{verdict}</span> in {story.seconds:.0f} s; {tools}</p>
{missing}
</header>
<nav aria-label="Steps">{rows}</nav>
{"".join(_step(step) for step in story.steps)}
<footer><p><code>$LAB</code> is the lab's own folder. {where}</p>
<p>Made by sanctity {_text(sanctity.__version__)}: <code>sanctity lab --html FILE</code></p></footer>"""
    return page(title=f"The lab: {verdict}", body=(body,), look=_STYLE)
