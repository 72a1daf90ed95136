"""Which variations there are on this machine, which values each takes here, and why some are impossible.

The first value is what unchanged runs have. Whatever a value says in words, `launch` does.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sanctity.errors import UsageError
from sanctity.model.repeats import Level, Numerics, Variation
from sanctity.variation.place import MOST_LINKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["HOOKED", "SETS", "THREADS", "Machine", "catalogue", "look", "numerics"]

#: Variations that only the hook in a program's Python makes; the time is held by libfaketime where there is no Python.
HOOKED: Final = frozenset({"file-order", "entropy", "time", "pid"})
#: The variables that say how many threads a numeric library has.
THREADS: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)
#: More values than that of one variation are not needed: a run more takes the first again.
_MANY: Final = 64
#: The kinds of places that sort, write numbers or fold case in other ways.
_LANGUAGES: Final = ("C", "tr_TR", "de_DE", "en_US", "fr_FR", "sv_SE", "cs_CZ", "et_EE", "ja_JP", "hi_IN", "ar_EG")
_MOST_LOCALES: Final = 8
_ZONES: Final = ("Pacific/Kiritimati", "America/St_Johns", "Asia/Kathmandu", "Pacific/Pago_Pago", "Europe/Berlin", "UTC")
_ZONE_RULES: Final = ("<+14>-14", "<-0330>3:30", "<+0545>-5:45", "<-11>11", "UTC0")
_CLOCKS: Final = ("+36h", "+40d", "-7h", "+200d", "-400d", "+11h", "+3d")
_FAKETIME: Final = (
    "/usr/lib/*/faketime/libfaketimeMT.so.1",
    "/usr/lib*/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib*/faketime/libfaketime.so.1",
)
_PERSONALITY: Final = (0x0040000, 0xFFFFFFFF)

#: What a numeric library is told for an instruction set, x86: variables and values; the best of the machine is told nothing.
_AVX512: Final = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
SETS: Final[dict[str, dict[str, str]]] = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": _AVX512,
        "MKL_CBWR": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    },
    "avx": {
        "ATEN_CPU_CAPABILITY": "default",
        "OPENBLAS_CORETYPE": "Sandybridge",
        "NPY_DISABLE_CPU_FEATURES": f"AVX2 FMA3 X86_V3 {_AVX512}",
        "MKL_CBWR": "AVX",
        "ONEDNN_MAX_CPU_ISA": "AVX",
    },
    "sse4_1": {
        "ATEN_CPU_CAPABILITY": "default",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": f"AVX F16C AVX2 FMA3 X86_V3 {_AVX512}",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
    },
}
#: The flags of /proc/cpuinfo that an instruction set needs, the best first.
_FLAGS: Final = (("avx512", "avx512f"), ("avx2", "avx2"), ("avx", "avx"), ("sse4_1", "sse4_1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was found here: the *cpus* that this process may run on, the best instruction set *isa*, the *locales* that can be used.

    *faketime* is the path of the library; *aslr* says why the addresses of a program can not be chosen, or nothing.
    """

    cpus: tuple[int, ...]
    isa: str
    locales: tuple[str, ...]
    faketime: str
    aslr: str
    zones: bool


def look(environ: Mapping[str, str]) -> Machine:
    """What there is here."""
    return Machine(
        cpus=tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else (),
        isa=_isa(),
        locales=_locales(environ),
        faketime=_faketime(),
        aslr=_aslr(),
        zones=os.path.isfile("/usr/share/zoneinfo/Asia/Kathmandu"),
    )


def numerics(machine: Machine, environ: Mapping[str, str]) -> Numerics:
    """How numbers are computed in unchanged runs."""
    cpus = len(machine.cpus) or os.cpu_count() or 1
    told = environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return Numerics(threads=int(told) if told.isdecimal() and int(told) else cpus, cpus=cpus, isa=machine.isa)


