"""What the lab has to have before it can start, fetched by hash through the user's own configuration, and kept for the next time.

The wheels are fetched as `sanctity archive add` would; the tools (uv, pip, pip-tools; Poetry) are installed by uv or pip from
hashed locks of the lab's own, each set in an environment of its own, under the cache folder. Nothing is fetched twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from sanctity.lab.place import run_line
from sanctity.lab.story import Tool
from sanctity.model.folders import cache_below
from sanctity.store.private import alone
from sanctity.verbs.sources import fetcher_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sanctity.lab.catalogue import Shelved
    from sanctity.verbs.world import World

__all__ = ["fill_shelf", "find_programs", "shelf"]

#: The programs of each of the lab's own tool environments.
_SETS: Final = {"uv": ("uv",), "installers": ("pip", "pip-compile", "pip-sync"), "poetry": ("poetry",)}
_JOBS: Final = 8
#: From this version on `uv sync --check` ends with 1 where there is something to do. An older uv is passed over.
_OLDEST_UV: Final = (0, 8)


def shelf(environ: Mapping[str, str]) -> str:
    """Where the lab keeps what it fetched: ``$XDG_CACHE_HOME/sanctity/lab``, or below ``~/.cache``; empty without a home."""
    return cache_below(environ, "lab")


def fill_shelf(wheels: Iterable[Shelved], folder: str, world: World) -> tuple[int, int]:
    """See to it that *wheels* lie in *folder*, each with its hash; gives how many bytes there are, and how many came now.

    Raises:
        FetchError: one can not be had. OSError: it can not be written.
    """
    os.makedirs(folder, exist_ok=True)
    wheels = tuple(wheels)
    lacking = [wheel for wheel in wheels if not _is_whole(f"{folder}/{wheel.filename}", wheel.sha256)]
    if lacking:
        fetcher = fetcher_for("", world, offline=False)

        def fetch(wheel: Shelved) -> None:
            # Two labs may fill one shelf: each writes a file of its own, and what is there at the end is the same.
            temporary = f"{folder}/{wheel.filename}.{os.getpid()}.tmp"
            try:
                fetcher.fetch(wheel.wanted, temporary)
                os.replace(temporary, f"{folder}/{wheel.filename}")
            finally:
                if os.path.exists(temporary):
                    os.unlink(temporary)

        with ThreadPoolExecutor(_JOBS) as pool:
            list(pool.map(fetch, lacking))
    return sum(wheel.size for wheel in wheels), sum(wheel.size for wheel in lacking)


def _is_whole(path: str, sha256: str) -> bool:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def find_programs(folder: str, python: str, environ: Mapping[str, str]) -> tuple[dict[str, str], tuple[Tool, ...]]:
    """The programs the lab runs, by name, and what there is to say of each tool; those that are lacking are installed in *folder*.

    The user's own uv is taken where there is one: on ``PATH``, or beside this interpreter. pip-tools resolves for the Python that
    it runs on, so it is installed for *python*, which environments are made of; Poetry runs on the Python of this process.
    """
    own = str(getattr(sys, "_base_executable", "") or sys.executable)
    found: dict[str, str] = {}
    uv = shutil.which("uv", path=environ.get("PATH")) or shutil.which("uv", path=os.path.dirname(sys.executable))
    if uv and _release(uv) >= _OLDEST_UV:
        found["uv"] = os.path.realpath(uv)
    trouble: dict[str, str] = {}
    for name, programs in _SETS.items():
        if found.keys() >= set(programs):
            continue
        home, trouble[name] = _installed(name, folder, python if name == "installers" else own, found.get("uv", ""), environ)
        if home:
            found.update((program, f"{home}/bin/{program}") for program in programs)
    sets = {"uv": "uv", "pip": "installers", "pip-compile": "installers", "poetry": "poetry"}
    return found, tuple(_tool(name, found, trouble.get(kind, "")) for name, kind in sets.items())


def _tool(name: str, found: Mapping[str, str], trouble: str) -> Tool:
    shown = {"pip-compile": "pip-tools", "poetry": "Poetry"}.get(name, name)
    if name not in found:
        return Tool(name=shown, missing=f"it can not be installed: {trouble}")
    version, said = _version(found[name])
    return Tool(name=shown, version=version) if version else Tool(name=shown, missing=f"it does not start: {said.strip()[-200:]}")


def _version(program: str) -> tuple[str, str]:
    """The version that *program* says it is, empty where it says none, and all that it said."""
    code, said = run_line(f"{shlex.quote(program)} --version", "/", {"PATH": os.defpath, "NO_COLOR": "1", "HOME": "/nonexistent"})
    number = re.search(r"\d+(\.\d+)+", said)
    return (number[0] if number and not code else ""), said


def _release(program: str) -> tuple[int, ...]:
    return tuple(int(part) for part in _version(program)[0].split(".") if part)


def _installed(name: str, folder: str, python: str, uv: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The environment of the tools *name*, installed now where it was not yet; or else empty, and why it can not be."""
    lock = files("sanctity.lab").joinpath(f"tools/{name}.txt").read_bytes()
    key = hashlib.sha256(lock + os.path.realpath(python).encode()).hexdigest()[:12]
    os.makedirs(f"{folder}/tools", exist_ok=True)
    home = f"{os.path.realpath(f'{folder}/tools')}/{name}-{key}"
    if _is_complete(home):
        return home, ""
    with alone(home):
        if _is_complete(home):
            return home, ""
        # A virtual environment can not be moved, so it is made in place, and marked when it is whole, with its place.
        shutil.rmtree(home, ignore_errors=True)
        with open(f"{home}.txt", "wb") as file:
            file.write(lock)
        by, base, there, hashed = (shlex.quote(word) for word in (uv, python, home, f"{home}.txt"))
        if uv:
            line = f"{by} venv -q --python {base} {there} && {by} pip sync -q --require-hashes --python {there} {hashed}"
        else:
            line = f"{base} -m venv {there} && {there}/bin/python -m pip install -q --no-deps --require-hashes -r {hashed}"
        code, said = run_line(line, folder, environ)
        if code:
            shutil.rmtree(home, ignore_errors=True)
            lines = [each.strip() for each in said.splitlines() if each.strip()]
            # What an installer says may hold the URL of the user's own index, with a password in it.
            last = re.sub(r"(?<=//)[^/@\s]+@", "…@", lines[-1]) if lines else f"the installer ended with {code}"
            return "", last[:300]
        with open(f"{home}/complete", "w", encoding="utf-8") as file:
            file.write(home)
    return home, ""


def _is_complete(home: str) -> bool:
    """Whether the environment *home* was made whole, at this place, of an interpreter that is still there."""
    try:
        with open(f"{home}/complete", encoding="utf-8") as file:
            return file.read() == home and os.path.exists(f"{home}/bin/python")
    except OSError:
        return False
