"""Small shared objects and programs, made by the machine's own compiler, for images that a loader is asked about."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["make_library", "make_program", "needs_compiler"]

_COMPILER = shutil.which("gcc") or shutil.which("cc")

needs_compiler = pytest.mark.skipif(_COMPILER is None, reason="there is no C compiler on this machine to make shared objects with")


def _compile(out: Path, source: str, *options: str) -> None:
    assert _COMPILER is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [_COMPILER, "-x", "c", "-", "-x", "none", "-o", str(out), "-nostdlib", "-Wl,--build-id=sha1", "-Wl,--no-as-needed"]
    done = subprocess.run([*command, *options], input=source, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def _stubs(out: Path, needs: Iterable[str]) -> list[str]:
    """Empty libraries to link with, one for each name: the linker notes their sonames alone."""
    found = []
    for index, name in enumerate(needs):
        stub = out.parent / f".stub-{index}-{name.replace('/', '-')}"
        _compile(stub, "", "-shared", f"-Wl,-soname,{name}")
        found.append(str(stub))
    return found


def _search(path: str, kind: str) -> list[str]:
    if not path:
        return []
    return [f"-Wl,-rpath,{path}", "-Wl,--enable-new-dtags" if kind == "runpath" else "-Wl,--disable-new-dtags"]


def make_library(
    out: Path,
    needs: Iterable[str] = (),
    *,
    soname: str = "",
    path: str = "",
    kind: str = "runpath",
    text: str = "",
    options: str = "",
) -> Path:
    """A library at *out* that needs the names in *needs*, looked for in *path* as RPATH or RUNPATH (*kind*), and holds *text*."""
    stubs = _stubs(out, needs)
    name = [f"-Wl,-soname,{soname}"] if soname else []
    source = f'const char text_of_{abs(hash(out.name))}[] = "{text or out}";\n'
    _compile(out, source, "-shared", "-fPIC", *name, *_search(path, kind), *options.split(), *stubs)
    for stub in stubs:
        (out.parent / stub).unlink()
    return out


def make_program(
    out: Path, needs: Iterable[str] = (), *, loader: str = "", path: str = "", kind: str = "runpath", text: str = ""
) -> Path:
    """A program at *out* that is started by *loader*, the machine's own unless named."""
    stubs = _stubs(out, needs)
    start = [f"-Wl,--dynamic-linker={loader}"] if loader else []
    source = f'const char text[] = "{text}";\nvoid _start(void) {{ for (;;); }}\n'
    options = ["-fPIE", "-pie", "-Wl,--allow-shlib-undefined", *start, *_search(path, kind)]
    _compile(out, source, *options, *stubs)
    for stub in stubs:
        (out.parent / stub).unlink()
    return out
