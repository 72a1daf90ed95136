"""Scripts: which interpreter one starts, and whether it is exactly the wrapper of an entry point.

Installers write the same wrapper in at least six texts and with three kinds of first line (docs/concepts.md), so a
wrapper is proven by its syntax tree and never by its text: imports, one call, nothing else. Anything unproven is hashed.
"""

from __future__ import annotations

import ast
import configparser
import re
from functools import cache, lru_cache
from typing import Final

__all__ = ["EntryPointError", "parse_entry_points", "split_interpreter", "wrapper_target"]

#: A larger file is no generated wrapper; the longest seen has 400 bytes.
_LARGEST: Final = 16384

# The shell and Python must both see nothing here but the start of one interpreter, so no path may hold what either would act
# upon: an expansion in double quotes, anything special outside of quotes, or the end of Python's string.
_POLYGLOT: Final = re.compile(
    rb"""\#!/bin/sh\n
    '''exec'[ ](?![^\n]*''')(?:
        "\$\(dirname[ ]--[ ]"\$\(realpath[ ]--[ ]"\$0"\)"\)"/'(?P<beside>[a-z]+[0-9.]*t?)'
        | "(?P<double>/[^"$`\\\r\n]*)"
        | '(?P<single>/(?:[^'\r\n]|'"'"')*)'
        | (?P<bare>/[A-Za-z0-9_@%+=:,./~^\x80-\xff-]+)
    )[ ]"\$0"[ ]"\$@"\n
    '[ ]'''(?:\n|\Z)""",
    re.VERBOSE,
)
_ATTRIBUTE: Final = re.compile(r"\s*(?P<module>[\w.]+)\s*:\s*(?P<attribute>[\w.]+)\s*+(?:\[.*\])?\s*")


_BLANKS: Final = re.compile(r"[^\S\n]{2,}")


class EntryPointError(ValueError):
    """entry_points.txt can not be read."""


def parse_entry_points(text: str) -> dict[str, str]:
    """The scripts that an ``entry_points.txt`` declares: name to ``module:attribute``; extras in brackets are dropped.

    Raises:
        EntryPointError: the text is no entry-points file, or a script's target is not ``module:attribute``.
    """
    # No section gives its entries to all others: a line is not where that section could be named.
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False, default_section="\n")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        # The parser's time grows with the square of a run of blanks, and no run means more than one blank does.
        parser.read_string(_BLANKS.sub(" ", text))
    except configparser.Error as error:
        raise EntryPointError(str(error).partition("\n")[0]) from error
    found: dict[str, str] = {}
    for section in ("console_scripts", "gui_scripts"):
        if not parser.has_section(section):
            continue
        for name, value in parser.items(section):
            match = _ATTRIBUTE.fullmatch(value)
            if match is None or "/" in name or "\0" in name or name in {"", ".", ".."}:
                raise EntryPointError(f"{name[:60]} = {value[:120]!r} is not a script")
            found[name] = f"{match['module']}:{match['attribute']}"
    return found


def split_interpreter(data: bytes) -> tuple[str, bytes]:
    r"""The interpreter that a script's first line (or its three-line ``/bin/sh`` form) starts, and the bytes after it.

    The interpreter is the whole text behind ``#!``, since a path may hold blanks. uv's relocatable form yields
    ``$ORIGIN/python``, and nothing else does. A file without such a line yields an empty one and all of its bytes.
    """
    if not data.startswith(b"#!"):
        return "", data
    match = _POLYGLOT.match(data)
    if match is not None:
        if match["beside"] is not None:
            return f"$ORIGIN/{match['beside'].decode()}", data[match.end() :]
        quoted = match["double"] or match["bare"] or match["single"].replace(b"'\"'\"'", b"'")
        return quoted.decode("utf-8", "surrogateescape"), data[match.end() :]
    line, _, rest = data.partition(b"\n")
    # The kernel skips blanks and tabs, and takes any other space for a part of the name.
    text = line[2:].decode("utf-8", "surrogateescape").strip(" \t")
    return (f"./{text}" if text.startswith("$ORIGIN/") else text), rest


def _argument_fixes() -> frozenset[str]:
    texts = (
        "sys.argv[0] = sys.argv[0].removesuffix('.exe')",
        r"sys.argv[0] = re.sub(r'(-script\.pyw|\.exe)?$', '', sys.argv[0])",
        r"sys.argv[0] = re.sub(r'(-script\.pyw?|\.exe)?$', '', sys.argv[0])",
        (
            "if sys.argv[0].endswith('-script.pyw'):\n    sys.argv[0] = sys.argv[0][:-11]\n"
            "elif sys.argv[0].endswith('.exe'):\n    sys.argv[0] = sys.argv[0][:-4]"
        ),
        "if sys.argv[0].endswith('.exe'):\n    sys.argv[0] = sys.argv[0][:-4]",
    )
    return frozenset(ast.dump(ast.parse(text).body[0]) for text in texts)


@cache
def _known_argument_fixes() -> frozenset[str]:
    return _argument_fixes()


@cache
def _main_test() -> str:
    return ast.dump(ast.parse("__name__ == '__main__'", mode="eval").body)


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


@lru_cache(maxsize=4096)
def wrapper_target(source: bytes) -> str:
    """``module:attribute`` if *source* is nothing but the wrapper of that entry point, else an empty text.

    The whole file is parsed, its first lines included, since a coding cookie counts by line number. Accepted are ``import sys``,
    ``import re``, one ``from MODULE import ROOT`` (there, or first in what follows), and under ``if __name__ == '__main__':`` at
    most one known adjustment of ``sys.argv[0]`` followed by ``sys.exit(ROOT.ATTRIBUTE())``; before them, in a file that starts
    ``/bin/sh``, the text that the shell reads.
    """
    if len(source) > _LARGEST:
        return ""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    if source.startswith(b"#!/bin/sh\n"):
        match body:
            case [ast.Expr(value=ast.Constant(value=str())), *_]:
                body = body[1:]
            case _:
                return ""
    match body[-1] if body else None:
        case ast.If(test=test, body=[*inner, ast.Expr(value=call)], orelse=[]) if ast.dump(test) == _main_test():
            pass
        case _:
            return ""
    module = root = ""
    imported: set[str] = set()
    fixes: list[ast.stmt] = []
    for statement in (*body[:-1], *inner):
        match statement:
            case ast.Import(names=[ast.alias(name="sys" | "re" as name, asname=None)]) if statement not in inner:
                imported.add(name)
            case ast.ImportFrom(module=str(name), names=[ast.alias(name=taken, asname=None)], level=0) if not module and not fixes:
                module, root = name, taken
            case _ if statement in inner:
                fixes.append(statement)
            case _:
                return ""
    if "sys" not in imported or ("re" not in imported and any("'re'" in ast.dump(fix) for fix in fixes)):
        return ""
    if len(fixes) > 1 or (fixes and ast.dump(fixes[0]) not in _known_argument_fixes()):
        return ""
    match call:
        case ast.Call(func=function, args=[ast.Call(func=target, args=[], keywords=[])], keywords=[]) if (
            _dotted(function) == "sys.exit"
        ):
            attribute = _dotted(target)
        case _:
            return ""
    if not module or attribute.partition(".")[0] != root or root == "*":
        return ""
    return f"{module}:{attribute}"
