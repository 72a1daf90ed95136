"""Native libraries as the system's own loader finds them: on graphs made here, on real wheels, and in images of other systems."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from observe.shared import make_library, make_program, needs_compiler
from real.environments import pip_venv
from sanctity.model.drift import Depth
from sanctity.model.environment import Interpreter
from sanctity.model.platform import PRELOADS
from sanctity.observe.elf import read_elf
from sanctity.observe.environment import observe_environment
from sanctity.observe.native import Closure, observe_libraries
from sanctity.observe.stdlib import observe_stdlib
from sanctity.observe.view import View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real.tools import Workshop
    from sanctity.model.platform import NativeLibrary

_LDD = shutil.which("ldd")
needs_ldd = pytest.mark.skipif(_LDD is None, reason="there is no ldd on this machine")
_GLIBC = "/lib64/ld-linux-x86-64.so.2"
_MUSL = "/lib/ld-musl-x86_64.so.1"
_SITE = "lib/python3.11/site-packages"
only_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the images here are for x86-64")


def _ldd(path: Path | str) -> dict[str, str]:
    """What the system's loader takes for each name behind *path*, links resolved; empty where it finds nothing."""
    assert _LDD is not None
    done = subprocess.run([_LDD, path], capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]})
    found: dict[str, str] = {}
    for name, place, missing in re.findall(r"^\s+(\S+) => (?:(/.+) \(0x|(not found))", done.stdout, re.MULTILINE):
        found[name] = "" if missing else os.path.realpath(place)
    return found


class Image:
    """A system below *root* with an environment at ``/env``, whose interpreter is a small program."""

    def __init__(
        self, root: Path, *, loader: str = _GLIBC, needs: tuple[str, ...] = (), path: str = "", kind: str = "runpath"
    ) -> None:
        self.root = root
        self.elves: list[str] = []
        make_program(root / "env/bin/python3.11", needs, loader=loader, path=path, kind=kind)
        self.library(loader, text="GNU C Library (here) stable release version 2.99." if loader == _GLIBC else "\\0009.8.7")

    def library(self, path: str, /, needs: tuple[str, ...] = (), **options: str) -> Path:
        """A library of the system, by its absolute path."""
        return make_library(self.root / path[1:], needs, soname=options.pop("soname", path.rpartition("/")[2]), **options)

    def module(self, path: str, /, needs: tuple[str, ...] = (), **options: str) -> Path:
        """A library of the environment, by its path in site-packages."""
        self.elves.append(f"{_SITE}/{path}")
        return make_library(
            self.root / "env" / _SITE / path, needs, soname=options.pop("soname", path.rpartition("/")[2]), **options
        )

    def look(self, hwcaps: tuple[str, ...] = ()) -> Closure:
        """What is found below the root."""
        return observe_libraries(
            View(str(self.root)), "/env", self.elves, Interpreter(executable="bin/python3.11", base="/env"), hwcaps=hwcaps
        )

    def found(self, hwcaps: tuple[str, ...] = ()) -> dict[str, str]:
        """The path of each library by its name, empty where there is none; the loader itself left out."""
        return {item.name: item.path for item in self.look(hwcaps).libraries if not item.name.startswith("ld-")}


def _changed(before: Closure, after: Closure) -> set[str]:
    """The names of the libraries that are not the same in both."""
    return {item.name for item in {*before.libraries} ^ {*after.libraries}}


@needs_compiler
@only_x86_64
@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [("rpath", "$ORIGIN/../demo.libs:/opt/lib", "/opt/lib/libinner.so.1"), ("runpath", "$ORIGIN/../demo.libs:/opt/lib", "")],
)
def test_an_rpath_is_handed_down_and_a_runpath_is_not(tmp_path: Path, kind: str, path: str, expected: str) -> None:
    image = Image(tmp_path)
    image.module("demo/_core.so", ("libouter.so.1",), path=path, kind=kind)
    image.module("demo.libs/libouter.so.1", ("libinner.so.1",))
    image.library("/opt/lib/libinner.so.1")
    assert image.found() == {"libinner.so.1": expected}


