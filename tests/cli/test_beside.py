"""`--metrics` and `--also`: what is left behind beside the report, whatever the verdict is, and that neither hides it."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from running.starting import a_project, sanctity
from sanctity.cli import cli
from sanctity.cli.common import write
from sanctity.determinism.receipt import Receipt, Relaxation
from sanctity.errors import SanctityError
from sanctity.report import FORMATS

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from running.starting import Project

VERBS = ("check", "verify")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return a_project(tmp_path, sealed=False)


def _run(project: Project, verb: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    return sanctity(verb, "--env", "env", *words, cwd=project.folder)


def _samples(file: Path) -> dict[str, float]:
    """Each sample by its name, or by its verdict or code."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(file.read_text()):
        for sample in family.samples:
            assert sample.labels["prefix"] == str(file.parent / "env")
            found[sample.labels.get("verdict") or sample.labels.get("code") or sample.name] = sample.value
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_the_file_says_what_the_exit_code_says(verb: str, project: Project) -> None:
    file = project.folder / "m.prom"
    assert _run(project, verb, "--metrics", "m.prom").returncode == 0
    assert _samples(file)["clean"] == 1
    (project.site / "evil.py").write_text("")
    assert _run(project, verb, "--metrics", "m.prom").returncode == 1
    samples = _samples(file)
    assert (samples["clean"], samples["drifted"], samples["file-unclaimed"]) == (0, 1, 1)
    (project.folder / "requirements.txt").unlink()
    (project.site / "evil.py").unlink()
    assert _run(project, verb, "--metrics", "m.prom").returncode == 0
    assert _run(project, verb, "--metrics", "m.prom", "--require-reference").returncode == 3
    assert _samples(file)["undecided"] == 1
    assert [each.name for each in project.folder.glob("m.prom*")] == ["m.prom"]


def test_with_strict_a_warning_is_a_drift_there_too(project: Project) -> None:
    from sites import add_distribution  # a seed whose file was changed is a warning

    add_distribution(project.env, "pip", "24.0", {"pip/__init__.py": b""})
    (project.site / "pip/__init__.py").write_text("changed")
    assert _run(project, "verify", "--metrics", "m.prom").returncode == 0
    assert _samples(project.folder / "m.prom")["clean"] == 1
    assert _run(project, "verify", "--metrics", "m.prom", "--strict").returncode == 1
    assert _samples(project.folder / "m.prom")["drifted"] == 1


def test_receipts_are_counted_and_one_that_can_not_be_read_is_no_zero(project: Project) -> None:
    texts = {"reason": "r", "cost": "c", "tolerance": "t", "until": "2999-01-31", "rules": f"sha256:{'0' * 64}"}
    used = Relaxation("cudnn", "W-9", 3, **texts)
    receipt = Receipt(seed=1, scheme="sanctity-seed/1", version="1", relaxations=[used])
    kept = project.folder / "kept"
    kept.mkdir()
    stated = {"schema": "sanctity.process/1", "state": "ended", "parent": 1, "program": "x", "injected": ""}
    for pid in (1, 2):
        document = {**stated, "pid": pid, "receipt": json.loads(receipt.to_json())}
        (kept / f"process-{pid}-0000000{pid}.json").write_text(json.dumps(document))
    (kept / "process-3-00000003.json").write_text("{")
    assert _run(project, "verify", "--receipts", "kept", "--metrics", "m.prom").returncode == 0
    text = (project.folder / "m.prom").read_text()
    place = f'prefix="{project.folder}/env"'
    assert f'sanctity_relaxations{{{place},control="cudnn",waiver="W-9"}} 6\n' in text
    assert f'sanctity_receipts{{{place},state="unread"}} 1\n' in text
    done = _run(project, "verify", "--metrics", "m.prom", "--receipts", "nowhere")
    assert done.returncode == 0
    assert b"receipts-not-found" in done.stderr
    assert "sanctity_relaxations" not in (project.folder / "m.prom").read_text()
    assert _samples(project.folder / "m.prom")["receipts-not-found"] == 1
    done = _run(project, "verify", "--receipts", "kept")
    assert done.returncode == 2
    assert b"--metrics" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_look_that_fails_is_in_the_file_under_the_same_prefix(verb: str, project: Project) -> None:
    (project.folder / "uv.lock").write_text("version = ")
    assert _run(project, verb, "--metrics", "m.prom").returncode == 2
    samples = _samples(project.folder / "m.prom")
    assert (samples["sanctity_up"], samples["clean"], samples["undecided"]) == (0, 0, 1)
    (project.folder / "env").rename(project.folder / "gone")
    assert _run(project, verb, "--metrics", "m.prom").returncode == 2
    assert _samples(project.folder / "m.prom")["no-environment"] == 1


