"""The canonical content of a distribution, and the digest over it: the scheme ``content/1``.

A distribution's content is a set of (key, value) rows. Keys are ``lib/…`` (relative to site-packages), ``scripts/NAME``,
``headers/…`` and ``data/…`` (relative to the prefix); values are ``sha256:…`` of the bytes, or ``ep:module:attribute`` for
a script that is exactly an entry point's wrapper. Left out are bytecode in ``__pycache__`` and what installers write about
themselves (`LEFT_OUT`). No file modes, no times, no order. The digest is the SHA-256 of the canonical JSON of the sorted
rows, so it is the same whoever installed a wheel, wherever, and the same when computed from the wheel alone
(docs/content-digest.md).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from sanctity.model.digest import ContentDigest, Digest

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = [
    "LARGEST_SCRIPT",
    "LEFT_OUT",
    "content_digest",
    "installed_key",
    "is_about_installing",
    "is_cached_bytecode",
    "is_shadowed",
    "normalise_wheel_metadata",
    "normalised_script",
    "wheel_key",
]

#: Files of a dist-info that state who installed, from where and for whom, and so are no content.
LEFT_OUT: Final = frozenset(
    {
        "INSTALLER",
        "RECORD",
        "RECORD.jws",
        "RECORD.p7s",
        "REQUESTED",
        "direct_url.json",
        "provenance_url.json",
        "uv_build.json",
        "uv_cache.json",
    }
)

#: A script of which more bytes than this follow its first line is hashed as it is.
LARGEST_SCRIPT: Final = 64 << 20

_HEADERS: Final = re.compile(r"include/(?:site/)?python\d+\.\d+t?/[^/]+/(.+)")
_SITE_IN_DATA: Final = re.compile(r"lib(?:64)?/python\d+\.\d+t?/site-packages/(.+)")


def is_about_installing(path: str, home: str) -> bool:
    """Whether *path* states who installed the distribution whose dist-info is *home*: `LEFT_OUT`, or virtualenv's marker."""
    stem = home.removesuffix(".dist-info")
    return path.startswith(stem) and (
        path == f"{stem}.virtualenv" or (path.startswith(f"{home}/") and path[len(home) + 1 :] in LEFT_OUT)
    )


def is_cached_bytecode(path: str) -> bool:
    """Whether *path* is bytecode right in a ``__pycache__``; a sourceless module elsewhere is code like any other."""
    if not path.endswith((".pyc", ".pyo")):
        return False
    folder = path.rpartition("/")[0]
    return folder == "__pycache__" or folder.endswith("/__pycache__")


def is_shadowed(name: str, declared: Container[str]) -> bool:
    """Whether the script file *name* of a wheel gives way to one of its *declared* entry points.

    setuptools once generated ``NAME``, ``NAME.exe``, ``NAME-script.py`` and ``NAME.pya`` into wheels; pip and uv skip them.
    """
    stem = name.rpartition("/")[2]
    for ending in (".exe", "-script.py", ".pya"):
        if stem.lower().endswith(ending):
            return stem[: -len(ending)] in declared
    return stem in declared


def installed_key(path: str, *, site: str, scripts: str) -> str:
    """The key of an installed file whose *path* is relative to the prefix."""
    if path.startswith(site) and path[len(site) : len(site) + 1] == "/":
        return "lib" + path[len(site) :]
    if path.startswith(scripts) and path[len(scripts) : len(scripts) + 1] == "/":
        return "scripts" + path[len(scripts) :]
    headers = _HEADERS.fullmatch(path)
    if headers is not None:
        return f"headers/{headers[1]}"
    other = _SITE_IN_DATA.fullmatch(path)  # lib64 of a venv is a link to lib
    return f"lib/{other[1]}" if other is not None else f"data/{path}"


def wheel_key(member: str, *, data: str) -> str:
    """The key of a wheel's *member*; *data* is ``NAME-VERSION.data/``, which need not exist."""
    if not member.startswith(data):
        return f"lib/{member}"
    scheme, _, rest = member[len(data) :].partition("/")
    if scheme in {"purelib", "platlib"}:
        return f"lib/{rest}"
    if scheme in {"scripts", "headers"}:
        return f"{scheme}/{rest}"
    return installed_key(rest, site="\0", scripts="bin")


def normalised_script(rest: bytes) -> bytes:
    """A script that starts the environment's own interpreter, with ``#!python`` for its first line; *rest* is what follows it."""
    return b"#!python\n" + rest


def normalise_wheel_metadata(data: bytes) -> bytes:
    """What of a ``WHEEL`` file is content for a distribution that was built here: its Tag, Build and Root-Is-Purelib lines.

    The Generator line names the builder's version, and differs between two builds of the same source.
    """
    kept = (b"tag:", b"build:", b"root-is-purelib:")
    return b"\n".join(sorted(line.strip() for line in data.splitlines() if line.lower().startswith(kept))) + b"\n"


#: What canonical JSON writes in another way, and what would sort before the quote that ends a key.
_NOT_PLAIN: Final = bytes(range(0x23)) + b"\\"


def content_digest(rows: Iterable[tuple[str, str]], *, lib: Iterable[tuple[str, bytes]] = ()) -> ContentDigest:
    """The digest over (key, value) rows in any order; repetitions count once.

    *lib* are further rows: the paths of files in site-packages, and their raw SHA-256.

    Raises:
        ValueError: a key is not UTF-8 text.
    """
    rows, lib = list(rows), list(lib)
    # Each row is written before all are sorted, which makes the same text in half the time as long as every text in it is plain.
    written = [f'["lib/{path}","sha256:{digest.hex()}"]' for path, digest in lib]
    written += [f'["{key}","{value}"]' for key, value in rows]
    unique = sorted(dict.fromkeys(written))
    data = f"[{','.join(unique)}]".encode()
    if len(data) - len(data.translate(None, _NOT_PLAIN)) != 4 * len(unique):  # not only the quotes around keys and values
        rows += [(f"lib/{path}", f"sha256:{digest.hex()}") for path, digest in lib]
        data = json.dumps(sorted(dict.fromkeys(rows)), separators=(",", ":"), ensure_ascii=False).encode()
    return ContentDigest(Digest("sha256", hashlib.sha256(data).hexdigest()))
