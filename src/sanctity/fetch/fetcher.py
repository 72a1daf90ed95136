"""One artifact, by its hash, from the nearest place that has it: a file, a cache, the lock's own URL, an index.

Wherever it comes from, it has every digest that was wanted before it lies where it was asked for. A place that has other bytes
under its name is passed over for the next one, and told only where none has the right ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from sanctity.fetch.caches import Caches
from sanctity.fetch.errors import FetchError
from sanctity.fetch.simple import ACCEPT, is_of, parse_html, parse_json
from sanctity.fetch.web import Web, shown_url
from sanctity.model.artifact import Found, Place
from sanctity.model.digest import Digest
from sanctity.model.index import Offer
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sanctity.model.artifact import Wanted
    from sanctity.model.index import Indexes

__all__ = ["Fetcher"]

_CHUNK: Final = 1 << 20
_LARGEST_PAGE: Final = 64 << 20


class Fetcher:
    """What fetches, from *indexes* and *caches*; *offline* asks nobody outside of this machine. Threads may share it.

    *default* gives the index that the user's tools take where *indexes* have no main one; *tick* is told how many bytes came.
    """

    def __init__(
        self,
        indexes: Indexes,
        *,
        offline: bool = False,
        caches: Caches | None = None,
        default: Callable[[], str] | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        self.indexes = indexes
        self.offline = offline or indexes.offline
        self.caches = caches or Caches()
        self.web = Web(indexes, tick=tick)
        self._default = default
        self._urls: tuple[str, ...] | None = None
        self._pages: dict[tuple[str, str], tuple[Offer, ...] | FetchError] = {}
        self._alone = threading.Lock()

    def fetch(self, wanted: Wanted, to: str) -> Found:
        """Put the artifact *wanted* at the path *to*.

        Raises:
            FetchError: ``artifact-mismatch``, the file of that name has another hash; ``artifact-gone``, nobody has it any more;
                ``offline``, ``index-unreachable``, ``index-not-configured``.
            OSError: it can not be written.
        """
        if not any(digest.strong for digest in wanted.digests):
            words = "the lock names it without a hash, so it can not be told from any other"
            raise FetchError("artifact-unhashed", words, where=wanted.filename or wanted.name, hint="lock it with hashes")
        troubles: list[FetchError] = []
        for place, path in self._near(wanted):
            # A file of that name in a folder of links may be anybody's build: only where the lock names it does it say anything.
            if self._copy(path, to, wanted, troubles if path == wanted.location else []):
                return _found(to, wanted, place, path)
        for url in self._urls_of(wanted, troubles):
            if url.startswith("file:"):
                path = unquote(urlsplit(url).path)
                if self._copy(path, to, wanted, troubles):
                    return _found(to, wanted, Place.FILE, path)
                continue
            for place, path in self.caches.fetched(url):
                if self._copy(path, to, wanted, []):
                    return _found(to, wanted, place, path)
            if not self.offline:
                try:
                    if self.web.file(url, to, wanted.digests, wanted.size):
                        return _found(to, wanted, Place.INDEX, shown_url(url))
                except FetchError as error:
                    troubles.append(error)
        raise self._why(wanted, troubles)

    def offers(self, name: str, version: str, index: str = "") -> tuple[Offer, ...]:
        """The files of the release *version* of the normalised *name* that indexes offer, each name once; *index* is asked first.

        Raises:
            FetchError: no index could be asked.
        """
        found: dict[str, Offer] = {}
        troubles: list[FetchError] = []
        asked = 0
        for url in self._indexes(index):
            try:
                page = self._page(url, name)
            except FetchError as error:
                troubles.append(error)
                continue
            asked += 1
            for offer in page:
                if is_of(offer.filename, name, version):
                    found.setdefault(offer.filename, offer)
        if not asked:
            raise troubles[0] if troubles else self._nobody(name)
        return tuple(found.values())

    def names(self, name: str, version: str, digests: Iterable[Digest], index: str = "") -> dict[str, tuple[str, str]]:
        """(file name, URL) of the artifacts of a release with one of *digests*, by ``sha256:…``, as far as indexes state hashes.

        Raises:
            FetchError: no index could be asked.
        """
        wanted = {str(digest) for digest in digests}
        found: dict[str, tuple[str, str]] = {}
        for path in self._linked(name, version):
            with contextlib.suppress(OSError), open(path, "rb") as file:
                digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
                if digest in wanted:
                    found[digest] = (os.path.basename(path), path)
        if found.keys() == wanted:
            return found
        try:
            offers = self.offers(name, version, index)
        except FetchError:
            if not found:
                raise
            offers = ()
        for offer in offers:
            found |= {str(digest): (offer.filename, offer.url) for digest in offer.digests if str(digest) in wanted}
        return found

    def _linked(self, name: str, version: str) -> Iterator[str]:
        """The files of a release in the folders of links."""
        for place in self.indexes.links:
            folder = unquote(urlsplit(place).path) if place.startswith("file:") else place
            try:
                names = sorted(os.listdir(folder)) if "://" not in folder else []
            except OSError:
                continue
            yield from (f"{folder}/{file}" for file in names if is_of(file, name, version))

    def _near(self, wanted: Wanted) -> Iterator[tuple[Place, str]]:
        """Files of this machine that may be *wanted*, by their names."""
        if wanted.location:
            parts = urlsplit(wanted.location)
            if parts.scheme == "file" or "://" not in wanted.location:
                yield Place.FILE, unquote(parts.path) if parts.scheme == "file" else wanted.location
        name = wanted.filename
        if not name:
            yield from ((Place.FILE, path) for path in self._linked(wanted.name, wanted.version))
            return
        for place in self.indexes.links:
            folder = unquote(urlsplit(place).path) if place.startswith("file:") else place
            if "://" not in folder and os.path.isfile(f"{folder}/{name}"):
                yield Place.FILE, f"{folder}/{name}"
        if wanted.is_wheel:
            yield from self.caches.built(name)

    def _copy(self, path: str, to: str, wanted: Wanted, troubles: list[FetchError]) -> bool:
        """Copy the file at *path* to *to* if it is the one wanted; what is wrong with it goes to *troubles*."""
        temporary = f"{to}.{os.getpid()}-{threading.get_ident()}.tmp"
        try:
            source = open(path, "rb")  # noqa: SIM115 - what can not be read is passed over; what can not be written is not
        except OSError:
            return False
        hashers = [hashlib.new(digest.algorithm) for digest in wanted.digests]
        try:
            with source, open(temporary, "xb") as target:
                while chunk := source.read(_CHUNK):
                    for hasher in hashers:
                        hasher.update(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            actual = [Digest(digest.algorithm, hasher.hexdigest()) for digest, hasher in zip(wanted.digests, hashers, strict=True)]
            wrong = next((pair for pair in zip(wanted.digests, actual, strict=True) if pair[0] != pair[1]), None)
            if wrong is None:
                os.replace(temporary, to)
                return True
            troubles.append(_mismatch(path, *wrong))
            return False
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def _urls_of(self, wanted: Wanted, troubles: list[FetchError]) -> Iterator[str]:
        """Where *wanted* may be had: at the lock's own URL, then wherever an index says. Offline only what indexes on disk say."""
        asked = {wanted.location} if wanted.location.startswith(("http://", "https://")) else set[str]()
        yield from asked
        for index in self._indexes(wanted.index):
            if self.offline and not index.startswith("file:"):
                continue
            try:
                offers = [offer for offer in self._page(index, wanted.name) if is_of(offer.filename, wanted.name, wanted.version)]
            except FetchError as error:
                troubles.append(error)
                continue
            meant = [offer for offer in offers if _may_be(offer, wanted)]
            if not meant and offers and not wanted.filename:
                words = f"of {wanted.name} {wanted.version} it offers {len(offers)}, and none of them has a locked hash"
                troubles.append(FetchError("artifact-mismatch", words, where=shown_url(index), hint=_HINT))
            for offer in meant:
                stated = {digest.algorithm: digest for digest in offer.digests}
                wrong = next(
                    (
                        (digest, stated[digest.algorithm])
                        for digest in wanted.digests
                        if digest.algorithm in stated and stated[digest.algorithm] != digest
                    ),
                    None,
                )
                if wrong is not None:
                    troubles.append(_mismatch(shown_url(offer.url), *wrong))
                elif offer.url not in asked:
                    asked.add(offer.url)
                    yield offer.url

    def _indexes(self, first: str) -> Iterator[str]:
        """The URLs of the indexes to ask: *first* the one that a lock names, then the user's, then the tools' own default."""
        if self._urls is None:
            with self._alone:
                if self._urls is None:
                    urls = self.indexes.urls
                    if not self.indexes.complete and not self.offline and self._default is not None:
                        default = self._default()
                        urls = (*urls, default) if default else urls
                    self._urls = tuple(dict.fromkeys(urls))
        # What lies on this disk is asked before the network is.
        named = (first.rstrip("/"),) if first.startswith(("http://", "https://", "file:")) else ()
        urls = (*named, *(url.rstrip("/") for url in self._urls))
        yield from sorted(dict.fromkeys(urls), key=lambda url: not url.startswith("file:"))

    def _page(self, index: str, name: str) -> tuple[Offer, ...]:
        """What *index* offers of the project *name*: asked once. Raises FetchError."""
        key = (index, name)
        found = self._pages.get(key)
        if found is None:
            try:
                found = tuple(self._read_page(index, name))
            except FetchError as error:
                found = error
            self._pages[key] = found
        if isinstance(found, FetchError):
            raise found
        return found

    def _read_page(self, index: str, name: str) -> list[Offer]:
        url = f"{index}/{quote(name)}/"
        if url.startswith("file:"):
            return _read_folder(unquote(urlsplit(url).path), url)
        if self.offline:
            raise FetchError("offline", "no index may be asked", where=shown_url(index), hint="leave --offline out")
        got = self.web.page(url, ACCEPT)
        if got is None:
            return []
        data, kind, final = got
        try:
            return parse_json(data, final) if "json" in kind.partition(";")[0] else parse_html(data, final)
        except ValueError as error:
            raise FetchError(
                "index-unreachable", f"its page is no page of an index: {error}"[:200], where=shown_url(url)
            ) from error

    def _why(self, wanted: Wanted, troubles: list[FetchError]) -> FetchError:
        """Why *wanted* was not had: other bytes under its name before anything else."""
        mismatch = next((error for error in troubles if error.code == "artifact-mismatch"), None)
        if mismatch is not None:
            return mismatch
        what = wanted.filename or f"{wanted.name} {wanted.version}"
        if self.offline:
            return FetchError(
                "offline", f"{what} is not on this machine, and no index may be asked", where=what, hint=_OFFLINE_HINT
            )
        if troubles:
            return troubles[0]
        if not wanted.location and not any(True for _ in self._indexes(wanted.index)):
            return self._nobody(what)
        return FetchError(
            "artifact-gone", f"no index has {what} any more", where=what, hint="name an archive that keeps it: --archive DIR"
        )

    def _nobody(self, what: str) -> FetchError:
        if self.offline:
            return FetchError("offline", "no index may be asked", where=what, hint=_OFFLINE_HINT)
        return FetchError(
            "index-not-configured",
            "no index is configured, and no pip or uv is there to say which is theirs",
            where=what,
            hint="set PIP_INDEX_URL or UV_DEFAULT_INDEX, or name an archive: --archive DIR",
        )


