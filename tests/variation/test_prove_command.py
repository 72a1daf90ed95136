"""`sanctity prove` as a command: its verdicts and exit codes on small real programs, what can not fool it, and how it is interrupted."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sanctity.processes import started_at

#: What every program below is spared, so that a test is about one thing: beside load a run takes as long again.
QUIET = ("-n", "1", "--hold", "load")


@dataclass(frozen=True)
class Proved:
    """What one `sanctity prove` came to; *left* is what lies in the folder for temporary files afterwards."""

    code: int
    out: str
    err: str
    left: tuple[str, ...]

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Project:
    """A project's folder, with a folder for temporary files and a home beside it."""

    def __init__(self, base: Path) -> None:
        self.folder, self.tmp, self.home = base / "project", base / "scratch", base / "home"
        for each in (self.folder, self.tmp, self.home):
            each.mkdir()
        self.environ = {**os.environ, "TMPDIR": str(self.tmp), "HOME": str(self.home), "NO_COLOR": "1"}
        self.environ.pop("PYTHONHASHSEED", None)

    def write(self, text: str, name: str = "program.py") -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def words(self, options: tuple[str, ...], command: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "sanctity", "prove", *options, "--", *command]

    def prove(self, *options: str, command: tuple[str, ...] = ()) -> Proved:
        """What `prove` says of *command*, by default of the program that was written."""
        done = subprocess.run(
            self.words(options, command or (sys.executable, "-S", "program.py")),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=300,
        )
        return Proved(code=done.returncode, out=done.stdout, err=done.stderr, left=tuple(sorted(os.listdir(self.tmp))))

    def shell(self, script: str, *options: str) -> Proved:
        return self.prove(*(options or QUIET), command=("sh", "-c", script))

    def listing(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# -- verdicts and exit codes -------------------------------------------------------------------------------------------------------


def test_an_honest_program_is_the_same_and_leaves_nothing_behind(project: Project) -> None:
    project.write("import os; os.mkdir('out'); open('out/a', 'w').write('1'); open('b', 'w').write('2'); print('hello')")
    before = project.listing()
    proved = project.prove("-n", "3")
    assert (proved.code, proved.err, proved.left) == (0, "", ())
    assert proved.out.startswith("SAME on this machine")
    assert "2 repeats + 3 runs, 0 differ" in proved.out
    assert project.listing() == before


def test_the_guilty_one_is_the_first_thing_said(project: Project) -> None:
    project.write("import os; os.mkdir('out'); open('out/set.txt', 'w').write(','.join({'cat', 'dog', 'bird', 'fish', 'cow'}))")
    proved = project.prove("-n", "2", "--outputs", "out/**")
    assert (proved.code, proved.err, proved.left) == (1, "", ())
    assert proved.out.startswith("DIFFERENT on this machine: hash seed alone changes out/set.txt")


@pytest.mark.long
def test_each_format_is_the_same_proof(project: Project) -> None:
    script = 'echo "$PYTHONHASHSEED" >result'
    document = project.shell(script, *QUIET, "--format", "json")
    assert document.code == 1
    assert document.document["claim"] == "different"
    assert [each["names"] for each in document.document["guilty"]] == [["hash-seed"]]
    marked = project.shell(script, *QUIET, "--format", "markdown", "-o", "proof.md")
    assert (marked.code, marked.out) == (1, "")
    assert "hash seed" in (project.folder / "proof.md").read_text()


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "options", "guilty"),
    [
        # A level does not vary what belongs to the next one.
        ('echo "$TZ" >out', (*QUIET, "--level", "process"), None),
        ('echo "$TZ" >out', QUIET, ["tz"]),
        ('echo "$OMP_NUM_THREADS" >out', QUIET, None),
        ('echo "$OMP_NUM_THREADS" >out', (*QUIET, "--level", "numerics"), ["threads"]),
        ('echo "$OMP_NUM_THREADS" >out', (*QUIET, "--vary", "numeric"), ["threads"]),
        ('echo "$OMP_NUM_THREADS" >out', ("-n", "1", "--vary", "threads"), ["threads"]),
        ('echo "$OMP_NUM_THREADS" >out', ("-n", "1", "--vary", "numeric", "--vary", "tz"), ["threads"]),
        ('echo "$TZ" >out', (*QUIET, "--hold", "tz"), None),
        ('echo "$TZ" >out', ("-n", "1", "--vary", "umask", "--vary", "hash-seed"), None),
        # What is not named is not compared.
        ('echo "$TZ" >log; echo same >out', (*QUIET, "--outputs", "out"), None),
        ('echo "$TZ"; echo same >out', QUIET, None),
        ('echo "$TZ"', (*QUIET, "--stdout"), ["tz"]),
    ],
)
def test_what_is_varied_and_compared_is_what_is_asked(
    project: Project, script: str, options: tuple[str, ...], guilty: list[str] | None
) -> None:
    proved = project.shell(script, *options, "--format", "json")
    assert proved.code == (1 if guilty else 0), proved.out
    assert [each["names"] for each in proved.document["guilty"]] == ([guilty] if guilty else [])


