"""What an environment stands on: the interpreter's build, the standard library, native libraries, and the machine.

A lock can not state any of this, and a seal does. None of it is in the fingerprint: the parts here are compared beside it, and the
*numeric class* (native libraries, CPU, BLAS, accelerators, settings) is what may change results while every byte of the environment
stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from sanctity.model.digest import Digest

__all__ = ["PRELOADS", "Accelerator", "Blas", "Build", "Cpu", "NativeLibrary", "Platform", "StandardLibrary", "Variable"]


#: The file that names libraries which glibc's loader puts into every program (ld.so(8)).
PRELOADS: Final = "/etc/ld.so.preload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One build of an interpreter, as its own bytes state it.

    *executable* and *library* are the digests of the executable and of libpython (None where it is linked in); *executable_id* and
    *library_id* their GNU build ids in hex, empty where there are none; *compiler* is ``GCC 12.2.0``; *compiled* the date and time
    baked in (``Nov 23 2026, 12:00:00``); *configure* the configure arguments, with the base prefix written ``${base}``.
    Two builds of one version differ in these; the same build with other bytes was tampered with.
    """

    executable: Digest | None = None
    library: Digest | None = None
    executable_id: str = ""
    library_id: str = ""
    compiler: str = ""
    compiled: str = ""
    configure: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one build from another, whatever its bytes are now."""
        return self.executable_id, self.library_id, self.compiler, self.compiled, self.configure


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardLibrary:
    """The standard library's files, as sorted (path relative to its folder, raw SHA-256).

    *sources* are the same for every build of one version (``json/decoder.py``); *built* are those that a build makes for itself
    (``lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so``, ``_sysconfigdata__linux_x86_64-linux-gnu.py``). Bytecode in
    ``__pycache__`` and what lies in site-packages are in neither. *unchecked* are the paths of bytecode that import would run
    without comparing it with its source.
    """

    sources: tuple[tuple[str, bytes], ...] = ()
    built: tuple[tuple[str, bytes], ...] = ()
    unchecked: tuple[str, ...] = ()


class NativeLibrary(NamedTuple):
    """A shared library outside of the environment that something in it, or its interpreter, needs (DT_NEEDED, recursively).

    *name* is what is asked for (``libm.so.6``); *digest* the raw SHA-256 of the file the loader would take, empty where it would
    find none; *build_id* its GNU build id in hex; *package* the system package that owns it, with its version
    (``libc6 2.36-9+deb12u13``); *path* and *needed_by* are shown to people and never sealed.
    """

    name: str
    digest: bytes
    build_id: str = ""
    package: str = ""
    path: str = ""
    needed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """What of a processor picks numeric kernels: *architecture* (``x86_64``), *vendor* (``AuthenticAMD``), sorted *features*."""

    architecture: str = ""
    vendor: str = ""
    features: tuple[str, ...] = ()


class Blas(NamedTuple):
    """A BLAS that the environment brings, and the kernel it would choose on this processor.

    *library* is ``openblas 0.3.27`` or ``mkl``, *path* the file relative to site-packages, *kernel* ``SkylakeX`` or the like, or
    ``the one for AuthenticAMD 25/17`` where no more is known than the processor's model that it follows from, else empty.
    """

    library: str
    path: str
    kernel: str = ""


class Accelerator(NamedTuple):
    """A device that computes: *kind* (``cuda``), *name*, *driver* version, *capability* (``9.0``), *memory* in bytes."""

    kind: str
    name: str
    driver: str = ""
    capability: str = ""
    memory: int = 0


class Variable(NamedTuple):
    """A process variable that start-up reads: *name*, *weight* (of `sanctity.model.variables`) and *effect*; never its value."""

    name: str
    weight: str
    effect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """All of it. *libc* is ``glibc 2.36``; *settings* are numeric settings by an allow-list of names, of the process that looked.

    *unknown* are (part, reason) of what could not be told: ``build``, ``stdlib``, ``native``, ``cpu``, ``blas``, ``accelerators``,
    ``settings``.
    """

    build: Build = Build()
    stdlib: StandardLibrary = StandardLibrary()
    libc: str = ""
    libraries: tuple[NativeLibrary, ...] = ()
    cpu: Cpu = Cpu()
    blas: tuple[Blas, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
