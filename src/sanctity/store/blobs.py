"""Where an archive's blobs lie: a folder, or object storage, behind one small interface.

A blob is named by its SHA-256 and never changes, so whoever writes one twice writes the same. What does change is one small file,
``index.json``: it is replaced as a whole, and by one writer at a time. The rules that both kinds keep:

- A blob appears under its name whole, or not at all. Whoever hands one over has hashed it (`Blobs.adopt`).
- A change of a small file is made from what is there (`Blobs.change`): of two writers the later sees what the earlier wrote.
- Blobs are added under `Blobs.using`, and deleted under `Blobs.alone`. In a folder these exclude each other; object storage has
  no such locks, and there what is younger than `SAFE_AGE` is not deleted (docs/archive.md).

A folder's own files in the making lie in ``tmp/``, on the same file system, and are renamed. Errors of the system become ours here.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from sanctity.errors import SanctityError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sanctity.model.digest import Digest

__all__ = [
    "ROOM",
    "SAFE_AGE",
    "ArchiveError",
    "Blobs",
    "DirectoryBlobs",
    "KeptBlob",
    "ObjectBlobs",
    "failed",
    "open_blobs",
    "open_file",
]

#: Seconds after which nobody is still at work on what was left behind.
SAFE_AGE: Final = 24 * 3600
#: Seconds that one who adds waits for one who deletes, or for another who writes the index.
_PATIENCE: Final = 60.0
_CHUNK: Final = 1 << 20
#: The most bytes of a small file, which is read whole: an index of a million manifests has fewer.
_LARGEST_SMALL: Final = 1 << 28
_TRIES: Final = 60
_SCHEMES: Final = frozenset({"s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "memory"})
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FOLDER: Final = "blobs/sha256"
#: The folder of what is in the making, and of the locks.
ROOM: Final = "tmp"
_LOCKS: Final = frozenset({"index.lock", "use.lock"})


class ArchiveError(SanctityError):
    """An archive can not be used as it is now."""


class KeptBlob(NamedTuple):
    """A file among the blobs: its *name*, *size* in bytes, and when it was *written*, in seconds since 1970."""

    name: str
    size: int
    written: float


def failed(error: OSError, where: str) -> ArchiveError:
    """An error of the system as ours; *where* names the archive, or the file in it."""
    if error.errno in _FULL:
        hint = "make room and run it again: what is already kept stays, and nothing half-done counts"
        return ArchiveError("archive-full", f"there is no room: {error.strerror}", where=where, hint=hint)
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return ArchiveError("archive-unwritable", error.strerror or "no access", where=where, hint="look at its permissions")
    words = error.strerror or str(error) or type(error).__name__
    return ArchiveError("archive-unreachable", words, where=where, hint="look at the disk, or the connection, and run it again")


def open_file(path: str, *, largest: int = 1 << 63) -> io.FileIO:
    """The regular file at *path*, to be read; a pipe or a device is neither waited for nor read.

    Raises:
        OSError: it can not be opened, is no regular file, or has more than *largest* bytes.
    """
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _CLOEXEC)
    state = os.fstat(fd)
    regular = stat.S_ISREG(state.st_mode)
    if regular and state.st_size <= largest:
        return io.FileIO(fd, "rb")
    os.close(fd)
    raise OSError(errno.EINVAL, f"it has {state.st_size:,} bytes" if regular else "it is no regular file", path)


class Blobs(Protocol):
    """The storage under an archive; *place* is how the user named it. Everything raises `ArchiveError` where it fails."""

    place: str

    def size(self, digest: Digest) -> int | None:
        """The size of a blob in bytes, None where there is none."""

    def read(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob, in pieces and not verified. Raises ``archive-blob-missing``."""

    def local(self, digest: Digest) -> str | None:
        """The path of a blob, where it is a file of this machine."""

    def adopt(self, path: str, digest: Digest) -> None:
        """Keep the file *path* of the workroom, whose bytes have this *digest*; the file is gone afterwards."""

    def every(self) -> Iterator[KeptBlob]:
        """All files among the blobs, in any order."""

    def delete(self, name: str) -> None:
        """Delete the file *name* among the blobs, if it is there."""

    def get(self, name: str) -> bytes | None:
        """The small file *name* beside the blobs, None where there is none."""

    def change(self, name: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the small file *name* with what *edit* makes of it, atomically; None changes nothing. It may be called again."""

    def workroom(self) -> str:
        """A folder of this machine to make blobs in, on the file system that they will lie on where that is one."""

    def using(self) -> AbstractContextManager[None]:
        """While blobs are added."""

    def alone(self) -> AbstractContextManager[None]:
        """While blobs are deleted. Raises ``archive-busy`` where somebody adds."""

    def leftovers(self) -> tuple[KeptBlob, ...]:
        """What is in the making, or was left behind: paths relative to the archive."""

    def sweep(self, name: str) -> None:
        """Delete one of the leftovers."""

    def close(self) -> None:
        """Give back what is held on this machine."""


def open_blobs(place: str, *, create: bool = False) -> Blobs:
    """The storage at *place*: a folder's path, or the URL of a bucket (``s3://``, ``gs://``, ``az://``).

    Raises:
        UsageError: ``archive-not-found``, there is none and it is not to be made; ``usage``, such storage is not known here.
    """
    scheme = place.partition("://")[0] if "://" in place else ""
    if not scheme:
        return DirectoryBlobs(place, create=create)
    if scheme not in _SCHEMES:
        raise UsageError(
            "usage", f"no archive can be at a {scheme}:// URL", where=place, hint="name a folder, or s3://BUCKET/PREFIX"
        )
    return ObjectBlobs(place, create=create)


class DirectoryBlobs:
    """Blobs in the folder *place*, made where *create* says so."""

    def __init__(self, place: str, *, create: bool = False) -> None:
        self.place = place
        self.folder = os.path.abspath(place)
        if not os.path.isdir(self.folder):
            there = os.path.lexists(self.folder) and not os.path.isdir(self.folder)  # somebody else may just have made it
            if not create or there:
                words = "it is no folder" if there else "there is no such folder"
                raise UsageError("archive-not-found", words, where=place, hint="make one: sanctity archive add LOCK --archive DIR")
            try:
                os.makedirs(self.folder, exist_ok=True)
            except OSError as error:
                raise failed(error, place) from error

    def _path(self, name: str) -> str:
        return f"{self.folder}/{_FOLDER}/{name}"

    def size(self, digest: Digest) -> int | None:
        """The size of a blob in bytes, None where there is none."""
        try:
            state = os.stat(self._path(digest.value))
            return state.st_size if stat.S_ISREG(state.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise failed(error, self._shown(digest)) from error

    def read(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob, in pieces and not verified."""
        try:
            with open_file(self._path(digest.value)) as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing(self.place, digest) from error
        except OSError as error:
            raise failed(error, self._shown(digest)) from error

    def local(self, digest: Digest) -> str | None:
        """The path of a blob."""
        return self._path(digest.value)

    def _shown(self, digest: Digest) -> str:
        return f"{self.place}/{_FOLDER}/{digest.value}"

    def adopt(self, path: str, digest: Digest) -> None:
        """Keep the file *path*, synchronised to the disk before it has its name."""
        try:
            os.makedirs(f"{self.folder}/{_FOLDER}", exist_ok=True)
            _synchronise(path)
            os.replace(path, self._path(digest.value))
        except OSError as error:
            raise failed(error, self._shown(digest)) from error

    def every(self) -> Iterator[KeptBlob]:
        """All files among the blobs."""
        try:
            with os.scandir(f"{self.folder}/{_FOLDER}") as entries:
                for entry in entries:
                    state = entry.stat(follow_symlinks=False)
                    yield KeptBlob(entry.name, state.st_size, state.st_mtime)
        except FileNotFoundError:
            return
        except OSError as error:
            raise failed(error, self.place) from error

    def delete(self, name: str) -> None:
        """Delete the file *name* among the blobs, if it is there."""
        self._unlink(self._path(name))

    def sweep(self, name: str) -> None:
        """Delete one of the leftovers."""
        path = f"{self.folder}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            self._unlink(path)

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise failed(error, self.place + path.removeprefix(self.folder)) from error

    def get(self, name: str) -> bytes | None:
        """The small file *name*, None where there is none."""
        try:
            with open_file(f"{self.folder}/{name}", largest=_LARGEST_SMALL) as file:
                return file.readall()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(error, f"{self.place}/{name}") from error

    def change(self, name: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the small file *name*, one writer at a time."""
        with self._locked("index.lock", shared=False, patience=_PATIENCE):
            data = edit(self.get(name))
            if data is None:
                return
            temporary = f"{self.workroom()}/new-{os.getpid()}-{os.urandom(6).hex()}"
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
                # What the index names is on the disk before the index is.
                if os.path.isdir(f"{self.folder}/{_FOLDER}"):
                    _synchronise(f"{self.folder}/{_FOLDER}")
                _synchronise(temporary)
                os.replace(temporary, f"{self.folder}/{name}")
                _synchronise(self.folder)
            except OSError as error:
                raise failed(error, f"{self.place}/{name}") from error
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    def workroom(self) -> str:
        """The folder ``tmp/``, which is made."""
        folder = f"{self.folder}/{ROOM}"
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise failed(error, f"{self.place}/{ROOM}") from error
        return folder

    def using(self) -> AbstractContextManager[None]:
        """While blobs are added."""
        return self._locked("use.lock", shared=True, patience=_PATIENCE)

    def alone(self) -> AbstractContextManager[None]:
        """While blobs are deleted."""
        return self._locked("use.lock", shared=False, patience=0.0)

    @contextlib.contextmanager
    def _locked(self, name: str, *, shared: bool, patience: float) -> Iterator[None]:
        """Hold the lock file ``tmp/NAME``; whoever is killed gives it back."""
        import fcntl

        path = f"{self.workroom()}/{name}"
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o666)
        except OSError as error:
            raise failed(error, f"{self.place}/{ROOM}/{name}") from error
        try:
            until = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(fd, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= until:
                        words, hint = "somebody else is at work on it", "wait for the other, then run it again"
                        raise ArchiveError("archive-busy", words, where=self.place, hint=hint) from None
                    time.sleep(0.02)
                except OSError as error:
                    raise failed(error, f"{self.place}/{ROOM}/{name}") from error
            yield
        finally:
            os.close(fd)

    def leftovers(self) -> tuple[KeptBlob, ...]:
        """What lies in ``tmp/``, but for the locks: a folder with the size of all in it, and the time of the youngest."""
        folder = f"{self.folder}/{ROOM}"
        try:
            names = sorted(set(os.listdir(folder)) - _LOCKS)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise failed(error, f"{self.place}/{ROOM}") from error
        found = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # whoever made it has just finished
                states = [os.lstat(path) for path in _below(f"{folder}/{name}")]
                size, written = sum(state.st_size for state in states[1:] or states), max(state.st_mtime for state in states)
                found.append(KeptBlob(f"{ROOM}/{name}", size, written))
        return tuple(found)

    def close(self) -> None:
        """Nothing is held."""


def _below(path: str) -> list[str]:
    """*path*, and all that lies below it where it is a folder."""
    found = [path]
    for folder, folders, files in os.walk(path):
        found += [f"{folder}/{name}" for name in (*folders, *files)]
    return found


def missing(place: str, digest: Digest) -> ArchiveError:
    """The error that a blob is not there."""
    hint = "find it: sanctity archive health says what is missing, and archive add fetches it"
    return ArchiveError("archive-blob-missing", "this blob is not there", where=f"{place}/{_FOLDER}/{digest.value}", hint=hint)


def _synchronise(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | _CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class ObjectBlobs:
    """Blobs in object storage, through ``obstore``; credentials are found by its own rules, in the environment.

    The index is changed by conditional writes: the store refuses one that was made from another version than is there.
    """

    def __init__(self, place: str, *, create: bool = False, store: Any = None) -> None:
        self.place = place
        self._room = ""
        try:
            import obstore
            from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
            from obstore.store import from_url
        except ImportError as error:
            hint = "install it beside sanctity: `pip install '.[objects]'` in a clone, or `pipx inject sanctity obstore`"
            raise UsageError("archive-needs-obstore", "object storage takes the package obstore", where=place, hint=hint) from error
        self._obstore = obstore
        self._error: type[Exception] = BaseError
        self._lost: tuple[type[Exception], ...] = (AlreadyExistsError, PreconditionError)
        try:
            self._store = store if store is not None else from_url(place)
        except (BaseError, ValueError, TypeError) as error:
            raise UsageError("usage", _first_line(error), where=place, hint="name it as s3://BUCKET/PREFIX") from error
        if not create and self.get("oci-layout") is None:
            hint = "make one: sanctity archive add LOCK --archive URL"
            raise UsageError("archive-not-found", "there is no archive", where=place, hint=hint)

    @contextlib.contextmanager
    def _told(self, where: str) -> Iterator[None]:
        """What the store says, as ours."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise failed(error, where) from error
        except self._error as error:
            kind = type(error).__name__
            code = "archive-unwritable" if kind in {"PermissionDeniedError", "UnauthenticatedError"} else "archive-unreachable"
            hint = "look at the credentials and the endpoint in the environment, and run it again"
            raise ArchiveError(code, f"{kind}: {_first_line(error)}", where=where, hint=hint) from error

    def _key(self, digest: Digest) -> str:
        return f"{_FOLDER}/{digest.value}"

    def size(self, digest: Digest) -> int | None:
        """The size of a blob in bytes, None where there is none."""
        try:
            with self._told(f"{self.place}/{self._key(digest)}"):
                return int(self._obstore.head(self._store, self._key(digest))["size"])
        except FileNotFoundError:
            return None

    def read(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of a blob, in pieces and not verified."""
        try:
            with self._told(f"{self.place}/{self._key(digest)}"):
                for chunk in self._obstore.get(self._store, self._key(digest)).stream(min_chunk_size=_CHUNK):
                    yield bytes(chunk)
        except FileNotFoundError as error:
            raise missing(self.place, digest) from error

    def local(self, digest: Digest) -> str | None:  # noqa: ARG002 - no blob of a bucket is
        """No blob is a file of this machine."""
        return None

    def adopt(self, path: str, digest: Digest) -> None:
        """Upload the file *path*; the store shows it when it is whole."""
        from pathlib import Path

        where = f"{self.place}/{self._key(digest)}"
        try:
            with self._told(where):
                self._obstore.put(self._store, self._key(digest), Path(path))
                os.unlink(path)
        except FileNotFoundError as error:
            raise failed(error, where) from error

    def every(self) -> Iterator[KeptBlob]:
        """All files among the blobs."""
        with self._told(self.place):
            for page in self._obstore.list(self._store, prefix=_FOLDER):
                for meta in page:
                    name = str(meta["path"]).removeprefix(f"{_FOLDER}/")
                    yield KeptBlob(name, int(meta["size"]), meta["last_modified"].timestamp())

    def delete(self, name: str) -> None:
        """Delete the file *name* among the blobs, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._told(self.place):
            self._obstore.delete(self._store, f"{_FOLDER}/{name}")

    def get(self, name: str) -> bytes | None:
        """The small file *name*, None where there is none."""
        return self._get(name)[0]

    def _get(self, name: str) -> tuple[bytes | None, Any]:
        try:
            with self._told(f"{self.place}/{name}"):
                found = self._obstore.get(self._store, name)
                return bytes(found.bytes()), found.meta
        except FileNotFoundError:
            return None, None

    def change(self, name: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace the small file *name*, as long as nobody else did since it was read."""
        for attempt in range(_TRIES):
            before, meta = self._get(name)
            data = edit(before)
            if data is None:
                return
            version = {key: meta[key] for key in ("e_tag", "version") if meta is not None and meta.get(key) is not None}
            mode: Any = version if meta is not None else "create"
            try:
                with self._told(f"{self.place}/{name}"):
                    try:
                        self._obstore.put(self._store, name, data, mode=mode, use_multipart=False)
                    except self._lost:
                        time.sleep(min(0.02 * (attempt + 1), 1.0) * (0.5 + os.urandom(1)[0] / 255))
                        continue
            except FileNotFoundError as error:
                if meta is None:  # it is the bucket that is not there
                    raise ArchiveError(
                        "archive-unreachable", _first_line(error), where=self.place, hint="make the bucket"
                    ) from error
                continue
            return
        raise ArchiveError("archive-busy", "others keep changing it", where=f"{self.place}/{name}", hint="run it again")

    def workroom(self) -> str:
        """A folder of this machine, gone when it is closed."""
        if not self._room:
            import tempfile

            try:
                self._room = tempfile.mkdtemp(prefix="sanctity-")
            except OSError as error:
                raise failed(error, "the folder of temporary files") from error
        return self._room

    def using(self) -> AbstractContextManager[None]:
        """Nothing is locked: `SAFE_AGE` protects what is added."""
        return contextlib.nullcontext()

    def alone(self) -> AbstractContextManager[None]:
        """Nothing is locked: `SAFE_AGE` protects what is added."""
        return contextlib.nullcontext()

    def leftovers(self) -> tuple[KeptBlob, ...]:
        """There are none: the store shows what is whole."""
        return ()

    def sweep(self, name: str) -> None:
        """There is nothing to sweep."""

    def close(self) -> None:
        """Remove the workroom."""
        if self._room:
            import shutil

            shutil.rmtree(self._room, ignore_errors=True)
            self._room = ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300] or type(error).__name__
