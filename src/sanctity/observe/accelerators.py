"""Devices that compute, and their drivers: NVIDIA's by NVML, AMD's by what the kernel says.

A library is only asked where a driver is there to answer. NVML's bindings (``nvidia-ml-py``, imported as ``pynvml``; the extra
``gpu``) are a third party's and talk to a driver, which may hang: so a child process imports them, under a time limit,
and this one never does. Without them, the kernel's own files say the driver and the devices' names, and the rest is unknown.

Serial numbers, UUIDs and bus addresses are never kept: the same kind of device in another slot is the same accelerator.

No GPU was at hand when this was written. The real bindings were tried against a small library that answers as NVML's headers say;
MIG devices, vGPUs and AMD's files were tried by their documented forms only. Intel's and Apple's devices are not looked for.

Sources: NVIDIA's NVML API reference and driver README (``/proc/driver/nvidia``); the kernel's KFD topology
(``drivers/gpu/drm/amd/amdkfd/kfd_topology.c``), whose ``gfx_target_version`` is major * 10000 + minor * 100 + stepping.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final

from sanctity.model.platform import Accelerator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.observe.view import View

__all__ = ["ask_nvml", "observe_accelerators"]

_PART: Final = "accelerators"
_SMALL: Final = 1 << 16
_MOST: Final = 1024
#: Seconds that a driver has to answer; loading it for the first time after a boot can take some.
_PATIENCE: Final = 20.0
_NVIDIA: Final = ("/proc/driver/nvidia/version", "/dev/nvidiactl")
_AMDGPU: Final = ("/sys/module/amdgpu/version", "/proc/sys/kernel/osrelease")
_NODES: Final = "/sys/class/kfd/kfd/topology/nodes"
_PYTHON: Final = re.compile(r"(?:python|pypy)[\d.]*[a-z]?(?:\.exe)?", re.IGNORECASE)
_VERSION: Final = re.compile(rb"NVRM version:.{0,80}?\s(\d{1,5}(?:\.\d{1,5}){1,3})\s")
_MODEL: Final = re.compile(rb"^Model:\s*(\S[^\n]{0,120})", re.MULTILINE)
_REMEDY: Final = "pip install nvidia-ml-py beside sanctity lets the driver be asked"

#: What the child runs: it prints one JSON document, of names and numbers only.
_CHILD: Final = """
import json, sys
sys.path[:0] = sys.argv[1:]
try:
    import pynvml as nvml
except ImportError:
    print(json.dumps({"absent": True}))
    sys.exit()
def text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
try:
    nvml.nvmlInit()
    found = []
    for index in range(nvml.nvmlDeviceGetCount()):
        device = nvml.nvmlDeviceGetHandleByIndex(index)
        major, minor = nvml.nvmlDeviceGetCudaComputeCapability(device)
        name, memory = text(nvml.nvmlDeviceGetName(device)), int(nvml.nvmlDeviceGetMemoryInfo(device).total)
        found.append([name, "%d.%d" % (major, minor), memory])
    print(json.dumps({"driver": text(nvml.nvmlSystemGetDriverVersion()), "devices": found}))
except nvml.NVMLError as error:
    print(json.dumps({"error": str(error)}))
"""


def observe_accelerators(view: View) -> tuple[tuple[Accelerator, ...], tuple[tuple[str, str], ...]]:
    """The devices that compute, sorted, and (part, reason) of what could not be told. Nothing is asked where no driver is.

    Below a root only files are looked at: an image does not say which machine it will run on, so it has none of either.
    """
    found: list[Accelerator] = []
    unknown: list[tuple[str, str]] = []
    if any(view.exists(path) for path in _NVIDIA):
        devices, reason = _nvidia(view)
        found += devices
        if reason:
            unknown.append((_PART, reason))
    if view.exists(_NODES):
        # A driver that came with the kernel states no version of its own, and is the kernel's.
        stated, kernel = (_read(view, path).strip().decode("ascii", "replace")[:80] for path in _AMDGPU)
        devices = list(_amd(view, stated or (f"linux {kernel}" if kernel else "")))
        found += devices
        if devices and not stated and not kernel:
            unknown.append((_PART, "neither the amdgpu driver nor the kernel states a version"))
    return tuple(sorted(found)), tuple(unknown)


def _read(view: View, path: str) -> bytes:
    """The first bytes of a small file of the kernel's, empty where there is none."""
    try:
        return view.read_head(path, _SMALL)
    except OSError:
        return b""


