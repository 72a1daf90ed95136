"""A bisect with the real uv, an index on the loopback interface, and each way in which one can be misled."""

from __future__ import annotations

import fcntl
import hashlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from real.dated import DatedIndex, Made, dated_index
from sanctity.errors import SanctityError
from sanctity.model.bisecting import Certainty, Outcome, Role
from sanctity.report.bisect import bisect_text, schema
from sanctity.timeline.pythons import find_python
from sanctity.timeline.uv import find_uv
from sanctity.timeline.workplace import alone_with_log
from sanctity.verbs.bisecting import Asked, Bisecting, bisect, replay
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from real.tools import Workshop
    from sanctity.model.bisecting import Break

PYTHON = "{}.{}".format(*sys.version_info[:2])


def at(day: int) -> str:
    return f"2024-01-{day:02}T12:00:00Z"


def one(name: str, version: str, day: int | None, *requires: str, yanked: str = "", files: dict[str, bytes] | None = None) -> Made:
    """A release whose module knows its version, uploaded on a day of January 2024 (None: the index does not say when)."""
    own = {f"{name}.py": f"V = {version!r}\n".encode(), **(files or {})}
    return Made(name=name, version=version, uploaded="" if day is None else at(day), requires=requires, files=own, yanked=yanked)


#: What the index has. Each test has packages of its own.
RELEASES = (
    # lib 2.0 breaks app, which asks for it; another changes on the same day.
    *(
        one("app", "1.0", 1, "lib", "calm"),
        one("lib", "1.0", 1),
        one("lib", "2.0", 10),
        one("calm", "1.0", 1),
        one("calm", "1.1", 10),
    ),
    one("lib", "2.1", 14),
    # shaky 2.0 is now this, now that.
    *(one("shaky", "1.0", 1), one("shaky", "2.0", 5), one("shaky", "3.0", 9)),
    # surf breaks, mends and breaks.
    *(one("surf", "1.0", 1), one("surf", "2.0", 4), one("surf", "3.0", 8), one("surf", "4.0", 13)),
    # torn 2.0 has other bytes than its index says.
    *(one("torn", "1.0", 1), one("torn", "2.0", 5), one("torn", "3.0", 12), one("calmer", "1.0", 1), one("calmer", "2.0", 8)),
    *(one("tear", "1.0", 1), one("tear", "2.0", 5)),
    # two that only fail together.
    *(one("left", "1.0", 1), one("left", "2.0", 6), one("right", "1.0", 1), one("right", "2.0", 6), one("bystander", "1.0", 1)),
    *(one("bystander", "2.0", 6), one("early", "1.0", 1), one("early", "2.0", 4), one("late", "1.0", 1), one("late", "2.0", 12)),
    # yanked since.
    *(one("rue", "1.0", 1), one("rue", "1.1", 6, yanked="wrong results"), one("rue", "1.2", 8, yanked="so is this")),
    # what broke it was yanked since, and the next release has it too.
    *(one("regret", "1.0", 1), one("regret", "2.0", 5, yanked="calm"), one("regret", "2.1", 6, yanked="broken")),
    *(one("regret", "2.2", 7, yanked="broken"), one("regret", "2.3", 9)),
    # without a time of upload.
    *(one("timeless", "1.0", None), one("timely", "1.0", 1, "timeless"), one("timely", "2.0", 6, "timeless")),
    # a dependency comes, and one goes.
    *(one("grows", "1.0", 1), one("grows", "2.0", 6, "newcomer"), one("newcomer", "1.0", 2)),
    *(one("sheds", "1.0", 1, "leaver"), one("sheds", "2.0", 6), one("leaver", "1.0", 1)),
    # a program that is there no more.
    one("tooled", "1.0", 1, files={"tooled-1.0.data/scripts/tooled-says": b"#!/bin/sh\nexit 0\n"}),
    one("tooled", "2.0", 6),
    # comes with a dependency that is not there on all days.
    *(one("plain", "1.0", 1), one("plain", "2.0", 6), one("still", "1.0", 1)),
)


#: A build backend of one file (PEP 517), for a folder that needs none from an index.
BACKEND = """
import zipfile

INFO = "own-1.dist-info"
META = "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\nRequires-Dist: plain\\n"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/own-1-py3-none-any.whl", "w") as wheel:
        wheel.write("own/__init__.py")
        wheel.writestr(f"{INFO}/METADATA", META)
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    return "own-1-py3-none-any.whl"
"""


def add_source(index: DatedIndex, name: str, day: int) -> None:
    """Upload a source distribution of *name* 1.0, of which there is no wheel, on a *day* of January 2024."""
    path = index.folder / f"{name}-1.0.tar.gz"
    texts = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND.replace("own", name)
        .replace("Version: 1\\nRequires-Dist: plain", "Version: 1.0")
        .replace(f"{name}-1", f"{name}-1.0")
        .replace(f'wheel.write("{name}/__init__.py")', f'wheel.writestr("{name}.py", "V = 1")'),
    }
    with tarfile.open(path, "w:gz") as file:
        for member, text in texts.items():
            row = tarfile.TarInfo(f"{name}-1.0/{member}")
            row.size = len(text)
            file.addfile(row, io.BytesIO(text.encode()))
    hashes = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    found = {"filename": path.name, "url": f"/files/{path.name}", "hashes": hashes, "size": path.stat().st_size}
    index.rows.setdefault(name, []).append({**found, "yanked": False, "upload-time": at(day)})


