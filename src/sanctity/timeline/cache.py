"""What was resolved once, kept: one small JSON file a resolution, below ``$XDG_CACHE_HOME/sanctity/resolutions``.

An entry's name is the SHA-256 of all that its answer rests on; nothing of that can be read back from it, so it may be of secrets.
An entry is written to a temporary name and renamed, and carries the digest of its own content: one that is torn or altered is no
entry. A release may be withdrawn later (PEP 592), so an answer is taken for `LASTING` and then asked for again; one that was made
within `FRESH` of its own instant is taken for an hour alone, since an index may show an upload late.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sanctity.model.folders import cache_below
from sanctity.model.timeline import Release, Resolution
from sanctity.model.wire import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FRESH", "LASTING", "ResolutionCache", "cache_folder"]

#: Seconds for which an answer about the past is taken.
LASTING: Final = 30 * 24 * 3600
#: Seconds after an instant in which the index may not show all yet.
FRESH: Final = 900
_HOUR: Final = 3600
_SCHEMA: Final = "sanctity.resolution/1"
_SCHEMA_VIA: Final = "sanctity.via/1"
_LARGEST: Final = 16 * 1024 * 1024


def cache_folder(environ: Mapping[str, str]) -> str:
    """Where resolutions are kept: ``$XDG_CACHE_HOME/sanctity/resolutions``, or below ``~/.cache``; empty where there is no home."""
    return cache_below(environ, "resolutions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionCache:
    """The cache in *folder*; an empty one knows nothing and keeps nothing. With *fresh* it keeps, and knows only what came *since*.

    *since* is in seconds since the epoch. Nothing of it raises for what the file system may do: then it knows nothing.
    """

    folder: str
    fresh: bool = False
    since: float = 0.0

    def get(self, key: str, at: str, *, now: float) -> Resolution | None:
        """The resolution *at* its instant kept under *key*, if it may still be taken at the time *now*."""
        body = self._read(key, _SCHEMA)
        if body is None:
            return None
        made = body.get("made")
        if not isinstance(made, int) or body.get("at") != at:
            return None
        lasting = _HOUR if made - datetime.fromisoformat(at).timestamp() < FRESH else LASTING
        if not 0 <= now - made + 1 <= lasting or (self.fresh and made + 1 < self.since):
            return None
        try:
            releases = tuple(Release(name=name, version=version, uploaded=uploaded) for name, version, uploaded in body["releases"])
            return Resolution(at=at, releases=releases, failure=body["failure"], passed_over=tuple(body["passed_over"]))
        except (KeyError, TypeError, ValueError):
            return None

    def put(self, key: str, resolution: Resolution, *, now: float) -> None:
        """Keep *resolution* under *key*."""
        rows = [[release.name, release.version, release.uploaded] for release in resolution.releases]
        body = {
            "schema": _SCHEMA,
            "made": int(now),
            "at": resolution.at,
            "releases": rows,
            "failure": resolution.failure,
            "passed_over": list(resolution.passed_over),
        }
        self._write(key, body)

    def get_via(self, key: str) -> dict[str, tuple[str, ...]] | None:
        """Who asked for each package, kept under *key*."""
        body = self._read(key, _SCHEMA_VIA)
        try:
            return None if body is None else {name: tuple(via) for name, via in body["via"]}
        except (KeyError, TypeError, ValueError):
            return None

    def put_via(self, key: str, via: Mapping[str, tuple[str, ...]]) -> None:
        """Keep under *key* who asked for each package."""
        self._write(key, {"schema": _SCHEMA_VIA, "via": [[name, list(asked)] for name, asked in sorted(via.items())]})

    # --- files

    def _path(self, key: str) -> str:
        return f"{self.folder}/{key[:2]}/{key}.json"

    def _read(self, key: str, schema: str) -> dict[str, Any] | None:
        if not self.folder:
            return None
        try:
            # Whoever can write here could put a FIFO in an entry's place, which nobody would ever write to.
            with open(os.open(self._path(key), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                document = json.loads(file.read(_LARGEST))
        except (OSError, ValueError, RecursionError):
            return None
        body = document.get("body") if isinstance(document, dict) else None
        if not isinstance(body, dict) or body.get("schema") != schema:
            return None
        try:
            return body if document.get("sha256") == hashlib.sha256(canonical(body)).hexdigest() else None
        except ValueError:
            return None

    def _write(self, key: str, body: dict[str, Any]) -> None:
        if not self.folder:
            return
        path = self._path(key)
        temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        text = json.dumps({"sha256": hashlib.sha256(canonical(body)).hexdigest(), "body": body}, separators=(",", ":"))
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
