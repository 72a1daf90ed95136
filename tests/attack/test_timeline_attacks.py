"""What was tried to mislead `cone` and `bisect`, or to make them do harm: with the real uv, and an index on the loopback interface."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from real.dated import DatedIndex, Made, dated_index
from sanctity.report.words import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON: Final = "{}.{}".format(*sys.version_info[:2])
#: Ends with 1 where lib is at 2.0 or later.
VERDICT: Final = "raise SystemExit(lib.V >= '2')"
CULPRIT: Final = "lib 2.0, released 2024-01-10, through app"
#: A time that is before all others once it is told in UTC.
EARLIEST: Final = "0001-01-01T00:00:00+14:00"


def _one(name: str, version: str, day: int, *requires: str) -> Made:
    files = {f"{name}.py": f"V = {version!r}\n".encode()}
    return Made(name=name, version=version, uploaded=f"2024-01-{day:02}T12:00:00Z", requires=requires, files=files)


RELEASES: Final = (
    *(_one("app", "1.0", 1, "lib"), _one("app", "1.1", 9, "lib")),
    *(_one("lib", "1.0", 1), _one("lib", "2.0", 10), _one("lib", "2.1", 14), _one("other", "1.0", 1)),
)


@dataclass(frozen=True)
class Place:
    """An index, a folder to work in, and the variables of a process there."""

    index: DatedIndex
    cwd: Path
    environ: dict[str, str]

    def sanctity(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it."""
        return subprocess.run(
            [sys.executable, "-m", "sanctity", *words],
            cwd=self.cwd,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def bisect(self, *words: str, code: str) -> subprocess.CompletedProcess[str]:
        """Bisect what Python makes of *code*, over the requirements that are there."""
        dates = ("--good", "2024-01-02", "--bad", "2024-01-16", "--repeat", "1", "--python", PYTHON)
        return self.sanctity("bisect", *dates, *words, "requirements.txt", "--", "python", "-c", code)

    def kept(self) -> str:
        """All that was kept of it, below the folder for caches and beside the requirements, but for these."""
        paths = (*Path(self.environ["XDG_CACHE_HOME"]).rglob("*.json"), *self.cwd.glob("*"))
        return "".join(path.read_text() for path in paths if path.is_file() and path.name != "requirements.txt")

    def left(self) -> list[Path]:
        """What is left in the folder for temporary files."""
        return list(Path(self.environ["TMPDIR"]).glob("sanctity-*"))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DatedIndex, Path]]:
    home = tmp_path_factory.mktemp("attacked")
    with dated_index(home / "wheels", RELEASES) as index:
        yield index, home


@pytest.fixture
def place(shelf: tuple[DatedIndex, Path], tmp_path: Path) -> Place:
    index, home = shelf
    for name in ("tmp", "deep", "deep/folder"):
        (tmp_path / name).mkdir()
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "UV_CACHE_DIR": str(home / "uv"),
        "UV_DEFAULT_INDEX": index.url,
        "TMPDIR": str(tmp_path / "tmp"),
        "LANG": "C.UTF-8",
    }
    (tmp_path / "deep/folder/requirements.txt").write_text("app\n")
    return Place(index=index, cwd=tmp_path / "deep/folder", environ=environ)


# -- commands ----------------------------------------------------------------------------------------------------------------------


def test_a_command_that_writes_to_the_requirements_is_told_and_nothing_of_that_is_remembered(place: Place) -> None:
    done = place.bisect(code=f"import lib; open('requirements.txt', 'a').write('other\\n'); {VERDICT}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "requirements-unreadable" in done.stderr
    assert "were changed meanwhile" in done.stderr
    assert '"other"' not in place.kept()
    assert not place.left()


@pytest.mark.long
@pytest.mark.parametrize(
    "harm",
    [
        "shutil.rmtree(e)",
        "shutil.rmtree(e); open(e, 'w')",
        "shutil.rmtree(os.path.dirname(e))",
        "os.rename(e, e + 'x')",
        "shutil.rmtree(e); os.symlink('/', e)",
    ],
)
def test_a_command_that_removes_its_environment_is_judged_by_how_it_ends(place: Place, harm: str) -> None:
    done = place.bisect(code=f"import lib, os, shutil; e = os.environ['VIRTUAL_ENV']; {harm}; {VERDICT}")
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, [CULPRIT]), done.stderr
    assert not place.left()


