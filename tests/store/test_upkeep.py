"""Scrub names every kind of damage, and gc takes only what nothing needs."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from archiving.kept import THERE, a_filled_archive, a_pylock, digest_of, keep_lock, keep_seal, some_wheels
from archiving.oci import check_layout
from sanctity.errors import SanctityError
from sanctity.model.digest import ContentDigest, Digest
from sanctity.observe.wheels import wheel_content
from sanctity.store.archive import Archive
from sanctity.store.blobs import SAFE_AGE, ArchiveError, ObjectBlobs
from sanctity.store.upkeep import collect, find_garbage, scrub


def flip(path: Path, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[(bit // 8) % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def every_blob(folder: Path) -> list[Path]:
    return sorted((folder / "archive/blobs/sha256").iterdir())


def test_a_sound_archive_is_sound(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    ticks: list[tuple[int, int]] = []
    found = scrub(archive, workers=2, tick=lambda *at: ticks.append(at), content_of=wheel_content)
    blobs = every_blob(tmp_path)
    assert found.faults == ()
    assert (found.blobs, found.size) == (len(blobs), sum(path.stat().st_size for path in blobs))
    assert ticks[-1] == (len(blobs), len(blobs))
    assert (found.unreferenced, found.leftovers) == (0, 0)


@pytest.mark.parametrize("damage", ["flip", "cut", "grown", "empty", "gone"])
def test_every_damage_to_every_blob_is_named(tmp_path: Path, damage: str) -> None:
    """Of wheels, documents, manifests, the seal, the interpreter and the empty config alike."""
    archive, kept = a_filled_archive(tmp_path)
    blobs = every_blob(tmp_path)
    assert len(blobs) == 9
    for path in blobs:
        data = path.read_bytes()
        if damage == "flip":
            flip(path, bit=4 * len(data))
        elif damage == "cut":
            path.write_bytes(data[:-1])
        elif damage == "grown":
            path.write_bytes(data + b"x")
        elif damage == "empty":
            path.write_bytes(b"")
        else:
            path.unlink()
        found = scrub(Archive.open(archive.place), workers=2)
        code = "archive-blob-missing" if damage == "gone" else "archive-blob-altered"
        named = [fault for fault in found.faults if fault.what == f"sha256:{path.name}"]
        assert [fault.code for fault in named] == [code], path.name
        assert named[0].used_by, "somebody uses it"
        assert len(found.faults) == 1
        path.write_bytes(data)
    wheel = kept.artifacts[0]
    flip(tmp_path / "archive/blobs/sha256" / wheel.sha256.value, 999)
    assert scrub(archive).faults[0].used_by == (f"{wheel.filename} (demo/pylock.toml)",)


def test_what_nothing_can_refer_to_is_named(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    (tmp_path / "archive/blobs/sha256/README").write_text("x")
    archive.keep_bytes(b"loose")
    (Path(archive.workroom()) / "new-1").write_bytes(b"half")
    found = scrub(archive)
    assert [(fault.code, fault.what) for fault in found.faults] == [("archive-invalid", "blobs/sha256/README")]
    assert (found.unreferenced, found.leftovers) == (1, 1)


def test_a_wrong_content_is_found_where_it_is_asked_for(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    wrong = replace(kept.artifacts[0], content=ContentDigest(digest_of(b"another")))
    archive.add_lock(replace(kept, artifacts=(wrong,), name="wrong"))
    assert scrub(archive).faults == ()
    lying = replace(kept, artifacts=(wrong,), name="lying")
    alone = Archive.open(str(tmp_path / "alone"), create=True)
    for path in every_blob(tmp_path):
        alone.keep_bytes(path.read_bytes())
    alone.add_lock(lying)
    assert scrub(alone).faults == ()
    found = scrub(alone, content_of=wheel_content)
    assert [(fault.code, fault.used_by) for fault in found.faults] == [("archive-content-wrong", (wrong.filename,))]
    assert not alone.blobs.leftovers()


# -- gc ---------------------------------------------------------------------------------------------------------------------------


def nothing() -> tuple[Digest, ...]:
    return ()


def test_nothing_of_a_whole_archive_is_garbage(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    found = find_garbage(archive, sealed=(), now=time.time() + 9 * SAFE_AGE)
    assert (found.manifests, found.blobs, found.leftovers) == ((), (), ())


def test_an_older_lock_goes_unless_a_seal_refers_to_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    wheels = some_wheels(project / "wheels")
    older = keep_lock(archive, a_pylock(project, wheels[:1]), wheels[:1])
    newer = keep_lock(archive, a_pylock(project, wheels[1:]), wheels[1:])
    found = find_garbage(archive, sealed=(), now=time.time())
    assert [digest for digest, _ in found.manifests] == [older.manifest]
    assert {name for name, _ in found.blobs} >= {wheels[0].sha256}
    assert wheels[1].sha256 not in {name for name, _ in found.blobs}
    # A seal names the lock by its digest, or an artifact by its own.
    assert find_garbage(archive, sealed=(older.digest,), now=time.time()).manifests == ()
    by_artifact = find_garbage(archive, sealed=(digest_of(wheels[0].path.read_bytes()),), now=time.time())
    assert wheels[0].sha256 not in {name for name, _ in by_artifact.blobs}
    keep_seal(archive, older)
    assert find_garbage(archive, sealed=(), now=time.time()).manifests == ()
    assert archive.lock(newer.digest) is not None


def test_what_is_collected_leaves_a_sound_archive(tmp_path: Path) -> None:
    project = tmp_path / "project"
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    wheels = some_wheels(project / "wheels")
    keep_lock(archive, a_pylock(project, wheels[:1]), wheels[:1])
    keep_lock(archive, a_pylock(project, wheels[1:]), wheels[1:])
    shown = find_garbage(archive, sealed=(), now=time.time())
    assert collect(archive, sealed=nothing, now=time.time()) == shown
    check_layout(tmp_path / "archive")
    assert scrub(archive).faults == ()
    assert scrub(archive).unreferenced == 0
    assert find_garbage(archive, sealed=(), now=time.time()).size == 0


def test_an_older_manifest_that_adds_something_stays(tmp_path: Path) -> None:
    """An import may list a lock under no name, for another platform."""
    project = tmp_path / "project"
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    wheels = some_wheels(project / "wheels")
    lock = a_pylock(project, wheels)
    first = keep_lock(archive, lock, wheels[:1])
    alone = Archive.open(str(tmp_path / "alone"), create=True)
    other = keep_lock(alone, lock, wheels[1:], wanted_for=THERE)
    for blob in alone.blobs.every():
        archive.keep_bytes((tmp_path / "alone/blobs/sha256" / blob.name).read_bytes())
    archive.add_entries([entry.named("") for entry in alone.entries()])
    assert first.digest == other.digest
    assert find_garbage(archive, sealed=(), now=time.time()).manifests == ()
    together = archive.lock(first.digest)
    assert together is not None
    assert len(together.artifacts) == 2


def test_leftovers_go_when_nobody_can_be_at_work_on_them(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    room = Path(archive.workroom())
    (room / "new-1").write_bytes(b"half")
    (room / "fetch-old").mkdir()
    (room / "fetch-old/six.whl").write_bytes(b"a part")
    for path in (room / "fetch-old/six.whl", room / "fetch-old"):
        os.utime(path, (1, 1))
    found = collect(archive, sealed=nothing, now=time.time())
    assert [name for name, _ in found.leftovers] == ["tmp/fetch-old"]
    assert sorted(path.name for path in room.iterdir()) == ["index.lock", "new-1", "use.lock"]


def test_gc_beside_an_add_gives_way(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    loose = archive.keep_bytes(b"loose")
    with Archive.open(archive.place).adding(), pytest.raises(ArchiveError) as raised:
        collect(archive, sealed=nothing, now=time.time())
    assert raised.value.code == "archive-busy"
    assert archive.has(loose)
    collect(archive, sealed=nothing, now=time.time())
    assert not archive.has(loose)


def test_in_object_storage_what_is_young_stays(tmp_path: Path) -> None:
    obstore = pytest.importorskip("obstore.store")
    store = obstore.MemoryStore()
    local, _ = a_filled_archive(tmp_path)
    blobs = ObjectBlobs("memory:///", create=True, store=store)
    blobs.change("oci-layout", lambda _: b'{"imageLayoutVersion":"1.0.0"}')
    archive = Archive(blobs)
    for path in every_blob(tmp_path):
        archive.keep_bytes(path.read_bytes())
    archive.add_entries(local.entries())
    loose = archive.keep_bytes(b"loose")
    found = collect(archive, sealed=nothing, now=time.time())
    assert (found.blobs, found.young) == ((), 1)
    found = collect(archive, sealed=nothing, now=time.time() + SAFE_AGE + 60)
    assert [name for name, _ in found.blobs] == [loose.value]
    assert scrub(archive).faults == ()
    archive.close()


def test_gc_stops_where_it_can_not_tell_what_is_needed(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    manifest = tmp_path / "archive/blobs/sha256" / str(kept.manifest)[7:]
    data = manifest.read_bytes()
    before = len(every_blob(tmp_path))
    for change in ("flip", "unlink"):
        flip(manifest, 80) if change == "flip" else manifest.unlink()
        with pytest.raises(SanctityError):
            collect(Archive.open(archive.place), sealed=nothing, now=time.time())
        assert len(every_blob(tmp_path)) >= before - 1
        manifest.write_bytes(data)
