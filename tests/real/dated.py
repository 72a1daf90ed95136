"""A package index on the loopback interface whose files have upload times (PEP 700), with wheels made to order.

It speaks JSON alone (PEP 691). A release without an upload time is listed without one, as an index does that has none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from real.index import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["DatedIndex", "Made", "dated_index"]

_JSON: Final = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A release that the index has: *requires* are its dependencies, *files* what its wheel holds, *yanked* why it was withdrawn."""

    name: str
    version: str
    uploaded: str = ""
    requires: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    yanked: str = ""


class DatedIndex:
    """The index at *url*; *pages* counts how often each project's page was asked for, and *broken* and *closed* name what is answered with 500, 401."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.pages: dict[str, int] = {}
        self.broken: set[str] = set()
        self.closed: set[str] = set()

    def add(self, made: Made) -> None:
        """Upload *made*."""
        wheel = make_wheel(self.folder, made.name, made.version, made.files, requires=made.requires)
        row: dict[str, Any] = {
            "filename": wheel.path.name,
            "url": f"/files/{wheel.path.name}",
            "hashes": {"sha256": wheel.sha256},
            "size": wheel.path.stat().st_size,
            "yanked": made.yanked or False,
        }
        if made.uploaded:
            row["upload-time"] = made.uploaded
        self.rows.setdefault(made.name, []).append(row)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and body for *path*."""
        match path.strip("/").split("/"):
            case ["simple", name]:
                self.pages[name] = self.pages.get(name, 0) + 1
                if name in self.broken:
                    return 500, "text/plain", b"broken"
                if name in self.closed:
                    return 401, "text/plain", b"who are you?"
                if name in self.rows:
                    page = {"meta": {"api-version": "1.1"}, "name": name, "files": self.rows[name]}
                    return 200, _JSON, json.dumps(page).encode()
            case ["files", name] if (self.folder / name).is_file():
                return 200, "application/octet-stream", (self.folder / name).read_bytes()
        return 404, "text/plain", b"not here"


@contextlib.contextmanager
def dated_index(folder: Path, releases: Iterable[Made]) -> Iterator[DatedIndex]:
    """Serve *releases*, whose wheels are made in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    index = DatedIndex(folder)
    for made in releases:
        index.add(made)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = index.answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  (http.server asks for this name)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is http.server's)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="dated index", daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