@needs_compiler
@only_x86_64
def test_a_runpath_puts_the_rpath_of_who_loaded_it_out_of_force(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.module("demo/_core.so", ("libouter.so.1",), path="$ORIGIN/../demo.libs:/opt/one", kind="rpath")
    image.module("demo.libs/libouter.so.1", ("libinner.so.1",), path="/opt/two", kind="runpath")
    for folder in ("one", "two"):
        image.library(f"/opt/{folder}/libinner.so.1")
    assert image.found() == {"libinner.so.1": "/opt/two/libinner.so.1"}


@needs_compiler
@only_x86_64
def test_the_interpreters_rpath_holds_for_extension_modules(tmp_path: Path) -> None:
    """That is how an environment of conda finds its libraries."""
    image = Image(tmp_path, path="$ORIGIN/../lib", kind="rpath")
    image.module("_core.so", ("libblas.so.3",))
    image.library("/env/lib/libblas.so.3")
    image.library("/usr/lib/libblas.so.3")
    assert image.found() == {"libblas.so.3": "/env/lib/libblas.so.3"}


@needs_compiler
@only_x86_64
def test_default_folders_and_what_is_linked_without_them(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.module("_one.so", ("libone.so.1",))
    image.module("_two.so", ("libtwo.so.1",), options="-Wl,-z,nodefaultlib")
    for name in ("one", "two"):
        image.library(f"/usr/lib64/lib{name}.so.1")
    assert image.found() == {"libone.so.1": "/usr/lib64/libone.so.1", "libtwo.so.1": ""}


@needs_compiler
@only_x86_64
def test_debians_folders_and_words(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.module("_one.so", ("libone.so.1",), path="/opt/$LIB")
    image.module("_two.so", ("libtwo.so.1",))
    image.library("/opt/lib/x86_64-linux-gnu/libone.so.1")
    image.library("/usr/lib/x86_64-linux-gnu/libtwo.so.1")
    image.library("/usr/lib64/libtwo.so.1")
    assert image.found() == {
        "libone.so.1": "/opt/lib/x86_64-linux-gnu/libone.so.1",
        "libtwo.so.1": "/usr/lib/x86_64-linux-gnu/libtwo.so.1",
    }


@needs_compiler
@only_x86_64
def test_another_kind_of_processor_takes_another_library(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.module("_core.so", ("libm.so.6", "libz.so.1"))
    for name in ("libm.so.6", "libz.so.1"):
        image.library(f"/usr/lib64/{name}")
    image.library("/usr/lib64/glibc-hwcaps/x86-64-v3/libm.so.6")
    plain, fast = image.look(), image.look(("x86-64-v4", "x86-64-v3", "x86-64-v2"))
    assert _changed(plain, fast) == {"libm.so.6"}
    assert image.found(("x86-64-v3",))["libm.so.6"] == "/usr/lib64/glibc-hwcaps/x86-64-v3/libm.so.6"
    assert plain.varied == ("libm.so.6",)
    assert _changed(plain, image.look(("x86-64-v2",))) == set()


@needs_compiler
@only_x86_64
def test_a_library_that_was_replaced_and_nothing_else(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.module("_core.so", ("libone.so.1", "libtwo.so.1"))
    for name in ("one", "two"):
        image.library(f"/usr/lib64/lib{name}.so.1")
    before = image.look()
    assert image.look() == before
    path = tmp_path / "usr/lib64/libone.so.1"
    kept = next(item for item in before.libraries if item.name == "libone.so.1")
    assert kept.digest == hashlib.sha256(path.read_bytes()).digest()
    with path.open("ab") as file:
        file.write(b"more")
    after = image.look()
    assert _changed(before, after) == {"libone.so.1"}
    now = next(item for item in after.libraries if item.name == "libone.so.1")
    assert now == kept._replace(digest=hashlib.sha256(path.read_bytes()).digest())  # the build id is what the linker wrote
    path.unlink()
    gone = next(item for item in image.look().libraries if item.name == "libone.so.1")
    assert (gone.digest, gone.path, gone.needed_by) == (b"", "", f"{_SITE}/_core.so")


@needs_compiler
@only_x86_64
def test_a_library_for_another_machine_is_passed_by(tmp_path: Path) -> None:
    image = Image(tmp_path)
    image.module("_core.so", ("libone.so.1",), path="/opt/lib")
    wrong = image.library("/opt/lib/libone.so.1")
    image.library("/usr/lib64/libone.so.1")
    assert image.found() == {"libone.so.1": "/opt/lib/libone.so.1"}
    data = bytearray(wrong.read_bytes())
    data[18:20] = struct.pack("<H", 183)
    wrong.write_bytes(data)
    assert image.found() == {"libone.so.1": "/usr/lib64/libone.so.1"}
    wrong.write_bytes(b"/* GNU ld script */ INPUT(libone.so.2)\n" * 9)
    assert image.found() == {"libone.so.1": "/usr/lib64/libone.so.1"}


@needs_compiler
@only_x86_64
def test_what_a_package_loads_before_it_is_asked_for(tmp_path: Path) -> None:
    """A name that nothing is found for is satisfied by a library from which folder others of the environment are loaded."""
    image = Image(tmp_path)
    image.module("demo/_core.so", ("libouter.so.1",), path="$ORIGIN/../demo.libs")
    image.module("demo.libs/libouter.so.1")
    image.module("demo/_other.so", ("libsecond.so.1",))
    assert image.found() == {"libsecond.so.1": ""}
    image.module("unused/libsecond.so.1")
    assert image.found() == {"libsecond.so.1": ""}
    image.module("demo.libs/libsecond.so.1")
    assert image.found() == {}


@needs_compiler
@only_x86_64
def test_a_name_that_was_loaded_before(tmp_path: Path) -> None:
    """The second library has no path of its own, and needs what the module has loaded already, by its soname."""
    image = Image(tmp_path)
    image.module("demo/_core.so", ("libfirst-1f2e.so", "libsecond.so.1"), path="$ORIGIN/../demo.libs:/opt/lib")
    image.module("demo.libs/libfirst-1f2e.so", soname="libfirst.so.1")
    image.library("/opt/lib/libsecond.so.1", ("libfirst.so.1",))
    image.library("/usr/lib64/libfirst.so.1")
    assert image.found() == {"libsecond.so.1": "/opt/lib/libsecond.so.1"}


@needs_compiler
@only_x86_64
def test_musls_rules(tmp_path: Path) -> None:
    """Both kinds of path are handed down, its own names are the loader, and its folders are in a file."""
    image = Image(tmp_path, loader=_MUSL)
    image.module("demo/_core.so", ("libc.musl-x86_64.so.1", "libouter.so.1", "libz.so.1"), path="/opt/lib")
    image.library("/opt/lib/libouter.so.1", ("libinner.so.1",), path="/opt/none")
    image.library("/opt/lib/libinner.so.1")
    image.library("/lib/libz.so.1")
    image.library("/srv/lib/libz.so.1")
    outside = {"libouter.so.1": "/opt/lib/libouter.so.1", "libinner.so.1": "/opt/lib/libinner.so.1", "libc.musl-x86_64.so.1": _MUSL}
    assert image.found() == {**outside, "libz.so.1": "/lib/libz.so.1"}
    assert image.look().libc == "musl 9.8.7"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld-musl-x86_64.path").write_text("/srv/lib\n")
    assert image.found() == {**outside, "libz.so.1": "/srv/lib/libz.so.1"}


@needs_compiler
@only_x86_64
def test_who_owns_a_library(tmp_path: Path) -> None:
    """By dpkg's lists, whichever of its two names a file has there; by apk's; by none."""
    image = Image(tmp_path)
    image.module("_core.so", ("libm.so.6", "libz.so.1", "libown.so.1"))
    for name in ("libm.so.6", "libz.so.1"):
        image.library(f"/usr/lib/x86_64-linux-gnu/{name}")
    image.library("/usr/local/lib/libown.so.1")
    (tmp_path / "lib").symlink_to("usr/lib")

    def owners() -> dict[str, str]:
        return {item.name: item.package for item in image.look().libraries if item.name.startswith(("libm", "libz"))}

    assert owners() == {"libm.so.6": "", "libz.so.1": ""}
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "libc6:amd64.list").write_text("/.\n/lib\n/lib/x86_64-linux-gnu/libm.so.6\n")
    (info / "zlib1g:amd64.list").write_text("/.\n/usr/lib/x86_64-linux-gnu/libz.so.1\n")
    (info.parent / "status").write_text(
        "Package: libc6\nArchitecture: i386\nVersion: 2.0\n\n"
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9+deb12u14\n\n"
        "Package: zlib1g\nArchitecture: amd64\nVersion: 1:1.2.13.dfsg-1\n"
    )
    assert owners() == {"libm.so.6": "libc6 2.36-9+deb12u14", "libz.so.1": "zlib1g 1:1.2.13.dfsg-1"}
    before = image.look()
    status = info.parent / "status"
    status.write_text(status.read_text().replace("deb12u14", "deb12u15"))
    assert _changed(before, image.look()) == {"libm.so.6"}
    shutil.rmtree(tmp_path / "var")
    single = tmp_path / "var/lib/dpkg/status.d"
    single.mkdir(parents=True)
    (single / "zlib1g").write_text("Package: zlib1g\nVersion: 1:1.3\n")
    (single / "zlib1g.md5sums").write_text(f"{'0' * 32}  usr/lib/x86_64-linux-gnu/libz.so.1\n")
    assert owners() == {"libm.so.6": "", "libz.so.1": "zlib1g 1:1.3"}
    (tmp_path / "lib/apk/db").mkdir(parents=True)
    (tmp_path / "lib/apk/db/installed").write_text(
        "C:Q1\nP:musl\nV:1.2.5-r0\nF:lib\nF:usr/lib/x86_64-linux-gnu\nR:libm.so.6\na:0:0:755\n\nP:zlib\nV:1.3.1-r1\nF:lib/x86_64-linux-gnu\nR:libz.so.1\n"
    )
    assert owners() == {"libm.so.6": "musl 1.2.5-r0", "libz.so.1": "zlib 1.3.1-r1"}


@needs_compiler
@only_x86_64
def test_a_library_that_can_not_be_read_is_a_problem() -> None:
    """In a folder of its own, since the superuser, who reads all, has to be somebody else for a moment."""
    with tempfile.TemporaryDirectory() as folder, _as_nobody(folder):
        place = Path(folder).resolve()
        program = make_program(place / "bin/python3.11", ("libgone.so.1",), path=f"{place}/lib")
        closed = make_library(place / "lib/libgone.so.1")
        closed.chmod(0)
        found = observe_libraries(View(), f"{place}/env", [], Interpreter(executable=str(program)))
        assert (str(closed), "unreadable") in {(problem.path, problem.code) for problem in found.problems}


@contextmanager
def _as_nobody(folder: str) -> Iterator[None]:
    if os.geteuid():
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_compiler
@needs_ldd
@only_x86_64
@pytest.mark.parametrize("seed", range(6))
def test_a_graph_of_libraries_is_loaded_as_the_loader_says(tmp_path: Path, seed: int) -> None:
    """Ten libraries in three folders, with paths of either kind at random: every name leads where ``ldd`` says."""
    rng = random.Random(seed)
    folders = ["one", "two", "three"]
    names = [f"lib{letter}.so.1" for letter in "abcdefgh"]

    def path() -> str:
        chosen = rng.sample(folders, rng.choice((0, 0, 1, 2)))
        return ":".join(rng.choice((f"$ORIGIN/../{folder}", str(tmp_path / folder), "${ORIGIN}/../" + folder)) for folder in chosen)

    for index, name in enumerate(names):
        for folder in rng.sample(folders, rng.choice((1, 1, 2))):
            needs = tuple(rng.sample(names[index + 1 :], min(len(names) - index - 1, rng.choice((0, 1, 2)))))
            make_library(tmp_path / folder / name, needs, soname=name, path=path(), kind=rng.choice(("rpath", "runpath")))
    needs = tuple(rng.sample(names[:5], 3))
    program = make_program(
        tmp_path / "bin/python3.11", needs, path=path() or "$ORIGIN/../one", kind=rng.choice(("rpath", "runpath"))
    )
    found = observe_libraries(View(), str(tmp_path / "env"), [], Interpreter(executable=str(program)))
    ours = {item.name: item.path for item in found.libraries if not item.name.startswith("ld-")}
    assert ours == _ldd(program)


def _look(prefix: Path) -> tuple[Closure, list[str]]:
    """What is behind a real environment, and the absolute paths of its ELF files."""
    environment = observe_environment(str(prefix), depth=Depth.RECORD, clock=time.monotonic)
    _, _, elves = observe_stdlib(View(), environment.interpreter, workers=2, clock=time.monotonic)
    closure = observe_libraries(View(), str(prefix), environment.elves, environment.interpreter, more=elves)
    return closure, [*(f"{prefix}/{path}" for path in environment.elves), *elves]


def _outside(closure: Closure) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    item: NativeLibrary
    for item in closure.libraries:
        found.setdefault(item.name, set()).add(item.path)
    return found


def _compare_with_ldd(closure: Closure, elves: list[str], own: tuple[str, ...]) -> int:
    """Every name that ``ldd`` finds outside of *own* folders is listed, with that very file; how many were compared."""
    listed = _outside(closure)
    count = 0
    for path in elves:
        needed = read_elf(path)[0].needed
        for name, place in _ldd(path).items():
            if name in needed and place and not place.startswith(own):
                assert place in listed.get(name, ()), (path, name, place)
                count += 1
    return count


@needs_ldd
def test_the_library_behind_the_standard_library(python: str, interpreter_paths: dict[str, Path], tmp_path: Path) -> None:
    """Each Python's extension modules lead to the same files as with ``ldd``; looked at twice they are the same."""
    subprocess.run([interpreter_paths[python], "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    closure, elves = _look(tmp_path / "env")
    assert not closure.problems
    assert re.fullmatch(r"(glibc|musl) \d+\.\d+(\.\d+)?", closure.libc)
    base = os.path.realpath(interpreter_paths[python].parents[1])
    assert _compare_with_ldd(closure, elves[:: max(1, len(elves) // 25)], (base + "/lib/libpython",)) > 10
    assert not [item for item in closure.libraries if item.name.startswith("libpython")]
    assert _look(tmp_path / "env")[0] == closure


@pytest.mark.index
@pytest.mark.long
@needs_ldd
def test_the_libraries_behind_real_wheels(workshop: Workshop, tmp_path: Path) -> None:
    """72 packages, with numpy, scipy, pandas and scikit-learn among them: same names, same files as with ``ldd``.

    What the environment itself holds is not listed, however it is found.
    """
    from real.tools import HERE

    built = pip_venv(workshop, tmp_path / "project", lock=HERE / "wheels-72.txt")
    closure, elves = _look(built.env)
    assert not closure.problems
    assert not [item for item in closure.libraries if item.path.startswith(str(built.env))]
    base = os.path.realpath(sys.base_prefix)
    assert _compare_with_ldd(closure, elves, (str(built.env) + "/", base + "/lib/libpython")) > 100
    missing = {item.name for item in closure.libraries if not item.path}
    assert not {name for name in missing if "-" in name}  # those that auditwheel renamed are beside who needs them


@needs_compiler
@only_x86_64
def test_what_the_system_puts_into_every_program(tmp_path: Path) -> None:
    image = Image(tmp_path, needs=("libc.so.6",))
    image.library("/lib/x86_64-linux-gnu/libc.so.6")
    before = {item.name for item in image.look().libraries}
    image.library("/opt/one.so", ("libextra.so.1",))
    image.library("/opt/two.so")
    image.library("/usr/lib/libextra.so.1")
    (tmp_path / "etc").mkdir(exist_ok=True)
    (tmp_path / PRELOADS[1:]).write_text("/opt/one.so:/opt/two.so\n# /opt/three.so\n/opt/gone.so\n")
    found = {item.name: item for item in image.look().libraries}
    assert found.keys() - before == {"/opt/one.so", "/opt/two.so", "/opt/gone.so", "libextra.so.1"}
    assert {found[name].needed_by for name in ("/opt/one.so", "/opt/two.so", "/opt/gone.so")} == {PRELOADS}
    assert found["/opt/one.so"].digest == hashlib.sha256((tmp_path / "opt/one.so").read_bytes()).digest()
    assert not found["/opt/gone.so"].digest
