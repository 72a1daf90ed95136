"""What is taken for a lock to compare with: exact rows, and loose ones only where a marker may keep them out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from factories import a_distribution, an_environment
from sanctity.compare.comparison import compare_with_lock
from sanctity.errors import DocumentError
from sanctity.model.drift import Code, Depth
from sanctity.verbs.references import read_references
from sanctity.verbs.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from sanctity.model.lock import Lock

ELSEWHERE, HERE = "sys_platform == 'win32'", "sys_platform != 'win32'"


def _read(folder: Path, name: str, text: str) -> Lock:
    (folder / name).write_text(text)
    world = World(cwd=str(folder), environ={}, clock=lambda: 0.0)
    lock = read_references(str(folder / name), str(folder), "", world).lock
    assert lock is not None
    return lock


def _pipfile(marker: str) -> str:
    """A lock as pipenv writes it: what is not for where it locks has any version."""
    loose = {"version": "*"} | ({"markers": marker} if marker else {})
    rows = {"colorama": loose, "six": {"hashes": ["sha256:" + "0" * 64], "version": "==1.17.0"}}
    meta = {"hash": {"sha256": "0" * 64}, "pipfile-spec": 6, "requires": {}, "sources": []}
    return json.dumps({"_meta": meta, "default": rows, "develop": {}})


def _told(lock: Lock, *names: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The drifts, and what of the scope was not compared, where six and these *names* are installed."""
    there = [a_distribution(name, "1.17.0") for name in ("six", *names)]
    found = compare_with_lock(an_environment(*there), lock, depth=Depth.VERSION, lock_folder="/project")
    drifts = [(str(drift.code), drift.distribution) for drift in found.drifts if drift.code is not Code.RECORD_MISSING]
    return drifts, [(item.code, item.what) for item in found.unchecked if item.in_scope]


def test_a_loose_row_of_another_platform_refuses_no_lock(tmp_path: Path) -> None:
    lock = _read(tmp_path, "Pipfile.lock", _pipfile(ELSEWHERE))
    assert _told(lock) == ([], [])
    assert _told(lock, "colorama") == ([("distribution-extra", "colorama")], [])


def test_a_loose_row_that_holds_is_never_a_pass(tmp_path: Path) -> None:
    lock = _read(tmp_path, "Pipfile.lock", _pipfile(HERE))
    assert _told(lock) == ([("distribution-missing", "colorama")], [])
    assert _told(lock, "colorama") == ([], [("unpinned", "colorama")])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Pipfile.lock", _pipfile("")),
        ("requirements.txt", "six\n"),
        ("requirements.txt", f"six ; {HERE}\n"),
        ("requirements.txt", f"six==1.17.0\ncolorama>=1\nidna ; {ELSEWHERE}\n"),
    ],
)
def test_loose_rows_alone_are_no_lock(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        _read(tmp_path, name, text)
    assert caught.value.code == "lock-not-pinned"
