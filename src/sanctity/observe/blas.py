"""The BLAS that an environment brings, told from the library's own bytes, and the kernel that it would choose when it starts.

OpenBLAS is the one that NumPy's and SciPy's wheels bring: it holds a text that says how it was built, a table of the kernels it
has, and a rule by which it takes one of them. The rule is stated here anew, as far as it is known: for 64-bit x86, from release
0.3.21 on. Nothing is loaded.

Where the rule is not known, or the library is another one, its choice still follows from its bytes, the processor and the
settings: so the kernel is then "the one for" a maker's family and model, and another model is a difference. Where that is not known
either, it is left empty, with the reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sanctity.model.platform import Blas

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.observe.cpu import Processor
    from sanctity.observe.view import View

__all__ = ["CORES", "OTHER_CORES", "choose_kernel", "read_blas"]

#: OpenBLAS's names of its kernels for x86_64.
CORES: Final = (
    *("Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Atom", "Core2", "Penryn", "Dunnington", "Nehalem", "Athlon"),
    *("Opteron", "Opteron_SSE3", "Barcelona", "Nano", "Sandybridge", "Bobcat", "Bulldozer", "Piledriver", "Haswell", "Steamroller"),
    *("Excavator", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"),
)
#: Its names for other processors, as its sources have them; they are told apart from other texts, and not chosen among.
OTHER_CORES: Final = (
    *("armv8", "armv8sve", "armv9sme", "cortexa53", "cortexa55", "cortexa57", "cortexa72", "cortexa73", "falkor", "thunderx"),
    *(
        "thunderx2t99",
        "tsv110",
        "emag8180",
        "neoversen1",
        "neoversev1",
        "neoversen2",
        "thunderx3t110",
        "a64fx",
        "vortexm4",
        "ft2000",
    ),
    *("power6", "power8", "power9", "power10", "z13", "z14", "zarch_generic"),
    *("riscv64_generic", "riscv64_zvl128b", "riscv64_zvl256b", "x280"),
)

_LIBRARY_MOST: Final = 1 << 29
_OPENBLAS: Final = re.compile(r"(?:lib)?(?:scipy_)?openblas[\w.+-]*\.(?:so|dylib|dll)(?:\.\d+)*", re.IGNORECASE)
_OTHER_BLAS: Final = (
    (re.compile(r"libmkl_core\.(?:so|dylib)(?:\.\d+)*|mkl_core\.\d\.dll"), "mkl"),
    (re.compile(r"(?:lib)?blis(?:-mt)?[\w-]*\.(?:so|dylib|dll)(?:\.\d+)*"), "blis"),
    (re.compile(r"libnvpl_blas_core\.so(?:\.\d+)*"), "nvpl"),
    (re.compile(r"libtorch_cpu\.(?:so|dylib)|torch_cpu\.dll"), "torch"),
)
_CONFIGURATION: Final = re.compile(rb"OpenBLAS (\d{1,3}\.\d{1,3}\.\d{1,3}[\w.+-]{0,20}) ([\x20-\x7e]{0,200})")
_KERNEL: Final = re.compile(rb"gotoblas_([A-Z][A-Z0-9_]{1,30})\0")
#: The words of OpenBLAS's configuration; what else stands in it is the one kernel of a library that has but one.
_BUILT_WITH: Final = re.compile(
    r"DYNAMIC_ARCH|DYNAMIC_OLDER|USE64BITINT|USE_OPENMP|USE_TLS|NO_\w*|OPTIMIZED|NEEDBUNDERSCORE|SINGLE_?THREADED|MAX_THREADS\S*"
)
#: The first release whose rule is known here. What it says was compared with what 0.3.21, .23, .27, .30 and .31 chose, on AMD.
_RULE_SINCE: Final = (0, 3, 21)


def read_blas(view: View, prefix: str, path: str, processor: Processor, forced: str | None) -> tuple[Blas | None, str]:
    """The BLAS in the file *path*, None where it is none, and the reason why its kernel can not be told."""
    name = path.rpartition("/")[2]
    for shape, library in _OTHER_BLAS:
        if shape.fullmatch(name):
            kernel = _for_model(processor)
            return Blas(library, path, kernel), "" if kernel else f"{library} chooses its kernels while it runs"
    if not _OPENBLAS.fullmatch(name):
        return None, ""
    try:
        data = view.read(f"{prefix}/{path}", _LIBRARY_MOST)
    except OSError as error:
        return Blas("openblas", path), error.strerror or "it can not be read"
    match = _CONFIGURATION.search(data)
    if match is None:
        return Blas("openblas", path), "it does not say how it was built"
    version, built = match[1].decode(), match[2].decode().split()
    library = f"openblas {version}"
    if "DYNAMIC_ARCH" not in built:
        only = next((word for word in built if not _BUILT_WITH.fullmatch(word)), "")
        return Blas(library, path, _spell(only.upper())), "" if only else "it does not name its kernel"
    kernels = frozenset(kernel.decode() for kernel in _KERNEL.findall(data))
    kernel, reason = choose_kernel(version, kernels, processor, forced)
    if not kernel and forced is None:
        kernel = _for_model(processor)
    return Blas(library, path, kernel), "" if kernel else reason


def _for_model(processor: Processor) -> str:
    """What stands for the choice of a library whose rule is not known; empty where the processor's model is not known."""
    models = ", ".join(f"{family}/{model}" for family, model in processor.models)
    return f"the one for {processor.cpu.vendor} {models}" if models else ""


