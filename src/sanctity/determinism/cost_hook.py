"""What `sanctity cost` puts before a program: a switch for one control, and marks of what was reached.

It is ``sitecustomize.py`` in a zip of its own, with `start_hook` and `arrival` beside it, and does as `start_hook` does: it takes
itself out of ``sys.path`` and lets the environment's own ``sitecustomize`` run. ``SANCTITY_COST`` says what to switch when a
library has arrived (``torch-algorithms=on,torch-fill=off``). What is off is also kept from the program, whose own calls for it then
do nothing; what is on the program may turn off again. ``SANCTITY_COST_MARKS``, in runs that are not measured, names a folder in
which each Python leaves a document of what it is, what it imported, and what the controls were when it ended. Nothing that goes
wrong here ends the program: it is written down. It may meet any Python, so it needs nothing newer than 3.7.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Switches", "start"]

_NAME = "sitecustomize"
_LIBRARIES = ("cupy", "jax", "keras", "numpy", "tensorflow", "torch")
#: What the files of libraries are called that have threads by the variables that `threads` sets.
_THREADED = ("libgomp", "libiomp", "libomp", "openblas", "mkl_", "libblis", "numexpr", "veclib")
#: For each control the library that has to arrive for it.
_OF = {"torch-algorithms": "torch", "torch-fill": "torch", "cudnn": "torch", "tensorflow-ops": "tensorflow"}


def _nothing(*_: object, **__: object) -> None:
    """Stand for a setter whose control is kept off."""


class Switches:
    """The controls to switch in this process, and its mark in the folder *marks*; none is left where that is empty."""

    def __init__(self, words: str, marks: str) -> None:
        self.wanted = dict(word.partition("=")[::2] for word in words.split(",") if word)
        self.marks = marks
        self.errors: list[str] = []
        self.pid = os.getpid()
        self.file = f"{marks}/{self.pid}-{os.urandom(6).hex()}.json" if marks else ""
        self.hashing = os.environ.get("PYTHONHASHSEED")

    def modules(self) -> dict[str, Callable[[str], object]]:
        """What to wait for, and what to call then."""
        return {_OF[name]: self.arrived for name in self.wanted if name in _OF}

    def arrived(self, module: str) -> None:
        """Switch what belongs to *module*, which has just been imported."""
        library: Any = sys.modules[module]
        for name, state in self.wanted.items():
            if _OF.get(name) == module:
                try:
                    _SWITCH[name](library, state == "on")
                except Exception as error:  # noqa: BLE001 - a library that is not as it was known must not end the program
                    self.errors.append(f"{name}: {type(error).__name__}: {error}")
        self.mark()

    def mark(self, *, ended: bool = False) -> None:
        """Leave the mark of this process, or renew it."""
        if not self.file or os.getpid() != self.pid:
            return
        import json

        found: dict[str, Any] = {
            "python": list(sys.version_info[:2]),
            "hashing": self.hashing,
            "libraries": [name for name in _LIBRARIES if sys.modules.get(name) is not None],
            "states": {},
            "errors": self.errors,
        }
        try:
            found["states"] = _states()
            if ended:
                found.update(_at_the_end())
        except Exception as error:  # noqa: BLE001 - see arrived
            self.errors.append(f"{type(error).__name__}: {error}")
        try:
            with open(self.file + ".tmp", "w", encoding="utf-8") as file:
                json.dump(found, file)
            os.replace(self.file + ".tmp", self.file)
        except OSError:
            return  # the program may have lost the right to write there; the mark before stays


def _algorithms(torch: Any, on: bool) -> None:
    if on:
        torch.use_deterministic_algorithms(True)
    else:
        # They are off already, and to say so would import what turning them on does: a part of their cost.
        torch.use_deterministic_algorithms = torch.set_deterministic_debug_mode = _nothing


def _fill(torch: Any, on: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = on
    if not on:
        # The attribute of the module is a property that calls this.
        torch._C._set_deterministic_fill_uninitialized_memory = _nothing  # noqa: SLF001 - there is no public way


def _cudnn(torch: Any, on: bool) -> None:
    cudnn = torch.backends.cudnn
    cudnn.deterministic = on
    if on:
        cudnn.benchmark = False
    else:
        # A property of the module's class, which holds the functions that it calls.
        ask = torch._C._get_cudnn_deterministic  # noqa: SLF001 - there is no public way
        type(cudnn).deterministic = property(lambda _: ask(), _nothing)


def _operations(tensorflow: Any, on: bool) -> None:
    # An operation that draws without any seed raises where operations repeat, so both runs have one.
    tensorflow.random.set_seed(1)
    if on:
        tensorflow.config.experimental.enable_op_determinism()
        return
    tensorflow.config.experimental.enable_op_determinism = _nothing
    config: Any = sys.modules.get("tensorflow.python.framework.config")
    if config is not None:
        config.enable_op_determinism = _nothing


_SWITCH = {"torch-algorithms": _algorithms, "torch-fill": _fill, "cudnn": _cudnn, "tensorflow-ops": _operations}


def _states() -> dict[str, bool]:
    """What the controls of the libraries are that are here."""
    states = {}
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "are_deterministic_algorithms_enabled"):
        on = bool(torch.are_deterministic_algorithms_enabled())
        states["torch-algorithms"] = on
        deterministic = getattr(torch.utils, "deterministic", None)
        if deterministic is not None:
            states["torch-fill"] = on and bool(deterministic.fill_uninitialized_memory)
        states["cudnn"] = bool(torch.backends.cudnn.deterministic)
    config: Any = sys.modules.get("tensorflow.python.framework.config")
    if hasattr(config, "is_op_determinism_enabled"):
        states["tensorflow-ops"] = bool(config.is_op_determinism_enabled())
    return states


def _at_the_end() -> dict[str, Any]:
    """What is looked at once, when the process ends."""
    found: dict[str, Any] = {"threaded": False, "cuda": 0}
    setting: Any = sys.modules.get("sanctity.determinism.setting")
    found["called"] = setting is not None and setting.current() is not None
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            names = {line.rpartition("/")[2].strip() for line in file if "/" in line}
        found["threaded"] = any(part in name for name in names for part in _THREADED)
    except OSError:
        pass  # not every kernel says so
    torch: Any = sys.modules.get("torch")
    if torch is not None and (getattr(torch.version, "cuda", None) or getattr(torch.version, "hip", None)):
        found["cuda"] = int(torch.cuda.device_count())
    return found


def start(here: str) -> None:
    """Wait for what is to be switched, then run the environment's own ``sitecustomize``; *here* is the zip of this module."""
    # Not names of ours: both lie beside this module in its zip, which is on sys.path only now.
    names = ("sanctity_start_hook", "sanctity_arrival")
    hook, arrival = (__import__(name) for name in names)
    for name in names:
        del sys.modules[name]
    switches = Switches(os.environ.get("SANCTITY_COST", ""), os.environ.get("SANCTITY_COST_MARKS", ""))
    waiting = switches.modules()
    for module in [name for name in waiting if arrival.here(name)]:  # a line of a .pth file can have imported it
        del waiting[module]
        switches.arrived(module)
    arrival.await_modules(waiting)
    if switches.marks:
        import atexit

        switches.mark()
        atexit.register(switches.mark, ended=True)
    hook.chain(here)


if __name__ == _NAME:
    start(__file__.rpartition("/")[0])