@pytest.mark.long
def test_two_that_act_only_together(project: Project) -> None:
    proved = project.shell('[ "$PYTHONHASHSEED" != 0 ] && [ "$(umask)" != 0022 ]; echo $? >out', *QUIET, "--format", "json")
    if proved.document["claim"] == "same":
        pytest.fail(proved.out)
    assert [each["names"] for each in proved.document["guilty"]] == [["hash-seed", "umask"]]


@pytest.mark.long
def test_a_variable_that_is_set_by_the_caller_is_his(project: Project) -> None:
    project.environ["PYTHONHASHSEED"] = "7"
    proved = project.shell('echo "$PYTHONHASHSEED" >out')
    assert proved.code == 0
    assert "hash seed" in proved.out.partition("held")[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--vary", "moon"), "hash-seed"),
        (("--vary", "tz", "--hold", "tz"), "varied here: TZ (--hold tz); all others (not named by --vary)\n"),
        (("-o", "nowhere/proof.html"), "-o nowhere/proof.html: No such file or directory"),
        (("--keep", "file/kept"), "--keep file/kept: Not a directory"),
        *(
            pytest.param(options, words, marks=pytest.mark.long)
            for options, words in (
                (("-n", "0"), "-n"),
                (("--hold", "moon"), "hash-seed"),
                (("--level", "galaxy"), "machine"),
                (("--format", "yaml"), "markdown"),
                (("--timeout", "-1"), "--timeout"),
                (("--outputs", "/etc/**"), "/etc/**"),
                (("--outputs", "../out"), "../out"),
                (("--keep", "."), "--keep"),
                (("-o", "."), "Is a directory"),
                (("--keep", "/proc/kept"), "--keep /proc/kept"),
            )
        ),
    ],
)
def test_what_can_not_be_meant_is_refused_before_anything_runs(project: Project, options: tuple[str, ...], words: str) -> None:
    project.write("", "file")
    proved = project.prove(*options, command=("sh", "-c", "echo ran >>$HOME/ran; echo a >out"))
    assert (proved.code, proved.out, proved.left) == (2, "", ())
    assert words in proved.err
    assert "Traceback" not in proved.err
    assert not (project.home / "ran").exists()