@pytest.mark.long
def test_a_daemon_that_left_its_group_is_ended_with_the_run_and_leaves_no_folder(place: Place) -> None:
    code = (
        "import lib, os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    open('daemons', 'a').write(f'{os.getpid()}\\n')\n"
        "    e = os.environ['VIRTUAL_ENV']\n"
        "    while True:\n"
        "        try:\n"
        "            os.makedirs(f'{e}/more/{time.time_ns()}')\n"
        "        except OSError:\n"
        "            pass\n"
        "while not os.path.exists('daemons') or os.path.getsize('daemons') == 0:\n"
        "    time.sleep(0.01)\n"
        f"{VERDICT}\n"
    )
    done = place.bisect(code=code)
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, [CULPRIT]), done.stderr
    started = (place.cwd / "daemons").read_text().split()
    assert len(started) >= 2
    assert not [number for number in started if Path(f"/proc/{number}/environ").exists() and _is_ours(number, place)]
    assert not place.left()


def _is_ours(number: str, place: Place) -> bool:
    try:
        return place.environ["TMPDIR"].encode() in Path(f"/proc/{number}/environ").read_bytes()
    except OSError:
        return False


@pytest.mark.long
def test_a_program_that_was_edited_while_it_was_bisected_is_told_with_the_answer(place: Place) -> None:
    (place.cwd / "train.py").write_text(f"import lib\nopen('train.py', 'a').write('# more')\n{VERDICT}\n")
    dates = ("--good", "2024-01-02", "--bad", "2024-01-16", "--repeat", "1", "--python", PYTHON)
    done = place.sanctity("bisect", *dates, "requirements.txt", "--", "python", "train.py")
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, [CULPRIT]), done.stderr
    assert "train.py is not the file that it was at the start" in done.stdout


@pytest.mark.parametrize("name", ["fifo", pytest.param("folder", marks=pytest.mark.long)])
def test_a_log_that_is_no_file_is_refused(place: Place, name: str) -> None:
    os.mkfifo(place.cwd / "fifo")
    (place.cwd / "folder").mkdir()
    done = place.bisect("--log", name, code="import lib")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bisect-log-invalid" in done.stderr


# -- a result ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        ("bisect.json", "it is the log of this bisect"),
        ("./sub/../bisect.json", "it goes down and up again"),
        ("made/../../..", "it goes down and up again"),
        ("..", "it would be removed"),
        ("../..", "it would be removed"),
        (".", "it would be removed"),
        ("/", "it would be removed"),
    ],
)
def test_a_result_that_is_none_of_the_commands_or_would_take_more_with_it_is_refused(
    place: Place, result: str, complaint: str
) -> None:
    done = place.bisect("--compare", result, code="import os; os.mkdir('made')")
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
    assert (place.cwd / "requirements.txt").is_file()
    assert not (place.cwd / "made").exists()


@pytest.mark.long
def test_a_result_beside_the_folder_is_compared_as_any_other(place: Place) -> None:
    done = place.bisect("--compare", "../out", code="import lib; open('../out', 'w').write(lib.V)")
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, [CULPRIT]), done.stderr
    assert not (place.cwd.parent / "out").exists()


@pytest.mark.long
def test_two_bisects_of_one_result_do_not_take_each_others(place: Place) -> None:
    code = "import lib, time; open('running', 'w'); time.sleep(2); open('out', 'w').write(lib.V)"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(place.bisect, "--compare", "out", code=code)
        while not (place.cwd / "running").exists():
            assert not first.done(), first.result().stderr
            time.sleep(0.02)
        second = place.bisect("--compare", "./out", "--log", "other.json", code="import lib; open('out', 'w').write('mine')")
        assert (second.returncode, second.stdout) == (2, "")
        assert "bisect-output-exists" in second.stderr
        done = first.result()
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, [CULPRIT]), done.stderr


