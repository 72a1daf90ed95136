"""What `run` does not start: a drifted environment, what lies outside of it, what nobody vouches for."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from running.starting import BARE, SANCTITY, Project, a_project
from sites import add_distribution

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sealed project that no test of this module changes."""
    return a_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def own(tmp_path: Path) -> Project:
    """A project of a test's own, not sealed yet."""
    return a_project(tmp_path, sealed=False)


def _refused(done: subprocess.CompletedProcess[bytes], code: str, *, exit_code: int = 125) -> str:
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (exit_code, b""), told
    assert code in told
    assert "Traceback" not in told
    return told


def test_a_drift_planted_between_two_starts_is_refused_the_second_time(own: Project) -> None:
    own.seal()
    assert own.run("hello").returncode == 7
    with open(own.site / "hello.py", "ab") as file:
        file.write(b"print('altered')\n")
    told = _refused(own.run("hello"), "file-altered")
    assert "hello.py" in told
    assert "not started" in told


def _lead_elsewhere(own: Project) -> None:
    (own.env / "bin/python3").unlink()
    (own.env / "bin/python3").symlink_to("/bin/sh")


PLANTS: dict[str, Callable[[Project], object]] = {
    "pth-hook": lambda own: (own.site / "x.pth").write_text("import os\n"),
    "file-unclaimed": lambda own: (own.site / "six.py").write_text(""),
    "interpreter-changed": _lead_elsewhere,
    "script-altered": lambda own: (own.env / "bin/hello").write_text(f"#!{own.env}/bin/python\nprint('forged')\n"),
    "seal-stale": lambda own: (own.folder / "requirements.txt").write_text("hello==1.1 --hash=sha256:" + 64 * "0"),
}


@pytest.mark.parametrize("code", PLANTS)
def test_whatever_gates_keeps_it_from_starting(code: str, own: Project) -> None:
    own.seal()
    PLANTS[code](own)
    _refused(own.run("hello"), code)


def test_a_report_as_data_goes_to_standard_error_too(own: Project) -> None:
    own.seal()
    (own.site / "six.py").write_text("")
    done = own.run("hello", options=("--format", "json"))
    report = json.loads(_refused(done, "file-unclaimed"))
    assert (report["verb"], report["verdict"]) == ("run", "drifted")


def test_nothing_to_hold_it_to_is_refused(own: Project) -> None:
    (own.folder / "requirements.txt").unlink()
    _refused(own.run("hello"), "no-reference")


@pytest.mark.parametrize(
    ("word", "code", "exit_code"),
    [
        ("/bin/ls", "command-outside", 125),
        ("../../../../../../../../bin/ls", "command-outside", 125),
        ("env/bin/../../../../../../../../bin/ls", "command-outside", 125),
        ("true", "command-outside", 125),
        ("./train.py", "command-outside", 125),
        ("no-such-program", "command-not-found", 127),
        ("env/bin/no-such-program", "command-not-found", 127),
        ("/no/such/program", "command-not-found", 127),
        ("env/bin/hello/x", "command-not-found", 127),
        ("", "command-not-found", 127),
        ("..", "command-not-found", 127),
        ("env/bin/", "command-not-found", 127),
        ("env/lib", "command-not-executable", 126),
        ("env/pyvenv.cfg", "command-not-executable", 126),
    ],
)
def test_a_program_that_is_not_there_or_elsewhere(word: str, code: str, exit_code: int, project: Project) -> None:
    (project.folder / "train.py").write_text("print(1)\n")
    (project.folder / "train.py").chmod(0o755)
    told = _refused(project.run(word), code, exit_code=exit_code)
    assert "hint: " in told


def _script(own: Project, first: str) -> None:
    """A distribution with a script whose first line is *first*, as ``.data/scripts`` are installed."""
    add_distribution(own.env, "odd", "1.0", {"../../../bin/odd": f"{first}\nprint('odd')\n".encode()})
    (own.env / "bin/odd").chmod(0o755)
    with open(own.folder / "requirements.txt", "a") as file:
        file.write(f"odd==1.0 --hash=sha256:{3:064d}\n")


