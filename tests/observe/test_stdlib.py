"""The standard library of each installed interpreter, file by file, and one change of each kind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.model.environment import Interpreter
from sanctity.model.platform import StandardLibrary
from sanctity.observe.interpreter import observe_interpreter, parse_pyvenv
from sanctity.observe.stdlib import find_stdlib, is_built, observe_stdlib
from sanctity.observe.view import View

if TYPE_CHECKING:
    from sanctity.model.environment import Problem

_INTERPRETER = Interpreter(version="3.11.7", base="/opt/python", abi="cpython-311")
_FILES = {
    "os.py": b"name = 'posix'\n",
    "json/decoder.py": b"x = 1\n",
    "json/__pycache__/decoder.cpython-311.pyc": b"\xa7\r\r\n\0\0\0\0" + bytes(8) + b"code",
    "lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so": b"\x7fELF, nearly",
    "_sysconfigdata__linux_x86_64-linux-gnu.py": b"build_time_vars = {}\n",
    "config-3.11-x86_64-linux-gnu/Makefile": b"all:\n",
    "site-packages/six.py": b"y = 2\n",
    "dist-packages/six.py": b"y = 2\n",
    "test/site-packages/module.py": b"z = 3\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small standard library below the root *tmp_path*."""
    home = tmp_path / "opt/python/lib/python3.11"
    for path, data in _FILES.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(data)
    return home


def _look(folder: Path) -> tuple[StandardLibrary, tuple[Problem, ...], tuple[str, ...]]:
    return observe_stdlib(View(str(folder.parents[3])), _INTERPRETER, workers=1, clock=time.monotonic)


def _changed(before: StandardLibrary, after: StandardLibrary) -> tuple[set[str], set[str], set[str]]:
    return (
        {path for path, _ in {*before.sources} ^ {*after.sources}},
        {path for path, _ in {*before.built} ^ {*after.built}},
        {*before.unchecked} ^ {*after.unchecked},
    )


def test_the_whole_of_it(folder: Path) -> None:
    found, problems, elves = _look(folder)
    assert problems == ()
    assert elves == ("/opt/python/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",)
    expected = {path: hashlib.sha256(data).digest() for path, data in _FILES.items()}
    sources = ["json/decoder.py", "os.py", "test/site-packages/module.py"]
    assert found.sources == tuple((path, expected[path]) for path in sources)
    built = [
        "_sysconfigdata__linux_x86_64-linux-gnu.py",
        "config-3.11-x86_64-linux-gnu/Makefile",
        elves[0].removeprefix("/opt/python/lib/python3.11/"),
    ]
    assert found.built == tuple((path, expected[path]) for path in built)
    assert found.unchecked == ()
    assert _look(folder) == (found, problems, elves)


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("json/decoder.py", b"x = 2\n", ({"json/decoder.py"}, set(), set())),
        ("json/extra.py", b"", ({"json/extra.py"}, set(), set())),
        ("os.pyc", b"", ({"os.pyc"}, set(), set())),
        ("config-3.11-x86_64-linux-gnu/Makefile", b"none:\n", (set(), {"config-3.11-x86_64-linux-gnu/Makefile"}, set())),
        ("lib-dynload/_new.so", b"", (set(), {"lib-dynload/_new.so"}, set())),
        ("site-packages/six.py", b"", (set(), set(), set())),
        ("dist-packages/six.py", b"", (set(), set(), set())),
        ("json/__pycache__/decoder.cpython-311.pyc", b"\xa7\r\r\n\0\0\0\0" + bytes(8) + b"other", (set(), set(), set())),
        (
            "json/__pycache__/decoder.cpython-311.pyc",
            b"\xa7\r\r\n\1\0\0\0" + bytes(8) + b"code",
            (set(), set(), {"json/__pycache__/decoder.cpython-311.pyc"}),
        ),
        ("json/__pycache__/decoder.cpython-311.pyc.140237", b"", (set(), set(), set())),
        ("json/__pycache__/evil.py", b"", ({"json/__pycache__/evil.py"}, set(), set())),
        ("json/Grammar3.11.7.final.0.pickle", b"", (set(), {"json/Grammar3.11.7.final.0.pickle"}, set())),
        ("json/__pycache__/decoder.cpython-311.pyc", b"\xa7\r\r\n\3\0\0\0" + bytes(8) + b"code", (set(), set(), set())),
    ],
)
def test_one_change_and_nothing_else(folder: Path, path: str, data: bytes, expected: tuple[set[str], ...]) -> None:
    before, _, _ = _look(folder)
    (folder / path).write_bytes(data)
    after, problems, _ = _look(folder)
    assert problems == ()
    assert _changed(before, after) == expected


def test_what_is_gone(folder: Path) -> None:
    before, _, _ = _look(folder)
    (folder / "json/decoder.py").unlink()
    assert _changed(before, _look(folder)[0]) == ({"json/decoder.py"}, set(), set())


def test_links_lead_into_the_image(folder: Path) -> None:
    """Debian's sitecustomize is a link into ``/etc``: its target's bytes count, and those of the image."""
    root = folder.parents[3]
    (root / "etc").mkdir()
    (root / "etc/sitecustomize.py").write_text("a = 1\n")
    (folder / "sitecustomize.py").symlink_to("/etc/sitecustomize.py")
    before, problems, _ = _look(folder)
    assert problems == ()
    assert ("sitecustomize.py", hashlib.sha256(b"a = 1\n").digest()) in before.sources
    (root / "etc/sitecustomize.py").write_text("a = 2\n")
    assert _changed(before, _look(folder)[0]) == ({"sitecustomize.py"}, set(), set())
    (root / "etc/sitecustomize.py").unlink()
    assert _changed(before, _look(folder)[0]) == ({"sitecustomize.py"}, set(), set())


