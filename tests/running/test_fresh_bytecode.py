"""Bytecode forged under a header that fits runs, since no look at depth ``record`` can see it; with `--fresh-bytecode` it does not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from running.starting import BARE, HELLO, Project, a_project

if TYPE_CHECKING:
    from pathlib import Path

#: Where the three headers are written; it has no public name.
BOOTSTRAP: Any = importlib.import_module("importlib._bootstrap_external")

FORGED = b"def main():\n    print('FORGED')\n    return 0\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose sealed policy lets unchecked-hash bytecode pass, so that all three kinds get as far as import."""
    (tmp_path / "pyproject.toml").write_text('[tool.sanctity]\nbytecode = "ignore"\n')
    return a_project(tmp_path)


def _forge(project: Project, kind: str) -> Path:
    source = project.site / "hello.py"
    code = compile(FORGED, str(source), "exec")
    state = source.stat()
    data = {
        "timestamp": lambda: BOOTSTRAP._code_to_timestamp_pyc(code, int(state.st_mtime), state.st_size),
        "unchecked-hash": lambda: BOOTSTRAP._code_to_hash_pyc(code, bytes(8), False),
        "checked-hash": lambda: BOOTSTRAP._code_to_hash_pyc(code, importlib.util.source_hash(HELLO), True),
    }[kind]()
    path = project.site / "__pycache__" / os.path.basename(importlib.util.cache_from_source("hello.py"))
    path.parent.mkdir()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["timestamp", "unchecked-hash", "checked-hash"])
@pytest.mark.parametrize(
    "command",
    [("hello",), ("python", "-m", "hello_main"), ("python", "-I", "-c", "import hello, sys; sys.exit(hello.main())")],
    ids=["script", "module", "isolated"],
)
def test_forged_bytecode_runs_and_with_a_fresh_folder_does_not(kind: str, command: tuple[str, ...], project: Project) -> None:
    if command[1:2] == ("-m",):
        (project.folder / "hello_main.py").write_text("import hello, sys\nsys.exit(hello.main())\n")
    _forge(project, kind)
    without = project.run(*command)
    assert (without.returncode, without.stdout) == (0, b"FORGED\n"), without.stderr
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache")}
    fresh = project.run(*command, options=("--fresh-bytecode",), environ=environ)
    assert (fresh.returncode, fresh.stdout) == (7, b"hello\n"), fresh.stderr


def test_the_folder_is_private_and_empty_and_children_have_it(project: Project) -> None:
    words = (
        "import os, stat, subprocess, sys\n"
        "state = os.stat(sys.pycache_prefix)\n"
        "print(oct(stat.S_IMODE(state.st_mode)), state.st_uid == os.geteuid(), os.environ['PYTHONPYCACHEPREFIX'] == sys.pycache_prefix)\n"
        "child = subprocess.check_output([sys.executable, '-c', 'import sys; print(sys.pycache_prefix)'], text=True).strip()\n"
        "print(child == sys.pycache_prefix, sys.argv)"
    )
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache")}
    done = project.run("python", "-c", words, "a", options=("--fresh-bytecode",), environ=environ)
    assert done.stdout.decode() == "0o700 True True\nTrue ['-c', 'a']\n", done.stderr


def test_one_that_somebody_named_is_neither_read_nor_refused(project: Project) -> None:
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache"), "PYTHONPYCACHEPREFIX": str(project.folder / "theirs")}
    done = project.run("python", "-c", "import sys; print(sys.pycache_prefix)", options=("--fresh-bytecode",), environ=environ)
    assert done.stdout.decode().startswith(str(project.folder / "cache/sanctity/bytecode/"))


def test_folders_of_processes_that_ended_are_swept_and_others_stay(project: Project) -> None:
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache")}
    options = ("--fresh-bytecode",)
    parent = project.folder / "cache/sanctity/bytecode"
    assert project.run("hello", options=options, environ=environ).returncode == 7
    (ended,) = parent.iterdir()
    (parent / "mine").mkdir()
    words = "import sys, time; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        project.command("python", "-c", words, options=options),
        cwd=project.folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        (alive,) = set(parent.iterdir()) - {ended, parent / "mine"}
        assert not ended.exists()
        assert project.run("hello", options=options, environ=environ).returncode == 7
        assert alive.exists()
        assert (parent / "mine").exists()
        process.communicate()


def test_a_cache_folder_that_others_can_write_to_is_not_taken(project: Project) -> None:
    shared = project.folder / "cache/sanctity/bytecode"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    (project.folder / "temporary").mkdir()
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache"), "TMPDIR": str(project.folder / "temporary")}
    done = project.run("python", "-c", "import sys; print(sys.pycache_prefix)", options=("--fresh-bytecode",), environ=environ)
    place = done.stdout.decode().strip()
    assert place.startswith(str(project.folder / "temporary"))
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o700


def test_no_home_folder_is_made(project: Project) -> None:
    home = project.folder / "no/such/home"
    environ = BARE | {"HOME": str(home), "TMPDIR": str(project.folder)}
    done = project.run("python", "-c", "import sys; print(sys.pycache_prefix)", options=("--fresh-bytecode",), environ=environ)
    assert os.path.dirname(done.stdout.decode().strip()) == str(project.folder)
    assert not (project.folder / "no").exists()


def test_nothing_is_made_for_what_is_refused(project: Project) -> None:
    (project.site / "six.py").write_text("")
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache")}
    assert project.run("hello", options=("--fresh-bytecode",), environ=environ).returncode == 125
    assert not (project.folder / "cache").exists()


def test_a_script_whose_first_line_ignores_variables_is_refused(tmp_path: Path) -> None:
    project = a_project(tmp_path, sealed=False)
    script = project.env / "bin/hello"
    script.write_text(script.read_text().replace("/bin/python\n", "/bin/python -I\n"))
    project.seal("--accept")
    environ = BARE | {"XDG_CACHE_HOME": str(project.folder / "cache")}
    done = project.run("hello", options=("--fresh-bytecode",), environ=environ)
    assert done.returncode == 125, done.stderr