# -- secrets -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at https://joe:s3cr3t@index.example/simple, and", "at https://…@index.example/simple, and"),
        ("https://joe:s3@cr3t@index.example/x", "https://…@index.example/x"),
        ("git+https://s3cr3t@git.example/x.git@abc", "git+https://…@git.example/x.git@abc"),
        ("git+ssh://git@git.example/x.git@abc", "git+ssh://git@git.example/x.git@abc"),
        ("git+ssh://git:s3cr3t@git.example/x.git", "git+ssh://…@git.example/x.git"),
        ("`https://files.example/x.whl?token=s3cr3t` (no)", "`https://files.example/x.whl?…` (no)"),
        ("https://files.example/x.zip?k=s3cr3t#subdirectory=a", "https://files.example/x.zip?…#subdirectory=a"),
        ("what? a @ b", "what? a @ b"),
        ("x @ https://files.example/x.whl", "x @ https://files.example/x.whl"),
    ],
)
def test_a_url_is_told_without_its_secrets(text: str, told: str) -> None:
    assert without_secrets(text) == told
    assert without_secrets(told) == told


def test_no_secret_of_a_url_is_printed_or_kept(place: Place) -> None:
    base = place.index.url.removesuffix("/simple").replace("//", "//joe:s3cr3t@")
    (place.cwd / "requirements.txt").write_text(f"nope @ {base}/files/lib-1.0-py3-none-any.whl?t=s3cr3t\n")
    page = place.cwd / "page.html"
    done = place.sanctity("cone", "requirements.txt", "--from", "2024-01-02", "--to", "2024-01-03", "--html", str(page))
    assert done.returncode == 3
    assert "lib-1.0-py3-none-any.whl" in done.stdout
    assert "s3cr3t" not in done.stdout + done.stderr + place.kept()


@pytest.mark.long
def test_a_log_keeps_no_secret_of_a_url_goes_on_all_the_same_and_says_that_it_can_not_be_replayed(place: Place) -> None:
    base = place.index.url.removesuffix("/simple").replace("//", "//joe:s3cr3t@")
    (place.cwd / "requirements.txt").write_text(f"lib @ {base}/files/lib-1.0-py3-none-any.whl?t=s3cr3t\napp\n")
    for _ in range(2):
        done = place.bisect(code="import app; raise SystemExit(app.V == '1.1')")
        assert (done.returncode, done.stdout[:7]) == (0, "app 1.1"), done.stderr
        assert "s3cr3t" not in done.stdout + done.stderr + place.kept()
    # Its last run was lost, as by a kill: what it needs is pinned anew.
    log = place.cwd / "bisect.json"
    document = json.loads(log.read_text())
    document["answer"] = None
    for row in document["environments"]:
        row["runs"] = row["runs"] if row is document["environments"][0] else []
    log.write_text(json.dumps(document))
    done = place.bisect(code="import app; raise SystemExit(app.V == '1.1')")
    assert (done.returncode, done.stdout[:7]) == (0, "app 1.1"), done.stderr
    done = place.sanctity("bisect", "--replay", "bisect.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "whose password or query no log keeps" in done.stderr


# -- uv ----------------------------------------------------------------------------------------------------------------------------


def _false_uv(place: Place, script: str) -> None:
    folder = place.cwd.parent / "false"
    folder.mkdir()
    (folder / "uv").write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "uv 99.9.9"; exit; }}\n{script}\n')
    (folder / "uv").chmod(0o755)
    place.environ["PATH"] = f"{folder}{os.pathsep}{place.environ['PATH']}"


