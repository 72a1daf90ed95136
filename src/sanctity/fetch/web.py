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
from typing import IO, TYPE_CHECKING, Any, Final, Self
from urllib.parse import unquote, urljoin, urlsplit

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
#: Seconds to wait before a second attempt, doubled for each one more; no server is waited for longer than the longest wait.
PAUSE = 0.3
LONGEST_WAIT = 30.0
#: How often a transfer that broke off is taken up again.
_MOST_ATTEMPTS: Final = 5
_NOT_FOUND: Final = frozenset({404, 410, 451})
_REFUSED: Final = frozenset({401, 403, 407})
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
        for attempt in range(_MOST_ATTEMPTS):
            response, place = self._open(url, {"Accept": accept})
            if response is None:
                return None
            try:
                data = response.read(_LARGEST_PAGE + 1, decode_content=True)
            except Exception as error:
                if attempt + 1 == _MOST_ATTEMPTS:
                    raise _unreachable(place, error) from error
                continue
            finally:
                response.close()
            if len(data) > _LARGEST_PAGE:
                raise FetchError("index-unreachable", "its page is larger than any page of an index", where=shown_url(place))
            return bytes(data), response.headers.get("Content-Type", ""), place
        raise AssertionError("the last attempt returns or raises")

    def file(self, url: str, to: str, digests: tuple[Digest, ...], size: int | None, *, most: int | None = None) -> bool:
        """Put the file at *url*, which must have all of *digests*, at the path *to*; False where there is none.

        What comes lies beside *to* until it is whole; a part of it that an earlier attempt left there is taken up again. *size* in
        bytes is the locked one; *most* bounds what is received where none is locked.

        Raises:
            FetchError: ``artifact-mismatch``, other bytes lie there; ``index-unreachable``.
            OSError: it can not be written.
        """
        limit = size if size is not None else most if most is not None else _LARGEST_FILE
        partial = f"{to}.{digests[0].value[:16]}.partial"
        for again in (False, True):
            with _open_partial(partial) as file:
                try:
                    whole = self._fill(url, file, size, limit)
                    if whole is None:
                        return False
                    file.flush()
                    actual = _digests_of(file, digests)
                    if actual == digests:
                        os.fsync(file.fileno())
                        os.replace(file.name, to)
                        return True
                    _emptied(file)
                finally:
                    # Only a part of what is wanted is of use to whoever comes next.
                    if file.name != partial or not os.fstat(file.fileno()).st_size:
                        with contextlib.suppress(OSError):
                            os.unlink(file.name)
            if whole or again:
                break
        wrong = next(index for index, digest in enumerate(digests) if actual[index] != digest)
        raise FetchError(
            "artifact-mismatch",
            f"the file there has {actual[wrong]}, and {digests[wrong]} is locked",
            where=shown_url(url),
            hint=_HINT,
            actual=actual[wrong],
        )

    def _fill(self, url: str, file: IO[bytes], size: int | None, limit: int) -> bool | None:
        """Write what is at *url* to *file*, after what is in it already.

        True where it came in one piece, so that it is what lies there; False where pieces were put together; None where there is
        nothing.
        """
        trouble: Exception = ConnectionError("it answers, but with nothing of it")
        whole = True
        for _ in range(_MOST_ATTEMPTS):
            start = file.seek(0, os.SEEK_END)
            if start > limit:
                start = _emptied(file)
            if start and start == size:
                return False
            response, place = self._open(url, {"Range": f"bytes={start}-"} if start else {})
            if response is None:
                return None
            packed = _is_packed(response, place)
            try:
                stated = response.headers.get("Content-Range", "")
                if response.status == _NOT_SATISFIABLE:  # it ends where we are, or is another file now
                    if start and stated.rpartition("/")[2] == str(start):
                        return False
                    trouble = ConnectionError("it answers 416, that it is shorter")
                    _emptied(file)
                    continue
                whole = not (start and response.status == _PARTIAL and stated.startswith(f"bytes {start}-") and not packed)
                if whole:
                    _emptied(file)
                    if response.status == _PARTIAL and not stated.startswith("bytes 0-"):
                        trouble = ConnectionError("it gives a part that nobody asked for")
                        continue
                self._receive(response, file, limit, place, packed=packed)
            except FetchError:
                _emptied(file)
                if whole:
                    raise
                return False
            except Exception as error:
                if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
                    raise  # the disk's, since what the network says is none of these
                trouble = error  # whatever broke off, it is taken up again
                if packed:  # a part of it is not a part of the file
                    _emptied(file)
            else:
                ends = "Content-Length" in response.headers or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
                if ends or size is None or file.tell() == size:
                    return whole
                trouble = ConnectionError("it ends before its end")
            finally:
                response.close()
        raise _unreachable(url, trouble)

    def _receive(self, response: urllib3.BaseHTTPResponse, file: IO[bytes], limit: int, place: str, *, packed: bool) -> None:
        """Write what comes to *file*, up to *limit* bytes of it."""
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
            status = response.status
            if status in {200, _PARTIAL, _NOT_SATISFIABLE}:
                return response, url
            _leave(response)
            if status in _NOT_FOUND:
                return None, url
            if status in _MOVED and response.headers.get("Location"):
                url = _redirected(url, response.headers["Location"])
                continue
            hint = (
                "name credentials for it in its URL, or in a .netrc file"
                if status in _REFUSED
                else "try again, or name another index"
            )
            raise FetchError("index-unreachable", f"it answers {status}", where=shown_url(url), hint=hint)
        raise FetchError(
            "index-unreachable",
            "it leads from one place to the next without end",
            where=shown_url(url),
            hint="tell whoever keeps it",
        )

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
        """What the user's netrc file says of *host* itself: its default is for no host in particular, so it is sent to none."""
        if self._netrc is None:
            import netrc

            self._netrc = {}
            if self.indexes.netrc:
                with contextlib.suppress(OSError, UnicodeDecodeError, netrc.NetrcParseError):
                    self._netrc = netrc.netrc(self.indexes.netrc).hosts
        found = self._netrc.get(host)
        return (found[0] or "", found[2] or "") if found and host != "default" else ("", "")

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The connections for *url*: through the proxy that is meant for it, with the certificates that are to be trusted."""
        from urllib.request import getproxies, proxy_bypass

        import urllib3

        parts = urlsplit(url)
        host = parts.hostname or ""
        proxy = self.indexes.proxy or getproxies().get(parts.scheme, "") or getproxies().get("all", "")
        if proxy and proxy_bypass(parts.netloc.rpartition("@")[2]):
            proxy = ""
        trusts = any(entry.lower() in {host, parts.netloc.lower()} for entry in self.indexes.trusted)
        key = f"{proxy} {trusts}"
        with self._alone:
            pool = self._pools.get(key)
            if pool is None:
                if trusts:  # the user knows; the hash decides
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                options: dict[str, Any] = {
                    "maxsize": 16,
                    "timeout": urllib3.Timeout(connect=20, read=60),
                    "retries": _retries(),
                    "ssl_context": _context(self.indexes.certificate, verified=not trusts),
                }
                pool = _proxied(proxy, options) if proxy else urllib3.PoolManager(**options)
                self._pools[key] = pool
        return pool


def _retries() -> urllib3.Retry:
    """How often, and after which pauses, a request is made again that got no answer, or a 429 or 5xx."""
    import urllib3

    class Bounded(urllib3.Retry):
        def increment(self, *args: Any, **kwargs: Any) -> Self:
            error = kwargs.get("error")
            if isinstance(error, urllib3.exceptions.SSLError) and "CERTIFICATE_VERIFY" in str(error):
                raise error  # it is the same certificate a second later
            return super().increment(*args, **kwargs)

        def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
            asked = super().get_retry_after(response)
            return None if asked is None else min(asked, LONGEST_WAIT)

    return Bounded(
        total=4,
        redirect=0,
        backoff_factor=PAUSE,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
        raise_on_redirect=False,
        backoff_max=8,
    )


def _proxied(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    import urllib3

    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    secret, _, host = parts.netloc.rpartition("@")
    headers = urllib3.make_headers(proxy_basic_auth=unquote(secret)) if secret else None
    return urllib3.ProxyManager(f"{parts.scheme}://{host}", proxy_headers=headers, **options)


def _redirected(url: str, location: str) -> str:
    """Where *url* leads. Raises FetchError where that is no place to follow it to."""
    try:
        target = urljoin(url, location)
        scheme, host = urlsplit(target).scheme, urlsplit(target).hostname
    except ValueError:
        scheme = host = ""
    if scheme in {"https", urlsplit(url).scheme} and host:
        return target
    words = (
        "from https to plain http" if scheme == "http" else f"to {scheme}:, which is no place of an index" if scheme else "nowhere"
    )
    raise FetchError("index-unreachable", f"it leads {words}", where=shown_url(url), hint="tell whoever keeps it")


def _leave(response: urllib3.BaseHTTPResponse) -> None:
    """Be done with *response*; its connection is kept where little of it is left to read."""
    with contextlib.suppress(Exception):
        response.read(_CHUNK)
    response.close()


def _is_packed(response: urllib3.BaseHTTPResponse, url: str) -> bool:
    """Whether *response* is packed for its way only. Servers say so of what is packed itself, too, and then it stays as it is."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    return encoding != "identity" and not urlsplit(url).path.lower().endswith((".gz", ".tgz"))


def _open_partial(path: str) -> IO[bytes]:
    """The partial file at *path*, for this thread alone: under another name where somebody else writes that one now."""
    import fcntl

    file = open(path, "r+b", opener=_opened)  # noqa: SIM115 - whoever called holds it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it may have put it in its place meanwhile.
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            return file
    except OSError:
        pass
    file.close()
    return open(f"{path}.{os.getpid()}-{threading.get_ident()}", "w+b")


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o666)


def _emptied(file: IO[bytes]) -> int:
    file.seek(0)
    return file.truncate(0)


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
