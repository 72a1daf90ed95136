"""The magic in a real notebook: a kernel runs the cells, in an environment that is clean and then is not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from sanctity.notebook import look
from workplaces.places import make_tool, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from real.tools import Workshop
    from workplaces.places import Workplace

#: Executes a notebook of the cells that it is given, in the environment that it runs in, and prints what each gave.
EXECUTE = """
import json, sys, nbclient, nbformat
cells = json.loads(sys.argv[1])
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print("OUTPUTS" + json.dumps([cell.outputs for cell in notebook.cells]))
"""


@pytest.fixture(scope="module")
def place(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(workshop, tmp_path_factory.mktemp("notebook") / "project", "notebook")


def _cells(place: Workplace, *cells: str) -> list[list[dict[str, Any]]]:
    """What each of *cells* gave, after the one that loads the extension."""
    done = place.run(place.python, "-c", EXECUTE, json.dumps(["%load_ext sanctity.notebook", *cells]))
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = json.loads(done.stdout.partition("OUTPUTS")[2])
    assert found[0] == []
    return found[1:]


@pytest.mark.index
@pytest.mark.xdist_group("workplaces-notebook")
def test_a_cell_shows_the_verdict_and_gives_it_as_a_value(place: Workplace, workshop: Workshop, tmp_path: Path) -> None:
    tool = make_tool(workshop, tmp_path)
    plant = f"open({str(place.site / 'planted.py')!r}, 'w').close()"
    cells = (
        "%sanctity",
        plant,
        "%sanctity requirements.txt",
        f"verdict = %sanctity --command {tool}",
        "verdict.verdict",
        "%sanctity nothing.lock",
    )
    clean, planted, drifted, assigned, value, failed = _cells(place, *cells)
    (shown,) = clean
    html = "".join(shown["data"]["text/html"])
    assert ">CLEAN</span>" in html
    assert "looked at from itself" in html
    assert re.search(r"fingerprint .*sha256:[0-9a-f]{64}", html)
    assert "".join(shown["data"]["text/plain"]).startswith("CLEAN  .venv is what requirements.txt says")
    assert planted == assigned == []
    (shown,) = drifted
    html = "".join(shown["data"]["text/html"])
    assert ">DRIFTED</span>" in html
    assert "planted.py" in html
    assert "".join(value[0]["data"]["text/plain"]) == "'drifted'"
    (shown,) = failed
    assert "error: lock-not-found" in "".join(shown["data"]["text/html"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.lock b.lock", "both named"),
        ("a.lock --seal b.json", "both named"),
        ("--timeout", "has no value"),
        ("--timeout soon", "soon"),
        ("--timeout nan", "no number of seconds"),
        ("--what", "--what is not known"),
        ("'", "No closing quotation"),
        ("--command nowhere/sanctity", "there is no such program"),
    ],
)
def test_a_line_that_can_not_be_meant_is_told_in_the_cell(line: str, said: str) -> None:
    shown = look(line)
    assert shown.comparison is None
    assert shown.error is not None
    assert shown.error.code == "usage"
    assert said in repr(shown)
    assert said in shown._repr_html_()
    assert shown.verdict == "undecided"


def test_what_an_error_names_is_no_markup() -> None:
    html = look("--command '<img src=x onerror=alert(1)>/sanctity'")._repr_html_()
    assert "&lt;img" in html
    assert "<img" not in html
