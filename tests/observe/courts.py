"""The child that judges bytecode, asked directly, under any installed Python; and bytecode made by that Python itself."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from sanctity.observe import code_judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["ask", "cache_path", "import_value", "run", "write_bytecode"]

#: Compiles ``text`` as if it were ``source``, and writes it to ``to`` with a header of the kind that is asked for.
_WRITER = """
import importlib._bootstrap_external as external, importlib.util as util, json, marshal, os, struct, sys
for job in json.load(sys.stdin):
    data = open(job["source"], "rb").read()
    state = os.stat(job["source"])
    text = job["text"].encode("utf-8", "surrogatepass") if job["text"] is not None else data
    body = marshal.dumps(compile(text, job["source"], "exec", dont_inherit=True, optimize=min(job["level"], 2)))
    kind = job["kind"]
    if kind in ("timestamp", "odd flags"):
        tail = struct.pack("<II", int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF)
    else:
        tail = b"\\0" * 8 if kind == "unchecked hash" else util.source_hash(data)
    flags = {"timestamp": 0, "unchecked hash": 1, "odd flags": 2, "checked hash": 3}[kind]
    os.makedirs(os.path.dirname(job["to"]), exist_ok=True)
    with open(job["to"], "wb") as file:
        file.write(util.MAGIC_NUMBER + struct.pack("<I", flags) + tail + body)
"""


def run(python: Path, *words: str, text: str = "", **environ: str) -> str:
    """What *python* prints for *words* with *text* on its standard input; it must end well."""
    done = subprocess.run(
        [python, *words], input=text, capture_output=True, text=True, check=False, timeout=120, env={"PYTHONUTF8": "1", **environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def cache_path(python: Path, source: Path, level: int = 0) -> Path:
    """Where *python* keeps bytecode of *source*."""
    program = "import importlib.util as u, sys; print(u.cache_from_source(sys.argv[1], optimization=sys.argv[2]))"
    return Path(run(python, "-I", "-c", program, str(source), str(level or "")).strip())


def write_bytecode(
    python: Path, source: Path, to: Path, *, text: str | None = None, kind: str = "timestamp", level: int = 0, seed: str = "0"
) -> Path:
    """Let *python* write bytecode for *source* to *to*, but of the code *text* where it is given."""
    job = {"source": str(source), "to": str(to), "text": text, "kind": kind, "level": level}
    run(python, "-S", "-c", _WRITER, text=json.dumps([job]), PYTHONHASHSEED=seed)
    return to


def import_value(python: Path, folder: Path, *options: str) -> str:
    """``victim.VALUE`` as *python* has it, which writes no bytecode."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import victim; print(victim.VALUE)"
    return run(python, "-B", *options, "-c", program, str(folder)).strip()


def ask(python: Path, pairs: Iterable[tuple[int, Path, Path]]) -> str:
    """The answers of the child to *pairs* of level, source and bytecode, a letter each; fewer where it died."""
    fields: list[str] = []
    for level, source, code in pairs:
        digests = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (source, code))
        fields += [str(level), str(source), str(code), *digests]
    request = "\0".join(fields).encode()
    done = _talk(python, struct.pack("<I", len(request)) + request)
    greeting, _, answers = done.partition(b"\n")
    assert greeting.decode().startswith("cpython 3.")
    return answers.decode()


def _talk(python: Path, request: bytes) -> bytes:
    words: Sequence[str | Path] = [python, "-I", "-S", "-B", "-W", "ignore", "-X", "utf8", code_judge.__file__]
    return subprocess.run(
        words, input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, check=False, timeout=300
    ).stdout
