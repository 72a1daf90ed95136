"""`cost` from the command to the report: real programs are run in pairs, and what is measured is what was switched.

Where a figure is looked at, the programs really run and the time of each run is made up from how it was started, with noise of a
fixed seed: no load of this machine decides. One test, which is not in the sample that CI runs, measures real time beside noise.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner

from sanctity.apply import timing
from sanctity.cli import cli
from sanctity.determinism.relaxing import RELAXABLE
from sanctity.errors import SanctityError, UsageError
from sanctity.model.cost import Costs, Status
from sanctity.plan.costing import NAMES
from sanctity.report.cost import cost_json, cost_text, exit_code, schema
from sanctity.verbs import World
from sanctity.verbs.costing import cost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sanctity.processes import Done

PLAIN = "pass\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    folder = tmp_path / "project"
    folder.mkdir()
    environ = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    return World(cwd=str(folder), environ=environ, clock=time.monotonic)


def program(world: World, code: str, *options: str) -> tuple[str, ...]:
    """The command that runs *code* as a file of the project's folder."""
    path = os.path.join(world.cwd, "program.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(code)
    return (sys.executable, *options, "program.py")


def timed(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Mapping[str, str]], float]) -> None:
    """Have every run take the *seconds* of the environment it is started with; it is really run."""
    real = timing.time_command

    def run(*arguments: Any, environ: Mapping[str, str], **options: Any) -> Done:
        return replace(real(*arguments, environ=environ, **options), seconds=seconds(environ))

    monkeypatch.setattr(timing, "time_command", run)


def by_hash_seed(factor: float, spread: float) -> Callable[[Mapping[str, str]], float]:
    """A second, longer by *factor* where the hash seed is set, with noise."""
    random = np.random.default_rng(3)
    return lambda environ: float((factor if "PYTHONHASHSEED" in environ else 1.0) * np.exp(random.normal(0, spread)))


def only(found: Costs, name: str) -> Any:
    return next(control for control in found.controls if control.name == name)


# -- figures ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "told"), [(1.1, True), (1.0, False), (0.8, True)])
def test_ten_percent_is_told_from_none(world: World, monkeypatch: pytest.MonkeyPatch, factor: float, told: bool) -> None:
    timed(monkeypatch, by_hash_seed(factor, 0.02))
    found = cost(program(world, PLAIN), world, pairs=8, controls=("hash-seed",))
    estimate = only(found, "hash-seed").estimate
    assert estimate.distinguishable is told
    assert estimate.low <= factor <= estimate.high
    assert (found.runs, exit_code(found)) == (3 + 16, 0)
    text = cost_text(found)
    assert ("not distinguishable from 0" in text) is not told
    assert "1 control, 8 pairs each, intervals at 95 %; 16 runs of about 1 s, and 3 not measured" in text
    # A hash seed can not be relaxed in a program, whatever it costs, so no waiver could quote it.
    assert "cost = " not in text


def test_it_says_that_it_can_not_tell_and_how_many_pairs_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, by_hash_seed(1.1, 0.3))
    found = cost(program(world, PLAIN), world, pairs=6, controls=("hash-seed",))
    estimate = only(found, "hash-seed").estimate
    assert not estimate.distinguishable
    assert estimate.needed > 6
    assert f"about {estimate.needed} pairs would tell 10 %" in cost_text(found)


@pytest.mark.parametrize(("name", "relaxable"), [("torch-algorithms", True), ("hash-seed", False), ("all", False)])
def test_a_waiver_may_quote_what_can_be_relaxed_as_sure_as_the_interval_is(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, relaxable: bool
) -> None:
    """The figures are those of a hash seed, told as if they were of the control *name*."""
    timed(monkeypatch, by_hash_seed(1.1, 0.01))
    told: list[str] = []
    found = cost(program(world, PLAIN), world, pairs=8, narrate=told.append)
    (measuring,) = told
    assert re.fullmatch(r"measuring hash-seed, all: 32 runs of about \S+ s, \d+ s in all; the 5 before are not measured", measuring)
    entry = only(found, "hash-seed")
    assert (entry.relaxable, entry.estimate.confidence > found.each) == (False, True)
    text = cost_text(replace(found, controls=(replace(entry, name=name, relaxable=name in RELAXABLE),)))
    assert "intervals at 95 % for all together (97.5 % each)" in text
    assert (f"    {name}  cost = " in text) is relaxable
    assert (", 97.5 %, sanctity cost -n 8)" in text) is relaxable


