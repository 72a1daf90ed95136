"""The lab from its first step to its last: all it needs is had first, every step is told as it goes, and all ends with it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sanctity.errors import SanctityError, UsageError
from sanctity.lab.catalogue import choose, real_catalogue
from sanctity.lab.fetching import fill_shelf, find_programs, shelf
from sanctity.lab.index import serving
from sanctity.lab.place import make_place
from sanctity.lab.steps import STEPS, Definition, Lab, closure
from sanctity.lab.story import Step, Story
from sanctity.model.interpreter import InterpreterKind
from sanctity.observe.interpreters import executable_at, find_interpreters

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from sanctity.lab.catalogue import Catalogue
    from sanctity.lab.story import Command
    from sanctity.model.interpreter import InstalledInterpreter
    from sanctity.verbs.world import World

__all__ = ["Asked", "Listener", "Silent", "run_lab"]

#: What the lab writes in all, in bytes: measured, and then some.
_ROOM: Final = 1_500_000_000
#: How often the lab tries to remove its folder, and the seconds it waits before it does so again.
_TRIES: Final = 50
_PAUSE: Final = 0.1
_ELSEWHERE: Final = "see what is named; another place may do: sanctity lab DIR, and XDG_CACHE_HOME for what is fetched"
#: Versions that the wheels were built for, the likeliest to be there first.
_PYTHONS: Final = ("3.11", "3.12", "3.10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for; *folder* empty for one of its own, *python* for one that is found."""

    folder: str = ""
    only: tuple[str, ...] = ()
    keep: bool = False
    python: str = ""


class Listener(Protocol):
    """Who is told what goes on."""

    def prepare(self, text: str) -> None:
        """Something that takes its time is done before the first step."""

    def begin(self, number: int, definition: Definition) -> None:
        """A step begins."""

    def ran(self, command: Command) -> None:
        """A command of it ended."""

    def end(self, step: Step) -> None:
        """It is over."""


class Silent:
    """A listener that says nothing."""

    def prepare(self, text: str) -> None:
        """Say nothing."""

    def begin(self, number: int, definition: Definition) -> None:
        """Say nothing."""

    def ran(self, command: Command) -> None:
        """Say nothing."""

    def end(self, step: Step) -> None:
        """Say nothing."""


def run_lab(asked: Asked, world: World, listener: Listener | None = None, catalogue: Catalogue | None = None) -> Story:
    """Do the steps that are *asked* for, and all they need; *catalogue* replaces the real packages.

    Raises:
        UsageError: ``lab-unknown-step``, ``lab-folder-taken``, ``lab-no-python``, ``lab-no-wheels``.
        SanctityError: ``lab-no-room``, ``lab-failed``; a `FetchError` where a wheel can not be had.
    """
    listener = listener or Silent()
    catalogue = catalogue or real_catalogue()
    names = [step.name for step in STEPS]
    for name in asked.only:
        if name not in names:
            raise UsageError("lab-unknown-step", "there is no such step", where=name, hint=f"choose from {', '.join(names)}")
    started = world.clock()
    found = _interpreter(asked.python, world)
    wheels = choose(catalogue, found.interpreter)
    cache = shelf(world.environ)
    with _interruptible(), _folder(asked, world) as root:
        try:
            if shutil.disk_usage(root).free < _ROOM:
                words = f"less than {_ROOM / 1e9:.1f} GB are free"
                raise SanctityError("lab-no-room", words, where=root, hint="name a folder elsewhere: sanctity lab DIR")
            cache = cache or f"{root}/fetched"
            if not os.path.isdir(f"{cache}/tools"):
                listener.prepare("fetching wheels and tools, which is done once")
            fill_shelf(wheels, f"{cache}/wheels", world)
            programs, tools = find_programs(cache, found.executable, world.environ)
            os.makedirs(f"{root}/index/files")
            for wheel in wheels:
                shutil.copyfile(f"{cache}/wheels/{wheel.filename}", f"{root}/index/files/{wheel.filename}")
            with open(f"{root}/index/uploads.json", "w", encoding="utf-8") as file:
                json.dump({wheel.filename: wheel.uploaded for wheel in wheels}, file, indent=1)
            with open(f"{root}/index/today", "w", encoding="utf-8") as file:
                file.write(f"{catalogue.after}\n")
            with contextlib.ExitStack() as index:
                port = index.enter_context(serving(f"{root}/index"))
                place = make_place(
                    root,
                    python=found.executable,
                    version=".".join(found.interpreter.version.split(".")[:2]),
                    port=port,
                    programs=programs,
                    caller=world.environ,
                )
                missing = {tool.name: tool.missing for tool in tools if tool.missing}
                lab = Lab(place, catalogue, wheels, missing=missing, stop=index.close, ran=listener.ran)
                steps = tuple(_told(lab, definition, listener) for definition in closure(asked.only))
        except OSError as error:
            raise SanctityError(
                "lab-failed", error.strerror or str(error), where=str(error.filename or root), hint=_ELSEWHERE
            ) from error
        kept = root if asked.folder or asked.keep else ""
    return Story(steps=steps, tools=tools, python=found.interpreter.version, folder=kept, seconds=world.clock() - started)


