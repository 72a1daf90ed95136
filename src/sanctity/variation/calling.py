"""The program that each run of `sanctity.prove` is: it calls one function in a process of its own, and writes what that returned.

It is run as a file, by the interpreter of the program that asked, and imports nothing of sanctity. The call comes as a file of two
pickles: where the caller imports from, and the function with its arguments, which were pickled by the caller itself. ``__main__``
is made as `multiprocessing` makes it in a spawned process: the program's main file is run under the name ``__mp_main__``. The value
is written into the working folder of the run, which is private to it: by pickle's protocol 5 (PEP 574), or, where PyTorch's tensors
are in it, by ``torch.save``, since a tensor's own pickle names an address. None is not written: nothing was returned.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the folder of this file, which is no place to import from

import os
import pickle
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

__all__ = ["NOT_FOUND", "NOT_PICKLABLE", "SAID", "UNGUARDED", "VALUES", "Calling"]

#: What a run ends with where the value can not be pickled, the function is not found, or the program's main file calls `prove`.
NOT_PICKLABLE = 90
NOT_FOUND = 91
UNGUARDED = 92
#: The files that a value is written to.
VALUES = ("returned.pkl", "returned.pt")
#: What the line begins with that says why.
SAID = "sanctity.prove: "

#: In a run what it does: ``importing`` the function, then ``calling`` it. Empty in every other process.
phase = ""


class _Refused(Exception):  # noqa: N818 # it is caught below, and no reader of a traceback sees its name
    """The run ends with *status*, for the reason that it says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Holds(Exception):  # noqa: N818 # see above
    """A tensor is in the value."""


class _Finder:
    """Finds the modules that the caller has from files of which ``sys.path`` knows nothing, such as pytest's (importlib mode)."""

    def __init__(self, places: dict[str, tuple[str, list[str] | None]]) -> None:
        self.places = places

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """The module *name*, where it is one of them: from its file, or a package without one."""
        if name not in self.places:
            return None
        from importlib.machinery import ModuleSpec  # not before, since it is asked for these too
        from importlib.util import spec_from_file_location

        file, folders = self.places[name]
        if file:
            return spec_from_file_location(name, file, submodule_search_locations=folders)
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = folders
        return spec


class Calling:
    """One call: *path* is the file that says which."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder = os.getcwd()  # the function may go elsewhere

    def run(self) -> int:
        """Call the function, write what it returned, and return the exit status. What the function raises is left to raise."""
        global phase  # noqa: PLW0603 # it is a state of the process
        try:
            phase = "importing"
            function, args, kwargs = self._read()
            phase = "calling"
        except _Refused as error:
            return _say(error)
        try:
            value = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is shown as Python would
            _show(error, 1)
            return 1
        try:
            self._write(value)
        except _Refused as error:
            return _say(error)
        return 0

    def _read(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The function and its arguments, imported and built as the caller has them. Raises _Refused."""
        with open(self.path, "rb") as file:
            caller = pickle.load(file)  # noqa: S301 # the caller wrote it a moment ago, and it is a dict of texts
            sys.path[:] = caller["path"]
            sys.argv[:] = caller["argv"]
            if caller["places"]:
                sys.meta_path.insert(0, _Finder(caller["places"]))
            try:
                if caller["main"]:
                    _make_main(*caller["main"])
                return pickle.load(file)  # type: ignore[no-any-return] # noqa: S301 # as above: it is what the caller has
            except Exception as error:
                _show(error, 1)
                if getattr(error, "code", "") == "function-unguarded":
                    raise _Refused(UNGUARDED, "the program calls prove wherever its main file is imported") from error
                raise _Refused(NOT_FOUND, f"{type(error).__name__}: {error}") from error

    def _write(self, value: object) -> None:
        """Write *value*, where it is one. Raises _Refused."""
        if value is None:
            return
        pickled, saved = (os.path.join(self.folder, name) for name in VALUES)
        try:
            torch = sys.modules.get("torch")
            try:
                with open(pickled, "wb") as file:
                    pickler = pickle.Pickler if torch is None else _watching(torch)
                    pickler(file, protocol=5).dump(value)
            except _Holds:
                os.unlink(pickled)
                assert torch is not None
                torch.save(value, saved, pickle_protocol=5)
        except OSError:
            raise  # it is about the disk, and not about the value
        except Exception as error:
            for name in (pickled, saved):
                if os.path.lexists(name):
                    os.unlink(name)
            kind = type(value).__name__
            if kind == "coroutine":
                value.close()  # type: ignore[attr-defined] # or Python complains that nobody waited for it
            hint = {"generator": ": return list(…) of it", "coroutine": ": prove a function that runs it, by asyncio.run"}.get(
                kind, ""
            )
            said = f"{type(error).__name__}: {error}".replace("\n", " ")
            raise _Refused(NOT_PICKLABLE, f"returned {kind}, which can not be pickled ({said}){hint}") from error


def _watching(torch: Any) -> type[pickle.Pickler]:
    """A pickler that stops at a tensor."""
    kinds = tuple(kind for name in ("Tensor", "UntypedStorage", "TypedStorage") if (kind := getattr(torch, name, None)))

    class Watching(pickle.Pickler):
        def reducer_override(self, value: object) -> Any:
            if isinstance(value, kinds):
                raise _Holds
            return NotImplemented

    return Watching


def _make_main(name: str, path: str) -> None:
    """Run the caller's main file, the module *name* or the file *path*, as `multiprocessing` does in a spawned process."""
    made = ModuleType("__mp_main__")
    if name:
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        code = spec.loader.get_code(name)  # type: ignore[attr-defined] # what `python -m` could run has it
        made.__spec__, made.__package__ = spec, name.rpartition(".")[0]
    else:
        import io

        with io.open_code(path) as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
        made.__package__ = None
    made.__file__ = path
    sys.modules["__main__"] = sys.modules["__mp_main__"] = made
    exec(code, made.__dict__)  # noqa: S102 # the program that was asked to be run


def _show(error: BaseException, ours: int) -> None:
    """Print the traceback of *error*, without the first *ours* frames of it."""
    import traceback

    frames = error.__traceback__
    for _ in range(ours):
        frames = frames.tb_next if frames is not None else None
    traceback.print_exception(type(error), error, frames)


def _say(error: _Refused) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{SAID}{error}\n")
    return error.status


if __name__ == "__main__":
    # So that `sanctity.prove`, called in this process, can tell.
    sys.modules["sanctity.variation.calling"] = sys.modules["__main__"]
    sys.exit(Calling(sys.argv[1]).run())
