"""Accelerators: nothing is asked where no driver is; NVML's own bindings against a library that answers as its header says.

There is no GPU here: what a real driver answers, MIG devices and AMD's devices were not tried on hardware.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.model.platform import Accelerator
from sanctity.observe import accelerators
from sanctity.observe.accelerators import ask_nvml, observe_accelerators
from sanctity.observe.view import View

if TYPE_CHECKING:
    from real.tools import Workshop

VERSION = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0\n"
)
OPEN_VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build  (dvs-builder@U22)\n"
SECRET = "GPU-1b2c3d4e-aaaa-bbbb-cccc-0123456789ab"
INFORMATION = f"Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 31\nGPU UUID: \t {SECRET}\nBus Location: \t 0000:01:00.0\n"


def _image(root: Path, files: dict[str, str]) -> View:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return View(str(root))


def _nvidia(root: Path, *models: str, version: str = VERSION) -> View:
    files = {"proc/driver/nvidia/version": version}
    for index, model in enumerate(models):
        files[f"proc/driver/nvidia/gpus/0000:0{index}:00.0/information"] = INFORMATION.replace("H100 80GB HBM3", model)
    return _image(root, files)


def test_without_a_driver_there_is_nothing_and_no_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(accelerators, "ask_nvml", lambda: pytest.fail("it was asked"))
    assert observe_accelerators(_image(tmp_path, {"proc/cpuinfo": ""})) == ((), ())


def test_without_a_driver_neither_bindings_nor_ctypes_are_imported() -> None:
    if Path("/proc/driver/nvidia").exists() or Path("/dev/nvidiactl").exists():
        pytest.skip("there is a driver here")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
        "from sanctity.observe.accelerators import observe_accelerators\n"
        "from sanctity.observe.view import View\n"
        "print(observe_accelerators(View())[0], {'pynvml', 'ctypes', 'subprocess', '_ctypes'} & set(sys.modules))"
    )
    source = Path(accelerators.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, source], capture_output=True, text=True, check=True, timeout=60, cwd="/"
    )
    assert done.stdout == "() set()\n"


def test_an_image_with_a_driver_tells_what_its_files_say(tmp_path: Path) -> None:
    found, unknown = observe_accelerators(_nvidia(tmp_path, "H100 80GB HBM3", "A100-SXM4-40GB"))
    assert found == (
        Accelerator("cuda", "NVIDIA A100-SXM4-40GB", "550.54.15"),
        Accelerator("cuda", "NVIDIA H100 80GB HBM3", "550.54.15"),
    )
    assert [part for part, _ in unknown] == ["accelerators"]


@pytest.mark.parametrize(
    ("text", "driver"), [(VERSION, "550.54.15"), (OPEN_VERSION, "570.86.10"), ("", ""), ("NVRM version: x", "")]
)
def test_the_drivers_version(tmp_path: Path, text: str, driver: str) -> None:
    found, _ = observe_accelerators(_nvidia(tmp_path, "L4", version=text))
    assert [device.driver for device in found] == [driver]


def test_no_serial_number_is_kept(tmp_path: Path) -> None:
    assert SECRET not in repr(observe_accelerators(_nvidia(tmp_path, "L4")))
    assert "0000:" not in repr(observe_accelerators(_nvidia(tmp_path, "L4")))


def test_one_thing_changes_and_one_thing_is_told(tmp_path: Path) -> None:
    before, _ = observe_accelerators(_nvidia(tmp_path / "a", "L4", "L4"))
    same, _ = observe_accelerators(_nvidia(tmp_path / "b", "L4", "L4"))
    other, _ = observe_accelerators(_nvidia(tmp_path / "c", "L4", "L40S"))
    newer, _ = observe_accelerators(_nvidia(tmp_path / "d", "L4", "L4", version=VERSION.replace("550.54.15", "550.54.16")))
    fewer, _ = observe_accelerators(_nvidia(tmp_path / "e", "L4"))
    assert before == same
    assert len(set(before) ^ set(other)) == 1
    assert {device.driver for device in newer} == {"550.54.16"}
    assert [device._replace(driver="") for device in newer] == [device._replace(driver="") for device in before]
    assert fewer == before[:1]


def test_a_driver_without_the_bindings_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The host's own view, with the paths led to an image: the child is asked, and finds no bindings."""
    if subprocess.run([sys.executable, "-I", "-c", "import pynvml"], capture_output=True, check=False, timeout=60).returncode == 0:
        pytest.skip("the bindings are installed beside sanctity")
    monkeypatch.setattr(accelerators, "_NVIDIA", (str(tmp_path / "version"), "/nowhere"))
    (tmp_path / "version").write_text(VERSION)
    found, unknown = observe_accelerators(View())
    assert found == ()
    ((part, reason),) = unknown
    assert part == "accelerators"
    assert "pip install nvidia-ml-py" in reason


GOOD = """
class NVMLError(Exception): pass
class M: total = 85899345920
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 2
def nvmlDeviceGetHandleByIndex(i): return i
def nvmlDeviceGetCudaComputeCapability(d): return (9, d)
def nvmlDeviceGetName(d): return b"NVIDIA H100"
def nvmlDeviceGetMemoryInfo(d): return M
def nvmlSystemGetDriverVersion(): return "550.54.15"
"""


def _bindings(folder: Path, text: str) -> str:
    (folder / "pynvml.py").write_text(text)
    return str(folder)


