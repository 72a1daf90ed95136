"""PyTorch: its streams on each device, and the settings by which it keeps to one order.

``torch.manual_seed`` keeps 32 bits of a seed on the CPU, and begins where NumPy begins with the same integer: both are MT19937. So
the stream on the CPU is given all of its state, in a layout (at::CPUGeneratorImpl's legacy state: the seed, how many words are
left, whether it is seeded, the next word, 624 words of 64 bits, then the caches of normal draws) that is looked at first: a
generator of our own is seeded with a known integer, and its bytes have to be the known ones. Else it is
32 bits, and the row says so.
The seed that is written there is what ``torch.initial_seed()`` gives; draws do not change it, and any other seeding does.

Nothing here starts CUDA: its streams are queued until it starts. What has never run on such a device is marked ``untested here``.
"""

from __future__ import annotations

import os

from sanctity.determinism.receipt import Row
from sanctity.determinism.scheme import mt19937

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "read_back", "record", "reseed", "reseed_object", "seed_cuda"]

_AGAIN = "make the call again after what seeds anew, or take that away"
_UNTESTED = "untested here"
_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
#: The values of the variable with which cuBLAS keeps to one order, by its documentation.
_WORKSPACES = (":4096:8", ":16:8")
_WORDS = 624
_HEAD = 24
_STATE = _HEAD + 8 * _WORDS
_PROBE = 0x0123456789ABCDEF


def apply(setting: Setting, _: str) -> list[Row]:
    """Seed every device, and turn the settings on that *setting* asks for."""
    import sys

    torch = sys.modules["torch"]
    return [
        *_cpu(setting, torch),
        *seed_cuda(setting, torch),
        *_algorithms(setting, torch),
        *_cudnn(setting, torch),
        *_cublas(setting, torch),
        *_others(torch),
        _workers(),
    ]


def reseed(setting: Setting) -> list[Row]:
    """Seed the CPU's stream in a forked child; CUDA can not be used in one."""
    import sys

    torch = sys.modules["torch"]
    rows = _cpu(setting, torch)
    if _devices(torch):
        words = "CUDA can not be used in a forked child of a process that uses it"
        rows.append(Row("torch-cuda", "torch", "refused", words, "start such children by spawn", loud=False))
    return rows


# -- streams ----------------------------------------------------------------------------------------------------------------------


def _cpu(setting: Setting, torch: Any) -> list[Row]:
    if setting.classic:
        torch.manual_seed(setting.root)
        setting.memory["torch-cpu"] = setting.root
        words = "by the low 32 bits of the seed itself: numpy and torch give the same words then, for both are the same generator"
        return [Row("torch-cpu", "torch", "applied", words)]
    seed = setting.seed("torch", "cpu", bits=256)
    told = seed & 0xFFFFFFFFFFFFFFFF
    generator = torch.default_generator
    if not _as_known(torch):
        generator.manual_seed(seed & 0xFFFFFFFF)
        setting.memory["torch-cpu"] = seed & 0xFFFFFFFF
        return [Row("torch-cpu", "torch", "applied", "by 32 bits: the layout of its state is not the known one in this torch")]
    _set_state(torch, generator, mt19937(seed), told)
    setting.memory["torch-cpu"] = told
    if generator.initial_seed() != told:
        return [Row("torch-cpu", "torch", "refused", "the state that was set is not the one that is there", "report this")]
    return [Row("torch-cpu", "torch", "applied", "the shared stream on the CPU, all words of its state")]


def _as_known(torch: Any) -> bool:
    """Whether the bytes of a seeded generator are those that the layout foretells."""
    generator = torch.Generator()
    generator.manual_seed(_PROBE)
    state = bytes(generator.get_state().tolist())
    words = [_PROBE & 0xFFFFFFFF]
    for number in range(1, _WORDS):
        words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + number) & 0xFFFFFFFF)
    rest = len(state) - _STATE
    return rest > 0 and state == _packed(_PROBE, words) + bytes(rest)


def _packed(seed: int, words: Any) -> bytes:
    head = seed.to_bytes(8, _order()) + (1).to_bytes(4, _order()) + (1).to_bytes(4, _order()) + bytes(8)
    return head + b"".join(word.to_bytes(8, _order()) for word in words)


