"""The stat cache: an unchanged environment is served, any change is noticed, and a damaged cache is as good as none."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import an_environment
from sanctity.compare.records import compare_with_records
from sanctity.model.drift import Depth
from sanctity.model.environment import RecordRow
from sanctity.observe import hasher
from sanctity.observe.environment import observe_environment
from sanctity.observe.walk import read_each, walk
from sanctity.store import sameness, statcache
from sanctity.store.statcache import StatCache, cache_folder
from sites import add_distribution, build_site, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sanctity.model.environment import Environment

KEY, RESULT = b"record, no options, today", b'{"verdict": "clean"}'
#: Longer than the file system's clock may lag behind ours.
SETTLED = 0.06


def _settle() -> None:
    """Wait until what was written last can be told from what is written next, as it can in an environment made a moment ago."""
    time.sleep(SETTLED)


def _observe(env: Path, cache: StatCache | None = None) -> Environment:
    known = cache.known(now_ns=time.time_ns()) if cache else {}
    return observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic, known=known)


class Remembered:
    """An environment, and the cache that remembers a look at it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.env = build_site(folder)
        site = site_packages(self.env)
        cached = site / "alpha/__pycache__"
        cached.mkdir()
        (cached / "__init__.cpython-311.pyc").write_bytes(bytes(16) + b"code")
        (site / "empty").mkdir()
        (site / "alpha/link.py").symlink_to("__init__.py")
        (site / "alpha/folder").symlink_to("deep")
        (site / "alpha/nowhere").symlink_to("absent")
        os.mkfifo(site / "alpha/fifo")
        self.cache = StatCache.open(str(folder / "cache"), os.path.realpath(self.env))
        _settle()
        self.recorded = self.look(**options)

    def look(self, *, key: bytes = KEY, result: bytes = RESULT, **options: Any) -> bool:
        started = time.time_ns()
        self.found = _observe(self.env, self.cache)
        return self.cache.record(self.found, key=key, result=result, started_ns=started, now_ns=time.time_ns(), **options)

    def ask(self, *, key: bytes = KEY, workers: int = 1, **options: Any) -> bytes | None:
        return self.cache.unchanged(key, now_ns=time.time_ns(), workers=workers, **options)

    def book(self, ending: str) -> Path:
        (found,) = Path(self.cache.folder).glob(f"*{ending}")
        return found


@pytest.fixture
def remembered(tmp_path: Path) -> Remembered:
    return Remembered(tmp_path)


@pytest.fixture
def many_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a few entries, so that small environments have enough of them for children."""
    monkeypatch.setattr(statcache, "_ENTRIES", 2)
    monkeypatch.setattr(statcache, "_FEW_PAGES", 2)


def test_nothing_changed_is_served_again_and_again(remembered: Remembered) -> None:
    assert remembered.recorded
    assert remembered.found.cached == 0
    assert [remembered.ask() for _ in range(3)] == [RESULT] * 3


def test_reading_files_and_importing_them_changes_nothing(remembered: Remembered) -> None:
    for path in remembered.env.rglob("*"):
        if path.is_file():
            path.read_bytes()
    assert remembered.ask() == RESULT


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.usefixtures("many_pages")
def test_children_say_the_same(tmp_path: Path, workers: int) -> None:
    remembered = Remembered(tmp_path)
    before = set(os.listdir("/dev/fd")), _has_children()
    assert remembered.ask(workers=workers) == RESULT
    (site_packages(remembered.env) / "beta.py").write_bytes(b"")
    assert remembered.ask(workers=workers) is None
    assert (set(os.listdir("/dev/fd")), _has_children()) == before


def _has_children() -> bool:
    """Whether this process has a child, living or dead and not waited for; another test's server may be one."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


