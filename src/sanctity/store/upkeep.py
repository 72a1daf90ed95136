"""Keeping an archive sound: every byte hashed again, and what nothing needs any more removed.

`scrub` reads all blobs and resolves all references. `find_garbage` says what `collect` would delete: it starts from what must stay
(named locks, every seal and what it refers to, interpreters, and whatever other tools put there), so that what is not understood
stays too.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.archive import Fault
from sanctity.model.digest import Digest
from sanctity.store.blobs import SAFE_AGE, ArchiveError, failed, open_file
from sanctity.store.layout import (
    INDEX_TYPE,
    INTERPRETER_TYPE,
    LOCK_TYPE,
    MANIFEST_TYPE,
    SEAL_TYPE,
    digest_of,
    interpreter_of,
    lock_of,
    parse_manifest,
    seal_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sanctity.model.archive import ArchivedLock
    from sanctity.model.digest import ContentDigest
    from sanctity.store.archive import Archive
    from sanctity.store.blobs import KeptBlob
    from sanctity.store.layout import Descriptor, Manifest

__all__ = ["Garbage", "Scrubbed", "collect", "find_garbage", "scrub"]

_HEX: Final = re.compile(r"[0-9a-f]{64}").fullmatch
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What a scrub read: *blobs* and their *size* in bytes, what is wrong, and how many nothing refers to or are in the making."""

    blobs: int
    size: int
    faults: tuple[Fault, ...]
    unreferenced: int = 0
    leftovers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What nothing needs: *manifests* as (digest, what it is of), *blobs* and *leftovers* as (name, size in bytes).

    *young* counts blobs that nothing refers to, and that somebody may just be adding.
    """

    manifests: tuple[tuple[Digest, str], ...] = ()
    blobs: tuple[tuple[str, int], ...] = ()
    leftovers: tuple[tuple[str, int], ...] = ()
    young: int = 0

    @property
    def size(self) -> int:
        """The bytes that deleting it all frees."""
        return sum(size for _, size in (*self.blobs, *self.leftovers))


class _References:
    """Everything that the index leads to: which blobs, of what size, used by what; and what is wrong on the way."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.sizes: dict[Digest, int] = {}
        self.users: dict[Digest, list[str]] = {}
        self.faults: list[Fault] = []
        self.manifests: set[Digest] = set()

    def follow(self, entries: Iterable[Descriptor]) -> None:
        """Follow *entries* of an index, however deep other tools nest theirs."""
        waiting = list(entries)
        for entry in waiting:  # which grows meanwhile
            self._note(entry, entry.name or f"{_short(entry.artifact_type or entry.media_type)} {entry.digest.value[:12]}")
            if entry.media_type not in {MANIFEST_TYPE, INDEX_TYPE} or entry.digest in self.manifests:
                continue
            self.manifests.add(entry.digest)
            try:
                manifest = parse_manifest(self.archive.read(entry.digest), f"blobs/sha256/{entry.digest.value}")
                if entry.media_type == INDEX_TYPE:
                    waiting += manifest.layers
                    continue
                of = entry.name or f"{_short(manifest.artifact_type)} {entry.digest.value[:12]}"
                for layer in manifest.all():
                    self._note(layer, f"{layer.title} ({of})" if layer.title else of)
                self._understand(entry, manifest)
            except DocumentError as error:
                self.faults.append(Fault(code=error.code, what=str(entry.digest), message=error.message, used_by=(entry.name,)))
            except ArchiveError:
                continue  # it is missing or altered: that is found where blobs are

    def _understand(self, entry: Descriptor, manifest: Manifest) -> None:
        where = f"blobs/sha256/{entry.digest.value}"
        if manifest.artifact_type == LOCK_TYPE:
            lock = lock_of(manifest, entry, where)
            own = lock.documents[0].sha256
            if len(lock.documents) == 1 and own != lock.digest:
                raise DocumentError("archive-invalid", f"it says that it is of {lock.digest}, and its lock is {own}", where=where)
        elif manifest.artifact_type == SEAL_TYPE:
            seal_of(manifest, entry, where)
        elif manifest.artifact_type == INTERPRETER_TYPE and manifest.layers:
            interpreter_of(manifest, entry, self.archive.read(manifest.layers[0].digest), where)

    def _note(self, item: Descriptor, user: str) -> None:
        self.users.setdefault(item.digest, []).append(user)
        if self.sizes.setdefault(item.digest, item.size) != item.size:
            words = f"it is said to have {item.size:,} bytes and {self.sizes[item.digest]:,} bytes"
            self.faults.append(Fault(code="archive-invalid", what=str(item.digest), message=words, used_by=(user,)))


