"""One artifact, by its hash, from the nearest place that has it: a file, a cache, the lock's own URL, an index.

Wherever it comes from, it has every digest that was wanted before it lies where it was asked for. A place that has other bytes
under its name is passed over for the next one, and told only where none has the right ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from sanctity.fetch.caches import Caches, Kept
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
        self._built: dict[str, list[Kept]] | None = None
        self._alone = threading.Lock()

    def fetch(self, wanted: Wanted, to: str) -> Found:
        """Put the artifact *wanted* at the path *to*.

        Raises:
            FetchError: ``artifact-mismatch``, the file of that name has another hash; ``artifact-gone``, nobody has it any more;
                ``offline``, ``index-unreachable``, ``index-not-configured``.
            OSError: it can not be written.
        """
        if not any(digest.strong for digest in wanted.digests):
            words = "the lock gives no hash of it that could not be forged, so it can not be told from any other"
            raise FetchError("artifact-unhashed", words, where=wanted.filename or wanted.name, hint="lock it with hashes")
        troubles: list[FetchError] = []
        for kept in self._near(wanted):
            # A file of that name in a folder of links may be anybody's build: only where the lock names it does it say anything.
            if self._copy(kept, to, wanted, troubles if _is_at(kept, wanted.location) else []):
                return _found(to, wanted, kept.place, kept.path)
        for url, size in self._urls_of(wanted, troubles):
            if path := _path_of(url):
                if self._copy(Kept(Place.FILE, path), to, wanted, [] if self._is_linked(path) else troubles):
                    return _found(to, wanted, Place.FILE, path)
                continue
            for kept in self.caches.fetched(url):
                if self._copy(kept, to, wanted, []):
                    return _found(to, wanted, kept.place, shown_url(url))
            if not self.offline:
                try:
                    if self.web.file(url, to, wanted.digests, wanted.size, most=size):
                        return _found(to, wanted, Place.INDEX, shown_url(url))
                except FetchError as error:
                    troubles.append(error)
        raise self._why(wanted, troubles)

    def offers(self, name: str, version: str, index: str = "") -> tuple[Offer, ...]:
        """The files of the release *version* of the normalised *name* that indexes offer, each name once; *index* is asked first.

        None is offered only where every index that is to be asked answered so.

        Raises:
            FetchError: no index could be asked, or one of several could not, and no other has any.
        """
        found: dict[str, Offer] = {}
        for offer in self.every(name, version, index):
            found.setdefault(offer.filename, offer)
        return tuple(found.values())

    def project(self, name: str, index: str = "") -> tuple[Offer, ...]:
        """All files of the normalised project *name* that the one *index* offers; where none is named, that all indexes offer.

        Raises:
            FetchError: it could not be asked, or one of all could not.
        """
        found: dict[str, Offer] = {}
        places = (index.rstrip("/"),) if index else tuple(self._indexes(""))
        if not places:
            raise self._nobody(name)
        for where in places:
            for offer in self._page(where, name):
                found.setdefault(offer.filename, offer)
        return tuple(found.values())

    def names(self, name: str, version: str, digests: Iterable[Digest], index: str = "") -> dict[str, tuple[str, str]]:
        """(file name, URL) of the artifacts of a release with one of *digests*, by ``sha256:…``, as far as indexes state hashes.

        Raises:
            FetchError: as `offers` does.
        """
        wanted = tuple(digests)
        found: dict[str, tuple[str, str]] = {}
        for offer in self.every(name, version, index):
            for digest in _matching(offer, wanted):
                found.setdefault(str(digest), (offer.filename, offer.url))
        return found

    def every(self, name: str, version: str, index: str = "") -> list[Offer]:
        """What each index offers of a release, in the order in which they are asked. Raises FetchError, as `offers` does."""
        found: list[Offer] = []
        troubles: list[FetchError] = []
        asked = False
        for where in self._shelves(index):
            try:
                page = self._page(where, name)
            except FetchError as error:
                troubles.append(error)
                continue
            asked = True
            found += [offer for offer in page if is_of(offer.filename, name, version)]
        if not found and (troubles or not asked):
            raise troubles[0] if troubles else self._nobody(name)
        return found

    def _near(self, wanted: Wanted) -> Iterator[Kept]:
        """Files of this machine that may be *wanted*, by their names."""
        if path := _path_of(wanted.location):
            yield Kept(Place.FILE, path)
        name = wanted.filename
        if not name:
            return
        for place in self.indexes.links:
            folder = _path_of(place)
            if folder and os.path.isfile(f"{folder}/{name}"):
                yield Kept(Place.FILE, f"{folder}/{name}")
        if wanted.is_wheel:
            yield from self._builds().get(name, ())

    def _builds(self) -> dict[str, list[Kept]]:
        with self._alone:
            if self._built is None:
                self._built = self.caches.built()
            return self._built

    def _is_linked(self, path: str) -> bool:
        """Whether *path* lies in a folder of links."""
        return os.path.dirname(path) in {_path_of(place).rstrip("/") for place in self.indexes.links}

    def _copy(self, kept: Kept, to: str, wanted: Wanted, troubles: list[FetchError]) -> bool:
        """Copy what is *kept* to *to* if it is what is wanted; what is wrong with it goes to *troubles*."""
        temporary = f"{to}.{os.getpid()}-{threading.get_ident()}.tmp"
        if not os.path.isfile(kept.path):  # a pipe would keep us waiting
            return False
        try:
            source = open(kept.path, "rb")  # noqa: SIM115 - what can not be read is passed over; what can not be written is not
        except OSError:
            return False
        hashers = [hashlib.new(digest.algorithm) for digest in wanted.digests]
        try:
            with source, open(temporary, "wb") as target:
                for chunk in _chunks(source, kept):
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
            troubles.append(_mismatch(kept.path, *wrong))
            return False
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def _urls_of(self, wanted: Wanted, troubles: list[FetchError]) -> Iterator[tuple[str, int | None]]:
        """Where *wanted* may be had, and how large it is said to be there: at the lock's own URL, then wherever an index says.

        Offline only what indexes on disk say.
        """
        asked: set[str] = set()
        if wanted.location.startswith(("http://", "https://")):
            asked.add(wanted.location)
            yield wanted.location, None
        for where in self._shelves(wanted.index):
            if self.offline and not _path_of(where):
                continue
            try:
                offers = [offer for offer in self._page(where, wanted.name) if is_of(offer.filename, wanted.name, wanted.version)]
            except FetchError as error:
                troubles.append(error)
                continue
            meant = [offer for offer in offers if _may_be(offer, wanted)]
            if not meant and offers and not wanted.filename and where not in self.indexes.links:
                troubles.append(_none_of(offers, wanted, where))
            for offer in meant:
                wrong = _contradiction(offer, wanted)
                if wrong is not None:
                    if where not in self.indexes.links:
                        troubles.append(_mismatch(shown_url(offer.url), *wrong))
                elif offer.url not in asked:
                    asked.add(offer.url)
                    yield offer.url, offer.size

    def _shelves(self, first: str) -> Iterator[str]:
        """All that lists files: the indexes, as `_indexes` gives them, and the folders and pages of links after them."""
        yield from self._indexes(first)
        yield from self.indexes.links

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

    def _page(self, where: str, name: str) -> tuple[Offer, ...]:
        """What the index or the page of links at *where* offers of the project *name*: asked once. Raises FetchError."""
        key = (where, "" if where in self.indexes.links else name)
        found = self._pages.get(key)
        if found is None:
            try:
                found = tuple(self._read_page(where, key[1]))
            except FetchError as error:
                found = error
            self._pages[key] = found
        if isinstance(found, FetchError):
            raise found
        return found

    def _read_page(self, where: str, name: str) -> list[Offer]:
        """The offers of the project *name* at the index *where*, or all of a page of links where *name* is empty."""
        if path := _path_of(where):
            return _read_folder(f"{path}/{name}".rstrip("/"))
        if self.offline:
            raise FetchError("offline", "no index may be asked", where=shown_url(where), hint=_OFFLINE_HINT)
        url = f"{where}/{quote(name)}/" if name else where
        got = self.web.page(url, ACCEPT)
        if got is None:
            return []
        data, kind, final = got
        try:
            return parse_json(data, final) if "json" in kind.partition(";")[0] else parse_html(data, final)
        except ValueError as error:
            words = f"its page is no page of an index: {error}"[:200]
            raise FetchError("index-unreachable", words, where=shown_url(url), hint="name the index by its own URL") from error

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
        if not wanted.location and not any(True for _ in self._shelves(wanted.index)):
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
    return bool(_matching(offer, wanted.digests))


def _matching(offer: Offer, digests: tuple[Digest, ...]) -> set[Digest]:
    """Those of *digests* that an *offer* has: as its index states, or, where that states none of a file on this disk, as it is."""
    stated = {digest.algorithm for digest in offer.digests}
    path = _path_of(offer.url)
    found = set(offer.digests).intersection(digests)
    for algorithm in {digest.algorithm for digest in digests} - stated if path and os.path.isfile(path) else ():
        with contextlib.suppress(OSError), open(path, "rb") as file:
            actual = Digest(algorithm, hashlib.file_digest(file, algorithm).hexdigest())
            found.update({actual}.intersection(digests))
    return found


def _contradiction(offer: Offer, wanted: Wanted) -> tuple[Digest, Digest] | None:
    """A digest that is *wanted*, and another one that its index states of an *offer*."""
    stated = {digest.algorithm: digest for digest in offer.digests}
    pairs = ((digest, stated[digest.algorithm]) for digest in wanted.digests if digest.algorithm in stated)
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def _none_of(offers: list[Offer], wanted: Wanted, where: str) -> FetchError:
    """Why none of *offers* can be taken for *wanted*, of which only the hash is known."""
    algorithms = {digest.algorithm for digest in wanted.digests}
    silent = sum(
        algorithms.isdisjoint(digest.algorithm for digest in offer.digests) and not _path_of(offer.url) for offer in offers
    )
    release = f"{wanted.name} {wanted.version}"
    if silent:
        words = f"it lists {len(offers)} files of {release}, {silent} of them without a hash to find the locked one by"
        return FetchError(
            "index-unhashed", words, where=shown_url(where), hint="lock with file names, or name an archive: --archive DIR"
        )
    words = f"{len(offers)} files of {release} are offered, and none of them has a locked hash"
    return FetchError("artifact-mismatch", words, where=shown_url(where), hint=_HINT)


def _is_at(kept: Kept, location: str) -> bool:
    """Whether what is *kept* is what a lock's *location* names."""
    return bool(location) and kept.path == _path_of(location)


def _path_of(place: str) -> str:
    """The path that *place*, a path or a ``file:`` URL, means; empty where it is another URL."""
    if place.startswith("file:"):
        return unquote(urlsplit(place).path)
    return "" if "://" in place else place


def _chunks(source: IO[bytes], kept: Kept) -> Iterator[bytes]:
    source.seek(kept.start)
    left = kept.length
    while chunk := source.read(_CHUNK if left is None else min(left, _CHUNK)):
        left = None if left is None else left - len(chunk)
        yield chunk


def _read_folder(place: str) -> list[Offer]:
    """What a folder of files, or the page in it, offers; a page itself may be named."""
    page = place if place.endswith((".html", ".htm")) else f"{place}/index.html"
    try:
        if os.path.isfile(page):
            with open(page, "rb") as file:
                return parse_html(file.read(_LARGEST_PAGE), f"file://{quote(page)}")
        names = sorted(os.listdir(place))
    except (OSError, ValueError):
        return []
    return [Offer(filename=name, url=f"file://{quote(place)}/{quote(name)}") for name in names if os.path.isfile(f"{place}/{name}")]
