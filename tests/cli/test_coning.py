"""The verb cone, from the command line to the exit code: the real uv, and an index on the loopback interface with upload times."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from real.dated import DatedIndex, Made, dated_index
from real.tools import gone
from sanctity.cli import main
from sanctity.report.cone import schema
from sanctity.timeline.uv import find_uv
from sanctity.verbs.coning import _machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from real.tools import Workshop

SHELF = (
    Made(name="tool", version="1.0", uploaded="2022-12-01T10:00:00Z", requires=("base",)),
    Made(name="tool", version="1.1", uploaded="2023-02-10T00:00:00Z", requires=("base",)),
    Made(name="tool", version="2.0", uploaded="2023-05-01T00:00:00Z", requires=("base>=2", "other; sys_platform == 'win32'")),
    Made(name="base", version="1.0", uploaded="2022-11-01T00:00:00Z"),
    Made(name="base", version="2.0", uploaded="2023-03-10T00:00:00Z"),
    Made(name="other", version="1.0", uploaded="2022-10-01T00:00:00Z"),
    Made(name="late", version="1.0", uploaded="2023-03-15T00:00:00Z"),
    Made(name="undated", version="1.0"),
)
RANGE = ("--from", "2023-01-01", "--to", "2023-06-01", "--python", "3.11")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatedIndex]:
    with dated_index(tmp_path_factory.mktemp("shelf"), SHELF) as index:
        yield index


@pytest.fixture
def folder(shelf: DatedIndex, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in with requirements, whose user's uv knows that index alone."""
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_CONFIG_HOME": str(tmp_path / "home"),
        "UV_DEFAULT_INDEX": shelf.url,
        "UV_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "uv-cache"),
        "UV_HTTP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    project = tmp_path / "project"
    project.mkdir()
    (project / "requirements.in").write_text("tool\n")
    monkeypatch.chdir(project)
    return project


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(argv))
    code = caught.value.code
    assert isinstance(code, int)
    return code


def document(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> dict[str, Any]:
    assert run("cone", *argv, "--format", "json") == code
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def kept(folder: Path) -> list[Path]:
    """The entries of resolutions, without those of who asks for what."""
    return [path for path in (folder.parent / "cache").rglob("*.json") if '"releases"' in path.read_text()]


def test_the_cone_of_a_loose_file_and_its_lock_beside_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("tool==1.0\nbase==1.0\n")
    assert run("cone", "requirements.in", *RANGE) == 0
    out, err = capsys.readouterr()
    assert err == "", "no progress bar in a pipe"
    assert out.startswith("CONE  requirements.in   2023-01-01 to 2023-06-01, every month; Python 3.11")
    assert "4 distinct environments at 6 dates" in out
    assert "on 2023-06-01 2 of 2 packages are not what they were on 2023-01-01" in out
    assert "tool widens it most: 3 versions, 1.0 to 2.0, through -r requirements.in" in out
    assert "requirements.txt locks 2 packages: one environment at every date" in out
    assert "differs from requirements.txt in 2 packages" in out
    made = document(capsys, "requirements.in", *RANGE)
    jsonschema.validate(made, schema())
    assert [date["environment"] for date in made["dates"]] == [0, 0, 1, 2, 3, 3]
    base = next(package for package in made["packages"] if package["name"] == "base")
    assert base["states"] == [{"at": "2023-01-02T00:00:00Z", "version": "1.0"}, {"at": "2023-04-02T00:00:00Z", "version": "2.0"}]
    assert base["via"] == ["tool"]


def test_pictures_and_the_page_are_written_and_are_the_same_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--svg", "cone.svg", "--png", "cone.png", "--html", "cone.html", "-o", "cone.txt")
    assert run("cone", "requirements.in", *RANGE, *files) == 0
    assert capsys.readouterr().out == ""
    first = {path.name: path.read_bytes() for path in folder.glob("cone.*")}
    assert set(first) == {"cone.svg", "cone.png", "cone.html", "cone.txt"}
    assert b"came to 4 environments" in first["cone.svg"]
    assert first["cone.txt"].startswith(b"CONE  ")
    assert run("cone", "requirements.in", *RANGE, *files) == 0
    assert {path.name: path.read_bytes() for path in folder.glob("cone.*")} == first
    assert run("cone", "requirements.in", *RANGE, "--svg", "not/here.svg") == 3
    assert "output-failed" in capsys.readouterr().err


def test_a_project_with_its_extras_groups_and_lock(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["base"]\n'
        '[project.optional-dependencies]\nmore = ["tool"]\n[dependency-groups]\ndev = ["other"]\n'
    )
    subprocess.run([find_uv(os.environ), "lock", "-q", "--exclude-newer", "2023-02-01T00:00:00Z"], cwd=folder, check=True)
    made = document(capsys, "pyproject.toml", *RANGE)
    assert [package["name"] for package in made["packages"]] == ["base"]
    # The lock's group dev is not asked for at any date, so it is not held against what was resolved.
    assert made["lock"] == {
        "path": "uv.lock",
        "packages": [{"name": "base", "version": "1.0"}],
        "differs": [{"name": "base", "locked": "1.0", "last": "2.0"}],
    }
    made = document(capsys, "pyproject.toml", *RANGE, "--extra", "more", "--group", "dev")
    assert [package["name"] for package in made["lock"]["packages"]] == ["base", "other", "tool"]
    assert {package["name"] for package in made["packages"]} == {"base", "other", "tool"}


def test_the_lock_is_read_for_the_platform_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["tool"]\n'
    )
    subprocess.run([find_uv(os.environ), "lock", "-q", "--exclude-newer", "2023-06-01T00:00:00Z"], cwd=folder, check=True)
    for platform, names in (
        ("windows", {"base", "other", "tool"}),
        ("aarch64-apple-darwin", {"base", "tool"}),
        ("", {"base", "tool"}),
    ):
        made = document(
            capsys,
            "pyproject.toml",
            "--from",
            "2023-06-01",
            "--to",
            "2023-06-01",
            "--python",
            "3.12",
            *(("--platform", platform) if platform else ()),
        )
        assert {package["name"] for package in made["lock"]["packages"]} == names
        assert made["lock"]["differs"] == []


