"""The pages of a package index, read strictly: what it offers of a project.

Source: PyPA, *Simple repository API* (PEP 503 and PEP 691 for HTML and JSON, PEP 592 yanked, PEP 700 size and upload-time). What is
not understood of a page is passed over: it offers nothing.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from sanctity.model.digest import Digest
from sanctity.model.index import Offer
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ACCEPT", "is_of", "parse_html", "parse_json"]

#: What is asked for, the best first (PEP 691).
ACCEPT: Final = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"

_OLD: Final = (".tar.bz2", ".tar.xz", ".tar.z", ".tgz", ".tbz", ".tar", ".egg", ".exe")


def parse_json(data: bytes, url: str) -> list[Offer]:
    """What the JSON page *data* at *url* offers. Raises ValueError where it is no such page."""
    try:
        stated = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(stated, dict):
        raise ValueError("it is no object")
    meta = stated.get("meta")
    _check_version(meta.get("api-version") if isinstance(meta, dict) else None)
    files = stated.get("files")
    if not isinstance(files, list):
        raise ValueError("it has no array of files")
    found: list[Offer] = []
    for file in files:
        if not isinstance(file, dict) or not isinstance(file.get("filename"), str) or not isinstance(file.get("url"), str):
            continue
        hashes = file.get("hashes")
        size, yanked, uploaded = file.get("size"), file.get("yanked"), file.get("upload-time")
        offer = _offer(
            file["filename"],
            _joined(url, file["url"]),
            [f"{key}:{value}" for key, value in hashes.items()] if isinstance(hashes, dict) else (),
            size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            yanked=yanked if isinstance(yanked, str) else " " if yanked is True else None,
            uploaded=uploaded if isinstance(uploaded, str) else "",
        )
        found += [offer] if offer is not None else []
    return found


class _Page(HTMLParser):
    """The links of a page, each with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.base = self.version = ""
        self.links: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link, or where relative ones start from."""
        stated = dict(reversed(attrs))
        if tag == "a" and stated.get("href"):
            self.links.append(stated)
        elif tag == "base" and stated.get("href") and not self.base:
            self.base = stated["href"] or ""
        elif tag == "meta" and (stated.get("name") or "").lower() == "pypi:repository-version":
            self.version = stated.get("content") or ""


def parse_html(data: bytes, url: str) -> list[Offer]:
    """What the HTML page *data* at *url* offers. Raises ValueError where it is no page that can be read."""
    page = _Page()
    try:
        page.feed(data.decode("utf-8", "replace"))
    except (AssertionError, RecursionError) as error:  # html.parser's word for some malformed declarations
        raise ValueError(f"it is malformed: {error}") from error
    _check_version(page.version or None)
    base = _joined(url, page.base) or url
    found: list[Offer] = []
    for link in page.links:
        target, fragment = urldefrag(_joined(base, (link.get("href") or "").strip()))
        yanked = link["data-yanked"] or " " if "data-yanked" in link else None
        offer = _offer(unquote(urlsplit(target).path).rpartition("/")[2], target, [fragment.replace("=", ":", 1)], yanked=yanked)
        found += [offer] if offer is not None else []
    return found


def _joined(base: str, url: str) -> str:
    """*url* as seen from *base*, empty where that is no URL."""
    try:
        joined = urljoin(base, url)
        urlsplit(joined)
    except ValueError:
        return ""
    return joined


def _check_version(stated: object) -> None:
    """Refuse a page of another major version than 1 (PEP 629). Raises ValueError."""
    if stated is not None and str(stated).partition(".")[0] != "1":
        raise ValueError(f"it speaks version {str(stated)[:20]!r} of the simple API, and version 1 is known here")


def _offer(
    filename: str, url: str, hashes: Iterable[str], *, size: int | None = None, yanked: str | None = None, uploaded: str = ""
) -> Offer | None:
    if not filename or "/" in filename or not filename.isprintable() or urlsplit(url).scheme not in {"http", "https", "file"}:
        return None
    return Offer(filename=filename, url=url, digests=tuple(_digests(hashes)), size=size, yanked=yanked, upload_time=uploaded)


def _digests(texts: Iterable[str]) -> Iterator[Digest]:
    for text in texts:
        try:
            yield Digest.parse(text)
        except ValueError:
            continue


def is_of(filename: str, name: str, version: str) -> bool:
    """Whether *filename* is a wheel or sdist of the release *version* of the normalised *name*."""
    try:
        if filename.endswith(".whl"):
            stated, number, _, _ = parse_wheel_filename(filename)
        else:
            stated, number = parse_sdist_filename(filename)
        return normalise_name(stated) == name and number == Version(version)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        # Old kinds, such as an sdist's .tar.bz2, that nobody publishes any more; a signature beside a file is none.
        stem = filename.lower()
        named = normalise_name(stem).startswith(f"{name}-") and bool(version)
        return named and stem.endswith(_OLD) and any(f"-{version.lower()}{after}" in stem for after in ".-")
