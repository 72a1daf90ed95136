"""A table of programs: what `run` hands on is what came in, and what comes out is the program's own."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from running.starting import BARE, SANCTITY, Project, a_project, children, reads

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A sealed project that no test of this module changes."""
    return a_project(tmp_path_factory.mktemp("project"))


def test_its_seal_is_the_same_at_another_place(project: Project, tmp_path: Path) -> None:
    """So `a_project` may seal the first of those that are alike, and lay a copy beside the others."""
    other = a_project(tmp_path, sealed=False)
    other.seal()
    assert (other.folder / "env.seal.json").read_bytes() == (project.folder / "env.seal.json").read_bytes()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 125, 126, 127, 130, 255])
def test_the_exit_code_is_the_programs_own(code: int, project: Project) -> None:
    done = project.run("python", "-c", f"import sys; print('out'); print('err', file=sys.stderr); sys.exit({code})")
    assert (done.returncode, done.stdout, done.stderr) == (code, b"out\n", b"err\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGPIPE", "SIGKILL", "SIGHUP", "SIGXFSZ"])
def test_the_signal_that_ends_it_is_the_programs_own(name: str, project: Project) -> None:
    number = getattr(signal, name)
    words = f"import os, signal; signal.signal({int(number)}, 0) if {int(number)} != 9 else 0; os.kill(os.getpid(), {int(number)})"
    assert project.run("python", "-c", words).returncode == -number


def test_a_console_script_starts(project: Project) -> None:
    done = project.run("hello")
    assert (done.returncode, done.stdout) == (7, b"hello\n")


@pytest.mark.parametrize("word", ["env/bin/hello", "./env/bin/../bin/hello", "{env}/bin/hello"])
def test_a_path_into_the_environment_starts(word: str, project: Project) -> None:
    assert project.run(word.format(env=project.env)).returncode == 7


