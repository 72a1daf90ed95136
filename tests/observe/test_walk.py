"""The walk and its reading children: whole, bounded in time, and honest about what it could not see."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import ObservationError
from sanctity.model.environment import FileKind
from sanctity.observe.walk import Tree, read_each, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _walk(folder: Path, *, workers: int = 2, stall: float = 60.0, meanwhile: Iterator[None] | None = None) -> Tree:
    return walk(str(folder), [""], workers=workers, clock=time.monotonic, stall=stall, meanwhile=meanwhile or iter(()))


def _fill(folder: Path, count: int, size: int = 10) -> None:
    """*count* files of *size* bytes in folders of a hundred."""
    for index in range(count):
        if index % 100 == 0:
            inside = folder / f"d{index // 100}"
            inside.mkdir(parents=True)
        (inside / f"f{index}").write_bytes(bytes([index % 256]) * size)


def _children() -> list[int]:
    """The process ids of this process's own reading children."""
    words = [word for task in Path("/proc/self/task").iterdir() for word in (task / "children").read_text().split()]
    return [int(word) for word in words if b"hasher" in Path(f"/proc/{word}/cmdline").read_bytes()]


def _once(act: Callable[[], None]) -> Iterator[None]:
    """Work for *meanwhile* that acts once: in a small tree, after everything was found and before anything is read."""
    act()
    yield


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds its children through /proc")


@pytest.mark.parametrize("count", [0, 1, 50, 699, 701, 3000])
def test_every_file_is_found_with_its_own_digest(tmp_path: Path, count: int) -> None:
    _fill(tmp_path, count)
    tree = _walk(tmp_path)
    expected = {
        str(path.relative_to(tmp_path)): hashlib.sha256(path.read_bytes()).digest()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert {entry.path: entry.digest for entry in tree.files.values()} == expected
    assert tree.problems == []
    assert tree.read == count
    assert _children() == []


def test_children_and_the_plain_loop_agree(tmp_path: Path) -> None:
    _fill(tmp_path, 900)
    for index, size in enumerate((0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, (8 << 20) + 1, (40 << 20) + 3)):
        (tmp_path / f"large{index}").write_bytes(os.urandom(1 << 10) * (size // 1024) + b"x" * (size % 1024))
    (tmp_path / "link").symlink_to("d0/f0")
    os.link(tmp_path / "d0/f0", tmp_path / "hard")
    assert _walk(tmp_path, workers=3).files == _walk(tmp_path, workers=0).files


@pytest.mark.parametrize("code", [False, True], ids=["headers", "code"])
def test_bytecode_is_told_by_its_header_and_whole_where_it_is_asked_for(tmp_path: Path, *, code: bool) -> None:
    """Through links too, as import follows them; whether children read or the plain loop does."""
    _fill(tmp_path, 900)
    cache = tmp_path / "d0/__pycache__"
    cache.mkdir()
    sizes = (0, 1, 15, 16, 17, 130_999, 131_001, (1 << 18) + 1, (9 << 20) + 5)
    for size in sizes:
        data = os.urandom(size)
        (cache / f"file{size}.pyc").write_bytes(data)
        (tmp_path / f"target{size}").write_bytes(data)
        (cache / f"link{size}.pyc").symlink_to(tmp_path / f"target{size}")
    (cache / "dangling.pyc").symlink_to("nowhere")
    (cache / "other").write_bytes(b"x")
    os.mkfifo(cache / "fifo.pyc")
    trees = [walk(str(tmp_path), [""], workers=workers, clock=time.monotonic, code=code) for workers in (0, 2)]
    assert trees[0].files == trees[1].files
    assert trees[0].problems == trees[1].problems == []
    assert trees[0].bytes == trees[1].bytes
    for size in sizes:
        data = (cache / f"file{size}.pyc").read_bytes()
        for name, kind in ((f"file{size}.pyc", FileKind.FILE), (f"link{size}.pyc", FileKind.LINK)):
            entry = trees[0].files[f"d0/__pycache__/{name}"]
            assert (entry.kind, entry.size, entry.header) == (kind, size, data[:16])
            assert entry.digest == (hashlib.sha256(data).digest() if code else b"")


def test_names_no_terminal_likes_are_kept_byte_for_byte(tmp_path: Path) -> None:
    names = [
        b"a\nb",
        b"\x1b[2J",
        b"-rf",
        b"'\"",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        b" ",
        b"..x",
        b"x" * 255,
        "é".encode(),
        b"\xf0\x9f\x92\xa9" * 60,
    ]
    for name in names:
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
            file.write(name)
    _fill(tmp_path / "more", 800)
    found = {os.fsencode(entry.path): entry.digest for entry in _walk(tmp_path).files.values()}
    for name in names:
        assert found[name] == hashlib.sha256(name).digest()


def test_long_names_in_many_bytes_do_not_fill_the_pipes(tmp_path: Path) -> None:
    """The pipes hold 64 KiB: what is sent is not counted in characters, and a child that does not read holds nobody up."""
    folder = tmp_path / ("\N{PILE OF POO}" * 60) / ("\N{PILE OF POO}" * 60)
    folder.mkdir(parents=True)
    for index in range(1500):
        (folder / ("\N{PILE OF POO}" * 50 + str(index))).touch()
    tree = _walk(tmp_path)
    assert len([entry for entry in tree.files.values() if entry.digest]) == 1500


def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to-fifo").symlink_to("fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "round").symlink_to("about")
    (tmp_path / "about").symlink_to("round")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "up").symlink_to("..")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        tree = _walk(tmp_path)
    assert {entry.path: entry.kind for entry in tree.files.values()} == {
        "fifo": FileKind.FIFO,
        "to-fifo": FileKind.FIFO,
        "loop": FileKind.LOOP,
        "round": FileKind.LOOP,
        "about": FileKind.LOOP,
        "dangling": FileKind.DANGLING,
        "null": FileKind.DEVICE,
        "zero": FileKind.DEVICE,
        "up": FileKind.DIRLINK,
        "sock": FileKind.SOCKET,
    }
    assert tree.problems == []
    assert not any(entry.digest for entry in tree.files.values())


def test_a_file_that_can_not_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "memory").symlink_to("/proc/self/mem")
    tree = _walk(tmp_path)
    assert [(problem.code, problem.path) for problem in tree.problems] == [("unreadable", "memory")]
    assert [entry.problem for entry in tree.files.values()] == ["EIO"]


