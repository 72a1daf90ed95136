"""What pip and uv keep of what they fetched or built: files that may be just the ones wanted.

Nothing here is trusted: whoever takes a file from a cache hashes it first. pip keeps the body of each response by the SHA-224 of
its URL (cachecontrol's layout, ``http-v2`` since pip 23.3), and the wheels it built. uv keeps the wheels that it built, too; what
it fetched it keeps unpacked, which can not be checked against the hash of the file that it was, and so is of no use.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sanctity.model.artifact import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Caches"]

#: So many folders of built wheels are looked through for one of a name.
_MOST_FOLDERS: Final = 20_000


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

    def fetched(self, url: str) -> Iterator[tuple[Place, str]]:
        """Where pip would keep what it fetched from *url*."""
        parts = urlsplit(url)
        if not self.pip or parts.scheme not in {"http", "https"}:
            return
        path = parts.path or "/"
        key = f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}{path}" + (
            f"?{parts.query}" if parts.query else ""
        )
        name = hashlib.sha224(key.encode()).hexdigest()
        place = f"{self.pip}/http-v2/{'/'.join(name[:5])}/{name}.body"
        if os.path.isfile(place):
            yield Place.PIP_CACHE, place

    def built(self, filename: str) -> Iterator[tuple[Place, str]]:
        """The wheels called *filename* that pip or uv built from source, and keep."""
        for place, root in ((Place.PIP_CACHE, f"{self.pip}/wheels" if self.pip else ""), *self._uv_builds()):
            for count, (folder, _, names) in enumerate(os.walk(root) if root else ()):
                if filename in names:
                    yield place, f"{folder}/{filename}"
                if count > _MOST_FOLDERS:
                    break

    def _uv_builds(self) -> Iterator[tuple[Place, str]]:
        try:
            names = sorted(os.listdir(self.uv)) if self.uv else []
        except OSError:
            return
        yield from ((Place.UV_CACHE, f"{self.uv}/{name}") for name in names if name.startswith("sdists-v"))
