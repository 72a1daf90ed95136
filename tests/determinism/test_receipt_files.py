"""The receipts of many processes: written whole or not at all, merged by whoever writes, and nothing passed over when read."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sanctity.determinism import files
from sanctity.determinism.files import Receipts, begin, receipts
from sanctity.determinism.receipt import STATUSES, Receipt, Row
from sanctity.errors import SanctityError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


LAUNCHED = {
    "seed": "",
    "scheme": "",
    "variables": {},
    "kept": [],
    "injected": "",
    "program": "python",
    "verdict": "clean",
    "fingerprint": "sha256:" + "0" * 64,
}


def _schema(name: str) -> Any:
    return json.loads((resources.files("sanctity.report") / f"schema/{name}.json").read_text("utf-8"))


def a_receipt(*, seed: int = 42, rank: int | None = None, **statuses: str) -> Receipt:
    rows = [Row(control.replace("_", "-"), "library", status) for control, status in statuses.items()]
    return Receipt(seed=seed, scheme="sanctity-seed/1", version="1", rank=rank, rows=rows)


def put(folder: Path, pid: int, receipt: Receipt, *, state: str = "ended", **changes: Any) -> Path:
    """A process's file as `keep` writes it."""
    document = {
        "schema": "sanctity.process/1",
        "state": state,
        "pid": pid,
        "parent": 1,
        "program": "train.py",
        "injected": "",
        "receipt": json.loads(receipt.to_json()),
        **changes,
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"process-{pid}-{pid:08x}.json"
    path.write_text(json.dumps(document))
    return path


def test_every_status_has_its_place_in_a_merge() -> None:
    assert set(files._WORST) == STATUSES.keys()


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(STATUSES, 2)))
def test_the_worst_status_is_the_merged_one_whatever_the_order(first: str, second: str, tmp_path: Path) -> None:
    put(tmp_path / "a", 1, a_receipt(random=first))
    put(tmp_path / "a", 2, a_receipt(random=second))
    put(tmp_path / "b", 1, a_receipt(random=second))
    put(tmp_path / "b", 2, a_receipt(random=first))
    ((control, status, states),) = receipts(tmp_path / "a").rows
    assert receipts(tmp_path / "b").rows == ((control, status, states),)
    assert (control, states) == ("random", {first: 1, second: 1})
    assert status == min((first, second), key=files._WORST.index)


def test_what_is_worst_comes_first(tmp_path: Path) -> None:
    put(tmp_path, 1, a_receipt(random="applied", torch_cpu="overwritten", hash_seed="too-late", keras="unavailable"))
    assert [control for control, _, _ in receipts(tmp_path).rows] == ["torch-cpu", "hash-seed", "random", "keras"]
    text = str(receipts(tmp_path))
    assert text.index("torch-cpu") < text.index("hash-seed") < text.index("random")
    assert text.endswith("in no process: keras")


def test_two_seeds_are_a_conflict(tmp_path: Path) -> None:
    put(tmp_path, 1, a_receipt(seed=42))
    put(tmp_path, 2, a_receipt(seed=43))
    assert receipts(tmp_path).conflicts == ("seed: 42 in 1; 43 in 2",)
    assert "conflict  seed: 42 in 1; 43 in 2" in str(receipts(tmp_path))


def test_a_process_with_another_seed_than_run_is_a_conflict(tmp_path: Path) -> None:
    begin(str(tmp_path), {"seed": "42"})
    put(tmp_path, 7, a_receipt(seed=43))
    assert receipts(tmp_path).conflicts == ("seed: 42 in run; 43 in 7",)


def test_two_processes_of_one_rank_are_a_conflict_and_their_children_are_not(tmp_path: Path) -> None:
    put(tmp_path, 1, a_receipt(rank=0))
    put(tmp_path, 2, a_receipt(rank=1))
    child = a_receipt(rank=0)
    child.child = (0,)
    put(tmp_path, 3, child)
    assert receipts(tmp_path).conflicts == ()
    put(tmp_path, 4, a_receipt(rank=1))
    assert receipts(tmp_path).conflicts == ("rank 1: it is 2 processes, 2, 4",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": "other"}',
        b'{"schema": "sanctity.process/1"}',
        b"\xff",
        b"[" * 100_000,
        b'{"schema": "sanctity.process/1", "pid": 1, "parent": 1, "program": "", "injected": "", "state": "ended", "receipt": {}}',
    ],
)
def test_what_can_not_be_read_is_told_and_never_passed_over(data: bytes, tmp_path: Path) -> None:
    put(tmp_path, 1, a_receipt(random="applied"))
    (tmp_path / "process-2-00000002.json").write_bytes(data)
    found = receipts(tmp_path)
    assert len(found.processes) == 1
    assert [file for file, _ in found.unread] == ["process-2-00000002.json"]
    assert "unread    process-2-00000002.json" in str(found)


def test_a_receipt_that_was_edited_is_not_read(tmp_path: Path) -> None:
    path = put(tmp_path, 1, a_receipt(random="overwritten"))
    path.write_text(path.read_text().replace("overwritten", "applied"))
    (unread,) = receipts(tmp_path).unread
    assert "digest" in unread[1]