def _nvidia(view: View) -> tuple[list[Accelerator], str]:
    """NVIDIA's devices, and the reason why not everything of them is known."""
    reason = "the machine that an image will run on is not known" if view.root else ""
    if not reason:
        answer = ask_nvml()
        if isinstance(answer, list):
            return answer, ""
        reason = answer
    match = _VERSION.search(_read(view, _NVIDIA[0]))
    driver = match[1].decode() if match else ""
    names = []
    for slot in view.listing("/proc/driver/nvidia/gpus")[:_MOST]:
        model = _MODEL.search(_read(view, f"/proc/driver/nvidia/gpus/{slot}/information"))
        names.append(model[1].strip().decode("utf-8", "replace") if model else "")
    devices = [Accelerator("cuda", name, driver) for name in names]
    what = "the compute capability and memory of NVIDIA's devices" if names else "which devices NVIDIA's driver drives"
    return devices, f"{what} could not be told: {reason}"


def ask_nvml(folder: str = "", *, patience: float = _PATIENCE) -> list[Accelerator] | str:
    """The devices that NVML lists, asked for in a child process; or the reason why there is no answer, with a remedy.

    The bindings are looked for in *folder* first, where one is given. A child that has not answered after *patience* seconds is
    ended.
    """
    import contextlib
    import json
    import subprocess

    if not _PYTHON.fullmatch(os.path.basename(sys.executable or "")):
        return "the program around us is no Python that could be started to ask it"
    # -I: neither the shell's variables nor the working folder say what is imported.
    argv = [sys.executable, "-I", "-B", "-c", _CHILD, *([folder] if folder else [])]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    try:
        child = subprocess.Popen(argv, stdin=nothing, stdout=pipe, stderr=nothing, cwd="/")
    except OSError as error:
        return f"no process could be started to ask it: {error.strerror}"
    try:
        said, _ = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        child.kill()
        # A process that waits inside of a driver does not end when it is told to, so it is not waited for long.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=1)
        return f"the driver did not answer within {patience:g} seconds"
    try:
        answer = json.loads(said)
        if "absent" in answer:
            return _REMEDY
        if "error" in answer:
            return f"NVML says: {str(answer['error'])[:120]}"
        driver = str(answer["driver"])[:40]
        return [Accelerator("cuda", str(name), driver, str(able), int(size)) for name, able, size in answer["devices"][:_MOST]]
    except (ValueError, TypeError, KeyError):
        return f"what NVML's bindings say is not understood (exit code {child.returncode})"


def _amd(view: View, driver: str) -> Iterator[Accelerator]:
    """AMD's devices that compute. A node of the topology without SIMD units is a processor's."""
    for node in view.listing(_NODES)[:_MOST]:
        said = _properties(_read(view, f"{_NODES}/{node}/properties"))
        if not said.get("simd_count"):
            continue
        version = said.get("gfx_target_version", 0)
        able = f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""
        name = _read(view, f"{_NODES}/{node}/name").strip().decode("utf-8", "replace")[:120]
        banks = view.listing(f"{_NODES}/{node}/mem_banks")[:_MOST]
        sizes = (_properties(_read(view, f"{_NODES}/{node}/mem_banks/{bank}/properties")).get("size_in_bytes", 0) for bank in banks)
        yield Accelerator("rocm", name, driver, able, sum(sizes))


def _properties(data: bytes) -> dict[str, int]:
    """A properties file of the topology: a name and a number a line."""
    return {name.decode(): int(number) for name, number in re.findall(rb"^(\w{1,60}) (\d{1,20})$", data, re.MULTILINE)}