def test_a_folder_that_can_not_be_read_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ObservationError):
        _walk(tmp_path / "nowhere")


def test_deeper_than_any_path(tmp_path: Path) -> None:
    """Folders nested beyond PATH_MAX can not be named: that is told, and the walk ends."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        inner = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    tree = _walk(tmp_path)
    assert [problem.code for problem in tree.problems] == ["unreadable"]


def test_a_file_that_grows_faster_than_it_is_read_has_an_end(tmp_path: Path) -> None:
    target = tmp_path / "log"
    target.write_bytes(bytes(50 << 20))
    stop = threading.Event()

    def grow() -> None:
        with target.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(bytes(1 << 16))
                if file.tell() > 2 << 30:
                    break

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        tree = _walk(tmp_path)
    finally:
        stop.set()
        thread.join()
    assert [(problem.code, problem.path) for problem in tree.problems] == [("changed-while-looking", "log")]
    assert [entry.digest for entry in tree.files.values()] == [b""]


@needs_proc
def test_a_file_that_is_cut_while_it_is_read_is_not_hashed(tmp_path: Path) -> None:
    target = tmp_path / "large"
    with target.open("wb") as file:
        file.truncate(6 << 30)

    def cut() -> None:
        while str(target) not in {os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()}:
            time.sleep(0.001)
        os.truncate(target, 1000)

    thread = threading.Thread(target=cut)
    thread.start()
    tree = _walk(tmp_path, workers=0)
    thread.join()
    assert [(problem.code, problem.path) for problem in tree.problems] == [("changed-while-looking", "large")]


def test_a_fifo_put_in_a_files_place_holds_nobody_up(tmp_path: Path) -> None:
    """Between the walk and the open: the name is on its way to a child, when the file becomes something else."""
    _fill(tmp_path, 40)

    def swap() -> None:
        time.sleep(0.02)
        (tmp_path / "d0/f0").unlink()
        os.mkfifo(tmp_path / "d0/f0")
        (tmp_path / "d0/f1").unlink()
        (tmp_path / "d0/f1").symlink_to("/dev/zero")
        (tmp_path / "d0/f2").unlink()

    tree = _walk(tmp_path, meanwhile=_once(swap))
    told = {(problem.code, problem.path) for problem in tree.problems}
    assert told - {("changed-while-looking", "d0")} == {
        ("changed-while-looking", "d0/f0"),
        ("changed-while-looking", "d0/f1"),
        ("vanished", "d0/f2"),
    }
    assert {entry.path for entry in tree.files.values() if not entry.digest} == {"d0/f0", "d0/f1", "d0/f2"}


def test_a_folder_that_is_filled_during_the_walk_is_told(tmp_path: Path) -> None:
    """In the midst of the walk: *meanwhile* is done whenever a batch is full."""
    _fill(tmp_path, 3000)
    tree = _walk(tmp_path, meanwhile=_once((tmp_path / "late.py").touch))
    assert {(problem.code, problem.path) for problem in tree.problems} == {("changed-while-looking", ".")}


def test_a_folder_that_is_removed_during_the_walk_is_told(tmp_path: Path) -> None:
    _fill(tmp_path, 3000)

    def remove() -> None:
        for inside in tmp_path.iterdir():
            shutil.rmtree(inside)

    tree = _walk(tmp_path, meanwhile=_once(remove))
    assert "." in {problem.path for problem in tree.problems}
    assert {problem.code for problem in tree.problems} == {"changed-while-looking", "vanished"}


def test_packages_that_come_while_files_are_read_are_told(tmp_path: Path) -> None:
    _fill(tmp_path / "site-packages", 90)

    def install() -> None:
        time.sleep(0.02)  # the file system's clock counts in steps of some milliseconds
        (tmp_path / "site-packages/late.py").touch()

    tree = _walk(tmp_path, meanwhile=_once(install))
    assert [(problem.code, problem.path) for problem in tree.problems] == [("changed-while-looking", "site-packages")]


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="can not ask for files to be forgotten")
def test_what_comes_from_the_disk_is_read_all_the_same(tmp_path: Path) -> None:
    """Where the files lie on a disk, the one child waits for it and is joined by others."""
    _fill(tmp_path, 3000)
    os.sync()
    for path in tmp_path.rglob("f*"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    cold = _walk(tmp_path, workers=1)
    assert not cold.problems
    assert cold.files == _walk(tmp_path, workers=0).files


@needs_proc
@pytest.mark.parametrize("which", ["one", "all"])
def test_killed_children_leave_files_unread_and_nothing_else(tmp_path: Path, which: str) -> None:
    _fill(tmp_path, 6000)
    killed: list[int] = []

    def kill() -> None:
        found = _children()
        for child in found if which == "all" else found[:1]:
            os.kill(child, signal.SIGSTOP)  # so that it has not answered everything yet
            os.kill(child, signal.SIGKILL)
            killed.append(child)

    tree = walk(str(tmp_path), [""], workers=2, clock=time.monotonic, tick=_at(3, kill))
    assert killed
    unread = {entry.path for entry in tree.files.values() if entry.problem}
    assert len(tree.files) == 6000
    assert {problem.path for problem in tree.problems} == unread
    assert all(problem.code == "unreadable" for problem in tree.problems)
    assert all(entry.digest for entry in tree.files.values() if not entry.problem)
    assert _children() == []


def _at(turn: int, act: Callable[[], None]) -> Callable[[int, int], None]:
    """A `tick` that acts at its *turn*-th call."""
    left = [turn]

    def tick(_done: int, _found: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    return tick


@needs_proc
def test_a_child_that_hangs_is_given_up_in_bounded_time(tmp_path: Path) -> None:
    _fill(tmp_path, 6000)
    stopped: list[int] = []

    def stop() -> None:
        for child in _children()[:1]:
            os.kill(child, signal.SIGSTOP)
            stopped.append(child)

    tree = walk(str(tmp_path), [""], workers=2, clock=time.monotonic, tick=_at(2, stop), stall=1.0)
    assert stopped
    assert len(tree.files) == 6000
    assert tree.problems
    assert {problem.reason for problem in tree.problems} == {"no answer for 1 s"}
    assert {problem.path for problem in tree.problems} == {entry.path for entry in tree.files.values() if entry.problem}
    assert _children() == []


def test_a_large_file_may_take_longer_than_the_stall(tmp_path: Path) -> None:
    """Slow is not stuck: a child gives signs of life, so with a clock that runs fast a large file is still read."""
    _fill(tmp_path, 800)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(400 << 20)
    started = time.monotonic()
    tree = walk(str(tmp_path), [""], workers=1, clock=lambda: (time.monotonic() - started) * 4, stall=1.0)
    digest = next(entry.digest for entry in tree.files.values() if entry.path == "large")
    assert digest == hashlib.sha256(bytes(400 << 20)).digest()
    assert tree.problems == []


def test_no_child_outlives_a_walk_that_is_broken_off(tmp_path: Path) -> None:
    _fill(tmp_path, 3000)

    def interrupt() -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        _walk(tmp_path, meanwhile=interrupt())
    assert _children() == []


def test_many_files_in_one_folder(tmp_path: Path) -> None:
    for index in range(20_000):
        os.close(os.open(tmp_path / str(index), os.O_CREAT))
    assert len(_walk(tmp_path).files) == 20_000


def test_read_each_leaves_out_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "memory").symlink_to("/proc/self/mem")
    tree = read_each(str(tmp_path), ["a", "folder", "fifo", "absent", "a/b", "memory"])
    assert [(entry.path, bool(entry.digest)) for entry in tree.files.values()] == [("a", True), ("memory", False)]
    assert [(problem.code, problem.path) for problem in tree.problems] == [("unreadable", "memory")]