#: The kernels of OpenBLAS for 64-bit x86, best first, by what the processor must have.
_AVX: Final = (("avx", "SANDYBRIDGE"),)
_AVX2: Final = (("avx2", "HASWELL"), *_AVX)
_AVX512: Final = (("avx512vl", "SKYLAKEX"), *_AVX2)
_BF16: Final = (("avx512_bf16", "COOPERLAKE"), *_AVX512)
_AMX: Final = (("amx_bf16", "SAPPHIRERAPIDS"), *_BF16)
#: Intel's family 6 by model: what is looked for, and what is taken where the operating system hides even AVX.
_INTEL: Final = {
    **dict.fromkeys((0x0F, 0x16), ((), "CORE2")),
    0x17: ((), "PENRYN"),
    0x1D: ((), "DUNNINGTON"),
    **dict.fromkeys((0x1C, 0x37), ((), "ATOM")),
    **dict.fromkeys((0x1A, 0x1B, 0x1E, 0x1F, 0x25, 0x2C, 0x2E, 0x2F, 0x4C, 0x4D, 0x5C, 0x5F, 0x7A), ((), "NEHALEM")),
    **dict.fromkeys((0x2A, 0x2D, 0x3A, 0x3E), (_AVX, "NEHALEM")),
    **dict.fromkeys(
        (0x3C, 0x3D, 0x3F, 0x45, 0x46, 0x47, 0x4E, 0x4F, 0x56, 0x57, 0x5E, 0x66, 0x8E, 0x9E, 0xA5, 0xA6), (_AVX2, "NEHALEM")
    ),
    **dict.fromkeys((0x7D, 0x7E, 0x8C, 0x8D, 0xA7), (_AVX512, "NEHALEM")),
    **dict.fromkeys((0x55, 0x6A, 0x6C, 0x97, 0x9A), (_BF16, "NEHALEM")),
    0x8F: (_AMX, "NEHALEM"),
}
#: AMD's and Hygon's by family.
_AMD: Final = {
    **dict.fromkeys((0x14, 0x16), ((), "BOBCAT")),
    **dict.fromkeys((0x17, 0x18), ((("avx", "ZEN"),), "BARCELONA")),
    0x19: ((("avx512_bf16", "COOPERLAKE"), ("avx512vl", "SKYLAKEX"), ("avx", "ZEN")), "BARCELONA"),
}
#: What takes a kernel's place in a library that was built with a list of kernels without it; PRESCOTT is in every list.
_IN_PLACE: Final = {
    "SAPPHIRERAPIDS": ("SKYLAKEX", "HASWELL", "SANDYBRIDGE", "NEHALEM"),
    "COOPERLAKE": ("SKYLAKEX", "HASWELL", "SANDYBRIDGE", "NEHALEM"),
    "SKYLAKEX": ("HASWELL", "SANDYBRIDGE", "NEHALEM"),
    "ZEN": ("HASWELL", "SANDYBRIDGE", "NEHALEM"),
    "HASWELL": ("SANDYBRIDGE", "NEHALEM"),
    **dict.fromkeys(("BULLDOZER", "PILEDRIVER", "STEAMROLLER", "EXCAVATOR"), ("SANDYBRIDGE", "NEHALEM")),
    **dict.fromkeys(("SANDYBRIDGE", "BARCELONA", "ATOM", "BOBCAT"), ("NEHALEM",)),
}
#: The same for one built with all but the oldest kernels.
_ALL: Final = frozenset({"PRESCOTT", "CORE2", "NEHALEM", "BARCELONA"})
_IN_PLACE_OF_OLDER: Final = {
    **dict.fromkeys(("ATOM", "NANO"), "NEHALEM"),
    **dict.fromkeys(("PENRYN", "DUNNINGTON", "OPTERON", "OPTERON_SSE3", "BOBCAT"), "CORE2"),
}
#: What a 64-bit library never takes.
_TOO_OLD: Final = frozenset({"KATMAI", "COPPERMINE", "NORTHWOOD", "BANIAS", "ATHLON"})