@dataclass(frozen=True)
class Place:
    """An index, and the variables of a process that asks it."""

    index: DatedIndex
    environ: dict[str, str]
    cwd: Path

    def world(self) -> World:
        return World(cwd=str(self.cwd), environ=self.environ, clock=time.monotonic)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DatedIndex, Path]]:
    home = tmp_path_factory.mktemp("bisect")
    with dated_index(home / "wheels", RELEASES) as index:
        for name in ("torn", "tear"):
            row = next(row for row in index.rows[name] if "-2.0-" in row["filename"])
            row["hashes"] = {"sha256": "0" * 64}
        add_source(index, "wheelless", 1)
        yield index, home


@pytest.fixture
def place(shelf: tuple[DatedIndex, Path], tmp_path: Path) -> Place:
    index, home = shelf
    (tmp_path / "work").mkdir()
    return Place(index=index, environ=_environ(index, home, tmp_path), cwd=tmp_path / "work")


def _environ(index: DatedIndex, home: Path, folder: Path) -> dict[str, str]:
    """The variables of a process that asks *index*, and keeps things below *folder*."""
    (folder / "tmp").mkdir()
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "UV_CACHE_DIR": str(home / "uv"),
        "UV_DEFAULT_INDEX": index.url,
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
    }


def ask(
    place: Place, requirements: str, *command: str, good: str = "2024-01-02", bad: str = "2024-01-16", **more: Any
) -> Bisecting:
    """Bisect *command* over *requirements*; its narration is told where it fails."""
    (place.cwd / "requirements.txt").write_text(requirements)
    stated: dict[str, Any] = {"repeat": 1, "python": PYTHON, **more}
    asked = Asked(requirements="requirements.txt", good=good, bad=bad, command=command, **stated)
    try:
        return bisect(asked, place.world())
    finally:
        assert not list(Path(place.environ["TMPDIR"]).glob("sanctity-*"))


def refused(place: Place, requirements: str, *command: str, **more: Any) -> SanctityError:
    with pytest.raises(SanctityError) as caught:
        ask(place, requirements, *command, **more)
    return caught.value


def py(text: str) -> tuple[str, ...]:
    return ("python", "-c", text)


def names(found: Break) -> list[str]:
    return [f"{each.release.name} {each.release.version}" for each in found.culprits]


def runs_of(log: Path) -> int:
    return sum(len(each["runs"]) for each in json.loads(log.read_text())["environments"])


# -- found -------------------------------------------------------------------------------------------------------------------------------


def test_the_release_that_broke_it_is_named_and_the_log_goes_on_and_replays(place: Place) -> None:
    command = py("import lib, calm; raise SystemExit(lib.V >= '2')")
    made = ask(place, "app\n", *command, repeat=2)
    found = made.answer.breaks[0]
    assert names(found) == ["lib 2.0"]
    assert found.culprits[0].release.via == ("app",)
    assert (found.exact, found.alone, made.answer.complete) == (True, Certainty.YES, Certainty.YES)
    text = bisect_text(made.answer, made.question, made.counts, good=made.good, bad=made.bad, log="bisect.json")
    assert text.splitlines()[0] == "lib 2.0, released 2024-01-10, through app"
    assert "passes  2024-01-09  lib 1.0, calm 1.0   of 3 packages" in text
    assert "fails   2024-01-10  lib 2.0, calm 1.1   of 3 packages" in text
    log = place.cwd / "bisect.json"
    document = json.loads(log.read_text())
    jsonschema.validate(document, schema())
    assert document == made.document
    assert document["answer"]["line"] == "lib 2.0, released 2024-01-10, through app"
    # Asked again, it is answered from the log; a replay builds the two environments from it, and resolves nothing.
    again = ask(place, "app\n", *command, repeat=2)
    assert (again.answer, again.counts.runs, again.counts.builds) == (made.answer, 0, 0)
    place.index.pages.clear()
    replayed = replay("bisect.json", place.world())
    assert replayed.agrees
    assert [(side.expected, side.outcome) for side in replayed.sides] == [
        (Outcome.PASS, Outcome.PASS),
        (Outcome.FAIL, Outcome.FAIL),
    ]
    assert replayed.counts.runs == 2


def test_two_that_only_fail_together_are_a_pair_whether_they_came_on_one_day_or_not(place: Place) -> None:
    made = ask(place, "left\nright\nbystander\n", *py("import left, right; raise SystemExit(left.V == right.V == '2.0')"))
    found = made.answer.breaks[0]
    assert sorted(names(found)) == ["left 2.0", "right 2.0"]
    assert {each.role for each in found.culprits} == {Role.NECESSARY}
    line = made.document["answer"]["line"]
    assert " together with " in line
    assert line.count("released 2024-01-06, named in requirements.txt") == 2
    made = ask(place, "early\nlate\n", *py("import early, late; raise SystemExit(early.V == late.V == '2.0')"), log="other.json")
    found = made.answer.breaks[0]
    assert (names(found), [each.release.name for each in found.earlier], found.alone) == (["late 2.0"], ["early"], Certainty.NO)
    expected = (
        "late 2.0, released 2024-01-12, named in requirements.txt, together with early 2.0, released 2024-01-04, "
        "named in requirements.txt"
    )
    assert made.document["answer"]["line"] == expected