@pytest.mark.parametrize(
    "first", ["#!/usr/bin/env python", "#!/usr/bin/python3", "#!/bin/sh", "#!python", "#!/bin/sh -e", "#! /bin/bash"]
)
def test_a_script_that_starts_another_interpreter(first: str, own: Project) -> None:
    _script(own, first)
    told = _refused(own.run("odd"), "command-interpreter")
    assert first.removeprefix("#!").strip() in told


@pytest.mark.parametrize("first", ["#!{env}/bin/python", "#!{env}/bin/python3 -sB", "#!\t{env}/bin/python"])
def test_a_script_that_starts_this_interpreter(first: str, own: Project) -> None:
    _script(own, first.format(env=own.env))
    done = own.run("odd")
    assert (done.returncode, done.stdout) == (0, b"odd\n"), done.stderr


@pytest.mark.parametrize(
    "start",
    [
        '\'\'\'exec\' "{env}/bin/python" "$0" "$@"',
        "'''exec' '{env}/bin/python' \"$0\" \"$@\"",
        '\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python\' "$0" "$@"',
    ],
)
def test_the_three_lines_that_a_shell_reads(start: str, own: Project) -> None:
    _script(own, f"#!/bin/sh\n{start.format(env=own.env)}\n' '''")
    assert own.run("odd").stdout == b"odd\n"


def test_the_three_lines_with_another_interpreter(own: Project) -> None:
    _script(own, "#!/bin/sh\n'''exec' '/usr/bin/python3' \"$0\" \"$@\"\n' '''")
    _refused(own.run("odd"), "command-interpreter")


def test_a_program_that_nobody_claims(own: Project) -> None:
    (own.env / "bin/mine").write_text(f"#!{own.env}/bin/python\nprint('mine')\n")
    (own.env / "bin/mine").chmod(0o755)
    own.seal()
    assert own.run("hello").returncode == 7  # a note, and no drift
    _refused(own.run("mine"), "command-unclaimed")


def test_a_link_to_what_lies_outside(own: Project) -> None:
    (own.env / "bin/list").symlink_to("/bin/ls")
    (own.env / "bin/again").symlink_to("hello")
    own.seal()
    _refused(own.run("list"), "command-unclaimed")
    assert own.run("again").returncode == 7  # the file it leads to is claimed


def test_one_that_a_RECORD_names_without_a_digest(own: Project) -> None:  # noqa: N802
    """As old virtualenv's RECORD of pip names its scripts: then anything may stand there."""
    _script(own, f"#!{own.env}/bin/python")
    record = next(own.site.glob("odd-1.0.dist-info")) / "RECORD"
    record.write_text(re.sub(r"bin/odd,.*", "bin/odd,,", record.read_text()))
    own.seal("--accept")
    _refused(own.run("odd"), "command-unclaimed")


def test_one_that_is_no_program(own: Project) -> None:
    _script(own, "print('no first line')")
    _refused(own.run("odd"), "command-not-executable", exit_code=126)


def test_another_python_by_the_interpreters_name(own: Project) -> None:
    (own.env / "lib/python").symlink_to("/usr/bin/env")
    own.seal()
    _refused(own.run("env/lib/python"), "command-unclaimed")


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD", "PYTHONPYCACHEPREFIX", "PYTHONSTARTUP"])
def test_a_variable_that_loads_code_is_refused_or_dropped(name: str, project: Project) -> None:
    environ = BARE | {name: "/nonexistent/lib.so"}
    told = _refused(project.run("env", environ=environ), name)
    assert "startup-variable" in told
    # The loader itself has its say on what it can not preload.
    assert "/nonexistent/lib.so" not in "".join(line for line in told.splitlines() if not line.startswith("ERROR: ld.so"))
    done = project.run("env", options=("--drop-variables",), environ=environ)
    assert done.returncode == 0
    lines = [line for line in done.stderr.decode().splitlines() if not line.startswith("ERROR: ld.so")]
    assert lines == [f"note: not handed on, since they load code: {name}"]
    assert dict(line.split("=", 1) for line in done.stdout.decode().splitlines()) == BARE


