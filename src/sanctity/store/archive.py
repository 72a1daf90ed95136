"""An archive: what a rebuild needs when the index is gone, in an OCI image layout.

Blobs are named by the SHA-256 of their bytes; a manifest lists those of one lock, seal or interpreter; ``index.json`` lists the
manifests, and is written last. So whatever ends a writer leaves an older archive that is whole. The rules it keeps:

- Nothing is taken for what its name says: every byte that is handed out was hashed on the way (`Archive.path_of`, `Archive.read`).
- Adding joins: the artifacts of one lock that several manifests list are those of all of them together.
- A name of the index moves to the newest manifest; the older one stays in the index without it, until `sanctity.store.upkeep`
  removes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from sanctity.errors import DocumentError, UsageError
from sanctity.model.artifact import WheelContent
from sanctity.store.blobs import ROOM, ArchiveError, DirectoryBlobs, failed, missing, open_blobs
from sanctity.store.layout import (
    EMPTY,
    INTERPRETER_TYPE,
    LAYOUT,
    LOCK_TYPE,
    MANIFEST_TYPE,
    SEAL_TYPE,
    Descriptor,
    digest_of,
    format_identity,
    format_index,
    format_manifest,
    interpreter_of,
    lock_of,
    manifest_of_interpreter,
    manifest_of_lock,
    manifest_of_seal,
    name_of,
    parse_index,
    parse_layout,
    parse_manifest,
    seal_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from sanctity.model.archive import ArchivedArtifact, ArchivedInterpreter, ArchivedLock, ArchivedSeal
    from sanctity.model.digest import ContentDigest, Digest
    from sanctity.store.blobs import Blobs
    from sanctity.store.layout import Manifest

__all__ = ["INDEX", "LARGEST_DOCUMENT", "Archive", "joined_artifacts"]

INDEX: Final = "index.json"
_LAYOUT_NAME: Final = "oci-layout"
#: The most bytes of a document that is read whole: a manifest, a lock, a seal.
LARGEST_DOCUMENT: Final = 1 << 26
_CHUNK: Final = 1 << 20


class Archive:
    """The archive over *blobs*; `open` makes one of a place."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self.place = blobs.place
        self._manifests: dict[Digest, Manifest] = {}

    @classmethod
    def open(cls, place: str, *, create: bool = False) -> Archive:
        """The archive at *place*: a folder, or a URL such as ``s3://bucket/prefix``; *create* makes one where nothing is.

        Raises:
            UsageError: ``archive-not-found``, there is none.
            DocumentError: ``archive-invalid``, what is there is no archive.
            ArchiveError: it can not be reached.
        """
        blobs = open_blobs(place, create=create)
        layout = blobs.get(_LAYOUT_NAME)
        if layout is None:
            if isinstance(blobs, DirectoryBlobs) and _names(blobs):
                words = "the folder holds other things, and no oci-layout"
                raise DocumentError("archive-invalid", words, where=place, hint="name an archive, or a new folder")
            if not create:
                hint = "make one: sanctity archive add LOCK --archive DIR"
                raise UsageError("archive-not-found", "there is no archive in it", where=place, hint=hint)
            # The layout comes last: until it is there, the folder is as good as empty.
            blobs.change(INDEX, lambda before: format_index(()) if before is None else None)
            blobs.change(_LAYOUT_NAME, lambda before: LAYOUT if before is None else None)
        else:
            parse_layout(layout, f"{place}/{_LAYOUT_NAME}")
        archive = cls(blobs)
        archive.entries()
        return archive

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is held on this machine."""
        self.blobs.close()

    # -- bytes --------------------------------------------------------------------------------------------------------------------

    def has(self, digest: Digest) -> bool:
        """Whether there is a blob of that name; its bytes are not looked at."""
        return self.blobs.size(digest) is not None

    def size_of(self, digest: Digest) -> int | None:
        """The size of a blob in bytes, None where there is none."""
        return self.blobs.size(digest)

    def path_of(self, digest: Digest, folder: str) -> str:
        """A path with the blob's bytes, hashed now: the blob itself where it is a file, else a copy in *folder*.

        Raises:
            ArchiveError: ``archive-blob-missing``, ``archive-blob-altered``, or it can not be read.
        """
        local = self.blobs.local(digest)
        if local is None:
            path = f"{folder}/{digest.value}"
            self.copy_to(digest, path)
            return path
        for _ in self._verified(digest):
            pass
        return local

    def copy_to(self, digest: Digest, path: str) -> None:
        """Copy a blob to *path*, hashed on the way; never a link. Raises as `path_of`."""
        temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
        try:
            with open(temporary, "xb") as file:
                file.writelines(self._verified(digest))
            os.replace(temporary, path)
        except OSError as error:
            raise failed(error, path) from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def read(self, digest: Digest, limit: int = LARGEST_DOCUMENT) -> bytes:
        """The bytes of a small blob, hashed. Raises as `path_of`, and ``archive-invalid`` where it has more than *limit* bytes."""
        size = self.blobs.size(digest)
        if size is not None and size > limit:
            raise DocumentError("archive-invalid", f"a document has {size:,} bytes", where=self._where(digest))
        return b"".join(self._verified(digest))

    def _verified(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob; an error comes after the last piece where they are not those of *digest*."""
        found = hashlib.sha256()
        for chunk in self.blobs.read(digest):
            found.update(chunk)
            yield chunk
        if found.hexdigest() != digest.value:
            raise altered(self.place, digest, found.hexdigest())

    def _where(self, digest: Digest) -> str:
        return f"{self.place}/blobs/sha256/{digest.value}"

    # -- what is kept -------------------------------------------------------------------------------------------------------------

    def entries(self) -> tuple[Descriptor, ...]:
        """The entries of the index as it is now. Raises DocumentError ``archive-invalid``."""
        where = f"{self.place}/{INDEX}"
        data = self.blobs.get(INDEX)
        if data is None:
            raise DocumentError("archive-invalid", "there is no index.json", where=where, hint="take it from a copy of the archive")
        return parse_index(data, where)

    def manifest(self, entry: Descriptor) -> Manifest:
        """The manifest that *entry* points at; its bytes are hashed once. Raises as `read`, and ``archive-invalid``."""
        found = self._manifests.get(entry.digest)
        if found is None:
            found = parse_manifest(self.read(entry.digest), self._where(entry.digest))
            self._manifests[entry.digest] = found
        return found

    def _of_type(self, wanted: str, *, lenient: bool = False) -> Iterator[tuple[Descriptor, Manifest]]:
        for entry in self.entries():
            if entry.artifact_type not in {wanted, ""}:
                continue
            try:
                manifest = self.manifest(entry)
            except (ArchiveError, DocumentError):
                if not lenient:
                    raise
                continue
            if manifest.artifact_type == wanted:
                yield entry, manifest

    def locks(self, *, lenient: bool = False) -> tuple[ArchivedLock, ...]:
        """Every lock that is kept, once, sorted by name: the artifacts of all its manifests together.

        With *lenient*, manifests that can not be read are passed over.
        """
        found: dict[Digest, ArchivedLock] = {}
        for entry, manifest in self._of_type(LOCK_TYPE, lenient=lenient):
            lock = lock_of(manifest, entry, self._where(entry.digest))
            found[lock.digest] = _joined(found[lock.digest], lock) if lock.digest in found else lock
        return tuple(sorted(found.values(), key=lambda lock: (not lock.name, lock.name, lock.digest)))

    def lock(self, digest: Digest) -> ArchivedLock | None:
        """The lock of that digest. Raises where it is not found and a manifest can not be read."""
        found = next((lock for lock in self.locks(lenient=True) if lock.digest == digest), None)
        return found or next((lock for lock in self.locks() if lock.digest == digest), None)

    def seals(self) -> tuple[ArchivedSeal, ...]:
        """Every seal that is kept, once, sorted by name."""
        found: dict[Digest, ArchivedSeal] = {}
        for entry, manifest in self._of_type(SEAL_TYPE):
            seal = seal_of(manifest, entry, self._where(entry.digest))
            if seal.digest not in found or not found[seal.digest].name:
                found[seal.digest] = seal
        return tuple(sorted(found.values(), key=lambda seal: (not seal.name, seal.name, seal.digest)))

    def seal(self, digest: Digest) -> ArchivedSeal | None:
        """The seal of that digest."""
        return next((seal for seal in self.seals() if seal.digest == digest), None)

    def interpreters(self) -> tuple[ArchivedInterpreter, ...]:
        """Every interpreter that is kept, sorted by version."""
        found = []
        for entry, manifest in self._of_type(INTERPRETER_TYPE):
            where = self._where(entry.digest)
            if not manifest.layers:
                raise DocumentError("archive-invalid", "it has no identity", where=where)
            found.append(interpreter_of(manifest, entry, self.read(manifest.layers[0].digest), where))
        return tuple(sorted(found, key=lambda each: (each.implementation, each.version, each.platform, str(each.manifest))))

    def named(self, name: str) -> ArchivedLock | ArchivedSeal | None:
        """What the index calls *name*: ``demo/uv.lock``."""
        kept: tuple[ArchivedLock | ArchivedSeal, ...] = (*self.locks(lenient=True), *self.seals())
        return next((each for each in kept if each.name == name), None)

    def artifacts(self) -> tuple[ArchivedArtifact, ...]:
        """Every artifact of every lock, once."""
        return joined_artifacts(artifact for lock in self.locks(lenient=True) for artifact in lock.artifacts)

    def artifact(self, digest: Digest) -> ArchivedArtifact | None:
        """The artifact of that SHA-256, if a lock's manifest lists it and its blob is there."""
        found = next((each for each in self.artifacts() if each.sha256 == digest), None)
        return found if found is not None and self.has(digest) else None

    def wheels(self) -> tuple[WheelContent, ...]:
        """What is known of every wheel that is there."""
        return tuple(
            WheelContent(sha256=each.sha256, content=each.content, filename=each.filename, built_from=each.built_from)
            for each in self.artifacts()
            if each.content is not None and self.has(each.sha256)
        )

    def with_content(self, content: ContentDigest) -> tuple[WheelContent, ...]:
        """The wheels that have this content."""
        return tuple(wheel for wheel in self.wheels() if wheel.content == content)

    def built_from(self, source: str) -> tuple[ArchivedArtifact, ...]:
        """The wheels that were built from *source*, as `ArchivedArtifact.built_from` writes it."""
        return tuple(each for each in self.artifacts() if each.built_from == source and self.has(each.sha256))

    def unpack(self, kept: ArchivedLock | ArchivedSeal, folder: str) -> str:
        """Write the documents of *kept* below *folder*, and give back the path of its own; neighbours stay neighbours."""
        paths = [os.path.normpath(document.path) for document in kept.documents]
        above = max(path.split(os.sep).count("..") for path in paths)
        home = os.path.join(folder, *[f"level-{number}" for number in range(above)])
        for document, path in zip(kept.documents, paths, strict=True):
            whole = os.path.normpath(os.path.join(home, path))
            if not f"{whole}/".startswith(f"{os.path.normpath(folder)}/"):
                raise DocumentError("archive-invalid", f"{document.path[:80]!r} leads out of it", where=self.place)
            try:
                os.makedirs(os.path.dirname(whole), exist_ok=True)
            except OSError as error:
                raise failed(error, whole) from error
            self.copy_to(document.sha256, whole)
        return os.path.join(home, paths[0])

    # -- adding -------------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def adding(self) -> Iterator[None]:
        """While blobs are added and manifests made: nobody deletes meanwhile, in a folder."""
        with self.blobs.using():
            yield

    def workroom(self) -> str:
        """A folder to make blobs in, on the archive's own file system where it has one."""
        return self.blobs.workroom()

    def keep(self, path: str, digest: Digest) -> None:
        """Keep the file *path* of the workroom, whose bytes the caller has hashed; the file is gone afterwards."""
        self.blobs.adopt(path, digest)

    def keep_bytes(self, data: bytes) -> Digest:
        """Keep *data*, unless it is there."""
        digest = digest_of(data)
        # In object storage it is written again: what was just written is not deleted as garbage meanwhile.
        if self.blobs.local(digest) is not None and self.blobs.size(digest) == len(data):
            with contextlib.suppress(ArchiveError):
                for _ in self._verified(digest):
                    pass
                return digest
        self.keep_stream((data,), digest)
        return digest

    def keep_stream(self, chunks: Iterable[bytes], digest: Digest) -> None:
        """Keep what *chunks* make, if they have this *digest*. Raises ``archive-blob-altered`` where they do not."""
        path = f"{self.workroom()}/new-{os.getpid()}-{os.urandom(6).hex()}"
        found = hashlib.sha256()
        try:
            try:
                with open(path, "xb") as file:
                    for chunk in chunks:
                        found.update(chunk)
                        file.write(chunk)
            except OSError as error:
                raise failed(error, f"{self.place}/{ROOM}") from error
            if found.hexdigest() != digest.value:
                raise altered(self.place, digest, found.hexdigest())
            self.blobs.adopt(path, digest)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def add_lock(self, lock: ArchivedLock) -> ArchivedLock:
        """List *lock*, joined with what is kept of the same lock, under its name; all its blobs must be there.

        Raises:
            ArchiveError: ``archive-blob-missing``, one of them is not; or it can not be written.
        """
        self._need((*lock.documents, *lock.artifacts))
        made: list[ArchivedLock] = []

        def edit(entries: tuple[Descriptor, ...]) -> Iterable[Descriptor]:
            whole = lock
            for entry in entries:
                if entry.artifact_type == LOCK_TYPE:
                    before = lock_of(self.manifest(entry), entry, self._where(entry.digest))
                    whole = _joined(whole, before) if before.digest == lock.digest else whole
            whole = replace(whole, name=lock.name or whole.name)
            entry = self._write(manifest_of_lock(whole)).named(whole.name)
            made[:] = [replace(whole, manifest=entry.digest)]
            return _with(entries, entry)

        self._change(edit)
        self._need((*lock.documents, *lock.artifacts))
        return made[0]

    def add_seal(self, seal: ArchivedSeal) -> ArchivedSeal:
        """List *seal* under its name, as about the lock that it names first of those that are kept. Raises as `add_lock`."""
        self._need(seal.documents)
        made: list[Descriptor] = []

        def edit(entries: tuple[Descriptor, ...]) -> Iterable[Descriptor]:
            subject = self._manifest_about(entries, seal.locks)
            whole, others = seal, []
            for each in entries:
                before = self._seal_in(each)
                if before is None or before.digest != seal.digest:
                    others.append(each)
                    continue
                known = {document.path for document in whole.documents}
                more = tuple(document for document in before.documents if document.path not in known)
                whole = replace(whole, documents=(*whole.documents, *more), name=whole.name or before.name)
            entry = self._write(manifest_of_seal(whole, subject)).named(whole.name)
            made[:] = [entry]
            return _with(others, entry)

        self._change(edit)
        return replace(seal, manifest=made[0].digest)

    def add_interpreter(self, kept: ArchivedInterpreter) -> ArchivedInterpreter:
        """List an interpreter; its file, if it has one, must be there. Raises as `add_lock`."""
        self._need((kept.file,) if kept.file is not None else ())
        identity = self.keep_bytes(format_identity(kept))
        name = name_of(f"{kept.implementation}-{kept.version}-{kept.platform}-{identity.value[:12]}")
        made: list[Descriptor] = []

        def edit(entries: tuple[Descriptor, ...]) -> Iterable[Descriptor] | None:
            listed = next((entry for entry in entries if entry.name == name), None)
            if listed is not None and kept.file is None:
                made[:] = [listed]  # it is listed already, and perhaps with its file
                return None
            made[:] = [self._write(manifest_of_interpreter(kept)).named(name)]
            return _with(entries, made[0])

        self._change(edit)
        return replace(kept, manifest=made[0].digest)

    def _seal_in(self, entry: Descriptor) -> ArchivedSeal | None:
        """The seal that *entry* lists, if it lists one."""
        return seal_of(self.manifest(entry), entry, self._where(entry.digest)) if entry.artifact_type == SEAL_TYPE else None

    def _manifest_about(self, entries: Iterable[Descriptor], locks: Iterable[Digest]) -> Descriptor | None:
        """The manifest of the first of *locks* that is kept: the named one of several, the one that lists most."""
        found: dict[Digest, list[tuple[bool, int, Descriptor]]] = {}
        for entry in entries:
            if entry.artifact_type == LOCK_TYPE:
                lock = lock_of(self.manifest(entry), entry, self._where(entry.digest))
                found.setdefault(lock.digest, []).append((bool(entry.name), len(lock.artifacts), entry))
        first = next((found[digest] for digest in locks if digest in found), None)
        return max(first, key=lambda each: (each[0], each[1], each[2].digest))[2] if first else None

    def add_entries(self, added: Iterable[Descriptor]) -> None:
        """List manifests that are there, as they are; their names move to them."""
        added = tuple(added)

        def edit(entries: tuple[Descriptor, ...]) -> Iterable[Descriptor]:
            for entry in added:
                if entry.name or all(entry.digest != other.digest for other in entries):
                    entries = _with(entries, entry)
            return entries

        self._change(edit)

    def _write(self, manifest: Manifest) -> Descriptor:
        """Keep a manifest, and what points at it."""
        self.keep_bytes(EMPTY)
        data = format_manifest(manifest)
        digest = self.keep_bytes(data)
        return Descriptor(media_type=MANIFEST_TYPE, digest=digest, size=len(data), artifact_type=manifest.artifact_type)

    def _change(self, edit: Callable[[tuple[Descriptor, ...]], Iterable[Descriptor] | None]) -> None:
        """Change the index, from what is there now."""
        where = f"{self.place}/{INDEX}"

        def change(before: bytes | None) -> bytes | None:
            entries = parse_index(before, where) if before is not None else ()
            after = edit(entries)
            data = format_index(after) if after is not None else before
            return None if data == before else data

        self.blobs.change(INDEX, change)

    def drop(self, gone: Iterable[Digest]) -> None:
        """Take entries out of the index."""
        dropped = set(gone)
        self._change(lambda entries: [entry for entry in entries if entry.digest not in dropped])

    def _need(self, wanted: Iterable[object]) -> None:
        """Raise where a blob is not there, or has another size than its descriptor will say."""
        for item in wanted:
            digest, size = item.sha256, item.size  # type: ignore[attr-defined]
            if self.blobs.size(digest) != size:
                raise missing(self.place, digest)