def catalogue(
    machine: Machine, environ: Mapping[str, str], level: Level, vary: Sequence[str] = (), hold: Sequence[str] = ()
) -> tuple[Variation, ...]:
    """All variations, those that are not to be varied with the reason.

    Raises:
        UsageError: ``usage``, a name is of no variation.
    """
    found = tuple(_all(machine, environ))
    known = {variation.name for variation in found if not variation.source}
    for option, names in (("--vary", vary), ("--hold", hold)):
        for name in names:
            if name not in known:
                words = f"it is no variation; there are {', '.join(sorted(known))}"
                raise UsageError("usage", words, where=f"{option} {name}", hint="name one of them")
    order = tuple(Level)
    chosen = []
    for variation in found:
        reason = variation.held
        if not (variation.source or variation.impossible or reason):
            if variation.name in hold:
                reason = f"--hold {variation.name}"
            elif vary and variation.name not in vary:
                reason = "not named by --vary"
            elif not vary and order.index(variation.level) > order.index(level):
                reason = f"at level {level}"
        chosen.append(replace(variation, held=reason))
    return tuple(chosen)


def _all(machine: Machine, environ: Mapping[str, str]) -> Iterable[Variation]:
    process, machine_, numeric = Level.PROCESS, Level.MACHINE, Level.NUMERICS
    seed = environ.get("PYTHONHASHSEED", "")
    fixed = seed if seed.isdecimal() else ""
    held = f"PYTHONHASHSEED is {fixed}" if fixed else "SANCTITY_SEED sets it" if environ.get("SANCTITY_SEED") else ""
    first = fixed or "0"
    seeds = (first, *(str(number) for number in range(1, _MANY + 1) if str(number) != first))
    yield Variation(name="hash-seed", words="hash seed", level=process, values=seeds, held=held)
    yield Variation(name="aslr", words="ASLR", level=process, values=("off", "on"), impossible=machine.aslr)

    here = environ.get("TZ", "local")
    zones = _ZONES if machine.zones else _ZONE_RULES
    yield Variation(name="tz", words="TZ", level=machine_, values=(here, *(zone for zone in zones if zone != here)))
    told = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    others = tuple(name for name in machine.locales if _spelled(name) != _spelled(told))
    impossible = "" if others else "no other locale is installed"
    yield Variation(name="locale", words="locale", level=machine_, values=(told, *others), impossible=impossible)
    yield Variation(name="cwd", words="cwd", level=machine_, values=("here", "another path", "a longer path"))
    values = ("here", "another path")
    yield Variation(name="home", words="home", level=machine_, values=values, impossible=_home(environ.get("HOME", "")))
    mask = _umask()
    masks = (mask, *(value for value in ("077", "002", "022", "027") if value != mask))
    yield Variation(name="umask", words="umask", level=machine_, values=masks)
    orders = ("as listed", "reversed", *(f"shuffled {number}" for number in range(1, _MANY)))
    yield Variation(name="file-order", words="file order", level=machine_, values=orders)
    noise = (f"{size:,} bytes more, reversed" if size % 2 else f"{size:,} bytes more" for size in _sizes())
    yield Variation(name="environment", words="environment", level=machine_, values=("as it is", *noise))
    yield Variation(name="tmpdir", words="TMPDIR", level=machine_, values=("here", "another path"))
    yield Variation(name="load", words="load", level=machine_, values=("idle", "busy"))
    impossible = "" if machine.faketime else "no libfaketime"
    yield Variation(name="clock", words="clock", level=machine_, values=("now", *_CLOCKS), impossible=impossible)

    figures = numerics(machine, environ)
    threads = dict.fromkeys(str(number) for number in (figures.threads, 1, 2, 3, figures.cpus))
    yield Variation(name="threads", words="threads", level=numeric, values=tuple(threads))
    sets = dict.fromkeys([_cpus(machine.cpus), *(_cpus(part) for part in _parts(machine.cpus))])
    impossible = "" if len(sets) > 1 else "there is one CPU" if machine.cpus else "not on this system"
    yield Variation(name="cpus", words="CPUs", level=numeric, values=tuple(sets), impossible=impossible)
    names = [name for name, _ in _FLAGS]
    lower = tuple(names[names.index(machine.isa) + 1 :]) if machine.isa in names else ()
    impossible = "" if lower else "no lesser one of this processor is known"
    yield Variation(
        name="instruction-set", words="instruction set", level=numeric, values=(machine.isa, *lower), impossible=impossible
    )

    for name, words in (
        ("entropy", "the system's entropy"),
        ("time", "the time"),
        ("pid", "the process number"),
        ("scheduling", "the order of threads"),
    ):
        yield Variation(name=name, words=words, level=process, values=("free", "held"), source=True)


