"""Archives filled by hand, without fetching: real wheels, a lock that names them, a seal and an interpreter."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from real.index import Wheel, make_wheel
from sanctity.model.archive import (
    ArchivedArtifact,
    ArchivedDocument,
    ArchivedInterpreter,
    ArchivedLock,
    ArchivedSeal,
    ArtifactKind,
    For,
)
from sanctity.model.digest import Digest
from sanctity.model.platform import Build
from sanctity.observe.locks import read_lock
from sanctity.observe.wheels import wheel_content
from sanctity.store.archive import Archive

__all__ = [
    "HERE",
    "INTERPRETER",
    "THERE",
    "a_filled_archive",
    "a_pylock",
    "digest_of",
    "keep_file",
    "keep_lock",
    "keep_seal",
    "some_wheels",
]

HERE = For(platform="linux-x86_64-glibc", python="cpython-3.11")
THERE = For(platform="linux-aarch64-musl", python="cpython-3.13")
INTERPRETER = ArchivedInterpreter(
    implementation="cpython",
    version="3.11.7",
    abi="cpython-311",
    platform="linux-x86_64-glibc",
    build=Build(executable=Digest("sha256", "ab" * 32), compiler="GCC 12.2.0", compiled="Nov 23 2026, 12:00:00"),
)


def digest_of(data: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(data).hexdigest())


def some_wheels(folder: Path, names: tuple[str, ...] = ("apple", "pear")) -> list[Wheel]:
    folder.mkdir(parents=True, exist_ok=True)
    return [make_wheel(folder, name, "1.0", {f"{name}.py": f"NAME = {name!r}\n".encode()}) for name in names]


def a_pylock(folder: Path, wheels: list[Wheel], *, name: str = "pylock.toml", comment: str = "") -> Path:
    """A lock of the format pylock.toml, in *folder*, that names *wheels* where they lie below it."""
    lines = [*([f"# {comment}"] if comment else []), 'lock-version = "1.0"', 'created-by = "by hand"', 'requires-python = ">=3.9"']
    for wheel in wheels:
        path = wheel.path.relative_to(folder)
        lines += ["[[packages]]", f'name = "{wheel.name}"', f'version = "{wheel.version}"', "[[packages.wheels]]"]
        lines += [f'name = "{wheel.path.name}"', f'path = "{path}"', f'hashes = {{sha256 = "{wheel.sha256}"}}']
    lock = folder / name
    lock.write_text("\n".join(lines) + "\n")
    return lock


def keep_file(archive: Archive, path: Path) -> Digest:
    digest = digest_of(path.read_bytes())
    copy = Path(archive.workroom()) / f"copy-{path.name}"
    shutil.copyfile(path, copy)
    archive.keep(str(copy), digest)
    return digest


def keep_lock(
    archive: Archive, lock: Path, wheels: list[Wheel], *, name: str = "demo/pylock.toml", wanted_for: For = HERE
) -> ArchivedLock:
    artifacts = tuple(
        ArchivedArtifact(
            sha256=keep_file(archive, wheel.path),
            filename=wheel.path.name,
            size=wheel.path.stat().st_size,
            kind=ArtifactKind.WHEEL,
            name=wheel.name,
            version=wheel.version,
            content=wheel_content(str(wheel.path)),
        )
        for wheel in wheels
    )
    data = lock.read_bytes()
    document = ArchivedDocument(path=lock.name, sha256=archive.keep_bytes(data), size=len(data))
    digest = read_lock(lock).digest
    kept = ArchivedLock(
        digest=digest, format="pylock", documents=(document,), artifacts=artifacts, wanted_for=(wanted_for,), name=name
    )
    return archive.add_lock(kept)


def keep_seal(archive: Archive, lock: ArchivedLock, text: bytes = b'{"schema": "sanctity.seal/1"}') -> ArchivedSeal:
    """Keep a seal's manifest; its document is whatever *text* says."""
    document = ArchivedDocument(path="env.seal.json", sha256=archive.keep_bytes(text), size=len(text))
    kept = ArchivedSeal(digest=digest_of(text), documents=(document,), locks=(lock.digest,), name="demo/env.seal.json")
    return archive.add_seal(kept)


def a_filled_archive(folder: Path) -> tuple[Archive, ArchivedLock]:
    """An archive below *folder*, called ``archive``, with everything in it."""
    project = folder / "project"
    wheels = some_wheels(project / "wheels")
    lock = a_pylock(project, wheels)
    archive = Archive.open(str(folder / "archive"), create=True)
    kept = keep_lock(archive, lock, wheels)
    keep_seal(archive, kept)
    archive.add_interpreter(INTERPRETER)
    return archive, kept
