"""What is remembered of bytecode: kept, joined, and believed only where it is whole and this user's own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.store import pairs
from sanctity.store.pairs import PairsMemory, pair_key

if TYPE_CHECKING:
    from pathlib import Path


def _key(of: str) -> bytes:
    return hashlib.sha256(of.encode()).digest()


def test_what_was_proven_is_remembered_beside_what_was_known(tmp_path: Path) -> None:
    memory = PairsMemory(f"{tmp_path}/deep/er")
    assert memory.known() == frozenset()
    memory.keep({_key("a"), _key("b")})
    memory.keep({_key("c")})
    assert PairsMemory(f"{tmp_path}/deep/er").known() == {_key("a"), _key("b"), _key("c")}
    assert os.stat(f"{tmp_path}/deep/er/bytecode.pairs").st_mode & 0o777 == 0o600


@given(
    *[
        st.tuples(
            st.binary(min_size=32, max_size=32),
            st.binary(min_size=32, max_size=32),
            st.sampled_from(["a 1", "a 11"]),
            st.integers(0, 12),
        )
    ]
    * 2
)
def test_a_key_tells_any_two_pairs_apart(one: tuple[bytes, bytes, str, int], other: tuple[bytes, bytes, str, int]) -> None:
    assert (pair_key(*one) == pair_key(*other)) == (one == other)


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    memory = PairsMemory(str(tmp_path / "m"))
    memory.keep(frozenset())
    assert not (tmp_path / "m").exists()
    memory.keep({_key("a")})
    before = (tmp_path / "m/bytecode.pairs").stat().st_ino
    memory.keep({_key("a")})
    assert (tmp_path / "m/bytecode.pairs").stat().st_ino == before


_SPOILS = [
    "others may write it", "others may write the folder", "a link", "a linked folder", "cut", "a flipped bit", "one key more", "another kind",
    "a folder", "a fifo", "empty", "of somebody else",
]  # fmt: skip


@pytest.mark.parametrize("spoil", _SPOILS)
def test_what_can_not_be_believed_is_nothing(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "m"
    memory = PairsMemory(str(folder))
    memory.keep({_key("a"), _key("b")})
    file = folder / "bytecode.pairs"
    data = bytearray(file.read_bytes())
    match spoil:
        case "others may write it":
            file.chmod(0o666)
        case "others may write the folder":
            folder.chmod(0o777)
        case "a link":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "a linked folder":
            folder.rename(tmp_path / "elsewhere")
            folder.symlink_to(tmp_path / "elsewhere")
        case "cut":
            file.write_bytes(data[:-32])
        case "a flipped bit":
            data[-1] ^= 1
            file.write_bytes(data)
        case "one key more":
            file.write_bytes(bytes(data) + _key("forged"))
        case "another kind":
            file.write_bytes(b"sanctity pairs 2\n" + data[17:])
        case "a folder":
            file.unlink()
            file.mkdir()
        case "a fifo":
            file.unlink()
            os.mkfifo(file)
        case "of somebody else":
            if os.geteuid():
                pytest.skip("only root can give a file away")
            os.chown(file, 12345, 12345)
        case _:
            file.write_bytes(b"")
    assert memory.known() == frozenset()
    if spoil not in {"a folder", "others may write the folder", "a linked folder"}:
        memory.keep({_key("c")})
        assert memory.known() == {_key("c")}


def test_where_nothing_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    PairsMemory(f"{tmp_path}/file/below").keep({_key("a")})
    PairsMemory("").keep({_key("a")})
    assert PairsMemory(f"{tmp_path}/file/below").known() == PairsMemory("").known() == frozenset()


def test_a_memory_that_is_full_starts_anew_with_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_MOST", 3)
    memory = PairsMemory(str(tmp_path / "m"))
    memory.keep({_key("a"), _key("b")})
    memory.keep({_key("c"), _key("d")})
    assert memory.known() == {_key("c"), _key("d")}


def test_writers_that_meet_join_what_they_know(tmp_path: Path) -> None:
    program = (
        "import sys, hashlib\n"
        "from sanctity.store.pairs import PairsMemory\n"
        "for number in range(25):\n"
        "    PairsMemory(sys.argv[1]).keep({hashlib.sha256((sys.argv[2] + str(number)).encode()).digest()})\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, f"{tmp_path}/m", name]) for name in "abc"]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert PairsMemory(f"{tmp_path}/m").known() == {_key(f"{name}{number}") for name in "abc" for number in range(25)}
    assert [entry.name for entry in os.scandir(tmp_path / "m") if entry.name.endswith(".tmp")] == []
