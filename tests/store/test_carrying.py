"""One file over the air gap: whole, or named for what is wrong with it."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from archiving.kept import a_filled_archive, a_pylock, keep_lock, some_wheels
from archiving.oci import check_layout
from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.store.archive import Archive
from sanctity.store.blobs import ArchiveError
from sanctity.store.carrying import export_archive, import_archive
from sanctity.store.upkeep import scrub


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Archive, Path]:
    archive, _ = a_filled_archive(tmp_path)
    file = tmp_path / "export.tar"
    export_archive(archive, str(file), archive.entries())
    return archive, file


def taken(file: Path, place: Path) -> Archive:
    archive = Archive.open(str(place), create=True)
    import_archive(archive, str(file))
    return archive


def test_what_was_exported_is_imported(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    archive, file = exported
    other = taken(file, tmp_path / "other")
    assert other.entries() == archive.entries()
    assert other.locks() == archive.locks()
    assert scrub(other).faults == ()
    check_layout(tmp_path / "other")
    again = tmp_path / "again.tar"
    export_archive(other, str(again), other.entries())
    assert again.read_bytes() == file.read_bytes()
    counted = import_archive(other, str(file))
    assert (counted.new, counted.blobs) == (0, 9)


def test_any_tar_unpacks_it(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    archive, file = exported
    room = tmp_path / "room"
    room.mkdir()
    subprocess.run(["tar", "-xf", file, "-C", room], check=True)
    check_layout(room)
    assert Archive.open(str(room)).locks() == archive.locks()
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert (names[0], names[-1]) == ("oci-layout", "index.json")
    assert names[1:-1] == sorted(names[1:-1])


@pytest.mark.parametrize("arguments", [["."], ["oci-layout", "index.json", "blobs"], ["index.json", "blobs", "oci-layout"]])
def test_what_another_tar_made_of_the_layout_is_imported(
    exported: tuple[Archive, Path], tmp_path: Path, arguments: list[str]
) -> None:
    archive, _ = exported
    folder = tmp_path / "archive"
    made = tmp_path / "made.tar"
    subprocess.run(["tar", "-cf", made, "--exclude=./tmp", "-C", folder, *arguments], check=True)
    assert taken(made, tmp_path / "other").locks() == archive.locks()


def test_a_cut_anywhere_is_named(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    _, file = exported
    data = file.read_bytes()
    rng = random.Random(1)
    edges = [*range(0, len(data), 512), *(rng.randrange(len(data)) for _ in range(60)), len(data) - 1, 1, 511]
    cut = tmp_path / "cut.tar"
    other = Archive.open(str(tmp_path / "other"), create=True)
    for length in edges:
        cut.write_bytes(data[:length])
        with pytest.raises(DocumentError) as raised:
            import_archive(other, str(cut))
        assert raised.value.code == "export-truncated", length
        assert other.entries() == ()
    assert not other.blobs.leftovers()
    # What came in whole is not fetched again, and the next run goes on.
    counted = import_archive(other, str(file))
    assert counted.new == 0
    assert len(other.locks()) == 1


def test_a_flipped_bit_anywhere_is_named(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    """In a header, a name, a blob, the index or the padding; nothing of it is listed."""
    _, file = exported
    data = file.read_bytes()
    rng = random.Random(2)
    bits = [rng.randrange(8 * len(data)) for _ in range(300)] + [8 * at + 3 for at in range(0, len(data), 512)]
    broken = tmp_path / "broken.tar"
    for number, bit in enumerate(bits):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        broken.write_bytes(changed)
        place = tmp_path / f"other-{number % 2}"
        other = Archive.open(str(place), create=True)
        with pytest.raises(SanctityError) as raised:
            import_archive(other, str(broken))
        assert raised.value.code in {"export-truncated", "export-altered", "export-invalid"}, bit
        assert raised.value.where
        assert not other.entries()
        subprocess.run(["rm", "-r", place], check=True)


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = len(data) if kind == tarfile.REGTYPE else 0
    info.type = kind
    info.linkname = link
    return info


@pytest.mark.parametrize(
    ("info", "data"),
    [
        (member("../evil"), b"x"),
        (member("/etc/evil"), b"x"),
        (member("blobs/sha256/../../evil"), b"x"),
        (member("blobs/sha256/" + "0" * 63), b"x"),
        (member("blobs/sha256/" + "A" * 64), b"x"),
        (member("blobs/sha512/" + "0" * 128), b"x"),
        (member("tmp/use.lock"), b"x"),
        (member("blobs/sha256/" + "0" * 64, kind=tarfile.SYMTYPE, link="/etc/passwd"), b""),
        (member("blobs/sha256/" + "0" * 64, kind=tarfile.LNKTYPE, link="index.json"), b""),
        (member("blobs/sha256/" + "0" * 64, kind=tarfile.CHRTYPE), b""),
        (member("blobs/sha256/" + "0" * 64, kind=tarfile.FIFOTYPE), b""),
        (member("evil", kind=tarfile.DIRTYPE), b""),
        (member("oci-layout"), b"x"),
        (member("long/" * 40), b"x"),
    ],
    ids=lambda value: value.name[:40] if isinstance(value, tarfile.TarInfo) else "",
)
def test_what_has_no_place_in_an_export_is_refused(
    exported: tuple[Archive, Path], tmp_path: Path, info: tarfile.TarInfo, data: bytes
) -> None:
    _, file = exported
    made = tmp_path / "made.tar"
    with tarfile.open(file) as source, tarfile.open(made, "w") as target:
        for number, each in enumerate(source.getmembers()):
            if number == 3:
                target.addfile(info, io.BytesIO(data))
            target.addfile(each.replace(linkname=""), source.extractfile(each))
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(DocumentError) as raised:
        import_archive(Archive.open(str(tmp_path / "other"), create=True), str(made))
    assert raised.value.code == "export-invalid"
    after = {path for path in tmp_path.rglob("*") if tmp_path / "other" not in (path, *path.parents)}
    assert after == set(before)
    assert Archive.open(str(tmp_path / "other")).entries() == ()


def test_a_size_that_is_a_lie_costs_nothing(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    _, file = exported
    data = bytearray(file.read_bytes())
    info = tarfile.TarInfo("blobs/sha256/" + "0" * 64)
    info.size = 1 << 50
    made = tmp_path / "bomb.tar"
    made.write_bytes(bytes(data[:1024]) + info.tobuf(tarfile.GNU_FORMAT) + bytes(data[1024:]))
    with pytest.raises(DocumentError) as raised:
        import_archive(Archive.open(str(tmp_path / "other"), create=True), str(made))
    assert raised.value.code in {"export-truncated", "export-altered"}


def test_a_compressed_file_is_no_export(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    import gzip

    _, file = exported
    for name, data in (
        ("x.tar.gz", gzip.compress(file.read_bytes())),
        ("empty", b""),
        ("text", b"hello\n" * 200),
        ("zeros", bytes(4096)),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DocumentError) as raised:
            import_archive(Archive.open(str(tmp_path / "other"), create=True), str(tmp_path / name))
        assert raised.value.code in {"export-invalid", "export-truncated"}
    with pytest.raises(UsageError) as refused:
        import_archive(Archive.open(str(tmp_path / "other"), create=True), str(tmp_path / "none"))
    assert refused.value.code == "export-not-found"


def test_an_index_that_leads_to_what_it_does_not_hold(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    """Whichever blob is left out, even where the archive that imports it has that blob already."""
    archive, file = exported
    with tarfile.open(file) as source:
        names = [name for name in source.getnames() if name.startswith("blobs/")]
        for left_out in names:
            made = tmp_path / "made.tar"
            with tarfile.open(made, "w", format=tarfile.USTAR_FORMAT) as target:
                for each in source.getmembers():
                    if each.name != left_out:
                        target.addfile(each.replace(linkname=""), source.extractfile(each))
            for place in ("other", "archive"):
                into = Archive.open(str(tmp_path / place), create=True)
                before = into.entries()
                with pytest.raises(DocumentError) as raised:
                    import_archive(into, str(made))
                assert raised.value.code == "export-truncated"
                assert into.entries() == before
    assert archive.locks()


def test_a_blob_that_rotted_is_not_exported(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    archive, file = exported
    before = file.read_bytes()
    blob = tmp_path / "archive/blobs/sha256" / archive.locks()[0].artifacts[0].sha256.value
    data = blob.read_bytes()
    for changed in (data[:-1], data + b"x", data[:-1] + bytes([data[-1] ^ 1]), None):
        blob.unlink()
        if changed is not None:
            blob.write_bytes(changed)
        else:
            assert not blob.exists()
        with pytest.raises(ArchiveError) as raised:
            export_archive(archive, str(file), archive.entries())
        assert raised.value.code in {"archive-blob-altered", "archive-blob-missing"}
        assert file.read_bytes() == before
        assert not Path(f"{file}.part").exists()
        blob.write_bytes(data)


def test_an_import_mends_what_rotted(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    _, file = exported
    other = taken(file, tmp_path / "other")
    blob = tmp_path / "other/blobs/sha256" / other.locks()[0].artifacts[0].sha256.value
    data = bytearray(blob.read_bytes())
    data[5] ^= 1
    blob.write_bytes(data)
    assert scrub(other).faults
    assert import_archive(other, str(file)).new == 1
    assert scrub(other).faults == ()


def test_a_part_left_behind_is_written_anew(exported: tuple[Archive, Path]) -> None:
    archive, file = exported
    expected = file.read_bytes()
    file.unlink()
    Path(f"{file}.part").write_bytes(b"half" * 100_000)
    export_archive(archive, str(file), archive.entries())
    assert file.read_bytes() == expected
    assert not Path(f"{file}.part").exists()


def test_names_and_artifacts_are_joined(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    """An export of a newer lock under the same name, into an archive that has the older one."""
    archive, file = exported
    project = tmp_path / "project"
    wheels = some_wheels(project / "wheels")
    other = Archive.open(str(tmp_path / "other"), create=True)
    older = keep_lock(other, a_pylock(project, wheels[:1], name="pylock.old.toml"), wheels[:1], name="demo/pylock.toml")
    import_archive(other, str(file))
    newer = other.named("demo/pylock.toml")
    assert newer is not None
    assert newer.digest == archive.locks()[0].digest
    assert other.lock(older.digest) is not None
    assert len([entry for entry in other.entries() if entry.name == "demo/pylock.toml"]) == 1


def test_large_sizes_are_written_as_tar_reads_them(tmp_path: Path) -> None:
    from sanctity.store.carrying import _header

    for size in (0, 1, 8**11 - 1, 8**11, 1 << 40):
        info = tarfile.TarInfo.frombuf(_header("blobs/sha256/" + "0" * 64, size, "sha256:" + "0" * 64), "utf-8", "strict")
        assert (info.size, info.name, info.mtime, info.mode) == (size, "blobs/sha256/" + "0" * 64, 0, 0o644)


def test_permissions_of_an_import_are_the_callers(exported: tuple[Archive, Path], tmp_path: Path) -> None:
    _, file = exported
    mask = os.umask(0o022)
    try:
        taken(file, tmp_path / "other")
    finally:
        os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "other/blobs/sha256").iterdir()} == {0o644}
