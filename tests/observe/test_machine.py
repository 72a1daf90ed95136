"""The numeric class of a machine: forms of /proc/cpuinfo, which kernel a BLAS takes, settings, and that no secret comes out.

What numpy, threadpoolctl and lscpu say of this very machine is compared with what is observed here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sanctity.model.environment import FileEntry, FileKind
from sanctity.model.platform import Cpu
from sanctity.observe.blas import CORES, choose_kernel
from sanctity.observe.cpu import CPU_FEATURES, Processor, parse_cpuinfo
from sanctity.observe.machine import Machine, observe_machine
from sanctity.observe.settings import NOT_RECORDED, NUMERIC_SETTINGS, observe_settings
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from real.tools import Workshop

SITE = "lib/python3.11/site-packages"
EPYC = (
    "processor\t: {n}\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
    "flags\t\t: fpu lm sse2 pni ssse3 sse4_1 sse4_2 popcnt avx f16c fma avx2 avx512f avx512vl avx512_bf16 sha_ni\n\n"
)
ARM = (
    "processor\t: {n}\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd aes crc32 atomics fphp asimdhp asimddp sve\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n"
)
POWER = "processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\nclock\t\t: 2166MHz\n\ntimebase\t: 512000000\n"
MAINFRAME = (
    "vendor_id       : IBM/S390\n# processors    : 2\nbogomips per cpu: 3241.00\n"
    "features\t: esan3 zarch stfle msa ldisp eimm dfp vx vxd vxe gs vxe2 sie\nprocessor 0: version = FF,  identification = 2733E8\n"
)
RISC = "processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdcv_zicsr_zifencei_zvfh\nmmu\t\t: sv48\nmvendorid\t: 0x489\n"


@pytest.mark.parametrize(
    ("text", "architecture", "vendor", "features"),
    [
        (
            EPYC.format(n=0) + EPYC.format(n=1),
            "x86_64",
            "AuthenticAMD",
            "avx avx2 avx512_bf16 avx512f avx512vl f16c fma popcnt sse3 sse4_1 sse4_2 ssse3",
        ),
        (ARM.format(n=0), "aarch64", "ARM", "asimd asimddp asimdhp fphp sve"),
        (ARM.replace("0x41", "0x99").format(n=0), "aarch64", "0x99", "asimd asimddp asimdhp fphp sve"),
        (POWER, "ppc64le", "IBM", "vsx vsx2 vsx3"),
        (POWER.replace("POWER9", "POWER8E"), "ppc64le", "IBM", "vsx vsx2"),
        (MAINFRAME, "s390x", "IBM/S390", "vx vxe vxe2"),
        (RISC, "riscv64", "0x489", "v zvfh"),
        (RISC.replace("imafdcv", "gc"), "riscv64", "0x489", "zvfh"),
        ("", "", "", ""),
        ("nothing known: here\n", "", "", ""),
    ],
)
def test_the_forms_of_cpuinfo(text: str, architecture: str, vendor: str, features: str) -> None:
    cpu = parse_cpuinfo(text.encode()).cpu
    assert cpu == Cpu(architecture=architecture, vendor=vendor, features=tuple(features.split()))


@pytest.mark.parametrize("form", [EPYC, ARM])
def test_cores_that_differ_have_what_all_have(form: str) -> None:
    less = form.replace(" avx512f", "").replace(" sve", "")
    whole, both = parse_cpuinfo(form.format(n=0).encode()).cpu, parse_cpuinfo((form + less).encode()).cpu
    assert both == parse_cpuinfo((less + form).encode()).cpu == parse_cpuinfo(less.encode()).cpu
    assert set(whole.features) - set(both.features) == ({"avx512f"} if form is EPYC else {"sve"})


def test_vendors_that_differ_are_both_named() -> None:
    cpu = parse_cpuinfo((ARM + ARM.replace("0x41", "0x61")).encode()).cpu
    assert cpu.vendor == "ARM+Apple"


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\0", b"flags:\n" * 9, b"vendor_id: x\nflags:", b"isa:", b"cpu: POWER", b"Features:\nCPU implementer: q"]
)
def test_a_broken_cpuinfo_is_no_traceback(data: bytes) -> None:
    assert isinstance(parse_cpuinfo(data), Processor)


def test_every_feature_is_there_for_a_reason() -> None:
    assert all(re.match("numpy|openblas|onednn|glibc", reason) for reason in CPU_FEATURES.values())


def _image(root: Path, cpuinfo: str = EPYC, **libraries: bytes) -> tuple[View, list[str]]:
    (root / "proc").mkdir(parents=True)
    if cpuinfo:
        (root / "proc/cpuinfo").write_text(cpuinfo.format(n=0))
    folder = root / "env" / SITE / "numpy.libs"
    folder.mkdir(parents=True)
    for name, data in libraries.items():
        (folder / f"{name}.so").write_bytes(data)
    return View(str(root)), [f"{SITE}/numpy.libs/{name}.so" for name in libraries]


def _openblas(
    version: str = "0.3.27", kernels: str = "PRESCOTT NEHALEM SANDYBRIDGE HASWELL SKYLAKEX", built: str = "DYNAMIC_ARCH"
) -> bytes:
    names = b"".join(b"\0gotoblas_" + kernel.encode() for kernel in kernels.split())
    return b"\x7fELF" + bytes(99) + names + b"\0" + f"OpenBLAS {version}  USE64BITINT {built} NO_AFFINITY \0".encode() + bytes(99)


def _look(
    view: View, elves: list[str], environ: Mapping[str, str] | None = None, files: Mapping[str, FileEntry] | None = None
) -> Machine:
    return observe_machine(view, "/env", (SITE,), files or {}, elves, environ or {})


def test_one_thing_changes_and_one_part_does(tmp_path: Path) -> None:
    """Each row: processor, BLAS, setting; and nothing else moves, nor anything where nothing changed."""

    def parts(
        name: str, *, cpuinfo: str = EPYC, library: bytes | None = None, environ: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        view, elves = _image(tmp_path / name, cpuinfo, libopenblas=library or _openblas())
        machine = _look(view, elves, environ)
        return {field: getattr(machine, field) for field in ("cpu", "blas", "accelerators", "settings", "unknown")}

    def changed(name: str, **how: Any) -> set[str]:
        return {field for field, value in parts(name, **how).items() if value != before[field]}

    before = parts("before")
    assert before["unknown"] == ()
    assert changed("same") == set()
    assert changed("feature", cpuinfo=EPYC.replace(" f16c", "")) == {"cpu"}
    assert changed("vendor", cpuinfo=EPYC.replace("AuthenticAMD", "HygonGenuine").replace(": 25", ": 24")) == {"cpu", "blas"}
    assert changed("version", library=_openblas("0.3.28")) == {"blas"}
    assert changed("kernels", library=_openblas(kernels="PRESCOTT HASWELL")) == {"blas"}
    assert changed("kernel", cpuinfo=EPYC.replace(" avx512f avx512vl avx512_bf16", "")) == {"cpu", "blas"}
    assert changed("setting", environ={"OMP_NUM_THREADS": "1"}) == {"settings"}
    assert changed("core", environ={"OPENBLAS_CORETYPE": "Haswell"}) == {"settings", "blas"}
    assert changed("nothing", environ={"LANG": "C", "PATH": "/bin"}) == set()
    assert changed("unneeded", cpuinfo=EPYC.replace(" sha_ni", " sha_ni rdtscp")) == set()


def test_an_image_does_not_say_which_machine_it_will_run_on(tmp_path: Path) -> None:
    view, elves = _image(tmp_path, "", libopenblas=_openblas())
    machine = _look(view, elves)
    assert machine.cpu == Cpu()
    assert [(item.library, item.kernel) for item in machine.blas] == [("openblas 0.3.27", "")]
    assert sorted(part for part, _ in machine.unknown) == ["blas", "cpu"]


MODEL = "the one for AuthenticAMD 25/17"


@pytest.mark.parametrize(
    ("library", "named", "kernel"),
    [
        (_openblas(), "openblas 0.3.27", "SkylakeX"),
        (_openblas("0.3.31.188.0"), "openblas 0.3.31.188.0", "SkylakeX"),
        (_openblas("0.3.23.dev"), "openblas 0.3.23.dev", "SkylakeX"),
        (_openblas("0.3.18"), "openblas 0.3.18", MODEL),
        (_openblas(kernels=""), "openblas 0.3.27", MODEL),
        (_openblas(built="HASWELL SINGLE_THREADED"), "openblas 0.3.27", "Haswell"),
        (_openblas(built="SKYLAKEX"), "openblas 0.3.27", "SkylakeX"),
        (_openblas(built=""), "openblas 0.3.27", ""),
        (b"", "openblas", ""),
        (b"OpenBLAS 99999999999.1.1 \0", "openblas", ""),
    ],
)
def test_an_openblas_by_its_own_bytes(tmp_path: Path, library: bytes, named: str, kernel: str) -> None:
    view, elves = _image(tmp_path, libscipy_openblas64_=library)
    machine = _look(view, elves)
    assert [(item.library, item.path, item.kernel) for item in machine.blas] == [
        (named, "numpy.libs/libscipy_openblas64_.so", kernel)
    ]
    assert bool(kernel) == (machine.unknown == ())


def test_what_is_no_blas_is_none_and_a_link_is_told_once(tmp_path: Path) -> None:
    view, elves = _image(tmp_path, libopenblas=_openblas(), libgfortran=b"", libopenblasts_not=b"", _openblas_helper=b"")
    link = FileEntry(elves[0].replace("libopenblas", "libopenblas.0"), FileKind.LINK, 9, b"", 1, 1, target="libopenblas.so")
    machine = _look(view, [*elves, link.path], files={link.path: link})
    assert "numpy.libs/libopenblas.so" in [item.path for item in machine.blas]
    assert not [item for item in machine.blas if "gfortran" in item.path or ".0." in item.path or "helper" in item.path]


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("lib/libmkl_core.so.3", "mkl"),
        (f"{SITE}/torch/lib/libtorch_cpu.so", "torch"),
        ("lib/libblis.so.4", "blis"),
        (f"{SITE}/nvpl/lib/libnvpl_blas_core.so.0", "nvpl"),
    ],
)
def test_other_blas_libraries_choose_while_they_run(tmp_path: Path, path: str, library: str) -> None:
    """What they choose is not known, but that it is another choice on another model of processor is."""
    kernels = []
    for name, cpuinfo in {"one": EPYC, "same": EPYC, "other": EPYC.replace("model\t\t: 17", "model\t\t: 18")}.items():
        machine = _look(_image(tmp_path / name, cpuinfo)[0], [path])
        assert [item.library for item in machine.blas] == [library]
        assert machine.unknown == ()
        kernels += [item.kernel for item in machine.blas]
    assert kernels == [MODEL, MODEL, "the one for AuthenticAMD 25/18"]
    machine = _look(_image(tmp_path / "unknown", RISC)[0], [path])
    assert [(item.library, item.kernel) for item in machine.blas] == [(library, "")]
    assert [part for part, _ in machine.unknown] == ["blas"]


LIST = frozenset({"PRESCOTT", "NEHALEM", "SANDYBRIDGE", "HASWELL", "SKYLAKEX"})
MOST = LIST | {"CORE2", "BARCELONA", "BULLDOZER", "PILEDRIVER", "STEAMROLLER", "EXCAVATOR", "ZEN", "COOPERLAKE"}
ALL = MOST | {"SAPPHIRERAPIDS"}


def _processor(vendor: str, family: int, model: int, features: str, architecture: str = "x86_64") -> Processor:
    return Processor(Cpu(architecture=architecture, vendor=vendor, features=tuple(sorted(features.split()))), ((family, model),))


V3, V4 = "avx avx2", "avx avx2 avx512f avx512vl"
INTEL, AMD = "GenuineIntel", "AuthenticAMD"


@pytest.mark.parametrize(
    ("processor", "kernels", "kernel"),
    [
        (_processor(INTEL, 6, 0x2D, "avx"), ALL, "Sandybridge"),
        (_processor(INTEL, 6, 0x3F, V3), ALL, "Haswell"),
        (_processor(INTEL, 6, 0x3F, "avx"), ALL, "Sandybridge"),
        (_processor(INTEL, 6, 0x3F, ""), ALL, "Nehalem"),
        (_processor(INTEL, 6, 0x9E, V3), ALL, "Haswell"),
        (_processor(INTEL, 6, 0x55, V4), ALL, "SkylakeX"),
        (_processor(INTEL, 6, 0x55, V3), ALL, "Haswell"),
        (_processor(INTEL, 6, 0x55, V4 + " avx512_bf16"), ALL, "Cooperlake"),
        (_processor(INTEL, 6, 0x6A, V4), ALL, "SkylakeX"),
        (_processor(INTEL, 6, 0x8F, V4 + " avx512_bf16 amx_bf16"), ALL, "SapphireRapids"),
        (_processor(INTEL, 6, 0x8F, V4 + " avx512_bf16"), ALL, "Cooperlake"),
        (_processor(INTEL, 6, 0x8F, V4 + " avx512_bf16 amx_bf16"), LIST, "SkylakeX"),
        (_processor(INTEL, 6, 0x8F, V4 + " avx512_bf16 amx_bf16"), MOST, ""),
        (_processor(INTEL, 6, 0xB7, V3), ALL, "Haswell"),
        (_processor(INTEL, 6, 0xAD, V4 + " avx512_bf16 amx_bf16"), ALL, ""),
        (_processor(INTEL, 6, 0x17, ""), ALL, "Core2"),
        (_processor(INTEL, 6, 0x17, ""), LIST, "Prescott"),
        (_processor(INTEL, 6, 0x1C, ""), LIST, "Nehalem"),
        (_processor(AMD, 0x17, 1, V3), ALL, "Zen"),
        (_processor(AMD, 0x17, 1, V3), LIST, "Haswell"),
        (_processor(AMD, 0x17, 1, ""), ALL, "Barcelona"),
        (_processor(AMD, 0x19, 0x11, V4 + " avx512_bf16"), ALL, "Cooperlake"),
        (_processor(AMD, 0x19, 0x11, V4 + " avx512_bf16"), LIST, "SkylakeX"),
        (_processor(AMD, 0x19, 0x01, V3), ALL, "Zen"),
        (_processor(AMD, 0x1A, 0x02, V4 + " avx512_bf16"), ALL, "Cooperlake"),
        (_processor(AMD, 0x1A, 0x02, V3), ALL, ""),
        (_processor("HygonGenuine", 0x18, 0, V3), ALL, "Zen"),
        (_processor("CentaurHauls", 7, 0, V3), ALL, ""),
        (_processor("ARM", 0x41, 0xD0C, "asimd", "aarch64"), frozenset({"ARMV8", "NEOVERSEN1"}), ""),
        (Processor(Cpu(architecture="x86_64", vendor=AMD), ((0x17, 1), (0x19, 1))), ALL, ""),
        (Processor(Cpu()), ALL, ""),
    ],
)
def test_the_rule_of_openblas(processor: Processor, kernels: frozenset[str], kernel: str) -> None:
    chosen, reason = choose_kernel("0.3.27", kernels, processor, None)
    assert chosen == kernel
    assert bool(reason) == (not kernel)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("kernels", [LIST, MOST, ALL])
def test_only_a_kernel_that_the_library_has_is_chosen(core: str, kernels: frozenset[str]) -> None:
    chosen, reason = choose_kernel("0.3.27", kernels, _processor(AMD, 0x19, 0x11, V4), core)
    assert chosen.upper() in kernels or (not chosen and reason)
    if core.upper() in kernels and core != "SapphireRapids":
        assert chosen == core
        assert choose_kernel("0.3.27", kernels, _processor(AMD, 0x19, 0x11, V4), core.upper()) == (core, "")


def test_a_forced_kernel_is_known_where_the_rule_is_not() -> None:
    arm = _processor("ARM", 0x41, 0xD0C, "asimd", "aarch64")
    assert choose_kernel("0.3.27", frozenset({"ARMV8", "NEOVERSEN1"}), arm, "NeoverseN1") == ("neoversen1", "")
    assert choose_kernel("0.3.18", ALL, _processor(AMD, 0x17, 1, V3), "haswell") == ("Haswell", "")
    assert choose_kernel("0.3.18", ALL, _processor(AMD, 0x17, 1, V3), "nonsense")[0] == ""


PLAIN = {
    "OMP_NUM_THREADS": ("1", "4,2", "16"),
    "OMP_DYNAMIC": ("true", "FALSE", "0"),
    "OMP_SCHEDULE": ("static", "dynamic,4"),
    "OMP_PROC_BIND": ("close", "spread,close"),
    "MKL_CBWR": ("COMPATIBLE", "AVX2", "AVX512,STRICT", "AUTO"),
    "MKL_THREADING_LAYER": ("GNU", "SEQUENTIAL"),
    "MKL_DOMAIN_NUM_THREADS": ("MKL_DOMAIN_BLAS=4", "MKL_BLAS=1, MKL_DOMAIN_FFT=2"),
    "OPENBLAS_CORETYPE": ("Haswell", "SKYLAKEX", "neoversen1"),
    "NPY_DISABLE_CPU_FEATURES": ("AVX512F AVX512CD AVX512_SKX", "AVX2,FMA3", "X86_V4"),
    "CUBLAS_WORKSPACE_CONFIG": (":4096:8", ":16:8", ":4096:2:16:8"),
    "ATEN_CPU_CAPABILITY": ("default", "avx2"),
    "ONEDNN_MAX_CPU_ISA": ("AVX2", "AVX512_CORE_AMX", "DEFAULT"),
    "XLA_FLAGS": ("--xla_gpu_exclude_nondeterministic_ops", "--xla_gpu_deterministic_ops=true --xla_cpu_multi_thread_eigen=false"),
    "TF_DETERMINISTIC_OPS": ("1", "true"),
    "JAX_DEFAULT_MATMUL_PRECISION": ("highest", "bfloat16", "BF16_BF16_F32_X3"),
    "JAX_PLATFORMS": ("cpu", "cuda,cpu"),
    "NCCL_ALGO": ("Ring", "^Tree,NVLS"),
    "PYTHONHASHSEED": ("0", "random"),
    "OPENBLAS_NUM_THREADS": ("", "8"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in PLAIN.items() for value in values])
def test_a_plain_value_is_kept(name: str, value: str) -> None:
    assert observe_settings({name: value}) == (((name, value),), ())


@pytest.mark.parametrize("name", sorted(NUMERIC_SETTINGS))
def test_a_value_of_another_form_is_not_recorded_and_told_as_unknown(name: str) -> None:
    settings, unknown = observe_settings({name: "correct horse battery staple"})
    assert settings == ((name, NOT_RECORDED),)
    assert [part for part, _ in unknown] == ["settings"]
    assert name in unknown[0][1]


SECRETS = (
    "ghp_1234567890abcdefghijABCDEFGHIJ123456",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "https://user:hunter2@index.example/simple",
    "-----BEGIN PRIVATE KEY-----",
    "hunter2",
    "S3cr3tPassw0rd",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "1,2,hunter2",
    "AVX2 hunter2",
    "--xla_dump_to=/home/hunter2",
    "4\nhunter2",
    "4" * 400,
    "\uff14",
)
OTHERS = ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DATABASE_URL", "HF_TOKEN", "PIP_INDEX_URL", "OMP_SECRET", "XLA_TOKEN")


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_comes_out(tmp_path: Path, secret: str) -> None:
    """In the name of every setting, and in dozens that are none."""
    view, elves = _image(tmp_path, libopenblas=_openblas())
    names = [*NUMERIC_SETTINGS, *OTHERS, *(f"{name}_KEY" for name in NUMERIC_SETTINGS)]
    environ = dict.fromkeys([*names, "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"], secret)
    machine = _look(view, elves, environ)
    for part in (secret, json.dumps(secret)[1:-1], "hunter2"):
        assert part not in repr(machine)
    assert {name for name, _ in machine.settings} == {*NUMERIC_SETTINGS, "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [("", "0 named"), ("-1", "0 named"), ("0", "1 named"), ("GPU-1b2c3d4e,GPU-5f", "2 named"), ("0,1,2,3", "4 named")],
)
def test_of_visible_devices_only_the_number_is_kept(value: str, shown: str) -> None:
    assert observe_settings({"CUDA_VISIBLE_DEVICES": value}) == ((("CUDA_VISIBLE_DEVICES", shown),), ())


def test_every_setting_says_what_it_changes() -> None:
    for form, effect in NUMERIC_SETTINGS.values():
        assert effect
        re.compile(form)


def _here() -> Cpu:
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("this system has no /proc/cpuinfo")
    return observe_machine(View(), "/nowhere", (), {}, (), {}).cpu


def test_lscpu_agrees() -> None:
    lscpu = shutil.which("lscpu")
    if lscpu is None:
        pytest.skip("lscpu is not here")
    cpu = _here()
    fields = json.loads(subprocess.run([lscpu, "-J"], capture_output=True, check=True, env={"LC_ALL": "C"}, timeout=60).stdout)[
        "lscpu"
    ]
    said: dict[str, str] = {}
    waiting = list(fields)
    while waiting:
        item = waiting.pop()
        said[item["field"].rstrip(":")] = item.get("data") or ""
        waiting += item.get("children", [])
    assert said["Architecture"] == cpu.architecture
    flags = {{"pni": "sse3"}.get(word, word) for word in said["Flags"].split()}
    assert set(cpu.features) == flags & CPU_FEATURES.keys()
    if cpu.architecture == "x86_64":
        assert said["Vendor ID"] == cpu.vendor


#: NumPy's names of what /proc/cpuinfo names otherwise than in capitals.
IN_NUMPY = {
    "sse4_1": "SSE41",
    "sse4_2": "SSE42",
    "fma": "FMA3",
    "abm": "LZCNT",
    "bmi1": "BMI",
    "lahf_lm": "LAHF",
    **{name: name.upper().replace("_", "") for name in CPU_FEATURES if name.startswith("avx512")},
}
ASK = """
import json, numpy
from numpy._core._multiarray_umath import __cpu_features__
import scipy.linalg, threadpoolctl
numpy.ones((9, 9)) @ numpy.ones((9, 9))
print(json.dumps([__cpu_features__, threadpoolctl.threadpool_info()]))
"""


@pytest.fixture(scope="module")
def numeric(tmp_path_factory: pytest.TempPathFactory, workshop: Workshop) -> dict[str, Path]:
    """Two environments with NumPy and SciPy: the newest, and one with an OpenBLAS that has more kernels."""
    folder = tmp_path_factory.mktemp("numeric")
    found = {}
    for name, wanted in {"new": ("numpy", "scipy"), "old": ("numpy==2.0.2", "scipy==1.13.1")}.items():
        if name == "old" and sys.version_info >= (3, 13):
            continue
        workshop.equipped(folder / name, "--only-binary", ":all:", *wanted, "threadpoolctl")
        found[name] = folder / name
    return found


def _ask(env: Path, **environ: str) -> tuple[dict[str, bool], dict[str, tuple[str, str]]]:
    """NumPy's features, and of each BLAS that was loaded: its file, version and kernel."""
    done = subprocess.run(
        [env / "bin/python", "-I", "-c", ASK], env=environ, capture_output=True, text=True, check=True, timeout=120
    )
    features, pools = json.loads(done.stdout)
    return features, {
        Path(pool["filepath"]).name: (pool["version"], pool["architecture"]) for pool in pools if pool["internal_api"] == "openblas"
    }


