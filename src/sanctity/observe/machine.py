"""The machine's numeric class: the processor, the BLAS and the kernel it would choose, the accelerators, and the numeric settings.

The same wheels give other bits on another processor, since numeric libraries pick their kernels when they start. Nothing is loaded
to tell which: ``/proc/cpuinfo``, the libraries' bytes and the variables of this process say it. What can not be told so is left
empty, with a reason; it is never guessed. Only Linux states a processor's features in a file: elsewhere they are unknown.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sanctity.model.platform import Accelerator, Blas, Cpu
from sanctity.observe.accelerators import observe_accelerators
from sanctity.observe.blas import read_blas
from sanctity.observe.cpu import Processor, parse_cpuinfo
from sanctity.observe.settings import observe_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sanctity.model.environment import FileEntry
    from sanctity.observe.view import View

__all__ = ["Machine", "observe_machine"]

_CPUINFO: Final = "/proc/cpuinfo"
_CPUINFO_MOST: Final = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The numeric class of a machine and a process.

    *unknown* are (part, reason) of what could not be told: ``cpu``, ``blas``, ``accelerators``, ``settings``.
    """

    cpu: Cpu = field(default_factory=Cpu)
    blas: tuple[Blas, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()


def observe_machine(
    view: View,
    prefix: str,
    site: Sequence[str],
    files: Mapping[str, FileEntry],
    elves: Iterable[str],
    environ: Mapping[str, str],
) -> Machine:
    """What picks numeric kernels, for the environment at *prefix* in a process with *environ*.

    *site* are its site-packages folders, *files* what was found in it by path, and *elves* the paths of ELF files among them, all
    relative to *prefix*. A library that is a link to another file is left out: its target is told.
    """
    unknown: list[tuple[str, str]] = []
    processor, reason = _read_processor(view)
    if reason:
        unknown.append(("cpu", reason))
    blas: list[Blas] = []
    for path in sorted({*elves, *(path for path in files if path.endswith((".dylib", ".dll")))}):
        if path in files and files[path].target:
            continue
        found, reason = read_blas(view, prefix, path, processor, environ.get("OPENBLAS_CORETYPE"))
        if found is None:
            continue
        folder = next((f"{folder}/" for folder in site if path.startswith(f"{folder}/")), "")
        blas.append(found._replace(path=path.removeprefix(folder)))
        if reason:
            unknown.append(("blas", f"{path.removeprefix(folder)}: {reason}"))
    accelerators, untold = observe_accelerators(view)
    settings, unplain = observe_settings(environ)
    return Machine(
        cpu=processor.cpu,
        blas=tuple(sorted(blas)),
        accelerators=accelerators,
        settings=settings,
        unknown=tuple(sorted([*unknown, *untold, *unplain])),
    )


def _read_processor(view: View) -> tuple[Processor, str]:
    """The processor, and the reason why it can not be told."""
    try:
        processor = parse_cpuinfo(view.read(_CPUINFO, _CPUINFO_MOST))
    except OSError as error:
        if view.root:
            reason = "an image does not say which machine it will run on"
        elif error.errno == errno.ENOENT:
            reason = "this system states its processor's features in no file"
        else:
            reason = f"{_CPUINFO} can not be read: {error.strerror}"
        return Processor(Cpu()), reason
    return processor, "" if processor.cpu.architecture else f"{_CPUINFO} has a form that is not known"
