"""Which of the installed interpreters an environment is built on: values in, one value or an error out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sanctity.compare.markers import satisfies
from sanctity.errors import SanctityError
from sanctity.model.platform import Build

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sanctity.model.archive import ArchivedInterpreter
    from sanctity.model.environment import Interpreter
    from sanctity.model.interpreter import InstalledInterpreter, WantedInterpreter

__all__ = ["differing_build", "fitting", "not_found", "platform_name", "same_build_first"]


def platform_name(interpreter: Interpreter) -> str:
    """The platform of *interpreter* as a seal names it: ``linux-x86_64-glibc``."""
    return "-".join(part for part in ("linux", interpreter.machine, interpreter.libc.partition(" ")[0]) if part)


def fitting(installed: Iterable[InstalledInterpreter], wanted: WantedInterpreter) -> tuple[InstalledInterpreter, ...]:
    """Those of *installed* that are what is *wanted*, but for the build, in the order in which they came."""
    return tuple(each for each in installed if _fits(each.interpreter, wanted))


def _fits(interpreter: Interpreter, wanted: WantedInterpreter) -> bool:
    version = interpreter.version
    if wanted.version and version != wanted.version and not re.match(re.escape(wanted.version) + r"(?:\.|$)", version):
        return False
    return (
        interpreter.implementation == wanted.implementation
        and (not wanted.abi or interpreter.abi == wanted.abi)
        and (bool(wanted.abi) or not interpreter.abi.endswith("t"))  # a build without the lock is taken where it is asked for
        and (not wanted.platform or platform_name(interpreter) == wanted.platform)
        and satisfies(wanted.requires, version) is not False
    )


def same_build_first(found: Sequence[InstalledInterpreter], build: Build) -> tuple[InstalledInterpreter, ...]:
    """*found*, each with its build, the sealed one first: the same bytes, then the same build, then what has just its version."""

    def distance(each: InstalledInterpreter) -> int:
        own = each.build or Build()
        if build.executable is not None and (own.executable, own.library) == (build.executable, build.library):
            return 0
        return 1 if any(build.identity) and own.identity == build.identity else 2

    return tuple(sorted(found, key=distance))


def differing_build(chosen: InstalledInterpreter, build: Build) -> str:
    """In what words the build of *chosen* is not the sealed *build*; empty where it is the same, or none was sealed."""
    own = chosen.build
    if own is None or build == Build() or (own.executable, own.library) == (build.executable, build.library):
        return ""
    if own.identity == build.identity:
        return "its bytes are not those that were sealed, though it says that it is the same build"
    sealed = ", ".join(filter(None, (build.compiler, build.compiled))) or "another one"
    here = ", ".join(filter(None, (own.compiler, own.compiled))) or "one that does not say"
    return f"it is another build of this version: {sealed} was sealed, and this is {here}"


def not_found(
    wanted: WantedInterpreter,
    installed: Sequence[InstalledInterpreter],
    kept: Iterable[ArchivedInterpreter] = (),
    *,
    place: str = "",
) -> SanctityError:
    """The error that none of *installed* is what is *wanted*; *kept* are the interpreters that the archive at *place* knows."""
    words = [
        " ".join(filter(None, (wanted.implementation, wanted.version or wanted.requires))),
        f"({wanted.abi})" if wanted.abi else "",
        f"for {wanted.platform}" if wanted.platform else "",
        f"built as {', '.join(filter(None, (wanted.build.compiler, wanted.build.compiled)))}" if wanted.build.compiler else "",
    ]
    version = wanted.version or next(iter(re.findall(r"3\.\d+(?:\.\d+)?", wanted.requires)), "3")
    threaded = "t" if wanted.abi.endswith("t") else ""
    hints = [
        f"the archive keeps one: unpack {place}/blobs/sha256/{each.file.sha256.value} ({each.file.path})"
        for each in kept
        if each.file is not None and (each.version, each.abi or wanted.abi) == (wanted.version, wanted.abi or each.abi)
    ]
    hints.append(f"pyenv install {version}{threaded}, or uv python install {version}{threaded}; or name one: --python EXE")
    there = ", ".join(dict.fromkeys(each.interpreter.version for each in installed)) or "none"
    return SanctityError(
        "interpreter-not-found",
        f"{' '.join(filter(None, words))} is needed, and installed here are: {there}",
        where=wanted.said_by,
        hint="; ".join(hints),
    )