@pytest.mark.long
@pytest.mark.parametrize(
    "script",
    [
        "head -c 3000 /dev/urandom",
        "kill -9 $$",
        "echo 'packages = 3'",
        'echo \'lock-version = "1.0"\'; echo "packages = [{name = 3}]"',
        "cat <<end\nlock-version = '1.0'\npackages = [{name = 'x', version = '1', wheels = 3}]\nend",
        f"cat <<end\nlock-version = '1.0'\npackages = [{{name = 'x', version = '1', wheels = [{{upload-time = {EARLIEST}}}]}}]\nend",
    ],
)
def test_a_uv_that_says_rubbish_is_told(place: Place, script: str) -> None:
    _false_uv(place, script)
    done = place.sanctity("cone", "requirements.txt", "--from", "2024-01-02", "--to", "2024-01-03")
    assert (done.returncode, done.stdout) == (3, "")
    assert "resolver-failed" in done.stderr


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long), pytest.param(signal.SIGHUP, marks=pytest.mark.long)],
)
def test_a_cone_that_is_stopped_leaves_no_uv_behind(place: Place, number: int) -> None:
    _false_uv(place, 'echo $$ >> "$TMPDIR/started"; sleep 600 & sleep 600')
    words = [sys.executable, "-m", "sanctity", "cone", "requirements.txt", "--from", "2024-01-02", "--to", "2024-01-03"]
    process = subprocess.Popen(words, cwd=place.cwd, env=place.environ, stderr=subprocess.PIPE, text=True, start_new_session=True)
    started = Path(place.environ["TMPDIR"], "started")
    while not started.exists() or not started.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == -number
    assert "stopped; what was resolved is remembered" in said
    for group in started.read_text().split():
        for wait in itertools.count():  # a process that was ended is there until it is reaped
            try:
                os.killpg(int(group), 0)
            except ProcessLookupError:
                break
            assert wait < 3000
            time.sleep(0.01)
    assert not place.left()


# -- what is remembered ------------------------------------------------------------------------------------------------------------


def _cone(place: Place) -> subprocess.CompletedProcess[str]:
    words = ("--from", "2024-01-02", "--to", "2024-01-03", "--format", "json")
    return place.sanctity("cone", "requirements.txt", *words)


@pytest.mark.parametrize("encoding", ["utf-8-sig", pytest.param("utf-16", marks=pytest.mark.long)])
def test_what_a_file_of_another_encoding_includes_takes_part_in_what_is_remembered(place: Place, encoding: str) -> None:
    (place.cwd / "requirements.txt").write_text("-r below.txt\n", encoding=encoding)
    for name in ("app", "other"):
        (place.cwd / "below.txt").write_text(f"{name}\n")
        done = _cone(place)
        assert done.returncode == 0, done.stderr
        assert f'"{name}"' in done.stdout


@pytest.mark.parametrize(
    "what", ["fifo", pytest.param("folder", marks=pytest.mark.long), pytest.param("zero", marks=pytest.mark.long)]
)
def test_what_is_no_file_in_the_place_of_an_entry_is_no_entry(place: Place, what: str) -> None:
    first = _cone(place)
    assert first.returncode == 0, first.stderr
    entries = list(Path(place.environ["XDG_CACHE_HOME"]).rglob("*.json"))
    assert entries
    for entry in entries:
        entry.unlink()
        {"fifo": os.mkfifo, "folder": os.mkdir, "zero": lambda path: os.symlink("/dev/zero", path)}[what](entry)
    done = _cone(place)
    assert (done.returncode, done.stdout) == (0, first.stdout), done.stderr


@pytest.mark.long
def test_a_replay_says_what_it_runs_before_it_does(place: Place) -> None:
    done = place.bisect(code=f"import lib; {VERDICT}")
    assert done.returncode == 0, done.stderr
    log = place.cwd / "bisect.json"
    document = json.loads(log.read_text())
    document["question"]["command"] = ["sh", "-c", "echo \x1b[2J; touch harmed; exit 3"]
    log.write_text(json.dumps(document))
    done = place.sanctity("bisect", "--replay", "bisect.json")
    assert done.returncode == 1
    first = done.stderr.splitlines()[0]
    assert first.startswith("runs, from bisect.json: sh -c 'echo \\x1b[2J; touch harmed")
