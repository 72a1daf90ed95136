"""The plugin in a real environment, with a real pytest: what is drifted is not tested, and who does not ask pays nothing."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from workplaces.places import make_tool, make_workplace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from real.tools import Workshop
    from workplaces.places import Workplace

pytestmark = [pytest.mark.index, pytest.mark.xdist_group("workplaces-pytest")]

#: What leaves a file behind where a test runs, or is only collected.
TESTS = """
from pathlib import Path

here = Path(__file__).parent
(here / "collected").touch()

def test_one():
    (here / "tested").touch()

def test_two():
    pass
"""


@pytest.fixture(scope="module")
def built(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(workshop, tmp_path_factory.mktemp("pytest") / "project", "pytest")


@pytest.fixture(scope="module")
def tool(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tool(workshop, tmp_path_factory.mktemp("tool"))


@pytest.fixture
def place(built: Workplace) -> Iterator[Workplace]:
    """The project, clean and with two tests; what a test plants is taken away again."""
    (built.folder / "test_it.py").write_text(TESTS)
    (built.folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    yield built
    for name in ("collected", "tested", "env.seal.json"):
        (built.folder / name).unlink(missing_ok=True)
    for planted in built.site.glob("planted*"):
        planted.unlink()


def _pytest(place: Workplace, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return place.run(place.python, "-m", "pytest", "-p", "no:cacheprovider", *words, **extra)


def _drift(place: Workplace) -> None:
    (place.site / "planted.py").write_text("")


def _was(place: Workplace) -> tuple[bool, bool]:
    """Whether the tests were collected, and whether they ran."""
    return (place.folder / "collected").exists(), (place.folder / "tested").exists()


def test_unless_it_is_asked_it_does_nothing_and_imports_nothing(place: Workplace) -> None:
    _drift(place)
    (place.folder / "test_it.py").write_text(
        "import sys\n\ndef test_light():\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'sanctity'}\n"
        "    assert ours == {'sanctity', 'sanctity.pytest_plugin'}\n"
    )
    done = _pytest(place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sanctity:" not in done.stdout
    assert "DRIFTED" not in done.stdout + done.stderr


def test_a_clean_environment_is_tested_under_one_line(place: Workplace) -> None:
    done = _pytest(place, "--sanctity")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = re.findall(r"^sanctity: .*$", done.stdout, re.MULTILINE)
    assert re.fullmatch(
        r"sanctity: CLEAN \.venv is what requirements\.txt says, sha256:[0-9a-f]{64} \(looked at by its own sanctity\)", line
    )
    assert _was(place) == (True, True)


@pytest.mark.parametrize(
    ("words", "ini"), [(("--sanctity",), ""), ((), "sanctity = check\n"), (("--sanctity-reference", "requirements.txt"), "")]
)
def test_a_drifted_environment_is_not_even_collected(words: tuple[str, ...], ini: str, place: Workplace) -> None:
    _drift(place)
    with open(place.folder / "pytest.ini", "a") as file:
        file.write(ini)
    done = _pytest(place, *words)
    assert done.returncode == 125, done.stdout + done.stderr
    assert done.stderr.count("DRIFTED") == 1
    assert "file-unclaimed   planted.py" in done.stderr
    assert "the environment is drifted, so nothing was tested" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert _was(place) == (False, False)


@pytest.mark.parametrize("words", [("--sanctity-warn",), ("--sanctity-warn", "-q")])
def test_with_warn_it_is_tested_all_the_same(words: tuple[str, ...], place: Workplace) -> None:
    _drift(place)
    done = _pytest(place, *words)
    assert done.returncode == 0
    assert done.stdout.count("DRIFTED ") == (2 if len(words) == 1 else 1)
    assert "file-unclaimed   planted.py" in done.stdout
    assert _was(place) == (True, True)


def test_off_on_the_command_line_wins(place: Workplace) -> None:
    _drift(place)
    with open(place.folder / "pytest.ini", "a") as file:
        file.write("sanctity = check\n")
    assert _pytest(place, "-o", "sanctity=off").returncode == 0


def test_workers_do_not_look_again(place: Workplace, tool: Path) -> None:
    """A command that counts how often it was called, and calls the real one."""
    counting = place.folder / "counting"
    counting.write_text(f'#!/bin/sh\necho x >> {place.folder}/count\nexec {tool} "$@"\n')
    counting.chmod(0o755)
    done = _pytest(place, "--sanctity", "-n", "2", "-o", f"sanctity_command={counting}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (place.folder / "count").read_text() == "x\n"
    assert "2 passed" in done.stdout
    _drift(place)
    done = _pytest(place, "--sanctity", "-n", "2")
    assert done.returncode == 125, done.stdout + done.stderr
    (place.folder / "count").unlink()
    counting.unlink()


def test_a_sanctity_that_lies_outside_looks(place: Workplace, tool: Path) -> None:
    done = _pytest(place, "--sanctity", "-o", f"sanctity_command={tool}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"(looked at by {tool})" in done.stdout
    _drift(place)
    done = _pytest(place, "--sanctity", "-o", "sanctity_command=sanctity", PATH=f"{place.env}/bin:{tool.parent}:/usr/bin:/bin")
    assert done.returncode == 125
    assert "looked at from itself" not in done.stderr


def test_a_sanctity_that_lies_inside_does_not_look(place: Workplace) -> None:
    done = _pytest(place, "--sanctity", "-o", "sanctity_command=.venv/bin/sanctity")
    assert done.returncode == 125
    assert "it lies in the environment that it would look at" in done.stderr
    assert _was(place) == (False, False)


@pytest.mark.parametrize(
    "program", ["", "echo '{}'", "echo CLEAN; exit 0", 'echo \'{"schema": "sanctity.report/1", "verdict": "clean"}\'', "sleep 60"]
)
def test_what_gives_no_report_is_no_pass(program: str, place: Workplace) -> None:
    liar = place.folder / "liar"
    liar.write_text(f"#!/bin/sh\n{program}\n")
    liar.chmod(0o755)
    done = _pytest(place, "--sanctity", "-o", f"sanctity_command={liar}", "-o", "sanctity_timeout=2")
    liar.unlink()
    assert done.returncode == 125
    assert "could not be looked at" in done.stdout + done.stderr
    assert _was(place) == (False, False)


def test_start_up_code_of_the_environment_does_not_blind_it(place: Workplace) -> None:
    """A hook that makes every file look as it should, in each process that the environment's interpreter starts."""
    (place.site / "planted.pth").write_text("import planted_liar\n")
    (place.site / "planted_liar.py").write_text(
        "import os, sys\nlist_ = os.listdir\nos.listdir = lambda *a: [n for n in list_(*a) if not str(n).startswith('planted')]\n"
        "scan_ = os.scandir\nclass Scan:\n"
        "    def __init__(self, *a): self.it = scan_(*a)\n"
        "    def __enter__(self): return self\n    def __exit__(self, *a): self.it.close()\n    def close(self): self.it.close()\n"
        "    def __iter__(self): return (e for e in self.it if not str(e.name).startswith('planted'))\nos.scandir = Scan\n"
    )
    assert place.run(place.python, "-c", f"import os; print(os.listdir({str(place.site)!r}))").stdout.find("planted") < 0
    done = _pytest(place, "--sanctity")
    assert done.returncode == 125, done.stdout + done.stderr
    assert "pth-hook" in done.stderr
    assert "planted_liar.py" in done.stderr


