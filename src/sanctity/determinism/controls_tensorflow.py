"""TensorFlow: its global seed, and the determinism of its operations.

``tf.random.set_seed`` has the whole seed draw the seeds of operations that have none. Determinism of operations has kernels choose
their way when they are made, so it is to be on before the first operation runs.
"""

from __future__ import annotations

import sys

from sanctity.determinism.receipt import Row

TYPE_CHECKING = False  # importing `typing` for it would take longer than all else that is done here
if TYPE_CHECKING:
    from typing import Any

    from sanctity.determinism.setting import Setting

__all__ = ["apply", "read_back", "reseed", "seed"]

_AGAIN = "make the call again after what seeds anew, or take that away"


def apply(setting: Setting, _: str) -> list[Row]:
    """Set the global seed and have operations repeat."""
    tensorflow: Any = sys.modules["tensorflow"]
    number = seed(setting)
    tensorflow.random.set_seed(number)
    setting.memory["tensorflow"] = number
    words = "the global seed, " + ("the seed itself" if setting.classic else "by 56 bits")
    return [Row("tensorflow", "tensorflow", "applied", words), _operations(setting, tensorflow)]


def seed(setting: Setting) -> int:
    """TensorFlow's global seed in this process."""
    return setting.root if setting.classic else setting.seed("tensorflow", bits=56)


def _operations(setting: Setting, tensorflow: Any) -> Row:
    name, library = "tensorflow-ops", "tensorflow"
    if setting.algorithms == "leave":
        words = 'left as it is, since algorithms="leave" was asked for'
        return Row(name, library, "refused", words, 'algorithms="raise"', loud=False)
    if setting.algorithms == "warn":
        words = "TensorFlow has no way to warn: an operation without a deterministic way would raise"
        return Row(name, library, "refused", words, 'algorithms="raise", or tf.config.experimental.enable_op_determinism()')
    if _on():
        return Row(name, library, "applied", "operations repeat, as was said before; one that can not raises")
    running = _started()
    tensorflow.config.experimental.enable_op_determinism()
    if running:
        words = "it was turned on after operations had run, and those that were made before keep their way"
        return Row(name, library, "too-late", words, "make the call before the first operation")
    return Row(name, library, "applied", "operations repeat; one that can not, or that draws without a seed, raises")


def _started() -> bool:
    """Whether TensorFlow's runtime has started, which its first operation does."""
    module: Any = sys.modules.get("tensorflow.python.eager.context")
    context = getattr(module, "_context", None)
    return context is not None and getattr(context, "_context_handle", None) is not None


def _on() -> bool:
    """Whether determinism of operations is on; False where this TensorFlow does not say."""
    ask = getattr(sys.modules.get("tensorflow.python.framework.config"), "is_op_determinism_enabled", None)
    return ask is not None and bool(ask())


def reseed(_: Setting) -> list[Row]:
    """Say that a forked child is not seeded anew."""
    words = "a forked child goes on in its parent's stream, and TensorFlow is not made for one"
    return [Row("tensorflow", "tensorflow", "refused", words, "start such children by spawn")]


def read_back(setting: Setting, _: str) -> list[Row]:
    """The rows of `apply` that are not as they were left."""
    rows = []
    context: Any = sys.modules.get("tensorflow.python.eager.context")
    row, operations = setting.receipt["tensorflow"], setting.receipt["tensorflow-ops"]
    if context is not None and row.status == "applied":
        now = context.global_seed()
        if now != setting.memory.get("tensorflow"):
            rows.append(row.with_status("overwritten", f"the global seed was set to {now}", _AGAIN))
    if operations.status == "applied" and "tensorflow.python.framework.config" in sys.modules and not _on():
        rows.append(operations.with_status("overwritten", "determinism of operations was turned off", "take away what does that"))
    return rows