def test_two_independent_culprits_are_both_named(place: Place) -> None:
    made = ask(place, "early\nlate\n", *py("import early, late; raise SystemExit('2.0' in (early.V, late.V))"))
    assert [names(each) for each in made.answer.breaks] == [["early 2.0"], ["late 2.0"]]
    assert made.answer.remedy == ("early<2.0", "late<2.0")


def test_what_breaks_and_is_mended_and_breaks_again_is_told_with_its_dates(place: Place) -> None:
    made = ask(place, "surf\n", *py("import surf; raise SystemExit(surf.V in ('2.0', '4.0'))"), thorough=True)
    assert [names(each) for each in made.answer.breaks] == [["surf 2.0"], ["surf 4.0"]]
    assert [(each.first[:10], each.outcome) for each in made.answer.contradictions]
    text = bisect_text(made.answer, made.question, made.counts, good=made.good, bad=made.bad, log="")
    assert "not one break: it " in text
    assert "also: surf " in text


def test_a_new_dependency_and_one_that_went_are_laid_on_the_release_that_did_it(place: Place) -> None:
    made = ask(place, "grows\n", *py("import importlib.util as u; raise SystemExit(u.find_spec('newcomer') is not None)"))
    assert names(made.answer.breaks[0]) == ["grows 2.0"]
    made = ask(place, "sheds\n", *py("import leaver"), log="other.json")
    assert names(made.answer.breaks[0]) == ["sheds 2.0"]


def test_a_release_that_uv_builds_from_source_is_told_as_its_build_begins(place: Place) -> None:
    (place.cwd / "requirements.txt").write_text("wheelless\nsurf\n")
    words = (*DATES, "--repeat", "1", "requirements.txt", "--", *py("import wheelless, surf; raise SystemExit(surf.V == '4.0')"))
    code, out, err = said(place, *words)
    assert (code, out.splitlines()[0]) == (0, "surf 4.0, released 2024-01-13, named in requirements.txt")
    assert ": running the command (about 3 more trials of dates, " in err
    note = f"note: wheelless 1.0 has no wheel for Python {PYTHON}, uv builds it from source (an older --python may have wheels"
    assert err.count(note) == 1
    assert err.index(note) < err.index("good, 2024-01-02: passes")


def test_with_only_binary_nothing_is_built_and_the_log_is_of_another_question(place: Place) -> None:
    command = py("import plain; raise SystemExit(plain.V == '2.0')")
    error = refused(place, "wheelless\nplain\n", *command, only_binary=True)
    assert error.code == "bisect-unbuildable"
    assert "wheelless" in error.message
    made = ask(place, "plain\n", *command, only_binary=True)
    assert (names(made.answer.breaks[0]), made.document["question"]["only_binary"]) == (["plain 2.0"], True)
    error = refused(place, "plain\n", *command)
    assert (error.code, "only-binary differ" in error.message) == ("bisect-log-other", True)


@pytest.mark.long
def test_an_index_that_the_requirements_name_themselves_is_asked_for_their_files_too(place: Place) -> None:
    url = place.environ.pop("UV_DEFAULT_INDEX")
    place.environ["UV_CACHE_DIR"] = str(place.cwd / "uv-cache")
    (place.cwd / "below").mkdir()
    (place.cwd / "below/index.txt").write_text(f"--index-url {url}\n")
    made = ask(place, "-r below/index.txt\nplain\n", *py("import plain; raise SystemExit(plain.V == '2.0')"))
    assert names(made.answer.breaks[0]) == ["plain 2.0"]
    assert replay("bisect.json", place.world()).agrees


@pytest.mark.long
def test_a_folder_among_the_requirements_is_what_it_is_at_every_date(place: Place) -> None:
    folder = place.cwd / "own"
    (folder / "own").mkdir(parents=True)
    (folder / "own/__init__.py").write_text("import plain\n")
    (folder / "setup.py").write_text("")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "own"\nversion = "1"\ndependencies = ["plain"]\n'
    )
    (folder / "backend.py").write_text(BACKEND)
    made = ask(place, "./own\nstill\n", *py("import own; raise SystemExit(own.plain.V == '2.0')"), good="2024-01-02")
    assert (names(made.answer.breaks[0]), made.answer.complete) == (["plain 2.0"], Certainty.YES)
    assert made.document["answer"]["line"] == "plain 2.0, released 2024-01-06, through own"
    assert replay("bisect.json", place.world()).agrees


@pytest.mark.long
def test_a_program_that_a_release_took_away_is_a_failure_and_no_slip_of_the_pen(place: Place) -> None:
    made = ask(place, "tooled\n", "tooled-says")
    assert names(made.answer.breaks[0]) == ["tooled 2.0"]
    assert made.answer.breaks[0].exact


# -- nothing is found --------------------------------------------------------------------------------------------------------------------


def test_a_command_that_is_not_there_is_an_error_at_once(place: Place) -> None:
    error = refused(place, "plain\n", "no-such-program-here")
    assert error.code == "command-not-found"
    error = refused(place, "plain\n", "sh", "-c", "no-such-program-here", log="other.json")
    assert error.code == "command-not-found"
    assert "127" in error.message
    (place.cwd / "script").write_text("#!/bin/sh\n")
    error = refused(place, "plain\n", "./script", log="third.json")
    assert error.code == "command-not-executable"
    assert [runs_of(place.cwd / name) for name in ("bisect.json", "other.json", "third.json")] == [0, 0, 0]


