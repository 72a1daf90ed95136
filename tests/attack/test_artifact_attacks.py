"""Archives that lie, and what lies beside a rebuild: each test is an attack that once got through, or nearly did."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from archiving.kept import a_filled_archive, a_pylock, some_wheels
from sanctity.apply.rebuild import Room
from sanctity.compare.records import compare_with_records
from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.archive import ArchivedLock, ArchivedSeal
from sanctity.model.artifact import Wanted
from sanctity.model.digest import Digest
from sanctity.model.drift import Code, Depth
from sanctity.model.policy import Policy
from sanctity.observe.environment import observe_environment
from sanctity.seals.document import format_seal, seal_of
from sanctity.store.archive import Archive
from sanctity.store.contents import ContentsMemory
from sanctity.store.layout import INDEX_TYPE
from sanctity.store.pairs import PairsMemory
from sanctity.store.upkeep import find_garbage, scrub
from sanctity.verbs.gathering import Gatherer, Tally
from sanctity.verbs.references import kept_lock, kept_seal
from sealing import sealed
from sites import build_site, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable


def put(folder: Path, data: bytes) -> str:
    """A blob of *data* in the archive at *folder*."""
    value = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / value).write_bytes(data)
    return f"sha256:{value}"


def edit(folder: Path, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Have *change* edit the manifest of that *kind*, and the index lead to what comes out."""
    index = json.loads((folder / "index.json").read_bytes())
    (entry,) = (each for each in index["manifests"] if each.get("artifactType") == f"application/vnd.sanctity.{kind}.v1")
    manifest = json.loads((folder / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).read_bytes())
    change(manifest)
    data = json.dumps(manifest).encode()
    entry |= {"digest": put(folder, data), "size": len(data)}
    (folder / "index.json").write_text(json.dumps(index))


def test_a_manifest_that_calls_another_lock_by_the_digest_of_a_good_one(tmp_path: Path) -> None:
    """`rebuild sha256:GOOD` built the other one, and called it proven."""
    archive, kept = a_filled_archive(tmp_path)
    other = a_pylock(tmp_path / "other", some_wheels(tmp_path / "other", ("evil",)))
    data = other.read_bytes()
    folder = tmp_path / "archive"
    edit(folder, "lock", lambda manifest: manifest["layers"][0].update(digest=put(folder, data), size=len(data)))
    archive = Archive.open(str(folder))
    found = archive.lock(kept.digest)
    assert isinstance(found, ArchivedLock)
    with pytest.raises(DocumentError) as error:
        kept_lock(archive, found, str(tmp_path / "room"))
    assert error.value.code == "archive-invalid"
    assert str(kept.digest) in error.value.message
    assert [fault.code for fault in scrub(archive).faults] == ["archive-invalid"]


def test_a_manifest_that_calls_another_seal_by_the_digest_of_a_good_one(tmp_path: Path) -> None:
    a_filled_archive(tmp_path)
    folder = tmp_path / "archive"
    text = format_seal(seal_of("env.seal.json", (sealed(),), policy=Policy())).encode()
    edit(folder, "seal", lambda manifest: manifest["layers"][0].update(digest=put(folder, text), size=len(text)))
    archive = Archive.open(str(folder))
    (found,) = archive.seals()
    assert isinstance(found, ArchivedSeal)
    with pytest.raises(DocumentError) as error:
        kept_seal(archive, found, str(tmp_path / "room"))
    assert error.value.code == "archive-invalid"


@pytest.mark.parametrize("kind", ["pipe", "endless", "folder"])
def test_a_blob_that_is_no_file_is_not_there(tmp_path: Path, kind: str) -> None:
    """Health said that it can be rebuilt; scrub, export and rebuild waited for ever."""
    archive, kept = a_filled_archive(tmp_path)
    wheel = kept.artifacts[0].sha256
    blob = tmp_path / "archive/blobs/sha256" / wheel.value
    blob.unlink()
    if kind == "pipe":
        os.mkfifo(blob)
    elif kind == "endless":
        blob.symlink_to("/dev/zero")
    else:
        blob.mkdir()
    assert not archive.has(wheel)
    with pytest.raises(SanctityError):
        archive.path_of(wheel, str(tmp_path))
    assert str(wheel) in {fault.what for fault in scrub(archive).faults}


@pytest.mark.parametrize("kind", ["pipe", "endless", "large"])
def test_an_index_that_is_no_small_file(tmp_path: Path, kind: str) -> None:
    a_filled_archive(tmp_path)
    index = tmp_path / "archive/index.json"
    index.unlink()
    if kind == "pipe":
        os.mkfifo(index)
    elif kind == "endless":
        index.symlink_to("/dev/zero")
    else:
        with index.open("wb") as file:
            file.truncate(3 << 30)
    with pytest.raises(SanctityError):
        Archive.open(str(tmp_path / "archive"))