def test_a_link_to_a_folder_is_no_less_than_a_change(folder: Path) -> None:
    before, _, _ = _look(folder)
    (folder / "json").rename(folder.parent / "json")
    (folder / "json").symlink_to("../json")
    after, _, _ = _look(folder)
    assert _changed(before, after) == ({"json", "json/decoder.py"}, set(), set())


def test_what_can_not_be_read_is_a_problem(folder: Path) -> None:
    interpreter = Interpreter(version="3.11.7", base=str(folder.parents[1]))
    (folder / "memory.py").symlink_to("/proc/self/mem")
    found, problems, _ = observe_stdlib(View(), interpreter, workers=1, clock=time.monotonic)
    assert [(problem.code, problem.path) for problem in problems] == [("unreadable", f"{folder}/memory.py")]
    assert "memory.py" not in dict(found.sources)


def test_no_library_is_a_problem(tmp_path: Path) -> None:
    found, problems, elves = observe_stdlib(View(str(tmp_path)), _INTERPRETER, workers=1, clock=time.monotonic)
    assert (found, elves) == (StandardLibrary(), ())
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("places", "interpreter", "expected"),
    [
        (["lib/python3.11/site-packages", "lib64/python3.11/os.py"], _INTERPRETER, "lib64/python3.11"),
        (["lib/python3.13t/os.py", "lib/python3.13/os.py"], Interpreter(version="3.13.0", abi="cpython-313t"), "lib/python3.13t"),
        (["lib/python3.13t/os.py", "lib/python3.13/os.py"], Interpreter(version="3.13.0", abi="cpython-313"), "lib/python3.13"),
        (["lib/pypy3.10/os.py"], Interpreter(version="3.10.14", implementation="pypy"), "lib/pypy3.10"),
        (["lib/python3.12/json.py"], Interpreter(version="3.12"), "lib/python3.12"),
        (["lib/python3.12/os.py"], Interpreter(version="3.11.7"), ""),
        (["lib/python3.12/os.py"], Interpreter(), ""),
    ],
)
def test_where_it_is(tmp_path: Path, places: list[str], interpreter: Interpreter, expected: str) -> None:
    from dataclasses import replace

    for place in places:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = find_stdlib(View(), replace(interpreter, base=str(tmp_path)))
    assert found == (f"{tmp_path}/{expected}" if expected else "")


def _expected(home: Path) -> dict[str, bytes]:
    """Every file below *home* but packages and cached bytecode, by another walk and another hash."""
    found = {}
    for top, folders, files in os.walk(home):
        if top == str(home):
            folders[:] = [name for name in folders if name not in {"site-packages", "dist-packages"}]
        for name in files:
            if os.path.basename(top) == "__pycache__" and name.endswith(".pyc"):
                continue
            path = os.path.join(top, name)
            if os.path.isfile(path):
                found[os.path.relpath(path, home)] = hashlib.new("sha256", Path(path).read_bytes()).digest()
    return found


def test_each_library_is_there_file_by_file(python: str, interpreter_paths: dict[str, Path], tmp_path: Path) -> None:
    env = tmp_path / "env"
    subprocess.run([interpreter_paths[python], "-m", "venv", "--without-pip", env], check=True)
    interpreter = observe_interpreter(View(), str(env), "bin", parse_pyvenv((env / "pyvenv.cfg").read_bytes()))
    found, problems, elves = observe_stdlib(View(), interpreter, workers=2, clock=time.monotonic)
    assert problems == ()
    home = Path(find_stdlib(View(), interpreter))
    files = {*found.sources, *found.built}
    expected = _expected(home)
    assert {path: digest for path, digest in files if path in expected} == expected
    assert not [path for path, _ in files if path not in expected and not (home / path).is_symlink()]
    assert {path for path, _ in found.built} >= {os.path.relpath(path, home) for path in elves}
    assert "json/decoder.py" in dict(found.sources)
    # Nothing that names the place or the day of its making is taken for what every build has.
    marks = (os.fsencode(interpreter.base) + b"/", b"/tmp/python-build")
    if interpreter.base != "/usr":
        named = [path for path in expected if any(mark in (home / path).read_bytes() for mark in marks)]
        assert named
        assert not [path for path in named if not is_built(path)]


def test_a_copied_library_is_the_same_and_one_file_is_another(tmp_path: Path) -> None:
    """A build that was moved has the same library; so fast that children read it."""
    base = Path(os.path.realpath(sys.base_prefix))
    home = Path(find_stdlib(View(), Interpreter(version=sys.version.split()[0], base=str(base))))
    copy = tmp_path / "lib" / home.name
    shutil.copytree(home, copy, symlinks=True, ignore=shutil.ignore_patterns("site-packages", "__pycache__", "test"))
    (copy / "os.py").touch()
    interpreter = Interpreter(version=sys.version.split()[0], base=str(tmp_path))
    before = observe_stdlib(View(), interpreter, workers=2, clock=time.monotonic)[0]
    with (copy / "subprocess.py").open("ab") as file:
        file.write(b"\n")
    after = observe_stdlib(View(), interpreter, workers=2, clock=time.monotonic)[0]
    assert _changed(before, after) == ({"subprocess.py"}, set(), set())
