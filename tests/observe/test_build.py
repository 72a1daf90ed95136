"""The build of each installed interpreter by its own bytes, beside what it says of itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.shared import make_program, needs_compiler
from sanctity.model.digest import Digest
from sanctity.model.environment import Interpreter
from sanctity.model.platform import Build
from sanctity.observe.build import observe_build, parse_configure, parse_stamp
from sanctity.observe.elf import ElfError, build_id, open_elf, parse_elf
from sanctity.observe.interpreter import observe_interpreter, parse_pyvenv
from sanctity.observe.view import View

_ASK = """
import json, re, sys, sysconfig
print(json.dumps({"version": sys.version, "base": sys.base_prefix, "configure": sysconfig.get_config_var("CONFIG_ARGS")}))
"""
_DEBIAN = Path("/usr/bin/python3")


def _venv(python: Path, env: Path, *options: str) -> tuple[str, Interpreter]:
    subprocess.run([python, "-m", "venv", "--without-pip", *options, env], check=True)
    configuration = parse_pyvenv((env / "pyvenv.cfg").read_bytes())
    return str(env), observe_interpreter(View(), str(env), "bin", configuration)


def _agrees(build: Build, python: Path) -> None:
    """Compiler, date and configure arguments are what the interpreter itself says."""
    said = json.loads(subprocess.run([python, "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=True).stdout)
    compiler = re.search(r"\[([^\]]+)\]$", said["version"])
    date = re.search(r"(\w{3} [ \d]\d \d{4}), (\d\d:\d\d:\d\d)", said["version"])
    assert compiler
    assert date
    assert (build.compiler, build.compiled) == (compiler[1], date[0])
    assert build.configure.replace("${base}", said["base"]) == said["configure"]
    assert build.configure.startswith("'--")
    assert "'--prefix=${base}'" in build.configure


def test_each_build_says_what_its_interpreter_says(python: str, interpreter_paths: dict[str, Path], tmp_path: Path) -> None:
    prefix, interpreter = _venv(interpreter_paths[python], tmp_path / "env")
    build, problems = observe_build(View(), prefix, interpreter)
    assert problems == ()
    _agrees(build, interpreter_paths[python])
    assert observe_build(View(), prefix, interpreter) == (build, ())
    assert build.executable is not None


def test_debians_build() -> None:
    """It is linked without a libpython, and stands in ``/usr``."""
    if not _DEBIAN.exists() or not Path("/var/lib/dpkg").is_dir():
        pytest.skip("there is no Python of Debian's here")
    interpreter = observe_interpreter(View(), "/usr", "bin", None)
    build, problems = observe_build(View(), "/usr", interpreter)
    assert problems == ()
    if Path(interpreter.executable).name != _DEBIAN.resolve().name and Path(f"/usr/{interpreter.executable}") != _DEBIAN.resolve():
        pytest.skip("/usr has several Pythons")
    _agrees(build, _DEBIAN)
    assert build.library is None


@pytest.mark.skipif(shutil.which("readelf") is None, reason="there is no readelf here")
def test_the_build_id_is_what_readelf_prints() -> None:
    executable = os.path.realpath(sys.executable)
    printed = subprocess.run(["readelf", "-n", executable], capture_output=True, text=True, check=True).stdout
    expected = re.search(r"Build ID: ([0-9a-f]+)", printed)
    with open_elf(executable) as (data, elf):
        assert build_id(data, elf) == (expected[1] if expected else "")


def test_four_bytes_more_change_the_executables_digest_alone(tmp_path: Path) -> None:
    prefix, interpreter = _venv(Path(os.path.realpath(sys.executable)), tmp_path / "env", "--copies")
    before, _ = observe_build(View(), prefix, interpreter)
    executable = Path(prefix) / interpreter.executable
    assert before.executable == Digest("sha256", _sha256(executable))
    with executable.open("ab") as file:
        file.write(b"\0\0\0\0")
    after, problems = observe_build(View(), prefix, interpreter)
    assert problems == ()
    assert after.executable == Digest("sha256", _sha256(executable)) != before.executable
    assert after.identity == before.identity
    assert after.library == before.library


def _sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_no_interpreter_is_no_build(tmp_path: Path) -> None:
    assert observe_build(View(), str(tmp_path), Interpreter()) == (Build(), ())
    gone = Interpreter(executable="bin/python", base=str(tmp_path), version="3.11.7")
    assert observe_build(View(), str(tmp_path), gone) == (Build(), ())


def test_a_text_in_the_interpreters_place_has_a_digest_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\n" * 20)
    build, problems = observe_build(View(), str(tmp_path), Interpreter(executable="python", base="/none", version="3.11"))
    assert problems == ()
    assert build == Build(executable=Digest("sha256", _sha256(tmp_path / "python")))


@needs_compiler
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"x\0[Clang 17.0.6 ]\0Nov 23 2026\00012:00:00\0", ("Clang 17.0.6", "Nov 23 2026, 12:00:00")),
        (
            r"x\0[GCC 4.8.5 20150623 (Red Hat 4.8.5-44)]\00001:02:03\0Jan  1 2020\0",
            ("GCC 4.8.5 20150623 (Red Hat 4.8.5-44)", "Jan  1 2020, 01:02:03"),
        ),
        (r"x\0[GCC 12.2.0]\0Jan  1 2020\0other\00001:02:03\0", ("GCC 12.2.0", "Jan  1 2020, 01:02:03")),
        (r"x\0[GCC 12.2.0]\0Jan  1 2020\0other\00001:02:03\0more\00001:02:04\0", ("GCC 12.2.0", "")),
        (r"x\0Jan  1 2020\00001:02:03\0Jan  2 2020\00001:02:03\0", ("", "")),
        (r"made Jan  1 2020\00001:02:03\0 [GCC is not here", ("", "")),
    ],
)
def test_stamps_as_other_compilers_leave_them(tmp_path: Path, text: str, expected: tuple[str, str]) -> None:
    with open_elf(str(make_program(tmp_path / "python", text=text))) as (data, elf):
        assert parse_stamp(data, elf) == expected


@needs_compiler
def test_a_stamp_across_two_blocks(tmp_path: Path) -> None:
    """Constants are read in pieces; a text that two of them share is seen."""
    for before in range((1 << 20) - 5000, (1 << 20) - 3900, 97):
        text = "x" * before + r"\0[GCC 12.2.0]\0Nov 23 2026\00012:00:00\0"
        with open_elf(str(make_program(tmp_path / "python", text=text))) as (data, elf):
            assert parse_stamp(data, elf) == ("GCC 12.2.0", "Nov 23 2026, 12:00:00")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("'--prefix=/opt/python' 'LDFLAGS=-L/opt/python/lib'", "'--prefix=${base}' 'LDFLAGS=-L${base}/lib'"),
        ("'--prefix=/opt/python' '--with-x=/opt/python-other/lib'", "'--prefix=${base}' '--with-x=/opt/python-other/lib'"),
        ("'--prefix=/opt/python' '--with-x=/srv/opt/python/lib'", "'--prefix=${base}' '--with-x=/srv/opt/python/lib'"),
        ("'--prefix=/install' '-Wl,-rpath,/opt/python/lib'", "'--prefix=/install' '-Wl,-rpath,${base}/lib'"),
    ],
)
def test_the_base_prefix_in_configure_arguments(tmp_path: Path, arguments: str, expected: str) -> None:
    folder = tmp_path / "opt/python/lib/python3.11"
    folder.mkdir(parents=True)
    (folder / "os.py").touch()
    (folder / "_sysconfigdata__linux_x86_64-linux-gnu.py").write_text(
        f"build_time_vars = {{'A': 1,\n 'CONFIG_ARGS': {arguments!r},\n 'B': 2}}\n"
    )
    (tmp_path / "opt/python/bin").mkdir()
    (tmp_path / "opt/python/bin/python").write_text("none")
    interpreter = Interpreter(executable="bin/python", base="/opt/python", version="3.11.7")
    build, _ = observe_build(View(str(tmp_path)), "/opt/python", interpreter)
    assert build.configure == expected


@settings(max_examples=500, derandomize=True, deadline=None)
@given(
    st.dictionaries(st.text(max_size=8), st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200), max_size=4),
    st.text(max_size=300),
)
@example({}, "'--prefix=/x' \\ \" ' \n\t\r\x00 \x7f é ☃ 🐍")
def test_what_pprint_wrote_is_read(others: dict[str, str], text: str) -> None:
    """The module that writes these files is `pprint`; so is it in this test."""
    from pprint import pformat

    text = text.encode("utf-8", "replace").decode()
    data = "build_time_vars = " + pformat({**others, "CONFIG_ARGS": text, "WARNINGS": "x" * 80})
    assert parse_configure(data.encode()) == text


@settings(max_examples=1_000, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"'CONFIG_ARGS'", b":", b" ", b"'", b'"', b"\\", b"\\x41", b"\\ud800", b"\\U00110000", b"\n", b"a" * 50, b"\xff"]
        )
    )
)
@example([b"\n 'CONFIG_ARGS': ", b"'" * 10_000])
@example([b"\n 'CONFIG_ARGS': ", b"'a' " * 10_000])
@example([b"\n 'CONFIG_ARGS': '", b"\\'" * 10_000])
def test_any_file_is_read(pieces: list[bytes]) -> None:
    assert len(parse_configure(b"".join(pieces))) <= sum(map(len, pieces))


_ACCIDENTS = st.lists(
    st.tuples(
        st.integers(0, 4095),
        st.one_of(st.sampled_from((b"\0", b"\xff", b"\xff" * 8, b"\0" * 8, b"\1\0\0\0")), st.binary(max_size=8)),
    ),
    max_size=6,
)


@settings(max_examples=1_000, derandomize=True, deadline=None)
@given(_ACCIDENTS, st.one_of(st.none(), st.integers(0, 8192)))
def test_any_executable_costs_an_error_at_most(accidents: list[tuple[int, bytes]], cut: int | None) -> None:
    """1,000 cases, derandomised: this interpreter's headers and notes overwritten, the file cut anywhere."""
    data = bytearray(_OWN)
    for at, value in accidents:
        data[at : at + len(value)] = value
    whole = bytes(data[:cut])
    try:
        elf = parse_elf(whole)
        assert re.fullmatch("(?:[0-9a-f]{2}){0,64}", build_id(whole, elf))
        assert all(isinstance(text, str) for text in parse_stamp(whole, elf))
    except ElfError:
        return


_OWN = Path(os.path.realpath(sys.executable)).read_bytes()[: 1 << 18]