def altered(place: str, digest: Digest, found: str) -> ArchiveError:
    """The error that a blob is not what its name says."""
    hint = "add its lock again to fetch it anew: sanctity archive scrub says which files it is"
    words = f"its bytes have the SHA-256 {found}, which is not its name"
    return ArchiveError("archive-blob-altered", words, where=f"{place}/blobs/sha256/{digest.value}", hint=hint)


def joined_artifacts(items: Iterable[ArchivedArtifact]) -> tuple[ArchivedArtifact, ...]:
    """*items*, each SHA-256 and source once: what is known of a wheel's content is kept."""
    found: dict[tuple[Digest, str], ArchivedArtifact] = {}
    for item in items:
        before = found.get((item.sha256, item.built_from))
        if before is None or (before.content is None and item.content is not None):
            found[item.sha256, item.built_from] = item
    return tuple(sorted(found.values(), key=lambda item: (item.name, item.filename, item.sha256, item.built_from)))


def _joined(lock: ArchivedLock, other: ArchivedLock) -> ArchivedLock:
    """What two manifests say of one lock; the documents and the name are those of *lock* where it has them."""
    named = other if other.name and not lock.name else lock
    return replace(
        lock,
        artifacts=joined_artifacts((*lock.artifacts, *other.artifacts)),
        wanted_for=tuple(sorted({*lock.wanted_for, *other.wanted_for})),
        whole=lock.whole or other.whole,
        name=named.name,
        manifest=named.manifest,
    )


def _with(entries: Iterable[Descriptor], new: Descriptor) -> tuple[Descriptor, ...]:
    """*entries* with *new*, which takes its name from any other."""
    others = [entry.named("") if entry.name and entry.name == new.name else entry for entry in entries]
    return (*(entry for entry in others if entry.digest != new.digest or entry.name), new)


def _names(blobs: DirectoryBlobs) -> list[str]:
    """What lies in the folder that is to become an archive, but for what a first `add` leaves that was ended."""
    try:
        names = os.listdir(blobs.folder)
    except OSError as error:
        raise failed(error, blobs.place) from error
    return [name for name in names if name not in {ROOM, INDEX, "blobs"}] if ROOM in names else names
