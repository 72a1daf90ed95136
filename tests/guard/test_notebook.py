"""A real notebook in a real kernel: a refused cell stops "run all"."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guard.guarded import BARE, Guarded, own_files
from real.tools import HERE, Workshop, interpreters
from sites import add_distribution

if TYPE_CHECKING:
    from pathlib import Path

#: A program that runs every cell of a notebook, and prints what each of them gave.
RUN_ALL = """
import json, sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in json.loads(sys.argv[1])])
try:
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    error = ""
except CellExecutionError as raised:
    error = raised.ename
texts = ["".join(out.get("text", "") for out in cell.outputs) for cell in notebook.cells]
print(json.dumps({"error": error, "texts": texts, "counts": [cell.execution_count for cell in notebook.cells]}))
"""
CELLS = ["import sanctity\nprint(sanctity.guard().verdict)", "print('went on')"]


@pytest.mark.index
@pytest.mark.long
def test_a_refused_cell_stops_the_notebook(workshop: Workshop, tmp_path: Path) -> None:
    """The report is in the cell's output, and no later cell runs."""
    guarded = Guarded(root=tmp_path)
    requirements = HERE / "tools/notebook.txt"
    version = "{}.{}".format(*sys.version_info[:2])
    workshop.run([interpreters()[version], "-m", "venv", guarded.env])
    workshop.run([guarded.env / "bin/python", "-m", "pip", "install", "-q", "--require-hashes", "-r", requirements])
    add_distribution(guarded.env, "sanctity", "0.1.0", own_files())
    add_distribution(guarded.env, "alpha", "1.0", {"alpha/__init__.py": b"VALUE = 1\n"})
    guarded.reseal()

    def run_all() -> dict[str, object]:
        command = [str(guarded.env / "bin/python"), "-c", RUN_ALL, json.dumps(CELLS)]
        home = {"HOME": str(tmp_path / "home")}
        done = subprocess.run(command, cwd=tmp_path, env=BARE | home, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout, done.stderr
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return found

    (tmp_path / "home").mkdir()
    assert run_all() == {"error": "", "texts": ["clean\n", "went on\n"], "counts": [1, 2]}
    guarded.alter()
    found = run_all()
    assert found["error"] == "Refused"
    texts, counts = found["texts"], found["counts"]
    assert isinstance(texts, list)
    assert "file-altered" in texts[0]
    assert (texts[1], counts) == ("", [1, None])
