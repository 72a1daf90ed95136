"""The pages of the call against the call: every control and status has its row, and the specification runs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

from programs import run, told

from sanctity.determinism.receipt import STATUSES
from sanctity.determinism.scheme import derive

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/determinism.md").read_text("utf-8")
SCHEME = (ROOT / "docs/seed-scheme.md").read_text("utf-8")


def _first_cells(section: str) -> list[str]:
    body = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [cell for line in body.splitlines() if line.startswith("| `") for cell in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_every_control_has_its_row() -> None:
    controls = told(
        "import json, sanctity\nr = sanctity.set_global_determinism(quiet=True)\nprint(json.dumps([row.control for row in r.rows]))"
    )
    assert sorted(_first_cells("Row by row")) == sorted(controls)


def test_the_receipt_that_is_shown_is_a_real_one() -> None:
    """What is shown is shortened: each line of it is one of a receipt, but for the spaces that another longest name makes."""
    shown = PAGE.split(">>> print(receipt)\n")[1].split("```")[0].splitlines()
    done = run("import numpy.random, sanctity\nprint(sanctity.set_global_determinism(42, quiet=True))")
    real = {" ".join(line.split()) for line in done.stdout.splitlines()}
    # PyTorch is not installed here, and the counts depend on what is.
    lines = [" ".join(line.split()) for line in shown[1:] if "torch-cpu" not in line and line.strip() != "..."]
    assert len(lines) > 5
    assert set(lines) <= real
    assert shown[0].partition(":")[0] == done.stdout.partition(":")[0]


def test_every_status_has_its_row() -> None:
    assert _first_cells("The statuses") == list(STATUSES)
    assert all(words in PAGE for words in STATUSES.values())


def test_every_argument_has_its_row() -> None:
    source = ast.parse((ROOT / "src/sanctity/determinism/setting.py").read_text("utf-8"))
    call = next(node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == "set_global_determinism")
    assert _first_cells("The call")[: len(call.args.args + call.args.kwonlyargs)] == [
        each.arg for each in call.args.args + call.args.kwonlyargs
    ]


def test_the_ten_lines_of_the_specification_run() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", SCHEME, re.DOTALL)
    assert len(code.splitlines()) <= 10
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    for row in json.loads((Path(__file__).parent / "golden/seeds.json").read_text("utf-8"))["seeds"]:
        assert namespace["derive"](int(row["root"]), *row["labels"], bits=row["bits"]) == int(row["seed"], 16)


def test_the_vectors_of_the_specification_hold() -> None:
    rows = re.findall(r"^\| ([0-9* -]+) \| (.+) \| (\d+) \| `([0-9a-f]+)` \|$", SCHEME, re.MULTILINE)
    assert len(rows) > 5
    for root, path, bits, seed in rows:
        number = 2**128 - 1 if root == "2**128 - 1" else int(root)
        labels = [json.loads(label) for label in re.findall(r"`([^`]+)`", path)]
        assert f"{derive(number, *labels, bits=int(bits)):0{int(bits) // 4}x}" == seed
