"""Sanctity: prove that the Python environment you run is, byte for byte, the one you locked.

The package imports nothing until a name is used, so that ``import sanctity`` costs next to nothing.
PYTEST_DONT_REWRITE: pytest would complain where it was imported before pytest was.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sanctity.determinism.files import receipts
    from sanctity.determinism.receipt import Receipt
    from sanctity.determinism.registry import register, unregister
    from sanctity.determinism.relaxing import relaxed
    from sanctity.determinism.setting import jax_key, set_global_determinism
    from sanctity.determinism.state import State, capture_state, preserved, restore_state
    from sanctity.determinism.streams import stream
    from sanctity.determinism.workers import EpochSampler, PerSample, WorkerInit, held_generators, loader_arguments, worker_init
    from sanctity.guard import Refused, Result, guard
    from sanctity.verbs.functions import FunctionRepeats, Prove, prove

__all__ = [
    "EpochSampler",
    "FunctionRepeats",
    "PerSample",
    "Prove",
    "Receipt",
    "Refused",
    "Result",
    "State",
    "WorkerInit",
    "__version__",
    "capture_state",
    "guard",
    "held_generators",
    "jax_key",
    "loader_arguments",
    "preserved",
    "prove",
    "receipts",
    "register",
    "relaxed",
    "restore_state",
    "set_global_determinism",
    "stream",
    "unregister",
    "worker_init",
]

__version__ = "0.1.0"

#: Where each name is at home.
_HOMES = {
    "EpochSampler": "sanctity.determinism.workers",
    "FunctionRepeats": "sanctity.verbs.functions",
    "PerSample": "sanctity.determinism.workers",
    "Prove": "sanctity.verbs.functions",
    "Receipt": "sanctity.determinism.receipt",
    "Refused": "sanctity.guard",
    "Result": "sanctity.guard",
    "State": "sanctity.determinism.state",
    "WorkerInit": "sanctity.determinism.workers",
    "capture_state": "sanctity.determinism.state",
    "guard": "sanctity.guard",
    "held_generators": "sanctity.determinism.workers",
    "jax_key": "sanctity.determinism.setting",
    "loader_arguments": "sanctity.determinism.workers",
    "preserved": "sanctity.determinism.state",
    "prove": "sanctity.verbs.functions",
    "receipts": "sanctity.determinism.files",
    "register": "sanctity.determinism.registry",
    "relaxed": "sanctity.determinism.relaxing",
    "restore_state": "sanctity.determinism.state",
    "set_global_determinism": "sanctity.determinism.setting",
    "stream": "sanctity.determinism.streams",
    "unregister": "sanctity.determinism.registry",
    "worker_init": "sanctity.determinism.workers",
}


def __getattr__(name: str) -> object:
    """Import what is asked for; ``sanctity.guard`` is the module of that name, which can be called."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = __import__(home, fromlist=[name])
    return module if name == "guard" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
