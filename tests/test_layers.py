"""Imports point down only, and rooms of one layer do not import each other. Read from the source, so a lazy import counts too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/sanctity"

#: The rooms from the floor up. `report` draws comparisons and plans; `verbs` joins hands and thought.
LAYERS = (
    ("errors",),
    ("model",),
    ("canon", "lockfiles", "pages", "policies", "results"),
    ("compare",),
    ("linting", "plan", "seals"),
    ("report",),
    ("processes",),
    ("scratch",),
    ("observe", "apply", "store", "fetch", "timeline", "determinism", "variation"),
    ("verbs", "guarding"),
    ("lab",),
    ("cli", "guard", "outside"),
    ("__main__", "notebook", "pytest_plugin"),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
#: Modules of the standard library that look at the world; thought does not import them.
WORLD = {"os", "subprocess", "socket", "time", "random", "shutil", "tempfile", "pathlib", "urllib.request", "sys"}
THOUGHT = ("model", "canon", "lockfiles", "policies", "results", "compare", "linting", "plan", "seals", "report")


def _imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: a relative import"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "sanctity")
    return found


def _room(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(file for file in SOURCE.rglob("*.py") if file != SOURCE / "__init__.py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_point_down(file: Path) -> None:
    room = _room(file)
    assert room in LEVEL, f"{room} has no place in the house"
    for name in _imports(file):
        parts = name.split(".")
        if parts[0] != "sanctity" or len(parts) == 1 or parts[1] not in LEVEL:
            continue
        other = parts[1]
        assert other == room or LEVEL[other] < LEVEL[room], f"{room} imports {other}"


@pytest.mark.parametrize("file", [file for file in FILES if _room(file) in THOUGHT], ids=lambda file: str(file.relative_to(SOURCE)))
def test_thought_does_not_look_at_the_world(file: Path) -> None:
    assert not {name for name in _imports(file) if name in WORLD}


def test_the_package_itself_imports_nothing_until_it_is_asked() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text("utf-8"))
    at_once = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert [ast.unparse(node) for node in at_once] == ["from __future__ import annotations"]
    rooms = {name for name in _imports(SOURCE / "__init__.py") if not name.startswith("sanctity.determinism.")}
    assert rooms <= {"__future__", "sanctity.guard", "sanctity.verbs.functions"}
