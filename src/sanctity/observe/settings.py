"""The numeric settings: variables that numeric libraries read, by an allow-list in which each name has a plain form.

Any other variable is never looked at. A value that has not the form of its name is written as ``(not recorded)``, since it may be a
secret that somebody put there, and is told as unknown, since two such values can not be compared.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sanctity.observe.blas import CORES, OTHER_CORES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NOT_RECORDED", "NUMERIC_SETTINGS", "observe_settings"]

#: What stands for the value of a setting that has not the form of its name.
NOT_RECORDED: Final = "(not recorded)"

_NUMBER: Final = r"-?\d{1,12}"
_NUMBERS: Final = r"\d{1,9}(?:[, ]{1,2}\d{1,9}){0,15}"
_SWITCH: Final = r"(?i:0|1|2|true|false|yes|no|on|off|)"
_SIZE: Final = r"\d{1,12}[bBkKmMgG]?"
_THREADS: Final = (_NUMBERS, "how many threads share a sum, and so the order that it is added in")
#: One of NumPy's names for a feature or a group of them.
_NUMPY_FEATURE: Final = (
    r"(?:AVX512_?(?:F|CD|ER|PF|BW|DQ|VL|IFMA|VBMI2?|VNNI|BF16|FP16|BITALG|VPOPCNTDQ|4FMAPS|4VNNIW|KNL|KNM|SKX|CLX|CNL|ICL|SPR)"
    r"|X86_V[2-4]|SSE[23]?|SSSE3|SSE4[12]|POPCNT|AVX2?|F16C|FMA[34]|XOP|LZCNT|BMI2?|MOVBE|GFNI|VAES|VPCLMULQDQ"
    r"|NEON(?:_FP16|_VFPV4)?|ASIMD(?:HP|DP|FHM)?|FPHP|SVE|VSX[234]?|VXE?2?|RVV|LSX)"
)
_ISA: Final = (
    r"(?i:ALL|DEFAULT|SSE41|AVX|AVX2|AVX2_VNNI(?:_2)?|AVX512_(?:MIC(?:_4OPS)?|CORE(?:_VNNI|_BF16|_FP16|_AMX(?:_FP16)?)?)"
    r"|AVX10_[12](?:_512)?(?:_AMX(?:_2)?)?)"
)
#: A flag of XLA with a number, a switch or nothing; flags that name files or hold text are not plain.
_XLA: Final = r"--xla_[a-z0-9_]{1,80}(?:=(?:true|false|-?\d{1,9}(?:\.\d{1,9})?))?"
#: The settings that are recorded: each with the form its value has when it is plain, and what it changes.
#: Sources: the OpenMP specification 5.2, chapter 21; Intel's oneMKL and oneDNN developer guides; OpenBLAS's README and
#: ``openblas_env.c``; BLIS's Multithreading.md; NumPy's "CPU build options"; the cuBLAS documentation, "Results reproducibility";
#: PyTorch's, TensorFlow's and JAX's documentation of their variables.
NUMERIC_SETTINGS: Final = {
    "OMP_NUM_THREADS": _THREADS,
    "OMP_THREAD_LIMIT": _THREADS,
    "OMP_MAX_ACTIVE_LEVELS": (_NUMBER, "how deep parallel regions nest"),
    "OMP_NESTED": (_SWITCH, "whether parallel regions nest"),
    "OMP_DYNAMIC": (_SWITCH, "whether the number of threads is chosen as it runs"),
    "OMP_SCHEDULE": (
        r"(?i:(?:(?:non)?monotonic:)?(?:static|dynamic|guided|auto)(?:,\d{1,9})?)",
        "how loops are split among threads",
    ),
    "OMP_PROC_BIND": (
        r"(?i:(?:true|false|primary|master|close|spread)(?:,(?:primary|master|close|spread)){0,3})",
        "where threads run",
    ),
    "OMP_WAIT_POLICY": (r"(?i:active|passive)", "how threads wait"),
    "OMP_STACKSIZE": (_SIZE, "the memory of a thread"),
    "KMP_DETERMINISTIC_REDUCTION": (_SWITCH, "whether Intel's OpenMP adds in a fixed order"),
    "KMP_BLOCKTIME": (r"\d{1,9}|infinite", "how threads wait"),
    "GOMP_SPINCOUNT": (r"\d{1,12}|(?i:infinite|infinity)", "how threads wait"),
    "MKL_NUM_THREADS": _THREADS,
    "MKL_DOMAIN_NUM_THREADS": (r"(?:MKL_(?:DOMAIN_)?[A-Z]{2,8}=\d{1,6}(?:, ?| )?){1,6}", "how many threads share a sum, a domain"),
    "MKL_DYNAMIC": (_SWITCH, "whether MKL chooses the number of threads as it runs"),
    "MKL_CBWR": (
        r"(?i:AUTO|OFF|COMPATIBLE|SSE2|SSE3|SSSE3|SSE4_[12]|AVX|AVX2(?:_E1)?|AVX512(?:_MIC|_MIC_E1|_E[1-4])?|AVX10)(?i:,STRICT)?",
        "MKL's conditional numerical reproducibility: which code path it keeps to",
    ),
    "MKL_ENABLE_INSTRUCTIONS": (
        r"(?i:SSE4_[12]|AVX|AVX2(?:_E1)?|AVX512(?:_MIC|_MIC_E1|_E[1-5])?|AVX10|SINGLE)",
        "the newest instructions that MKL takes",
    ),
    "MKL_DEBUG_CPU_TYPE": (r"\d{1,2}", "the code path of an older MKL"),
    "MKL_DISABLE_FAST_MM": (_SWITCH, "how MKL aligns its memory, and so its code path"),
    "MKL_INTERFACE_LAYER": (r"(?i:I?LP64(?:,GNU)?|GNU)", "the integers of MKL"),
    "MKL_THREADING_LAYER": (r"(?i:INTEL|SEQUENTIAL|GNU|TBB|PGI)", "which threads MKL uses"),
    "MKL_BLAS_THREADING": (_SWITCH, "whether MKL's BLAS uses threads"),
    "OPENBLAS_NUM_THREADS": _THREADS,
    "OPENBLAS_DEFAULT_NUM_THREADS": _THREADS,
    "GOTO_NUM_THREADS": _THREADS,
    "OPENBLAS_CORETYPE": ("(?i:" + "|".join(CORES + OTHER_CORES) + ")", "which of OpenBLAS's kernels run"),
    "OPENBLAS_L2_SIZE": (_NUMBER, "how OpenBLAS blocks its sums"),
    "OPENBLAS_BLOCK_FACTOR": (_NUMBER, "how OpenBLAS blocks its sums"),
    "OPENBLAS_THREAD_TIMEOUT": (_NUMBER, "how OpenBLAS's threads wait"),
    "BLIS_NUM_THREADS": _THREADS,
    "BLIS_JC_NT": _THREADS,
    "BLIS_PC_NT": _THREADS,
    "BLIS_IC_NT": _THREADS,
    "BLIS_JR_NT": _THREADS,
    "BLIS_IR_NT": _THREADS,
    "BLIS_ARCH_TYPE": (r"\d{1,3}|zen[1-5]?|haswell|skx|knl|generic|avx2|avx512", "which of BLIS's kernels run"),
    "VECLIB_MAXIMUM_THREADS": _THREADS,
    "NVPL_BLAS_DEBUG_CPU_TYPE": (r"\d{1,2}", "which of NVPL's kernels run"),
    "NUMEXPR_NUM_THREADS": _THREADS,
    "NUMEXPR_MAX_THREADS": _THREADS,
    "NUMBA_NUM_THREADS": _THREADS,
    "NUMBA_DISABLE_JIT": (_SWITCH, "whether Numba compiles"),
    "NUMBA_CPU_NAME": (
        r"generic|native|(?:znver[1-5]|haswell|broadwell|skylake(?:-avx512)?|icelake-(?:client|server)|x86-64(?:-v[234])?)",
        "what processor Numba compiles for",
    ),
    "NPY_DISABLE_CPU_FEATURES": (rf"{_NUMPY_FEATURE}?(?:[, \t]{{1,2}}{_NUMPY_FEATURE}){{0,40}}", "which of NumPy's kernels run"),
    "NPY_ENABLE_CPU_FEATURES": (rf"{_NUMPY_FEATURE}?(?:[, \t]{{1,2}}{_NUMPY_FEATURE}){{0,40}}", "which of NumPy's kernels run"),
    "NPY_PROMOTION_STATE": (r"weak|legacy|weak_and_warn", "how NumPy 1 promotes numbers"),
    "CUBLAS_WORKSPACE_CONFIG": (r"(?::\d{1,6}:\d{1,4}){1,6}", "whether cuBLAS keeps to one order"),
    "CUBLASLT_WORKSPACE_SIZE": (_NUMBER, "which of cuBLASLt's kernels run"),
    "NVIDIA_TF32_OVERRIDE": (r"[01]", "whether NVIDIA's libraries round to TF32"),
    "CUDA_LAUNCH_BLOCKING": (_SWITCH, "whether kernels run one after the other"),
    "NCCL_ALGO": (
        r"(?i:\^?(?:(?:Tree|Ring|CollnetDirect|CollnetChain|NVLS|NVLSTree|PAT)[,;]?){1,7})",
        "the order of sums across devices",
    ),
    "NCCL_PROTO": (r"(?i:\^?(?:(?:Simple|LL|LL128)[,;]?){1,3})", "the order of sums across devices"),
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": (_SWITCH, "whether PyTorch lets cuBLAS round to TF32"),
    "TORCH_CUDNN_V8_API_DISABLED": (_SWITCH, "how PyTorch picks cuDNN's kernels"),
    "TORCHDYNAMO_DISABLE": (_SWITCH, "whether PyTorch compiles"),
    "TORCHINDUCTOR_MAX_AUTOTUNE": (_SWITCH, "whether PyTorch picks kernels by their speed"),
    "PYTORCH_JIT": (_SWITCH, "whether TorchScript compiles"),
    "ATEN_CPU_CAPABILITY": (r"default|avx2|avx512(?:_256)?|vsx|zvector|sve(?:128|256|512)?", "which of PyTorch's kernels run"),
    "ONEDNN_MAX_CPU_ISA": (_ISA, "the newest instructions that oneDNN takes"),
    "DNNL_MAX_CPU_ISA": (_ISA, "the newest instructions that oneDNN takes"),
    "ONEDNN_CPU_ISA_HINTS": (r"(?i:NO_HINTS|PREFER_YMM)", "which of oneDNN's kernels run"),
    "ONEDNN_DEFAULT_FPMATH_MODE": (r"(?i:STRICT|BF16|F16|TF32|ANY)", "how oneDNN rounds"),
    "DNNL_DEFAULT_FPMATH_MODE": (r"(?i:STRICT|BF16|F16|TF32|ANY)", "how oneDNN rounds"),
    "ONEDNN_JIT_DUMP": (_SWITCH, "whether oneDNN writes out its kernels"),
    "XLA_FLAGS": (rf"(?:{_XLA})?(?: {{1,2}}{_XLA}){{0,20}}", "how XLA compiles"),
    "TF_XLA_FLAGS": (r"--tf_xla_[a-z_]{1,60}(?:=(?:true|false|-?\d{1,3}))?", "whether TensorFlow compiles"),
    "TF_ENABLE_ONEDNN_OPTS": (_SWITCH, "whether TensorFlow takes oneDNN's kernels"),
    "TF_DETERMINISTIC_OPS": (_SWITCH, "whether TensorFlow keeps to one order"),
    "TF_CUDNN_DETERMINISTIC": (_SWITCH, "whether TensorFlow takes cuDNN's repeatable kernels"),
    "TF_CUDNN_USE_AUTOTUNE": (_SWITCH, "whether TensorFlow picks kernels by their speed"),
    "TF_USE_CUBLASLT": (_SWITCH, "which library TensorFlow multiplies with"),
    "TF_NUM_INTRAOP_THREADS": _THREADS,
    "TF_NUM_INTEROP_THREADS": _THREADS,
    "JAX_ENABLE_X64": (_SWITCH, "whether JAX keeps 64 bits"),
    "JAX_THREEFRY_PARTITIONABLE": (_SWITCH, "which random numbers JAX draws"),
    "JAX_DEFAULT_PRNG_IMPL": (r"threefry2x32|rbg|unsafe_rbg", "which random numbers JAX draws"),
    "JAX_DEFAULT_MATMUL_PRECISION": (
        r"default|high|highest|bfloat16|tensorfloat32|float32|(?:BF16|TF32|F16|F32|F64)_[A-Z0-9_]{2,16}",
        "how JAX rounds",
    ),
    "JAX_NUMPY_DTYPE_PROMOTION": (r"standard|strict", "how JAX promotes numbers"),
    "JAX_PLATFORMS": (r"(?:(?:cpu|gpu|cuda|rocm|tpu|METAL),?){0,6}", "which devices JAX computes on"),
    "JAX_PLATFORM_NAME": (r"cpu|gpu|cuda|rocm|tpu|METAL", "which devices JAX computes on"),
    "PYTHONHASHSEED": (r"\d{1,10}|random", "the order of sets of texts"),
}

#: Two variables that choose devices. A job sets them anew for each of its processes, so only their number is kept.
_DEVICES: Final = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_LONGEST: Final = 200


def observe_settings(environ: Mapping[str, str]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """The numeric settings in *environ*, sorted by name, and (part, reason) of those whose value is not of its plain form."""
    settings: list[tuple[str, str]] = []
    unknown: list[tuple[str, str]] = []
    for name, (form, _) in NUMERIC_SETTINGS.items():
        value = environ.get(name)
        if value is None:
            continue
        plain = value.strip(" ")
        if len(plain) > _LONGEST or (plain and not re.fullmatch(form, plain, re.ASCII)):
            plain = NOT_RECORDED
            unknown.append(("settings", f"{name} has a value that is not of its plain form, so it is not recorded"))
        settings.append((name, plain))
    for name in _DEVICES:
        value = environ.get(name)
        if value is not None:
            number = 0 if value.strip() in {"", "-1", "NoDevFiles"} else value.count(",") + 1
            settings.append((name, f"{number} named"))
    return tuple(sorted(settings)), tuple(unknown)