def _short(artifact_type: str) -> str:
    """``lock`` for our own type of locks; what others call theirs as it is."""
    return artifact_type.removeprefix("application/vnd.sanctity.").removesuffix(".v1")


def scrub(
    archive: Archive,
    *,
    workers: int = 0,
    tick: Callable[[int, int], None] | None = None,
    content_of: Callable[[str], ContentDigest] | None = None,
) -> Scrubbed:
    """Hash every blob with *workers* threads (0: one a processor), resolve every reference, and name what is wrong.

    *content_of* computes the content digest of a wheel file again, and so asks for that too; *tick* is told (done, all) blobs.

    Raises:
        SanctityError: the index itself can not be read.
    """
    references = _References(archive)
    references.follow(archive.entries())
    blobs = sorted(archive.blobs.every(), key=lambda blob: -blob.size)
    faults = list(references.faults)
    known = [blob for blob in blobs if _HEX(blob.name)]
    for blob in blobs:
        if not _HEX(blob.name):
            words = "no blob is called so, and nothing can refer to it"
            faults.append(Fault(code="archive-invalid", what=f"blobs/sha256/{blob.name[:80]}", message=words))
    found = dict(_hashed(archive, known, workers or os.cpu_count() or 1, tick))
    for name, result in found.items():
        digest = Digest("sha256", name)
        users = tuple(sorted(set(references.users.get(digest, ()))))
        if isinstance(result, SanctityError):
            faults.append(Fault(code=result.code, what=str(digest), message=result.message, used_by=users))
        elif result[0] != name:
            expected = references.sizes.get(digest)
            words = f"its bytes have the SHA-256 {result[0]}"
            if expected is not None and result[1] != expected:
                words = f"it has {result[1]:,} bytes, not {expected:,}"
            faults.append(Fault(code="archive-blob-altered", what=str(digest), message=words, used_by=users))
    for digest, users_of in references.users.items():
        if digest.value not in found:
            used_by = tuple(sorted(set(users_of)))
            faults.append(Fault(code="archive-blob-missing", what=str(digest), message="it is not there", used_by=used_by))
            continue
        result = found[digest.value]
        if not isinstance(result, SanctityError) and result[0] == digest.value and result[1] != references.sizes[digest]:
            words = f"it has {result[1]:,} bytes, and a manifest says {references.sizes[digest]:,}"
            faults.append(Fault(code="archive-invalid", what=str(digest), message=words, used_by=tuple(sorted(set(users_of)))))
    if content_of is not None:
        faults += _contents(archive, {fault.what for fault in faults}, content_of)
    return Scrubbed(
        blobs=len(blobs),
        size=sum(blob.size for blob in blobs),
        faults=tuple(sorted(faults, key=lambda fault: (fault.code, fault.used_by, fault.what))),
        unreferenced=sum(Digest("sha256", blob.name) not in references.users for blob in known),
        leftovers=len(archive.blobs.leftovers()),
    )


