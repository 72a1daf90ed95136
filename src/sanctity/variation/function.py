"""A function and its arguments, written down for processes that call it; what none could call is refused before one is started.

A function goes by its module and qualified name, as pickle has it, so it is what a new process gets that imports the module. The
module is found where the caller has it from: ``sys.path`` is handed on, and for modules that it does not lead to (pytest's
``importmode=importlib``) their files.
"""

from __future__ import annotations

import functools
import io
import os
import pickle
import subprocess
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, Final

from sanctity.errors import UsageError
from sanctity.variation import calling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

__all__ = ["command_of", "name_of", "write_call"]

_PROGRAM: Final = os.path.abspath(calling.__file__)
_MODULE_LEVEL: Final = "define it with def at the top of a module, and hand it what it needs as arguments"


def name_of(function: object) -> str:
    """*function* as reports name it: its module and qualified name, without a word of the main file's module."""
    inner = _inner(function)
    if isinstance(inner, type) or getattr(inner, "__qualname__", None):
        module, name = getattr(inner, "__module__", None), str(inner.__qualname__)  # type: ignore[attr-defined]
    else:
        module, name = type(inner).__module__, type(inner).__qualname__
    return name if module in {"__main__", "builtins", None} else f"{module}.{name}"


def _inner(function: object) -> object:
    """What a partial, or a method, is of."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def command_of(path: str) -> tuple[str, ...]:
    """The command that makes the call at *path*: this interpreter, with the options that it was started with.

    Raises:
        UsageError: ``interpreter-not-found``, the process has no interpreter of its own that could be started.
    """
    if not sys.executable:
        raise UsageError(
            "interpreter-not-found",
            "this program holds a Python that is no file, so no other process can be started with it",
            hint="call prove from a program that `python` runs",
        )
    given = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001 # as multiprocessing starts its own
    told = {given[at + 1] for at, word in enumerate(given[:-1]) if word == "-X"}
    options = [name if value is True else f"{name}={value}" for name, value in sys._xoptions.items()]  # noqa: SLF001 # so documented
    for option in options:
        if option not in told:
            given += ["-X", option]
    return (sys.executable, *given, _PROGRAM, path)


def write_call(path: str, function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Write to *path* the call that `calling` is to make.

    Raises:
        UsageError: ``function-not-importable``, ``argument-not-picklable``.
        OSError: *path* can not be written.
    """
    _check(function)
    _pickled(function, args, kwargs)
    call = io.BytesIO()
    pickler = _Noting(call, protocol=5)
    pickler.dump((function, args, dict(kwargs)))
    caller = {
        "path": [entry or os.getcwd() for entry in sys.path],
        "argv": list(sys.argv),
        "places": {name: place for module in sorted(pickler.modules) for name, place in _places(module)},
        "main": _main(function) if "__main__" in pickler.modules else None,
    }
    with open(path, "wb") as file:
        pickle.dump(caller, file, protocol=5)
        file.write(call.getbuffer())


class _Noting(pickle.Pickler):
    """A pickler that notes the *modules* of what it names."""

    def __init__(self, file: io.BytesIO, *, protocol: int) -> None:
        super().__init__(file, protocol=protocol)
        self.modules: set[str] = set()

    def reducer_override(self, value: object) -> Any:
        """Note where *value* is from, and leave it to the others to say how it is pickled."""
        for named in (value, type(value)):
            module = getattr(named, "__module__", None)
            if isinstance(module, str):
                self.modules.add(module)
        return NotImplemented


class _Away(io.RawIOBase):
    """Takes what is written, and keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)


def _pickled(function: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """See that all can be pickled, one by one, so that what can not is told by name. Raises UsageError."""
    try:
        pickle.dump(function, _Away(), protocol=5)
    except Exception as error:
        raise _unimportable(function, f"another process can not import it: {error}") from error
    for name, value in (*((f"argument {number}", value) for number, value in enumerate(args, 1)), *kwargs.items()):
        try:
            pickle.dump(value, _Away(), protocol=5)
        except Exception as error:
            raise UsageError(
                "argument-not-picklable",
                f"{name} can not be handed to another process: {error}",
                where=name_of(function),
                hint="hand on what it is made from, and make it in the function",
            ) from error


def _unimportable(function: object, message: str, hint: str = _MODULE_LEVEL) -> UsageError:
    return UsageError("function-not-importable", message, where=name_of(function), hint=hint)


def _check(function: object) -> None:
    """Refuse what no other process can import. Raises UsageError."""
    if not callable(function):
        raise _unimportable(function, f"it is of type {type(function).__name__}, which can not be called")
    inner = _inner(function)
    name = str(getattr(inner, "__qualname__", ""))
    if name.endswith("<lambda>"):
        raise _unimportable(function, "a lambda has no name that another process could import")
    if "<locals>" in name:
        raise _unimportable(function, "it is defined inside of another function, where no other process can import it from")
    code = getattr(inner, "__code__", None)
    if getattr(inner, "__module__", None) == "__main__" and code is not None and not os.path.isfile(code.co_filename):
        raise _no_file(function)


def _no_file(function: object) -> UsageError:
    return _unimportable(
        function,
        "it, or the class of an argument, was typed into a notebook, a console or a doctest: another process has no file to import",
        "write it to a module beside the notebook, and import it from there",
    )


def _main(function: object) -> tuple[str, str]:
    """How another process makes ``__main__``: by the name of a module, or empty, and its file."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    path = getattr(main, "__file__", None)
    if path is None or not os.path.isfile(path):
        raise _no_file(function)
    name = "" if spec is None or spec.name == "__main__" else str(spec.name)
    return name, os.path.abspath(path)


def _places(module: str) -> Iterator[tuple[str, tuple[str, list[str] | None]]]:
    """Of *module* and the packages that it is in: those that ``sys.path`` does not lead to, each with its file and its folders."""
    parts = module.split(".")
    folders: list[str] | None = None
    for number in range(1, len(parts) + 1):
        name = ".".join(parts[:number])
        here = sys.modules.get(name)
        if here is None or name == "__main__" or name in sys.builtin_module_names:
            return
        file, inside = _source(here), getattr(here, "__path__", None)
        spec = PathFinder.find_spec(name, folders) if number == 1 or folders is not None else None
        folders = None if inside is None else list(inside)
        if file is None:
            continue
        found = spec.origin if spec is not None and spec.origin is not None else ""
        if spec is None or (file and os.path.realpath(found) != os.path.realpath(file)):
            yield name, (file, folders if file else folders or [])


def _source(module: ModuleType) -> str | None:
    """The file that *module* is from, empty where there is none, as of a namespace; None where it is no file of Python's."""
    file = getattr(module, "__file__", None)
    if file is None:
        spec = getattr(module, "__spec__", None)
        return "" if spec is None or spec.origin is None else None
    return file if str(file).endswith(".py") and os.path.isfile(file) else None
