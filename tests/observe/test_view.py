"""The file system as an environment sees it: regular files only, whole, and never out of an image."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from sanctity.observe.view import View, is_blind

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 40_000)
    assert View().read(str(path), 40_000) == b"x" * 40_000
    with pytest.raises(OSError, match="more than 39,999 bytes") as caught:
        View().read(str(path), 39_999)
    assert caught.value.errno == errno.EFBIG
    assert not is_blind(caught.value)
    assert View().read_head(str(path), 7) == b"x" * 7


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "to-fifo"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            os.mkfifo(tmp_path / "fifo")
            path.symlink_to("fifo")
    with pytest.raises(OSError, match="no regular file") as caught:
        View().read(str(path), 100)
    assert not is_blind(caught.value)


def test_a_name_that_can_be_no_path(tmp_path: Path) -> None:
    for view in (View(), View(str(tmp_path))):
        with pytest.raises(OSError, match="NUL"):
            view.read("/a\0b", 10)
        assert not view.exists("/a\0b")
        assert not view.is_folder("/a\0b")
        assert view.listing("/a\0b") == []
        assert view.real("/a\0b") == "/a\0b"


@pytest.mark.parametrize(
    ("link", "target", "real"),
    [
        ("a", "/etc", "/etc/x"),
        ("a", "../../../..", "/x"),
        ("a", "b/../../c", "/c/x"),
        ("a", "./.", "/x"),
        ("a", "//etc//", "/etc/x"),
    ],
)
def test_links_below_a_root_start_there(tmp_path: Path, link: str, target: str, real: str) -> None:
    (tmp_path / link).symlink_to(target)
    assert View(str(tmp_path)).real(f"/{link}/x") == real


def test_a_loop_below_a_root_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("/a/c")
    view = View(str(tmp_path))
    assert view.real("/a/x") == "/a/x"
    assert not view.exists("/a/x")


@pytest.mark.parametrize(
    ("number", "blind"),
    [
        (errno.EACCES, True),
        (errno.EIO, True),
        (errno.EPERM, True),
        (errno.ESTALE, True),
        (errno.ENOENT, False),
        (errno.ELOOP, False),
    ],
)
def test_blind_is_what_hides_a_file(number: int, *, blind: bool) -> None:
    assert is_blind(OSError(number, os.strerror(number))) is blind
