"""The shell commands that a file runs: a script, a container file, a CI file, a Makefile, tox.ini, noxfile.py, a Procfile.

A command is a line and its words. What a shell would only print or store, what is commented out, and what stands in a here-document
are no commands. Nothing is expanded: a word that holds a variable keeps it. A text that its own program would not take gives the
commands that it plainly has; nothing here raises, and every loop ends with the text.
"""

from __future__ import annotations

import ast
import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Command", "commands", "is_command_file", "runs_commands"]


class Command(NamedTuple):
    """One command: the *line* that it begins on, and its *words*, the first of which is the program."""

    line: int
    words: tuple[str, ...]


class _Line(NamedTuple):
    """A line of text that a shell would see, and the number of the file's line that it is on."""

    number: int
    text: str


_YAML: Final = re.compile(r".+\.ya?ml")
_DOCS: Final = re.compile(r"\.?readthedocs\.ya?ml")
#: What a Read the Docs build installs without a command: files of requirements, and the project by pip.
_DOCS_ROW: Final = re.compile(r"[ \t]*(?:-[ \t]+)?(?:requirements:[ \t]*['\"]?(?P<file>[^\s'\"#]+)|method:[ \t]*['\"]?pip\b)")
_DOCKER: Final = re.compile(r"(?i:(?:.*[._-])?(?:dockerfile|containerfile)(?:[._-].*)?)")
_MAKE: Final = re.compile(r"(?:GNU)?[Mm]akefile|.+\.mk")
_JUST: Final = re.compile(r"\.?[Jj]ustfile|.+\.just")
_SHELL: Final = re.compile(r".+\.(?:sh|bash|zsh)|postBuild|postStart")

#: Keys of a CI file whose text, or list of texts, is run.
_RUN_KEYS: Final = frozenset(
    (  # noqa: SIM905 - these words read better than as many texts
        "run script before_script after_script bash pwsh powershell command commands install before_install after_install "
        "pre_build post_build build on_start pre_create_environment post_create_environment pre_install post_install "
        "pre_system_dependencies post_system_dependencies"
    ).split()
)
#: Words of a shell before which, or after which, a command stands.
_KEYWORDS: Final = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "}", "time", "fi", "done", "esac"})
#: Programs that run what follows them, by the options of theirs that take a value.
_WRAPPERS: Final = {
    "sudo": frozenset({"-u", "-g", "-C", "-h", "-p", "-R", "-T"}),
    "env": frozenset({"-u", "-C"}),
    "exec": frozenset({"-a"}),
    "command": frozenset[str](),
    "nohup": frozenset[str](),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "timeout": frozenset({"-k", "-s"}),
    "retry": frozenset({"-t", "-d"}),
    "xargs": frozenset({"-n", "-P", "-I", "-L", "-d", "-a"}),
    "chronic": frozenset[str](),
    "winpty": frozenset[str](),
    "gosu": frozenset[str](),
    "stdbuf": frozenset({"-i", "-o", "-e"}),
}
#: Of these, how many plain words come before the command.
_OPERANDS: Final = {"timeout": 1, "gosu": 1}
_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ash", "ksh", "busybox"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=.*", re.DOTALL)
_HEREDOC: Final = re.compile(
    r"<<(?P<tabs>-?)[ \t]*(?:'(?P<one>[^'\n]+)'|\"(?P<two>[^\"\n]+)\"|\\?(?P<three>[A-Za-z_][A-Za-z0-9_.+-]*))"
)
#: The pieces that a shell's text is made of. A quote that nothing closes is a letter.
_PIECE: Final = re.compile(
    r"(?P<blank>[ \t\r\f\v]+|\\\r?\n)"
    r"|(?P<newline>\n)"
    r"|(?P<single>'[^']*')"
    r'|(?P<double>"(?:[^"\\]++|\\.)*+")'
    r"|(?P<escape>\\.)"
    r"|(?P<variable>\$\{\{.{0,120}?\}\}|\$\{[^}\n]{0,200}\}|`[^`]*`|\{\{[^{}\n]*\}\})"
    rf"|(?P<document>(?!<<<){_HEREDOC.pattern})"
    r"|(?P<redirection><<<|&?>>|&>|>\||[<>]&?|<>)"
    r"|(?P<open>\$?\()"
    r"|(?P<separator>;|\||&|\))"
    r"|(?P<other>[^\s'\"\\$`{<>&|;()#]+|.)",
    re.DOTALL,
)
_REST: Final = re.compile(r"[^\n]*").match
_INSTRUCTION: Final = re.compile(r"[ \t]*(?:onbuild[ \t]+)?(run|cmd|entrypoint)\b", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"#[ \t]*escape[ \t]*=[ \t]*`", re.IGNORECASE)
_INI_SECTION: Final = re.compile(r"\[([^\]\n]+)\]")
_INI_KEY: Final = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*[=:](.*)")
_FACTORS: Final = re.compile(r"[!\w{},.-]+[ \t]*:(?!//|:)[ \t]+|[!\w{},-]+:[ \t]*(?=-r|-c|[A-Za-z])(?!.*://)")
_NESTING: Final = 4
_MOST_OPTIONS: Final = 10
#: How many brackets that nothing closes are looked for the end of.
_MOST_OPEN: Final = 100
_MOST: Final = 20_000


