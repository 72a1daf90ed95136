"""Folders, what is no file, and the command itself: its exit codes, formats and what it does to a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from results.pairs import both, command, folders, safetensors
from sanctity.model.result import Sameness
from sanctity.report.results import schema

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two empty folders, ``one`` and ``two``, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path / "one", tmp_path / "two"


def test_files_are_matched_by_their_paths(sides: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = sides
    for side in sides:
        (side / "sub/empty").mkdir(parents=True)
        (side / "sub/same.txt").write_text("same")
    (one / "gone.txt").write_text("x")
    (two / "sub/new.txt").write_text("x")
    (two / "hollow").mkdir()
    found = folders(tmp_path)
    assert {file.path: [str(item.what) for item in file.differences] for file in found.files} == {
        "gone.txt": ["missing"],
        "hollow/": ["extra"],
        "sub/empty/": [],
        "sub/new.txt": ["extra"],
        "sub/same.txt": [],
    }
    assert found.sameness is Sameness.DIFFERENT


def test_what_is_no_file_is_not_opened(sides: tuple[Path, Path], tmp_path: Path) -> None:
    for side in sides:
        os.mkfifo(side / "pipe.npy")
        (side / "to folder").symlink_to("..")
        (side / "round").symlink_to("round")
        (side / "nowhere").symlink_to("nothing/here")
    (sides[1] / "other").symlink_to(tmp_path / "one")
    (sides[0] / "other").symlink_to("/")
    found = {file.path: file for file in folders(tmp_path).files}
    assert found["pipe.npy"].sameness is Sameness.UNDECIDED
    assert found["to folder"].sameness is found["nowhere"].sameness is Sameness.IDENTICAL
    assert found["round"].sameness in {Sameness.IDENTICAL, Sameness.UNDECIDED}
    assert found["other"].sameness is Sameness.DIFFERENT


def test_links_to_files_are_followed(sides: tuple[Path, Path], tmp_path: Path) -> None:
    (sides[0] / "x.json").write_text("[1]")
    (tmp_path / "kept.json").write_text("[ 1 ]")
    (sides[1] / "x.json").symlink_to("../kept.json")
    assert folders(tmp_path).sameness is Sameness.EQUAL


def test_folders_of_any_depth(sides: tuple[Path, Path], tmp_path: Path) -> None:
    for side in sides:
        here = os.open(side, os.O_RDONLY)
        try:
            for _ in range(400):
                os.mkdir("d", dir_fd=here)
                below = os.open("d", os.O_RDONLY, dir_fd=here)
                os.close(here)
                here = below
        finally:
            os.close(here)
    try:
        assert folders(tmp_path).sameness is Sameness.IDENTICAL
    finally:
        subprocess.run(["rm", "-rf", *map(str, sides)], check=True)  # deeper than Python's own way of removing goes


def test_a_file_of_the_kernel_is_read_though_it_has_no_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("/proc/version", "/proc/filesystems") == 1
    assert "DIFFERENT" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_can_not_be_read_is_undecided(sides: tuple[Path, Path], tmp_path: Path) -> None:
    for side in sides:
        (side / "x.txt").write_text("x")
    (sides[1] / "x.txt").chmod(0)
    (file,) = folders(tmp_path).files
    assert (file.sameness, file.reason) == (Sameness.UNDECIDED, "result-unreadable: the second: Permission denied")


@pytest.mark.parametrize("library", ["numpy", "pyarrow", "PIL"])
def test_without_its_library_a_file_is_undecided_unless_identical(
    sides: tuple[Path, Path], library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"numpy": "x.safetensors", "pyarrow": "x.parquet", "PIL": "x.bmp"}[library]
    data = safetensors({"a": np.arange(3.0)})
    for number, side in enumerate(sides):
        (side / name).write_bytes(data[:-1] + bytes([number]))
    for module in [module for module in sys.modules if module.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, library, None)
    assert command("one", "two") == 3
    assert "result-needs-library: " in capsys.readouterr().out
    (sides[1] / name).write_bytes((sides[0] / name).read_bytes())
    assert command("one", "two") == 0
    assert capsys.readouterr().out.startswith("IDENTICAL")


def test_exit_codes(sides: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    one, two = sides
    assert command("one", "two") == 3  # nothing in either
    (one / "x.json").write_text('{"a": 1, "b": 0.1}')
    (two / "x.json").write_text('{"b": 1e-1, "a": 1}')
    assert command("one", "two") == 0
    assert command("one", "two", "--strict") == 1
    assert command("one", "two", "--bytes") == 1
    assert command("one", "one", "--strict") == 0
    (two / "x.json").write_text('{"a": 2}')
    assert command("one/x.json", "two/x.json") == 1
    (two / "x.json").write_text('{"a": ')
    assert command("one/x.json", "two/x.json") == 3
    capsys.readouterr()
    assert command("one", "nothing") == 2
    assert "result-not-found" in capsys.readouterr().err
    assert command("one", "two/x.json") == 2
    assert command("one") == 2


HOSTILE = "\x1b[2J\r\u202e<script>`|*\n"


def test_names_drive_no_terminal_and_no_page(sides: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = sides
    name = f"x{HOSTILE}.safetensors"
    (one / name).write_bytes(safetensors({HOSTILE: np.arange(3, dtype="f4")}, {HOSTILE: HOSTILE}))
    (two / name).write_bytes(safetensors({HOSTILE: np.arange(3, dtype="f4") * 3}))
    (one / "y.csv").write_text(f"a\n{HOSTILE.strip()}1\n")
    (two / "y.csv").write_text(f"a\n{HOSTILE.strip()}2\n")
    os.symlink(HOSTILE, one / "link")
    os.symlink("b" + HOSTILE, two / "link")
    with open(os.fsencode(one) + b"/\xff.txt", "w") as file:
        file.write("x")
    for format_ in ("text", "markdown", "html"):
        assert command("one", "two", "--format", format_) == 1
        text = capsys.readouterr().out
        assert not {letter for letter in text if letter != "\n" and not letter.isprintable()}
        if format_ == "html":
            assert "<script" not in text
            assert not re.search(r"(?:src|href)=", text)
        if format_ == "markdown":
            assert all(line.count("|") - line.count("\\|") in {0, 4} for line in text.splitlines() if line.startswith("|"))
    assert command("one", "two", "--format", "json", "-o", "report.json") == 1
    document = json.loads((tmp_path / "report.json").read_bytes())
    jsonschema.validate(document, schema())


DOCUMENTS: list[tuple[str, bytes, bytes]] = [
    ("x.txt", b"a", b"a"),
    ("x.json", b"[0.5, -0.0, 1]", b"[0.75, 0.0, 2, 3]"),
    ("x.json", b"[1]", b"[ 1 ]"),
    ("x.npy", b"\x93NUMPY", b"\x93NUMPZ"),
    ("x.bin", b"\0a", b"\0bc"),
    (
        "x.safetensors",
        safetensors({"a": np.array([1.0, np.nan, -0.0])}),
        safetensors({"a": np.array([2.0, 1.0, 0.0]), "b": np.arange(2)}),
    ),
]


@pytest.mark.parametrize(("name", "before", "after"), DOCUMENTS)
def test_the_document_fits_its_schema(
    tmp_path: Path, name: str, before: bytes, after: bytes, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = both(tmp_path, name, before, after)
    monkeypatch.chdir(tmp_path)
    command(f"one/{name}", f"two/{name}", "--format", "json")
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema())
    assert document["sameness"] == document["files"][0]["sameness"] == str(found.sameness)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "sameness": "alike"}, schema())


def test_the_page_has_a_histogram_of_distances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = np.ones(64, "f4")
    after = (before.view("u4") + np.arange(64, dtype="u4")).view("f4")
    both(tmp_path, "x.safetensors", safetensors({"w": before}), safetensors({"w": after}))
    monkeypatch.chdir(tmp_path)
    assert command("one", "two", "--format", "html") == 1
    page = capsys.readouterr().out
    assert [int(number) for number in re.findall(r"ulps: (\d+)</title></rect>", page)] == [1, 2, 4, 8, 16, 32]
