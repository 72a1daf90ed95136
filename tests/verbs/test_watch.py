"""`watch`: what each look says, that nothing which the judged can write changes what it is held to, and that it ends when asked to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from factories import a_comparison
from reports import CASES, HOSTILE
from running.starting import BARE, SANCTITY, a_project, children, needs_unshare
from sanctity.errors import DocumentError, NoEnvironmentError, SanctityError
from sanctity.model.drift import Code, Unchecked, Verdict
from sanctity.report.look import look_json, look_text, schema
from sanctity.verbs import Target, World, verify, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from running.starting import Project
    from sanctity.verbs import Sight

#: Nothing that is waited for here takes longer, however busy the machine is. Seconds.
LONG = 120


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return a_project(tmp_path, sealed=False)


def _world(project: Project) -> World:
    return World(cwd=str(project.folder), environ={}, clock=time.monotonic)


class _Clock:
    """A time that only moves when somebody pauses; at each pause the next of *events* happens."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self.time = 1_800_000_000.0
        self.pauses: list[float] = []
        self.events = iter(events)

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds
        self.pauses.append(seconds)
        event = next(self.events, None)
        if event is None:
            raise KeyboardInterrupt  # as a signal would end it
        event()


def _watch(project: Project, clock: _Clock, *, chance: float = 0.0, reference: str = "", every: float = 60.0) -> list[Sight]:
    """What is seen until the clock has no more events."""
    found: list[Sight] = []
    looks: Iterator[Sight] = watch(
        Target(env="env"),
        _world(project),
        every=every,
        now=clock.now,
        pause=clock.pause,
        chance=lambda: chance,
        reference=reference,
    )
    with pytest.raises(KeyboardInterrupt):
        found.extend(looks)  # keeps what came before the end
    return found


def _verdicts(sights: list[Sight]) -> list[str]:
    return [sight.error.code if sight.error else str(sight.outcome.comparison.verdict) if sight.outcome else "" for sight in sights]


def _codes(sight: Sight) -> set[Code]:
    assert sight.outcome is not None
    return {drift.code for drift in sight.outcome.comparison.drifts if drift.gating}


def test_each_look_says_how_it_is_then(project: Project) -> None:
    module = project.site / "hello.py"
    whole = module.read_bytes()
    clock = _Clock(
        lambda: None,
        lambda: module.write_bytes(whole + b"#"),
        lambda: module.write_bytes(whole),
        module.unlink,
    )
    sights = _watch(project, clock)
    assert _verdicts(sights) == ["clean", "clean", "drifted", "clean", "drifted"]
    assert _codes(sights[2]) == {Code.FILE_ALTERED}
    assert _codes(sights[4]) == {Code.FILE_MISSING}
    assert [sight.number for sight in sights] == [1, 2, 3, 4, 5]
    assert [sight.ended for sight in sights] == [1_800_000_000.0 + 60 * n for n in range(5)]


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 60.0), (0.5, 63.0), (1.0, 66.0)])
def test_the_pause_is_longer_by_chance_and_never_shorter(project: Project, chance: float, pause: float) -> None:
    clock = _Clock(lambda: None)
    _watch(project, clock, chance=chance)
    assert clock.pauses == pytest.approx([pause, pause])


def test_who_drifts_can_not_change_the_lock_to_fit(project: Project) -> None:
    """The environment and the lock are both moved to another version: the watch says that both changed."""
    lock = project.folder / "requirements.txt"

    def upgrade() -> None:
        for info in project.site.glob("hello-1.0.dist-info"):
            metadata = (info / "METADATA").read_text().replace("Version: 1.0", "Version: 2.0")
            (info / "METADATA").write_text(metadata)
        lock.write_text(lock.read_text().replace("hello==1.0", "hello==2.0"))

    sights = _watch(project, _Clock(upgrade, lambda: None))
    assert _verdicts(sights) == ["clean", "drifted", "drifted"]
    assert [sight.changed for sight in sights] == [(), ("requirements.txt",), ("requirements.txt",)]


def test_a_seal_is_held_to_as_it_was(project: Project) -> None:
    project.seal()
    seal = project.folder / "env.seal.json"
    sealed = seal.read_bytes()

    def reseal() -> None:
        (project.site / "hello.py").write_bytes(b"evil = 1\n")
        project.seal("--accept")

    clock = _Clock(reseal, lambda: seal.write_bytes(b"{"), seal.unlink, lambda: seal.write_bytes(sealed))
    sights = _watch(project, clock)
    assert _verdicts(sights) == ["clean", "drifted", "drifted", "drifted", "drifted"]
    assert [sight.changed for sight in sights] == [(), *[("env.seal.json",)] * 3, ()]


def test_a_new_waiver_waives_nothing(project: Project) -> None:
    def waive() -> None:
        (project.site / "hello.py").write_bytes(b"evil = 1\n")
        (project.folder / "waivers").mkdir()
        (project.folder / "waivers/W-1.toml").write_text(
            'code = "file-altered"\nreason = "x"\nowner = "a"\napprover = "b"\nuntil = 2999-01-01\n[scope]\ndistribution = "hello"\n'
        )

    assert _verdicts(_watch(project, _Clock(waive))) == ["clean", "drifted"]


