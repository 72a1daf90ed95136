"""An archive over a folder: what is kept is found again, and what is not what it says is not handed out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from archiving.kept import (
    HERE,
    INTERPRETER,
    THERE,
    a_filled_archive,
    a_pylock,
    digest_of,
    keep_file,
    keep_lock,
    keep_seal,
    some_wheels,
)
from archiving.oci import check_layout, check_sums
from sanctity.errors import DocumentError, SanctityError, UsageError
from sanctity.model.archive import ArchivedDocument
from sanctity.observe.locks import read_lock
from sanctity.observe.wheels import wheel_content
from sanctity.store.archive import Archive
from sanctity.store.blobs import ArchiveError


def test_it_is_an_oci_layout_that_sha256sum_checks(tmp_path: Path) -> None:
    a_filled_archive(tmp_path)
    manifests = check_layout(tmp_path / "archive")
    assert sorted(manifest["artifactType"].split(".")[2] for manifest in manifests.values()) == ["interpreter", "lock", "seal"]
    assert check_sums(tmp_path / "archive") > 6
    seal = next(manifest for manifest in manifests.values() if "seal" in manifest["artifactType"])
    assert "lock" in manifests[seal["subject"]["digest"]]["artifactType"]


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    again = Archive.open(archive.place)
    assert again.lock(kept.digest) == kept
    assert again.locks() == (kept,)
    assert again.named("demo/pylock.toml") == kept
    assert [seal.locks for seal in again.seals()] == [(kept.digest,)]
    assert [replace(each, manifest=None) for each in again.interpreters()] == [INTERPRETER]
    wheel = kept.artifacts[0]
    assert again.artifact(wheel.sha256) == wheel
    assert wheel.content is not None
    assert [each.filename for each in again.with_content(wheel.content)] == [wheel.filename]
    path = again.path_of(wheel.sha256, str(tmp_path))
    assert wheel_content(path) == wheel.content
    again.copy_to(wheel.sha256, str(tmp_path / wheel.filename))
    assert (tmp_path / wheel.filename).stat().st_ino != Path(path).stat().st_ino
    assert again.artifact(digest_of(b"none")) is None


def test_the_same_additions_make_the_same_archive(tmp_path: Path) -> None:
    """In another order, at another time, and twice."""
    project = tmp_path / "project"
    wheels = some_wheels(project / "wheels")
    lock = a_pylock(project, wheels)
    one, other = (Archive.open(str(tmp_path / name), create=True) for name in ("one", "other"))
    kept = keep_lock(one, lock, wheels)
    keep_lock(one, lock, wheels[:1], wanted_for=THERE)
    keep_seal(one, kept)
    one.add_interpreter(INTERPRETER)
    other.add_interpreter(INTERPRETER)
    keep_lock(other, lock, list(reversed(wheels)))
    keep_lock(other, lock, wheels[:1], wanted_for=THERE)
    keep_lock(other, lock, wheels)
    keep_seal(other, kept)
    assert (tmp_path / "one/index.json").read_bytes() != b""
    named = [{entry.name: entry.digest for entry in each.entries() if entry.name} for each in (one, other)]
    assert named[0] == named[1]
    assert {blob.name for blob in one.blobs.every()} == {blob.name for blob in other.blobs.every()}


def test_artifacts_of_one_lock_are_joined(tmp_path: Path) -> None:
    project = tmp_path / "project"
    wheels = some_wheels(project / "wheels", ("apple", "pear", "plum"))
    lock = a_pylock(project, wheels)
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    keep_lock(archive, lock, wheels[:2])
    kept = keep_lock(archive, lock, wheels[1:], wanted_for=THERE)
    assert [item.name for item in kept.artifacts] == ["apple", "pear", "plum"]
    assert kept.wanted_for == (THERE, HERE)
    assert archive.locks() == (kept,)
    assert [entry.name for entry in archive.entries()] == ["demo/pylock.toml", ""]


def test_a_name_moves_to_the_newer_lock(tmp_path: Path) -> None:
    project = tmp_path / "project"
    wheels = some_wheels(project / "wheels")
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    before = keep_lock(archive, a_pylock(project, wheels), wheels)
    after = keep_lock(archive, a_pylock(project, wheels, comment="changed"), wheels)
    assert archive.named("demo/pylock.toml") == after
    older = archive.lock(before.digest)
    assert older is not None
    assert older.name == ""
    check_layout(tmp_path / "archive")


def test_neighbours_of_a_lock_are_unpacked_as_neighbours(tmp_path: Path) -> None:
    """A workspace's lock reads what lies above it, and titles never lead out of a folder."""
    project = tmp_path / "project/inner"
    project.mkdir(parents=True)
    (project / "requirements.txt").write_text("-r ../base.txt\n-r more/extra.txt\n")
    (project / "more").mkdir()
    (project / "more/extra.txt").write_text("pear==1.0 --hash=sha256:" + "22" * 32 + "\n")
    (project.parent / "base.txt").write_text("apple==1.0 --hash=sha256:" + "11" * 32 + "\n")
    lock = read_lock(project / "requirements.txt")
    archive = Archive.open(str(tmp_path / "archive"), create=True)
    documents = []
    for path in ("requirements.txt", *lock.files):
        data = (project / path).read_bytes()
        documents.append(ArchivedDocument(path=path, sha256=archive.keep_bytes(data), size=len(data)))
    kept = archive.add_lock(
        replace(a_filled_archive(tmp_path / "x")[1], digest=lock.digest, documents=tuple(documents), artifacts=(), name="demo/r")
    )
    check_layout(tmp_path / "archive")
    room = tmp_path / "room"
    room.mkdir()
    again = read_lock(archive.unpack(archive.locks()[0], str(room)))
    assert again.digest == kept.digest
    assert [pin.name for pin in again.pins] == [pin.name for pin in lock.pins]


