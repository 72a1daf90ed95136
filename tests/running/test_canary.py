"""The canary: made with the seal, run again before the program; what changes its output keeps the program from starting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from running.starting import BARE, SANCTITY, Project, a_project, children, sanctity

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop

DESCRIPTION = 'command = ["python", "canary.py"]\ninputs = ["canary.py", "data/numbers"]\n'
PROGRAM = "import hello\nprint(sum(map(int, open('data/numbers'))))\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a canary that is not sealed yet."""
    project = a_project(tmp_path, sealed=False)
    (tmp_path / "canary.toml").write_text(DESCRIPTION)
    (tmp_path / "canary.py").write_text(PROGRAM)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/numbers").write_text("1\n2\n")
    return project


def _drifts(project: Project, **environ: str) -> list[dict[str, object]]:
    done = project.run("hello", options=("--format", "json"), environ=BARE | environ)
    assert (done.returncode, done.stdout) == (125, b"")
    drifts: list[dict[str, object]] = json.loads(done.stderr)["drifts"]
    return [drift for drift in drifts if drift["gating"]]


def test_one_that_says_the_same_lets_the_program_start(project: Project) -> None:
    project.seal("--canary", "canary.toml")
    sealed = json.loads((project.folder / "env.seal.json").read_text())["canary"]
    assert [row["path"] for row in sealed["inputs"]] == ["canary.py", "data/numbers"]
    done = project.run("hello")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"hello\n", b"")
    text = (project.folder / "env.seal.json").read_bytes()
    project.seal("--canary", "canary.toml")
    assert (project.folder / "env.seal.json").read_bytes() == text


@pytest.mark.parametrize("name", ["canary.py", "data/numbers"])
@pytest.mark.parametrize("gone", [False, True], ids=["altered", "gone"])
def test_an_input_that_is_another(name: str, gone: bool, project: Project) -> None:
    project.seal("--canary", "canary.toml")
    path = project.folder / name
    path.unlink() if gone else path.write_text(path.read_text() + "\n")
    (drift,) = _drifts(project)
    assert (drift["code"], drift["path"]) == ("canary-changed", name)


def test_another_output_names_the_setting_that_changed(project: Project) -> None:
    """The numeric settings are all that a canary gets of the caller's variables."""
    (project.folder / "canary.py").write_text("import os\nprint(sorted(set(os.environ) - {'HOME', 'TMPDIR'}))\n")
    project.seal("--canary", "canary.toml")
    assert project.run("hello", environ=BARE | {"ANYTHING": "1"}).returncode == 7
    (drift,) = _drifts(project, OMP_NUM_THREADS="1")
    assert drift["code"] == "canary-changed"
    assert "OMP_NUM_THREADS" in str(drift["message"])


@pytest.mark.parametrize("words", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_one_that_comes_to_a_bad_end(words: str, project: Project) -> None:
    (project.folder / "canary.py").write_text("import os\nif 'OMP_NUM_THREADS' in os.environ:\n    " + words + "\n")
    project.seal("--canary", "canary.toml")
    (drift,) = _drifts(project, OMP_NUM_THREADS="1")
    assert drift["code"] == "canary-changed"
    assert "ended" in str(drift["message"])


def _undecided(project: Project) -> str:
    done = project.run("hello", options=("--format", "json"), environ=BARE | {"OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stdout) == (125, b"")
    report = json.loads(done.stderr)
    assert report["verdict"] == "undecided"
    return str(next(item["reason"] for item in report["unchecked"] if item["code"] == "canary-unfinished"))


def test_one_that_does_not_end_leaves_it_undecided_and_nothing_running(project: Project) -> None:
    (project.folder / "canary.toml").write_text(DESCRIPTION + "timeout = 1\n")
    (project.folder / "canary.py").write_text(
        "import os, subprocess, sys, time\nif 'OMP_NUM_THREADS' in os.environ:\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n    time.sleep(60)\n"
    )
    project.seal("--canary", "canary.toml")
    assert "did not end" in _undecided(project)
    for pid in (project.folder / "pids").read_text().split():
        assert not _runs(int(pid))


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def test_one_that_writes_without_end(project: Project) -> None:
    (project.folder / "canary.py").write_text("import os\nwhile 'OMP_NUM_THREADS' in os.environ: os.write(1, bytes(1 << 20))\n")
    project.seal("--canary", "canary.toml")
    assert "wrote more" in _undecided(project)


def test_it_is_waited_for_where_children_are_ignored(project: Project) -> None:
    """A parent that ignores SIGCHLD hands that on, and the program is to have it so."""
    (project.folder / "canary.py").write_text("import os\nraise SystemExit(3 if 'OMP_NUM_THREADS' in os.environ else 0)\n")
    project.seal("--canary", "canary.toml")
    more: dict[str, Any] = {"preexec_fn": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)}
    done = project.run("python", "-c", "import signal; print(signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN)", **more)
    assert (done.returncode, done.stdout) == (0, b"True\n"), done.stderr
    done = project.run("hello", environ=BARE | {"OMP_NUM_THREADS": "1"}, **more)
    assert done.returncode == 125
    assert b"the canary ended with 3" in done.stderr


def test_a_stop_while_it_runs_ends_it_too(project: Project) -> None:
    words = "import os, time\nif 'OMP_NUM_THREADS' in os.environ:\n    open('pid', 'w').write(str(os.getpid()) + ' ')\n    time.sleep(60)\n"
    (project.folder / "canary.py").write_text(words)
    project.seal("--canary", "canary.toml")
    environ = BARE | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(project.command("hello"), cwd=project.folder, env=environ, stdout=subprocess.PIPE)
    try:
        while not (project.folder / "pid").exists() or not (project.folder / "pid").read_text().endswith(" "):
            assert process.poll() is None
            time.sleep(0.01)
        assert children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60)[0] == b""
    finally:
        process.kill()
    assert process.returncode == -signal.SIGTERM
    assert not _runs(int((project.folder / "pid").read_text()))


def _not_sealed(project: Project, *, exit_code: int) -> str:
    done = sanctity("seal", "--env", "env", "--canary", "canary.toml", cwd=project.folder)
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (exit_code, b""), told
    assert not (project.folder / "env.seal.json").exists()
    assert "Traceback" not in told.partition("error: ")[2]
    return told


def test_one_that_does_not_say_the_same_twice_is_not_sealed(project: Project) -> None:
    (project.folder / "canary.py").write_text("import time\nprint(time.time_ns())\n")
    assert "error: canary-unstable" in _not_sealed(project, exit_code=3)


def test_one_that_fails_is_not_sealed_and_says_why_itself(project: Project) -> None:
    (project.folder / "canary.py").write_text("raise SystemExit('this is why')\n")
    told = _not_sealed(project, exit_code=3)
    assert "error: canary-failed" in told
    assert "this is why" in told


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("command =", "canary-syntax"),
        ("\xff", "canary-syntax"),
        ("", "canary-missing-key"),
        ("command = []", "canary-bad-value"),
        ('command = [""]', "canary-bad-value"),
        ("command = 'python'", "canary-bad-type"),
        ("command = [1]", "canary-bad-type"),
        ('command = ["python"]\ninputs = ["../x"]', "canary-bad-value"),
        ('command = ["python"]\ninputs = ["/etc/passwd"]', "canary-bad-value"),
        ('command = ["python"]\ninputs = ["a//b"]', "canary-bad-value"),
        ('command = ["python"]\ntimeout = 0', "canary-bad-value"),
        ('command = ["python"]\ntimeout = true', "canary-bad-type"),
        ('command = ["python"]\ntimeout = 1.5', "canary-bad-type"),
        ('command = ["python"]\nwhen = "now"', "canary-unknown-key"),
        ('command = ["python"]\ninputs = ["gone"]', "canary-unreadable"),
        ('command = ["python"]\ninputs = ["data"]', "canary-unreadable"),
    ],
)
def test_a_description_that_is_none(text: str, code: str, project: Project) -> None:
    (project.folder / "canary.toml").write_bytes(text.encode("latin-1"))
    told = _not_sealed(project, exit_code=2)
    assert f"error: {code}\n" in told
    assert "hint: " in told


