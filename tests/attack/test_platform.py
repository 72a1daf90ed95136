"""What an environment stands on, in images whose every file may be hostile: an answer, soon, and never an exception.

A case is made from the seed and its number alone, and names the file that was changed.
"""

from __future__ import annotations

import random
import struct
import time
from typing import TYPE_CHECKING

import pytest

from attack.fuzz import mutate
from observe.shared import make_library, make_program, needs_compiler
from sanctity.model.environment import Environment, Interpreter, Layout
from sanctity.observe.loader import CACHE, CacheError, parse_cache
from sanctity.observe.platform import observe_platform
from sanctity.observe.view import View

if TYPE_CHECKING:
    from pathlib import Path

CASES = 400
SEED = 7
#: A case that takes longer has no bound that anybody would wait for. Seconds.
_TOO_LONG = 20.0
_SITE = "opt/python/lib/python3.11/site-packages"


def _environment(elves: tuple[str, ...]) -> Environment:
    return Environment(
        prefix="/opt/python",
        layout=Layout(site=("lib/python3.11/site-packages",), stdlib="lib/python3.11", version="3.11", virtual=False),
        interpreter=Interpreter(version="3.11.7", executable="bin/python3.11", base="/opt/python", machine="x86_64"),
        distributions=(),
        elves=elves,
    )


def _image(root: Path) -> tuple[str, ...]:
    """A system with everything that is read: the elves of its environment."""
    text = r"x\0[GCC 12.2.0]\0Nov 23 2026\00012:00:00\0"
    make_program(root / "opt/python/bin/python3.11", ("libpython3.11.so.1.0",), path="$ORIGIN/../lib", text=text)
    make_library(root / "opt/python/lib/libpython3.11.so.1.0", ("libc.so.6",), text=text)
    make_library(root / "usr/lib64/libc.so.6", text="GNU C Library (here) stable release version 2.99.")
    make_library(root / "usr/lib64/libz.so.1", ("libc.so.6",))
    make_library(root / _SITE / "demo.libs/libinner.so.1", ("libz.so.1",), soname="libinner.so.1")
    make_library(root / _SITE / "demo/_core.so", ("libinner.so.1", "libm.so.6"), path="$ORIGIN/../demo.libs", kind="rpath")
    home = root / "opt/python/lib/python3.11"
    (home / "__pycache__").mkdir()
    (home / "os.py").write_text("name = 'posix'\n")
    (home / "__pycache__/os.cpython-311.pyc").write_bytes(b"\xa7\r\r\n\1\0\0\0" + bytes(8))
    (home / "_sysconfigdata__linux_x86_64-linux-gnu.py").write_text(
        "build_time_vars = {'A': 1,\n 'CONFIG_ARGS': \"'--prefix=/opt/python' \"\n                \"'--with-x'\",\n 'B': ''}\n"
    )
    (root / "etc").mkdir()
    names = b"\0libm.so.6\0/usr/lib64/libm.so.6\0"
    cache = struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", 1, len(names), 2, 0) + struct.pack("<iIIIQ", 0x303, 73, 83, 0, 0)
    (root / CACHE[1:]).write_bytes(cache + names)
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "zlib1g:amd64.list").write_text("/.\n/usr\n/usr/lib64/libz.so.1\n")
    (info.parent / "status").write_text("Package: zlib1g\nArchitecture: amd64\nVersion: 1:1.2\n")
    return ("lib/python3.11/site-packages/demo/_core.so", "lib/python3.11/site-packages/demo.libs/libinner.so.1")


@needs_compiler
def test_any_image_is_looked_at(tmp_path: Path) -> None:
    """400 cases from a stated seed: one file with accidents in it, or replaced by what is no file."""
    elves = _image(tmp_path)
    environment = _environment(elves)
    view = View(str(tmp_path))
    sound = observe_platform(view, environment, environ={}, workers=1, clock=time.monotonic)
    assert sound[0].build.compiler == "GCC 12.2.0"
    assert sound[0].libc == "glibc 2.99"
    assert {item.name: item.package for item in sound[0].libraries}["libz.so.1"] == "zlib1g 1:1.2"
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    told = 0
    for number in range(CASES):
        rng = random.Random(f"{SEED}:{number}")
        path = rng.choice(files)
        kept = path.read_bytes()
        try:
            if rng.random() < 0.1:
                path.unlink()
                path.symlink_to(rng.choice(("/proc/self/mem", path.name, "..", "/dev/zero", "nowhere")))
            else:
                data = bytearray(kept)
                for _ in range(rng.choice((1, 2, 8))):
                    at = rng.randrange(rng.choice((64, 1024, len(data))) if len(data) > 1024 else len(data))
                    data[at : at + 4] = rng.choice(
                        (rng.randbytes(4), b"\xff" * 4, bytes(4), bytes([data[at] ^ 1 << rng.randrange(8)]))
                    )
                path.write_bytes(rng.choice((bytes(data), mutate(kept, rng))))
            started = time.monotonic()
            try:
                first = observe_platform(view, environment, environ={}, workers=1, clock=time.monotonic)
                again = observe_platform(view, environment, environ={}, workers=1, clock=time.monotonic)
            except Exception as error:
                raise AssertionError(f"case {number}: {path.relative_to(tmp_path)}: {type(error).__name__}: {error}") from error
            assert time.monotonic() - started < _TOO_LONG, (number, path)
            assert again == first
            told += first != sound
        finally:
            path.unlink(missing_ok=True)
            path.write_bytes(kept)
    assert told > CASES // 2


def _cache_of(count: int, text: bytes) -> bytes:
    entries = b"".join(struct.pack("<iIIIQ", 0x303, 48 + 24 * count, 48 + 24 * count, 0, 0) for _ in range(count))
    return struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", count, len(text), 2, 0) + entries + text


@pytest.mark.parametrize("data", [_cache_of(50_000, b"x" * 4000 + b"\0"), _cache_of(3, b"x" * 5000 + b"\0"), _cache_of(2, b"")])
def test_entries_that_share_one_long_text(data: bytes) -> None:
    """A small cache may ask for gigabytes; it is refused long before."""
    with pytest.raises(CacheError):
        parse_cache(data)


@needs_compiler
def test_a_ring_of_libraries_ends(tmp_path: Path) -> None:
    """Two that need each other, a name that is a path, and one that needs itself."""
    elves = _image(tmp_path)
    make_library(tmp_path / "usr/lib64/libz.so.1", ("libm.so.6", "libz.so.1"))
    make_library(tmp_path / "usr/lib64/libm.so.6", ("libz.so.1", "../../libz.so.1", "/usr/lib64/libz.so.1"))
    found, _ = observe_platform(View(str(tmp_path)), _environment(elves), environ={}, workers=1, clock=time.monotonic)
    listed = {item.name: item.path for item in found.libraries}
    assert listed["libz.so.1"] == "/usr/lib64/libz.so.1"
    assert listed["/usr/lib64/libz.so.1"] == "/usr/lib64/libz.so.1"
    assert listed["../../libz.so.1"] == ""