def _order() -> Any:
    import sys

    return sys.byteorder


def _set_state(torch: Any, generator: Any, words: tuple[int, ...], told: int) -> None:
    size = generator.get_state().numel()
    generator.set_state(torch.frombuffer(bytearray(_packed(told, words) + bytes(size - _STATE)), dtype=torch.uint8))


def reseed_object(torch: Any, generator: Any, seed: int) -> None:
    """Give *generator*, on whichever device, the state of *seed*."""
    if generator.device.type == "cpu" and _as_known(torch):
        _set_state(torch, generator, mt19937(seed), seed & 0xFFFFFFFFFFFFFFFF)
    else:
        generator.manual_seed(seed & (0xFFFFFFFF if generator.device.type == "cpu" else 0xFFFFFFFFFFFFFFFF))


def _devices(torch: Any) -> int:
    """How many CUDA (or ROCm) devices there are, without starting any."""
    built = getattr(torch.version, "cuda", None) or getattr(torch.version, "hip", None)
    return int(torch.cuda.device_count()) if built else 0


def seed_cuda(setting: Setting, torch: Any) -> list[Row]:
    """Give each CUDA device a seed of its own, now or when CUDA starts."""
    count = _devices(torch)
    if not count:
        return [Row("torch-cuda", "torch", "unavailable", "this torch sees no CUDA device")]
    if setting.classic:
        return [Row("torch-cuda", "torch", "applied", f"{count} devices, all by the seed itself; {_UNTESTED}")]
    seeds = [setting.seed("torch", "cuda", number, bits=64) for number in range(count)]
    setting.memory["torch-cuda"] = seeds

    def seed_all() -> None:
        for generator, seed in zip(torch.cuda.default_generators, seeds, strict=False):
            generator.manual_seed(seed)

    if torch.cuda.is_initialized():
        seed_all()
        words = f"{count} devices, each by 64 bits of its own"
    else:
        # Queued as manual_seed_all queues: it takes the place of what was queued before, and another seeding takes its.
        torch.cuda._lazy_call(seed_all, seed_all=True)  # noqa: SLF001 - manual_seed_all would give all devices one seed
        words = f"{count} devices, each by 64 bits of its own when CUDA starts"
    return [Row("torch-cuda", "torch", "applied", f"{words}; {_UNTESTED}")]


# -- settings ---------------------------------------------------------------------------------------------------------------------


def _left(name: str) -> Row:
    words = 'left as it is, since algorithms="leave" was asked for'
    return Row(name, "torch", "refused", words, 'algorithms="raise"', loud=False)


def _algorithms(setting: Setting, torch: Any) -> list[Row]:
    if setting.algorithms == "leave":
        return [_left("torch-algorithms")]
    torch.use_deterministic_algorithms(True, warn_only=setting.algorithms == "warn")
    if setting.algorithms == "warn":
        words = "deterministic algorithms; an operation without one warns, and does not repeat"
    else:
        words = 'deterministic algorithms; an operation without one raises (algorithms="warn" has it warn)'
    return [Row("torch-algorithms", "torch", "applied", words)]


def _cudnn(setting: Setting, torch: Any) -> list[Row]:
    if not _devices(torch):
        return [Row("cudnn", "torch", "unavailable", "this torch sees no CUDA device")]
    if setting.algorithms == "leave":
        return [_left("cudnn")]
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    return [Row("cudnn", "torch", "applied", f"deterministic, and no choice of kernels by measuring; {_UNTESTED}")]


def _cublas(setting: Setting, torch: Any) -> list[Row]:
    name = "cublas-workspace"
    if not _devices(torch):
        return [Row(name, "torch", "unavailable", "this torch sees no CUDA device")]
    if setting.algorithms == "leave":
        return [_left(name)]
    stated = os.environ.get(_CUBLAS)
    either = " or ".join(_WORKSPACES)
    if stated in _WORKSPACES:
        return [Row(name, "torch", "applied", f"{_CUBLAS}={stated}, and was left so; {_UNTESTED}")]
    if stated:
        words = f"{_CUBLAS} is {stated}, with which cuBLAS does not keep to one order"
        return [Row(name, "torch", "refused", words, f"set {_CUBLAS} to {either}, or unset it")]
    if torch.cuda.is_initialized():
        words = f"{_CUBLAS} was not set when CUDA started, and is read then"
        return [
            Row(name, "torch", "too-late", words, "make the call before the first use of CUDA, or start by `sanctity run --seed`")
        ]
    os.environ[_CUBLAS] = _WORKSPACES[0]
    return [Row(name, "torch", "applied", f"{_CUBLAS}={_WORKSPACES[0]} was set; {_UNTESTED}")]