def test_the_sealed_policy_drops_and_the_working_trees_does_not_count(own: Project) -> None:
    environ = BARE | {"PYTHONPATH": "/nonexistent"}
    (own.folder / "pyproject.toml").write_text('[tool.sanctity]\nvariables = "drop"\n')
    own.seal()
    assert own.run("env", environ=environ).returncode == 0
    (own.folder / "pyproject.toml").unlink()
    assert own.run("env", environ=environ).returncode == 0
    (own.folder / "pyproject.toml").write_text("[tool.sanctity]\n")
    own.seal()
    (own.folder / "pyproject.toml").write_text('[tool.sanctity]\nvariables = "drop"\n')
    _refused(own.run("env", environ=environ), "PYTHONPATH")


def test_a_numeric_setting_that_is_not_the_sealed_one_is_compared(own: Project) -> None:
    (own.folder / "pyproject.toml").write_text('[tool.sanctity]\ngate = ["settings"]\n')
    own.seal(environ=BARE | {"OMP_NUM_THREADS": "2"})
    assert own.run("env", environ=BARE | {"OMP_NUM_THREADS": "2"}).returncode == 0
    _refused(own.run("env", environ=BARE | {"OMP_NUM_THREADS": "1"}), "setting-changed")
    _refused(own.run("env"), "setting-changed")


@pytest.mark.parametrize(
    "options", [("--no-such-option",), ("--seal", "a", "--lock", "b"), ("--seal", "none.seal.json"), ("--lock", "env.seal.json")]
)
def test_bad_usage_is_a_refusal_too(options: tuple[str, ...], project: Project) -> None:
    _refused(project.run("hello", options=options), "")


def test_no_program_is_bad_usage(project: Project) -> None:
    assert subprocess.run([*SANCTITY, "run"], cwd=project.folder, env=BARE, capture_output=True, check=False).returncode == 125


def test_no_environment_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    done = subprocess.run([*SANCTITY, "run", "--", "python"], cwd=tmp_path, env=BARE, capture_output=True, check=False)
    _refused(done, "no-environment")


def test_no_working_folder_is_a_refusal(project: Project, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'cd {gone}; rmdir {gone}; exec "$@"'
    argv = ["sh", "-c", line, "sh", *project.command("hello", options=("--format", "json"))]
    _refused(subprocess.run(argv, env=BARE, capture_output=True, check=False), "no-working-folder")


def test_a_seal_of_another_platform_is_no_reason_to_take_the_lock(own: Project) -> None:
    """With the lock, the working tree's policy would count."""
    own.seal()
    seal = own.folder / "env.seal.json"
    seal.write_text(seal.read_text().replace('"linux-', '"plan9-'))
    _refused(own.run("hello"), "seal-not-for-this-platform")
    assert own.run("hello", options=("--lock", "requirements.txt")).returncode == 7


def test_a_seal_that_can_not_be_read_is_a_refusal(own: Project) -> None:
    (own.folder / "env.seal.json").write_text("{")
    _refused(own.run("hello"), "seal-")


@pytest.mark.parametrize("broken", ["pipe", "closed", "full"])
def test_nobody_reads_the_refusal(broken: str, own: Project) -> None:
    own.seal()
    (own.site / "six.py").write_text("")
    if broken == "closed":
        done = own.run("hello", stderr=None, preexec_fn=lambda: os.close(2))
    elif broken == "full":
        with open("/dev/full", "wb") as full:
            done = own.run("hello", stderr=full)
    else:
        read, write = os.pipe()
        os.close(read)
        done = own.run("hello", stderr=write)
        os.close(write)
    assert (done.returncode, done.stdout) == (125, b"")