def test_a_program_outside_of_the_environment_is_no_canary(project: Project) -> None:
    (project.folder / "canary.toml").write_text('command = ["/bin/ls"]')
    assert "error: command-outside" in _not_sealed(project, exit_code=3)


MATMUL = """\
import numpy as np
rng = np.random.default_rng(0)
one, other = rng.random((300, 300)), rng.random((300, 300))
print((one @ other).tobytes().hex())
"""
STEADY = "import numpy as np\nprint(np.arange(10).sum(), np.sort(np.array([3, 1, 2])))\n"


@pytest.mark.index
def test_another_kernel_gives_other_bits_and_the_canary_says_so(workshop: Workshop, tmp_path: Path) -> None:
    """The files are the same, and `verify` has nothing to say: OpenBLAS takes other kernels on another processor."""
    env = tmp_path / "env"
    (tmp_path / ".git").mkdir()
    (tmp_path / "numpy.in").write_text("numpy==2.1.3\n")
    workshop.run(
        [workshop.tool("uv"), "pip", "compile", "-q", "--generate-hashes", "numpy.in", "-o", "requirements.txt"], cwd=tmp_path
    )
    workshop.run([workshop.tool("uv"), "venv", "-q", env], cwd=tmp_path)
    install: list[str | Path] = [
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--require-hashes",
        "-r",
        "requirements.txt",
        "-p",
        env / "bin/python",
    ]
    workshop.run([workshop.tool("uv"), *install], cwd=tmp_path)
    (tmp_path / "canary.toml").write_text('command = ["python", "canary.py"]\ninputs = ["canary.py"]\n')

    def run(**environ: str) -> subprocess.CompletedProcess[bytes]:
        command = [*SANCTITY, "run", "--env", "env", "--", "python", "-c", "print('served')"]
        return subprocess.run(command, cwd=tmp_path, env=BARE | environ, capture_output=True, check=False)

    outputs = {
        kernel: subprocess.check_output([env / "bin/python", "-c", MATMUL], env=BARE | {"OPENBLAS_CORETYPE": kernel})
        for kernel in ("Haswell", "Prescott")
    }
    if len(set(outputs.values())) == 1:
        pytest.skip("this processor's OpenBLAS takes one kernel, whatever it is told")
    for program, served in ((MATMUL, False), (STEADY, True)):
        (tmp_path / "canary.py").write_text(program)
        sealed = sanctity(
            "seal", "--env", "env", "--canary", "canary.toml", cwd=tmp_path, environ=BARE | {"OPENBLAS_CORETYPE": "Haswell"}
        )
        assert sealed.returncode == 0, sealed.stderr.decode()
        assert run(OPENBLAS_CORETYPE="Haswell").stdout == b"served\n"
        done = run(OPENBLAS_CORETYPE="Prescott")
        assert (done.returncode == 0) is served, done.stderr.decode()
        if not served:
            told = done.stderr.decode()
            assert "canary-changed" in told
            assert "OPENBLAS_CORETYPE" in told
            assert os.path.exists(env / "lib")
