"""The child that reads: it speaks its frames, and ends with its reader."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from sanctity.observe import hasher

if TYPE_CHECKING:
    from pathlib import Path


Answer = tuple[int, int, int, int, int, int, bytes]


def _ask(folder: Path, mode: str, *names: str) -> list[Answer]:
    """The answers of a child to one frame, signs of life left out."""
    request = mode.encode() + "\0".join(names).encode()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", hasher.__file__, str(folder)],
        input=hasher.LENGTH.pack(len(request)) + request,
        capture_output=True,
        check=True,
        timeout=60,
        env={},
    )
    assert done.stderr == b""
    return [answer for answer in hasher.ANSWER.iter_unpack(done.stdout) if answer[0] not in {hasher.READING, hasher.WAITED}]


def test_each_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(bytes((8 << 20) + 1))
    digest = hashlib.sha256(b"content").digest()
    plain = _ask(tmp_path, "f", "a", "none", "link", "fifo", "large")
    assert [answer[0] for answer in plain] == [hasher.OK, hasher.FAILED, hasher.FAILED, hasher.IRREGULAR, hasher.BIG]
    assert plain[0][6] == digest
    (followed,) = _ask(tmp_path, "l", "link")
    assert (followed[0], followed[6]) == (hasher.OK, digest)
    (forced,) = _ask(tmp_path, "F", "large")
    assert (forced[0], forced[6]) == (hasher.OK, hashlib.sha256(bytes((8 << 20) + 1)).digest())
    (header,) = _ask(tmp_path, "b", "a")
    assert (header[0], header[6].rstrip(b"\0")) == (hasher.OK, b"content")


def test_a_large_file_is_read_with_signs_of_life(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    beats: list[None] = []
    answer = hasher.look("F", str(path), memoryview(bytearray(1 << 18)), lambda: beats.append(None))
    assert answer[0] == hasher.OK
    assert len(beats) >= 3


def test_a_file_that_claims_to_be_empty_and_is_not_is_not_hashed() -> None:
    """As /proc has them: size 0, and bytes all the same."""
    answer = hasher.look("f", "/proc/self/status", memoryview(bytearray(1 << 18)))
    assert answer[0] == hasher.CHANGED


def test_a_child_ends_when_nobody_listens(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    request = b"Flarge"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", hasher.__file__, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(hasher.LENGTH.pack(len(request)) + request)
        child.stdin.close()
        child.stdout.close()
        assert child.wait(60) != 0