def is_command_file(path: str) -> bool:
    """Whether the file *path*, relative to the project, is of a kind that commands are read from."""
    return _reader(path) is not None


def runs_commands(path: str, text: str) -> bool:
    """Whether a file of no telling name is a shell's script, by its first line."""
    return _reader(path) is not None or re.match(r"#![^\n]*\b(?:ba|da|z|k)?sh\b", text) is not None


def commands(path: str, text: str) -> Iterator[Command]:
    """The commands of the file *path* that holds *text*."""
    yield from islice((_reader(path) or _script)(text), _MOST)


def _reader(path: str) -> Callable[[str], Iterator[Command]] | None:
    name = path.rpartition("/")[2]
    if name == "noxfile.py":
        return _nox
    if name == "tox.ini":
        return _tox
    if name == "Procfile":
        return _procfile
    if _DOCS.fullmatch(name):
        return _docs
    for pattern, reader in ((_DOCKER, _docker), (_YAML, _yaml), (_MAKE, _make), (_JUST, _just)):
        if pattern.fullmatch(name):
            return reader
    return _script if _SHELL.fullmatch(name) else None


# --- Kinds of files


def _script(text: str) -> Iterator[Command]:
    return _shell([_Line(number, line) for number, line in enumerate(text.splitlines(), start=1)])


def _docker(text: str) -> Iterator[Command]:
    """Each RUN (and CMD, ENTRYPOINT), in any of its forms; comment lines inside of one are dropped, as Docker does."""
    lines = text.splitlines()
    escape = "`" if any(_ESCAPE.match(line) for line in lines[:3]) else "\\"
    at = 0
    while at < len(lines):
        found = _INSTRUCTION.match(lines[at])
        parts: list[_Line] = []
        continued = True
        start = found.end() if found else 0
        while continued and at < len(lines):
            line = lines[at]
            if not (parts and line.lstrip().startswith("#")):
                continued = line.rstrip().endswith(escape)
                body = line[start:] if not parts else line
                parts.append(_Line(at + 1, body.rstrip()[:-1] + "\\" if continued else body))
            at += 1
        bodies: list[_Line] = []
        for match in [match for part in parts for match in _HEREDOC.finditer(part.text)]:
            end = match["one"] or match["two"] or match["three"]
            while at < len(lines) and (lines[at].lstrip("\t") if match["tabs"] else lines[at]).rstrip("\r") != end:
                bodies.append(_Line(at + 1, lines[at]))
                at += 1
            at += 1
        if found:
            yield from _run(parts, bodies)


def _run(parts: list[_Line], bodies: list[_Line]) -> Iterator[Command]:
    """The commands of one RUN: its options dropped, a JSON list as the words that it is, a here-document as a script of its own."""
    joined = " ".join(part.text.removesuffix("\\").strip() for part in parts).strip()
    for _ in range(_MOST_OPTIONS):
        option = re.match(r"--[a-z]+(?:=\S*)?[ \t]*", joined)
        if option is None:
            break
        joined = joined[option.end() :]
        for index, part in enumerate(parts):
            if match := re.match(r"[ \t]*--[a-z]+(?:=\S*)?", part.text):
                parts[index] = _Line(part.number, part.text[match.end() :])
                break
            if part.text.removesuffix("\\").strip():
                break
    if joined.startswith("["):
        try:
            words = json.loads(joined)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            yield from _of_words(parts[0].number, tuple(words), _NESTING)
            return
    if bodies and re.match(r"(?:(?:/bin/)?(?:ba|da)?sh[ \t]*(?:-\w+[ \t]*)*)?<<", joined):
        yield from _shell(bodies)
    else:
        yield from _shell(parts)


