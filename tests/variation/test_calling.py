"""One call in a fresh process: the function is found where its caller has it from, and its value is written as it is, or refused."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sanctity.errors import UsageError
from sanctity.results import read
from sanctity.variation import calling
from sanctity.variation.function import command_of, name_of, write_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    names: frozenset[str]


class Counter:
    """What has methods."""

    def __init__(self, start: int) -> None:
        self.start = start

    def up(self, by: int) -> int:
        return self.start + by

    @classmethod
    def make(cls, start: int) -> Counter:
        return cls(start)

    def __call__(self) -> int:
        return self.start


def many(number: int, *, word: str = "w") -> dict[str, Any]:
    """A value with all sorts of values in it."""
    array = np.arange(number, dtype=np.float32).reshape(-1, 1)
    return {"array": array, "tuple": (word, None), "set": {word, "b"}, "point": Point(x=number, names=frozenset(word))}


def nothing() -> None:
    return


def fails() -> None:
    raise ValueError("of no\nuse")


def leaves() -> None:
    sys.exit(3)


def numbers() -> Iterator[int]:
    yield 1


async def later() -> int:
    return 1


def waits() -> int:
    return asyncio.run(later())


def makes() -> Callable[[], int]:
    return lambda: 1


def hidden() -> list[object]:
    return [1, threading.Lock()]


def goes() -> str:
    os.chdir("/")
    return "gone"


def proves() -> object:
    from sanctity.verbs.functions import prove

    return prove(nothing)


@functools.lru_cache
def wrapped() -> int:
    return 1


def _run(folder: Path, function: Callable[..., object], *args: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
    place = folder / "place"
    place.mkdir(exist_ok=True)
    write_call(str(folder / "call"), function, args, kwargs)
    return subprocess.run(command_of(str(folder / "call")), cwd=place, capture_output=True, text=True, check=False)


def _value(folder: Path) -> Any:
    """What was returned, by pickle itself: here it is our own."""
    return pickle.loads((folder / "place/returned.pkl").read_bytes())


def _written(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "place"))


def test_a_value_is_written_as_it_is(tmp_path: Path) -> None:
    done = _run(tmp_path, many, 3, word="a")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _written(tmp_path) == ["returned.pkl"]
    found, wanted = _value(tmp_path), many(3, word="a")
    assert np.array_equal(found.pop("array"), wanted.pop("array"))
    assert found == wanted
    leaves = read("pickle", memoryview((tmp_path / "place/returned.pkl").read_bytes()))
    assert {"['array']", "['tuple'][1]", "['set']{'b'}", "['point'].state[1]{'a'}"} <= {leaf.path for leaf in leaves.leaves}
    assert not leaves.unread


@pytest.mark.parametrize(
    ("function", "args", "value"),
    [
        (functools.partial(Counter(2).up, 3), (), 5),
        (Counter(2).up, (1,), 3),
        (Counter(4), (), 4),
        (Counter.make, (4,), 4),
        (wrapped, (), 1),
        (waits, (), 1),
        (goes, (), "gone"),
        (sorted, ([3, 1],), [1, 3]),
        (dict, ({"a": 1},), {"a": 1}),
    ],
)
def test_whatever_pickle_can_name_is_called(
    function: Callable[..., object], args: tuple[object, ...], value: object, tmp_path: Path
) -> None:
    done = _run(tmp_path, function, *args)
    assert done.returncode == 0, done.stderr
    found = _value(tmp_path)
    assert (found.start if isinstance(found, Counter) else found) == value


@pytest.mark.parametrize(
    ("function", "status", "words"),
    [
        (nothing, 0, ""),
        (leaves, 3, ""),
        (fails, 1, "ValueError: of no\nuse\n"),
        (numbers, calling.NOT_PICKLABLE, "returned generator, which can not be pickled"),
        (later, calling.NOT_PICKLABLE, "asyncio.run"),
        (makes, calling.NOT_PICKLABLE, "returned function, which can not be pickled"),
        (hidden, calling.NOT_PICKLABLE, "cannot pickle '_thread.lock' object"),
        (proves, 1, "it calls prove itself, in a run of prove"),
    ],
)
def test_what_is_no_value_is_not_written(function: Callable[..., object], status: int, words: str, tmp_path: Path) -> None:
    done = _run(tmp_path, function)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert _written(tmp_path) == []


def test_what_no_process_can_import_is_refused(tmp_path: Path) -> None:
    def local() -> int:
        return 1

    unwrapped = wrapped.__wrapped__
    typed: dict[str, Any] = {"__name__": "__main__"}
    exec("def typed(): return 1", typed)
    gone = ModuleType("gone_again")
    exec("def away(): return 1", gone.__dict__)
    cases: list[tuple[Any, str]] = [
        (local, "defined inside of another function"),
        (lambda: 1, "a lambda has no name"),
        (functools.partial(local), "defined inside of another function"),
        (unwrapped, "not the same object"),
        (typed["typed"], "notebook"),
        (gone.away, "another process can not import it"),
        (3, "can not be called"),
    ]
    for function, words in cases:
        with pytest.raises(UsageError, match=words) as caught:
            write_call(str(tmp_path / "call"), function, (), {})
        assert caught.value.code == "function-not-importable"
        assert caught.value.hint
        assert not (tmp_path / "call").exists()


def test_an_argument_that_can_not_be_handed_on_is_named(tmp_path: Path) -> None:
    for args, kwargs, named in (((1, numbers()), {}, "argument 2"), ((), {"word": lambda: 1}, "word")):
        with pytest.raises(UsageError, match=f"^{__name__}.many: {named} can not be handed to another process") as caught:
            write_call(str(tmp_path / "call"), many, args, kwargs)
        assert caught.value.code == "argument-not-picklable"


def test_names() -> None:
    module = __name__
    assert name_of(many) == f"{module}.many"
    assert name_of(functools.partial(functools.partial(many), 3)) == f"{module}.many"
    assert name_of(Counter(1).up) == f"{module}.Counter.up"
    assert name_of(Counter(1)) == f"{module}.Counter"
    assert name_of(sorted) == "sorted"


def test_a_module_that_sys_path_does_not_lead_to_is_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pytest has them with ``importmode=importlib``: in packages that are no more than a name, or a file of another name."""
    (tmp_path / "test_far.py").write_text("import test_near\n\ndef far():\n    return [__file__, test_near.near()]\n")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/test_near.py").write_text("def near():\n    return __name__\n")
    monkeypatch.syspath_prepend(str(tmp_path / "near"))
    for name in ("cases", "cases.deep"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    spec = importlib.util.spec_from_file_location("cases.deep.test_far", tmp_path / "test_far.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.delitem(sys.modules, "test_near")
    done = _run(tmp_path, module.far)
    assert done.returncode == 0, done.stderr
    assert _value(tmp_path) == [str(tmp_path / "test_far.py"), "test_near"]


def test_a_file_that_another_one_shadows_is_still_the_callers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shadowed.py").write_text(f"def which():\n    return {name!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "one"))
    module = importlib.import_module("shadowed")
    monkeypatch.setitem(sys.modules, "shadowed", module)
    monkeypatch.syspath_prepend(str(tmp_path / "two"))
    assert _run(tmp_path, module.which).returncode == 0
    assert _value(tmp_path) == "one"
    monkeypatch.delitem(sys.modules, "shadowed")


PROGRAM = """
import json, os, subprocess, sys
from sanctity.errors import UsageError
from sanctity.variation.function import command_of, write_call

class Own:
    def __init__(self, x): self.x = x

def told(own):
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        doubled = pool.map(twice, [own.x])
    return {"argv": sys.argv[1:], "path": sys.path, "doubled": doubled, "name": __name__, "debug": __debug__, "x": sys._xoptions}

def twice(x):
    return 2 * x

if __name__ == "__main__":
    folder = sys.argv[1]
    write_call(folder + "/call", told, (Own(4),), {})
    os.mkdir(folder + "/place")
    done = subprocess.run(command_of(folder + "/call"), cwd=folder + "/place")
    print(json.dumps(sys.path))
    sys.exit(done.returncode)
"""


@pytest.mark.parametrize(
    ("words", "file"), [(("main.py",), "main.py"), (("-m", "pack.main"), "pack/main.py"), (("pack",), "pack/__main__.py")]
)
def test_the_main_program_is_made_as_multiprocessing_makes_it(words: tuple[str, ...], file: str, tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / file).write_text(PROGRAM)
    given = [sys.executable, "-O", "-X", "int_max_str_digits=5000", "-X", "dev", *words, str(tmp_path)]
    done = subprocess.run(given, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    value = _value(tmp_path)
    assert value["argv"] == [str(tmp_path)]
    assert value["path"] == [entry or str(tmp_path) for entry in json.loads(done.stdout)]
    assert (value["doubled"], value["name"], value["debug"]) == ([8], "__mp_main__", False)
    assert value["x"] == {"int_max_str_digits": "5000", "dev": True}
    assert not list(tmp_path.glob("__pycache__/main*"))


@pytest.mark.parametrize("words", [("-c", "{}"), ("-",)])
def test_a_program_without_a_file_is_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    program = PROGRAM.replace("    write_call", "    try:\n        write_call").replace(
        "{})\n    os", "{})\n    except UsageError as error:\n        sys.exit(error.code + ': ' + error.hint)\n    os"
    )
    given = [sys.executable, *(word.replace("{}", program) for word in words), str(tmp_path)]
    done = subprocess.run(given, input=program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("function-not-importable: write it to a module")


def test_an_import_that_fails_in_a_fresh_process_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set_up.py").write_text("import os\nif 'SET_UP' in os.environ:\n    def ready(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SET_UP", "1")
    ready = importlib.import_module("set_up").ready
    monkeypatch.delenv("SET_UP")
    done = _run(tmp_path, ready)
    assert done.returncode == calling.NOT_FOUND
    assert done.stderr.splitlines()[-1].startswith("sanctity.prove: AttributeError: ")
    monkeypatch.delitem(sys.modules, "set_up")