def test_an_environment_that_goes_and_comes_back(project: Project) -> None:
    aside = project.folder / "aside"
    clock = _Clock(lambda: project.env.rename(aside), lambda: aside.rename(project.env))
    first, gone, last = _watch(project, clock)
    assert _verdicts([first, last]) == ["clean", "clean"]
    if gone.outcome is not None:
        assert gone.outcome.comparison.verdict is not Verdict.CLEAN
    else:
        assert gone.error is not None


@pytest.mark.parametrize(
    ("env", "reference", "error"), [("nowhere", "", NoEnvironmentError), ("env", "nothing.seal.json", DocumentError)]
)
def test_a_watch_that_can_not_begin_is_an_error(project: Project, env: str, reference: str, error: type[SanctityError]) -> None:
    looks = watch(
        Target(env=env),
        _world(project),
        every=1,
        now=time.time,
        pause=lambda _: pytest.fail("it went on"),
        chance=lambda: 0.0,
        reference=reference,
    )
    with pytest.raises(error):
        next(looks)


def test_fast_reads_no_file_twice_and_sees_what_moved(project: Project) -> None:
    """Files count as moved until they are older than the clock of the file system is coarse, so a few looks are taken."""
    module = project.site / "hello.py"
    whole = module.read_bytes()
    mtime = module.stat().st_mtime_ns
    seen: list[Sight] = []

    def same_size_same_time() -> None:
        module.write_bytes(whole.replace(b"hello", b"jello"))
        os.utime(module, ns=(mtime, mtime))

    def pause(_seconds: float) -> None:
        time.sleep(0.02)
        last = seen[-1].outcome
        assert last is not None
        checked = last.comparison.checked
        if checked.cached > checked.files // 2 and last.comparison.verdict is Verdict.CLEAN:
            same_size_same_time()
        elif last.comparison.verdict is Verdict.DRIFTED:
            raise KeyboardInterrupt
        assert len(seen) < 200

    world = World(cwd=str(project.folder), environ={"HOME": str(project.folder / "home")}, clock=time.monotonic)
    looks = watch(
        Target(env="env"), world, every=1, now=time.time, pause=pause, chance=lambda: 0.0, reference="requirements.txt", fast=True
    )
    with pytest.raises(KeyboardInterrupt):
        seen.extend(looks)  # one by one, so that the pause sees what was seen so far
    assert _codes(seen[-1]) == {Code.FILE_ALTERED}
    assert all(sight.outcome is not None and sight.outcome.comparison.verdict is Verdict.CLEAN for sight in seen[:-1])


def test_what_a_fast_watch_found_is_told_by_no_other_look(project: Project) -> None:
    """Held to the old lock it stays clean; a look of now is held to the lock of now."""
    world = World(cwd=str(project.folder), environ={"HOME": str(project.folder / "home")}, clock=time.monotonic)
    lock = project.folder / "requirements.txt"
    clock = _Clock(lambda: lock.write_text(lock.read_text().replace("hello==1.0", "hello==2.0")), lambda: time.sleep(0.05))
    found: list[Sight] = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(
            watch(Target(env="env"), world, every=1, now=clock.now, pause=clock.pause, chance=lambda: 0.0, fast=True),
        )
    assert _verdicts(found) == ["clean", "clean", "clean"]
    assert verify(Target(env="env"), world, fast=True).comparison.verdict is Verdict.DRIFTED


# -- one line a look --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_line_of_json_is_as_its_schema_says(name: str) -> None:
    line = look_json(CASES[name], number=3, ended=1_800_000_000.9, changed=("uv.lock",))
    document = json.loads(line)
    jsonschema.validate(document, schema(), cls=jsonschema.Draft202012Validator)
    assert line.count("\n") == 1
    assert document["verdict"] == str(CASES[name].verdict)
    assert sum(document["gating"].values()) == sum(drift.gating for drift in CASES[name].drifts)
    assert document["reference_changed"] == ["uv.lock"]
    assert document["time"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_800_000_000))


def test_a_failed_look_is_a_line_too() -> None:
    error = NoEnvironmentError("no-environment", "there is\nnone", where="a\udcff", hint="make one")
    line = look_json(error, number=2, ended=0)
    jsonschema.validate(json.loads(line), schema(), cls=jsonschema.Draft202012Validator)
    assert json.loads(line)["error"]["code"] == "no-environment"
    text = look_text(error, ended=0)
    assert text.startswith("1970-01-01T00:00:00Z  FAILED  no-environment: ")
    assert text.count("\n") == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_name_holds_a_look_is_one_line(text: str) -> None:
    unchecked = Unchecked(code="unreadable", what=text, reason=text, in_scope=True)
    comparison = a_comparison(prefix=text, unchecked=(unchecked,))
    for line in (
        look_text(comparison, ended=1.0, changed=(text,)),
        look_json(comparison, number=1, ended=1.0, changed=(text,)),
    ):
        line.encode("utf-8")
        assert len(line.splitlines()) == 1 or line.startswith("{")
        assert line.count("\n") == 1