def test_a_python_that_is_not_here_is_told(place: Place) -> None:
    error = refused(place, "plain\n", *py("pass"), python="3.77")
    assert error.code == "interpreter-not-found"
    assert "3.77" in f"{error.where} {error.message}"


def test_a_python_whose_shim_fails_is_looked_for_elsewhere_and_may_be_named_by_its_path(place: Place) -> None:
    shims, home = place.cwd / "shims", place.cwd / "pyenv"
    shims.mkdir()
    (home / f"versions/{PYTHON}.99/bin").mkdir(parents=True)
    for name in ("python", "python3", f"python{PYTHON}"):
        (shims / name).write_text("#!/bin/sh\nexit 127\n")
        (shims / name).chmod(0o755)
    own = home / f"versions/{PYTHON}.99/bin/python"
    own.symlink_to(os.path.realpath(sys.executable))
    uv = find_uv(place.environ)
    environ = {**place.environ, "PATH": str(shims), "PYENV_ROOT": str(home)}
    found = find_python(PYTHON, uv=uv, environ=environ, cwd=str(place.cwd))
    assert found == (PYTHON, str(own))
    place.environ["PATH"] = f"{shims}{os.pathsep}{place.environ['PATH']}"
    made = ask(place, "plain\n", *py("import plain; raise SystemExit(plain.V == '2.0')"), python=str(own))
    assert (names(made.answer.breaks[0]), made.question.python) == (["plain 2.0"], PYTHON)
    for word in (str(shims / "python"), "three", "3"):
        error = refused(place, "plain\n", *py("pass"), python=word, log="other.json")
        assert (error.code, error.where.startswith("--python")) == ("usage", True)
        assert "--platform" not in f"{error.where} {error.hint}"


def test_nothing_changed_is_told_without_a_run(place: Place) -> None:
    error = refused(place, "still\n", *py("raise SystemExit(1)"))
    assert error.code == "bisect-nothing-changed"
    assert runs_of(place.cwd / "bisect.json") == 0


def test_a_command_that_fails_at_good_or_passes_at_bad_is_told(place: Place) -> None:
    told: list[str] = []
    (place.cwd / "requirements.txt").write_text("plain\n")
    asked = Asked(
        requirements="requirements.txt",
        good="2024-01-02",
        bad="2024-01-16",
        command=py("print('alas'); raise SystemExit(3)"),
        python=PYTHON,
    )
    with pytest.raises(SanctityError) as caught:
        bisect(asked, place.world(), narrate=told.append)
    assert (caught.value.code, "ended with 3" in caught.value.message) == ("bisect-good-fails", True)
    assert "  | alas" in told
    document = json.loads((place.cwd / "bisect.json").read_text())
    jsonschema.validate(document, schema())
    assert document["error"]["code"] == "bisect-good-fails"
    assert refused(place, "plain\n", *py("pass"), log="other.json").code == "bisect-bad-passes"


def test_a_release_that_was_yanked_since_is_tried_and_named_with_the_reason(place: Place) -> None:
    made = ask(place, "rue\nplain\n", *py("import rue; raise SystemExit(rue.V == '1.1')"))
    found = made.answer.breaks[0]
    assert (names(found), found.culprits[0].yanked, found.culprits[0].old) == (["rue 1.1"], "wrong results", "1.0")
    assert made.document["answer"]["line"] == "rue 1.1, released 2024-01-06, yanked since (wrong results)"


def test_a_release_yanked_since_that_came_before_the_one_that_fails_now_is_named(place: Place) -> None:
    """Today's index goes from 1.0 to 2.3; on the days between it went by way of three others, of which the second broke it."""
    made = ask(place, "regret\n", *py("import regret; raise SystemExit(regret.V in ('2.1', '2.2', '2.3'))"))
    found = made.answer.breaks[0]
    assert (names(found), found.culprits[0].yanked, found.culprits[0].old) == (["regret 2.1"], "broken", "2.0")
    assert (found.passing.pins["regret"], found.failing.pins["regret"]) == ("2.0", "2.1")
    assert made.answer.remedy == ("regret<2.1",)
    assert made.document["answer"]["line"] == "regret 2.1, released 2024-01-06, yanked since (broken)"


def test_a_flaky_command_is_told_with_its_counts(place: Place) -> None:
    (place.cwd / "flip.py").write_text(
        "import os\nwith open('count', 'a') as file:\n    file.write('x')\nraise SystemExit(os.path.getsize('count') % 2)\n"
    )
    error = refused(place, "plain\n", "python", "flip.py", repeat=2)
    assert error.code == "bisect-flaky"
    assert "1 of 2 runs ended with 1, 1 of 2 runs ended with 0" in error.message
    assert "--repeat" in error.hint


def test_an_environment_that_is_flaky_beside_the_break_decides_nothing(place: Place) -> None:
    (place.cwd / "flip.py").write_text(
        "import os, shaky\nif shaky.V == '2.0':\n    with open('count', 'a') as f:\n        f.write('x')\n"
        "    raise SystemExit(os.path.getsize('count') % 2)\nraise SystemExit(shaky.V == '3.0')\n"
    )
    made = ask(place, "shaky\n", "python", "flip.py", thorough=True, repeat=3)
    found = made.answer.breaks[0]
    assert (names(found), found.culprits[0].among, made.answer.exact) == (["shaky 3.0"], ("2.0",), False)
    assert made.document["answer"]["line"].startswith("shaky, one of 2.0 or 3.0, released 2024-01-09")


