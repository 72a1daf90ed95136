"""Where the contents of wheels are known from: remembered, annotated in an archive, or read from the wheel itself.

The wheel itself may lie in the archive, in pip's or uv's cache, where the lock says, or behind an index. Wherever it comes from,
its hash is the locked one before a byte of it is looked at; what is learnt is remembered when all is done (`keep`).
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final, Self, TypeVar

from sanctity.errors import DocumentError, SanctityError
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.digest import Digest
from sanctity.model.lock import SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from sanctity.fetch.fetcher import Fetcher
    from sanctity.model.artifact import Wanted
    from sanctity.model.index import Offer
    from sanctity.model.lock import Pin
    from sanctity.store.archive import Archive
    from sanctity.verbs.world import World

__all__ = ["Sources", "archive_place", "fetcher_for"]

_T = TypeVar("_T")
_R = TypeVar("_R")
#: Wheels that are sought at the same time: most of the time of each goes into waiting.
_JOBS: Final = 8


class Sources:
    """The sources of one run, for a *project*'s folder; *archive* names one, and *offline* asks no index.

    A context manager: what was fetched lies in a folder that is gone at its end.
    """

    def __init__(self, world: World, project: str, *, archive: str = "", offline: bool = False) -> None:
        from sanctity.store.contents import ContentsMemory
        from sanctity.store.statcache import cache_folder

        self.world = world
        self.project = project
        self.offline = offline
        self.memory = ContentsMemory(cache_folder(world.environ))
        self.archive_place = archive
        self._archive: Archive | None = None
        self._fetcher: Fetcher | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._known: dict[str, WheelContent] | None = None
        self._learnt: dict[str, WheelContent] = {}
        self._alone = threading.RLock()
        self._numbers = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._archive is not None:
            self._archive.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def archive(self) -> Archive | None:
        """The archive that was named, opened when it is first asked for; None where none was named."""
        with self._alone:
            if self._archive is None and self.archive_place:
                from sanctity.store.archive import Archive

                self._archive = Archive.open(archive_place(self.archive_place, self.world))
            return self._archive

    @property
    def folder(self) -> str:
        """A folder for what is fetched."""
        with self._alone:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="sanctity-")
            return self._folder.name

    @property
    def fetcher(self) -> Fetcher:
        """What fetches by hash, as the lock and the user's own configuration name places."""
        with self._alone:
            if self._fetcher is None:
                self._fetcher = fetcher_for(self.project, self.world, offline=self.offline)
            return self._fetcher

    def known(self) -> dict[str, WheelContent]:
        """What is known of wheels without reading one, by the hex of their SHA-256.

        Of an archive's annotations only those of wheels that were built are taken, which no index has: they are the archive's word
        in any case. Any other wheel lies there, and is read once.
        """
        if self._known is None:
            self._known = dict(self.memory.known())
            for wheel in self.archive.wheels() if self.archive is not None else ():
                if wheel.built_from:
                    self._known.setdefault(wheel.sha256.value, wheel)
        return self._known | self._learnt

    def built(self) -> tuple[WheelContent, ...]:
        """The wheels that the archive keeps as built from a source."""
        wheels = self.archive.wheels() if self.archive is not None else ()
        return tuple(wheel for wheel in wheels if wheel.built_from)

    def content(self, wanted: Wanted) -> WheelContent:
        """The content of the wheel *wanted*, read now, with its rows.

        Raises:
            SanctityError: it can not be had, or is no wheel that could be installed.
        """
        from sanctity.canon.content import content_digest
        from sanctity.observe.wheels import wheel_rows

        path, filename = self._have(wanted)
        try:
            rows = wheel_rows(path)
        finally:
            if path.startswith(self.folder):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        assert wanted.sha256 is not None
        found = WheelContent(
            sha256=wanted.sha256,
            content=content_digest(rows),
            filename=filename,
            proof=Proof.WHEEL,
            rows=tuple(sorted(set(rows))),
        )
        self._learnt[found.sha256.value] = replace(found, rows=None)
        return found

    def read(self, wanted: Wanted, work: Callable[[str], _R]) -> _R:
        """What *work* makes of a path with the verified bytes of *wanted*, which may be gone afterwards. Raises as `content`."""
        path, _ = self._have(wanted)
        try:
            return work(path)
        finally:
            if path.startswith(self.folder):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _have(self, wanted: Wanted) -> tuple[str, str]:
        """A path with the verified bytes of *wanted*, and its file name."""
        digest = wanted.sha256
        if digest is None:
            raise DocumentError(
                "hash-not-sha256", f"the lock gives no SHA-256 of {wanted.filename or wanted.name}", hint="lock with sha256 hashes"
            )
        name = wanted.filename or self.known_name(digest.value)
        archive = self.archive
        if archive is not None and archive.has(digest):
            kept = archive.artifact(digest)
            return archive.path_of(digest, self.folder), (kept.filename if kept is not None else "") or name
        if not name:
            named = self.fetcher.names(wanted.name, wanted.version, (digest,), wanted.index)
            name, location = named.get(str(digest), ("", ""))
            wanted = replace(wanted, filename=name, location=wanted.location or location)
        found = self.fetcher.fetch(replace(wanted, filename=name), f"{self.folder}/{next(self._numbers)}.whl")
        return found.path, found.filename or name

    def known_name(self, sha256: str) -> str:
        """The file name of the artifact whose SHA-256 has the hex *sha256*, as far as is known without asking an index."""
        wheel = self.known().get(sha256)
        kept = self.archive.artifact(Digest("sha256", sha256)) if self.archive is not None and wheel is None else None
        return wheel.filename if wheel is not None else kept.filename if kept is not None else ""

    def names(self, name: str, version: str, digests: tuple[Digest, ...], index: str = "") -> dict[str, tuple[str, str]]:
        """(file name, URL) of each artifact of a release of which only the hash is known, by ``sha256:…``, as far as can be told.

        What can not be told is left out; why that is so comes up again where the artifact is asked for.
        """
        found = {str(digest): (filename, "") for digest in digests if (filename := self.known_name(digest.value))}
        if len(found) < len(digests):
            with contextlib.suppress(SanctityError):
                found = {**self.fetcher.names(name, version, digests, index), **found}
        return found

    def named(self, pin: Pin) -> Pin:
        """*pin* with the file names of artifacts of which its lock gives the hash alone, as far as can be told (see `names`)."""
        from sanctity.plan.needs import with_names

        unnamed = tuple(
            digest for artifact in pin.artifacts if not artifact.filename and not artifact.location for digest in artifact.digests
        )
        if not unnamed:
            return pin
        index = pin.source.location if pin.source.kind is SourceKind.REGISTRY else ""
        return with_names(pin, self.names(pin.name, pin.version, unnamed, index))

    def offers(self, name: str, version: str, index: str = "") -> tuple[Offer, ...]:
        """What indexes offer of a release. Raises SanctityError."""
        return self.fetcher.offers(name, version, index)

    def each(self, work: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
        """What *work* gives for each of *items*, in their order, several at a time."""
        with ThreadPoolExecutor(_JOBS) as pool:
            yield from pool.map(work, items)

    def keep(self) -> None:
        """Remember what was learnt. Raises DocumentError where it contradicts what is remembered."""
        if self._learnt:
            with contextlib.suppress(OSError):
                self.memory.keep(self._learnt.values())


def fetcher_for(project: str, world: World, *, offline: bool) -> Fetcher:
    """What fetches by hash, from the places that the user's own pip and uv, or the *project*, would look in."""
    from sanctity.fetch.caches import Caches
    from sanctity.fetch.fetcher import Fetcher
    from sanctity.observe.indexes import ask_default, read_indexes

    environ = world.environ
    return Fetcher(read_indexes(environ, project), offline=offline, caches=Caches.of(environ), default=lambda: ask_default(environ))


def archive_place(place: str, world: World) -> str:
    """*place* as an archive is opened: a URL as it is, a path from the working folder."""
    return place if "://" in place else os.path.join(world.cwd, os.path.expanduser(place))
