"""`sanctity.prove`: a function of the caller's own, called again and again in fresh processes, and what it returned compared.

It is `sanctity prove` for a function in place of a command: the same runs, variations, search and verdict. The value is what is
compared. Files that the function writes into its working folder are gone with the run, unless *outputs* names them.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, Protocol, TypeAlias, overload

from sanctity.errors import SanctityError, UsageError
from sanctity.model.repeats import Claim, Level, Repeats
from sanctity.variation import calling
from sanctity.verbs import repeating
from sanctity.verbs.repeating import Asked
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sanctity.model.repeats import Run

__all__ = ["OPTIONS", "FunctionRepeats", "Prove", "prove", "prove_call"]

P = ParamSpec("P")
LevelName: TypeAlias = Literal["process", "machine", "numerics"]

#: What `prove` takes for itself, and does not hand on.
OPTIONS: Final[tuple[str, ...]] = ("n", "level", "vary", "hold", "timeout", "outputs", "keep")
#: How the command names them, with what follows.
_OPTION: Final = re.compile(r"(?<!\S)(?:--(vary|hold|timeout|outputs|keep|level)|-(n))\b(?: ('[^']*'|[A-Z]{2,}\b|[0-9]+|\S+$))?")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FunctionRepeats(Repeats):
    """What `prove` found about a function. It is true where the claim is SAME, and its text is the verdict."""

    def __bool__(self) -> bool:
        return self.claim is Claim.SAME

    def __str__(self) -> str:
        from sanctity.report.repeats import repeats_text

        return repeats_text(self).rstrip("\n")

    def __repr__(self) -> str:
        return str(self)


@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int,
    level: LevelName = ...,
    vary: str | Sequence[str] = ...,
    hold: str | Sequence[str] = ...,
    timeout: float | None = ...,
    outputs: str | Sequence[str] = ...,
    keep: str = ...,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int = ...,
    level: LevelName,
    vary: str | Sequence[str] = ...,
    hold: str | Sequence[str] = ...,
    timeout: float | None = ...,
    outputs: str | Sequence[str] = ...,
    keep: str = ...,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int = ...,
    level: LevelName = ...,
    vary: str | Sequence[str],
    hold: str | Sequence[str] = ...,
    timeout: float | None = ...,
    outputs: str | Sequence[str] = ...,
    keep: str = ...,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int = ...,
    level: LevelName = ...,
    vary: str | Sequence[str] = ...,
    hold: str | Sequence[str],
    timeout: float | None = ...,
    outputs: str | Sequence[str] = ...,
    keep: str = ...,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int = ...,
    level: LevelName = ...,
    vary: str | Sequence[str] = ...,
    hold: str | Sequence[str] = ...,
    timeout: float | None,
    outputs: str | Sequence[str] = ...,
    keep: str = ...,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int = ...,
    level: LevelName = ...,
    vary: str | Sequence[str] = ...,
    hold: str | Sequence[str] = ...,
    timeout: float | None = ...,
    outputs: str | Sequence[str],
    keep: str = ...,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(
    function: Callable[..., object],
    /,
    *args: Any,
    n: int = ...,
    level: LevelName = ...,
    vary: str | Sequence[str] = ...,
    hold: str | Sequence[str] = ...,
    timeout: float | None = ...,
    outputs: str | Sequence[str] = ...,
    keep: str,
    **kwargs: Any,
) -> FunctionRepeats: ...
@overload
def prove(function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> FunctionRepeats: ...
def prove(  # type: ignore[misc] # a function may take what prove takes for itself: that is told when it is called
    function: Callable[..., object],
    /,
    *args: Any,
    n: int | None = None,
    level: LevelName | None = None,
    vary: str | Sequence[str] | None = None,
    hold: str | Sequence[str] | None = None,
    timeout: float | None = None,
    outputs: str | Sequence[str] | None = None,
    keep: str | None = None,
    **kwargs: Any,
) -> FunctionRepeats:
    """Call *function* with these arguments again and again, each time in a fresh process, and compare what it returns bit for bit.

    First unchanged, then *n* times with everything varied together that *level* allows, then, only where something differs, until
    the single guilty variation is found. docs/prove.md says what is varied. *function* is importable: defined with ``def`` at the
    top of a module, or of the program itself where that calls `prove` below ``if __name__ == "__main__":``. Arguments and value can
    be pickled; None is no value. Sets and dicts are compared without their order, since that is no part of what they are.

    Args:
        function: What is called.
        args: Its positional arguments.
        n: How many runs are varied: 5 exclude a divergence rate above 45 %, 59 one above 5 %.
        level: ``process``, ``machine`` (numerics held) or ``numerics``.
        vary: The names of the only variations there shall be.
        hold: The names of variations that there shall not be; the verdict says so.
        timeout: Seconds that one call may take.
        outputs: Patterns of files that it writes, relative to the working folder, to be compared as well as the value.
        keep: A folder that is not there yet, for the first value (``first``) and the first that differs (``different``).
        kwargs: Its keyword arguments.

    Raises:
        UsageError: ``function-not-importable``, ``argument-not-picklable``, ``function-unguarded``; ``usage``, also where an option
            has the name of a parameter of *function* that is not bound yet; ``no-working-folder``.
        SanctityError: It can not be run here: no room on the disk, for instance.
    """
    values = (n, level, vary, hold, timeout, outputs, keep)
    return prove_call(function, args, kwargs, dict(zip(OPTIONS, values, strict=True)))


def prove_call(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any], *, usual: int = 5
) -> FunctionRepeats:
    """What `prove` does, with those *options* that are not None; *usual* is the number of runs where that is not among them."""
    from sanctity.variation.function import command_of, name_of, write_call

    name = name_of(function)
    options = {option: value for option, value in options.items() if value is not None}
    _check_process(name)
    _check_call(name, function, args, kwargs, options)
    asked = _asked(name, **{"n": usual, **options})
    try:
        cwd = os.getcwd()
    except OSError as error:
        words = f"the working folder is gone: {error.strerror}"
        raise UsageError("no-working-folder", words, hint="change to one that is there") from error
    with contextlib.ExitStack() as stack:
        try:
            path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory(prefix="sanctity-call-")), "call")
            write_call(path, function, args, kwargs)
        except OSError as error:
            hint = "make room in the folder for temporary files, or name another one by TMPDIR"
            raise SanctityError("repeats-no-room", f"the call can not be written down: {error}", where=name, hint=hint) from error
        try:
            found = repeating.prove(command_of(path), asked, World(cwd=cwd, environ=dict(os.environ), clock=time.monotonic))
        except UsageError as error:
            where, hint = _in_python(error.where), _in_python(error.hint)
            raise UsageError(error.code, _in_python(error.message), where=where, hint=hint) from None
    return _told(name, found)


class Prove(Protocol):
    """What the pytest fixture ``prove`` is: `prove`, which fails the test where the claim is not SAME."""

    def __call__(
        self,
        function: Callable[..., object],
        /,
        *args: Any,
        n: int = ...,
        level: LevelName = ...,
        vary: str | Sequence[str] = ...,
        hold: str | Sequence[str] = ...,
        timeout: float | None = ...,
        outputs: str | Sequence[str] = ...,
        keep: str = ...,
        **kwargs: Any,
    ) -> FunctionRepeats:
        """What was found, which is SAME."""
        ...


def _check_process(name: str) -> None:
    """Refuse to prove what is being proved. Raises UsageError."""
    match getattr(sys.modules.get("sanctity.variation.calling"), "phase", ""):
        case "importing":
            raise UsageError(
                "function-unguarded",
                "prove was called while a run of prove imported this program",
                where=name,
                hint='call it below `if __name__ == "__main__":`',
            )
        case "calling":
            raise UsageError("usage", "it calls prove itself, in a run of prove", where=name, hint="prove what it calls")


def _asked(
    name: str,
    *,
    n: object,
    level: str = Level.MACHINE,
    vary: str | Sequence[str] = (),
    hold: str | Sequence[str] = (),
    timeout: float = 0,
    outputs: str | Sequence[str] = (),
    keep: str = "",
) -> Asked:
    """The options of the call of *name*, where they can be meant. Raises UsageError."""
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise UsageError("usage", f"n is {n!r}, and is a number of runs, 1 or more", where=name)
    try:
        chosen = Level(level)
    except ValueError:
        raise UsageError("usage", f"level is {level!r}, and is one of {', '.join(Level)}", where=name) from None
    if not 0 <= timeout < math.inf:
        raise UsageError("usage", f"timeout is {timeout!r}, and is a number of seconds, or None", where=name)
    several = [(each,) if isinstance(each, str) else tuple(each) for each in (vary, hold, outputs)]
    return Asked(
        runs=n,
        level=chosen,
        vary=several[0],
        hold=several[1],
        timeout=math.ceil(timeout),
        outputs=(*calling.VALUES, *several[2]),
        keep=os.fspath(keep),
    )


def _check_call(
    name: str, function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any], options: Iterable[str]
) -> None:
    """Refuse a call that can not be made, and an option that may be meant for the function. Raises UsageError."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C have none, and what is no function neither
        return
    bound = {*getattr(function, "keywords", {})}
    try:
        bound.update(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError as error:
        raise UsageError("usage", f"it can not be called with these arguments: {error}", where=name) from error
    for option in options:
        parameter = signature.parameters.get(option)
        if parameter is None or option in bound or parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            continue
        raise UsageError(
            "usage",
            f"it has a parameter {option}, and prove an option: it can not be told which is meant",
            where=name,
            hint=f"bind its own: prove(functools.partial({name.rpartition('.')[2]}, {option}=…), …)",
        )
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError("usage", f"it can not be called with these arguments: {error}", where=name) from error


def _told(name: str, found: Repeats) -> FunctionRepeats:
    """*found* in the words of a function, in the place of a command's."""
    values = {field.name: getattr(found, field.name) for field in fields(Repeats)}
    own = {
        "command": (name,),
        "function": True,
        "outputs": found.outputs[len(calling.VALUES) :],
        "message": _in_python(found.message),
        "advice": tuple(map(_in_python, found.advice)),
        "variations": tuple(replace(each, held=_in_python(each.held)) for each in found.variations),
    }
    told = FunctionRepeats(**{**values, **own})
    if found.claim is not Claim.UNDECIDED or not found.runs:
        return told
    why = _why(name, found.reason, found.runs[0], files=bool(told.outputs))
    if why is None:
        return told
    return replace(told, reason=why.code, message=why.message, advice=(why.hint,) if why.hint else ())


def _in_python(text: str) -> str:
    """*text* with the arguments of `prove` where it names options of the command."""
    return _OPTION.sub(lambda found: f"{found[1] or found[2]}={found[3] or ''}", text)


def _why(name: str, reason: str, run: Run, *, files: bool) -> SanctityError | None:
    """Why nothing can be said where each run ended as *run* did; None where that is the same for a command."""
    said = [line for line in run.tail.splitlines() if line.strip()] or [""]
    word = next((line.removeprefix(calling.SAID) for line in reversed(said) if line.startswith(calling.SAID)), said[-1])
    if reason == "command-failed" and run.code == calling.NOT_PICKLABLE:
        return SanctityError("value-not-picklable", f"{name} {word}", hint="return what can be pickled: numbers, texts, arrays")
    if reason == "command-failed" and run.code == calling.NOT_FOUND:
        hint = "define it with def at the top of a module"
        return UsageError("function-not-importable", f"{name} can not be imported by a fresh process: {word}", hint=hint)
    if reason == "command-failed" and run.code == calling.UNGUARDED:
        return UsageError("function-unguarded", word, hint='call it below `if __name__ == "__main__":`')
    if run.code == 0 and reason == "output-missing":
        wrote = ", and wrote no file that outputs names" if files else ""
        hint = "return what is to be compared, or name the files that it writes: outputs="
        return SanctityError("nothing-returned", f"{name} returned None{wrote}", hint=hint)
    if reason == "command-failed" and run.code == 1:
        return SanctityError("command-failed", f"{name} raised in each run: {_raised(said)}", hint="make it run on its own first")
    return None


def _raised(said: list[str]) -> str:
    """The line of a traceback that names the exception: the first after the last frame."""
    frames = [number for number, line in enumerate(said) if line.startswith("  ")]
    after = frames[-1] + 1 if frames else 0
    return said[after] if after < len(said) else said[-1]
