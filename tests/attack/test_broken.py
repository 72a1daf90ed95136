"""Broken documents through the real command line: the place and the remedy are told, soon, in little memory, and no secret is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from attack.broken import CASES, SECRET, SOUND, Case
from sanctity.pages import pages
from sanctity.report.linting import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WARD = Path(__file__).parent / "broken/ward.py"
#: What the contract allows, and what an allocator may make of it.
MEGABYTES, SLACK = 200, 20
FORMATS = ("json", "markdown", "sarif", "github")


@pytest.fixture(scope="module")
def ward() -> Iterator[Callable[[Path, list[str]], dict[str, Any]]]:
    """Runs the command line in a folder, in a process of its own that was forked from one process for all cases."""
    with subprocess.Popen([sys.executable, "-I", WARD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(folder: Path, words: list[str]) -> dict[str, Any]:
            print(json.dumps([str(folder), *words]), file=process.stdin, flush=True)
            said: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return said

        yield run
        process.stdin.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_place_and_the_remedy_are_told(case: Case, ward: Callable[[Path, list[str]], dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / case.file).write_bytes(case.data)
    for stem, data in case.beside.items():
        (tmp_path / f"{stem}.txt").write_bytes(data)
    also = [word for name in FORMATS for word in ("--also", f"{name}=report.{name}")]
    done = ward(tmp_path, ["lint", case.file, "--format", "text", *also])
    assert "Traceback" not in done["err"], done["err"]
    assert done["exit"] == case.exit, (done["exit"], done["out"][-2000:], done["err"][-2000:])
    assert done["kib"] <= (MEGABYTES + SLACK) * 1024, f"{done['kib'] // 1024} MiB"
    texts = {name: (tmp_path / f"report.{name}").read_text("utf-8") for name in FORMATS} | {
        "text": done["out"],
        "stderr": done["err"],
    }
    for name, text in texts.items():
        assert SECRET not in text, name
        if name not in {"json", "sarif"}:
            assert not {char for char in text if char != "\n" and not char.isprintable()}, name
    report = json.loads(texts["json"])
    jsonschema.validate(report, schema())
    told = [finding for finding in report["findings"] if finding["code"] == case.code]
    assert told, [(finding["code"], finding["where"]) for finding in report["findings"]]
    assert any(case.where in (finding["where"] or "") for finding in told), [finding["where"] for finding in told]
    for finding in report["findings"]:
        assert finding["message"]
        assert finding["hint"], finding
        assert finding["path"] == case.file or finding["path"] in {f"{stem}.txt" for stem in case.beside}
        assert finding["code"] in pages()
    assert case.code in texts["text"]
    assert len(texts["text"]) < 200_000


@pytest.mark.parametrize("case", [case for case in CASES if len(case.data) < 1_000_000], ids=lambda case: case.name)
def test_an_export_of_it_is_refused_or_holds_no_secret(
    case: Case, ward: Callable[[Path, list[str]], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / case.file).write_bytes(case.data)
    for stem, data in case.beside.items():
        (tmp_path / f"{stem}.txt").write_bytes(data)
    done = ward(tmp_path, ["export", case.file])
    assert SECRET not in done["out"] + done["err"]
    assert "Traceback" not in done["err"], done["err"]
    assert done["exit"] == (0 if done["out"] else 2), done["err"]
    assert done["out"] or "hint: " in done["err"]


@pytest.mark.parametrize("name", SOUND)
def test_before_they_were_broken_they_were_sound(
    name: str, ward: Callable[[Path, list[str]], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(SOUND[name])
    done = ward(tmp_path, ["lint", name, "--format", "json"])
    assert done["exit"] == 0, done["out"]
    findings = json.loads(done["out"])["findings"]
    assert not [finding["code"] for finding in findings if finding["code"].startswith("lock-")]


def test_there_are_enough_of_them_and_of_every_format() -> None:
    assert len(CASES) == len({case.name for case in CASES}) >= 60
    per_format = {case.name.partition("-")[0] for case in CASES}
    assert {
        "uv",
        "poetry",
        "pdm",
        "pipfile",
        "pylock",
        "conda",
        "pixi",
        "explicit",
        "requirements",
        "environment",
        "pyproject",
    } <= per_format