def _sizes() -> Iterable[int]:
    """Sizes of the variable that is added: no multiples of a page or of a stack's alignment, some more than a page."""
    return (16 + (number * 1237) % 7919 for number in range(1, _MANY))


def _parts(cpus: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
    if len(cpus) > 1:
        yield cpus[:1]
        yield cpus[-1:]
        if len(cpus) > 2:
            yield cpus[: max(2, len(cpus) // 2)]
            yield cpus[:2]


def _cpus(cpus: Iterable[int]) -> str:
    return ",".join(map(str, cpus))


def _spelled(name: str) -> str:
    return name.lower().replace("-", "").replace("posix", "c")


def _home(path: str) -> str:
    """Why no other home folder can be made with the same in it; empty where one can."""
    try:
        number = len(os.listdir(path)) if os.path.isabs(path) else -1
    except OSError as error:
        return f"HOME can not be listed: {error.strerror}"
    return "there is no HOME" if number < 0 else "HOME holds too much" if number > MOST_LINKS else ""


def _umask() -> str:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            found = re.search(r"^Umask:\s*0*([0-7]+)$", file.read(), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return found[1].zfill(3)
    mask = os.umask(0o077)
    os.umask(mask)
    return f"{mask:03o}"


def _isa() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            found = re.search(r"^flags\s*:(.*)$", file.read(1 << 16), re.MULTILINE)
    except OSError:
        found = None
    flags = set(found[1].split()) if found else set()
    return next((name for name, flag in _FLAGS if flag in flags), os.uname().machine)


def _locales(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Locales that are installed here, and decode text as UTF-8, but for ``C``; those that do most things otherwise first."""
    try:
        said = subprocess.run(
            ["locale", "-a"], env=dict(environ), capture_output=True, stdin=subprocess.DEVNULL, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    names = [name for name in said.decode("utf-8", "replace").split() if name == "C" or _spelled(name).endswith(".utf8")]
    order = {language: number for number, language in enumerate(_LANGUAGES)}
    names.sort(key=lambda name: (order.get(name.partition(".")[0], len(order)), name))
    return tuple(names[:_MOST_LOCALES])


def _faketime() -> str:
    """The path of libfaketime, of the system's or of the package of that name; empty where there is none."""
    from importlib.util import find_spec

    if sys.platform != "linux":
        return ""
    for pattern in _FAKETIME:
        for path in sorted(glob.glob(pattern)):
            return path
    try:
        spec = find_spec("libfaketime")
    except (ImportError, ValueError):
        return ""
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in ("libfaketimeMT.so.1", "libfaketime.so.1"):
            path = os.path.join(folder, "vendor/libfaketime/src", name)
            if os.path.isfile(path):
                return path
    return ""


def _aslr() -> str:
    """Why the addresses of a program can not be random or not as we like; empty where they can."""
    if sys.platform != "linux":
        return "not on this system"
    try:
        import ctypes
    except ImportError:
        return "this Python has no ctypes"
    with open("/proc/sys/kernel/randomize_va_space", encoding="ascii") as file:
        if file.read().strip() == "0":
            return "the kernel is set to use no random addresses"
    libc = ctypes.CDLL(None, use_errno=True)
    none, ask = _PERSONALITY
    now = libc.personality(ask)
    if now == -1 or libc.personality(now ^ none) == -1:
        return "not permitted here"
    libc.personality(now)
    return ""