def _hashed(
    archive: Archive, blobs: list[KeptBlob], workers: int, tick: Callable[[int, int], None] | None
) -> Iterator[tuple[str, tuple[str, int] | SanctityError]]:
    """Each blob's name, with its hash and size as they are, or why it can not be read. Hashing leaves Python's own lock alone."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[str, tuple[str, int] | SanctityError]] = queue.SimpleQueue()
    for blob in blobs:
        waiting.put(blob.name)

    def work() -> None:
        buffer = memoryview(bytearray(_CHUNK))
        while True:
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((name, _hash(archive, Digest("sha256", name), buffer)))
            except SanctityError as error:
                results.put((name, error))
            except BaseException as error:  # noqa: BLE001 - or whoever waits for this result would wait for ever
                results.put((name, ArchiveError("archive-unreachable", f"{type(error).__name__}: {error}", where=archive.place)))

    for _ in range(min(workers, len(blobs))):
        threading.Thread(target=work, daemon=True).start()
    for done in range(len(blobs)):
        yield results.get()
        if tick is not None:
            tick(done + 1, len(blobs))


def _hash(archive: Archive, digest: Digest, buffer: memoryview) -> tuple[str, int]:
    """The SHA-256 and the size of a blob as it is."""
    found = hashlib.sha256()
    size = 0
    path = archive.blobs.local(digest)
    if path is None:
        for chunk in archive.blobs.read(digest):
            found.update(chunk)
            size += len(chunk)
        return found.hexdigest(), size
    try:
        with open_file(path) as file:
            while length := file.readinto(buffer):
                found.update(buffer[:length])
                size += length
    except OSError as error:
        raise failed(error, f"{archive.place}/blobs/sha256/{digest.value}") from error
    return found.hexdigest(), size


def _contents(archive: Archive, known: set[str], content_of: Callable[[str], ContentDigest]) -> Iterator[Fault]:
    """The wheels whose content is not what the archive remembers of them; those in *known* are wrong already."""
    folder = archive.workroom()
    for item in archive.artifacts():
        if item.content is None or str(item.sha256) in known or not archive.has(item.sha256):
            continue
        path = f"{folder}/deep-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            archive.copy_to(item.sha256, path)
            found = content_of(path)
            words = "" if found == item.content else f"its content is {found}, and not {item.content}"
        except SanctityError as error:
            words = error.message
        finally:
            if os.path.lexists(path):
                os.unlink(path)
        if words:
            yield Fault(code="archive-content-wrong", what=str(item.sha256), message=words, used_by=(item.filename,))


# -- what nothing needs -----------------------------------------------------------------------------------------------------------


def find_garbage(archive: Archive, *, sealed: Iterable[Digest], now: float) -> Garbage:
    """What nothing needs any more: *sealed* are the digests of locks and artifacts that the seals in it refer to.

    *now* is in seconds since 1970: what is younger than `SAFE_AGE` may belong to somebody at work, and stays, in object storage; in
    a folder only what is in the making.

    Raises:
        SanctityError: a manifest can not be read, so that nobody can say what it needs.
    """
    kept = {str(digest) for digest in sealed}
    entries = archive.entries()
    manifests = {entry.digest: _manifest(archive, entry) for entry in entries}
    roots: set[Digest] = set()
    locks: dict[Digest, tuple[str, Descriptor]] = {}
    for entry in entries:
        manifest = manifests[entry.digest]
        if manifest is not None and manifest.subject is not None:
            roots.add(manifest.subject.digest)
        if manifest is None or manifest.artifact_type != LOCK_TYPE or entry.name:
            roots.add(entry.digest)
        else:
            lock = lock_of(manifest, entry, archive.place)
            locks[entry.digest] = (f"{lock.path} {lock.digest}", entry)
            if str(lock.digest) in kept or _adds(archive, lock, entries, manifests):
                roots.add(entry.digest)
    needed = set(kept)
    for entry in entries:
        if entry.digest in roots:
            needed |= {str(digest) for digest in _reach(archive, entry, manifests[entry.digest])}
    listed = {entry.digest for entry in entries}
    for manifest in manifests.values():
        subject = manifest.subject if manifest is not None else None
        if subject is not None and subject.digest not in listed and archive.has(subject.digest):
            needed |= {str(digest) for digest in _reach(archive, subject, _manifest(archive, subject))}
    loose = [blob for blob in archive.blobs.every() if _HEX(blob.name) and f"sha256:{blob.name}" not in needed]
    old = loose
    if archive.blobs.local(digest_of(b"")) is None:
        # Nothing keeps somebody who adds from counting on what the index lists still: that is for the next time.
        seen = {str(digest) for entry in entries for digest in _reach(archive, entry, manifests[entry.digest])}
        old = [blob for blob in loose if now - blob.written > SAFE_AGE and f"sha256:{blob.name}" not in seen]
    return Garbage(
        manifests=tuple(sorted((digest, words) for digest, (words, _) in locks.items() if digest not in roots)),
        blobs=tuple(sorted((blob.name, blob.size) for blob in old)),
        leftovers=tuple((blob.name, blob.size) for blob in archive.blobs.leftovers() if now - blob.written > SAFE_AGE),
        young=len(loose) - len(old),
    )


def _manifest(archive: Archive, entry: Descriptor) -> Manifest | None:
    """The manifest of *entry*, None where it is none, but a blob that another tool listed."""
    return archive.manifest(entry) if entry.media_type in {MANIFEST_TYPE, INDEX_TYPE} else None


def _adds(archive: Archive, lock: ArchivedLock, entries: Iterable[Descriptor], manifests: dict[Digest, Manifest | None]) -> bool:
    """Whether an unnamed manifest of a named lock lists what the named one does not: then it is no older state of it."""
    named: set[Digest] = set()
    found = False
    for entry in entries:
        manifest = manifests[entry.digest]
        if entry.name and manifest is not None and manifest.artifact_type == LOCK_TYPE:
            other = lock_of(manifest, entry, archive.place)
            if other.digest == lock.digest:
                found = True
                named |= {artifact.sha256 for artifact in other.artifacts}
    return found and not {artifact.sha256 for artifact in lock.artifacts} <= named


def _reach(archive: Archive, entry: Descriptor, manifest: Manifest | None) -> Iterator[Digest]:
    """Every blob that *entry* leads to, once, however deep other tools nest their indexes."""
    found = {(entry.digest, entry.media_type)}
    yield entry.digest
    waiting = [manifest]
    while waiting:
        each = waiting.pop()
        for item in each.all() if each is not None else ():
            if (item.digest, item.media_type) not in found:
                found.add((item.digest, item.media_type))
                yield item.digest
                waiting.append(_manifest(archive, item))


def collect(archive: Archive, *, sealed: Callable[[], Iterable[Digest]], now: float) -> Garbage:
    """Delete what nothing needs, as `find_garbage` says of the archive as it is once nobody adds to it.

    Manifests leave the index before any blob is deleted, so what ends this leaves an archive that is whole.

    Raises:
        SanctityError: as `find_garbage`; ``archive-busy``, somebody adds to it.
    """
    with archive.blobs.alone():
        garbage = find_garbage(archive, sealed=sealed(), now=now)
        if garbage.manifests:
            archive.drop(digest for digest, _ in garbage.manifests)
            # In object storage somebody may have listed them again meanwhile.
            again = find_garbage(archive, sealed=sealed(), now=now)
            still = {name for name, _ in again.blobs}
            garbage = Garbage(
                manifests=garbage.manifests,
                blobs=tuple(each for each in garbage.blobs if each[0] in still),
                leftovers=garbage.leftovers,
                young=garbage.young,
            )
        for name, _ in garbage.blobs:
            archive.blobs.delete(name)
        for name, _ in garbage.leftovers:
            archive.blobs.sweep(name)
        return garbage
