"""Looking, from a process outside, at the environment that this process runs in: for programs that live in it, such as pytest.

A program that was started in an environment can be made to lie by it. So the look is taken by a sanctity that lies elsewhere, where
one is named. Where none is, a child of the base interpreter takes it, under ``-I -S -B`` and with hardly a variable: no start-up
hook of the environment runs in it. It imports sanctity, and what that needs, from the environment all the same, so the report says
``looked at from itself``. Nothing is taken from an exit code: what is no report is an error.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import SanctityError, UsageError
from sanctity.model.drift import Comparison, Unchecked
from sanctity.model.environment import LookedAtFrom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Outside", "find_outside", "look_from_outside"]

#: What of this process's variables the other one gets: where to find programs and a home, and how to speak.
_KEPT: Final = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "XDG_CACHE_HOME", "SYSTEMROOT", "TEMP", "TMP"})
#: What sanctity needs to compare and to read its arguments. A package whose compiled part has a name of its own is found there too.
_NEEDED: Final = ("sanctity", "click", "packaging", "tomli")
_BOOT: Final = """
import json, sys
from _frozen_importlib_external import PathFinder
places = json.loads(sys.argv.pop(1))
class Only:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in places:
            return PathFinder.find_spec(name, [places[name]])
        if name.endswith("__mypyc") and "tomli" in places:
            return PathFinder.find_spec(name, [places["tomli"]])
sys.meta_path.append(Only)
from sanctity.cli import main
main()
"""
_LONGEST_COMPLAINT: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """Who looks: the start of a command line, *words* for people, and whether it is code of the environment itself (*own*)."""

    command: tuple[str, ...]
    words: str
    own: bool


def _inside(path: str, prefix: str) -> bool:
    return f"{os.path.realpath(path)}/".startswith(os.path.realpath(prefix).rstrip("/") + "/")


def find_outside(command: str, *, prefix: str, cwd: str, search: str) -> Outside:
    """Who can look at the environment *prefix*: the sanctity *command*, a path in *cwd* or a name on *search*; else a child.

    Raises:
        UsageError: *command* is not there, or lies in the environment.
        SanctityError: ``outside-failed``, something that a child needs is not installed.
    """
    if command:
        return Outside(command=(_program(command, prefix, cwd, search),), words=f"looked at by {command}", own=False)
    places: dict[str, str] = {}
    from importlib.util import find_spec

    for name in _NEEDED:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise SanctityError(
                "outside-failed",
                f"{name} is not installed beside sanctity, which needs it to compare",
                where=prefix,
                hint="install sanctity with what it depends on, or name one that lies outside of this environment",
            )
        folder = os.path.dirname(spec.origin)
        places[name] = os.path.dirname(folder) if spec.submodule_search_locations is not None else folder
    import json

    base = getattr(sys, "_base_executable", None) or sys.executable
    return Outside(
        command=(base, "-I", "-S", "-B", "-c", _BOOT, json.dumps(places)),
        words="looked at by its own sanctity",
        own=True,
    )


def _program(command: str, prefix: str, cwd: str, search: str) -> str:
    """The file that *command* names, which has to lie outside of *prefix*."""
    named = os.path.expanduser(command)
    if os.sep in named:
        candidates = [os.path.abspath(os.path.join(cwd, named))]
    else:
        candidates = [os.path.join(folder, named) for folder in search.split(os.pathsep) if folder]
    found = [path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)]
    if not found:
        raise UsageError("usage", "there is no such program", where=command, hint="install it with pipx or `uv tool`")
    outside = next((path for path in found if not _inside(path, prefix)), "")
    if not outside:
        raise UsageError(
            "usage",
            f"it lies in the environment that it would look at, {prefix}",
            where=command,
            hint="install it with pipx or `uv tool`, and name that one",
        )
    return outside


def look_from_outside(
    outside: Outside,
    *,
    prefix: str,
    cwd: str,
    environ: Mapping[str, str],
    reference: str = "",
    options: Sequence[str] = (),
    timeout: float,
) -> Comparison:
    """What *outside* says of the environment *prefix*, compared with *reference*, or else the seal or lock of the project in *cwd*.

    *options* are further ones of `verify`; *timeout* is in seconds.

    Raises:
        SanctityError: the error that it told; or ``outside-failed``, it gave no answer.
        DocumentError: ``report-unreadable``, its answer is no report.
    """
    import subprocess
    from time import monotonic

    from sanctity.report.reading import parse_report

    started = monotonic()
    shown = os.path.relpath(prefix, cwd) if _inside(prefix, cwd) else prefix
    words = [*outside.command, "verify", "--env", shown, "--format", "json", *options, *(["--", reference] if reference else [])]
    where = outside.command[0]
    hint = "run `sanctity verify` in a terminal to see why"
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={name: value for name, value in environ.items() if name in _KEPT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise SanctityError("outside-failed", f"it can not be started: {error.strerror}", where=where, hint=hint) from error
    except subprocess.TimeoutExpired as error:
        raise SanctityError("outside-failed", f"it gave no answer in {timeout:g} s", where=where, hint=hint) from error
    text = done.stdout.decode("utf-8", "backslashreplace")
    if not text.strip():
        said = done.stderr.decode("utf-8", "backslashreplace").strip()[-_LONGEST_COMPLAINT:]
        raise SanctityError(
            "outside-failed", f"it ended with {done.returncode} and said {said or 'nothing'}", where=where, hint=hint
        )
    found = parse_report(text, where)
    if isinstance(found, SanctityError):
        raise found
    found = replace(found, seconds=monotonic() - started)
    return _own(found) if outside.own else found


def _own(found: Comparison) -> Comparison:
    """*found* as what the environment's own code says of it, which the profile ``production`` does not accept."""
    found = replace(found, looked_at_from=LookedAtFrom.ITSELF)
    if found.profile != "production":
        return found
    reason = "a tool that runs inside the environment can be blinded by it; install it with pipx or `uv tool`"
    blind = Unchecked(code="looked-at-from-itself", what="the environment", reason=reason, in_scope=True)
    return replace(found, unchecked=(*found.unchecked, blind))