_HINT: Final = "somebody put another file in its place: compare it with what you know before you lock again"
_OFFLINE_HINT: Final = "leave --offline out, or name an archive that keeps it: --archive DIR"


def _found(path: str, wanted: Wanted, place: Place, source: str) -> Found:
    with open(path, "rb") as file:
        sha256 = wanted.sha256 or Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest())
    filename = wanted.filename or unquote(urlsplit(source).path).rpartition("/")[2]
    return Found(path=path, sha256=sha256, filename=filename, place=place, source=source)


def _mismatch(where: str, wanted: Digest, actual: Digest) -> FetchError:
    return FetchError(
        "artifact-mismatch", f"the file there has {actual}, and {wanted} is locked", where=where, hint=_HINT, actual=actual
    )


def _may_be(offer: Offer, wanted: Wanted) -> bool:
    """Whether an *offer* may be the file *wanted*: by its name, else by its hash."""
    if wanted.filename:
        return normalise_name(offer.filename) == normalise_name(wanted.filename)
    return not set(offer.digests).isdisjoint(wanted.digests)


def _read_folder(folder: str, url: str) -> list[Offer]:
    """What a project's folder of an index on disk offers: by its page, else by its files."""
    try:
        with open(f"{folder}/index.html", "rb") as file:
            return parse_html(file.read(_LARGEST_PAGE), url)
    except OSError:
        pass
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [Offer(filename=name, url=f"{url}{quote(name)}") for name in names if os.path.isfile(f"{folder}/{name}")]