@pytest.mark.long
def test_there_is_a_command_and_it_is_there(project: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sanctity", "prove"],
        cwd=project.folder,
        env=project.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "CMD" in done.stderr
    proved = project.prove(command=("no-such-program",))
    assert (proved.code, proved.left) == (3, ())
    assert "command-not-found" in proved.err
    error = project.prove("--format", "json", command=("no-such-program",))
    assert error.document["error"]["code"] == "command-not-found"


@pytest.mark.long
def test_a_working_folder_that_is_gone_is_told(project: Project) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m sanctity prove -- true"
    done = subprocess.run(
        ["sh", "-c", script], cwd=project.folder, env=project.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no-working-folder" in done.stderr


# -- it can not be fooled ----------------------------------------------------------------------------------------------------------


def undecided(proved: Proved, reason: str) -> None:
    assert (proved.code, proved.left) == (3, ()), proved.out
    assert proved.out.startswith("UNDECIDED"), proved.out
    assert f"({reason})" in proved.out.splitlines()[0]


def test_a_stale_output_is_never_compared(project: Project) -> None:
    (project.folder / "out").mkdir()
    (project.folder / "out/result.txt").write_text("of yesterday")
    # It writes only where nothing is there, as programs do that go on from a checkpoint.
    script = '[ -e out/result.txt ] || echo "$PYTHONHASHSEED" >out/result.txt'
    proved = project.shell(script, *QUIET, "--outputs", "out/**")
    assert (proved.code, proved.left) == (1, ()), proved.out
    assert (project.folder / "out/result.txt").read_text() == "of yesterday"


@pytest.mark.long
def test_a_program_that_writes_nothing_beside_a_stale_output_fails(project: Project) -> None:
    (project.folder / "out").mkdir()
    (project.folder / "out/result.txt").write_text("of yesterday")
    undecided(project.shell("true", *QUIET, "--outputs", "out/**"), "output-missing")
    undecided(project.shell("true"), "output-missing")


@pytest.mark.long
def test_what_runs_leave_each_other_is_nothing(project: Project) -> None:
    """Each run appends to what it finds: only a file of its own is of one length."""
    (project.folder / "out").mkdir()
    (project.folder / "out/log").write_text("before\n")
    proved = project.shell("echo line >>out/log; cp out/log copy", *QUIET, "--outputs", "out/**", "--outputs", "copy")
    assert proved.code == 0, proved.out
    assert (project.folder / "out/log").read_text() == "before\n"


@pytest.mark.long
def test_empty_files_prove_nothing(project: Project) -> None:
    undecided(project.shell("mkdir out; : >out/done; : >out/other"), "output-empty")


def test_a_command_that_fails_the_same_way_each_time_has_no_result(project: Project) -> None:
    proved = project.shell("echo partial >out; echo why it failed >&2; exit 4")
    undecided(proved, "command-failed")
    assert "why it failed" in proved.out


@pytest.mark.long
def test_a_command_that_ends_by_a_signal_each_time_has_no_result(project: Project) -> None:
    proved = project.shell("echo partial >out; kill -SEGV $$")
    undecided(proved, "command-failed")
    assert "signal 11" in proved.out


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("{folder}/outside.txt", "outside.txt"),  # by an absolute path
        ("large.bin", "large.bin"),  # through the link to a file that is too large to be copied
        pytest.param("link.bin", "large.bin", marks=pytest.mark.long),  # through a link of the folder's own to that
        pytest.param("{folder}/data/outside.txt", "data/outside.txt", marks=pytest.mark.long),
        pytest.param("../outside.txt", "../outside.txt", marks=pytest.mark.long),
    ],
)
def test_output_outside_is_seen_however_it_got_there(project: Project, target: str, told: str) -> None:
    (project.folder / "data").mkdir()
    (project.folder / "large.bin").write_bytes(bytes(1 << 20))
    (project.folder / "link.bin").symlink_to("large.bin")
    proved = project.shell(f"echo same >out; echo $$ >>{target.format(folder=project.folder)}")
    undecided(proved, "output-outside")
    assert f"outside of its place: {told}" in proved.out


@pytest.mark.long
@pytest.mark.parametrize("target", ["data/result.txt", "data/deep/result.txt", "input.txt", "shared/result.txt"])
def test_what_is_written_into_a_folder_that_is_there_stays_in_the_run(project: Project, target: str) -> None:
    (project.folder / "data/deep").mkdir(parents=True)
    (project.folder / "input.txt").write_text("input")
    (project.folder / "shared").symlink_to("data")
    before = project.listing()
    proved = project.shell(f'echo same >out; echo "$PYTHONHASHSEED" >>{target}')
    assert (proved.code, proved.left) == (1, ()), proved.out
    assert "hash seed alone changes" in proved.out
    assert project.listing() == before


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_output_beside_a_resolved_path_is_compared_or_told(project: Project, size: int) -> None:
    """A program finds its folder by resolving a file in it: a copy in the run's own place, or a link out of it."""
    (project.folder / "data").mkdir()
    (project.folder / "data/in.bin").write_bytes(bytes(size))
    project.write(
        "from pathlib import Path\n"
        "Path('same.txt').write_text('same')\n"
        "place = Path('data/in.bin').resolve().parent / 'result.txt'\n"
        "place.write_text(repr({'cat', 'dog', 'bird'}))\n"
    )
    proved = project.prove(*QUIET)
    if size > 1:
        undecided(proved, "output-outside")
    else:
        assert proved.code == 1
        assert not (project.folder / "data/result.txt").exists()


