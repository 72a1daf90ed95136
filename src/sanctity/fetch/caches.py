"""What pip and uv keep of what they fetched or built: files that may be just the ones wanted.

Nothing here is trusted: whoever takes a file from a cache hashes it first. pip keeps the body of each response by the SHA-224 of
its URL (cachecontrol's layout, ``http-v2`` since pip 23.3; before that, ``http``, inside a MessagePack document), and the wheels
it built. uv keeps the wheels that it built, too; what
it fetched it keeps unpacked, which can not be checked against the hash of the file that it was, and so is of no use.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from sanctity.model.artifact import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Caches", "Kept"]

#: So many folders of built wheels are looked through.
_MOST_FOLDERS: Final = 20_000
#: In uv's cache a build has a folder at least so deep (``sdists-v9/url/HASH/ID``), with a folder ``src`` of sources in it.
_DEPTH_OF_BUILDS: Final = 3
#: In MessagePack: the text "body"; and the marks of byte strings, with how many bytes state their length.
_BODY: Final = b"\xa4body"
_BIN: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}


class Kept(NamedTuple):
    """A file that may be just the one wanted: *length* bytes at *path*, from *start* on; all of it where that is None."""

    place: Place
    path: str
    start: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """The folders of *pip*'s and *uv*'s caches, each empty where there is none."""

    pip: str = ""
    uv: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Caches:
        """The caches that *environ* names, or that lie where they lie by default (XDG Base Directory Specification)."""
        home = environ.get("HOME", "")
        base = environ.get("XDG_CACHE_HOME", "") or (f"{home}/.cache" if home else "")
        off = environ.get("PIP_NO_CACHE_DIR", "").lower() in {"1", "true", "yes", "on"}
        pip = "" if off else environ.get("PIP_CACHE_DIR", "") or (f"{base}/pip" if base else "")
        return cls(pip=os.path.expanduser(pip), uv=environ.get("UV_CACHE_DIR", "") or (f"{base}/uv" if base else ""))

    def fetched(self, url: str) -> Iterator[Kept]:
        """Where pip would keep what it fetched from *url*."""
        parts = urlsplit(url)
        if not self.pip or parts.scheme not in {"http", "https"}:
            return
        path = parts.path or "/"
        key = f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}{path}" + (
            f"?{parts.query}" if parts.query else ""
        )
        name = hashlib.sha224(key.encode()).hexdigest()
        yield Kept(Place.PIP_CACHE, f"{self.pip}/http-v2/{'/'.join(name[:5])}/{name}.body")
        older = f"{self.pip}/http/{'/'.join(name[:5])}/{name}"
        if (part := _body_in(older)) is not None:
            yield Kept(Place.PIP_CACHE, older, *part)

    def built(self) -> dict[str, list[Kept]]:
        """All wheels that pip or uv built from source, and keep, by their file names."""
        found: dict[str, list[Kept]] = {}
        for place, root in ((Place.PIP_CACHE, f"{self.pip}/wheels" if self.pip else ""), *self._uv_builds()):
            for count, (folder, below, names) in enumerate(os.walk(root) if root else ()):
                if place is Place.UV_CACHE and folder.count("/") - root.count("/") >= _DEPTH_OF_BUILDS and "src" in below:
                    below.remove("src")  # what it was built from
                for name in names:
                    if name.endswith(".whl"):
                        found.setdefault(name, []).append(Kept(place, f"{folder}/{name}"))
                if count > _MOST_FOLDERS:
                    break
        return found

    def _uv_builds(self) -> Iterator[tuple[Place, str]]:
        try:
            names = sorted(os.listdir(self.uv)) if self.uv else []
        except OSError:
            return
        yield from ((Place.UV_CACHE, f"{self.uv}/{name}") for name in names if name.startswith("sdists-v"))


def _body_in(path: str) -> tuple[int, int] | None:
    """(start, length) of the body in the document at *path*, as cachecontrol wrote it until pip 23.2: ``cc=4,``, then MessagePack.

    The body is the value of the first key, so it is found near the start: its mark says how many bytes its length takes.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except OSError:
        return None
    at = head.find(_BODY) + len(_BODY)
    if not head.startswith(b"cc=4,") or at < len(_BODY) or at >= len(head) or head[at] not in _BIN:
        return None
    size = _BIN[head[at]]
    return at + 1 + size, int.from_bytes(head[at + 1 : at + 1 + size])