def _yaml(text: str) -> Iterator[Command]:
    """The texts under keys that CI systems run, from libyaml's events, so that nothing is built and nothing recurs."""
    from yaml import CLoader, YAMLError, parse
    from yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

    lines = text.splitlines()
    # Of each collection that is open: whether it is a table, the key that the next value is of, and that which it is under itself.
    stack: list[list[object]] = []
    try:
        for count, event in enumerate(parse(text, Loader=CLoader)):
            if count > 10 * _MOST or len(stack) > 100:
                return
            if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
                under = _under(stack)
                stack.append([isinstance(event, MappingStartEvent), None, under if isinstance(event, SequenceStartEvent) else None])
            elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
                stack.pop()
                _next(stack)
            elif isinstance(event, ScalarEvent):
                if stack and stack[-1][0] and stack[-1][1] is None:
                    stack[-1][1] = event.value
                    continue
                if _under(stack) in _RUN_KEYS:
                    yield from _shell(_lines_of(event, lines))
                _next(stack)
            else:
                _next(stack)
    except (YAMLError, ValueError, UnicodeError, RecursionError):  # a template, or broken: what came before it counts
        return


def _docs(text: str) -> Iterator[Command]:
    """The configuration of a Read the Docs build: its commands, and what it installs without one."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _DOCS_ROW.match(line)
        if found:
            yield Command(number, ("pip", "install", *(("-r", found["file"]) if found["file"] else (".",))))
    yield from _yaml(text)


def _under(stack: list[list[object]]) -> object:
    """The key that the next value of the innermost collection is under."""
    return None if not stack else stack[-1][1] if stack[-1][0] else stack[-1][2]


def _next(stack: list[list[object]]) -> None:
    if stack and stack[-1][0]:
        stack[-1][1] = None


def _lines_of(event: object, lines: Sequence[str]) -> list[_Line]:
    """The lines of a scalar, each with its place in the file where that is plain."""
    value, style, first = str(event.value), event.style, event.start_mark.line + 1  # type: ignore[attr-defined]
    if style != "|":
        return [_Line(first, line) for line in value.splitlines()]
    start = first  # the line after the indicator, from 0
    while start < len(lines) and not lines[start].strip() and not value.startswith("\n"):
        start += 1
    return [_Line(start + index + 1, line) for index, line in enumerate(value.splitlines())]


def _make(text: str) -> Iterator[Command]:
    """The recipes of a Makefile: what begins with a tab, or follows a rule's semicolon. Each line has a shell of its own."""
    recipe: list[_Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        going = bool(recipe)
        rule = None if going or line.startswith("\t") else re.match(r"[^\s#=:;][^#=:;\n]*::?[^#=;\n]*;(.*)", line)
        if not going and not line.startswith("\t") and rule is None:
            continue
        body = rule[1] if rule else line
        body = body.strip() if going else body.strip().lstrip("@-+").lstrip()
        recipe.append(_Line(number, body.replace("$$", "$")))
        if not body.endswith("\\"):
            yield from _shell(recipe)
            recipe = []
    yield from _shell(recipe)


def _just(text: str) -> Iterator[Command]:
    """The recipes of a justfile: what is indented."""
    recipe: list[_Line] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line[:1] not in {" ", "\t"} and not recipe:
            continue
        body = line.strip() if recipe else line.strip().lstrip("@-").lstrip()
        recipe.append(_Line(number, body))
        if not body.endswith("\\"):
            yield from _shell(recipe)
            recipe = []
    yield from _shell(recipe)


def _procfile(text: str) -> Iterator[Command]:
    for number, line in enumerate(text.splitlines(), start=1):
        yield from _shell([_Line(number, line.partition(":")[2])])


def _tox(text: str) -> Iterator[Command]:
    """The commands of each environment; its ``deps`` as the ``pip install`` that tox makes of them."""
    section = key = ""
    lines: list[_Line] = []
    deps: list[str] = []
    first = 0
    for number, line in enumerate([*text.splitlines(), "[end]"], start=1):
        bare = line.strip()
        if bare.startswith(("#", ";")) or not bare:
            continue
        value = bare
        if not line[0].isspace():
            if deps:
                yield Command(first, ("pip", "install", *deps))
                deps = []
            header, entry = _INI_SECTION.match(line), _INI_KEY.match(line)
            section = header[1] if header else section
            key = "" if header or not entry else entry[1].replace("-", "_")
            first = number
            value = entry[2].strip() if entry and not header else ""
        if not section.startswith("testenv") or not value:
            continue
        factors = _FACTORS.match(value)
        value = value[factors.end() :] if factors else value
        value = value.split(" #")[0].strip()
        if key == "deps":
            first = first if deps else number
            deps += value.split(None, 1) if value.startswith("-") else [re.sub(r"\s*;.*", "", value).replace(" ", "")]
        elif key in {"commands", "commands_pre", "commands_post"}:
            lines.append(_Line(number, value.lstrip("-! ")))
            if not value.endswith("\\"):
                yield from _shell(lines)
                lines = []
    yield from _shell(lines)


def _nox(text: str) -> Iterator[Command]:
    """What sessions install and run; an argument that is no text is a word that nobody knows."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not isinstance(node.func.value, ast.Name):
            continue
        if node.func.value.id not in {"session", "s"}:
            continue
        words = tuple(
            arg.value if isinstance(arg, ast.Constant) and isinstance(arg.value, str) else "$ARGUMENT" for arg in node.args
        )
        match node.func.attr:
            case "install":
                yield Command(node.lineno, ("pip", "install", *words))
            case "conda_install":
                yield Command(node.lineno, ("conda", "install", *words))
            case "run" | "run_always" | "run_install" if words:
                yield from _of_words(node.lineno, words, _NESTING)


# --- A shell's words


def _shell(lines: Sequence[_Line], nesting: int = _NESTING) -> Iterator[Command]:
    """The commands of *lines*, as a shell reads them."""
    for line, words in _split(lines):
        yield from _of_words(line, words, nesting)


def _of_words(line: int, words: tuple[str, ...], nesting: int) -> Iterator[Command]:
    """The command that *words* are, without what only says how to run it; of ``sh -c TEXT`` the commands of the text."""
    at = 0
    while at < len(words):
        word = words[at]
        name = word.rpartition("/")[2]
        if word in _KEYWORDS or _ASSIGNMENT.fullmatch(word):
            at += 1
        elif name in _WRAPPERS:
            at += 1
            while at < len(words) and (words[at].startswith("-") or _ASSIGNMENT.fullmatch(words[at])):
                at += 2 if words[at] in _WRAPPERS[name] else 1
            at += _OPERANDS.get(name, 0)
        else:
            break
    words = words[at:]
    if not words:
        return
    name = words[0].rpartition("/")[2]
    if name in _SHELLS or name == "eval":
        text = next((words[index + 1] for index, word in enumerate(words[:-1]) if re.fullmatch(r"-[a-z]*c", word)), "")
        text = " ".join(words[1:]) if name == "eval" else text
        if text and nesting:
            yield from _shell([_Line(line, part) for part in text.splitlines()], nesting - 1)
        return
    yield Command(line, words)


def _split(lines: Sequence[_Line], nesting: int = _NESTING) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The words of each simple command, and the line of the first. Here-documents are passed over, but for a shell's own."""
    text = "\n".join(line.text for line in lines)
    row = at = first = unclosed = 0
    words: list[str] = []
    word: list[str] = []  # the pieces of the word that is being read
    documents: list[re.Match[str]] = []
    programs: list[str] = []
    dropping = False  # the next word is where something is sent to
    while at <= len(text):
        found = _PIECE.match(text, at) if at < len(text) else None
        kind = found.lastgroup if found else "end"
        piece = found[0] if found else ""
        if kind == "other" and piece == "#" and not word:
            kind, piece = "comment", _REST(text, at)[0]  # type: ignore[index]
        elif kind == "open" and (word or piece.startswith("$")):
            kind, end = "other", _closed(text, at + len(piece)) if unclosed < _MOST_OPEN else 0
            unclosed += not end
            piece = text[at:end] if end else piece
        if kind in {"single", "double", "escape", "variable", "other"}:
            if not word and not words:
                first = row
            word.append(piece[1:-1] if kind in {"single", "double"} else piece[1:] if kind == "escape" else piece)
        elif word:
            if not dropping:
                words.append("".join(word))
            word, dropping = [], False
        if kind == "document" and found is not None:
            documents.append(found)
        elif kind == "redirection":
            if words and words[-1].isdecimal() and text[at - 1 : at].isdecimal():
                words.pop()
            dropping = True
        elif kind in {"open", "separator", "newline", "end"}:
            if words:
                yield lines[first].number, tuple(words)
                programs.append(words[0])
            words, dropping = [], False
        row += piece.count("\n")
        at += len(piece) or 1
        if kind == "newline":
            for match in documents:
                begin = row
                stop = match["one"] or match["two"] or match["three"]
                while (
                    row < len(lines) and (lines[row].text.lstrip("\t") if match["tabs"] else lines[row].text).rstrip("\r") != stop
                ):
                    at += len(lines[row].text) + 1
                    row += 1
                if nesting and programs and programs[-1].rpartition("/")[2] in _SHELLS:
                    yield from _split(lines[begin:row], nesting - 1)
                at += len(lines[row].text) + 1 if row < len(lines) else 0
                row += 1
            documents, programs = [], []
            if row >= len(lines):
                return


def _closed(text: str, at: int) -> int:
    """Where what was opened just before *at* is closed, at most some thousand letters on; 0 where it is not."""
    depth = 1
    for index in range(at, min(len(text), at + 4000)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if not depth:
            return index + 1
    return 0
