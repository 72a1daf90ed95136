"""The activate scripts of a virtual environment: no program runs them, but people source them into their shells.

Their text depends on where the environment lies and on the tool that made it. Place and name are written as tokens, so that the
same tool's scripts are the same at any place; another tool's are another text.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sanctity.model.environment import Layout
    from sanctity.observe.view import View

__all__ = ["observe_activation"]

_NAME: Final = re.compile(r"(?:de)?activate(?:[._].*)?|Activate\.ps1|pydoc\.bat")
_LARGEST: Final = 1 << 20


def observe_activation(view: View, prefix: str, layout: Layout) -> tuple[tuple[str, bytes], ...]:
    """(path, raw SHA-256) of each activate script of the environment at *prefix*, sorted, with ``${prefix}`` and ``${name}`` in it.

    One that can not be read has an empty digest.
    """
    found: list[tuple[str, bytes]] = []
    folder = f"{prefix}/{layout.scripts}"
    places = {prefix, view.real(prefix)}
    name = prefix.rpartition("/")[2]
    # The prompt: in brackets or quotes of its own, never a part of another word.
    prompt = re.compile(rb"(?<=[(\"'=])" + re.escape(name.encode("utf-8", "surrogateescape")) + rb"(?=[)\"'\s])")
    for entry in view.listing(folder):
        if not _NAME.fullmatch(entry) or view.is_folder(f"{folder}/{entry}"):
            continue
        try:
            data = view.read(f"{folder}/{entry}", _LARGEST)
        except OSError:
            found.append((f"{layout.scripts}/{entry}", b""))
            continue
        for place in sorted(places, key=len, reverse=True):
            data = data.replace(place.encode("utf-8", "surrogateescape"), b"${prefix}")
        found.append((f"{layout.scripts}/{entry}", hashlib.sha256(prompt.sub(b"${name}", data)).digest()))
    return tuple(found)
