"""The storage under an archive: a folder, and object storage in memory and behind a real HTTP server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archiving.door import a_project, sanctity
from archiving.oci import check_layout
from real.tools import ToolError, Workshop
from sanctity.errors import SanctityError, UsageError
from sanctity.model.digest import Digest
from sanctity.store.archive import Archive
from sanctity.store.blobs import ArchiveError, Blobs, DirectoryBlobs, ObjectBlobs, open_blobs

pytest.importorskip("obstore")

Opener = Callable[[], Blobs]


def digest_of(data: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(data).hexdigest())


def put(blobs: Blobs, data: bytes) -> Digest:
    path = f"{blobs.workroom()}/made-{os.urandom(4).hex()}"
    Path(path).write_bytes(data)
    digest = digest_of(data)
    blobs.adopt(path, digest)
    assert not os.path.exists(path)
    return digest


def append(blobs: Blobs, line: bytes) -> None:
    blobs.change("index.json", lambda before: (before or b"") + line)


@pytest.fixture(params=["folder", "objects"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same storage again and again, as several processes would."""
    if request.param == "folder":
        return lambda: DirectoryBlobs(str(tmp_path / "archive"), create=True)
    from obstore.store import MemoryStore

    store = MemoryStore()
    return lambda: ObjectBlobs("memory:///", create=True, store=store)


def test_a_blob_is_there_whole_or_not_at_all(opener: Opener) -> None:
    blobs = opener()
    digest = digest_of(b"some bytes")
    assert blobs.size(digest) is None
    with pytest.raises(ArchiveError) as raised:
        b"".join(blobs.read(digest))
    assert raised.value.code == "archive-blob-missing"
    assert put(blobs, b"some bytes") == digest
    assert blobs.size(digest) == 10
    assert b"".join(opener().read(digest)) == b"some bytes"
    assert [(each.name, each.size) for each in blobs.every()] == [(digest.value, 10)]
    put(blobs, b"some bytes")
    blobs.delete(digest.value)
    blobs.delete(digest.value)
    assert not list(blobs.every())


def test_a_large_blob_streams_in_pieces(opener: Opener) -> None:
    data = os.urandom(5 << 20)
    blobs = opener()
    digest = put(blobs, data)
    pieces = list(blobs.read(digest))
    assert b"".join(pieces) == data
    assert isinstance(blobs, ObjectBlobs) or len(pieces) > 1


def test_a_small_file_is_changed_from_what_is_there(opener: Opener) -> None:
    """Many writers at once, and each one's line is there in the end."""

    def write(name: str) -> None:
        blobs = opener()
        for number in range(5):
            line = f"{name}{number}\n".encode()
            append(blobs, line)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = opener().get("index.json")
    assert data is not None
    assert sorted(data.decode().split()) == sorted(f"{name}{number}" for name in "abcdef" for number in range(5))


def test_nothing_changes_where_nothing_is_to_change(opener: Opener) -> None:
    blobs = opener()
    assert blobs.get("index.json") is None
    blobs.change("index.json", lambda _: None)
    assert blobs.get("index.json") is None


def test_who_deletes_waits_for_nobody_in_a_folder(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(str(tmp_path), create=True)
    with blobs.using(), DirectoryBlobs(str(tmp_path)).using(), pytest.raises(ArchiveError) as raised, blobs.alone():
        pass
    assert raised.value.code == "archive-busy"
    with blobs.alone():
        pass


def test_leftovers_of_a_folder_are_found_and_swept(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(str(tmp_path), create=True)
    room = Path(blobs.workroom())
    (room / "new-1").write_bytes(b"half")
    (room / "fetch-2").mkdir()
    (room / "fetch-2" / "six.whl").write_bytes(b"a part")
    with blobs.using():
        assert [(each.name, each.size) for each in blobs.leftovers()] == [("tmp/fetch-2", 6), ("tmp/new-1", 4)]
    for each in blobs.leftovers():
        blobs.sweep(each.name)
    assert not blobs.leftovers()


def test_what_can_not_be_an_archive(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place, code in (
        (str(tmp_path / "none"), "archive-not-found"),
        (str(tmp_path / "file"), "archive-not-found"),
        ("ftp://x/y", "usage"),
    ):
        with pytest.raises(UsageError) as raised:
            open_blobs(place)
        assert raised.value.code == code
    with pytest.raises(UsageError):
        open_blobs(str(tmp_path / "file"), create=True)


def test_a_blob_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(str(tmp_path), create=True)
    digest = put(blobs, b"x")
    path = Path(str(blobs.local(digest)))
    path.unlink()
    path.mkdir()
    with pytest.raises(ArchiveError) as raised:
        b"".join(blobs.read(digest))
    assert raised.value.code == "archive-unreachable"
    assert digest.value in raised.value.where


# -- a real server ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket(workshop: Workshop) -> Iterator[str]:
    """A bucket of a real S3 server on the loopback interface."""
    try:
        program = workshop.tool("moto", "moto_server")
    except ToolError as error:
        pytest.skip(f"moto can not be installed: {str(error).splitlines()[0]}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([str(program), "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            assert time.monotonic() < until
            assert server.poll() is None
            time.sleep(0.05)
        endpoint = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/kept", method="PUT")):
            pass
        yield endpoint
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def credentials(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT": bucket,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.index
@pytest.mark.usefixtures("credentials")
class TestServer:
    """Object storage behind HTTP, as S3 speaks it."""

    def test_an_archive_in_a_bucket(self, tmp_path: Path) -> None:
        place = f"s3://kept/{tmp_path.name}"
        with pytest.raises(UsageError) as raised:
            Archive.open(place)
        assert raised.value.code == "archive-not-found"
        with Archive.open(place, create=True) as archive:
            data = os.urandom(3 << 20)
            digest = archive.keep_bytes(data)
        with Archive.open(place) as archive:
            assert archive.has(digest)
            assert Path(archive.path_of(digest, str(tmp_path))).read_bytes() == data
            assert archive.size_of(digest_of(b"nothing")) is None

    def test_every_command_works_on_a_bucket(self, tmp_path: Path) -> None:
        project = a_project(tmp_path / "demo")
        place = f"s3://kept/{tmp_path.name}"
        extra = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        for arguments in (
            ("add", project.lock, "--archive", place),
            ("add", project.lock, "--archive", place),
            ("list", "--archive", place),
            ("scrub", "--deep", "--archive", place),
            ("health", "--offline", "--archive", place),
            ("gc", "--apply", "--archive", place),
            ("export", "x.tar", "--archive", place),
            ("import", "x.tar", "--archive", f"{place}-two"),
            ("import", "x.tar", "--archive", "folder"),
        ):
            sanctity("archive", *arguments, home=tmp_path, extra=extra)
        check_layout(tmp_path / "folder")
        with Archive.open(place) as one, Archive.open(f"{place}-two") as other:
            assert one.entries() == other.entries() == Archive.open(str(tmp_path / "folder")).entries()

    def test_two_writers_lose_nothing(self, tmp_path: Path) -> None:
        place = f"s3://kept/{tmp_path.name}"
        open_blobs(place, create=True).change("index.json", lambda _: b"")

        def write(name: str) -> None:
            blobs = open_blobs(place, create=True)
            append(blobs, name.encode())

        threads = [threading.Thread(target=write, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        data = open_blobs(place, create=True).get("index.json")
        assert data is not None
        assert sorted(data) == sorted(b"abcdef")

    def test_a_bucket_that_is_not_there(self) -> None:
        with pytest.raises(SanctityError) as raised:
            Archive.open("s3://no-such-bucket/x", create=True)
        assert raised.value.code == "archive-unreachable"
