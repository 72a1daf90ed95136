"""What is remembered of wheels: kept, joined, and believed only where it is this user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from factories import a_digest
from sanctity.errors import DocumentError
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.digest import ContentDigest
from sanctity.store.contents import ContentsMemory

if TYPE_CHECKING:
    from pathlib import Path


def _content(of: str, content: str = "") -> WheelContent:
    return WheelContent(
        sha256=a_digest(of), content=ContentDigest(a_digest(content or of)), filename=f"{of}-1-py3-none-any.whl", proof=Proof.WHEEL
    )


def test_what_was_learnt_is_remembered_beside_what_was_known(tmp_path: Path) -> None:
    memory = ContentsMemory(f"{tmp_path}/deep/er")
    assert memory.known() == {}
    memory.keep([_content("a")])
    memory.keep([_content("b")])
    found = ContentsMemory(f"{tmp_path}/deep/er").known()
    assert {item.filename for item in found.values()} == {"a-1-py3-none-any.whl", "b-1-py3-none-any.whl"}
    assert {item.proof for item in found.values()} == {Proof.REMEMBERED}


def test_a_contradiction_is_not_remembered(tmp_path: Path) -> None:
    memory = ContentsMemory(str(tmp_path / "m"))
    memory.keep([_content("a")])
    before = (tmp_path / "m/contents.json").read_bytes()
    with pytest.raises(DocumentError):
        memory.keep([_content("b"), _content("a", "another")])
    assert (tmp_path / "m/contents.json").read_bytes() == before


@pytest.mark.parametrize("spoil", ["others may write it", "others may write the folder", "a link", "damaged", "a folder", "a fifo"])
def test_what_can_not_be_believed_is_nothing(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "m"
    memory = ContentsMemory(str(folder))
    memory.keep([_content("a")])
    file = folder / "contents.json"
    assert memory.known()
    match spoil:
        case "others may write it":
            file.chmod(0o666)
        case "others may write the folder":
            folder.chmod(0o777)
        case "a link":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "damaged":
            file.write_bytes(file.read_bytes()[:-40])
        case "a folder":
            file.unlink()
            file.mkdir()
        case _:
            file.unlink()
            os.mkfifo(file)
    assert memory.known() == {}


def test_writers_that_meet_join_what_they_know(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from test_contents_memory import _content\n"
        "from sanctity.store.contents import ContentsMemory\n"
        "for number in range(20): ContentsMemory(sys.argv[1]).keep([_content(f'{sys.argv[2]}{number}')])\n"
    )
    here = os.path.dirname(__file__)
    command = [sys.executable, "-c", program, f"{tmp_path}/m"]
    children = [subprocess.Popen([*command, name, here, os.path.dirname(here)]) for name in "abc"]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(ContentsMemory(f"{tmp_path}/m").known()) == 60
    assert [entry.name for entry in os.scandir(tmp_path / "m") if entry.name.endswith(".tmp")] == []


def test_an_empty_folder_remembers_nothing() -> None:
    assert ContentsMemory("").keep([_content("a")]) == {}
    assert ContentsMemory("").known() == {}