def test_what_can_not_be_built_in_the_middle_is_passed_over_and_the_release_named_all_the_same(place: Place) -> None:
    """torn 2.0 can not be installed from the 5th to the 11th; calmer, which breaks it, changed on the 8th."""
    made = ask(place, "torn\ncalmer\n", *py("import calmer; raise SystemExit(calmer.V == '2.0')"))
    found = made.answer.breaks[0]
    assert (names(found), found.exact) == (["calmer 2.0"], True)
    assert found.between
    made = ask(place, "torn\n", *py("import torn; raise SystemExit(torn.V == '3.0')"), log="other.json")
    assert not made.answer.exact
    assert made.answer.breaks[0].culprits[0].among == ("2.0",)


def test_an_end_that_can_not_be_built_or_resolved_has_uvs_own_words(place: Place) -> None:
    error = refused(place, "tear\n", *py("pass"))
    assert error.code == "bisect-unbuildable"
    assert "--bad 2024-01-16" in error.where
    assert "Hash mismatch" in error.message
    error = refused(place, "plain\n", *py("pass"), good="2023-12-01", log="other.json")
    assert error.code == "bisect-unbuildable"
    assert "--good 2023-12-01" in error.where
    assert "plain" in error.message


def test_a_package_without_upload_times_is_told_and_can_be_let_float(place: Place) -> None:
    command = py("import timely, timeless; raise SystemExit(timely.V == '2.0')")
    error = refused(place, "timely\n", *command)
    assert error.code == "upload-times-missing"
    assert "--undated timeless" in error.hint
    made = ask(place, "timely\n", *command, undated=("timeless",), log="other.json")
    assert names(made.answer.breaks[0]) == ["timely 2.0"]


# -- the command -------------------------------------------------------------------------------------------------------------------------


def test_a_command_that_changes_its_environment_changes_no_other(place: Place) -> None:
    """It fails where it finds what it wrote into a module before: with hard links, or an environment used again, it would."""
    command = py(
        "import plain; text = open(plain.__file__).read(); open(plain.__file__, 'a').write('# been here')\n"
        "raise SystemExit('been here' in text or plain.V == '2.0')"
    )
    made = ask(place, "plain\n", *command, repeat=3)
    assert names(made.answer.breaks[0]) == ["plain 2.0"]
    assert made.counts.builds == made.counts.runs
    innocent = ask(place, "plain\n", *py("import plain; raise SystemExit(plain.V == '2.0')"), repeat=3, log="other.json")
    assert innocent.counts.builds < innocent.counts.runs