@pytest.mark.long
def test_a_link_that_leads_out_is_no_result(project: Project) -> None:
    proved = project.shell('echo same >out; echo "$PYTHONHASHSEED" >"$HOME/.result"; ln -s "$HOME/.result" link')
    assert proved.code != 0, proved.out


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('echo same >out; [ "$PYTHONHASHSEED" = 0 ] || exit 3', "exit status 3"),
        ('echo same >out; [ "$PYTHONHASHSEED" = 0 ] || kill -SEGV $$', "signal 11"),
        ('echo same >out; [ "$PYTHONHASHSEED" = 0 ] || echo more >extra', "extra"),
        ('echo same >out; [ "$PYTHONHASHSEED" != 0 ] || : >marker', "marker"),
        ('[ "$PYTHONHASHSEED" = 0 ] && echo same >out; true', "out"),
    ],
)
def test_what_is_not_in_the_bytes_is_compared_too(project: Project, script: str, words: str) -> None:
    proved = project.shell(script)
    assert (proved.code, proved.left) == (1, ()), proved.out
    first = proved.out.splitlines()[0]
    assert first.startswith("DIFFERENT")
    assert "hash seed alone" in first
    assert words in first


@pytest.mark.long
def test_what_fails_now_and_then_is_different(project: Project) -> None:
    """A counter that no run should reach, such as a service has: the second run of all fails."""
    counter = project.home.parent / "counter"
    proved = project.shell(f"echo same >out; echo x >>{counter}; [ $(wc -l <{counter}) -ne 2 ]")
    assert proved.code == 1, proved.out


@pytest.mark.long
def test_a_process_that_is_left_behind_can_not_write_into_the_next_run(project: Project) -> None:
    started = project.home.parent / "pids"
    proved = project.shell(f"(setsid sh -c 'echo $$ >>{started}; sleep 300' &) ; sleep 0.1; echo same >out")
    assert (proved.code, proved.left) == (0, ()), proved.out
    left = [int(line) for line in started.read_text().split()]
    assert len(left) == 3
    assert not any(_runs(number) for number in left)


def test_a_run_that_takes_too_long_is_ended_with_all_that_it_started(project: Project) -> None:
    started = project.home.parent / "pids"
    proved = project.shell(f"echo same >out; echo $$ >>{started}; sleep 300 & echo $! >>{started}; wait", *QUIET, "--timeout", "1")
    undecided(proved, "run-timed-out")
    assert not any(_runs(int(line)) for line in started.read_text().split())


@pytest.mark.long
def test_the_first_result_and_the_first_other_one_can_be_kept(project: Project) -> None:
    proved = project.shell('echo "$PYTHONHASHSEED" >out', *QUIET, "--keep", "kept")
    assert proved.code == 1
    assert (project.folder / "kept/first/out").read_text() == "0\n"
    assert (project.folder / "kept/different/out").read_text() != "0\n"


@pytest.mark.parametrize(
    ("options", "script"),
    [
        # What was seen to be there before the first run is gone, or something is in its place.
        (("--keep", "new/kept"), "mkdir -p {folder}/new; : >{folder}/new/kept"),
        pytest.param(("-o", "new/proof.json", "--format", "json"), "rm -rf {folder}/new", marks=pytest.mark.long),
    ],
)
def test_a_verdict_that_can_not_be_written_is_told(project: Project, options: tuple[str, ...], script: str) -> None:
    (project.folder / ".git").mkdir()  # nobody's output
    options = tuple(word.replace("new", ".git/new") for word in options)
    (project.folder / ".git/new").mkdir()
    proved = project.shell(f"echo same >out; {script.format(folder=project.folder / '.git')}", *QUIET, *options)
    assert (proved.code, proved.left) == (3, ())
    assert (proved.out or proved.err).startswith("SAME on this machine")
    assert ("-o" in options) == (not proved.out)
    assert "error: output-failed" in proved.err


