"""Keras 3: its global seed, and the generator behind ``keras.random``, which is made anew.

Its generators and initialisers that are given no seed draw one from `random`, so they repeat once that does. What is left is the
global seed, which pipelines of data ask for, and the one generator that may have been made before. The public way,
``keras.utils.set_random_seed``, would import TensorFlow where it is installed, and give the same integer to `random`, NumPy,
TensorFlow and PyTorch; so both are set where it sets them. In a Keras that has them elsewhere the public way is taken, and what
the others had is kept before and put back after it.
"""

from __future__ import annotations

import sys

from sanctity.determinism.receipt import Row

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "read_back", "reseed"]

_AGAIN = "make the call again after what seeds anew, or take that away"


def apply(setting: Setting, _: str) -> list[Row]:
    """Set Keras's global seed, and nothing else."""
    keras: Any = sys.modules["keras"]
    number = setting.root % (1 << 32) if setting.classic else setting.seed("keras", bits=32)
    if not _set(number):
        _set_publicly(setting, keras, number)
    setting.memory["keras"] = number
    words = f"its global seed, by 32 bits; its generators take theirs from random; the backend is {keras.backend.backend()}"
    return [Row("keras", "keras", "applied", words)]


def _set(number: int) -> bool:
    """Set the global seed where Keras 3 has it; False where it is not there."""
    state: Any = sys.modules.get("keras.src.backend.common.global_state")
    names = (
        getattr(sys.modules.get("keras.src.utils.rng_utils"), "GLOBAL_RANDOM_SEED", None),
        getattr(sys.modules.get("keras.src.random.seed_generator"), "GLOBAL_SEED_GENERATOR", None),
    )
    if None in names or not hasattr(state, "set_global_attribute"):
        return False
    state.set_global_attribute(names[0], number)
    state.set_global_attribute(names[1], None)
    return True


def _set_publicly(setting: Setting, keras: Any, number: int) -> None:
    import random

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


def _put_back(torch: Any, setting: Setting, devices: Any) -> None:
    """Give each CUDA device the state that it had, or queue its seed again where CUDA has not started."""
    if devices is not None:
        torch.cuda.set_rng_state_all(devices)
        return
    from sanctity.determinism import controls_torch

    controls_torch.seed_cuda(setting, torch)


def reseed(_: Setting) -> list[Row]:
    """Say that a forked child is not seeded anew."""
    words = "a forked child goes on with its parent's global seed and generators"
    return [Row("keras", "keras", "refused", words, "start such children by spawn")]


def read_back(setting: Setting, _: str) -> list[Row]:
    """The row of `apply`, where the global seed is another one."""
    row = setting.receipt["keras"]
    get = getattr(sys.modules.get("keras.src.utils.rng_utils"), "get_random_seed", None)
    if get is None or row.status != "applied":
        return []
    now = get()
    if now == setting.memory.get("keras"):
        return []
    return [row.with_status("overwritten", f"its global seed was set to {now}", _AGAIN)]
