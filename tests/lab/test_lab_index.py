"""The lab's own index: what it says on which day, that a file that was replaced has another hash, and the wheel that replaces it."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from lab.worlds import small_catalogue, small_wheels
from sanctity.lab.index import Index, serving
from sanctity.lab.tamper import replace_wheel

if TYPE_CHECKING:
    from pathlib import Path

JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An index with the small world in it, on a day after all uploads."""
    catalogue = small_catalogue(small_wheels(tmp_path / "files"))
    (tmp_path / "uploads.json").write_text(json.dumps({wheel.filename: wheel.uploaded for wheel in catalogue.wheels}))
    (tmp_path / "today").write_text("2024-06-17\n")
    return tmp_path


def _page(folder: Path, name: str) -> dict[str, Any]:
    status, kind, body = Index(str(folder)).answer(f"/simple/{name}/", JSON)
    assert (status, kind) == (200, JSON)
    page: dict[str, Any] = json.loads(body)
    return page


def test_a_page_states_hash_size_and_the_real_time_of_upload(folder: Path) -> None:
    (row,) = _page(folder, "pandas")["files"]
    data = (folder / "files/pandas-2.1.1-py3-none-any.whl").read_bytes()
    assert row["hashes"] == {"sha256": hashlib.sha256(data).hexdigest()}
    assert (row["size"], row["upload-time"]) == (len(data), "2023-09-20T20:00:00Z")


def test_what_was_uploaded_later_is_not_there_yet(folder: Path) -> None:
    assert _page(folder, "numpy")["versions"] == ["1.26.4", "2.0.0"]
    (folder / "today").write_text("2024-06-15\n")
    assert _page(folder, "numpy")["versions"] == ["1.26.4"]
    assert Index(str(folder)).answer("/files/numpy-2.0.0-py3-none-any.whl", "*/*")[0] == 404
    (folder / "today").write_text("2023-01-01\n")
    assert Index(str(folder)).answer("/simple/numpy/", JSON)[0] == 404


def test_the_page_for_people_has_the_same_files(folder: Path) -> None:
    status, kind, body = Index(str(folder)).answer("/simple/numpy/", "text/html")
    assert status == 200
    assert kind.startswith("text/html")
    for row in _page(folder, "numpy")["files"]:
        assert f"{row['url']}#sha256={row['hashes']['sha256']}" in body.decode()
    assert b'href="/simple/numpy/"' in Index(str(folder)).answer("/simple/", "text/html")[2]


def test_a_replaced_wheel_is_served_with_its_own_hash_by_the_same_server(folder: Path) -> None:
    member = "pandas/core/groupby/groupby.py"
    path = folder / "files/pandas-2.1.1-py3-none-any.whl"
    with serving(str(folder)) as port:
        url = f"http://127.0.0.1:{port}/files/{path.name}"
        before = urllib.request.urlopen(url).read()
        replace_wheel(str(path), member, "GroupBy.median = GroupBy.max")
        after = urllib.request.urlopen(url).read()
        metadata = urllib.request.urlopen(f"{url}.metadata").read()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/simple/pandas/", headers={"Accept": JSON})
        (row,) = json.load(urllib.request.urlopen(request))["files"]
    assert before != after
    assert row["hashes"]["sha256"] == hashlib.sha256(after).hexdigest()
    assert row["core-metadata"]["sha256"] == hashlib.sha256(metadata).hexdigest()


def test_a_replaced_wheel_differs_in_one_line_and_its_record_is_true(folder: Path) -> None:
    member = "pandas/core/groupby/groupby.py"
    path = folder / "files/pandas-2.1.1-py3-none-any.whl"
    with zipfile.ZipFile(path) as old:
        before = {name: old.read(name) for name in old.namelist()}
    replace_wheel(str(path), member, "x = 1")
    with zipfile.ZipFile(path) as new:
        after = {name: new.read(name) for name in new.namelist()}
    record = "pandas-2.1.1.dist-info/RECORD"
    assert {name for name in before if before[name] != after[name]} == {member, record}
    assert after[member] == before[member] + b"x = 1\n"
    sizes = {row[0]: row[2] for row in csv.reader(after[record].decode().splitlines())}
    assert sizes[member] == str(len(after[member]))
    assert after.keys() == before.keys()
    assert [each.name for each in path.parent.iterdir() if "tmp" in each.name] == []


def test_a_member_that_is_not_there_leaves_the_wheel_as_it_was(folder: Path) -> None:
    path = folder / "files/pandas-2.1.1-py3-none-any.whl"
    before = path.read_bytes()
    with pytest.raises(KeyError):
        replace_wheel(str(path), "pandas/nothing.py", "x = 1")
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 3


def test_a_broken_wheel_is_an_error_of_the_server_and_not_its_end(folder: Path) -> None:
    (folder / "files/pandas-2.1.1-py3-none-any.whl").write_bytes(b"no zip")
    with serving(str(folder)) as port:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/simple/pandas/")
        assert caught.value.code == 500
        caught.value.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/simple/numpy/") as answer:
            assert answer.status == 200


def test_a_path_does_not_leave_the_folder(folder: Path, tmp_path: Path) -> None:
    index = Index(str(folder))
    for path in ("/files/../today", "/files/%2e%2e/today", "/files/uploads.json", "/today", "/files/"):
        assert index.answer(path, "*/*")[0] == 404


def test_it_can_be_served_by_hand(folder: Path) -> None:
    command = [sys.executable, "-m", "sanctity.lab.index", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert urllib.request.urlopen(f"{url}pandas/").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_a_wheel_can_be_replaced_by_hand(folder: Path, tmp_path: Path) -> None:
    wheel = shutil.copy(folder / "files/numpy-2.0.0-py3-none-any.whl", tmp_path / "copy.whl")
    done = subprocess.run([sys.executable, "-m", "sanctity.lab.tamper", wheel, "numpy/__init__.py", "y = 2"], check=False)
    assert done.returncode == 0
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("numpy/__init__.py").endswith(b"y = 2\n")
