"""The processor, as ``/proc/cpuinfo`` describes it on Linux: who made it, and which of its features pick numeric kernels.

The kernel leaves out what the operating system has not enabled, as the libraries do when they ask the processor itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sanctity.model.platform import Cpu

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CPU_FEATURES", "Processor", "parse_cpuinfo"]

#: The features that pick numeric kernels, as /proc/cpuinfo names them (but for ``sse3``, which it calls ``pni``), and what picks by
#: them: *numpy* its dispatch targets (``npy_cpu_features.c``), *openblas* DYNAMIC_ARCH (``driver/others/dynamic*.c``), *onednn* its
#: instruction sets (``cpu_isa_traits``), which MKL's and PyTorch's are among, *glibc* the variants of libm.
CPU_FEATURES: Final = {
    # x86_64
    "sse3": "numpy, openblas",
    "ssse3": "numpy",
    "sse4_1": "numpy, onednn",
    "sse4_2": "numpy",
    "popcnt": "numpy",
    "cx16": "numpy: the level X86_V2",
    "lahf_lm": "numpy: the level X86_V2",
    "avx": "numpy, openblas, onednn",
    "f16c": "numpy, onednn",
    "fma": "numpy, openblas, onednn, glibc",
    "fma4": "numpy, glibc",
    "xop": "numpy",
    "avx2": "numpy, openblas, onednn, glibc",
    "abm": "numpy: LZCNT, the level X86_V3",
    "bmi1": "numpy: the level X86_V3",
    "bmi2": "numpy: the level X86_V3",
    "movbe": "numpy: the level X86_V3",
    "avx_vnni": "onednn",
    "avx_vnni_int8": "onednn",
    "avx_ne_convert": "onednn",
    "avx_ifma": "onednn",
    "avx512f": "numpy, openblas, onednn",
    "avx512cd": "numpy, onednn",
    "avx512bw": "numpy, onednn",
    "avx512dq": "numpy, onednn",
    "avx512vl": "numpy, openblas, onednn",
    "avx512er": "numpy, onednn",
    "avx512pf": "numpy",
    "avx512ifma": "numpy",
    "avx512vbmi": "numpy, onednn",
    "avx512_vbmi2": "numpy",
    "avx512_vnni": "numpy, onednn",
    "avx512_bitalg": "numpy",
    "avx512_vpopcntdq": "numpy",
    "avx512_4fmaps": "numpy",
    "avx512_4vnniw": "numpy",
    "avx512_bf16": "numpy, openblas, onednn",
    "avx512_fp16": "numpy, onednn",
    "gfni": "numpy: the target AVX512_ICL",
    "vaes": "numpy: the target AVX512_ICL",
    "vpclmulqdq": "numpy: the target AVX512_ICL",
    "amx_tile": "openblas, onednn",
    "amx_int8": "onednn",
    "amx_bf16": "openblas, onednn",
    "amx_fp16": "onednn",
    "amx_complex": "onednn",
    # aarch64
    "asimd": "numpy, openblas, onednn",
    "fphp": "numpy",
    "asimdhp": "numpy",
    "asimddp": "numpy, openblas",
    "asimdfhm": "numpy",
    "sve": "numpy, openblas, onednn",
    "sve2": "onednn",
    "bf16": "onednn",
    "i8mm": "onednn",
    "svebf16": "openblas, onednn",
    "svei8mm": "onednn",
    "sme": "openblas, onednn",
    "sme2": "onednn",
    # ppc64le, told by the processor's generation
    "vsx": "numpy",
    "vsx2": "numpy, openblas: POWER8",
    "vsx3": "numpy, openblas: POWER9",
    "vsx4": "numpy, openblas: POWER10",
    # s390x
    "vx": "numpy, openblas: Z13",
    "vxe": "numpy, openblas: Z14",
    "vxe2": "numpy",
    "nnpa": "onednn",
    # riscv64
    "v": "numpy, openblas",
    "zvfh": "openblas",
}
_OTHER_NAMES: Final = {"pni": "sse3"}
_POWER: Final = ((7, "vsx"), (8, "vsx2"), (9, "vsx3"), (10, "vsx4"))
#: Who made an Arm core, by the code that the kernel shows (``Documentation/arch/arm64/cpu-feature-registers.rst``, MIDR_EL1).
_IMPLEMENTERS: Final = {
    0x41: "ARM",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "APM",
    0x51: "Qualcomm",
    0x61: "Apple",
    0x6D: "Microsoft",
    0xC0: "Ampere",
}


class Processor(NamedTuple):
    """What /proc/cpuinfo says, beyond what a seal keeps: *models* are the (family, model) of every kind of core."""

    cpu: Cpu
    models: tuple[tuple[int, int], ...] = ()


def parse_cpuinfo(data: bytes) -> Processor:
    """Read /proc/cpuinfo in the forms that Linux has on x86_64, aarch64, ppc64le, s390x and riscv64.

    Where cores differ, the features are those that all of them have, and the vendors are joined by ``+``. An unknown form gives an
    empty architecture.
    """
    text = data.decode("utf-8", "replace")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), []).append(value.strip())
    words: list[list[str]]
    vendors: list[str]
    models: list[tuple[int, int]] = []
    if "vendor_id" in found and "flags" in found:
        words = [value.split() for value in found["flags"]]
        architecture = "x86_64" if all("lm" in flags for flags in words) else "i686"
        vendors = found["vendor_id"]
        models = list(zip(_numbers(found.get("cpu family")), _numbers(found.get("model")), strict=False))
    elif "CPU implementer" in found and "Features" in found:
        words = [value.split() for value in found["Features"]]
        architecture = "aarch64" if all("asimd" in flags for flags in words) else "armv7l"
        makers = _numbers(found["CPU implementer"])
        vendors = [_IMPLEMENTERS.get(maker, f"{maker:#04x}") for maker in makers]
        models = list(zip(makers, _numbers(found.get("CPU part")), strict=False))
    elif "features" in found and found.get("vendor_id", [""])[0].startswith("IBM/S390"):
        words = [value.split() for value in found["features"]]
        architecture, vendors = "s390x", ["IBM/S390"]
    elif "isa" in found:
        words = [_riscv(value) for value in found["isa"]]
        architecture = "riscv64" if all(value.startswith("rv64") for value in found["isa"]) else "riscv32"
        vendors = found.get("mvendorid", [])
    elif power := [re.match(r"POWER(\d{1,2})", value) for value in found.get("cpu", [])]:
        levels = [int(match[1]) if match else 0 for match in power]
        words = [[name for level, name in _POWER if level <= mine] for mine in levels]
        architecture, vendors = "ppc64le", ["IBM"]
    else:
        return Processor(Cpu())
    shared = set.intersection(*({_OTHER_NAMES.get(word, word) for word in flags} for flags in words))
    cpu = Cpu(
        architecture=architecture,
        vendor="+".join(sorted({re.sub(r"[^\w ./-]", "?", vendor)[:40] for vendor in vendors})),
        features=tuple(sorted(shared & CPU_FEATURES.keys())),
    )
    return Processor(cpu, tuple(sorted(set(models))))


def _numbers(values: Sequence[str] | None) -> list[int]:
    """Each of *values* as a number, -1 for what is none."""
    found = []
    for value in values or ():
        try:
            found.append(int(value[:20], 0))
        except ValueError:
            found.append(-1)
    return found


def _riscv(isa: str) -> list[str]:
    """The extensions in an ISA string such as ``rv64imafdcv_zicsr_zvfh``; ``g`` stands for ``imafd``."""
    head, *long = isa.lower().split("_")
    return [*re.sub(r"^rv\d+", "", head).replace("g", "imafd"), *long]