@pytest.mark.parametrize(
    ("word", "machine"),
    [
        ("windows", "win-x86_64"),
        ("aarch64-pc-windows-msvc", "win-aarch64"),
        ("macos", "macosx-aarch64"),
        ("x86_64-apple-darwin", "macosx-x86_64"),
        ("linux", "linux-x86_64"),
        ("aarch64-manylinux_2_28", "linux-aarch64"),
        ("x86_64-unknown-linux-musl", "linux-x86_64"),
        ("i686-pc-windows-msvc", "win-i686"),
    ],
)
def test_uvs_words_for_platforms_are_those_of_markers(word: str, machine: str) -> None:
    assert _machine(word) == machine


def test_another_python_and_platform(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = document(capsys, "requirements.in", *RANGE[:4], "--python", "3.13", "--platform", "windows", "--every", "quarter")
    assert made["target"] == {"python": "3.13", "platform": "windows"}
    assert [date["at"] for date in made["dates"]] == ["2023-01-02T00:00:00Z", "2023-04-02T00:00:00Z", "2023-06-02T00:00:00Z"]
    assert "other" in {package["name"] for package in made["packages"]}


def test_dates_without_a_resolution_are_told_with_the_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.in").write_text("late\n")
    assert run("cone", "requirements.in", *RANGE) == 0
    out = capsys.readouterr().out
    assert "no resolution  2023-01-01 to 2023-03-01 (3 dates): Because there are no versions of late" in out
    assert (
        run("cone", "requirements.in", "--from", "2023-01-01", "--to", "2023-02-01", "--html", "cone.html", "--svg", "cone.svg")
        == 3
    )
    assert capsys.readouterr().out.startswith("NO RESOLUTION  ")
    assert "can not be resolved" in (folder / "cone.html").read_text()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("nowhere\n", 3, "package-unknown"),
        ("undated\n", 3, "upload-times-missing"),
        ("tool==\n", 2, "requirements-unreadable"),
        ("-r nothing.in\n", 2, "requirements-unreadable"),
    ],
)
def test_what_fails_at_every_date_is_one_error(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, said: str
) -> None:
    (folder / "requirements.in").write_text(text)
    assert run("cone", "requirements.in", *RANGE) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {said}\n")
    assert "hint: " in err
    assert document(capsys, "requirements.in", *RANGE, code=code)["error"]["code"] == said


