"""Every Python that is installed here, as it says itself it is; and made-up prefixes for what none of them has yet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from real.ordinary import DEBIAN
from real.tools import interpreters
from sanctity.compare.bytecode import MAGIC
from sanctity.compare.records import compare_with_records
from sanctity.model.drift import Depth, Verdict
from sanctity.model.environment import HookKind
from sanctity.observe.environment import observe_environment

if TYPE_CHECKING:
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Environment

_ASK = """
import importlib.util, json, platform, sys, sysconfig
print(json.dumps({"version": platform.python_version(), "soabi": sysconfig.get_config_var("SOABI"), "prefix": sys.prefix,
                  "site": sysconfig.get_path("purelib"), "magic": int.from_bytes(importlib.util.MAGIC_NUMBER[:2], "little")}))
"""


def _ask(python: Path) -> dict[str, Any]:
    """What an interpreter says of itself: asked by the tests, never by the tool."""
    said = subprocess.run([python, "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=True).stdout
    return dict(json.loads(said))


def _look(prefix: Path | str, **options: Any) -> tuple[Environment, Comparison]:
    environment = observe_environment(str(prefix), depth=Depth.RECORD, clock=time.monotonic, **options)
    return environment, compare_with_records(environment, depth=Depth.RECORD)


def test_a_base_prefix_is_what_its_interpreter_says(python: str) -> None:
    said = _ask(interpreters()[python])
    if said["prefix"] == "/usr":
        pytest.skip("this one is the system's own")
    environment, comparison = _look(said["prefix"])
    found = environment.interpreter
    assert (found.version, found.faults) == (said["version"], ())
    assert said["soabi"].startswith(f"{found.abi}-")
    assert [f"{said['prefix']}/{folder}" for folder in environment.layout.site] == [said["site"]]
    assert not environment.layout.virtual
    assert MAGIC[python] == said["magic"]
    # Whatever was installed into it, its own files are told apart from those of the standard library.
    assert comparison.fingerprint is not None
    assert not [item for item in comparison.unchecked if item.in_scope]


def test_a_virtual_environment_of_it_is_clean(python: str, tmp_path: Path) -> None:
    env = tmp_path / "env"
    subprocess.run([interpreters()[python], "-m", "venv", "--without-pip", env], check=True)
    environment, comparison = _look(env)
    assert environment.interpreter.version == _ask(env / "bin/python")["version"]
    assert (comparison.verdict, comparison.drifts) == (Verdict.CLEAN, ())
    assert comparison.fingerprint is not None
    (env / f"lib/python{python}/site-packages/planted.py").write_text("")
    assert [str(drift.code) for drift in _look(env)[1].drifts] == ["file-unclaimed"]


def test_the_systems_own_python() -> None:
    """Its packages are dpkg's; what else lies there was put there by whoever set this machine up, so only they are judged."""
    if not DEBIAN.exists() or not Path("/usr/lib/python3/dist-packages").is_dir():
        pytest.skip("this is no Debian")
    environment, comparison = _look("/usr")
    assert environment.interpreter.version == _ask(DEBIAN)["version"]
    assert environment.manager == "dpkg"
    assert all(item.keeper for item in environment.distributions if item.home.startswith("lib/python3/"))
    assert not [item for item in comparison.unchecked if item.in_scope]
    assert comparison.fingerprint is not None


