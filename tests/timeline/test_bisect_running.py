"""The hands of a bisect by themselves: how a command is run and ended, what a result's digest sees, and what is swept."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sanctity.errors import SanctityError
from sanctity.model.bisecting import Run
from sanctity.processes import end_group, find_program, run_command, started_at
from sanctity.scratch import remove
from sanctity.timeline.running import digest_of, environ_of, signature_of
from sanctity.timeline.workplace import Workplace


def ran(script: str, cwd: Path, timeout: int = 0) -> Run:
    done = run_command(["sh", "-c", script], program="/bin/sh", environ={"PATH": os.defpath}, cwd=str(cwd), timeout=timeout)
    return Run(code=done.code, seconds=done.seconds, tail=done.tail)


def test_what_a_command_says_is_kept_to_its_end_and_bounded(tmp_path: Path) -> None:
    assert ran("echo one; echo two >&2; exit 3", tmp_path).tail == "one\ntwo\n"
    long = ran("i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done", tmp_path)
    assert long.tail.endswith("line 3999\n")
    assert len(long.tail) <= 8192
    assert long.tail.startswith("line ")
    assert ran("printf 'a\\377b'", tmp_path).tail == "a\\xffb"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [("exit 7", 7, "ended with 7"), ("kill -SEGV $$", -11, "ended by signal 11"), ("exit 0", 0, "ended with 0")],
)
def test_how_it_ended_is_told(tmp_path: Path, script: str, code: int, words: str) -> None:
    run = ran(script, tmp_path)
    assert (run.code, run.how) == (code, words)


def test_a_grandchild_that_holds_the_pipe_does_not_hold_up_the_end(tmp_path: Path) -> None:
    run = ran("(trap '' TERM; echo $$ >pid; while :; do echo x; done) & sleep 0.2; exit 5", tmp_path)
    assert run.code == 5
    assert run.seconds < 60


def test_a_command_that_will_not_end_is_killed_with_its_group(tmp_path: Path) -> None:
    run = ran("trap '' TERM; sleep 1000 & echo $! >child; while :; do wait; done", tmp_path, timeout=1)
    assert (run.code, run.how.startswith("did not end within 1 s")) == (None, True)
    child = int((tmp_path / "child").read_text())
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or ") Z " in stat.read_text()


def test_what_can_not_be_started_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "no").write_bytes(b"\x7fELF and then nothing")
    (tmp_path / "no").chmod(0o755)
    with pytest.raises(SanctityError) as caught:
        run_command(["./no"], program=str(tmp_path / "no"), environ={}, cwd=str(tmp_path))
    assert caught.value.code == "command-not-executable"
    environ = environ_of("/env", {"PATH": "/usr/bin", "PYTHONHOME": "/x", "A": "b"})
    assert environ == {"PATH": "/env/bin:/usr/bin", "VIRTUAL_ENV": "/env", "A": "b"}
    for word in ("", "nothing-of-that-name", "./neither"):
        with pytest.raises(SanctityError) as caught:
            find_program(word, {"PATH": os.defpath}, str(tmp_path))
        assert caught.value.code == "command-not-found"


def test_a_results_digest_is_of_names_and_bytes_alone(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, order in ((one, "ab"), (other, "ba")):
        (folder / "deep").mkdir(parents=True)
        for name in order:
            (folder / "deep" / name).write_text(name)
        (folder / "link").symlink_to("deep/a")
        (folder / "empty").mkdir()
    os.utime(other / "deep/a", (1, 1))
    (other / "deep/b").chmod(0o600)
    assert digest_of(str(one)) == digest_of(str(other)) is not None
    seen = {digest_of(str(other))}
    (other / "deep/a").write_text("A")
    seen.add(digest_of(str(other)))
    (other / "deep/a").rename(other / "deep/c")
    seen.add(digest_of(str(other)))
    (other / "link").unlink()
    (other / "link").symlink_to("deep/b")
    seen.add(digest_of(str(other)))
    assert len(seen) == 4
    assert digest_of(str(one / "deep/a")) != digest_of(str(one / "deep/b"))
    assert digest_of(str(tmp_path / "nothing")) is digest_of(str(one / "link")) is None


def test_an_environments_signature_sees_every_write_but_bytecode(tmp_path: Path) -> None:
    (tmp_path / "env/pkg").mkdir(parents=True)
    file = tmp_path / "env/pkg/a.py"
    file.write_text("a")
    before = signature_of(str(tmp_path / "env"))
    (tmp_path / "env/pkg/__pycache__").mkdir()
    (tmp_path / "env/pkg/__pycache__/a.pyc").write_text("x")
    assert signature_of(str(tmp_path / "env")) == before
    state = file.stat()
    file.write_text("b")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert signature_of(str(tmp_path / "env")) != before
    after = signature_of(str(tmp_path / "env"))
    (tmp_path / "env/new").touch()
    assert signature_of(str(tmp_path / "env")) != after


def test_remove_takes_what_is_write_protected_and_no_links_target(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "gone/locked").mkdir(parents=True)
    (tmp_path / "gone/locked/file").touch()
    (tmp_path / "gone/link").symlink_to(tmp_path / "kept")
    (tmp_path / "gone/locked").chmod(0o500)
    remove(str(tmp_path / "gone"))
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(str(tmp_path / "link"))
    remove(str(tmp_path / "nothing"))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_only_what_nobody_holds_any_more_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    held, dead, young = (tmp_path / f"sanctity-bisect-{name}" for name in ("held", "dead", "young"))
    for folder in (held, dead, young):
        (folder / "env-1").mkdir(parents=True)
    old = tmp_path / "sanctity-bisect-old"
    old.mkdir()
    os.utime(old, (1, 1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "sanctity-bisect-link").symlink_to(elsewhere)
    (tmp_path / "sanctity-bisect-file").touch()
    (dead / "alive").touch()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        (dead / f"running-{sleeper.pid}").write_text(f"{sleeper.pid} {started_at(sleeper.pid)}\n")
        (dead / f"running-{other.pid}").write_text(f"{other.pid} 1\n")  # a number that another process has now
        (dead / "running-x").write_text("not a number\n")
        with open(held / "alive", "w") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX)
            with Workplace() as workplace:
                assert Path(workplace.home).is_dir()
                assert not Path(workplace.folder()).exists()
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {
            "sanctity-bisect-held",
            "sanctity-bisect-young",
            "sanctity-bisect-link",
            "sanctity-bisect-file",
            "elsewhere",
        }
        assert sleeper.wait(timeout=30) == -9
        time.sleep(0)
        assert other.poll() is None
    finally:
        for process in (sleeper, other):
            end_group(process.pid, 0.0, process)


def test_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(SanctityError) as caught, Workplace():
        pass
    assert caught.value.code == "bisect-no-room"
    assert "TMPDIR" in caught.value.hint
