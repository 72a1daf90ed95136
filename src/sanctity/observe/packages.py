"""Which of the system's packages owns a file: dpkg's word, or apk's.

Source: dpkg(1), and apk's ``lib/apk/db/installed`` (apk(5)). rpm keeps a binary database that nothing here reads, so there the
package stays empty. It is shown and sealed beside a file's digest, and proves nothing itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sanctity.model.environment import Problem
from sanctity.observe.dpkg import DPKG_LISTS, dpkg_owners

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sanctity.observe.view import View

__all__ = ["observe_owners", "parse_apk"]

_APK: Final = "/lib/apk/db/installed"
_LARGEST: Final = 1 << 27


def observe_owners(view: View, paths: Iterable[str]) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """The package with its version (``musl 1.2.5-r0``) of each of the absolute *paths*, and which list could not be read."""
    paths = list(paths)
    where = _APK
    try:
        if view.exists(_APK):
            return parse_apk(view.read(_APK, _LARGEST), paths), ()
        where = DPKG_LISTS
        return dpkg_owners(view, paths), ()
    except OSError as error:
        return {}, (Problem("unreadable", where, f"the lists of what the system installed: {error.strerror or error}"),)


def parse_apk(data: bytes, paths: Iterable[str]) -> dict[str, str]:
    """The owners of *paths* by an apk database: paragraphs with ``P:`` name, ``V:`` version, ``F:`` folder, ``R:`` file in it."""
    wanted = {os.fsencode(spelling[1:]): path for path in paths for spelling in (path, f"/usr{path}", path.removeprefix("/usr"))}
    found: dict[str, str] = {}
    for paragraph in data.split(b"\n\n"):
        name = version = folder = b""
        for line in paragraph.split(b"\n"):
            key, value = line[:2], line[2:]
            if key == b"R:":
                path = wanted.get(folder + b"/" + value if folder else value)
                if path is not None:
                    found.setdefault(path, b" ".join((name, version)).decode("utf-8", "replace").strip())
            elif key == b"F:":
                folder = value
            elif key == b"P:":
                name = value
            elif key == b"V:":
                version = value
    return found