def test_a_document_that_leads_out_is_refused(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    entry = next(entry for entry in archive.entries() if entry.name == kept.name)
    stated = json.loads(archive.read(entry.digest))
    for path in ("/etc/passwd", "a\\b", "x/pylock.toml", "\0"):
        stated["layers"][0]["annotations"]["dev.sanctity.path"] = path
        data = json.dumps(stated).encode()
        archive.keep_bytes(data)
        archive.add_entries([replace(entry, digest=digest_of(data), size=len(data))])
        with pytest.raises(DocumentError) as raised:
            archive.locks()
        assert raised.value.code == "archive-invalid"


def test_an_altered_blob_is_not_handed_out(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    digest = kept.artifacts[0].sha256
    blob = tmp_path / "archive/blobs/sha256" / digest.value
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    for take in (
        lambda: archive.path_of(digest, str(tmp_path)),
        lambda: archive.copy_to(digest, str(tmp_path / "copy")),
        lambda: archive.read(digest),
    ):
        with pytest.raises(ArchiveError) as raised:
            take()
        assert raised.value.code == "archive-blob-altered"
        assert digest.value in raised.value.where
    assert not list(tmp_path.glob("copy*"))
    blob.unlink()
    with pytest.raises(ArchiveError) as raised:
        archive.path_of(digest, str(tmp_path))
    assert raised.value.code == "archive-blob-missing"


def test_a_lock_is_not_listed_without_its_blobs(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    before = archive.entries()
    absent = replace(kept.artifacts[0], sha256=digest_of(b"absent"))
    shorter = replace(kept.artifacts[0], size=kept.artifacts[0].size - 1)
    for artifact in (absent, shorter):
        with pytest.raises(ArchiveError) as raised:
            archive.add_lock(replace(kept, artifacts=(artifact,)))
        assert raised.value.code == "archive-blob-missing"
    assert archive.entries() == before


def test_a_stream_that_is_not_what_it_should_be_is_not_kept(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    digest = digest_of(b"right")
    with pytest.raises(ArchiveError):
        archive.keep_stream((b"wr", b"ong"), digest)
    assert not archive.has(digest)
    assert not archive.blobs.leftovers()


def test_one_damaged_manifest_does_not_hide_the_others(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    project = tmp_path / "second"
    wheels = some_wheels(project / "wheels", ("plum",))
    other = keep_lock(archive, a_pylock(project, wheels), wheels, name="second/pylock.toml")
    (tmp_path / "archive/blobs/sha256" / str(other.manifest)[7:]).write_bytes(b"{}")
    again = Archive.open(archive.place)
    assert again.lock(kept.digest) == kept
    with pytest.raises(ArchiveError) as raised:
        again.lock(other.digest)
    assert raised.value.code == "archive-blob-altered"
    with pytest.raises(ArchiveError):
        again.locks()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("oci-layout", "{"),
        ("oci-layout", '{"imageLayoutVersion": "2.0.0"}'),
        ("oci-layout", "[]"),
        ("index.json", ""),
        ("index.json", "[" * 10_000),
        ("index.json", '{"manifests": 1}'),
        ("index.json", '{"manifests": [{"mediaType": "x", "digest": "sha256:zz", "size": 1}]}'),
        ("index.json", '{"manifests": [{"mediaType": "x", "digest": "sha512:' + "0" * 128 + '", "size": 1}]}'),
        ("index.json", '{"manifests": [{"mediaType": "x", "size": -1}]}'),
        (
            "index.json",
            '{"manifests": [{"mediaType": "x", "digest": "sha256:' + "0" * 64 + '", "size": 1, "annotations": {"a": 1}}]}',
        ),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, text: str) -> None:
    archive, _ = a_filled_archive(tmp_path)
    (tmp_path / "archive" / name).write_text(text)
    with pytest.raises(DocumentError) as raised:
        Archive.open(archive.place)
    assert raised.value.code == "archive-invalid"
    assert name in raised.value.where


def test_a_folder_with_other_things_never_becomes_one(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(SanctityError) as raised:
        Archive.open(str(tmp_path), create=True)
    assert raised.value.code == "archive-invalid"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError) as refused:
        Archive.open(str(tmp_path / "empty"))
    assert refused.value.code == "archive-not-found"
    Archive.open(str(tmp_path / "empty"), create=True)
    check_layout(tmp_path / "empty")


def test_what_another_tool_lists_stays(tmp_path: Path) -> None:
    archive, kept = a_filled_archive(tmp_path)
    index = json.loads((tmp_path / "archive/index.json").read_bytes())
    data = archive.keep_bytes(b'{"schemaVersion": 2, "config": {}, "layers": []}')
    foreign = {
        "mediaType": "application/vnd.example.thing+json",
        "digest": str(data),
        "size": 48,
        "platform": {"os": "linux", "architecture": "amd64"},
        "annotations": {"org.opencontainers.image.ref.name": "theirs"},
    }
    index["manifests"].append(foreign)
    (tmp_path / "archive/index.json").write_text(json.dumps(index))
    project = tmp_path / "second"
    wheels = some_wheels(project / "wheels", ("plum",))
    keep_lock(archive, a_pylock(project, wheels), wheels, name="second/pylock.toml")
    after = json.loads((tmp_path / "archive/index.json").read_bytes())
    assert foreign in after["manifests"]
    assert archive.lock(kept.digest) == kept


def test_an_interpreter_with_its_file(tmp_path: Path) -> None:
    archive, _ = a_filled_archive(tmp_path)
    file = tmp_path / "cpython-3.11.7.tar.zst"
    file.write_bytes(b"the interpreter itself")
    digest = keep_file(archive, file)
    archive.add_interpreter(replace(INTERPRETER, file=ArchivedDocument(path=file.name, sha256=digest, size=22)))
    archive.add_interpreter(INTERPRETER)
    named = [each for each in archive.interpreters() if each.file is not None]
    assert [each.file.path for each in named if each.file] == [file.name]
    assert sum(bool(entry.name) for entry in archive.entries() if "interpreter" in entry.artifact_type) == 1
    check_layout(tmp_path / "archive")


def test_a_read_only_archive_can_be_read(tmp_path: Path) -> None:
    """Nothing is written to read: not even the folder of the locks is there."""
    archive, kept = a_filled_archive(tmp_path)
    shutil.rmtree(tmp_path / "archive/tmp")
    again = Archive.open(archive.place)
    assert again.lock(kept.digest) == kept
    assert again.path_of(kept.artifacts[0].sha256, str(tmp_path))
    assert not (tmp_path / "archive/tmp").exists()
