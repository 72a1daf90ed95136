"""Which build of an interpreter this is, told by its own bytes. It is never run.

The compiler and the date of compilation are constant texts in the executable, or in the libpython that it needs (CPython's
``Python/getcompiler.c`` and ``Modules/getbuildinfo.c``); the configure arguments stand in the standard library's
``_sysconfigdata*.py``, which is read as text and never executed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sanctity.model.digest import Digest
from sanctity.model.environment import Problem
from sanctity.model.platform import Build
from sanctity.observe.elf import Bytes, Elf, ElfError, build_id, constants, open_elf
from sanctity.observe.interpreter import library_of
from sanctity.observe.stdlib import find_stdlib
from sanctity.observe.view import is_blind
from sanctity.observe.walk import read_each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.model.environment import FileEntry, Interpreter
    from sanctity.observe.view import View

__all__ = ["executable_of", "observe_build", "parse_configure", "parse_stamp", "read_files"]

_LARGEST: Final = 1 << 21
_COMPILER: Final = re.compile(rb"\[((?:GCC|Clang) [ -~]{1,200}?)\s?\]\0")
_COMPILERS: Final = (b"[GCC ", b"[Clang ")
_DATE: Final = re.compile(rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d 20\d\d\0")
_TIME: Final = re.compile(rb"\d\d:\d\d:\d\d\0")
_DATE_SIZE, _TIME_SIZE, _YEAR_AT = 11, 8, 6
_STRING: Final = rb"'[^'\\\n]*(?:\\.[^'\\\n]*)*'|\"[^\"\\\n]*(?:\\.[^\"\\\n]*)*\""
_ARGUMENTS: Final = re.compile(rb"(?:^ {0,8}|\{)['\"]CONFIG_ARGS['\"]:\s*((?:(?:" + _STRING + rb")\s*)+)", re.MULTILINE)
_PIECE: Final = re.compile(_STRING)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_PREFIX: Final = re.compile(r"--prefix=(/[^'\s]*)")


def executable_of(prefix: str, interpreter: Interpreter) -> str:
    """The absolute path of the interpreter's executable, empty where there is none."""
    found = interpreter.executable
    return found if not found or found.startswith("/") else f"{prefix.rstrip('/')}/{found}"


def read_files(view: View, paths: Iterable[str]) -> tuple[dict[str, FileEntry], list[Problem]]:
    """The files at the absolute *paths*, read and hashed, by path, and what could not be read; what is absent is left out."""

    def resolve(path: str) -> str:
        return view.host(view.real("/" + path))

    tree = read_each(view.host("/"), [path[1:] for path in paths], resolve=resolve)
    return {"/" + path: entry for path, entry in tree.files.items()}, [
        problem._replace(path="/" + problem.path) for problem in tree.problems
    ]


def observe_build(view: View, prefix: str, interpreter: Interpreter) -> tuple[Build, tuple[Problem, ...]]:
    """Look at the build of *interpreter*, which was seen in the environment at *prefix*, and tell what could not be read.

    What the bytes do not state is left empty; `Build.executable` is None where there is no executable that could be read.
    """
    executable = executable_of(prefix, interpreter)
    problems: list[Problem] = []
    if not executable:
        return Build(), ()
    real = view.real(executable)
    library = identity = library_identity = compiler = compiled = ""
    try:
        with open_elf(view.host(real)) as (data, elf):
            identity = build_id(data, elf)
            library = library_of(view, real, elf)
            if not library:
                compiler, compiled = parse_stamp(data, elf)
        if library:
            with open_elf(view.host(library)) as (data, elf):
                library_identity = build_id(data, elf)
                compiler, compiled = parse_stamp(data, elf)
    except ElfError:
        pass  # what it is by its bytes is told by their digest, and `observe_interpreter` says that it is no interpreter
    except OSError as error:
        if is_blind(error):
            problems.append(Problem("unreadable", library or real, error.strerror or "unreadable"))
    files, unread = read_files(view, [real, library] if library else [real])
    problems.extend(unread)
    digests = {path: Digest.of_sha256(entry.digest) for path, entry in files.items() if entry.digest}
    arguments, problem = _read_configure(view, interpreter)
    if problem:
        problems.append(problem)
    build = Build(
        executable=digests.get(real),
        library=digests.get(library),
        executable_id=identity,
        library_id=library_identity,
        compiler=compiler,
        compiled=compiled,
        configure=_without_base(view, arguments, interpreter.base),
    )
    return build, tuple(sorted(set(problems)))


