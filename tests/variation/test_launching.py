"""Each variation reaches the program, and nothing but it: a program tells its surroundings, run by run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from real.tools import gone
from sanctity.errors import UsageError
from sanctity.model.repeats import Level, Phase
from sanctity.model.result import ResultComparison
from sanctity.variation.catalogue import THREADS, catalogue, look, numerics
from variation.harnessing import harness, write

if TYPE_CHECKING:
    from sanctity.model.repeats import Variation

#: What the program tells, by what varies it.
TELLING = """
    import ctypes, json, locale, os, sys, time
    mask = os.umask(0)
    os.umask(mask)
    locale.setlocale(locale.LC_ALL, "")
    with open("/proc/self/maps") as file:
        stack = [line.split("-")[0] for line in file if "[stack]" in line]
    beside = 0
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline") as file:
                words = file.read().split(chr(0))
                beside += len(words) > 3 and words[-3].endswith("burner.py") and words[-2] == str(os.getppid())
        except OSError:
            pass
    variables = sorted(name for name in os.environ if name not in ("SANCTITY_REPEATS", "PYTHONPATH"))
    told = {
        "hash-seed": hash("a"),
        "aslr": [stack, id(object()), ctypes.CDLL(None).personality(0xFFFFFFFF) & 0x40000],
        "tz": time.strftime("%H:%M", time.localtime(0)),
        "locale": [os.environ.get("LC_ALL"), locale.getlocale()],
        "cwd": [os.getcwd(), os.environ["PWD"]],
        "home": os.path.expanduser("~"),
        "umask": mask,
        "file-order": os.listdir("data"),
        "environment": [sum(map(len, os.environ.values())), list(os.environ)[:3]],
        "tmpdir": os.environ["TMPDIR"],
        "load": beside > 0,
        "clock": int(time.time() / 3600),
        "threads": [os.environ.get(name) for name in json.loads(sys.argv[1])],
        "cpus": sorted(os.sched_getaffinity(0)),
        "instruction-set": [os.environ.get(name) for name in ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE", "MKL_CBWR")],
        "entropy": os.urandom(8).hex(),
        "time": time.time(),
        "pid": os.getpid(),
        "scheduling": [os.sched_getscheduler(0), len(os.sched_getaffinity(0))],
    }
    with open("told.json", "w") as file:
        json.dump(told, file)
    print(json.dumps(told))
"""
#: What else a variation changes of what is told.
ALSO = {
    "tz": {"environment"},
    "locale": {"environment"},
    "cwd": {"environment"},
    "home": {"environment"},
    "tmpdir": {"environment"},
    "clock": {"environment"},
    "threads": {"environment"},
    "instruction-set": {"environment"},
    "file-order": {"environment"},
    "cpus": {"scheduling"},
    "scheduling": {"cpus", "threads", "environment"},
    **{name: {"environment"} for name in ("entropy", "time", "pid")},
}
#: What moves by itself.
FREE = {"entropy", "time", "pid"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], tuple[Variation, ...], dict[str, dict[str, Any]]]:
    """What is told in an unchanged run, all variations, and what is told where one has another value."""
    folder = tmp_path_factory.mktemp("telling") / "work"
    write(folder, TELLING)
    (folder / "data").mkdir()
    for number in range(5):
        (folder / f"data/{number}").touch()
    heard: list[dict[str, Any]] = []

    def listen(before: str, after: str) -> ResultComparison:
        heard.extend(json.loads(Path(place, "told.json").read_text()) for place in (before, after))
        return ResultComparison(before=before, after=after, files=())

    found: dict[str, dict[str, Any]] = {}
    line = (sys.executable, "program.py", json.dumps(THREADS))
    with harness(folder, *line, level=Level.NUMERICS, compare=listen) as made:
        made.run(Phase.REPEAT)
        for variation in made.variations:
            if not variation.impossible:
                setting = ((variation.name, variation.values[1]),)
                run = made.run(Phase.SEARCH, setting)
                assert run.code == 0, run.tail
                assert (run.setting, run.unseen) == (setting, ())
                found[variation.name] = heard[-1]
        return heard[0], made.variations, found


def test_each_variation_reaches_the_program_and_changes_nothing_else(told: Any) -> None:
    unchanged, variations, found = told
    for variation in variations:
        if variation.impossible:
            continue
        for name, value in unchanged.items():
            if name == variation.name:
                assert found[variation.name][name] != value, f"{name} is not varied"
            elif name not in FREE | ALSO.get(variation.name, set()) | {"aslr"}:
                assert found[variation.name][name] == value, f"{variation.name} changes {name}"


def test_unchanged_runs_have_the_same_addresses_and_hashes(tmp_path: Path) -> None:
    write(
        tmp_path / "work",
        """
        with open("/proc/self/maps") as file:
            stack = [line for line in file if "[stack]" in line or "[heap]" in line]
        open("out", "w").write(repr([hash("a"), id(object()), stack]))
        """,
    )
    with harness(tmp_path / "work", sys.executable, "program.py") as made:
        runs = [made.run(Phase.REPEAT) for _ in range(3)]
        named = {variation.name: variation for variation in made.variations}
        assert runs[0].files == 1
        if not named["aslr"].impossible:
            assert len({run.digest for run in runs}) == 1
            random = [made.run(Phase.SEARCH, (("aslr", "on"),)) for _ in range(2)]
            assert len({run.digest for run in (runs[0], *random)}) == 3


@pytest.mark.long
def test_every_value_of_every_variation_starts(tmp_path: Path) -> None:
    write(tmp_path / "work", "import json, os, random\nopen('out', 'w').write('1')\n")
    with harness(tmp_path / "work", sys.executable, "program.py", level=Level.NUMERICS) as made:
        first = made.run(Phase.REPEAT)
        for variation in made.variations:
            if not variation.impossible and variation.name not in {"hash-seed", "file-order", "environment"}:
                for value in variation.values[2:]:
                    run = made.run(Phase.SEARCH, ((variation.name, value),))
                    assert (run.code, run.digest) == (0, first.digest), (variation.name, value, run.tail)


def test_where_no_python_reads_the_hook_it_is_said(tmp_path: Path) -> None:
    write(tmp_path / "work", "open('out', 'w').write('1')\n")
    setting = (("file-order", "reversed"), ("entropy", "held"), ("hash-seed", "1"))
    for line in ((sys.executable, "-I", "program.py"), ("sh", "-c", "echo 1 > out")):
        with harness(tmp_path / "work", *line) as made:
            assert made.run(Phase.VARIED, setting).unseen == ("file-order", "entropy")
    with harness(tmp_path / "work", "sh", "-c", f"{sys.executable} program.py") as made:
        assert made.run(Phase.VARIED, setting).unseen == ()


def test_the_time_of_what_is_no_python_is_held_where_that_can_be(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with harness(tmp_path / "work", "sh", "-c", "date +%s.%N > out") as made:
        runs = [made.run(Phase.HELD, (("time", "held"),)) for _ in range(2)]
        held = len({run.digest for run in runs}) == 1
        if not look({}).faketime:
            assert [run.unseen for run in runs] == [("time",)] * 2
            pytest.skip("libfaketime is not installed")
        assert held
        assert [run.unseen for run in runs] == [()] * 2


# -- the catalogue -----------------------------------------------------------------------------------------------------------------


def _named(level: Level = Level.MACHINE, environ: dict[str, str] | None = None, **options: Any) -> dict[str, Variation]:
    environ = {"HOME": "/"} if environ is None else environ
    return {each.name: each for each in catalogue(look(environ), environ, level, **options)}


def test_each_level_varies_what_those_before_do() -> None:
    varied = [{name for name, each in _named(level).items() if each.varies} for level in Level]
    assert varied[0] < varied[1] < varied[2]
    assert "hash-seed" in varied[0]
    assert {"tz", "cwd", "umask", "file-order"} <= varied[1]
    assert "threads" in varied[2]
    assert _named(Level.PROCESS)["tz"].held == "at level process"


def test_values_are_different_from_each_other_and_none_holds_a_source() -> None:
    for name, each in _named(Level.NUMERICS).items():
        assert len(set(each.values)) == len(each.values), name
        assert not each.source or (each.values == ("free", "held") and not each.varies)


def test_names_choose() -> None:
    named = _named(vary=["threads", "tz"])
    assert {name for name, each in named.items() if each.varies} == {"threads", "tz"}
    assert named["cwd"].held == "not named by --vary"
    assert _named(hold=["tz"])["tz"].held == "--hold tz"
    assert not _named(hold=["tz"])["tz"].varies
    for name in ("numeric", "entropy", "", "TZ"):
        with pytest.raises(UsageError, match="no variation"):
            _named(hold=[name])


def test_a_hash_seed_that_the_caller_set_is_held_and_given(tmp_path: Path) -> None:
    each = _named(environ={"PYTHONHASHSEED": "7"})["hash-seed"]
    assert (each.held, each.values[0]) == ("PYTHONHASHSEED is 7", "7")
    assert len(set(each.values)) == len(each.values)
    assert _named(environ={"SANCTITY_SEED": "7"})["hash-seed"].held
    assert _named(environ={"PYTHONHASHSEED": "random"})["hash-seed"].varies
    write(tmp_path / "work", "import os\nprint(os.environ['PYTHONHASHSEED'])\n")
    for seed, expected in (("7", "7"), ("random", "0")):
        with harness(tmp_path / "work", sys.executable, "program.py", environ={"PYTHONHASHSEED": seed}, stdout=True) as made:
            runs = [made.run(Phase.REPEAT), made.run(Phase.SEARCH, (("hash-seed", "3"),))]
            assert runs[1].comparison is not None
            found = runs[1].comparison.files[0].differences[0]
            assert (found.before, found.after) == (expected, "3")


def test_what_is_not_here_is_said() -> None:
    machine = replace(look({}), cpus=(0,), locales=("C",), faketime="", aslr="not permitted here", isa="armv7l")
    named = {each.name: each for each in catalogue(machine, {}, Level.NUMERICS)}
    impossible = {name: each.impossible for name, each in named.items() if each.impossible}
    assert impossible == {
        "aslr": "not permitted here",
        "locale": "no other locale is installed",
        "home": "there is no HOME",
        "clock": "no libfaketime",
        "cpus": "there is one CPU",
        "instruction-set": "no lesser one of this processor is known",
    }
    assert not any(named[name].varies for name in impossible)


def test_a_home_that_can_not_be_made_again_is_the_callers(tmp_path: Path) -> None:
    write(tmp_path / "work", "import os\nopen('out', 'w').write(os.environ.get('HOME', 'none'))\n")
    full = tmp_path / "full"
    full.mkdir()
    for number in range(2001):
        (full / str(number)).touch()
    for home, why in (
        (str(full), "HOME holds too much"),
        (str(tmp_path / "nothing"), "HOME can not be listed: No such file or directory"),
        ("", "there is no HOME"),
        ("work", "there is no HOME"),
    ):
        with harness(tmp_path / "work", sys.executable, "program.py", environ={"HOME": home}) as made:
            assert {each.name: each for each in made.variations}["home"].impossible == why
            run = made.run(Phase.REPEAT)
            assert (run.code, run.size, run.outside) == (0, len(home), ())


def test_numerics_are_those_of_unchanged_runs() -> None:
    machine = replace(look({}), cpus=(0, 1, 2))
    assert (numerics(machine, {}).threads, numerics(machine, {}).cpus) == (3, 3)
    for told, threads in (("2", 2), ("4,2", 4), ("many", 3), ("0", 3), ("", 3)):
        assert numerics(machine, {"OMP_NUM_THREADS": told}).threads == threads
        values = {each.name: each for each in catalogue(machine, {"OMP_NUM_THREADS": told}, Level.NUMERICS)}["threads"].values
        assert values[0] == str(threads)


# -- ends --------------------------------------------------------------------------------------------------------------------------


def test_what_keeps_the_machine_busy_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    program = """
    import os, signal, subprocess, sys
    from sanctity.variation import launch
    with launch._busy(2):
        children = open(f"/proc/self/task/{os.getpid()}/children").read()
        print(children, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    write(tmp_path, program)
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=False, timeout=60)
    numbers = [int(word) for word in done.stdout.split()]
    assert len(numbers) == 2
    assert all(gone(number) for number in numbers)


def test_runs_that_judge_the_time_see_another_second(tmp_path: Path) -> None:
    """A seed in whole seconds is another one then, however short the runs are; where the time is held nothing is waited for."""
    write(tmp_path / "work", "import time; open('out', 'w').write(str(int(time.time())))")
    with harness(tmp_path / "work", sys.executable, "program.py", outputs=("out",)) as made:
        free = [made.run(Phase.HELD, (("pid", "held"),)) for _ in range(2)]
        held = [made.run(Phase.HELD, (("pid", "held"), ("time", "held"))) for _ in range(2)]
    assert free[0].digest != free[1].digest
    assert held[0].digest == held[1].digest


def test_a_run_ends_with_its_parent_and_the_next_sweeps_what_it_left(tmp_path: Path) -> None:
    program = f"""
    import os, sys, threading, time, signal
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    from pathlib import Path
    from sanctity.model.repeats import Phase
    from variation.harnessing import harness
    def kill():
        while not Path({str(tmp_path / "started")!r}).exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=kill).start()
    waiting = "echo $$ > {tmp_path}/started; sleep 600 & wait"
    with harness(Path({str(tmp_path / "work")!r}), "sh", "-c", waiting) as made:
        made.run(Phase.REPEAT, (("load", "busy"),))
    """
    (tmp_path / "work").mkdir()
    write(tmp_path, program)
    done = subprocess.run([sys.executable, tmp_path / "program.py"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    number = int((tmp_path / "started").read_text())
    assert gone(number)
    (left,) = (tmp_path / "scratch").iterdir()
    with harness(tmp_path / "work", "true"):
        assert not left.exists()