def test_a_seal_is_taken_before_a_lock(place: Workplace, tool: Path) -> None:
    sealed = place.run(tool, "seal", "--env", ".venv")
    assert sealed.returncode == 0, sealed.stderr
    done = _pytest(place, "--sanctity")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is what env.seal.json says" in done.stdout
    fingerprint = json.loads((place.folder / "env.seal.json").read_text())["environments"][0]["fingerprint"]
    assert fingerprint in done.stdout
    done = _pytest(place, "--sanctity-reference", fingerprint)
    assert done.returncode == 0, done.stdout + done.stderr


def test_further_options_are_those_of_verify(place: Workplace) -> None:
    _drift(place)
    assert _pytest(place, "--sanctity", "-o", "sanctity_options=--depth version").returncode == 0
    done = _pytest(place, "--sanctity", "-o", "sanctity_options=--fast --strict")
    assert done.returncode == 125
    assert "planted.py" in done.stderr
    done = _pytest(place, "--sanctity", "-o", "sanctity_options=--no-such-option")
    assert done.returncode == 125
    assert "No such option" in done.stderr


def test_bad_configuration_is_pytests_own_usage_error(place: Workplace) -> None:
    assert _pytest(place, "-o", "sanctity=maybe").returncode == 4
    assert _pytest(place, "--sanctity", "-o", "sanctity_timeout=soon").returncode == 4


def test_a_sanctity_that_was_imported_before_pytest_is_no_warning(place: Workplace) -> None:
    done = place.run(place.python, "-c", "import sanctity, sys, pytest; sys.exit(pytest.main(['-p', 'no:cacheprovider']))")
    assert done.returncode == 0, done.stdout + done.stderr