def parse_stamp(data: Bytes, elf: Elf) -> tuple[str, str]:
    """The compiler (``GCC 12.2.0``) and the date of compilation (``Nov 23 2026, 12:00:00``) among the constants of *elf*.

    The date is empty where the bytes hold several, or only a date without a time, so that it can not be told which is meant.
    Raises ElfError.
    """
    compiler = ""
    together: set[str] = set()
    dates: set[str] = set()
    times: set[str] = set()
    for block in constants(data, elf):
        if not compiler:
            compiler = _find_compiler(block)
        at = block.find(b" 20")
        while at >= 0:
            start = at - _YEAR_AT
            if start >= 0 and _DATE.match(block, start) and (start == 0 or not block[start - 1]):
                date = block[start : start + _DATE_SIZE].decode()
                dates.add(date)
                beside = block[max(0, start - _TIME_SIZE - 1) : start], block[start + _DATE_SIZE + 1 :][: _TIME_SIZE + 1]
                together.update(f"{date}, {text[:-1].decode()}" for text in beside if _TIME.fullmatch(text))
            at = block.find(b" 20", at + 1)
        if compiler and len(together) == 1:
            return compiler, together.pop()
    if len(dates) == 1 and not together:
        # A linker that merges equal texts may have moved the two apart.
        times = {
            match[0][:-1].decode() for block in constants(data, elf) for match in re.finditer(rb"(?<=\0)" + _TIME.pattern, block)
        }
        together = {f"{date}, {time}" for date in dates for time in times}
    return compiler, together.pop() if len(together) == 1 else ""


def _find_compiler(block: bytes) -> str:
    for start in _COMPILERS:
        at = block.find(start)
        while at >= 0:
            if match := _COMPILER.match(block, at):
                return match[1].decode("ascii")
            at = block.find(start, at + 1)
    return ""


def _read_configure(view: View, interpreter: Interpreter) -> tuple[str, Problem | None]:
    """The configure arguments as they stand in the standard library, and why they could not be read."""
    folder = find_stdlib(view, interpreter)
    for name in view.listing(folder) if folder else ():
        if name.startswith("_sysconfigdata") and name.endswith(".py"):
            try:
                arguments = parse_configure(view.read(f"{folder}/{name}", _LARGEST))
            except OSError as error:
                if is_blind(error):
                    return "", Problem("unreadable", f"{folder}/{name}", error.strerror or "unreadable")
                continue
            if arguments:
                return arguments, None
    return "", None


def parse_configure(data: bytes) -> str:
    """The text of ``CONFIG_ARGS`` in a ``_sysconfigdata*.py``: string literals that follow each other, as `pprint` writes them."""
    found = _ARGUMENTS.search(data)
    if not found:
        return ""
    pieces = (match[0][1:-1].decode("utf-8", "replace") for match in _PIECE.finditer(found[1]))
    return "".join(_ESCAPE.sub(_unescape, piece) for piece in pieces)


def _unescape(match: re.Match[str]) -> str:
    if match[4]:
        return _ESCAPES.get(match[4], match[4])
    code = int(match[1] or match[2] or match[3], 16)
    return chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else "\ufffd"


def _without_base(view: View, arguments: str, base: str) -> str:
    """*arguments* with the base prefix written ``${base}``, also where they name it through a link."""
    bases = {base.rstrip("/")}
    if (named := _PREFIX.search(arguments)) and view.real(named[1]) == base:
        bases.add(named[1].rstrip("/"))
    for text in sorted(bases - {""}, key=len, reverse=True):
        # After a letter it would be the end of another path, unless the letter is that of an option: -L/opt/python/lib.
        arguments = re.sub(rf"(?:(?<=-[ILRB])|(?<![\w.-])){re.escape(text)}(?![\w.+-])", "${base}", arguments)
    return arguments