def test_all_that_can_be_relaxed_and_costs_something_is_measured_by_a_name_that_a_waiver_takes() -> None:
    assert {"torch-algorithms", "fill-uninitialized-memory", "cudnn"} == set(NAMES) & set(RELAXABLE)


def test_pairs_are_made_in_turn_and_all_of_them(world: World) -> None:
    """The order is that of the runs themselves: each leaves what it was started with behind."""
    code = "import os\nprint(os.environ.get('PYTHONHASHSEED'), 'SANCTITY_SEED' in os.environ, file=open('log', 'a'))\n"
    found = cost(program(world, code), world, pairs=7)
    assert [control.name for control in found.measured] == ["hash-seed", "all"]
    with open(os.path.join(world.cwd, "log"), encoding="utf-8") as file:
        runs = [line.split() for line in file]
    assert len(runs) == found.runs == 1 + 4 + 2 * 2 * 7
    seeds = [seed != "None" for seed, _ in runs[5:]]
    assert seeds == [False, True, False, True, True, False, True, False] * 3 + [False, True, False, True]
    assert [called == "True" for _, called in runs[5:]] == [False, False, False, True, False, False, True, False] * 3 + [
        False,
        False,
        False,
        True,
    ]
    assert {len(control.pairs) for control in found.measured} == {7}
    assert found.each == pytest.approx(0.975)


@pytest.mark.long
def test_a_real_cost_is_told_beside_real_noise(world: World) -> None:
    """A program that works a tenth longer where the hash seed is set, with a busy process beside; up to three measurements.

    Whatever the noise, one that tells anything tells the truth: no interval may leave 1.1 out more often than it says.
    """
    code = "import os\nn = 1_500_000\nn += n // 10 if 'PYTHONHASHSEED' in os.environ else 0\nfor i in range(n): i * i % 7\n"
    same = "for i in range(1_500_000): i * i % 7\n"
    with ExitStack() as stack:
        busy = stack.enter_context(subprocess.Popen([sys.executable, "-c", "import os; os.nice(5)\nwhile True: pass"]))
        stack.callback(busy.kill)
        told = []
        for pairs in (20, 40, 80):
            found = only(cost(program(world, code), world, pairs=pairs, controls=("hash-seed",)), "hash-seed").estimate
            told.append(found)
            if found.distinguishable:
                break
            assert found.needed or found.high < 1.1
        assert told[-1].low > 1.0, told
        none = only(cost(program(world, same), world, pairs=20, controls=("hash-seed",)), "hash-seed").estimate
    assert none.low < 1.05
    few = only(cost(program(world, code), world, pairs=6, controls=("hash-seed",)), "hash-seed").estimate
    assert few.distinguishable or few.needed or few.high < 1.1


# -- what is not measured ---------------------------------------------------------------------------------------------------------


def test_what_the_command_does_not_reach_is_told_and_not_measured(world: World) -> None:
    names = tuple(name for name in NAMES if name not in {"hash-seed", "all"})
    found = cost(program(world, PLAIN), world, pairs=6, controls=names)
    assert {control.status for control in found.controls} == {Status.NOT_REACHED}
    assert all(control.estimate is None and control.reason for control in found.controls)
    assert found.runs == 1
    assert exit_code(found) == 3
    assert cost_text(found).count("not measured: no Python of it ") == len(names)


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_a_python_that_reads_no_variables_is_not_reached(world: World, option: str) -> None:
    found = cost(program(world, PLAIN, option), world, pairs=6)
    assert {control.status for control in found.controls} == {Status.NOT_REACHED}
    assert (found.runs, exit_code(found)) == (1, 3)


def test_a_command_without_python_is_not_reached(world: World) -> None:
    found = cost(("true",), world, pairs=6, controls=("hash-seed",))
    assert only(found, "hash-seed").reason.startswith("no Python loaded the start hook")


