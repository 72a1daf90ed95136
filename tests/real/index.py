"""A package index on the loopback interface, and wheels made to order for it.

The index speaks PEP 503 (simple HTML), with ``data-requires-python`` (PEP 503) and the metadata of wheels beside them
(PEP 658, PEP 714); `make_wheel` writes a true wheel (PyPA, Binary distribution format) of given files.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import re
import threading
import zipfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Wheel", "loopback_index", "make_wheel", "with_stubs"]

#: The time that made wheels give their members, so that the same files make the same wheel.
_TIME: Final = (2020, 2, 2, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel file at *path*; *sha256* is in hex."""

    name: str
    version: str
    path: Path
    sha256: str

    @property
    def requirement(self) -> str:
        """The wheel's line in a hashed requirements file."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


def _row(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    quoted = f'"{path}"' if "," in path else path
    return f"{quoted},sha256={digest},{len(data)}\n"


def make_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, bytes], *, entry_points: str = "", requires: tuple[str, ...] = ()
) -> Wheel:
    """Write the wheel *name* *version* with *files* (member name to bytes) and its metadata into *folder*."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    members = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry_points:
        members[f"{info}/entry_points.txt"] = entry_points.encode()
    members[f"{info}/RECORD"] = ("".join(_row(path, data) for path, data in members.items()) + f"{info}/RECORD,,\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            entry = zipfile.ZipInfo(member, _TIME)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return Wheel(name=name, version=version, path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _metadata(wheel: Path) -> bytes:
    """The METADATA inside *wheel*."""
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return archive.read(member)


def _project(file: Path) -> str | None:
    """The normalised project name of the artifact *file*; None where it is not an artifact."""
    if file.suffix == ".whl":
        return str(parse_wheel_filename(file.name)[0])
    with contextlib.suppress(InvalidSdistFilename):
        return str(parse_sdist_filename(file.name)[0])
    return None


def _anchor(file: Path) -> str:
    """The line of *file* on its project's page."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    extra = ""
    if file.suffix == ".whl":
        metadata = _metadata(file)
        extra = f' data-core-metadata="sha256={hashlib.sha256(metadata).hexdigest()}"'
        if python := re.search(rb"^Requires-Python: *(.+)$", metadata, re.MULTILINE):
            extra += f' data-requires-python="{html.escape(python.group(1).decode().strip())}"'
    return f'<a href="/files/{file.name}#sha256={sha256}"{extra}>{file.name}</a><br>\n'


def _version_in(specifier: SpecifierSet) -> str:
    """A version that *specifier* allows: a very high one, else one that it names."""
    named = [re.sub(r"\.\*$", "", one.version) for one in specifier]
    return next(version for version in ("9999", *named, *(f"{version}.1" for version in named), "0") if specifier.contains(version))


def with_stubs(wheels: Path, folder: Path) -> Path:
    """A new *folder* with links to *wheels*, and an empty wheel for each dependency that none of them is.

    uv and Poetry lock for every platform and Python; a list of wheels of one platform lacks what the others need.
    """
    folder.mkdir(parents=True)
    needed: dict[str, SpecifierSet] = {}
    names: set[str] = set()
    for file in wheels.glob("*.whl"):
        (folder / file.name).symlink_to(file)
        names.add(str(parse_wheel_filename(file.name)[0]))
        for line in re.findall(rb"^Requires-Dist: *(.+)$", _metadata(file).partition(b"\n\n")[0], re.MULTILINE):
            wanted = Requirement(line.decode())
            if "extra" not in str(wanted.marker or ""):
                name = str(canonicalize_name(wanted.name))
                needed[name] = needed.get(name, SpecifierSet()) & wanted.specifier
    for name, specifier in needed.items():
        if name not in names:
            make_wheel(folder, name, _version_in(specifier), {})
    return folder


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from the pages and files of its server."""

    server: _Server

    def do_GET(self) -> None:
        body, kind = self.server.answer(unquote(self.path.partition("?")[0]))
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET" and body:
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  (http.server asks for this name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is http.server's)
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    """Serves the artifacts of one flat folder, as they are when the server starts."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.files = {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}
        self.pages: dict[str, str] = {}
        for file in self.files.values():
            if (name := _project(file)) is not None:
                self.pages[name] = self.pages.get(name, "<!DOCTYPE html>\n") + _anchor(file)

    def answer(self, path: str) -> tuple[bytes | None, str]:
        """The body and media type for *path*; no body where there is nothing."""
        parts = path.strip("/").split("/")
        match parts:
            case ["simple"]:
                return "".join(f'<a href="/simple/{name}/">{name}</a>\n' for name in self.pages).encode(), "text/html"
            case ["simple", name] if canonicalize_name(name) in self.pages:
                return self.pages[canonicalize_name(name)].encode(), "text/html"
            case ["files", name] if name in self.files:
                return self.files[name].read_bytes(), "application/octet-stream"
            case ["files", name] if name.removesuffix(".metadata") in self.files:
                return _metadata(self.files[name.removesuffix(".metadata")]), "text/plain"
            case _:
                return None, "text/plain"


@contextlib.contextmanager
def loopback_index(folder: Path, *, port: int = 0) -> Iterator[str]:
    """Serve the wheels and sdists of *folder*; gives the index URL (``http://127.0.0.1:PORT/simple/``), on any free *port*."""
    server = _Server(folder, port)
    thread = threading.Thread(target=server.serve_forever, name="loopback index", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
