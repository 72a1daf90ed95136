"""A package index on the loopback interface that does what networks do: break off, lie, move, refuse, and come back.

It speaks the simple API in HTML (PEP 503) and JSON (PEP 691) and gives files in ranges. `Shop.next` says how the next requests for
a path are answered instead; each answer is used up by one request, but for the last one where it is to stay.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

__all__ = [
    "Handler",
    "Shop",
    "answer",
    "broken",
    "cut",
    "endless",
    "ignoring_range",
    "moved",
    "open_shop",
    "other",
    "overstated",
    "packed",
    "stalled",
]


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD as its shop says."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        shop = self.server.shop
        # A proxy is asked for whole URLs.
        path = unquote(urlsplit(self.path).path)
        with shop.alone:
            shop.requests.append((path, dict(self.headers.items())))
            queue = shop.odd[path]
            odd = (queue[0] if len(queue) == 1 and path in shop.stays else queue.popleft()) if queue else None
        if shop.authorization and self.headers.get("Authorization") != shop.authorization:
            self.give(b"who are you?", status=401, headers={"WWW-Authenticate": 'Basic realm="shop"'})
            return
        body = shop.body(path, self.headers.get("Accept", ""))
        if odd is not None:
            odd(self, body[0] if body else b"")
        elif body is None:
            self.give(b"not here", status=404)
        else:
            data, kind = body
            self.give_range(data, kind)

    do_HEAD = do_GET  # noqa: N815  (http.server asks for this name)

    def give(self, data: bytes, *, status: int = 200, kind: str = "text/plain", headers: dict[str, str] | None = None) -> None:
        """Answer with *data* whole; a header that is given twice counts once, *headers* first."""
        stated = {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}
        self.send_response(status)
        for name, value in stated.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def give_range(self, data: bytes, kind: str) -> None:
        """Answer with the part of *data* that is asked for (RFC 9110, section 14)."""
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()[:16]}"', "Cache-Control": "max-age=3600", "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked is None:
            self.give(data, kind=kind, headers=headers)
        elif (start := int(asked[1])) >= len(data):
            self.give(b"", status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        else:
            stated = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self.give(data[start:], status=206, kind=kind, headers=stated)

    def hang_up(self) -> None:
        """Close the connection after this answer."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is http.server's)
        """Say nothing."""


#: An odd answer: it is given the handler and the bytes that lie there.
if TYPE_CHECKING:
    Odd = Callable[[Handler, bytes], None]


@dataclass(slots=True, kw_only=True)
class Shop:
    """What is served: *files* by name, and *pages* of projects by name; *stated* may give a file other JSON fields than its own."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    stated: dict[str, dict[str, Any]] = field(default_factory=dict)
    html_only: bool = False
    authorization: str = ""
    tls: ssl.SSLContext | None = None
    odd: defaultdict[str, deque[Odd]] = field(default_factory=lambda: defaultdict(deque))
    stays: set[str] = field(default_factory=set)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    alone: threading.Lock = field(default_factory=threading.Lock)

    @property
    def index(self) -> str:
        """The index's URL."""
        return f"{self.url}/simple"

    def at(self, filename: str) -> str:
        """The URL of a file."""
        return f"{self.url}/files/{filename}"

    def next(self, path: str, *odd: Odd, stays: bool = False) -> None:
        """Answer the next requests for *path* by *odd*; where it *stays*, the last of them goes on."""
        self.odd[path].extend(odd)
        if stays:
            self.stays.add(path)

    def asked(self, part: str) -> list[dict[str, str]]:
        """The headers of the requests so far whose path holds *part*."""
        return [headers for path, headers in self.requests if part in path]

    def body(self, path: str, accept: str) -> tuple[bytes, str] | None:
        """What lies at *path*, and its media type."""
        if path.startswith("/files/"):
            data = self.files.get(path.removeprefix("/files/"))
            return None if data is None else (data, "application/octet-stream")
        found = re.fullmatch(r"/simple/([^/]+)/", path)
        if found is None:
            return None
        mine = [name for name in self.files if canonicalize_name(name.split("-", maxsplit=1)[0]) == canonicalize_name(found[1])]
        if not mine:
            return None
        rows = [
            {"filename": name, "url": f"../../files/{name}", "hashes": {"sha256": hashlib.sha256(self.files[name]).hexdigest()}}
            | {"size": len(self.files[name])}
            | self.stated.get(name, {})
            for name in mine
        ]
        if "json" in accept and not self.html_only:
            document = {"meta": {"api-version": "1.1"}, "name": found[1], "files": rows}
            return json.dumps(document).encode(), "application/vnd.pypi.simple.v1+json"
        links = ""
        for row in rows:
            fragment = "".join(f"#{key}={value}" for key, value in row["hashes"].items())
            yanked = f' data-yanked="{row["yanked"]}"' if "yanked" in row else ""
            links += f'<a href="{row["url"]}{fragment}"{yanked}>{row["filename"]}</a>\n'
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), "text/html"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, shop: Shop) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.shop = shop
        if shop.tls is not None:
            self.socket = shop.tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing where the other side has gone."""


@contextlib.contextmanager
def open_shop(**stated: Any) -> Iterator[Shop]:
    """An open `Shop`, on any free port."""
    shop = Shop(**stated)
    server = _Server(shop)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="shop", daemon=True)
    thread.start()
    shop.url = f"{'http' if shop.tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(status: int, **headers: str) -> Odd:
    """Answer *status* with *headers* (``Retry_After="0"``)."""

    def odd(handler: Handler, _data: bytes) -> None:
        handler.give(b"no", status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return odd


def cut(after: int, *, stated: bool = True) -> Odd:
    """Honour the range, but hang up *after* so many bytes; the whole length is *stated*, or none is (HTTP/1.0's way)."""

    def odd(handler: Handler, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        part = data[start:]
        length = {"Content-Length": str(len(part)) if stated else "", "Connection": "close"}
        where = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if asked else {}
        handler.give(part[:after], status=206 if asked else 200, headers=length | where)
        handler.hang_up()

    return odd


def stalled(after: int, until: threading.Event) -> Odd:
    """Give *after* bytes and then no more, *until* the test has done what it waits for."""

    def odd(handler: Handler, data: bytes) -> None:
        handler.give(data[:after], headers={"Content-Length": str(len(data)), "Connection": "close"})
        until.wait(60)
        handler.hang_up()

    return odd


def broken(handler: Handler, _data: bytes) -> None:
    """Hang up without a word."""
    handler.hang_up()


def ignoring_range(handler: Handler, data: bytes) -> None:
    """Give all of it, whatever part was asked for."""
    handler.give(data)


def overstated(more: int) -> Odd:
    """State a length that is *more* than what comes, and hang up."""

    def odd(handler: Handler, data: bytes) -> None:
        handler.give(data, headers={"Content-Length": str(len(data) + more), "Connection": "close"})
        handler.hang_up()

    return odd


def moved(to: str, status: int = 302) -> Odd:
    """Send the asker *to* another place."""
    return answer(status, Location=to)


def other(data: bytes) -> Odd:
    """Give these bytes instead."""

    def odd(handler: Handler, _data: bytes) -> None:
        handler.give(data)

    return odd


def packed(handler: Handler, data: bytes) -> None:
    """Give it packed by gzip, though nobody asked for that."""
    handler.give(gzip.compress(data), headers={"Content-Encoding": "gzip"})


def endless(handler: Handler, _data: bytes) -> None:
    """Go on for ever, in chunks."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
    handler.hang_up()