def _state(number: int) -> str:
    """The state of a process; Z is one that has ended, and that nobody asked how."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_a_run_that_takes_too_long_fails_and_its_children_are_ended(place: Place) -> None:
    command = (
        "sh",
        "-c",
        "python -c 'import plain; raise SystemExit(plain.V == \"2.0\")' || { sleep 987654 & echo $! >child; wait; }",
    )
    made = ask(place, "plain\n", *command, timeout=1)
    assert names(made.answer.breaks[0]) == ["plain 2.0"]
    child = int((place.cwd / "child").read_text())
    assert _state(child) in {"", "Z"}
    failing = str(made.answer.breaks[0].failing.digest)
    runs = next(each["runs"] for each in made.document["environments"] if each["digest"] == failing)
    assert [run["code"] for run in runs] == [None]


def test_125_skips_an_environment(place: Place) -> None:
    made = ask(place, "shaky\n", *py("import shaky; raise SystemExit({'1.0': 0, '2.0': 125, '3.0': 1}[shaky.V])"))
    assert (names(made.answer.breaks[0]), made.answer.exact) == (["shaky 3.0"], False)
    error = refused(place, "plain\n", *py("raise SystemExit(125)"), log="other.json")
    assert error.code == "bisect-no-verdict"


@pytest.mark.long
def test_the_command_has_the_environments_programs_the_callers_folder_and_an_empty_input(place: Place) -> None:
    (place.cwd / "look.py").write_text(
        "import os, sys, json, plain\n"
        "json.dump({'cwd': os.getcwd(), 'in': sys.stdin.read(), 'venv': os.environ['VIRTUAL_ENV'], 'prefix': sys.prefix,\n"
        "  'home': 'PYTHONHOME' in os.environ, 'mine': os.environ['MINE'], 'group': os.getpgrp() == os.getpid()},\n"
        "  open(f'seen-{plain.V}.json', 'w'))\nraise SystemExit(plain.V == '2.0')\n"
    )
    place.environ.update(MINE="x", PYTHONHOME="/nowhere")
    made = ask(place, "plain\n", "python", "look.py")
    seen = json.loads((place.cwd / "seen-2.0.json").read_text())
    assert (seen["cwd"], seen["in"], seen["home"], seen["mine"], seen["group"]) == (str(place.cwd), "", False, "x", True)
    assert seen["venv"] == seen["prefix"]
    assert made.counts.runs >= 2


@pytest.mark.long
def test_workers_run_at_the_same_time_and_find_the_same(place: Place) -> None:
    """Each run says in a file when it began and ended; with two workers some overlap, and with one none does."""
    (place.cwd / "slow.py").write_text(
        "import os, time, plain\nbegan = time.monotonic()\ntime.sleep(0.15)\n"
        "open(f'runs-{os.environ[\"KIND\"]}', 'a').write(f'{began} {time.monotonic()}\\n')\nraise SystemExit(plain.V == '2.0')\n"
    )
    overlaps = {}
    for workers in (1, 2):
        place.environ["KIND"] = str(workers)
        made = ask(place, "plain\nsurf\n", "python", "slow.py", workers=workers, repeat=2, log=f"{workers}.json")
        assert names(made.answer.breaks[0]) == ["plain 2.0"]
        times = [tuple(map(float, line.split())) for line in (place.cwd / f"runs-{workers}").read_text().splitlines()]
        assert len(times) == made.counts.runs == runs_of(place.cwd / f"{workers}.json")
        overlaps[workers] = sum(one[0] < other[1] and other[0] < one[1] for one, other in itertools.combinations(times, 2))
    assert overlaps[1] == 0
    assert overlaps[2] > 0
    error = refused(place, "plain\n", "python", "slow.py", workers=2, compare="out", log="x.json")
    assert error.code == "usage"


# -- a changed result --------------------------------------------------------------------------------------------------------------------


def test_a_changed_result_is_bisected_by_its_bytes(place: Place) -> None:
    command = py("import plain, os; os.makedirs('out/deep'); open('out/deep/x', 'w').write(plain.V)")
    made = ask(place, "plain\nstill\n", *command, compare="out")
    assert names(made.answer.breaks[0]) == ["plain 2.0"]
    assert not (place.cwd / "out").exists()
    assert replay("bisect.json", place.world()).agrees
    (place.cwd / "out").write_text("mine")
    error = refused(place, "plain\n", *command, compare="out", log="other.json")
    assert error.code == "bisect-output-exists"
    assert (place.cwd / "out").read_text() == "mine"


@pytest.mark.long
def test_a_result_that_is_never_the_same_or_is_not_written_gives_no_verdict(place: Place) -> None:
    error = refused(place, "plain\n", *py("import os; open('out', 'wb').write(os.urandom(9))"), compare="out", repeat=2)
    assert error.code == "bisect-flaky"
    error = refused(place, "plain\n", *py("pass"), compare="out", log="second.json")
    assert (error.code, "wrote no out" in error.message) == ("bisect-no-verdict", True)
    error = refused(place, "plain\n", *py("raise SystemExit(1)"), compare="out", log="third.json")
    assert (error.code, "has to end with 0" in error.message) == ("bisect-no-verdict", True)


# -- the log -----------------------------------------------------------------------------------------------------------------------------


def _edited(log: Path, *path: str | int, value: object) -> None:
    """Put *value* at a place of the log."""
    document = json.loads(log.read_text())
    table = document
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    log.write_text(json.dumps(document))


def test_a_log_of_another_question_or_of_something_else_is_refused_and_kept(place: Place) -> None:
    (place.cwd / "check.py").write_text("import plain\nraise SystemExit(plain.V == '2.0')\n")
    ask(place, "plain\n", "python", "check.py")
    log = place.cwd / "bisect.json"
    before = log.read_text()
    for change in ({"bad": "2024-01-15"}, {"timeout": 60}):
        error = refused(place, "plain\n", "python", "check.py", **change)
        assert (error.code, next(iter(change)) in error.message) == ("bisect-log-other", True)
    (place.cwd / "check.py").write_text("import plain\nraise SystemExit(plain.V == '2.0')  # changed\n")
    error = refused(place, "plain\n", "python", "check.py")
    assert (error.code, "the bytes of check.py" in error.message) == ("bisect-log-other", True)
    assert log.read_text() == before
    assert ask(place, "plain\n", "python", "check.py", fresh=True).counts.runs > 0
    whole = log.read_text()
    for broken in ("", whole[: len(whole) // 2], "[]", '{"schema": "sanctity.seal/1"}', '{"schema": "sanctity.bisect/1"}'):
        log.write_text(broken)
        for fresh in (False, True):
            assert refused(place, "plain\n", "python", "check.py", fresh=fresh).code == "bisect-log-invalid"
        assert log.read_text() == broken
        with pytest.raises(SanctityError) as caught:
            replay("bisect.json", place.world())
        assert caught.value.code == "bisect-log-invalid"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("environments", 0, "digest"), "sha256:" + "0" * 64),
        (("environments", 0, "digest"), "zz"),
        (("environments", 0, "packages", 0, "version"), "9.9"),
        (("environments", 0, "packages", 0, "version"), "1.0 --index-url=x"),
        (("environments", 0, "packages"), {}),
        (("environments", 0, "runs"), [7]),
        (("resolutions", 0, "at"), 5),
        (("resolutions", 0, "environment"), None),
        (("question", "command"), []),
        (("question", "command"), "python"),
        (("question",), None),
        (("answer",), []),
        (("answer",), {"breaks": []}),
        (("answer", "breaks", 0, "passing", "environment"), "sha256:" + "1" * 64),
        (("answer", "breaks", 0, "passing", "at"), "yesterday"),
    ],
)
def test_a_log_that_was_tampered_with_is_refused(place: Place, answered: str, path: tuple[str | int, ...], value: object) -> None:
    log = place.cwd / "bisect.json"
    log.write_text(answered)
    _edited(log, *path, value=value)
    with pytest.raises(SanctityError) as caught:
        replay("bisect.json", place.world())
    assert caught.value.code == "bisect-log-invalid"
    assert caught.value.hint


@pytest.fixture(scope="module")
def answered(shelf: tuple[DatedIndex, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The log of a bisect with an answer."""
    index, home = shelf
    folder = tmp_path_factory.mktemp("answered")
    place = Place(index=index, environ=_environ(index, home, folder), cwd=folder)
    ask(place, "plain\n", *py("import plain; raise SystemExit(plain.V == '2.0')"))
    return (folder / "bisect.json").read_text()


