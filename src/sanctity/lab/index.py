"""The lab's own package index: a folder on this machine, served on the loopback interface, that believes it is another day.

The folder holds ``files/`` with the wheels, ``uploads.json`` with the moment each was uploaded, and ``today``, a date: what was
uploaded later is not there yet. All three are read anew for every request, so that a reader can change the day, or replace a
wheel, by hand. Spoken are PEP 503 (pages), PEP 691 (as JSON), PEP 700 (sizes, times of upload), and PEP 658 and 714 (the metadata
of wheels beside them). The hash that is stated is that of the file as it lies there now: what was served before is not known.

By hand: ``python -m sanctity.lab.index FOLDER --port 8000``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import html
import json
import os
import re
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Index", "serving"]

_JSON: Final = "application/vnd.pypi.simple.v1+json"
_HTML: Final = "application/vnd.pypi.simple.v1+html"
_NOTHING: Final = (404, "text/plain", b"there is no such thing here\n")


class Index:
    """What is in the index *folder* now."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._known: dict[str, tuple[tuple[int, int, int], str, bytes]] = {}
        self._alone = threading.Lock()

    def listed(self) -> Mapping[str, str]:
        """The files that are there on the day of the index, each with its moment of upload."""
        with open(f"{self.folder}/uploads.json", encoding="utf-8") as file:
            uploads: dict[str, str] = json.load(file)
        with open(f"{self.folder}/today", encoding="utf-8") as file:
            today = file.read().strip()
        there = set(os.listdir(f"{self.folder}/files"))
        return {name: moment for name, moment in sorted(uploads.items()) if name in there and moment[:10] <= today}

    def described(self, name: str) -> tuple[int, str, bytes]:
        """The size in bytes, the SHA-256 in hex, and the METADATA of the wheel *name* as it lies there now."""
        path = f"{self.folder}/files/{name}"
        state = os.stat(path)
        stamp = (state.st_ino, state.st_size, state.st_mtime_ns)
        with self._alone:
            kept = self._known.get(name)
            if kept is None or kept[0] != stamp:
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                with zipfile.ZipFile(path) as wheel:
                    member = next(each for each in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", each))
                    metadata = wheel.read(member)
                kept = self._known[name] = (stamp, digest, metadata)
        return state.st_size, kept[1], kept[2]

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """The status, media type and body for a GET of *path* by somebody who takes *accept*."""
        listed = self.listed()
        match path.strip("/").split("/"):
            case ["simple"]:
                names = sorted({_project(name) for name in listed})
                return self._page({"projects": [{"name": name} for name in names]}, "simple", accept)
            case ["simple", name] if wanted := [each for each in listed if _project(each) == canonicalize_name(name)]:
                return self._page(self._project(canonicalize_name(name), wanted, listed), name, accept)
            case ["files", name] if name in listed:
                with open(f"{self.folder}/files/{name}", "rb") as file:
                    return 200, "application/octet-stream", file.read()
            case ["files", name] if name.removesuffix(".metadata") in listed:
                return 200, "text/plain", self.described(name.removesuffix(".metadata"))[2]
            case _:
                return _NOTHING

    def _project(self, name: str, wanted: list[str], listed: Mapping[str, str]) -> dict[str, Any]:
        rows = []
        for file in wanted:
            size, digest, metadata = self.described(file)
            row = {
                "filename": file,
                "url": f"/files/{file}",
                "hashes": {"sha256": digest},
                "size": size,
                "upload-time": listed[file],
                "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()},
                "yanked": False,
            }
            if python := re.search(rb"^Requires-Python: *(.+)$", metadata, re.MULTILINE):
                row["requires-python"] = python[1].decode().strip()
            rows.append(row)
        return {"name": name, "versions": sorted({str(parse_wheel_filename(file)[1]) for file in wanted}), "files": rows}

    @staticmethod
    def _page(stated: dict[str, Any], title: str, accept: str) -> tuple[int, str, bytes]:
        """*stated* as JSON for who takes it, else as a page of links."""
        if _JSON in accept:
            return 200, _JSON, json.dumps({"meta": {"api-version": "1.1"}, **stated}).encode()
        lines = [f"<!DOCTYPE html>\n<title>{html.escape(title)}</title>"]
        lines += [f'<a href="/simple/{row["name"]}/">{row["name"]}</a><br>' for row in stated.get("projects", ())]
        for row in stated.get("files", ()):
            python = html.escape(row.get("requires-python", ""))
            extra = f' data-requires-python="{python}"' if python else ""
            extra += f' data-core-metadata="sha256={row["core-metadata"]["sha256"]}"'
            name = html.escape(row["filename"])
            lines.append(f'<a href="/files/{name}#sha256={row["hashes"]["sha256"]}"{extra}>{name}</a><br>')
        return 200, _HTML if _HTML in accept else "text/html; charset=utf-8", ("\n".join(lines) + "\n").encode()


def _project(filename: str) -> str:
    return str(parse_wheel_filename(filename)[0])


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; nothing it says may be kept by who asked, since files here do change."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            status, kind, body = self.server.index.answer(unquote(self.path.partition("?")[0]), self.headers.get("Accept", ""))
        except (OSError, ValueError, zipfile.BadZipFile, StopIteration) as error:
            status, kind, body = 500, "text/plain", f"{type(error).__name__}: {error}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command == "GET":
            # A tool that has read enough, or is ended, closes the connection: that is no fault.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  (http.server asks for this name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is http.server's)
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, folder: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.index = Index(folder)


@contextlib.contextmanager
def serving(folder: str, port: int = 0) -> Iterator[int]:
    """Serve *folder* on 127.0.0.1; gives the port, any free one where *port* is 0. Raises OSError where it can not."""
    server = _Server(folder, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="lab index", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve a folder until somebody presses Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m sanctity.lab.index", description="Serve a folder of the lab as an index.")
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt), serving(asked.folder, asked.port) as port:
        print(f"http://127.0.0.1:{port}/simple/", flush=True)  # noqa: T201  (a program of its own)
        threading.Event().wait()


if __name__ == "__main__":
    main()
