"""Keras 3: its own global seed, from which initialisers, dropout and shuffling draw.

Its one public way, ``keras.utils.set_random_seed``, gives the same integer to `random`, NumPy, TensorFlow and PyTorch as well. So
what those had is kept before and put back after it.
"""

from __future__ import annotations

import sys

from sanctity.determinism.receipt import Row

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "read_back"]

_AGAIN = "make the call again after what seeds anew, or take that away"


def apply(setting: Setting, _: str) -> list[Row]:
    """Set Keras's global seed, and nothing else."""
    import random

    keras: Any = sys.modules["keras"]
    number = setting.root % (1 << 32) if setting.classic else setting.seed("keras", bits=32)
    ours = random.getstate()
    numpy: Any = sys.modules.get("numpy.random")
    torch: Any = sys.modules.get("torch")
    words = numpy.get_state(legacy=False) if numpy is not None else None
    state = torch.default_generator.get_state() if torch is not None else None
    devices = torch.cuda.get_rng_state_all() if "torch-cuda" in setting.memory and torch.cuda.is_initialized() else None
    keras.utils.set_random_seed(number)
    random.setstate(ours)
    if numpy is not None:
        numpy.set_state(words)
    if "numpy-legacy" in setting.memory and numpy is not None:
        from sanctity.determinism import controls_numpy

        controls_numpy.mark(setting)
    if torch is not None:
        torch.default_generator.set_state(state)
        if "torch-cuda" in setting.memory:
            _put_back(torch, setting, devices)
    if "tensorflow" in sys.modules and "tensorflow" in setting.memory:
        sys.modules["tensorflow"].random.set_seed(setting.memory["tensorflow"])
    setting.memory["keras"] = number
    return [Row("keras", "keras", "applied", f"its global seed, by 32 bits; the backend is {keras.backend.backend()}")]


def _put_back(torch: Any, setting: Setting, devices: Any) -> None:
    """Give each CUDA device the state that it had, or queue its seed again where CUDA has not started."""
    if devices is not None:
        torch.cuda.set_rng_state_all(devices)
        return
    from sanctity.determinism import controls_torch

    controls_torch.seed_cuda(setting, torch)


def read_back(setting: Setting, _: str) -> list[Row]:
    """The row of `apply`, where the global seed is another one."""
    row = setting.receipt["keras"]
    get = getattr(sys.modules["keras"].utils, "get_random_seed", None)
    if get is None or row.status != "applied":
        return []
    now = get()
    if now == setting.memory.get("keras"):
        return []
    return [row.with_status("overwritten", f"its global seed was set to {now}", _AGAIN)]
