"""Runs in places of their own: what can not fool them, and what no program can do to the caller's folder."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.tools import gone
from sanctity.errors import SanctityError, UsageError
from sanctity.model.repeats import Phase
from sanctity.model.result import Sameness
from sanctity.processes import end_group
from sanctity.variation.patterns import Patterns
from sanctity.variation.place import make_scratch
from variation.harnessing import harness, write

if TYPE_CHECKING:
    from sanctity.model.repeats import Run


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def _runs(folder: Path, program: str, *outputs: str, number: int = 1, stdout: bool = False) -> tuple[list[Run], tuple[str, ...]]:
    """Unchanged runs of *program*, and what they changed outside."""
    write(folder, program)
    with harness(folder, sys.executable, "program.py", outputs=outputs, stdout=stdout) as made:
        return [made.run(Phase.REPEAT) for _ in range(number)], made.outside


def _state(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in folder.rglob("*")
    }


# -- what is compared --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [(), ("out/**",), ("out",), ("./out/",), ("out/*/*.bin",), ("**/*.bin",), ("*",), ("**",)])
def test_what_lay_there_before_is_never_an_output(work: Path, outputs: tuple[str, ...]) -> None:
    (work / "out/deep").mkdir(parents=True)
    (work / "out/deep/model.bin").write_bytes(b"old")
    (work / "result.bin").write_bytes(b"old")
    (run,), outside = _runs(work, "print(1)", *outputs)
    assert (run.files, run.code, outside) == (0, 0, ())


@pytest.mark.parametrize(
    "outputs", [(), ("out/**",), ("out",), ("out/deep/model.bin",), ("**/*.bin",), ("**",), ("o*/**/m[a-z]del.*",)]
)
def test_what_is_written_again_is_one_and_the_callers_own_stays(work: Path, outputs: tuple[str, ...]) -> None:
    (work / "out/deep").mkdir(parents=True)
    (work / "out/deep/model.bin").write_bytes(b"old")
    program = """
    import os
    os.makedirs("out/deep", exist_ok=True)
    open("out/deep/model.bin", "wb").write(b"new")
    """
    before = _state(work)
    (run,), outside = _runs(work, program, *outputs)
    assert (run.files, run.size, outside) == (1, 3, ())
    after = _state(work)
    after.pop("program.py")
    assert after == before


def test_only_what_is_named_is_compared(work: Path) -> None:
    program = """
    import os, pathlib
    for name in ("out/a.json", "out/b/c.json", "out/b/d.txt", "log.txt", ".hidden.json", "out/[x].json"):
        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(name).write_text(name)
    """
    counts = {
        (): 6,
        ("out/**",): 4,
        ("out/*.json",): 2,
        ("**/*.json",): 4,
        ("out/b", "log.txt"): 3,
        ("nothing/**",): 0,
    }
    found = {outputs: _runs(work, program, *outputs)[0][0].files for outputs in counts}
    assert found == counts


@given(st.data())
@pytest.mark.long
def test_patterns_name_what_glob_finds(data: st.DataObject) -> None:
    """By the standard library, which finds files by the same rules where hidden names are no exception."""
    name = st.sampled_from(["a", "b", "ab", "ba", ".a", "[a]", "^", "!", "]", "*"])
    assert not Patterns(["*b"]).match("a/b")
    paths = {"/".join(parts) for parts in data.draw(st.lists(st.lists(name, min_size=1, max_size=4), min_size=3, max_size=12))}
    files = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    part = st.one_of(name, st.sampled_from(["**", "*", "a*", "?", "[a]", "[!a]", "[]a]", "[^a]*", "[a-b]", "[[]*", "*b"]))
    text = "/".join(data.draw(st.lists(part, min_size=1, max_size=4)))
    patterns = Patterns([text])
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            Path(folder, file).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, file).touch()
        found = set(glob.glob(text, root_dir=folder, recursive=True, include_hidden=True)) - {""}
        expected = {file for file in files for path in found if file == path.rstrip("/") or file.startswith(f"{path.rstrip('/')}/")}
    assert {file for file in files if patterns.all or patterns.match(file)} == expected


@pytest.mark.parametrize("pattern", ["", "/abs/**", "../out/**", "out/../../x", "a/..", "x\0y"])
def test_patterns_that_lead_out_are_refused(work: Path, pattern: str) -> None:
    with pytest.raises(UsageError, match=r"pattern|outputs") as caught, harness(work, "true", outputs=(pattern,)):
        pass
    assert caught.value.code == "usage"


def test_inputs_that_a_wild_pattern_names_are_there_and_not_compared(work: Path) -> None:
    (work / "input.csv").write_text("1,2\n")
    (run,), outside = _runs(work, "open('result.csv', 'w').write(open('input.csv').read())", "*.csv")
    assert (run.files, run.size, outside) == (1, 4, ())


def test_a_file_of_a_run_is_not_seen_by_the_next(work: Path) -> None:
    program = """
    import os
    seen = os.path.exists("out/count") and open("out/count").read()
    os.makedirs("out", exist_ok=True)
    open("out/count", "w").write(f"{seen}+")
    """
    runs, _ = _runs(work, program, number=3)
    assert len({run.digest for run in runs}) == 1
    assert runs[1].sameness is Sameness.IDENTICAL


def test_files_that_only_one_run_wrote_and_exit_codes_make_a_difference(work: Path, tmp_path: Path) -> None:
    program = f"""
    import os, sys
    open("out", "w").write("1")
    if os.path.exists({str(tmp_path / "mark")!r}):
        {{0}}
    open({str(tmp_path / "mark")!r}, "w").close()
    """
    for doing in (
        'open("more", "w").write("2")',
        'open("out", "w").write("2")',
        'os.unlink("out")',
        "sys.exit(3)",
        "os.kill(0, 9)",
    ):
        (tmp_path / "mark").unlink(missing_ok=True)
        runs, _ = _runs(work, program.format(doing), number=2)
        assert runs[0].code == 0
        assert not runs[1].same, doing
    assert runs[1].code == -signal.SIGKILL


def test_another_container_around_the_same_values_is_the_same_and_told(work: Path) -> None:
    program = """
    import json, os
    seed = os.environ["PYTHONHASHSEED"]
    keys = ["a", "b"] if seed == "0" else ["b", "a"]
    json.dump({key: 1 + (seed == "2") for key in keys}, open("out.json", "w"))
    """
    write(work, program)
    with harness(work, sys.executable, "program.py") as made:
        runs = [made.run(Phase.SEARCH, (("hash-seed", seed),)) for seed in ("0", "1", "2")]
    assert len({run.digest for run in runs}) == 3
    assert [run.sameness for run in runs] == [Sameness.IDENTICAL, Sameness.EQUAL, Sameness.DIFFERENT]
    assert [run.same for run in runs] == [True, True, False]


def test_standard_output_is_an_output_where_that_is_asked(work: Path) -> None:
    runs, _ = _runs(work, "import os; print(os.urandom(3)); import sys; print('x', file=sys.stderr)", number=2)
    assert [run.files for run in runs] == [0, 0]
    runs, _ = _runs(work, "import os; print(os.urandom(3))", number=2, stdout=True)
    assert [run.files for run in runs] == [1, 1]
    assert runs[1].sameness is Sameness.DIFFERENT
    assert runs[1].comparison is not None
    assert runs[1].comparison.files[0].path == "<stdout>"
    assert (runs[1].comparison.before, runs[1].comparison.after) == ("run 1", "run 2")


@pytest.mark.long
def test_names_of_all_kinds_are_outputs(work: Path) -> None:
    program = r"""
    import os
    for name in (b"\xff\xfe", "ü\n".encode(), b"-rf", b" ", b"a" * 255):
        open(name, "wb").write(b"x")
    os.mkdir("empty")
    os.mkfifo("pipe")
    """
    (run,), outside = _runs(work, program)
    assert (run.code, run.files, run.size, outside) == (0, 5, 5, ())


def test_the_first_and_what_differs_gravest_are_kept_where_it_is_asked(work: Path, tmp_path: Path) -> None:
    write(work, "import os\nos.mkdir('out')\nopen('out/x', 'w').write(os.environ['PYTHONHASHSEED'])\n")
    line = (sys.executable, "program.py")
    with harness(work, *line, keep=str(tmp_path / "kept")) as made:
        for seed in ("0", "5", "6"):
            made.run(Phase.VARIED, (("hash-seed", seed),))
        assert not (tmp_path / "kept").exists()
    assert (tmp_path / "kept/first/out/x").read_text() == "0"
    assert (tmp_path / "kept/different/out/x").read_text() == "5"
    with pytest.raises(UsageError, match="there already"), harness(work, *line, keep=str(tmp_path / "kept")):
        pass


# -- what is written elsewhere -----------------------------------------------------------------------------------------------------


def test_what_is_written_outside_is_told(work: Path, tmp_path: Path) -> None:
    (work / "linked").mkdir()
    (work / "linked/.git").mkdir()
    (work / "big").write_bytes(bytes(300_000))
    for doing, outside in (
        (f"open({str(work / 'direct')!r}, 'w').write('x')", ("direct",)),
        (f"os.mkdir({str(work / 'made')!r})", ("made",)),
        ("open('big', 'r+b').write(b'y')", ("big",)),
        ("open('big', 'ab').write(b'y')", ("big",)),
        ("open('../beside', 'w').write('x')", ("../beside",)),
        ("open(os.path.expanduser('~/result'), 'w').write('x')", ("~/result",)),
        ("os.symlink('/etc/passwd', 'leak')", ("leak",)),
        ("os.symlink('../beside', 'leak')", ("leak",)),
        ("os.symlink(os.readlink('big'), 'again')", ("again",)),
        (f"os.unlink({str(work / 'direct')!r})", ("direct",)),
    ):
        (run,), found = _runs(work, f"import os\nopen('out', 'w').write('1')\n{doing}\n")
        assert run.code == 0, run.tail
        assert (run.outside, found) == (outside, outside), doing
        assert run.files == 1
    assert not (tmp_path / "beside").exists()


def test_links_that_stay_inside_are_outputs_wherever_the_place_is(work: Path) -> None:
    program = """
    import os
    os.mkdir("out")
    open("out/model-3", "w").write("x")
    os.symlink("model-3", "out/latest")
    os.symlink(os.path.abspath("out/model-3"), "out/absolute")
    os.symlink("nothing", "out/broken")
    """
    write(work, program)
    with harness(work, sys.executable, "program.py") as made:
        runs = [made.run(Phase.REPEAT), made.run(Phase.VARIED, (("cwd", "another path"),))]
    assert [(run.files, run.outside, run.same) for run in runs] == [(4, (), True)] * 2


def test_what_caches_and_temporary_files_hold_is_nobodys_output(work: Path) -> None:
    (work / "module.py").write_text("value = 1\n")
    program = """
    import os, tempfile, module
    open(os.path.expanduser("~/.cached"), "w").write("x")
    tempfile.NamedTemporaryFile(delete=False).write(b"x")
    open("out", "w").write(repr([module.value, os.path.exists(os.path.expanduser("~/.cached"))]))
    """
    home = Path.home()
    (run,), outside = _runs(work, program)
    assert (run.code, run.files, outside) == (0, 1, ())
    assert not (home / ".cached").exists()


def test_a_program_finds_what_lies_about_it(work: Path, tmp_path: Path) -> None:
    (tmp_path / "sibling").write_text("s")
    (work / "data/deep").mkdir(parents=True)
    (work / "data/deep/x.txt").write_text("d")
    (work / "latest").symlink_to("data/deep")
    (work / "broken").symlink_to("nowhere")
    (work / "loop").symlink_to("loop")
    (work / "up").symlink_to("../sibling")
    (work / "script.sh").write_text('#!/bin/sh\ncat "$1" > out\n')
    (work / "script.sh").chmod(0o755)
    os.mkfifo(work / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        with contextlib.chdir(work):  # the path of a socket is short
            bound.bind("socket")
        program = """
        import os, pathlib, sys
        here = pathlib.Path(__file__).resolve().parent
        assert here == pathlib.Path.cwd() == pathlib.Path(os.environ["PWD"]), here
        assert open("../sibling").read() == "s" == open("up").read()
        assert [str(path) for path in pathlib.Path(".").rglob("*.txt")] == ["data/deep/x.txt"]
        assert open("latest/x.txt").read() == "d"
        for name in ("broken", "loop", "pipe", "socket"):
            assert os.path.lexists(name) and not os.path.isfile(name), name
        assert os.path.realpath("latest") == os.path.realpath("data/deep")
        assert not os.stat("program.py").st_mtime - float(sys.argv[1])
        (here / "out").write_text("1")
        """
        write(work, program)
        changed = (work / "program.py").stat().st_mtime
        for cwd in ("here", "another path", "a longer path"):
            with harness(work, sys.executable, "program.py", repr(changed)) as made:
                run = made.run(Phase.VARIED, (("cwd", cwd),))
                assert (run.code, run.files, made.outside) == (0, 1, ()), run.tail
        with harness(work, "./script.sh", "data/deep/x.txt") as made:
            run = made.run(Phase.REPEAT)
            assert (run.code, run.files, run.size) == (0, 1, 1), run.tail


@pytest.mark.long
def test_a_large_folder_is_linked_and_what_is_written_in_it_is_outside(work: Path) -> None:
    (work / "many").mkdir()
    for number in range(1500):
        (work / f"many/{number}").touch()
    program = """
    import os
    assert len(os.listdir("many")) == 1500 and os.path.islink("many")
    open("out", "w").write("1")
    open("many/new", "w").write("1")
    """
    (run,), outside = _runs(work, program)
    assert (run.code, run.files, outside) == (0, 1, ("many/new",)), run.tail


# -- what a program can do to its place --------------------------------------------------------------------------------------------


def test_whatever_a_program_removes_the_callers_own_stays(work: Path) -> None:
    (work / "data").mkdir()
    (work / "data/input").write_text("precious")
    (work / "big").write_bytes(bytes(300_000))
    (work / ".git").mkdir()
    (work / ".git/HEAD").write_text("precious")
    (work / "link").symlink_to("data")
    before = _state(work)
    for line in ("rm -rf ./* ./.git", "rm -rf ../*", 'rm -rf "$PWD"', 'rm -rf "$HOME"/* "$TMPDIR"', "chmod -R 000 . ; true"):
        with harness(work, "sh", "-c", f"echo 1 > out; {line}", environ={"HOME": str(work.parent)}) as made:
            runs = [made.run(Phase.REPEAT) for _ in range(2)]
            assert {run.code for run in runs} <= {0, 1}
            assert made.outside == ()
    assert _state(work) == before


def test_what_is_shut_is_opened_to_be_read_and_removed(work: Path) -> None:
    program = """
    import os
    os.makedirs("out/deep")
    open("out/deep/x", "w").write("1")
    os.chmod("out/deep/x", 0)
    os.chmod("out/deep", 0)
    os.chmod("out", 0o500)
    """
    (run,), _ = _runs(work, program)
    assert (run.files, run.size) == (1, 1)


def test_what_it_leaves_running_is_ended(work: Path, tmp_path: Path) -> None:
    program = f"""
    import os, subprocess, sys
    code = "import os, time; open({str(tmp_path)!r} + '/' + str(os.getpid()), 'w').close(); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code])
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    while sum(name.isdecimal() for name in os.listdir({str(tmp_path)!r})) < 2:
        pass
    open("out", "w").write("1")
    """
    (run,), _ = _runs(work, program)
    assert (run.code, run.files) == (0, 1)
    left = [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]
    assert len(left) == 2
    assert all(gone(number) for number in left)


def test_a_run_that_takes_too_long_is_ended_and_told(work: Path) -> None:
    with harness(work, "sh", "-c", "echo begun; echo 1 > out; sleep 600", timeout=1) as made:
        run = made.run(Phase.REPEAT)
    assert (run.code, run.files) == (None, 1)
    assert "begun" in run.tail


def test_what_a_failing_command_said_is_told(work: Path) -> None:
    with harness(work, "sh", "-c", "echo told; echo why >&2; exit 7") as made:
        run = made.run(Phase.REPEAT)
    assert (run.code, run.files, run.tail) == (7, 0, "told\nwhy\n")


def test_the_end_of_what_was_said_is_told_where_standard_output_is_kept(work: Path) -> None:
    with harness(work, "sh", "-c", "echo told; echo why >&2; exit 7", stdout=True) as made:
        run = made.run(Phase.REPEAT)
    assert (run.code, run.files, run.tail) == (7, 1, "why\n")


# -- what can not be run -----------------------------------------------------------------------------------------------------------


def test_commands_that_can_not_be_run_are_refused(work: Path) -> None:
    (work / "text").write_text("no program\n")
    (work / "text2").write_bytes(b"\x7fELF no program")
    (work / "text2").chmod(0o755)
    for command, code in (
        ((), "command-not-found"),
        (("no-such-program",), "command-not-found"),
        (("./text",), "command-not-executable"),
    ):
        with pytest.raises(SanctityError) as caught, harness(work, *command):
            pass
        assert caught.value.code == code
    with pytest.raises(SanctityError) as caught, harness(work, "./text2") as made:
        made.run(Phase.REPEAT)
    assert caught.value.code == "command-not-executable"


def test_a_folder_that_is_gone_is_told(tmp_path: Path, work: Path) -> None:
    shutil.rmtree(work)
    with pytest.raises(SanctityError) as caught, harness(work, "true"):
        pass
    assert caught.value.code == "no-working-folder"
    work.mkdir()
    (work / "x").touch()
    with harness(work, "sh", "-c", "echo 1 > out") as made:
        made.run(Phase.REPEAT)
        shutil.rmtree(work)
        run = made.run(Phase.REPEAT)
        assert run.same
        assert made.outside == ("x",)


def test_no_room_is_told(tmp_path: Path, work: Path) -> None:
    (tmp_path / "file").touch()
    for scratch in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(SanctityError) as caught, harness(work, "true", scratch=str(scratch)):
            pass
        assert caught.value.code == "repeats-no-room"
    with pytest.raises(SanctityError, match="PYTHONPATH"):
        make_scratch(str(tmp_path / "a:b"))


@pytest.mark.long
def test_a_full_file_system_is_told_wherever_it_is_met(tmp_path: Path) -> None:
    """In a mount namespace of its own, with file systems of more and more room, until it is enough."""
    unshare = shutil.which("unshare")
    small = tmp_path / "small"
    small.mkdir()
    if (
        unshare is None
        or subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "x", small], capture_output=True, check=False).returncode
    ):
        pytest.skip("no file system can be mounted here")
    write(tmp_path / "work", "open('out', 'wb').write(bytes(100_000))\n")
    (tmp_path / "work/input").write_bytes(bytes(100_000))
    program = f"""
    import sys
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    from pathlib import Path
    from sanctity.errors import SanctityError
    from sanctity.model.repeats import Phase
    from variation.harnessing import harness
    try:
        with harness(Path({str(tmp_path / "work")!r}), {sys.executable!r}, "program.py", scratch={str(small)!r}) as made:
            runs = [made.run(Phase.REPEAT) for _ in range(2)]
            print("made", [run.code for run in runs], "No space" in runs[-1].tail)
    except SanctityError as error:
        print(error.code, "No space" in error.message)
    """
    write(tmp_path, program)
    said = []
    for size in (8, 64, 150, 250, 450):
        mount = f"mount -t tmpfs -o size={size}k x {small} && {sys.executable} {tmp_path}/program.py && ls {small}"
        done = subprocess.run([unshare, "-rm", "sh", "-c", mount], capture_output=True, text=True, check=False, timeout=120)
        assert "Traceback" not in done.stderr, done.stderr
        said.append(done.stdout.strip())
    assert said[0] == "repeats-no-room True"
    assert said[-1] == "made [0, 0] False"
    assert any(line.startswith("made [1") and line.endswith("True") for line in said)
    assert all(line.startswith(("repeats-no-room True", "made [")) for line in said)


def test_controls_are_seen_and_leave_nothing(work: Path) -> None:
    with harness(work, "true") as made:
        assert [(control.name, control.seen) for control in made.controls()] == [("race", True), ("hash-order", True)]
        assert made.outside == ()


def test_a_signal_ends_all_and_leaves_nothing(tmp_path: Path, work: Path) -> None:
    program = f"""
    import sys
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    from pathlib import Path
    from sanctity.model.repeats import Phase
    from variation.harnessing import harness
    with harness(Path({str(work)!r}), "sh", "-c", "echo $$ > {tmp_path}/started; sleep 600") as made:
        made.run(Phase.REPEAT, (("load", "busy"),))
    """
    write(tmp_path, program)
    process = subprocess.Popen([sys.executable, tmp_path / "program.py"], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not (tmp_path / "started").exists() or not (tmp_path / "started").read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    finally:
        end_group(process.pid, 0.0, process)
    assert gone(int((tmp_path / "started").read_text()))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_users_own_folder_can_be_the_working_folder(tmp_path: Path, work: Path) -> None:
    (work / ".cache").mkdir()
    (work / ".cache/x").touch()
    program = f"""
    open({str(work)!r} + "/.cache/y", "w").write("cached")
    open("out", "w").write("1")
    """
    write(work, program)
    with harness(work, sys.executable, "program.py", environ={"HOME": str(work)}) as made:
        run = made.run(Phase.REPEAT)
        assert (run.code, run.files, made.outside) == (0, 1, ())


@pytest.mark.long
def test_a_root_can_be_the_working_folder(tmp_path: Path) -> None:
    with harness(Path("/"), "sh", "-c", "echo 1 > out", scratch=str(tmp_path)) as made:
        run = made.run(Phase.REPEAT)
        assert (run.code, run.files) == (0, 1)
    assert not Path("/out").exists()


def test_what_a_python_writes_far_away_is_told(work: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    (far / "cache").mkdir(parents=True)
    (far / "old").write_text("old")
    program = f"""
    import os, pathlib, tempfile
    far = pathlib.Path({str(far)!r})
    (far / "result").write_text("x")
    (far / "cache/kept").write_text("x")
    (far / ".hidden").write_text("x")
    (far / "gone").write_text("x")
    (far / "gone").unlink()
    (far / "old").read_text()
    open(far / "old", "r+").close()
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("x")
    pathlib.Path("here").write_text("x")
    os.replace("here", "there")
    pathlib.Path(tempfile.gettempdir(), "made").write_text("x")
    os.replace(tempfile.gettempdir() + "/made", far / "moved")
    """
    write(work, program)
    # The folders of tests are temporary ones, so what is temporary is named elsewhere.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sanctity.variation.launch._PASSING", ("/dev",))
        with harness(work, sys.executable, "program.py", environ={"TMPDIR": str(tmp_path / "tmp")}) as made:
            runs = [made.run(phase, (("file-order", "reversed"),)) for phase in (Phase.REPEAT, Phase.VARIED, Phase.VARIED)]
            assert [run.code for run in runs] == [0, 0, 0], runs[0].tail
            assert [run.outside for run in runs] == [(str(far / "moved"), str(far / "result"))] * 3
            assert made.outside == (str(far / "moved"), str(far / "result"))