def test_what_the_bindings_say(tmp_path: Path) -> None:
    size = 85899345920
    assert ask_nvml(_bindings(tmp_path, GOOD)) == [
        Accelerator("cuda", "NVIDIA H100", "550.54.15", "9.0", size),
        Accelerator("cuda", "NVIDIA H100", "550.54.15", "9.1", size),
    ]
    assert "pynvml" not in sys.modules


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("def nvmlInit(): pass", "def nvmlInit(): raise NVMLError('Driver Not Loaded')"), "NVML says: Driver Not Loaded"),
        (("return 2", "print('not', 'json'); return 2"), "not understood"),
        (("def nvmlInit(): pass", "def nvmlInit(): import os; os.abort()"), "not understood"),
        (('return "550.54.15"', "raise KeyError"), "not understood"),
        (("total = 85899345920", "total = 'much'"), "not understood"),
    ],
)
def test_bindings_that_fail_give_a_reason(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    answer = ask_nvml(_bindings(tmp_path, GOOD.replace(*change)))
    assert isinstance(answer, str)
    assert reason in answer


def test_a_driver_that_hangs_does_not_hang_us(tmp_path: Path) -> None:
    sleep = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"
    started = time.monotonic()
    answer = ask_nvml(_bindings(tmp_path, sleep), patience=0.5)
    assert isinstance(answer, str)
    assert "did not answer within 0.5 seconds" in answer
    assert time.monotonic() - started < 120


@pytest.mark.parametrize("program", ["", "/usr/sbin/uwsgi"])
def test_a_program_that_is_no_python_is_not_started(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(sys, "executable", program)
    answer = ask_nvml()
    assert isinstance(answer, str)
    assert "no Python" in answer


#: As the header nvml.h of CUDA 12 declares them: a driver with one device.
NVML = r"""
#include <string.h>
typedef void *device; static int one;
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned f) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "Uninitialized"; }
int nvmlSystemGetDriverVersion(char *text, unsigned length) { strncpy(text, "550.54.15", length); return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device *found) { *found = &one; return 0; }
int nvmlDeviceGetName(device d, char *text, unsigned length) { strncpy(text, "NVIDIA L4", length); return 0; }
int nvmlDeviceGetCudaComputeCapability(device d, int *major, int *minor) { *major = 8; *minor = 9; return 0; }
int nvmlDeviceGetMemoryInfo(device d, memory *m) { m->total = 24152899584ULL; m->free = m->used = 0; return 0; }
"""


@pytest.mark.index
def test_the_real_bindings(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler")
    workshop.equipped(tmp_path / "env", "nvidia-ml-py")
    (folder,) = (tmp_path / "env/lib").glob("python3*/site-packages")
    if not Path("/dev/nvidiactl").exists():
        answer = ask_nvml(str(folder))
        assert isinstance(answer, str)
        assert answer.startswith("NVML says: ")
    (tmp_path / "nvml.c").write_text(NVML)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", tmp_path / "libnvidia-ml.so.1", tmp_path / "nvml.c"], check=True, timeout=60
    )
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert ask_nvml(str(folder)) == [Accelerator("cuda", "NVIDIA L4", "550.54.15", "8.9", 24152899584)]


NODES = "sys/class/kfd/kfd/topology/nodes"


def _amd(root: Path, *targets: int, driver: str = "6.8.5\n") -> View:
    files = {f"{NODES}/0/properties": "cpu_cores_count 64\nsimd_count 0\n", f"{NODES}/0/name": "\n"}
    for index, target in enumerate(targets, 1):
        files[f"{NODES}/{index}/properties"] = f"simd_count 440\ngfx_target_version {target}\nunique_id 123456789\n"
        files[f"{NODES}/{index}/name"] = "ip discovery\n"
        files[f"{NODES}/{index}/mem_banks/0/properties"] = "heap_type 1\nsize_in_bytes 68702699520\nflags 0\n"
    if driver:
        files["sys/module/amdgpu/version"] = driver
    return _image(root, files)


@pytest.mark.parametrize(
    ("target", "name"), [(90010, "gfx90a"), (90402, "gfx942"), (100300, "gfx1030"), (110000, "gfx1100"), (0, "")]
)
def test_amds_devices_by_their_target(tmp_path: Path, target: int, name: str) -> None:
    found, unknown = observe_accelerators(_amd(tmp_path, target))
    assert found == (Accelerator("rocm", "ip discovery", "6.8.5", name, 68702699520),)
    assert unknown == ()


def test_the_kernels_own_amdgpu_is_of_the_kernels_version(tmp_path: Path) -> None:
    found, unknown = observe_accelerators(_amd(tmp_path / "none", 90010, driver=""))
    assert [device.driver for device in found] == [""]
    assert [part for part, _ in unknown] == ["accelerators"]
    _image(tmp_path / "kernel", {"proc/sys/kernel/osrelease": "6.18.5\n"})
    found, unknown = observe_accelerators(_amd(tmp_path / "kernel", 90010, driver=""))
    assert [device.driver for device in found] == ["linux 6.18.5"]
    assert unknown == ()


def test_a_processor_is_no_accelerator(tmp_path: Path) -> None:
    assert observe_accelerators(_amd(tmp_path)) == ((), ())


@pytest.mark.parametrize("data", [b"\0" * 4096, b"\xff\xfe" * 999, b"Model: " + b"x" * 100_000, b"NVRM version:" + b" " * 65536])
def test_hostile_files_cost_nothing(tmp_path: Path, data: bytes) -> None:
    for name in ("proc/driver/nvidia/version", "proc/driver/nvidia/gpus/x/information", f"{NODES}/1/properties"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    found, unknown = observe_accelerators(View(str(tmp_path)))
    assert len(found) == 1
    assert len(found[0].name) <= 121
    assert unknown