def test_text_from_outside_drives_no_terminal(tmp_path: Path) -> None:
    put(tmp_path, 1, a_receipt(), program="\x1b[31mred", state="running")
    assert "\x1b" not in str(receipts(tmp_path))


def test_no_folder_is_an_error_and_an_empty_one_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        receipts(tmp_path / "none")
    assert told.value.code == "receipts-not-found"
    assert receipts(tmp_path).processes == ()


def test_a_new_run_removes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    put(tmp_path, 1, a_receipt())
    (tmp_path / "results.json").write_text("{}")
    (tmp_path / "process-x.json").write_text("{}")
    begin(str(tmp_path), {"seed": "42"})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"results.json", "process-x.json", "launch.json", "receipt.json"}


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SanctityError) as told:
        begin(str(tmp_path / "file"), {})
    assert told.value.code == "receipts-failed"


def _program(tmp_path: Path, words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "SANCTITY_RECEIPTS": str(tmp_path / "receipts")}
    start = "import os, sys, sanctity\nreceipt = sanctity.set_global_determinism(42, quiet=True)\n"
    return subprocess.run(
        [sys.executable, "-c", start + words], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_at_its_end_a_process_tells_what_was_overwritten(tmp_path: Path) -> None:
    done = _program(tmp_path, "import random; random.seed(7)")
    assert done.returncode == 0, done.stderr
    (process,) = receipts(tmp_path / "receipts").processes
    assert process.receipt["random"].status == "overwritten"
    assert not list((tmp_path / "receipts").glob("*.tmp"))


def test_processes_that_write_at_once_are_all_in_the_merged_one(tmp_path: Path) -> None:
    words = (
        "children = []\n"
        "for number in range(12):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        os._exit(0)\n"
        "    children.append(pid)\n"
        "for pid in children: os.waitpid(pid, 0)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert _program(tmp_path, words).returncode == -9
    merged = json.loads((tmp_path / "receipts/receipt.json").read_text())
    jsonschema.validate(merged, _schema("receipts-1"))
    assert len(merged["processes"]) == 13
    assert sorted(tuple(process["receipt"]["child"]) for process in merged["processes"]) == [(), *((n,) for n in range(12))]
    assert {process["state"] for process in merged["processes"]} == {"running"}


def test_a_folder_that_goes_away_is_told_at_the_end_and_changes_no_exit_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _program(
        tmp_path, "os.environ.pop('SANCTITY_RECEIPTS'); import sanctity.determinism.files as f; f._kept.folder += '/receipt.json/x'"
    )
    assert done.returncode == 0
    assert done.stderr.startswith("sanctity: the receipt was not written")


def test_a_program_that_is_under_way_goes_on_without_its_folder(tmp_path: Path) -> None:
    words = (
        "import random, shutil; folder = os.environ['SANCTITY_RECEIPTS']; shutil.rmtree(folder); open(folder, 'w').close();"
        "sanctity.register(random.Random(1), 'mine'); print('went on')"
    )
    done = _program(tmp_path, words)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert done.stderr.count("sanctity: the receipt was not written") == 1
    (tmp_path / "receipts").unlink()
    (tmp_path / "receipts").symlink_to("/dev/null")
    assert "SanctityError" in _program(tmp_path, "").stderr, "one that can not even begin is told at once"


def test_many_processes_leave_merging_to_those_that_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_MERGED_AT_ONCE", 3)
    monkeypatch.setattr(files, "_kept", None)
    for pid in range(4):
        put(tmp_path, pid, a_receipt())
    kept = files._Kept(str(tmp_path), a_receipt())
    files._write(kept, "running")
    assert not (tmp_path / "receipt.json").exists()
    files._write(kept, "ended")
    assert len(json.loads((tmp_path / "receipt.json").read_text())["processes"]) == 5


def test_every_document_is_of_its_schema(tmp_path: Path) -> None:
    begin(str(tmp_path), {**LAUNCHED, "seed": "42", "scheme": "sanctity-seed/1"})
    path = put(tmp_path, 1, a_receipt(random="applied"))
    (tmp_path / "process-2-00000002.json").write_text("{")
    jsonschema.validate(json.loads((tmp_path / "launch.json").read_text()), _schema("launch-1"))
    jsonschema.validate(json.loads(path.read_text()), _schema("process-1"))
    document = receipts(tmp_path).document()
    jsonschema.validate(document, _schema("receipts-1"))
    assert document["unread"]
    for process in document["processes"]:
        jsonschema.validate(process["receipt"], _schema("receipt-1"))


def test_the_document_holds_each_receipt_whole(tmp_path: Path) -> None:
    receipt = a_receipt(random="applied", keras="pending")
    put(tmp_path, 1, receipt)
    document = receipts(tmp_path).document()
    assert Receipt.from_json(json.dumps(document["processes"][0]["receipt"])) == receipt
    assert json.loads(receipts(tmp_path).to_json()) == document
    assert Receipts(()).document()["rows"] == []