@pytest.mark.parametrize("change", [{"size": 10**30}, {"annotations": {"org.opencontainers.image.ref.name": "\udc80"}}])
def test_an_index_that_can_not_be_written_again_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    a_filled_archive(tmp_path)
    path = tmp_path / "archive/index.json"
    index = json.loads(path.read_bytes())
    index["manifests"][0] |= change
    path.write_text(json.dumps(index))
    with pytest.raises(DocumentError) as error:
        Archive.open(str(tmp_path / "archive"))
    assert error.value.code == "archive-invalid"


def test_what_other_tools_nest_deep_is_no_garbage(tmp_path: Path) -> None:
    """What lay deeper than eight indexes would have been deleted, and each was looked into as often as it was named."""
    archive, _ = a_filled_archive(tmp_path)
    folder = tmp_path / "archive"
    inner: list[dict[str, Any]] = []
    for _ in range(40):
        data = json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": inner * 4}).encode()
        inner = [{"mediaType": INDEX_TYPE, "digest": put(folder, data), "size": len(data)}]
    index = json.loads((folder / "index.json").read_bytes())
    index["manifests"] += inner
    (folder / "index.json").write_text(json.dumps(index))
    archive = Archive.open(str(folder))
    assert find_garbage(archive, sealed=(), now=0).blobs == ()
    result = scrub(archive)
    assert (result.faults, result.unreferenced) == ((), 0)


@pytest.mark.parametrize("kind", ["open", "link"])
def test_what_another_left_beside_a_target_is_not_taken_over(tmp_path: Path, kind: str) -> None:
    """In a folder where others may write: a room that they can reach into, or wheels that lead elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "six-1.16.0-py2.py3-none-any.whl").write_bytes(b"planted")
    left = tmp_path / f".env.{'0' * 16}.partial"
    left.mkdir(mode=0o755 if kind == "open" else 0o700)
    (left / "sanctity-rebuild").touch()
    if kind == "open":
        (left / "wheels").mkdir()
        (left / "wheels/six-1.16.0-py2.py3-none-any.whl").write_bytes(b"planted")
    else:
        (left / "wheels").symlink_to(elsewhere)
    with Room(str(tmp_path / "env")) as room:
        assert not Path(room.wheels).is_symlink()
        assert list(Path(room.wheels).iterdir()) == []
        assert stat.S_IMODE(os.stat(room.path).st_mode) == 0o700
    assert list(elsewhere.iterdir())
    assert left.exists() == (kind == "open")


@pytest.mark.parametrize("name", ["x" * 250, "two\nlines", "escape\x1b[31m"])
def test_a_target_whose_name_nothing_could_be_written_under(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as error:
        Room(str(tmp_path / name)).check()
    assert error.value.code == "usage"


def test_a_pipe_in_the_place_of_a_lock_holds_nobody_up(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / "contents.json.lock")
    os.mkfifo(folder / "bytecode.pairs.lock")
    assert ContentsMemory(str(folder)).keep(()) == {}
    PairsMemory(str(folder)).keep(frozenset({b"\0" * 32}))
    assert PairsMemory(str(folder)).known() == {b"\0" * 32}


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_pipe_in_the_place_of_bytecode(tmp_path: Path, kind: str) -> None:
    """Import waits for it, and runs whatever comes out: it was called stale, as if import ignored it."""
    env = build_site(tmp_path)
    cache = site_packages(env) / "__pycache__"
    cache.mkdir(exist_ok=True)
    pipe = cache / f"beta.{sys.implementation.cache_tag}.pyc" if kind == "pipe" else tmp_path / "pipe"
    os.mkfifo(pipe)
    if kind == "link":
        (cache / f"beta.{sys.implementation.cache_tag}.pyc").symlink_to(pipe)
    comparison = compare_with_records(observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic), depth=Depth.RECORD)
    assert [drift.code for drift in comparison.drifts if drift.gating] == [Code.BYTECODE_UNCHECKED]


def test_many_who_fetch_one_artifact_at_once(tmp_path: Path) -> None:
    """The folder that it is fetched in was gone for one while another had just finished: the whole `add` failed."""
    world: Any = None
    failures: list[BaseException] = []
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    gatherer = Gatherer(archive, world, Tally(tick=None), folder=str(tmp_path), offline=True, jobs=1, build=False, env="")
    wanted = Wanted(name="six", version="1.0", filename="six.whl", digests=(Digest("sha256", "0" * 64),))

    def fetch() -> None:
        try:
            for _ in range(300):
                with gatherer._place_for(wanted) as path:
                    Path(path).touch()
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert archive.blobs.leftovers() == ()