def test_a_package_without_upload_times_can_be_let_float(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.in").write_text("undated\ntool\n")
    assert run("cone", "requirements.in", *RANGE, "--undated", "undated") == 0
    assert "whatever the date, any release was taken of undated" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "2023-99-01"),
        ("--from", "2999-01-01"),
        ("--from", "2023-02-01", "--to", "2023-01-01"),
        ("--from", "2023-01-01", "--every", "fortnight"),
        ("--from", "2023-01-01", "--python", "three"),
        ("--from", "2023-01-01", "--platform", "amiga"),
        ("--from", "2023-01-01", "--extra", "x"),
        ("--from", "2023-01-01", "--lock", "nothing.lock"),
    ],
)
def test_bad_usage_names_its_place_and_a_remedy(folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    assert run("cone", "requirements.in", *options) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "hint: " in err
    assert "Traceback" not in err


def test_a_file_that_only_looks_like_the_lock_is_not_taken_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "requirements.txt").write_text("tool\nbase==1.0\n")
    assert document(capsys, "requirements.in", *RANGE)["lock"] is None
    (folder / "requirements.txt").write_text("tool==1.0 --nonsense\n")
    made = document(capsys, "requirements.in", *RANGE)
    assert made["lock"] is None
    assert "requirements.txt was not read as the lock" in made["notices"][0]
    assert run("cone", "requirements.in", *RANGE, "--lock", "requirements.txt") == 2


def test_a_page_without_matplotlib_has_its_tables_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run("cone", "requirements.in", *RANGE, "--html", "cone.html") == 0
    assert "note: the page has no picture" in capsys.readouterr().out
    assert "<table" in (folder / "cone.html").read_text()


