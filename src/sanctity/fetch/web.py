"""HTTP, as far as fetching needs it: pages of bounded size, and files that are taken up again where they broke off.

The hash decides, not the server: a file that came in pieces, from a cache in between or over plain HTTP is the one wanted, or it
is none.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import threading
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from sanctity.fetch.errors import FetchError
from sanctity.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from sanctity.model.index import Indexes

__all__ = ["Web", "shown_url"]

_HINT: Final = "somebody put another file in its place: compare it with what you know before you lock again"
_CHUNK: Final = 1 << 18
_LARGEST_PAGE: Final = 64 << 20
#: A file of which nobody says how large it is may be so large, in bytes.
_LARGEST_FILE: Final = 16 << 30
_MOST_REDIRECTS: Final = 8
#: How often a transfer that broke off is taken up again.
_MOST_ATTEMPTS: Final = 5
_NOT_FOUND: Final = frozenset({401, 403, 404, 410, 451})
_PARTIAL, _NOT_SATISFIABLE = 206, 416
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


def shown_url(url: str) -> str:
    """*url* as it may be printed: less credentials, query and fragment, any of which may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Web:
    """Connections as *indexes* and the process's own variables say: proxies, certificates, credentials. Threads may share it."""

    def __init__(self, indexes: Indexes, *, tick: Callable[[int], None] | None = None) -> None:
        self.indexes = indexes
        self.tick = tick
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._netrc: Any = None
        self._alone = threading.Lock()

    def page(self, url: str, accept: str) -> tuple[bytes, str, str] | None:
        """The body, media type and final URL of the page at *url*; None where there is none.

        Raises:
            FetchError: ``index-unreachable``.
        """
        response, url = self._open(url, {"Accept": accept})
        if response is None:
            return None
        try:
            data = response.read(_LARGEST_PAGE + 1, decode_content=True)
        except Exception as error:
            raise _unreachable(url, error) from error
        finally:
            response.release_conn()
        if len(data) > _LARGEST_PAGE:
            raise FetchError("index-unreachable", "its page is larger than any page of an index", where=shown_url(url))
        return bytes(data), response.headers.get("Content-Type", ""), url

    def file(self, url: str, to: str, digests: tuple[Digest, ...], size: int | None) -> bool:
        """Put the file at *url*, which must have all of *digests*, at the path *to*; False where there is none.

        What comes lies beside *to* until it is whole; a part of it that an earlier attempt left there is taken up again.

        Raises:
            FetchError: ``artifact-mismatch``, other bytes lie there; ``index-unreachable``.
            OSError: it can not be written.
        """
        partial = f"{to}.{digests[0].value[:16]}.partial"
        for resumed in (os.path.exists(partial), False):
            with open(partial, "r+b" if resumed else "w+b") as file:
                if not self._fill(url, file, size):
                    with contextlib.suppress(OSError):
                        os.unlink(partial)
                    return False
                file.flush()
                actual = _digests_of(file, digests)
                if actual == digests:
                    os.fsync(file.fileno())
                    os.replace(partial, to)
                    return True
            os.unlink(partial)
            if not resumed:
                break
        wrong = next(index for index, digest in enumerate(digests) if actual[index] != digest)
        raise FetchError(
            "artifact-mismatch",
            f"the file there has {actual[wrong]}, and {digests[wrong]} is locked",
            where=shown_url(url),
            hint=_HINT,
            actual=actual[wrong],
        )

    def _fill(self, url: str, file: IO[bytes], size: int | None) -> bool:
        """Write what is at *url* to *file*, after what is in it already; False where there is nothing."""
        limit = size if size is not None else _LARGEST_FILE
        trouble: Exception | None = None
        for _ in range(_MOST_ATTEMPTS):
            start = file.seek(0, os.SEEK_END)
            if size is not None and start == size:
                return True
            if start > limit:
                start = file.truncate(0)
            response, place = self._open(url, {"Range": f"bytes={start}-"} if start else {})
            if response is None:
                return False
            try:
                if response.status == _NOT_SATISFIABLE:  # it ends where we are, or is another file now
                    length = response.headers.get("Content-Range", "").rpartition("/")[2]
                    if length == str(start):
                        return True
                    file.truncate(0)
                    continue
                goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
                if response.status != _PARTIAL or not goes_on:
                    file.truncate(0)
                    file.seek(0)
                self._receive(response, file, limit, place)
            except FetchError:
                raise
            except Exception as error:
                if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
                    raise  # the disk's, since what the network says is none of these
                trouble = error  # whatever broke off, it is taken up again
            else:
                return True
            finally:
                response.close()
        assert trouble is not None
        raise _unreachable(url, trouble)

    def _receive(self, response: urllib3.BaseHTTPResponse, file: IO[bytes], limit: int, place: str) -> None:
        """Write what comes to *file*, up to *limit* bytes of it."""
        packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        for chunk in response.stream(_CHUNK, decode_content=packed):
            file.write(chunk)
            if self.tick is not None:
                self.tick(len(chunk))
            if file.tell() > limit:
                words = f"more bytes come than the {limit:,} that it has"
                raise FetchError("artifact-mismatch", words, where=shown_url(place), hint=_HINT)

    def _open(self, url: str, headers: dict[str, str]) -> tuple[urllib3.BaseHTTPResponse | None, str]:
        """A response that is there, and the URL that led to it; None where there is none."""
        for _ in range(_MOST_REDIRECTS):
            plain = {"Accept-Encoding": "identity", "User-Agent": "sanctity", **headers, **self._authorization(url)}
            try:
                response = self._pool(url).request("GET", url, headers=plain, preload_content=False, redirect=False)
            except Exception as error:
                raise _unreachable(url, error) from error
            if response.status in _MOVED and response.headers.get("Location"):
                target = urljoin(url, response.headers["Location"])
                response.release_conn()
                if urlsplit(target).scheme not in {"https", urlsplit(url).scheme}:
                    words = "it leads from https to plain http"
                    raise FetchError("index-unreachable", words, where=shown_url(url), hint="tell whoever keeps it")
                url = target
                continue
            if response.status in _NOT_FOUND:
                response.release_conn()
                return None, url
            if response.status not in {200, _PARTIAL, _NOT_SATISFIABLE}:
                response.release_conn()
                raise FetchError(
                    "index-unreachable",
                    f"it answers {response.status}",
                    where=shown_url(url),
                    hint="try again, or name another index",
                )
            return response, url
        raise FetchError("index-unreachable", "it leads from one place to the next without end", where=shown_url(url))

    def _authorization(self, url: str) -> dict[str, str]:
        """The credentials for *url*, and for no other host."""
        parts = urlsplit(url)
        origin = f"{parts.scheme.lower()}://{parts.netloc.lower()}"
        known = next((each for each in self.indexes.credentials if each.origin == origin), None)
        user, password = (known.user, known.password) if known is not None else self._from_netrc(parts.hostname or "")
        if not user:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    def _from_netrc(self, host: str) -> tuple[str, str]:
        if self._netrc is None:
            import netrc

            try:
                self._netrc = netrc.netrc(os.environ.get("NETRC") or None)
            except (OSError, netrc.NetrcParseError):
                self._netrc = False
        found = self._netrc.authenticators(host) if self._netrc else None
        return (found[0] or "", found[2] or "") if found else ("", "")

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The connections for *url*: through the proxy that is meant for it, with the certificates that are to be trusted."""
        from urllib.request import getproxies, proxy_bypass

        import urllib3

        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = self.indexes.proxy or getproxies().get(parts.scheme, "")
        if proxy and proxy_bypass(host):
            proxy = ""
        trusts = any(entry in {host, parts.netloc} for entry in self.indexes.trusted)
        key = f"{proxy} {trusts}"
        with self._alone:
            pool = self._pools.get(key)
            if pool is None:
                options: dict[str, Any] = {
                    "maxsize": 16,
                    "timeout": urllib3.Timeout(connect=20, read=60),
                    "retries": urllib3.Retry(
                        total=4,
                        redirect=0,
                        backoff_factor=0.3,
                        status_forcelist=(429, 500, 502, 503, 504),
                        raise_on_status=False,
                        raise_on_redirect=False,
                        respect_retry_after_header=True,
                        backoff_max=8,
                    ),
                    "ssl_context": _context(self.indexes.certificate, verified=not trusts),
                }
                pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
                self._pools[key] = pool
        return pool


def _context(certificate: str, *, verified: bool) -> Any:
    import ssl

    try:
        context = ssl.create_default_context(
            cafile=certificate if os.path.isfile(certificate) else None, capath=certificate if os.path.isdir(certificate) else None
        )
    except (OSError, ssl.SSLError) as error:
        raise FetchError(
            "index-unreachable", f"it holds no certificates: {error}", where=certificate, hint="mend pip's cert"
        ) from error
    if not verified:  # pip's trusted-host says so; the hash of what comes is checked all the same
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _digests_of(file: IO[bytes], digests: tuple[Digest, ...]) -> tuple[Digest, ...]:
    """What *file* has, by the algorithms of *digests*."""
    hashers = [hashlib.new(digest.algorithm) for digest in digests]
    file.seek(0)
    while chunk := file.read(_CHUNK):
        for hasher in hashers:
            hasher.update(chunk)
    return tuple(Digest(digest.algorithm, hasher.hexdigest()) for digest, hasher in zip(digests, hashers, strict=True))


def _unreachable(url: str, error: Exception) -> FetchError:
    import urllib3

    if isinstance(error, FetchError):
        return error
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None else error
    words = type(cause).__name__
    return FetchError(
        "index-unreachable",
        f"it can not be reached: {words}: {str(cause).rpartition(': ')[2][:160]}",
        where=shown_url(url),
        hint="try again, name an archive, or go on with --offline",
    )
