"""Interpreters that are installed on a machine: what an environment may be built on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sanctity.model.platform import Build

if TYPE_CHECKING:
    from sanctity.model.environment import Interpreter

__all__ = ["InstalledInterpreter", "InterpreterKind", "WantedInterpreter"]


class InterpreterKind(StrEnum):
    """Where an interpreter was found."""

    NAMED = "named"  # the user named its path
    OWN = "own"  # what this tool runs on
    PYENV = "pyenv"
    UV = "uv"
    CONDA = "conda"
    PATH = "path"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledInterpreter:
    """An interpreter that is installed: its *executable* (absolute, every link resolved) and what its bytes state.

    *build* is given only where somebody asked for it, since it takes reading the executable whole; else None.
    """

    executable: str
    interpreter: Interpreter
    kind: InterpreterKind
    build: Build | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedInterpreter:
    """What an interpreter must be; each text empty where anything will do.

    *version* is exact, or a beginning of one (``3.11``); *requires* is a lock's requires-python. *abi* and *platform* are as a seal
    writes them (``cpython-311``, ``linux-x86_64-glibc``). *build* is the sealed one: of those that fit, the same is preferred.
    *said_by* names who asks for it: a seal, a lock, ``--python``, or a file ``.python-version``.
    """

    implementation: str = "cpython"
    version: str = ""
    requires: str = ""
    abi: str = ""
    platform: str = ""
    build: Build = field(default_factory=Build)
    said_by: str = ""