@pytest.mark.parametrize("program", ["false", "yes", "cat", "no-such-program"])
@pytest.mark.usefixtures("many_pages")
def test_children_that_are_something_else(tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may do nothing or talk nonsense: what nobody has compared is not the same, and no wrong answer comes of it."""
    monkeypatch.setattr(statcache, "_PATIENCE", 200)
    remembered = Remembered(tmp_path)
    executable = shutil.which(program) or "/no/such/program"
    assert remembered.ask(workers=3, executable=executable) in {RESULT, None}
    (site_packages(remembered.env) / "beta.py").write_bytes(b"")
    assert remembered.ask(workers=3, executable=executable) is None


@pytest.mark.usefixtures("many_pages")
def test_a_child_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a page with it, and so nobody knows whether that is the same."""
    monkeypatch.setattr(statcache, "_PATIENCE", 200)
    remembered = Remembered(tmp_path)
    script = tmp_path / "hang"
    script.write_text(f"#!{sys.executable} -S\nimport os, time\nos.read(0, 2)\ntime.sleep(60)\n")
    script.chmod(0o755)
    original = sameness.serve

    def serve(*arguments: Any) -> None:
        time.sleep(0.5)  # so that the child has its page
        original(*arguments)

    monkeypatch.setattr(sameness, "serve", serve)
    assert remembered.ask(workers=2, executable=str(script)) is None
    assert remembered.ask(workers=1) == RESULT


def test_keys_do_not_share_results(remembered: Remembered) -> None:
    assert remembered.ask(key=b"another") is None
    assert remembered.look(key=b"another", result=b"2")
    assert (remembered.ask(), remembered.ask(key=b"another")) == (RESULT, b"2")
    shutil.copy(remembered.book(f"{sameness.checksum(KEY).hex()}.result"), target := Path(remembered.cache.folder) / "x")
    os.replace(target, f"{remembered.cache.folder}/{remembered.cache._result_name(b'third')}")
    assert remembered.ask(key=b"third") is None


def test_environments_do_not_share_results(remembered: Remembered, tmp_path: Path) -> None:
    other = tmp_path / "copy"
    shutil.copytree(remembered.env, other, symlinks=True, ignore=lambda *_: {"fifo"})
    assert StatCache.open(remembered.cache.folder, str(other)).unchanged(KEY, now_ns=time.time_ns()) is None


def test_an_environment_that_another_takes_the_place_of(remembered: Remembered) -> None:
    """The same files under the same names, with their times: but they are others."""
    old = remembered.env.with_name("old")
    remembered.env.rename(old)
    subprocess.run(["cp", "-a", str(old), str(remembered.env)], check=True)
    assert remembered.ask() is None


# --- one change is noticed ----------------------------------------------------------------------------------------------------


def _edit(path: Path) -> None:
    data = path.read_bytes() or b"?"
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def _edit_back_in_time(path: Path) -> None:
    state = path.stat()
    _edit(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def _replace(path: Path) -> None:
    """As an editor does: a new file with the old one's times takes its name."""
    new = path.with_name("new")
    shutil.copy2(path, new)
    new.replace(path)


def _become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _become_link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside.name)


def _swap_folders(path: Path) -> None:
    folder = path.parent
    other = folder.with_name("other-folder")
    subprocess.run(["cp", "-a", str(folder), str(other)], check=True)
    folder.rename(folder.with_name("moved-away"))
    other.rename(folder)


CHANGES: dict[str, Callable[[Path], object]] = {
    "edit": _edit,
    "edit, mtime put back": _edit_back_in_time,
    "append": _append,
    "truncate": lambda path: os.truncate(path, path.stat().st_size // 2),
    "rename": lambda path: path.rename(path.with_name("renamed")),
    "delete": lambda path: path.unlink(),
    "add beside": lambda path: path.with_name("added.py").touch(),
    "add a folder beside": lambda path: path.with_name("added").mkdir(),
    "permissions": lambda path: path.chmod(0o700),
    "replace": _replace,
    "FIFO": _become_fifo,
    "link": _become_link,
    "hard link elsewhere": lambda path: os.link(path, path.parents[1] / "hard"),
    "folders swapped": _swap_folders,
    "mtime": lambda path: os.utime(path, ns=(0, 0)),
}


@settings(max_examples=75, derandomize=True, deadline=None)
@given(change=st.sampled_from(sorted(CHANGES)), which=st.integers(0, 1000))
def test_any_one_change_is_noticed(change: str, which: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        remembered = Remembered(Path(folder))
        assert remembered.ask() == RESULT
        files = sorted(path for path in site_packages(remembered.env).rglob("*") if path.is_file() and not path.is_symlink())
        CHANGES[change](files[which % len(files)])
        assert remembered.ask() is None
        again = _observe(remembered.env, remembered.cache)
        assert again.files == _observe(remembered.env).files
        assert again.elves == remembered.found.elves


def test_each_change_of_what_is_no_plain_file(remembered: Remembered) -> None:
    site = site_packages(remembered.env)

    def retarget(path: Path, target: str) -> None:
        path.unlink()
        path.symlink_to(target)

    changes: list[Callable[[], object]] = [
        lambda: retarget(site / "alpha/link.py", "deep/data.bin"),
        lambda: retarget(site / "alpha/link.py", "nowhere"),
        lambda: retarget(site / "alpha/folder", "."),
        (site / "alpha/absent").touch,
        (site / "alpha/absent").unlink,
        (site / "empty/new").touch,
        (site / "empty/new").unlink,
        (site / "empty").rmdir,
        (site / "alpha/fifo").unlink,
        lambda: (site / "alpha").chmod(0o711),
        lambda: _append(remembered.env / "pyvenv.cfg"),
        lambda: retarget(remembered.env / "bin/python3", os.path.realpath(sys.executable)),
    ]
    for change in changes:
        _settle()
        remembered.look()
        assert remembered.ask() == RESULT
        change()
        assert remembered.ask() is None


def test_what_a_link_leads_to_outside(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = tmp_path / "outside/target"
    target.write_bytes(b"1")
    build_site(tmp_path / "made")
    remembered = Remembered(tmp_path / "other")
    (site_packages(remembered.env) / "out.py").symlink_to(target)
    (site_packages(remembered.env) / "out").symlink_to(tmp_path / "outside")
    for change in (lambda: target.write_bytes(b"2"), lambda: _replace(target), lambda: shutil.rmtree(tmp_path / "outside")):
        _settle()
        assert remembered.look()
        assert remembered.ask() == RESULT
        change()
        assert remembered.ask() is None


def test_what_the_look_asked_about_elsewhere(tmp_path: Path) -> None:
    """The folder of an editable distribution, and the interpreter behind the environment's own."""
    remembered = Remembered(tmp_path)
    source = tmp_path / "source"
    home = add_distribution(remembered.env, "gamma", "1", {"gamma.py": b""})
    (home / "direct_url.json").write_text(f'{{"url": "file://{source}", "dir_info": {{"editable": true}}}}')
    source.mkdir()
    _settle()
    assert remembered.look()
    assert str(source) in remembered.found.asked
    (source / "inside").touch()  # what it holds is governed by git, and nobody asked
    assert remembered.ask() == RESULT
    source.rename(tmp_path / "moved")
    assert remembered.ask() is None


def test_a_file_that_a_record_claims_and_nobody_has(remembered: Remembered, tmp_path: Path) -> None:
    """It is missing, and so is a finding; once it comes, that finding is none. One that was read by itself may change."""
    first, *others = remembered.found.distributions
    rows = [RecordRow(f"../{name}", "sha256", bytes(32), 1) for name in ("absent", "apart")]
    (tmp_path / "apart").write_bytes(b"1")
    apart = read_each(str(remembered.env), ["../apart"]).files
    found = replace(
        remembered.found,
        distributions=(replace(first, record=(*(first.record or ()), *rows)), *others),
        files={**remembered.found.files, **apart},
    )
    changes: list[Callable[[], object]] = [
        (tmp_path / "absent").touch,
        (tmp_path / "absent").unlink,
        lambda: _edit_back_in_time(tmp_path / "apart"),
    ]
    for change in changes:
        _settle()
        assert remembered.cache.record(found, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=time.time_ns())
        assert remembered.ask() == RESULT
        change()
        assert remembered.ask() is None


@pytest.mark.parametrize("place", ["system_site", "user_site"])
def test_an_environment_that_packages_can_be_imported_from(tmp_path: Path, place: str) -> None:
    remembered = Remembered(tmp_path / "one")
    other = build_site(tmp_path / "two")
    module = site_packages(other) / "beta.py"
    changes: list[Callable[[], object]] = [
        lambda: _edit_back_in_time(module),
        module.with_name("new.py").touch,
        (other / "bin/python3").unlink,
        lambda: shutil.rmtree(other),
    ]
    for change in changes:
        _settle()
        given = {place: _observe(other)}
        found = replace(remembered.found, system_site=given.get("system_site"), user_site=given.get("user_site"))
        assert remembered.cache.record(found, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=time.time_ns())
        assert remembered.ask() == RESULT
        change()
        assert remembered.ask() is None
    assert not remembered.cache.record(found, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=time.time_ns())


@pytest.mark.parametrize("tells", [True, False])
def test_what_the_verb_names(tmp_path: Path, tells: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, folders by their names, trees, and what is not there; also where the times of folders tell nothing."""
    measure = statcache._measure

    def measured(folder: str, now_ns: int) -> statcache._Clock:
        clock = measure(folder, now_ns)
        clock.tells = tells
        return clock

    monkeypatch.setattr(statcache, "_measure", measured)
    lock, absent, names, tree = (tmp_path / name for name in ("lock", "absent", "names", "tree"))
    lock.write_bytes(b"1")
    names.mkdir()
    (tree / "deep").mkdir(parents=True)
    (tree / "deep/file").touch()
    (tree / "link").symlink_to(lock)
    remembered = Remembered(tmp_path)
    changes: list[Callable[[], object]] = [
        lambda: _edit_back_in_time(lock),
        absent.touch,
        absent.unlink,
        (names / "inside").touch,
        (names / "inside").unlink,
        (tree / "new").touch,
        (tree / "new").unlink,
        lambda: _edit_back_in_time(tree / "deep/file"),
        (tree / "deep/new").touch,
        lambda: shutil.rmtree(tree),
        (site_packages(remembered.env) / "new.py").touch,
    ]
    for change in changes:
        _settle()
        assert remembered.look(extra=[str(lock), str(absent), str(names)], trees=[str(tree)])
        assert remembered.ask() == RESULT
        change()
        assert remembered.ask() is None


def test_what_was_asked_besides_and_what_is_left_out(remembered: Remembered, tmp_path: Path) -> None:
    stdlib, library, folder = tmp_path / "stdlib", tmp_path / "lib.so", tmp_path / "folder"
    sites = stdlib / "site-packages"
    sites.mkdir(parents=True)
    (stdlib / "os.py").touch()
    folder.mkdir()
    library.touch()
    asked = ["/proc/cpuinfo", "/proc/self/stat", str(library), str(folder), str(tmp_path / "absent"), "with\0nul"]
    changes: list[tuple[Callable[[], object], bool]] = [
        ((sites / "six.py").touch, True),
        ((folder / "inside").touch, True),
        ((stdlib / "new.py").touch, False),
        (lambda: _edit_back_in_time(stdlib / "os.py"), False),
        (lambda: _edit_back_in_time(library), False),
        ((tmp_path / "absent").mkdir, False),
        (lambda: shutil.rmtree(folder), False),
        (lambda: shutil.rmtree(sites), False),
    ]
    for change, same in changes:
        _settle()
        assert remembered.look(trees=[str(stdlib)], skip=[str(sites)], asked=asked)
        assert remembered.ask() == RESULT
        change()
        assert remembered.ask() == (RESULT if same else None)


def test_the_packages_of_a_base_interpreter_that_come_later(tmp_path: Path) -> None:
    """With include-system-site-packages, also where there are none so far."""
    base = tmp_path / "base"
    (base / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(sys.executable), base / "bin/python")
    remembered = Remembered(tmp_path)
    version = ".".join(map(str, sys.version_info[:3]))
    text = f"home = {base}/bin\ninclude-system-site-packages = true\nversion = {version}\n"
    (remembered.env / "pyvenv.cfg").write_text(text)
    for name in ("python", "python3"):
        (remembered.env / "bin" / name).unlink()
        (remembered.env / "bin" / name).symlink_to(base / "bin/python")
    _settle()
    remembered.look()
    served = remembered.ask()
    (base / site_packages(remembered.env).relative_to(remembered.env)).mkdir(parents=True)
    assert served in {RESULT, None}
    assert remembered.ask() is None


# --- only what is stale is read again -----------------------------------------------------------------------------------------


def test_only_what_changed_is_read_again(remembered: Remembered) -> None:
    site = site_packages(remembered.env)
    plain = sum(1 for entry in remembered.found.files.values() if entry.kind == "file")
    _edit_back_in_time(site / "beta.py")
    assert remembered.look() is False  # it changed too short a time ago
    assert remembered.found.cached == plain - 1
    assert remembered.found.files == _observe(remembered.env).files
    _settle()
    assert remembered.look()
    assert compare_with_records(remembered.found, depth=Depth.RECORD).checked.cached == plain - 1
    assert remembered.found.cached == plain - 1  # what could not be trusted was not kept
    assert remembered.look()
    assert remembered.found.cached == plain


def test_another_hard_link_is_no_alarm(remembered: Remembered, tmp_path: Path) -> None:
    """uv links the files of its cache: installing them once more moves the ctime of every environment's."""
    path = site_packages(remembered.env) / "alpha/__init__.py"
    before = dict(remembered.found.files)
    os.link(path, tmp_path / "elsewhere")
    assert remembered.ask() is None
    found = _observe(remembered.env, remembered.cache)
    relative = str(path.relative_to(remembered.env))
    assert found.cached == sum(1 for entry in before.values() if entry.kind == "file") - 1
    assert found.files[relative].links == 2
    assert {path: entry.digest for path, entry in found.files.items()} == {path: entry.digest for path, entry in before.items()}
    assert found.problems == ()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_walk_that_knows_agrees_with_one_that_does_not(tmp_path: Path, workers: int) -> None:
    for index in range(1200):
        folder = tmp_path / "tree" / str(index // 100) / ("__pycache__" if index % 2 else "plain")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.pyc").write_bytes(b"\x7fELF" * (index % 9))
    (tmp_path / "tree/link").symlink_to("0/plain/0.pyc")
    tree = walk(str(tmp_path / "tree"), [""], workers=0, clock=time.monotonic)
    environment = an_environment(files=tree.files, elves=tuple(tree.elves), walked=("",))
    cache = StatCache.open(str(tmp_path / "cache"), str(tmp_path / "tree"))
    _settle()
    assert cache.record(environment, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=time.time_ns())
    changed = ["3/plain/300.pyc", "4/__pycache__/401.pyc"]
    for name in changed:
        _append(tmp_path / "tree" / name)
    known = cache.known(now_ns=time.time_ns())
    one = walk(str(tmp_path / "tree"), [""], workers=workers, clock=time.monotonic, known=known)
    other = walk(str(tmp_path / "tree"), [""], workers=workers, clock=time.monotonic)
    assert (one.files, sorted(one.elves), one.problems) == (other.files, sorted(other.elves), other.problems)
    assert (one.cached, one.read) == (1198, 3)


def test_a_mark_is_the_beginning_of_an_identity(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    identity = sameness.identify(os.lstat(path))
    *_, size, mtime, mark = hasher.look("s", str(path), memoryview(b""))
    assert identity == mark + struct.Struct("<qq").pack(size, mtime)


# --- the racy rule --------------------------------------------------------------------------------------------------------------


def _race(folder: Path, rounds: int) -> Iterator[tuple[bytes, StatCache, str]]:
    """Edits of the same size with mtime put back, somewhere around a look; each time the cache, and what the look saw."""
    chance = random.Random(rounds)
    path = folder / "tree/file"
    path.parent.mkdir()
    path.write_bytes(b"0000")
    state = path.stat()

    def edit() -> None:
        with path.open("r+b") as file:
            file.write(b"%04d" % chance.randrange(10000))
        os.utime(path, ns=(0, state.st_mtime_ns))

    cache = StatCache.open(str(folder / "cache"), str(path.parent))

    def pause() -> None:
        time.sleep(chance.choice([0, 0, 0.004, chance.random() * SETTLED, SETTLED]))

    for number in range(rounds):
        when = number % 5
        pause()
        if when == 4:  # nothing happens at all
            _settle()
        if when == 0:
            edit()
            pause()
        started = time.time_ns()
        if when == 1:
            edit()
        files = walk(str(path.parent), [""], workers=0, clock=time.monotonic).files
        seen = path.read_bytes()
        if when == 2:
            edit()
        environment = an_environment(files=files, walked=("",))
        cache.record(environment, key=KEY, result=seen, started_ns=started, now_ns=time.time_ns())
        if when == 3:
            pause()
            edit()
        yield path.read_bytes(), cache, files["file"].digest.hex()


def _never_missed(folder: Path, rounds: int) -> int:
    """How many of so many looks were served, after it was asserted that each was what is there."""
    served = 0
    for number, (actual, cache, digest) in enumerate(_race(folder, rounds)):
        result = cache.unchanged(KEY, now_ns=time.time_ns())
        assert result in ({None, actual} if number % 5 < 4 else {actual})
        known = cache.known(now_ns=time.time_ns()).get("file")
        if known is not None and sameness.identify(os.lstat(folder / "tree/file"))[:32] == known.mark:
            assert known.entry.digest.hex() == digest
            assert known.entry.digest == hashlib.sha256(actual).digest()
        served += result is not None
    return served


def test_an_edit_around_the_look_is_never_missed(tmp_path: Path) -> None:
    assert _never_missed(tmp_path, 60)


@pytest.mark.long
def test_a_thousand_edits_around_the_look_are_never_missed(tmp_path: Path) -> None:
    assert _never_missed(tmp_path, 1000)


def test_what_is_newer_than_the_look_is_not_trusted(remembered: Remembered) -> None:
    found = _observe(remembered.env)
    newest = max(os.lstat(path).st_ctime_ns for path in remembered.env.rglob("*"))
    for started in (newest - 1, newest, newest + 1_000_000):
        assert not remembered.cache.record(found, key=KEY, result=RESULT, started_ns=started, now_ns=time.time_ns())
        assert remembered.ask() is None


def test_a_time_in_the_future_is_not_trusted(remembered: Remembered) -> None:
    path = site_packages(remembered.env) / "beta.py"
    os.utime(path, ns=(0, time.time_ns() + 10**12))
    _settle()
    assert not remembered.look()
    assert str(path.relative_to(remembered.env)) not in remembered.cache.known(now_ns=time.time_ns())


def test_a_clock_that_went_back(remembered: Remembered) -> None:
    before = time.time_ns() - 10**12
    assert remembered.cache.unchanged(KEY, now_ns=before) is None
    assert remembered.cache.known(now_ns=before) == {}
    assert not remembered.cache.record(remembered.found, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=before)


def test_whole_seconds_need_longer(tmp_path: Path) -> None:
    """Where the file system keeps no fractions, two changes in one second look like one."""
    clock = statcache._measure(str(tmp_path), time.time_ns())
    assert clock.lag_of(clock.device, 1_700_000_000_123_456_789) < 10**9
    assert clock.lag_of(clock.device, 1_700_000_000_000_000_000) > 2 * 10**9
    assert clock.lag_of(clock.device + 1, 1_700_000_000_123_456_789) > 2 * 10**9


# --- only complete looks ----------------------------------------------------------------------------------------------------------


def test_a_look_that_is_not_complete_is_not_recorded(tmp_path: Path) -> None:
    remembered = Remembered(tmp_path)
    found = remembered.found
    path = next(path for path, entry in found.files.items() if entry.kind == "file")
    partial = {key: entry for key, entry in found.files.items() if key != path}
    wrong = {**found.files, path: found.files[path]._replace(size=12345)}
    blind = {**found.files, path: found.files[path]._replace(digest=b"", problem="EACCES")}
    more = {**found.files, "lib/never": found.files[path]._replace(path="lib/never")}
    for files in (partial, wrong, blind, more):
        looked = replace(found, files=files)
        assert not remembered.cache.record(looked, key=KEY, result=b"!", started_ns=time.time_ns(), now_ns=time.time_ns())
        assert remembered.ask() is None
    for looked in (replace(found, problems=(("unreadable", "x", "y"),)), replace(found, walked=())):  # type: ignore[arg-type]
        assert not remembered.cache.record(looked, key=KEY, result=b"!", started_ns=time.time_ns(), now_ns=time.time_ns())


# --- damage -------------------------------------------------------------------------------------------------------------------------


def _is_sound(remembered: Remembered) -> None:
    """The cache gives right answers or none."""
    assert remembered.ask() in {None, RESULT}
    for path, known in remembered.cache.known(now_ns=time.time_ns()).items():
        assert known.entry == remembered.found.files[path]


@pytest.mark.parametrize("ending", [".tree", ".result"])
def test_a_book_cut_short_anywhere(remembered: Remembered, ending: str) -> None:
    book = remembered.book(ending)
    whole = book.read_bytes()
    step = 1 if ending == ".result" else 7
    for length in range(0, len(whole), step):
        book.write_bytes(whole[:length])
        assert remembered.ask() is None or ending == ".tree"  # whose end says what was found, which nobody asked
        if not length % 50:
            _is_sound(remembered)
    book.write_bytes(whole)
    assert remembered.ask() == RESULT


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data())
def test_random_damage_gives_no_wrong_answer(data: st.DataObject, damaged: tuple[Remembered, dict[str, bytes]]) -> None:
    remembered, wholes = damaged
    ending = data.draw(st.sampled_from(sorted(wholes)))
    whole = bytearray(wholes[ending])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    remembered.book(ending).write_bytes(whole)
    _is_sound(remembered)
    remembered.book(ending).write_bytes(wholes[ending])
    assert remembered.ask() == RESULT


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Remembered, dict[str, bytes]]:
    remembered = Remembered(tmp_path_factory.mktemp("damaged"))
    return remembered, {ending: remembered.book(ending).read_bytes() for ending in (".tree", ".result")}


@settings(max_examples=200, derandomize=True, deadline=None)
@given(page=st.binary(max_size=200), lengths=st.tuples(*[st.integers(0, 60)] * 3))
def test_a_page_of_nonsense_is_not_the_same(page: bytes, lengths: tuple[int, int, int]) -> None:
    for nonsense in (page, sameness.PAGE.pack(*lengths) + page):
        with suppress(sameness.BookError):
            assert not any(lengths) or not sameness.compare_page(nonsense, b"/nowhere/")


def test_a_book_of_another_version_or_another_thing(remembered: Remembered) -> None:
    for ending in (".tree", ".result"):
        book = remembered.book(ending)
        whole = book.read_bytes()
        for other in (b"", b"\0" * 500, b"sanctity stat 2\n" + whole[16:], whole + b"more"):
            book.write_bytes(other)
            assert remembered.ask() == (RESULT if other.endswith(b"more") else None)
        book.unlink()
        os.mkfifo(book)
        assert remembered.ask() is None
        book.unlink()
        book.symlink_to("/dev/zero")
        assert remembered.ask() is None
        assert remembered.look()
        assert remembered.ask() == RESULT


def test_a_cache_that_others_can_write_to_is_not_used(remembered: Remembered) -> None:
    folder = Path(remembered.cache.folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (folder, remembered.book(".tree"), remembered.book(".result")):
        mode = stat.S_IMODE(path.stat().st_mode)
        for wider in (mode | 0o020, mode | 0o002):
            path.chmod(wider)
            assert remembered.ask() is None
        path.chmod(mode)
        assert remembered.ask() == RESULT
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_cache_of_somebody_else_is_not_used(remembered: Remembered) -> None:
    for path in (Path(remembered.cache.folder), remembered.book(".tree"), remembered.book(".result")):
        os.chown(path, 12345, -1)
        assert remembered.ask() is None
        os.chown(path, 0, -1)
        assert remembered.ask() == RESULT


def test_a_cache_that_can_not_be_written_is_none(remembered: Remembered, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("", "/proc/nowhere", str(tmp_path / "file"), str(tmp_path / "file/below"), "/dev/null"):
        cache = StatCache.open(folder, str(remembered.env))
        assert not cache.record(remembered.found, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=time.time_ns())
        assert cache.unchanged(KEY, now_ns=time.time_ns()) is None
        assert cache.known(now_ns=time.time_ns()) == {}


def test_a_full_disk_leaves_nothing_behind(remembered: Remembered, tmp_path: Path) -> None:
    cache = StatCache.open(str(tmp_path / "full"), str(remembered.env))
    _settle()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as every Python starts, whatever another test did
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert not cache.record(remembered.found, key=KEY, result=RESULT, started_ns=time.time_ns(), now_ns=time.time_ns())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path / "full") == []
    assert cache.unchanged(KEY, now_ns=time.time_ns()) is None


WRITER = """
import os, sys, time
from sanctity.model.drift import Depth
from sanctity.observe.environment import observe_environment
from sanctity.store.statcache import StatCache
folder, env, result, start = sys.argv[1:]
cache = StatCache.open(folder, env)
while not os.path.exists(start):
    time.sleep(0.001)
for _ in range(30):
    started = time.time_ns()
    found = observe_environment(env, depth=Depth.RECORD, clock=time.monotonic)
    cache.record(found, key=b"shared", result=result.encode(), started_ns=started, now_ns=time.time_ns())
    if cache.unchanged(b"shared", now_ns=time.time_ns()) not in {None, b"one", b"two"}:
        sys.exit(1)
"""


def test_two_writers_at_once(remembered: Remembered, tmp_path: Path) -> None:
    start = tmp_path / "start"
    command = [sys.executable, "-c", WRITER, remembered.cache.folder, os.path.realpath(remembered.env)]
    writers = [subprocess.Popen([*command, result, str(start)]) for result in ("one", "two")]
    start.touch()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert remembered.ask(key=b"shared") in {b"one", b"two"}
    assert not list(Path(remembered.cache.folder).glob("*.tmp"))


def test_a_damaged_book_is_written_anew(remembered: Remembered) -> None:
    book = remembered.book(".tree")
    whole = book.read_bytes()
    book.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert remembered.cache.known(now_ns=time.time_ns()) == {}
    assert remembered.look()
    assert book.read_bytes() == whole


def test_old_results_are_taken_away(remembered: Remembered) -> None:
    for number in range(20):
        assert remembered.look(key=b"day %d" % number)
    folder = Path(remembered.cache.folder)
    assert len(list(folder.glob("*.result"))) == statcache._MOST_RESULTS
    assert remembered.ask(key=b"day 19") == RESULT
    left = folder / "somebody.123.tmp"
    left.touch()
    other = folder / "another.tree"
    other.touch()
    for path in (left, other):
        os.utime(path, (0, 0))
    remembered.look()
    assert not left.exists()
    assert not other.exists()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/sanctity/stat"),
        ({"HOME": "/h"}, "/h/.cache/sanctity/stat"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/sanctity/stat"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, "/h/.cache/sanctity/stat"),
        ({}, ""),
        ({"HOME": "h"}, ""),
    ],
)
def test_where_the_cache_lies(environ: dict[str, str], expected: str) -> None:
    assert cache_folder(environ) == expected


# --- what it can not see ------------------------------------------------------------------------------------------------------------


def test_a_store_into_a_shared_mapping_is_seen_as_far_as_the_times_tell(remembered: Remembered) -> None:
    """Documented: a disk's file system moves the times at the first store to a clean page, and at none to a dirty one; tmpfs never.

    The look that reads every byte sees each of them.
    """
    path = site_packages(remembered.env) / "alpha/deep/data.bin"
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        for _ in range(3):
            _settle()
            remembered.look()
            served = remembered.ask()
            before = path.stat().st_ctime_ns
            mapping[0] ^= 1
            moved = path.stat().st_ctime_ns != before
            assert remembered.ask() == (None if moved else served)
            seen = _observe(remembered.env).files[str(path.relative_to(remembered.env))]
            assert seen.digest == hashlib.sha256(mapping[:]).digest()