# -- the command ------------------------------------------------------------------------------------------------------------------


def _command(*words: str) -> list[str]:
    return [*SANCTITY, "watch", "--env", "env", *words]


def _start(project: Project, *words: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*before, *_command(*words)],
        cwd=project.folder,
        env=BARE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def _run(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*words), cwd=project.folder, env=BARE, capture_output=True, text=True, timeout=LONG, check=False)


def _line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def _reads(pid: int, name: str) -> bool:
    """Whether the process *pid* has a file called *name* open."""
    with contextlib.suppress(OSError):
        return any(os.path.basename(os.readlink(link)) == name for link in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _metrics(file: Path) -> dict[str, float]:
    """The samples whose other labels do not matter, and each verdict."""
    return {
        sample.labels.get("verdict", sample.name): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_when_asked_to_while_it_waits(project: Project, number: signal.Signals) -> None:
    process = _start(project, "--every", "600", "--format", "json")
    assert _line(process)["verdict"] == "clean"
    process.send_signal(number)
    out, err = process.communicate(timeout=LONG)
    assert (process.returncode, out, err) == (0, "", "")


def test_it_ends_with_0_when_asked_to_while_it_looks(project: Project) -> None:
    """A file without bytes on disk, but a thousand times as many to read as a test has time for."""
    with open(project.site / "big.bin", "wb") as file:
        file.truncate(1 << 42)
    process = _start(project, "--every", "600", "--metrics", "w.prom")
    _until(lambda: any(_reads(pid, "big.bin") for pid in (process.pid, *children(process.pid))))
    workers = children(process.pid)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=LONG)
    assert (process.returncode, out) == (0, "")
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    assert not list(project.folder.glob("w.prom*"))


@pytest.mark.skipif(sys.platform != "linux" or needs_unshare("-p", "-f") != "", reason="no process can be number 1 here")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_pid_1_it_ends_with_0_when_asked_to(project: Project, number: signal.Signals) -> None:
    process = _start(project, "--every", "600", "--format", "json", before=("unshare", "-p", "-f", "--kill-child"))
    assert _line(process)["verdict"] == "clean"
    (first,) = children(process.pid)
    os.kill(first, number)
    process.communicate(timeout=LONG)
    assert process.returncode == 0


def test_drift_ends_it_with_1_and_the_report(project: Project) -> None:
    process = _start(project, "--every", "0.1", "--metrics", "w.prom")
    assert process.stdout is not None
    assert "  CLEAN  " in process.stdout.readline()
    assert _metrics(project.folder / "w.prom")["clean"] == 1
    (project.site / "evil.py").write_text("")
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 1
    assert "  DRIFTED  env: file-unclaimed evil.py" in out.splitlines()[-1]
    assert err.startswith("DRIFTED  env is not what requirements.txt says")
    samples = _metrics(project.folder / "w.prom")
    assert (samples["clean"], samples["drifted"], samples["sanctity_up"]) == (0, 1, 1)


def test_with_log_it_goes_on(project: Project) -> None:
    process = _start(project, "--every", "0.1", "--on-drift", "log", "--format", "json", "--metrics", "w.prom")
    assert _line(process)["verdict"] == "clean"
    (project.site / "evil.py").write_text("")
    _until(lambda: _line(process)["gating"] == {"file-unclaimed": 1})
    (project.site / "evil.py").unlink()
    _until(lambda: _line(process)["verdict"] == "clean")
    (project.folder / "requirements.txt").write_text("nothing==1 --hash=sha256:" + "0" * 64)
    _until(lambda: _line(process)["reference_changed"] == ["requirements.txt"])
    _until(lambda: _metrics(project.folder / "w.prom")["sanctity_reference_changed"] == 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONG)
    assert process.returncode == 0


def test_undecided_ends_it_with_3(project: Project) -> None:
    (project.folder / "requirements.txt").unlink()
    assert _run(project, "--require-reference").returncode == 3


def test_what_can_not_begin_is_2_and_is_in_the_metrics(project: Project) -> None:
    shutil.rmtree(project.env)
    done = _run(project, "--metrics", "w.prom", "--format", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "no-environment"
    samples = _metrics(project.folder / "w.prom")
    assert (samples["sanctity_up"], samples["undecided"], samples["clean"]) == (0, 1, 0)


def test_metrics_that_can_not_be_written_do_not_hide_the_verdict(project: Project) -> None:
    (project.site / "evil.py").write_text("")
    done = _run(project, "--metrics", "nowhere/w.prom")
    assert done.returncode == 1
    assert "error: output-failed\n  nowhere/w.prom: " in done.stderr
    assert "DRIFTED" in done.stdout


def test_nobody_reads_the_lines_any_more(project: Project) -> None:
    process = _start(project, "--every", "0.1", "--on-drift", "log")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=LONG) == 3
    assert process.stderr is not None
    process.stderr.close()