def test_a_replay_says_where_it_does_not_agree_any_more(place: Place, answered: str) -> None:
    log = place.cwd / "bisect.json"
    log.write_text(answered)
    with_code = {"python": f"{PYTHON}", "command": ["python", "-c", "pass"]}
    for key, value in with_code.items():
        _edited(log, "question", key, value=value)
    made = replay("bisect.json", place.world())
    assert [side.agrees for side in made.sides] == [True, False]
    log.write_text(answered)
    document = json.loads(answered)
    number = next(
        number
        for number, each in enumerate(document["environments"])
        if each["digest"] == document["answer"]["breaks"][0]["failing"]["environment"]
    )
    _edited(log, "environments", number, "packages", 0, "hashes", value=["sha256:" + "0" * 64])
    made = replay("bisect.json", place.world())
    assert [side.outcome for side in made.sides] == [Outcome.PASS, Outcome.UNBUILDABLE]
    assert "Hash mismatch" in made.sides[1].reason
    _edited(log, "answer", value=None)
    with pytest.raises(SanctityError) as caught:
        replay("bisect.json", place.world())
    assert caught.value.code == "bisect-log-unfinished"


def test_a_log_without_a_run_is_written_over_and_one_that_is_in_use_is_not(place: Place) -> None:
    error = refused(place, "plain\n", "no-such-program-at-all")
    assert error.code == "command-not-found"
    assert runs_of(place.cwd / "bisect.json") == 0
    command = py("import plain; raise SystemExit(plain.V == '2.0')")
    with alone_with_log(str(place.cwd / "bisect.json"), "bisect.json"):
        assert refused(place, "plain\n", *command).code == "bisect-log-busy"
        assert refused(place, "plain\n", *command, fresh=True).code == "bisect-log-busy"
    assert names(ask(place, "plain\n", *command).answer.breaks[0]) == ["plain 2.0"]