@pytest.mark.parametrize("drifted", [False, True])
def test_a_file_that_can_not_be_written_is_told_and_changes_no_exit_code(drifted: bool, project: Project) -> None:
    if drifted:
        (project.site / "evil.py").write_text("")
    done = _run(project, "verify", "--metrics", "nowhere/m.prom")
    assert done.returncode == drifted
    assert done.stderr.startswith(b"error: output-failed\n  nowhere/m.prom: ")
    assert done.stdout.startswith(b"DRIFTED" if drifted else b"CLEAN")


def test_metrics_are_kept_where_the_report_can_not_be_written(project: Project) -> None:
    assert _run(project, "verify", "--metrics", "m.prom", "-o", "nowhere/report.txt").returncode == 3
    assert _samples(project.folder / "m.prom")["clean"] == 1


def test_whoever_reads_the_file_reads_a_whole_one(tmp_path: Path) -> None:
    """It is replaced a few hundred times while it is read."""
    file = tmp_path / "m.prom"
    texts = {"a" * 100_000, "b" * 50_000}
    write("a" * 100_000, str(file))
    done = threading.Event()

    def rewrite() -> None:
        for number in range(300):
            write("b" * 50_000 if number % 2 else "a" * 100_000, str(file))
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(file.read_text())
    writer.join()
    assert seen <= texts
    assert os.listdir(tmp_path) == ["m.prom"]


def test_what_a_killed_process_left_behind_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / f"m.prom.{os.getpid()}.tmp").write_text("half")
    write("whole", str(tmp_path / "m.prom"))
    assert (tmp_path / "m.prom").read_text() == "whole"


def test_a_stop_while_it_is_written_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class _Stopped(BaseException):
        pass

    def stop(_number: int) -> None:
        raise _Stopped

    write("old", str(tmp_path / "m.prom"))
    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(_Stopped):
        write("new", str(tmp_path / "m.prom"))
    assert (tmp_path / "m.prom").read_text() == "old"
    assert os.listdir(tmp_path) == ["m.prom"]


def test_also_writes_every_format_from_one_look(project: Project) -> None:
    (project.site / "evil.py").write_text("")
    words = [word for name in FORMATS for word in ("--also", f"{name}=report.{name}")]
    done = _run(project, "verify", "--format", "json", *words)
    assert done.returncode == 1
    assert (project.folder / "report.json").read_bytes() == done.stdout
    assert json.loads((project.folder / "report.sarif").read_text())["version"] == "2.1.0"
    for name in FORMATS:
        assert "evil.py" in (project.folder / f"report.{name}").read_text()


@pytest.mark.parametrize("value", ["json", "json=", "json=-", "xml=a", "=a", ""])
def test_also_takes_a_format_and_a_file(value: str, project: Project) -> None:
    done = _run(project, "verify", "--also", value)
    assert done.returncode == 2
    assert b"--also" in done.stderr


def test_also_that_can_not_be_written_is_3(project: Project) -> None:
    done = _run(project, "verify", "--also", "json=nowhere/x.json")
    assert done.returncode == SanctityError.exit_code
    assert b"output-failed" in done.stderr


def test_every_verb_that_judges_keeps_metrics() -> None:
    for name in (*VERBS, "watch"):
        assert "metrics" in {parameter.name for parameter in cli.commands[name].params}