def _others(torch: Any) -> list[Row]:
    rows = []
    for name, there, device in (
        ("torch-mps", _available(torch, "mps"), "MPS"),
        ("torch-xpu", _available(torch, "xpu"), "XPU"),
        ("torch-other", _private(torch) != "", _private(torch)),
    ):
        if there:
            words = f"the streams of {device} are seeded by nothing here, and its operations are not known to repeat"
            rows.append(Row(name, "torch", "not-controllable", words, "compute on the CPU or CUDA where a run has to repeat"))
        else:
            rows.append(Row(name, "torch", "unavailable", f"this torch sees no {device or 'other'} device"))
    return rows


def _available(torch: Any, device: str) -> bool:
    module = getattr(torch.backends, device, None) if device == "mps" else getattr(torch, device, None)
    return module is not None and bool(module.is_available())


def _private(torch: Any) -> str:
    """The name of a device that a package brought to this torch; empty where none did."""
    name = getattr(torch._C, "_get_privateuse1_backend_name", lambda: "privateuseone")()  # noqa: SLF001 - there is no public way
    return "" if name == "privateuseone" else str(name)


def _workers() -> Row:
    words = "torch gives each DataLoader worker integer seeds drawn from its shared stream; generators in objects are copied"
    return Row("dataloader-workers", "torch", "refused", words, "worker_init_fn=sanctity.worker_init", loud=False)


def read_back(setting: Setting, _: str) -> list[Row]:
    """The rows of `apply` that are not as they were left."""
    import sys

    torch = sys.modules["torch"]
    rows = []

    def compare(name: str, left: object, now: object, what: str, helps: str) -> None:
        row = setting.receipt[name]
        if row.status == "applied" and left != now:
            rows.append(row.with_status("overwritten", f"{what} was {left}, and is {now}", helps))

    if "torch-cpu" in setting.memory:
        compare("torch-cpu", setting.memory["torch-cpu"], torch.default_generator.initial_seed(), "torch.initial_seed()", _AGAIN)
    if "torch-cuda" in setting.memory and torch.cuda.is_initialized():
        now = [generator.initial_seed() for generator in torch.cuda.default_generators]
        compare("torch-cuda", setting.memory["torch-cuda"], now[: len(setting.memory["torch-cuda"])], "the seeds", _AGAIN)
    if setting.algorithms != "leave":
        helps = "take away what sets it, or make the call after it"
        state = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
        words = "use_deterministic_algorithms (on, warn_only)"
        compare("torch-algorithms", (True, setting.algorithms == "warn"), state, words, helps)
        cudnn = torch.backends.cudnn
        compare("cudnn", (True, False), (cudnn.deterministic, cudnn.benchmark), "cudnn (deterministic, benchmark)", helps)
        workspace = os.environ.get(_CUBLAS)
        if workspace not in _WORKSPACES:
            compare("cublas-workspace", " or ".join(_WORKSPACES), workspace, _CUBLAS, helps)
    return rows


def record(torch: Any) -> dict[str, str]:
    """What decides about torch's numbers and is left alone."""
    found = {}
    for name, path in (
        ("torch.threads", "get_num_threads"),
        ("torch.interop_threads", "get_num_interop_threads"),
        ("torch.matmul_precision", "get_float32_matmul_precision"),
        ("torch.cpu_capability", "backends.cpu.get_cpu_capability"),
        ("torch.cudnn.allow_tf32", "backends.cudnn.allow_tf32"),
        ("torch.fill_uninitialized_memory", "utils.deterministic.fill_uninitialized_memory"),
    ):
        value = torch
        try:
            for part in path.split("."):
                value = getattr(value, part)
            found[name] = str(value() if callable(value) else value)
        except Exception:  # noqa: BLE001, S112 - what this torch does not have is not recorded
            continue
    return found