def test_another_uv_that_holds_the_cache_makes_no_date_unbuildable(place: Place) -> None:
    cache = place.cwd / "uv-cache"
    cache.mkdir()
    place.environ.update(UV_CACHE_DIR=str(cache), UV_LOCK_TIMEOUT="1")
    with (cache / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        error = refused(place, "plain\n", *py("pass"))
    assert (error.code, error.exit_code, "another uv" in error.message) == ("uv-busy", 3, True)
    assert "UV_LOCK_TIMEOUT" in error.hint


# -- the door ----------------------------------------------------------------------------------------------------------------------------


def door(place: Place, *words: str) -> subprocess.Popen[str]:
    """`sanctity bisect` as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "sanctity", "bisect", *words],
        cwd=place.cwd,
        env=place.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(place: Place, *words: str) -> tuple[int, str, str]:
    process = door(place, *words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


DATES = ("--good", "2024-01-02", "--bad", "2024-01-16", "--python", PYTHON)


def test_the_door_prints_the_answer_in_each_format_and_keeps_the_two_environments(place: Place) -> None:
    (place.cwd / "requirements.txt").write_text("plain\n")
    (place.cwd / "check.py").write_text("import plain\nraise SystemExit(plain.V == '2.0')\n")
    command = ("requirements.txt", "--", "python", "check.py")
    code, out, err = said(place, *DATES, "--repeat", "1", "--keep", *command)
    assert (code, out.splitlines()[0]) == (0, "plain 2.0, released 2024-01-06, named in requirements.txt")
    assert out.splitlines()[-1].endswith("log bisect.json")
    assert "2024-01-05: passes: an environment that was tried before" in err
    for name, expected in (("bisect-passes", 0), ("bisect-fails", 1)):
        done = subprocess.run([place.cwd / name / "bin/python", "check.py"], cwd=place.cwd, check=False)
        assert done.returncode == expected
    code, out, err = said(place, *DATES, "--repeat", "1", "--keep", *command)
    assert (code, "bisect-output-exists" in err) == (2, True)
    code, out, err = said(place, *DATES, "--repeat", "1", "--format", "json", *command)
    jsonschema.validate(json.loads(out), schema())
    code, out, err = said(place, *DATES, "--repeat", "1", "--format", "markdown", "-o", "answer.md", *command)
    assert (code, out) == (0, "")
    assert (place.cwd / "answer.md").read_text().startswith("**plain 2.0, released 2024-01-06, named in requirements.txt**\n")
    code, out, err = said(place, "--replay", "bisect.json", "--format", "json")
    jsonschema.validate(json.loads(out), schema("bisect-replay-1"))
    assert code == 0
    code, out, err = said(place, "--replay", "bisect.json")
    assert (code, out.splitlines()[0]) == (0, "AGREES  bisect.json: plain 2.0, released 2024-01-06, named in requirements.txt")
    (place.cwd / "check.py").write_text("raise SystemExit(1)\n")
    code, out, err = said(place, "--replay", "bisect.json")
    assert (code, out.split("  ")[0], "check.py is not the file it was" in err) == (1, "DOES NOT AGREE", True)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("requirements.txt", "--", "python"), "--good DATE"),
        (("--good", "2024-01-02", "--bad", "2024-01-16"), "--good DATE"),
        (("--good", "2024-01-16", "--bad", "2024-01-02", "requirements.txt", "--", "python"), "is not before"),
        (("--good", "2024-01-02", "--bad", "2999-01-02", "requirements.txt", "--", "python"), "lies in the future"),
        (("--good", "someday", "requirements.txt", "--", "python"), "is no date"),
        (("--good", "2024-01-02", "nowhere.txt", "--", "python"), "requirements-unreadable"),
        (("--good", "2024-01-02", "--compare", ".", "requirements.txt", "--", "python"), "would be removed"),
        (("--good", "2024-01-02", "--log", "nowhere/log.json", "requirements.txt", "--", "python"), "output-failed"),
        (("--good", "2024-01-02", "requirements.txt", "--", ".venv/bin/python3", "x.py"), "a Python of its own"),
        (("--replay", "bisect.json", "requirements.txt"), "give it alone"),
        (("--replay", "nowhere.json"), "bisect-log-invalid"),
    ],
)
def test_what_can_not_be_asked_is_refused(place: Place, words: tuple[str, ...], complaint: str) -> None:
    (place.cwd / "requirements.txt").write_text("plain\n")
    code, out, err = said(place, *words)
    assert (code, out) == (3 if complaint == "output-failed" else 2, "")
    assert complaint in err
    assert "Traceback" not in err
    assert sorted(path.name for path in place.cwd.iterdir()) == ["requirements.txt"]


def _until(place: Place, process: subprocess.Popen[str]) -> int:
    """Wait until the command runs in the second environment; the number of its process."""
    marker = place.cwd / "second"
    while not marker.exists() or not marker.read_text():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return int(marker.read_text())


def _stopping(place: Place) -> tuple[str, ...]:
    """A question whose command stays in the second environment until it is stopped, once."""
    (place.cwd / "requirements.txt").write_text("plain\n")
    (place.cwd / "slow.py").write_text(
        "import os, time, plain\n"
        "if plain.V == '2.0' and not os.path.exists('second'):\n"
        "    with open('second', 'w') as file:\n        file.write(str(os.getpid()))\n    time.sleep(600)\n"
        "raise SystemExit(plain.V == '2.0')\n"
    )
    return (*DATES, "--repeat", "1", "requirements.txt", "--", "python", "slow.py")


@pytest.mark.long
def test_a_bisect_of_two_workers_that_is_stopped_ends_both(place: Place) -> None:
    (place.cwd / "requirements.txt").write_text("surf\n")
    (place.cwd / "slow.py").write_text(
        "import os, time, surf\n"
        "if surf.V in ('2.0', '3.0'):\n    open(f'{os.getpid()}.pid', 'w').close()\n    time.sleep(600)\n"
        "raise SystemExit(surf.V == '4.0')\n"
    )
    process = door(place, *DATES, "--repeat", "1", "--workers", "2", "requirements.txt", "--", "python", "slow.py")
    while len(found := list(place.cwd.glob("*.pid"))) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert [_state(int(path.stem)) in {"", "Z"} for path in found] == [True, True]
    assert not list(Path(place.environ["TMPDIR"]).iterdir())
    assert runs_of(place.cwd / "bisect.json") == 2


@pytest.mark.parametrize("how", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.long), "SIGKILL"])
def test_a_bisect_that_is_stopped_leaves_nothing_and_goes_on_from_its_log(place: Place, how: str) -> None:
    words = _stopping(place)
    process = door(place, *words)
    child = _until(place, process)
    process.send_signal(getattr(signal, how))
    _, err = process.communicate(timeout=60)
    assert process.returncode == -getattr(signal, how)
    left = list(Path(place.environ["TMPDIR"]).iterdir())
    if how == "SIGKILL":
        assert left
        assert _state(child) not in {"", "Z"}
    else:
        assert not left
        assert "goes on from there" in err
    made_before = runs_of(place.cwd / "bisect.json")
    assert made_before == 1
    code, out, err = said(place, *words)
    assert (code, out.splitlines()[0]) == (0, "plain 2.0, released 2024-01-06, named in requirements.txt")
    assert any(
        line.startswith("good, 2024-01-02: passes: ended with 0") and line.endswith(", remembered") for line in err.splitlines()
    )
    # In a pipe too each thing that may take long is told as it begins.
    assert "bad, 2024-01-16: building 1 package …" in err
    assert "resolving as of 2024-01-09 …" in err
    # What a killed one left is swept by the next: its environments, and the command that still ran in one.
    assert not list(Path(place.environ["TMPDIR"]).iterdir())
    assert _state(child) in {"", "Z"}
    document = json.loads((place.cwd / "bisect.json").read_text())
    assert document["counts"]["runs"] == runs_of(place.cwd / "bisect.json") - made_before


@pytest.mark.index
def test_numpy_2_is_what_broke_float_underscore(place: Place, workshop: Workshop) -> None:
    """On real packages, between the two dates of the page docs/bisect.md."""
    environ = {**workshop.environ(), "XDG_CACHE_HOME": place.environ["XDG_CACHE_HOME"], "TMPDIR": place.environ["TMPDIR"]}
    there = Place(index=place.index, environ=environ, cwd=place.cwd)
    made = ask(there, "numpy\n", *py("import numpy; numpy.float_(1)"), good="2024-06-01", bad="2024-07-01")
    assert made.document["answer"]["line"] == "numpy 2.0.0, released 2024-06-16, named in requirements.txt"
    assert (made.answer.breaks[0].alone, made.answer.complete) == (Certainty.YES, Certainty.YES)
