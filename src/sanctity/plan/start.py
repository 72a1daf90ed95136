"""What `run` will start: which file, with which arguments and variables. Decided from what was looked at, as values.

The program has to be a part of what was verified: the environment's own interpreter, or a file that a RECORD or a package manager
claims and that is as claimed. That it lies inside the prefix is not enough, since a program that nobody claims is only a note to a
comparison. What a script's first line starts has to be the environment's own interpreter, or else another Python would run it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.compare.ownership import own
from sanctity.errors import SanctityError
from sanctity.model.drift import Code, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sanctity.compare.ownership import Ownership
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Environment

__all__ = ["FRESH", "Located", "Program", "Start", "plan_start", "resource_attributes"]

#: The variable that says where the interpreter keeps bytecode, in the place of each ``__pycache__``.
FRESH: Final = "PYTHONPYCACHEPREFIX"

_PYTHON_NAME: Final = re.compile(r"(?:python|pypy)(?:\d+(?:\.\d+)?t?d?)?(?:\.exe)?")
#: Options, alone or in a cluster such as ``-sE``, that make the interpreter ignore variables.
_IGNORES_VARIABLES: Final = re.compile(r"(?:^|\s)-[a-zA-Z]*[EI]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a file lies: its absolute *path*, and *real* with every link followed.

    *inner* is the path relative to the prefix with the links of its folder followed, and *inner_real* with every link followed;
    each is empty outside of the prefix.
    """

    path: str
    real: str
    inner: str = ""
    inner_real: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program as it was found: the *word* that was asked for, its *file*, and for a script what its first line *starts*.

    *shebang* is that line's text, and *options* what it hands to the interpreter.
    """

    word: str
    file: Located
    shebang: str = ""
    options: str = ""
    starts: Located | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What is started: the file *path* with the arguments *argv*, which begin with the program's own name, and *environ*."""

    path: str
    argv: tuple[str, ...]
    environ: tuple[tuple[str, str], ...]


def plan_start(
    program: Program,
    arguments: Sequence[str],
    environment: Environment,
    comparison: Comparison,
    environ: Mapping[str, str],
    *,
    bytecode: str = "",
) -> Start:
    """How to start *program* with *arguments* and the variables *environ*; *bytecode* is a folder for its bytecode, if any.

    Raises:
        SanctityError: ``command-outside``, ``command-unclaimed`` or ``command-interpreter``: it is not what was verified.
    """
    file = program.file
    inside = f"`run` starts only what it verified; for a script of your own: run -- python {program.word}"
    if not file.inner:
        raise SanctityError("command-outside", "it lies outside of the environment", where=file.path, hint=inside)
    interpreter = is_interpreter(file, environment)
    if not interpreter:
        _need_claimed(program, environment, comparison)
        if program.shebang and (program.starts is None or not is_interpreter(program.starts, environment)):
            raise SanctityError(
                "command-interpreter",
                f"its first line starts {program.shebang!r}, which is not this environment's interpreter",
                where=file.path,
                hint=f"start it by that: run -- python {file.path}",
            )
    argv = (file.path, *arguments)
    kept = dict(environ)
    if bytecode:
        if _IGNORES_VARIABLES.search(program.options):
            raise SanctityError(
                "command-interpreter",
                f"its first line says {program.options!r}, so its interpreter ignores where bytecode is to be kept",
                where=file.path,
                hint=f"start it by the interpreter: run --fresh-bytecode -- python {program.options} {file.path}",
            )
        kept[FRESH] = bytecode
        if interpreter:
            # As an option too, which counts with -E and -I as well.
            argv = (file.path, "-X", f"pycache_prefix={bytecode}", *arguments)
    return Start(path=file.path, argv=argv, environ=tuple(kept.items()))


def is_interpreter(file: Located, environment: Environment) -> bool:
    """Whether *file* is the interpreter of *environment*: one of its names in the scripts folder.

    In a virtual environment all of these names were found to be one interpreter, or else that is a drift that gates.
    """
    folder, _, name = file.inner.rpartition("/")
    if folder != environment.layout.scripts or not _PYTHON_NAME.fullmatch(name):
        return False
    executable = environment.interpreter.executable
    return environment.layout.virtual or (bool(executable) and executable in {file.real, file.inner_real})


def _need_claimed(program: Program, environment: Environment, comparison: Comparison) -> None:
    """Raise unless a RECORD or a package manager says what *program* has to be, and nothing was found wrong with it."""
    index = own(environment)
    file = program.file
    names = [name for name in (file.inner, file.inner_real) if name]
    shown = {index.shown(name) for name in names}
    wrong = next(
        (
            drift
            for drift in comparison.drifts
            if drift.path in shown
            and not drift.waiver
            and (drift.severity is not Severity.NOTE or drift.code is Code.FILE_UNCLAIMED)
        ),
        None,
    )
    if wrong is not None and wrong.code is not Code.FILE_UNCLAIMED:
        message = f"it is not what was installed: {wrong.code}"
    elif any(_is_stated(name, index, environment) for name in names):
        return
    else:
        message = "no RECORD says what it has to be, so nothing vouches for it"
    raise SanctityError(
        "command-unclaimed", message, where=file.path, hint="install it as a script of a package, or start it by the interpreter"
    )


def _is_stated(name: str, index: Ownership, environment: Environment) -> bool:
    """Whether the digest of the file *name* is stated, or it was proven to be the wrapper of an entry point."""
    owner = index.owners.get(name)
    if owner is not None:
        stated = any(row.path == name and row.digest for row in owner.record or ())
        return stated or any(script.path == name and script.target for script in owner.scripts)
    return name in index.kept and any(file.path == name and file.expected for file in environment.system)


def resource_attributes(stated: str, *, fingerprint: str, verdict: str) -> str:
    """The value of ``OTEL_RESOURCE_ATTRIBUTES``: what is *stated*, then the fingerprint and the verdict, percent-encoded."""
    from urllib.parse import quote

    ours = {"sanctity.env.digest": fingerprint, "sanctity.verdict": verdict}
    others = [item for item in stated.split(",") if item.strip() and item.partition("=")[0].strip() not in ours]
    return ",".join([*others, *(f"{name}={quote(value, safe='')}" for name, value in ours.items() if value)])
