"""What an environment stands on, as one frozen value: here build, standard library, loader and machine come together.

Below another root an image is looked at, not a machine: its processor, accelerators and settings are then unknown, and libraries
are those for any processor. What a program opens by itself while it runs (dlopen) is in none of this.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sanctity.model.platform import Platform
from sanctity.observe.build import observe_build
from sanctity.observe.conda import as_packaged
from sanctity.observe.loader import hwcaps_of
from sanctity.observe.machine import observe_machine
from sanctity.observe.native import observe_libraries
from sanctity.observe.stdlib import observe_stdlib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sanctity.model.environment import Environment, Problem
    from sanctity.observe.view import View

__all__ = ["observe_platform"]

_CPUINFO: Final = "/proc/cpuinfo"
_CPUINFO_HEAD: Final = 1 << 16
_FLAGS: Final = re.compile(rb"^flags\s*:(.*)$", re.MULTILINE)
_IMAGE: Final = "an image is looked at, not a machine"
_NOT_OF_AN_IMAGE: Final = ("accelerators", "cpu", "settings")


def _never_tick(_done: int, _found: int) -> None:
    return


def observe_platform(
    view: View,
    environment: Environment,
    *,
    environ: Mapping[str, str],
    workers: int,
    clock: Callable[[], float],
    tick: Callable[[int, int], None] = _never_tick,
) -> tuple[Platform, tuple[Problem, ...]]:
    """Look at what *environment* stands on, which was found at depth ``record``; give it, and what could not be looked at.

    *environ* are the variables of this process, of which numeric settings alone are kept. *workers* processes read the standard
    library (0: as many as there are processors); *tick* is told (files read, files found) while they do. Nothing is run.

    Raises:
        ObservationError: no reading process can be started.
    """
    prefix, interpreter = environment.prefix, environment.interpreter
    build, problems = observe_build(view, prefix, interpreter)
    stdlib, unread, elves = observe_stdlib(view, interpreter, workers=workers, clock=clock, tick=tick)
    if environment.manager == "conda":
        build, stdlib = as_packaged(environment, build, stdlib)
    hwcaps = () if view.root else hwcaps_of(interpreter.machine, _flags(view))
    closure = observe_libraries(view, prefix, environment.elves, interpreter, more=elves, hwcaps=hwcaps)
    image = bool(view.root)
    # The variables of this process say nothing of an image.
    variables = {} if image else environ
    machine = observe_machine(view, prefix, environment.layout.site, environment.files, environment.elves, variables)
    unknown = {*machine.unknown}
    if image:
        unknown = {(part, reason) for part, reason in unknown if part not in _NOT_OF_AN_IMAGE}
        unknown |= {(part, _IMAGE) for part in _NOT_OF_AN_IMAGE}
        unknown |= {("native", f"{name} may be another one, by the processor that it will run on") for name in closure.varied}
    if build.executable is None:
        unknown.add(("build", "there is no interpreter whose bytes could be read"))
    elif not build.compiler:
        unknown.add(("build", "the interpreter does not state its compiler where it was looked for"))
    if not stdlib.sources:
        unknown.add(("stdlib", "there is no standard library that could be read"))
    if not closure.libc:
        unknown.add(("native", "which C library the interpreter starts with can not be told"))
    platform = Platform(
        build=build,
        stdlib=stdlib,
        libc=closure.libc,
        libraries=closure.libraries,
        cpu=Platform().cpu if image else machine.cpu,
        blas=tuple(item._replace(kernel="") for item in machine.blas) if image else machine.blas,
        accelerators=() if image else machine.accelerators,
        settings=() if image else machine.settings,
        unknown=tuple(sorted(unknown)),
    )
    return platform, tuple(sorted({*problems, *unread, *closure.problems}))


def _flags(view: View) -> frozenset[str]:
    """The features of this machine's processor as Linux names them; none where it does not say."""
    try:
        found = _FLAGS.search(view.read_head(_CPUINFO, _CPUINFO_HEAD))
    except OSError:
        return frozenset()
    return frozenset(found[1].decode("ascii", "replace").split()) if found else frozenset()