def _observe(env: Path, **environ: str) -> Machine:
    (site,) = env.glob("lib/python3*/site-packages")
    elves = [str(path.relative_to(env)) for path in site.glob("*.libs/*.so*")]
    return observe_machine(View(), str(env), (str(site.relative_to(env)),), {}, elves, environ)


@pytest.mark.index
def test_numpy_agrees_on_the_processor(numeric: dict[str, Path]) -> None:
    cpu = _here()
    features, _ = _ask(numeric["new"])
    compared = 0
    for name in CPU_FEATURES:
        theirs = IN_NUMPY.get(name, name.upper())
        if theirs in features:
            compared += 1
            assert features[theirs] == (name in cpu.features), name
    assert compared > 10


@pytest.mark.index
@pytest.mark.parametrize("which", ["new", "old"])
@pytest.mark.parametrize(
    "forced",
    [
        None,
        "",
        "nonsense",
        "haswell",
        "NEHALEM",
        "Sandybridge",
        "Zen",
        "Core2",
        "Prescott",
        "Katmai",
        "Atom",
        "Penryn",
        "Bulldozer",
        "Barcelona",
        "Opteron",
        "Nano",
        "Cooperlake",
        "SapphireRapids",
    ],
)
def test_the_kernel_is_the_one_that_openblas_takes(numeric: dict[str, Path], which: str, forced: str | None) -> None:
    """Of every library that was loaded; one that the rule does not tell is unknown, and never another one."""
    if which not in numeric:
        pytest.skip("no such wheels for this Python")
    processor = parse_cpuinfo(Path("/proc/cpuinfo").read_bytes())
    needs = {"Zen": "avx2", "haswell": "avx2", "Sandybridge": "avx", "Bulldozer": "fma4", "Cooperlake": "avx512_bf16"}
    if which == "old" and needs.get(forced or "", "") not in {"", *processor.cpu.features}:
        pytest.skip("this processor can not run that kernel")
    environ = {} if forced is None else {"OPENBLAS_CORETYPE": forced}
    _, taken = _ask(numeric[which], **environ)
    machine = _observe(numeric[which], **environ)
    assert len(taken) == len(machine.blas) == 2
    told = 0
    for blas in machine.blas:
        version, kernel = taken[Path(blas.path).name]
        assert blas.library == f"openblas {version}"
        if blas.kernel.startswith("the one for"):
            assert forced is None
        elif blas.kernel:
            told += 1
            # A library with a list of kernels has Prescott's by the name Katmai, and says so.
            assert blas.kernel == {"Katmai": "Prescott"}.get(kernel, kernel)
        else:
            assert machine.unknown
    if processor.cpu.vendor == "AuthenticAMD" and forced != "SapphireRapids":
        assert told == 2
