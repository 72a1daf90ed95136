"""`run` in this process, up to where it would become another: what is handed on, and faults of our own."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

import sanctity.verbs
from sanctity.apply.run import Stopped, become, find_program, inherited, stoppable
from sanctity.cli import main
from sanctity.errors import SanctityError
from sanctity.plan.start import Start

if TYPE_CHECKING:
    from pathlib import Path


def test_a_fault_of_ours_is_a_refusal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(sanctity.verbs, "run", fail)
    with pytest.raises(SystemExit) as ended:
        main(["run", "--", "python"])
    assert ended.value.code == 125
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: internal-error\n")


def test_what_was_set_by_python_itself_is_taken_out_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"A": "1", "LC_CTYPE": "de_DE.UTF-8", "B": ""}
    assert inherited(given) == given
    assert list(inherited({"": "x", "A": "1"})) == ["A"]


def _stopped_twice(number: int) -> None:
    with stoppable():
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)  # obeyed already


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_a_stop_is_raised_once_and_handlers_come_back(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        _stopped_twice(number)
    assert stopped.value.number == number
    assert signal.getsignal(number) == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("data", "code"), [(b"", "command-not-executable"), (b"#!/no/such/interpreter\n", "command-not-found")])
def test_what_can_not_be_started_is_told(data: bytes, code: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(data)
    program.chmod(0o755)
    before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    try:
        with pytest.raises(SanctityError) as told:
            become(Start(path=str(program), argv=("program",), environ=()))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert told.value.code == code


def test_a_link_in_a_loop_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/loop").symlink_to("loop")
    with pytest.raises(SanctityError) as told:
        find_program("loop", str(tmp_path), scripts="bin", cwd=str(tmp_path), search="")
    assert told.value.code == "command-not-found"


def test_a_scripts_folder_that_is_a_link_is_the_environments(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/program").write_text(f"#!{tmp_path}/env/bin/python -u\n")
    (tmp_path / "elsewhere/program").chmod(0o755)
    (tmp_path / "elsewhere/python").symlink_to(sys.executable)
    (tmp_path / "env").mkdir()
    (tmp_path / "env/bin").symlink_to("../elsewhere")
    found = find_program("program", str(tmp_path / "env"), scripts="bin", cwd=str(tmp_path), search="")
    assert found.file.inner == "bin/program"
    assert found.options == "-u"
    assert found.starts is not None
    assert found.starts.inner == "bin/python"