def test_an_environment_that_is_reached_by_a_link(project: Project, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(project.env)
    options = ("--env", str(tmp_path / "link"), "--seal", str(project.folder / "env.seal.json"))
    assert project.run("hello", options=options).returncode == 7
    assert project.run(str(project.env / "bin/hello"), options=options).returncode == 7
    done = project.run("python", "-c", "import sys; print(sys.prefix)", options=options)
    assert done.stdout.decode().strip() == str(tmp_path / "link")


def test_a_base_interpreter_as_the_environment(tmp_path: Path) -> None:
    """No virtual environment at all, as in an image whose packages lie in /usr/local."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "usr").symlink_to(sys.base_prefix)
    seal = [*SANCTITY, "seal", "--env", sys.base_prefix, "--accept", "-o", "env.seal.json"]
    sealed = subprocess.run(seal, cwd=tmp_path, env=BARE, capture_output=True, check=False)
    if sealed.returncode:
        pytest.skip("this Python's own environment can not be sealed")
    command = [*SANCTITY, "run", "--env", sys.base_prefix, "--", "python3", "-c", "import sys; print(sys.prefix)"]
    done = subprocess.run(command, cwd=tmp_path, env=BARE, capture_output=True, check=False)
    assert done.stdout.decode().strip() == sys.base_prefix, done.stderr


def test_the_interpreter_is_the_environments_own_whatever_PATH_says(project: Project) -> None:  # noqa: N802
    done = project.run("python", "-c", "import sys, hello; print(sys.prefix)", environ=BARE | {"PATH": "/usr/bin"})
    assert done.stdout.decode().strip() == str(project.env)


def test_the_pid_stays(project: Project) -> None:
    line = 'echo $$; exec "$@"'
    argv = ["sh", "-c", line, "sh", *project.command("python", "-c", "import os; print(os.getpid())")]
    first, second = subprocess.run(argv, cwd=project.folder, env=BARE, capture_output=True, check=True).stdout.split()
    assert first == second


AWKWARD = {
    b"PLAIN": b"1",
    b"EMPTY": b"",
    b"BYTES": b"\xff\xfe=\x01\n",
    b"\xc3\xa4\xff": b"name",
    b"SPACES": b"  a  b ",
    b"PATH": b"/usr/bin:/bin",
}


@pytest.mark.parametrize("locale", [{b"LANG": b"C.UTF-8"}, {b"LC_ALL": b"C"}, {b"LANG": b"C"}, {}, {b"LC_CTYPE": b"C.UTF-8"}])
def test_the_environment_arrives_byte_for_byte(locale: dict[bytes, bytes], project: Project) -> None:
    environ = AWKWARD | locale
    done = project.run("env", "-0", environ=environ)
    assert done.returncode == 0, done.stderr
    assert done.stdout == project.directly("env", "-0", environ=environ).stdout
    assert dict(item.split(b"=", 1) for item in done.stdout.split(b"\0")[:-1]) == environ


def test_arguments_arrive_byte_for_byte(project: Project) -> None:
    words = (b"\xff\xfe", b"", b"--env", b"-h", b"--", b"a b\n", b"$HOME")
    done = project.run("printf", b"[%s]", *words)
    assert done.stdout == b"".join(b"[" + word + b"]" for word in words)


def _odd_state() -> None:
    """What a process may be started with, none of it usual."""
    os.umask(0o027)
    os.nice(3)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGWINCH})
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _state(done: subprocess.CompletedProcess[bytes]) -> list[bytes]:
    kept = rb"(Umask|Sig(Blk|Ign|Cgt)|NoNewPrivs|Cap\w+|[UG]id|Groups):|Max "
    return [line for line in done.stdout.splitlines() if re.match(kept, line)]


@pytest.mark.parametrize("prepare", [None, _odd_state], ids=["usual", "odd"])
def test_signals_umask_and_limits_arrive_unchanged(prepare: Any, project: Project) -> None:
    words = ("cat", "/proc/self/status", "/proc/self/limits")
    through, directly = (_state(start(*words, preexec_fn=prepare)) for start in (project.run, project.directly))
    assert len(through) > 24
    assert through == directly


def test_the_niceness_and_the_group_arrive_unchanged(project: Project) -> None:
    words = ("python", "-c", "import os; print(os.nice(0), os.getpgrp() == os.getppid(), os.getsid(0))")
    through, directly = (start(*words, preexec_fn=lambda: os.nice(3)).stdout for start in (project.run, project.directly))
    assert through == directly
    assert through.startswith(b"3 ")


def test_a_signal_that_nohup_ignores_stays_ignored(project: Project) -> None:
    argv = ["nohup", *project.command("python", "-c", "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)")]
    assert b"True" in subprocess.run(argv, cwd=project.folder, env=BARE, capture_output=True, check=True).stdout


def test_descriptors_arrive_and_no_others(project: Project, tmp_path: Path) -> None:
    handle = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    through, directly = (start("ls", "-l", "/proc/self/fd", pass_fds=(handle,)) for start in (project.run, project.directly))
    assert str(tmp_path / "file").encode() in through.stdout
    assert _numbers(through.stdout) == _numbers(directly.stdout)
    os.close(handle)


def _numbers(listing: bytes) -> list[bytes]:
    return re.findall(rb" (\d+) ->", listing)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_closed_stream_stays_closed(number: int, project: Project, tmp_path: Path) -> None:
    words = (
        "import os\nfound = []\nfor number in range(3):\n    try: os.fstat(number); found.append(number)\n    except OSError: pass\n"
        f"open({str(tmp_path / 'found')!r}, 'w').write(repr(found))"
    )
    done = project.run("python", "-c", words, preexec_fn=lambda: os.close(number))
    assert done.returncode == 0
    assert (tmp_path / "found").read_text() == repr([each for each in range(3) if each != number])


def test_standard_input_arrives_whole(project: Project) -> None:
    data = os.urandom(1 << 20)
    assert project.run("cat", input=data).stdout == data


def test_the_working_folder_stays(project: Project, tmp_path: Path) -> None:
    done = project.run(
        "python", "-c", "import os; print(os.getcwd())", options=("--seal", f"{project.folder}/env.seal.json"), cwd=tmp_path
    )
    assert done.stdout.decode().strip() == str(tmp_path)


def test_a_reader_that_goes_ends_the_program_as_it_would(project: Project) -> None:
    """``sanctity run -- cat FILE | head``: SIGPIPE ends a program that does not care for it."""
    process = subprocess.Popen(project.command("cat", "/dev/zero"), cwd=project.folder, env=BARE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(10) == bytes(10)
    process.stdout.close()
    assert process.wait(60) == -signal.SIGPIPE


def test_a_signal_sent_to_the_process_reaches_the_program(project: Project) -> None:
    words = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(42)); print('up', flush=True); time.sleep(60)"
    with subprocess.Popen(project.command("python", "-c", words), cwd=project.folder, env=BARE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 42


def test_nothing_is_left_of_the_looking(project: Project) -> None:
    words = "import os; print(open(f'/proc/self/task/{os.getpid()}/children').read().split(), len(os.listdir('/proc/self/task')))"
    assert project.run("python", "-c", words).stdout == b"[] 1\n"


def test_a_lock_alone_will_do(tmp_path: Path) -> None:
    project = a_project(tmp_path, sealed=False)
    assert project.run("hello").returncode == 7
    assert project.run("hello", options=("--lock", "requirements.txt")).returncode == 7


def test_fast_reads_what_moved_and_says_that_it_is_no_proof(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    environ = BARE | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    time.sleep(2.1)  # what was written just now is not trusted to a time
    assert project.run("hello", options=("--fast",), environ=environ).returncode == 7
    again = project.run("hello", options=("--fast",), environ=environ)
    assert again.returncode == 7
    assert again.stderr.startswith(b"note: fast, not proof: ")
    assert b"fast" not in project.run("hello", environ=environ).stderr
    with open(project.site / "hello.py", "r+b") as file:
        file.write(b"DEF")
    assert project.run("hello", options=("--fast",), environ=environ).returncode == 125


def test_the_attributes_say_what_was_verified(project: Project) -> None:
    stated = "service.name=x,sanctity.verdict=forged"
    done = project.run("env", options=("--otel",), environ=BARE | {"OTEL_RESOURCE_ATTRIBUTES": stated})
    value = re.search(rb"OTEL_RESOURCE_ATTRIBUTES=(.*)", done.stdout)
    assert value is not None
    shown = subprocess.run(
        [*SANCTITY, "fingerprint", "--env", "env"], cwd=project.folder, env=BARE, capture_output=True, check=True
    ).stdout.decode()
    digest = shown.strip().replace(":", "%3A")
    assert value[1].decode() == f"service.name=x,sanctity.env.digest={digest},sanctity.verdict=clean"
    untouched = project.run("env", environ=BARE | {"OTEL_RESOURCE_ATTRIBUTES": stated}).stdout
    assert f"OTEL_RESOURCE_ATTRIBUTES={stated}\n".encode() in untouched


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("others", [0, 1000], ids=["alone", "with-children"])
def test_a_stop_while_it_looks_ends_it_and_whom_it_started(number: signal.Signals, others: int, tmp_path: Path) -> None:
    project = a_project(tmp_path, sealed=False)
    for name in range(others):
        (project.site / f"{name}.dat").touch()
    with open(project.site / "large.npy", "wb") as file:
        file.truncate(1 << 38)  # takes minutes to read, and no room
    process = subprocess.Popen(
        project.command("hello"),
        cwd=project.folder,
        env=BARE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        readers: list[int] = []
        while not any(reads(pid, "large.npy") for pid in (process.pid, *readers)):
            assert process.poll() is None
            time.sleep(0.01)
            readers = children(process.pid)
        assert bool(readers) is bool(others)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (-number, b"", b"")
    assert not [pid for pid in readers if os.path.exists(f"/proc/{pid}")]