def _made_up(folder: Path, version: str, *, threaded: bool = False) -> Path:
    """A prefix of a Python that is not installed here: a program that is no Python, and the files that say what it is."""
    library = f"python{version}{'t' if threaded else ''}"
    for path in ("bin", f"lib/{library}/site-packages", f"include/{library}"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    shutil.copy2("/bin/true", folder / f"bin/{library}")
    (folder / f"include/{library}/patchlevel.h").write_text(f'#define PY_VERSION              "{version}.0"\n')
    return folder


@pytest.mark.parametrize("threaded", [False, True])
def test_a_build_that_states_itself(tmp_path: Path, *, threaded: bool) -> None:
    """PEP 739: from 3.14 on a build says what it is, in a file of its standard library."""
    prefix = _made_up(tmp_path / "base", "3.15", threaded=threaded)
    (prefix / "bin/python").symlink_to(f"python3.15{'t' if threaded else ''}")
    details = {"schema_version": "1.0", "abi": {"flags": ["t"] if threaded else []}}
    (prefix / f"lib/python3.15{'t' if threaded else ''}/build-details.json").write_text(json.dumps(details))
    environment, comparison = _look(prefix)
    assert environment.interpreter.version == "3.15.0"
    assert environment.interpreter.abi == ("cpython-315t" if threaded else "cpython-315")
    assert environment.layout.site == (f"lib/python3.15{'t' if threaded else ''}/site-packages",)
    assert comparison.verdict is Verdict.CLEAN


def test_two_builds_in_one_prefix(tmp_path: Path) -> None:
    """Each sees its own packages, and a virtual environment those of the one that it starts."""
    prefix = _made_up(_made_up(tmp_path / "base", "3.14"), "3.14", threaded=True)
    (prefix / "lib/python3.14/site-packages/planted.py").write_text("")
    for name, library in (("python3.14", "python3.14"), ("python3.14t", "python3.14t")):
        python = prefix / "bin/python"
        python.unlink(missing_ok=True)
        python.symlink_to(name)
        environment, comparison = _look(prefix)
        assert environment.layout.site == (f"lib/{library}/site-packages",)
        assert (comparison.verdict is Verdict.CLEAN) == (library == "python3.14t")


def test_a_virtual_environment_without_the_lock(tmp_path: Path) -> None:
    prefix = _made_up(tmp_path / "base", "3.14", threaded=True)
    env = tmp_path / "env"
    (env / "lib/python3.14t/site-packages").mkdir(parents=True)
    (env / "bin").mkdir()
    (env / "bin/python").symlink_to(prefix / "bin/python3.14t")
    (env / "bin/\U0001d70bthon").symlink_to("python")
    (env / "pyvenv.cfg").write_text(
        f"home = {prefix}/bin\ninclude-system-site-packages = false\nversion = 3.14.0\n"
        f"executable = {prefix}/bin/python3.14t\ncommand = {prefix}/bin/python -m venv {env}\n"
    )
    environment, comparison = _look(env)
    assert environment.layout.site == ("lib/python3.14t/site-packages",)
    assert environment.interpreter.abi == "cpython-314t"
    assert (comparison.verdict, comparison.drifts) == (Verdict.CLEAN, ())
    (prefix / "lib/python314t.zip").write_bytes(b"PK")
    assert [hook.kind for hook in _look(env)[0].hooks] == [HookKind.STDLIB_ZIP]


def test_a_start_file_and_bytecode_of_a_newer_python(tmp_path: Path) -> None:
    """PEP 829: a ``.start`` names what runs at start-up. The number of bytecode is in its version's range, or import ignores it."""
    prefix = _made_up(tmp_path / "base", "3.15")
    site = prefix / "lib/python3.15/site-packages"
    (site / "planted.start").write_text("planted:main\n")
    environment, comparison = _look(prefix)
    assert [(hook.kind, hook.path) for hook in environment.hooks] == [
        (HookKind.START, "lib/python3.15/site-packages/planted.start")
    ]
    assert [str(drift.code) for drift in comparison.drifts if drift.gating] == ["pth-hook"]
    (site / "planted.start").unlink()
    (site / "planted.py").write_text("")
    cached = site / "__pycache__/planted.cpython-315.pyc"
    cached.parent.mkdir()
    os.utime(site / "planted.py", (1_000, 1_000))
    for magic, code in ((3657, ""), (3627, "bytecode-stale")):
        cached.write_bytes(magic.to_bytes(2, "little") + b"\r\n" + bytes(4) + (1_000).to_bytes(4, "little") + bytes(4) + b"code")
        told = {str(drift.code) for drift in _look(prefix)[1].drifts} - {"file-unclaimed"}
        assert told == ({code} if code else set())


def test_this_python_is_known() -> None:
    assert MAGIC["{}.{}".format(*sys.version_info[:2])]
