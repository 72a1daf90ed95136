"""pyvenv.cfg as CPython reads it, and what is said of an interpreter that contradicts it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.looking import gating, look
from sanctity.observe.interpreter import parse_pyvenv
from sites import build_site

_GOOD = b"home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.7\n"


def test_a_sound_file_has_no_fault() -> None:
    for data in (_GOOD, _GOOD.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + _GOOD, _GOOD.upper().replace(b"/USR/BIN", b"/usr/bin")):
        found = parse_pyvenv(data)
        assert (found.home, found.version, found.system_site, found.faults) == ("/usr/bin", "3.11.7", False, ())


@pytest.mark.parametrize(
    ("data", "system_site"),
    [
        (b"home = /usr/bin\n", True),
        (b"home = /usr/bin\ninclude-system-site-packages = TRUE\n", True),
        (b"home = /usr/bin\nInclude-System-Site-Packages=true\n", True),
        (b"home = /usr/bin\ninclude-system-site-packages = yes\n", False),
        (b"home = /usr/bin\ninclude-system-site-packages = false\ninclude-system-site-packages = true\n", True),
    ],
)
def test_system_site_packages_as_site_decides_it(data: bytes, *, system_site: bool) -> None:
    assert parse_pyvenv(data).system_site is system_site


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"home\n",
        b"home = /a\nhome = /b\n",
        b"home = /a\0\n",
        b"home = \xff\n",
        b"home = /a\x85x\n",
        b"home = /a\x0binclude-system-site-packages = true\n",
        b"home = /a\rinclude-system-site-packages = false\n",
    ],
)
def test_what_is_doubtful_is_a_fault(data: bytes) -> None:
    assert parse_pyvenv(data).faults


@settings(max_examples=1_000, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"home",
                b"=",
                b" ",
                b"\n",
                b"\r",
                b"true",
                b"include-system-site-packages",
                b"version",
                b"3.11",
                b"\0",
                b"\xff",
                b"/a",
                b"#",
            ]
        )
    )
)
@example([b"version = " + b"9" * 10_000])
def test_any_file_is_read(pieces: list[bytes]) -> None:
    """1,000 cases, derandomised. A file without the word is never taken for one that shuts the base's packages out."""
    data = b"".join(pieces)
    found = parse_pyvenv(data)
    assert found.system_site or b"include-system-site-packages" in data


@pytest.mark.parametrize("what", ["script", "text", "dangling", "loop", "folder", "missing", "other-bytes"])
def test_an_interpreter_that_is_none(tmp_path: Path, what: str) -> None:
    env = build_site(tmp_path)
    python = env / "bin/python"
    real = python.resolve()
    python.unlink()
    match what:
        case "script":
            python.write_text("#!/bin/sh\necho Python 3.11.7\n")
            python.chmod(0o755)
        case "text":
            python.write_text("x" * 1000)
        case "dangling":
            python.symlink_to("nowhere")
        case "loop":
            python.symlink_to("python3")
        case "folder":
            python.mkdir()
        case "missing":
            (env / "bin/python3").unlink()
        case _:
            shutil.copy2(real, python)
            data = bytearray(python.read_bytes())
            data[-1] ^= 1
            python.write_bytes(data)
    found = look(env)
    assert any(code == "interpreter-changed" for code, _ in gating(found)), found


def test_a_copied_interpreter_is_clean(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    python = env / "bin/python"
    real = python.resolve()
    python.unlink()
    shutil.copy2(real, python)
    assert gating(look(env)) == set()


def test_a_library_that_is_a_text_file(tmp_path: Path) -> None:
    """A base of a shared build, copied, whose libpython is none."""
    real = Path(os.path.realpath(sys.executable))
    library = real.parents[1] / f"lib/libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
    if not library.exists():
        pytest.skip("the interpreter is not built with a shared library")
    base = tmp_path / "base"
    (base / "bin").mkdir(parents=True)
    (base / "lib").mkdir()
    shutil.copy2(real, base / "bin" / real.name)
    env = build_site(tmp_path)
    (env / "bin/python").unlink()
    (env / "bin/python").symlink_to(base / "bin" / real.name)
    config = env / "pyvenv.cfg"
    config.write_text(config.read_text().replace(str(real.parent), str(base / "bin")))
    patched = (
        (base / "bin" / real.name)
        .read_bytes()
        .replace(str(library.parent).encode(), b"$ORIGIN/../lib\0".ljust(len(str(library.parent)), b"\0"))
    )
    (base / "bin" / real.name).write_bytes(patched)
    (base / "lib" / library.name).write_text("no library\n" * 20)
    found = look(env)
    assert any(code == "interpreter-changed" and path.endswith(library.name) for code, path in gating(found)), found


@pytest.mark.parametrize("name", ["pybuilddir.txt", "Modules/Setup.local"])
def test_an_interpreter_that_is_told_to_be_in_its_build_tree(tmp_path: Path, name: str) -> None:
    """Beside the executable, either of them puts other folders in the place of the standard library."""
    real = Path(os.path.realpath(sys.executable))
    base = tmp_path / "base/bin"
    base.mkdir(parents=True)
    shutil.copy2(real, base / real.name)
    env = build_site(tmp_path)
    (env / "bin/python").unlink()
    (env / "bin/python").symlink_to(base / real.name)
    config = env / "pyvenv.cfg"
    config.write_text(config.read_text().replace(str(real.parent), str(base)))
    assert ("interpreter-changed", f"{base}/{name}") not in gating(look(env))
    (base / name).parent.mkdir(exist_ok=True)
    (base / name).write_text("elsewhere\n")
    assert ("interpreter-changed", f"{base}/{name}") in gating(look(env))