def choose_kernel(version: str, kernels: frozenset[str], processor: Processor, forced: str | None) -> tuple[str, str]:
    """The kernel that an OpenBLAS *version* with these *kernels* takes on *processor*, and the reason where it can not be told.

    *forced* is OPENBLAS_CORETYPE, None where it is not set. Source: ``driver/others/dynamic.c`` of OpenBLAS, from 0.3.21 on. A
    library built with a list of kernels calls its oldest, PRESCOTT, by the name Katmai: here a kernel has the name of its code.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not kernels:
        return "", "its table of kernels was removed"
    if processor.cpu.architecture != "x86_64":
        if forced and forced.upper() in kernels:
            return forced.lower(), ""
        where = processor.cpu.architecture or "a processor that could not be looked at"
        return "", f"which kernel it chooses on {where} is not known here"
    if numbers < _RULE_SINCE:
        if forced and forced.upper() in kernels - _TOO_OLD:
            return _spell(forced.upper()), ""
        return "", "how a release before 0.3.21 chooses its kernel is not known here"
    if forced is None:
        wanted, reason = _wanted(processor)
    else:
        wanted, reason = _forced(forced, kernels, frozenset(processor.cpu.features))
    if not wanted:
        return "", reason
    taken = "PRESCOTT" if wanted in _TOO_OLD else wanted
    if taken not in kernels:
        if taken == "SAPPHIRERAPIDS" and "COOPERLAKE" in kernels:
            return "", "what it takes in the place of the kernel SapphireRapids is not known here"
        older = _IN_PLACE_OF_OLDER.get(taken, "") if kernels >= _ALL else ""
        taken = older or next((other for other in _IN_PLACE.get(taken, ()) if other in kernels), "PRESCOTT")
    return (_spell(taken), "") if taken in kernels else ("", "the kernel that it would choose is not among those it has")


def _spell(kernel: str) -> str:
    return next((name for name in CORES if name.upper() == kernel), kernel.capitalize())


def _best(features: frozenset[str], ladder: Iterable[tuple[str, str]], last: str) -> str:
    return next((kernel for feature, kernel in ladder if feature in features), last)


def _forced(forced: str, kernels: frozenset[str], features: frozenset[str]) -> tuple[str, str]:
    """The kernel that OPENBLAS_CORETYPE asks for: a name in any case; any other text has it chosen by features alone."""
    name = forced.upper()
    if name == "SAPPHIRERAPIDS" and "SAPPHIRERAPIDS" in kernels:
        # Releases differ in whether this one can be asked for.
        return "", "whether OPENBLAS_CORETYPE can name this kernel is not known here"
    if name in {core.upper() for core in CORES}:
        return name, ""
    return _best(features, _BF16, "PRESCOTT"), ""


def _wanted(processor: Processor) -> tuple[str, str]:
    """The kernel that is best for *processor*, whether a library has it or not."""
    unknown = "which kernel it chooses on this processor is not known here"
    if len(processor.models) != 1:
        return "", "its cores differ" if processor.models else unknown
    family, model = processor.models[0]
    features = frozenset(processor.cpu.features)
    if processor.cpu.vendor == "GenuineIntel":
        if family == 6 and model in _INTEL:
            return _best(features, *_INTEL[model]), ""
        # A newer processor without AVX-512 gets the same kernel by its name and by its features.
        if family == 6 and model > 0x9E and "avx2" in features and not features & {"avx512f", "amx_tile"}:
            return "HASWELL", ""
    elif processor.cpu.vendor in {"AuthenticAMD", "HygonGenuine"}:
        if family in _AMD:
            return _best(features, *_AMD[family]), ""
        if family == 0x1A and "avx512vl" in features:
            return _best(features, _BF16, ""), ""
    return "", unknown