def _told(lab: Lab, definition: Definition, listener: Listener) -> Step:
    """Do one step, and tell of it."""
    number = STEPS.index(definition)
    listener.begin(number, definition)
    step = _done(lab, number, definition)
    listener.end(step)
    return step


def _done(lab: Lab, number: int, definition: Definition) -> Step:
    """Do one step; what it ran and found is taken from *lab*."""
    lab.commands, lab.facts = [], []
    started = time.monotonic()
    if "uv" in lab.missing:
        lab.can("uv", "uv is there, which every step needs")
    else:
        definition.do(lab)
    return Step(
        number=number,
        name=definition.name,
        title=definition.title,
        why=definition.why,
        shows=definition.shows,
        commands=tuple(lab.commands),
        facts=tuple(lab.facts),
        seconds=time.monotonic() - started,
    )


def _interpreter(asked: str, world: World) -> InstalledInterpreter:
    """The interpreter that environments are made of: the *asked* one, a path or a version, else one that has wheels."""
    named = os.path.join(world.cwd, os.path.expanduser(asked))
    if asked and os.path.exists(named):
        found = executable_at(named)
        if found is None:
            raise UsageError("lab-no-python", "it is no interpreter", where=asked, hint="name a Python, or a version such as 3.11")
        return found
    installed = [
        each
        for each in find_interpreters(world.environ, world.environ.get("HOME", ""))
        if each.interpreter.implementation == "cpython"
    ]
    # The Python that this runs on, where it will do: nobody is surprised by it.
    own = [".".join(each.interpreter.version.split(".")[:2]) for each in installed if each.kind is InterpreterKind.OWN]
    for version in (asked,) if asked else (*(each for each in own if each in _PYTHONS), *_PYTHONS):
        for each in installed:
            if f"{each.interpreter.version}.".startswith(f"{version}."):
                return each
    have = ", ".join(dict.fromkeys(each.interpreter.version for each in installed)) or "none"
    words = f"there is no Python {asked or ' or '.join(_PYTHONS)} here; found: {have}"
    raise UsageError("lab-no-python", words, hint="install one: uv python install 3.11; or name one: --python EXE")


@contextlib.contextmanager
def _folder(asked: Asked, world: World) -> Iterator[str]:
    """The lab's folder; one of its own is removed at the end, unless it is to be kept."""
    if asked.folder:
        root = os.path.abspath(os.path.join(world.cwd, os.path.expanduser(asked.folder)))
        try:
            os.makedirs(root, exist_ok=True)
            taken = bool(os.listdir(root))
        except OSError as error:
            raise UsageError(
                "lab-folder-taken", error.strerror or str(error), where=asked.folder, hint="name another folder"
            ) from error
        if taken:
            raise UsageError(
                "lab-folder-taken", "it is not empty", where=asked.folder, hint="name another folder, or remove this one"
            )
        yield os.path.realpath(root)
        return
    root = os.path.realpath(tempfile.mkdtemp(prefix="sanctity-lab-"))
    whole = False
    try:
        yield root
        whole = True
    finally:
        if not (asked.keep and whole):
            _remove(root)


def _remove(root: str) -> None:
    """Remove the folder *root*, also where a program that was just ended still writes into it."""
    for _ in range(_TRIES):
        shutil.rmtree(root, ignore_errors=True)
        if not os.path.lexists(root):
            return
        time.sleep(_PAUSE)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP end the lab as Ctrl-C does, so that nothing of it is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