def test_a_program_that_sets_it_by_itself_is_not_measured_as_nothing(world: World) -> None:
    code = (
        "import os, sys\nif 'PYTHONHASHSEED' not in os.environ:\n"
        "    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, 'PYTHONHASHSEED': '0'})\n"
    )
    found = cost(program(world, code), world, pairs=6, controls=("hash-seed",))
    entry = only(found, "hash-seed")
    assert (entry.status, entry.reason) == (Status.NOT_SWITCHED, "the command sets PYTHONHASHSEED by itself")
    assert exit_code(found) == 3


def test_a_program_that_makes_the_call_is_told_so(world: World) -> None:
    code = "import sys\nsys.path.insert(0, sys.argv[1])\nimport sanctity\nsanctity.set_global_determinism(1, quiet=True)\n"
    source = os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["sanctity"].__file__ or "")))
    found = cost((*program(world, code), source), world, pairs=7)
    assert only(found, "all").reason.startswith("the program makes the call itself")
    assert only(found, "hash-seed").status is Status.MEASURED
    assert exit_code(found) == 0


def test_a_control_with_which_the_command_fails_does_not_hide_the_others(world: World) -> None:
    code = "import os\nif 'SANCTITY_SEED' in os.environ: raise SystemExit('no seeds here')\n"
    found = cost(program(world, code), world, pairs=7)
    entry = only(found, "all")
    assert (entry.status, entry.reason) == (Status.FAILED, "the command ended with 1 with it")
    assert "no seeds here" in entry.tail
    assert only(found, "hash-seed").status is Status.MEASURED
    assert exit_code(found) == 3
    assert "| no seeds here" in cost_text(found)


def test_a_run_that_fails_among_the_pairs_ends_that_control(world: World) -> None:
    code = (
        "import os\nn = int(open('n').read()) if os.path.exists('n') else 0\nopen('n', 'w').write(str(n + 1))\n"
        "if n == 8: raise SystemExit('the ninth')\n"
    )
    found = cost(program(world, code), world, pairs=6, controls=("hash-seed",))
    entry = only(found, "hash-seed")
    assert (entry.status, entry.pairs, exit_code(found)) == (Status.FAILED, (), 3)
    assert "after 2 pairs" in entry.reason


# -- errors -----------------------------------------------------------------------------------------------------------------------


def test_a_command_that_fails_as_it_is_stops_everything(world: World) -> None:
    said: list[str] = []
    with pytest.raises(SanctityError) as caught:
        cost(program(world, "print('first'); raise SystemExit(7)"), world, narrate=said.append)
    assert (caught.value.code, caught.value.exit_code) == ("cost-command-failed", 3)
    assert "ended with 7" in caught.value.message
    assert said == ["first"]