def test_a_picture_that_can_not_be_drawn_is_refused_before_anything_is_resolved(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for option in ("--svg", "--png"):
        assert run("cone", "requirements.in", *RANGE, option, "cone.picture", "--html", "cone.html") == 3
        out, err = capsys.readouterr()
        assert err.startswith("error: plots-not-installed\n")
        assert "pipx inject sanctity matplotlib" in err
        assert out == ""
    assert not kept(folder)
    assert not (folder / "cone.html").exists()


# --- interrupted


def slow_uv(folder: Path, at: str) -> dict[str, str]:
    """An environ whose uv writes down the dates it resolves, and sleeps for ever at the date *at*."""
    programs = folder.parent / "bin"
    programs.mkdir(exist_ok=True)
    log = programs / "log"
    script = programs / "uv"
    sleep = f'case "$*" in *"{at}"*) echo $$ >> "{programs}/sleeping"; exec sleep 300;; esac' if at else ""
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *pylock*) echo "$5" >> "{log}";; esac\n{sleep}\nexec "{find_uv(os.environ)}" "$@"\n'
    )
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def interrupted(folder: Path, with_: signal.Signals) -> tuple[int, list[int], str]:
    """Start the verb, wait until all dates but the one that hangs are kept, and send it the signal.

    Gives its exit code, the processes that hung, and what it said.
    """
    command = [sys.executable, "-m", "sanctity", "cone", "requirements.in", *RANGE, "--workers", "2"]
    with subprocess.Popen(
        command, cwd=folder, env=slow_uv(folder, "2023-05-02"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        sleeping = folder.parent / "bin/sleeping"
        for _ in range(2400):
            if len(kept(folder)) == 5 and sleeping.exists():
                break
            time.sleep(0.05)
        child.send_signal(with_)
        _, err = child.communicate(timeout=60)
    return child.returncode, [int(line) for line in sleeping.read_text().split()], err


def resumed(folder: Path) -> list[str]:
    """The dates that are resolved when it is run again."""
    (folder.parent / "bin/log").unlink()
    environ = slow_uv(folder, "")
    command = [sys.executable, "-m", "sanctity", "cone", "requirements.in", *RANGE, "--format", "json"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    assert [date["environment"] for date in json.loads(done.stdout)["dates"]] == [0, 0, 1, 2, 3, 3]
    return (folder.parent / "bin/log").read_text().split()


@pytest.mark.long
def test_who_was_killed_goes_on_where_it_was(folder: Path) -> None:
    code, sleeping, _ = interrupted(folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    for pid in sleeping:
        os.kill(pid, signal.SIGKILL)  # nobody was left to end it
    assert not list((folder.parent / "cache").rglob("*.tmp"))
    assert resumed(folder) == ["2023-05-02T00:00:00Z"]


def test_an_interrupt_ends_what_runs_and_keeps_what_was_done(folder: Path) -> None:
    code, sleeping, err = interrupted(folder, signal.SIGINT)
    assert (code, err.strip()) == (-signal.SIGINT, "stopped; what was resolved is remembered: the same command goes on from there")
    assert all(map(gone, sleeping))
    assert resumed(folder) == ["2023-05-02T00:00:00Z"]


def test_a_terminal_shows_how_far_it_is_and_is_left_clean(folder: Path) -> None:
    environ = {**slow_uv(folder, ""), "TERM": "xterm", "COLUMNS": "100"}
    script = folder.parent / "bin/uv"
    script.write_text(script.read_text().replace("exec", "sleep 0.7; exec", 1))
    leader, follower = os.openpty()
    command = [sys.executable, "-m", "sanctity", "cone", "requirements.in", *RANGE, "--workers", "1"]
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=follower) as child:
        os.close(follower)
        shown = b""
        try:
            while part := os.read(leader, 65536):
                shown += part
        except OSError:  # the terminal was hung up
            pass
        out = child.stdout.read() if child.stdout else b""
    os.close(leader)
    assert child.returncode == 0
    assert b"resolving" in shown
    assert b"6 dates" in shown or b"/6" in shown
    assert out.startswith(b"CONE  ")
    assert b"resolving" not in out


# --- the real index


@pytest.mark.index
def test_the_cone_of_numpy_on_the_real_index(workshop: Workshop, tmp_path: Path) -> None:
    """What was released in the past stays so: numpy 2.0.0 came on 16 June 2024, and scikit-learn 1.5.0 asked for numpy before it."""
    (tmp_path / "requirements.in").write_text("scikit-learn\nnumpy\n")
    environ = workshop.environ(PATH=os.environ["PATH"])
    command = [
        sys.executable,
        "-m",
        "sanctity",
        "cone",
        "requirements.in",
        "--format",
        "json",
        "--from",
        "2024-06-14",
        "--to",
        "2024-06-18",
    ]
    done = subprocess.run(
        [*command, "--every", "day", "--python", "3.11", "--platform", "linux"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    jsonschema.validate(made, schema())
    numpy = next(package for package in made["packages"] if package["name"] == "numpy")
    assert [(state["at"], state["version"]) for state in numpy["states"]] == [
        ("2024-06-15T00:00:00Z", "1.26.4"),
        ("2024-06-17T00:00:00Z", "2.0.0"),
    ]
    assert "scikit-learn" in numpy["via"]
    released = {
        package["version"]: package["uploaded"]
        for each in made["environments"]
        for package in each["packages"]
        if package["name"] == "numpy"
    }
    assert released["2.0.0"].startswith("2024-06-16T")


def test_the_python_of_an_interpreter_is_resolved_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cone", "requirements.in", *RANGE[:4], "--python", sys.executable) == 0
    assert "Python {}.{} on".format(*sys.version_info[:2]) in capsys.readouterr().out
    assert run("cone", "requirements.in", *RANGE[:4], "--python", str(folder / "requirements.in")) == 2
    assert "no Python that can be started" in capsys.readouterr().err


def test_with_only_binary_it_is_said_and_remembered_apart(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cone", "requirements.in", *RANGE, "--only-binary") == 0
    assert "only wheels were chosen" in "".join(capsys.readouterr())
    kept = {path.name for path in (folder.parent / "cache").rglob("*.json")}
    assert run("cone", "requirements.in", *RANGE) == 0
    assert "only wheels were chosen" not in "".join(capsys.readouterr())
    assert {path.name for path in (folder.parent / "cache").rglob("*.json")} > kept