@pytest.mark.long
def test_bytes_around_what_a_held_source_gives_are_not_blamed(project: Project) -> None:
    """Values are drawn from entropy, and their container has the time: with entropy held the values are the same."""
    project.write(
        "import os, struct, time, zipfile\n"
        "head = str({'descr': '|u1', 'fortran_order': False, 'shape': (8,)})\n"
        "head += ' ' * (64 - (10 + len(head) + 1) % 64) + chr(10)\n"
        "array = b'\\x93NUMPY\\x01\\x00' + struct.pack('<H', len(head)) + head.encode() + os.urandom(8)\n"
        "year = 1980 + time.time_ns() // 1000 % 100\n"
        "with zipfile.ZipFile('result.npz', 'w') as file:\n"
        "    file.writestr(zipfile.ZipInfo('a.npy', (year, 1, 1, 0, 0, 0)), array)\n"
    )
    # The hook that holds entropy is loaded by `site`.
    proved = project.prove(*QUIET, "--format", "json", command=(sys.executable, "program.py"))
    assert [each["names"] for each in proved.document["guilty"]] == [["entropy"]]


@pytest.mark.long
def test_a_parent_that_waits_for_no_child_does_not_keep_it_from_being_told(project: Project) -> None:
    """SIGCHLD is ignored from before its start on, as under some supervisors."""
    words = project.words(QUIET, ("sh", "-c", "echo same >out"))
    script = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=project.folder, env=project.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- interrupted -------------------------------------------------------------------------------------------------------------------


def _runs(number: int) -> bool:
    """Whether the process *number* is there and has not ended."""
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


def _appears(path: Path, process: subprocess.Popen[str]) -> str:
    """What the file *path* says once a line is in it."""
    while process.poll() is None:
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.02)
    pytest.fail(f"it ended before it was interrupted: {process.communicate()}")


@pytest.mark.parametrize(
    ("number", "run"),
    [
        (signal.SIGTERM, 1),
        (signal.SIGINT, 3),
        pytest.param(signal.SIGINT, 1, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 3, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, 3, marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_all_and_leaves_nothing(project: Project, number: int, run: int) -> None:
    """In the first run, or beside the load of the third one."""
    pids, count = project.home.parent / "pids", project.home.parent / "count"
    script = (
        f"echo x >>{count}; echo same >out; [ $(wc -l <{count}) -lt {run} ] && exit 0;"
        f" trap '' TERM; sleep 300 & echo $$ $! >{pids}; while :; do wait; done"
    )
    process = subprocess.Popen(
        project.words(("-n", "2"), ("sh", "-c", script)),
        cwd=project.folder,
        env=project.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = [int(word) for word in _appears(pids, process).split()]
    began = [started_at(child) for child in children]
    assert all(began)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (-number, "")
    assert "Traceback" not in err
    assert os.listdir(project.tmp) == []
    assert not any(_runs(child) and started_at(child) == at for child, at in zip(children, began, strict=True))
    assert not _in_session(process.pid)
    assert sorted(os.listdir(project.folder)) == []


def _in_session(session: int) -> list[int]:
    """The processes of *session* that have not ended."""
    found = []
    for name in os.listdir("/proc"):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split() if name.isdecimal() else []
        except OSError:
            continue
        if fields and int(fields[3]) == session and fields[0] != "Z":
            found.append(int(name))
    return found


# -- progress ----------------------------------------------------------------------------------------------------------------------


def test_a_terminal_is_told_which_run_it_is(project: Project) -> None:
    ours, theirs = pty.openpty()
    environ = {**project.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        project.words(QUIET, ("sh", "-c", "sleep 0.3; echo same >out")),
        cwd=project.folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        told = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other side of a pseudo-terminal is closed
                break
            if not part:
                break
            told += part
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read().startswith(b"SAME")
    assert process.returncode == 0
    assert all(f"run {number} of 3".encode() in told for number in (1, 2, 3))