def test_a_command_that_takes_too_long_is_told(world: World) -> None:
    with pytest.raises(SanctityError, match="took longer than 1 s"):
        cost(program(world, "import time; time.sleep(600)"), world, timeout=1)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"controls": ("torch",)}, "cost-control-unknown"),
        ({"pairs": 5}, "cost-too-few-pairs"),
        ({"pairs": 6, "confidence": 0.99}, "cost-too-few-pairs"),
        ({"pairs": 6}, "cost-too-few-pairs"),  # two controls are reached, and each needs more than its half
    ],
)
def test_what_can_not_be_asked_is_bad_usage(world: World, options: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        cost(program(world, PLAIN), world, **options)
    assert caught.value.code == code


@pytest.mark.parametrize(("word", "code"), [("no-such-program", "command-not-found"), ("./program.py", "command-not-executable")])
def test_a_command_that_is_none(world: World, word: str, code: str) -> None:
    program(world, PLAIN)
    with pytest.raises(SanctityError) as caught:
        cost((word,), world)
    assert caught.value.code == code


# -- how it is run ----------------------------------------------------------------------------------------------------------------


def test_the_program_finds_everything_as_it_would_without(world: World, tmp_path: Path) -> None:
    """Its own sitecustomize runs, its PYTHONPATH stands, nothing of the hook is on its path, and its input is empty."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import builtins\nbuiltins.ours = __file__\n")
    code = (
        "import json, os, sys\nfolder = sys.argv[1]\nassert sys.stdin.read() == ''\n"
        "assert ours == os.path.join(folder, 'sitecustomize.py'), ours\n"
        "assert sys.path[1] == folder and not any('.zip' in each and 'inject' in each for each in sys.path), sys.path\n"
        "assert not any(name.startswith('sanctity') for name in sys.modules), sys.modules\n"
    )
    around = replace(world, environ={**world.environ, "PYTHONPATH": str(own)})
    found = cost((*program(around, code), str(own)), around, pairs=6, controls=("hash-seed",))
    assert only(found, "hash-seed").status is Status.MEASURED


def test_what_a_user_has_set_is_kept_with_the_control_and_out_without(world: World) -> None:
    code = "import os\nprint(os.environ.get('PYTHONHASHSEED'), file=open('log', 'a'))\n"
    around = replace(world, environ={**world.environ, "PYTHONHASHSEED": "5"})
    cost(program(around, code), around, pairs=6, controls=("hash-seed",))
    with open(os.path.join(world.cwd, "log"), encoding="utf-8") as file:
        assert set(file.read().split()) == {"5", "None"}


def test_what_a_command_leaves_running_is_ended(world: World) -> None:
    """It does not hold up the end of a run either, though it holds what the run writes to."""
    code = "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\nprint(child.pid)\n"
    done = timing.time_command(
        program(world, code), program=sys.executable, environ=world.environ, cwd=world.cwd, output=f"{world.cwd}/out"
    )
    assert done.code == 0
    number = int(done.tail)
    for _ in range(1000):  # it was killed, and is gone as soon as the kernel comes to it
        if _is_dead(number):
            break
        time.sleep(0.01)
    assert _is_dead(number)


def _is_dead(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] in {"Z", "X"}
    except OSError:
        return True


def test_nothing_is_left_behind_and_nothing_is_said_of_a_measurement_that_was_stopped(world: World, tmp_path: Path) -> None:
    code = "import os, time\nopen('started', 'w').close()\ntime.sleep(600)\n"
    command = [sys.executable, "-m", "sanctity", "cost", "--", *program(world, code)]
    with subprocess.Popen(command, cwd=world.cwd, env=world.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not os.path.exists(f"{world.cwd}/started") and process.poll() is None:
            time.sleep(0.02)
        assert [name for name in os.listdir(tmp_path) if name.startswith("sanctity-cost-")]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
    assert process.returncode == -signal.SIGTERM
    assert out == b""
    assert err.endswith(b"stopped: nothing is said of pairs that were not all made\n")
    assert not [name for name in os.listdir(tmp_path) if name.startswith("sanctity-cost-")]


# -- the door ---------------------------------------------------------------------------------------------------------------------


def test_the_command_line_in_each_format(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.cwd)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    timed(monkeypatch, by_hash_seed(1.1, 0.01))
    words = program(world, PLAIN)
    run = ["cost", "-n", "6", "--control", "hash-seed"]
    done = CliRunner().invoke(cli, [*run, "--format", "json", "--", *words])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema())
    (entry,) = document["controls"]
    assert (entry["status"], len(entry["pairs"]), document["runs"]) == ("measured", 6, 15)
    assert entry["cost"]["low"] > 1
    assert entry["cost"]["waiver"] is None
    done = CliRunner().invoke(cli, [*run, "--format", "markdown", "-o", "cost.md", "--", *words])
    assert (done.exit_code, done.stdout) == (0, "")
    with open("cost.md", encoding="utf-8") as file:
        assert "| `hash-seed` | +" in file.read()
    done = CliRunner().invoke(cli, [*run[:1], "-n", "3", "--format", "json", "--", *words])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["code"] == "cost-too-few-pairs"
    assert CliRunner().invoke(cli, ["cost"]).exit_code == 2
    refused = CliRunner().invoke(cli, ["cost", "-o", "nowhere/x", "--", "false"])
    assert (refused.exit_code, "output-failed" in refused.output) == (2, True)
    shown = " ".join(CliRunner().invoke(cli, ["cost", "--help"]).output.split())
    assert f"may be repeated: {', '.join(NAMES)}." in shown
    assert CliRunner().invoke(cli, ["cost", "-n", "6", "--", "false"]).exit_code == 3


def test_a_report_without_figures_is_a_document_too(world: World) -> None:
    found = cost(("true",), world, pairs=6)
    document = json.loads(cost_json(found))
    jsonschema.validate(document, schema())
    assert not document["answered"]
    assert {entry["cost"] for entry in document["controls"]} == {None}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "answered": 1}, schema())
