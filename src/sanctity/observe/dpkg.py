"""What Debian's package manager says of the files it installed: who owns each, and its MD5.

Source: dpkg(1), ``/var/lib/dpkg/info/PACKAGE.list`` (a path a line) and ``PACKAGE.md5sums`` (deb-md5sums(5)). Debian's own Python
packages lie in ``dist-packages`` and often have no RECORD, or one that the packaging has overtaken; these lists are their manifest.
MD5 is consistency and no more: who can change a file there can change the list beside it.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from sanctity.model.environment import SystemFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sanctity.model.environment import FileEntry
    from sanctity.observe.view import View

__all__ = ["DIST_PACKAGES", "DPKG_LISTS", "dist_packages", "dpkg_owners", "observe_system", "read_manifest"]

#: Where Debian's own Python packages lie, relative to ``/usr``.
DIST_PACKAGES: Final = "lib/python3/dist-packages"

#: The folder of those lists.
DPKG_LISTS: Final = "/var/lib/dpkg/info"
_STATUS: Final = "/var/lib/dpkg/status"
#: Images without a package manager keep a status and a list of sums for each package here.
_SINGLE: Final = "/var/lib/dpkg/status.d"
_LARGEST: Final = 1 << 28
#: Packages whose names start so own nearly every shared library, so their lists are read first.
_LIKELY: Final = ("lib", "zlib")
_FIELD: Final = re.compile(rb"^(Package|Version|Architecture): *([^\s]{1,200}) *$", re.MULTILINE)
_SUM: Final = re.compile(rb"^([0-9a-f]{32})  (.+)$", re.MULTILINE)


def read_manifest(view: View, prefix: str, folders: Iterable[str]) -> dict[str, tuple[str, bytes]]:
    """What dpkg installed below *folders* (relative to the absolute *prefix*): path, relative to *prefix*, to (package, raw MD5).

    The MD5 is empty where dpkg states none (a folder, a symbolic link, a package without sums). Empty where dpkg keeps no lists.

    Raises:
        OSError: a list can not be read.
    """
    base = prefix.strip("/")
    inside = [f"{base}/{folder}/".lstrip("/").encode() for folder in folders]
    start = len(base) + 1 if base else 0
    names = view.listing(DPKG_LISTS)
    found: dict[str, tuple[str, bytes]] = {}
    for name in names:
        if not name.endswith(".list"):
            continue
        data = view.read(f"{DPKG_LISTS}/{name}", _LARGEST)
        if not any(b"\n/" + folder in data for folder in inside):
            continue
        package = name.removesuffix(".list").partition(":")[0]
        found.update((path[start:], (package, b"")) for path in _paths(data, inside))
        sums = f"{name.removesuffix('.list')}.md5sums"
        if sums in names:
            for digest, raw in _SUM.findall(view.read(f"{DPKG_LISTS}/{sums}", _LARGEST)):
                if raw.startswith(tuple(inside)):
                    path = raw.decode("utf-8", "surrogateescape")[start:]
                    found[path] = (package, bytes.fromhex(digest.decode()))
    return found


def dist_packages(view: View, prefix: str, minor: str) -> tuple[str, ...]:
    """The ``dist-packages`` folders of Debian's Python *minor* (``3.11``), in ``sys.path`` order.

    None where *prefix* is not Debian's own.
    """
    if prefix != "/usr" or not view.is_folder(f"{prefix}/{DIST_PACKAGES}"):
        return ()
    places = (f"local/lib/python{minor}/dist-packages", DIST_PACKAGES, f"lib/python{minor}/dist-packages")
    return tuple(place for place in places if view.is_folder(f"{prefix}/{place}"))


def observe_system(
    manifest: Mapping[str, tuple[str, bytes]],
    files: Mapping[str, FileEntry],
    *,
    read: Callable[[FileEntry], bytes | None],
    is_folder: Callable[[str], bool],
) -> Iterator[SystemFile]:
    """The files of *manifest* as they are: *files* are by path, *read* gives the bytes of one that is still what was hashed."""
    for path, (package, expected) in sorted(manifest.items()):
        entry = files.get(path)
        if entry is None:
            if expected or not is_folder(path):
                yield SystemFile(path, package, expected, b"", present=False)
            continue
        data = read(entry) if entry.digest else None
        actual = hashlib.md5(data, usedforsecurity=False).digest() if data is not None else b""
        yield SystemFile(path, package, expected, actual, present=True)


def _paths(data: bytes, inside: list[bytes]) -> Iterator[str]:
    """The paths of a list that lie in one of the folders, without their leading slash."""
    wanted = tuple(b"/" + folder for folder in inside)
    for line in data.splitlines():
        if line.startswith(wanted):
            yield line[1:].decode("utf-8", "surrogateescape")


def dpkg_owners(view: View, paths: Iterable[str]) -> dict[str, str]:
    """Which package owns each of the absolute *paths*, links resolved, with its version: ``libc6 2.36-9+deb12u13``.

    What no package owns is left out. On a system whose ``/lib`` is a link to ``/usr/lib``, a list may name a file either way.

    Raises:
        OSError: a list can not be read.
    """
    wanted: dict[bytes, str] = {}
    for path in paths:
        for name in _spellings(path):
            wanted[os.fsencode(name)] = path
    if not wanted:
        return {}
    owned: dict[str, str] = {}
    versions: dict[str, str] = {}
    lists = [name for name in view.listing(DPKG_LISTS) if name.endswith(".list")]
    left = set(wanted)
    for name in sorted(lists, key=lambda name: not name.startswith(_LIKELY)):
        for found in left.intersection(view.read(f"{DPKG_LISTS}/{name}", _LARGEST).split(b"\n")):
            path = wanted[found]
            owned[path] = name.removesuffix(".list")
            left.difference_update(os.fsencode(spelling) for spelling in _spellings(path))
        if not left:
            break
    if owned:
        versions = _versions(view.read(_STATUS, _LARGEST) if view.exists(_STATUS) else b"")
    for name in view.listing(_SINGLE):
        if not left or not name.endswith(".md5sums"):
            continue
        listed = {b"/" + line[34:] for line in view.read(f"{_SINGLE}/{name}", _LARGEST).split(b"\n")}
        package = name.removesuffix(".md5sums")
        for found in left & listed:
            owned[wanted[found]] = package
            versions |= _versions(view.read(f"{_SINGLE}/{package}", _LARGEST))
    return {path: f"{name.partition(':')[0]} {versions.get(name, '')}".rstrip() for path, name in owned.items()}


def _spellings(path: str) -> tuple[str, ...]:
    """The names that a list may have for *path*."""
    if path.startswith("/usr/"):
        return path, path.removeprefix("/usr")
    return path, f"/usr{path}"


def _versions(status: bytes) -> dict[str, str]:
    """The version of each package in a status file, by its name and by ``name:architecture``."""
    found: dict[str, str] = {}
    for paragraph in status.split(b"\n\n"):
        fields = dict(_FIELD.findall(paragraph))
        name, version = (
            fields.get(b"Package", b"").decode("ascii", "replace"),
            fields.get(b"Version", b"").decode("ascii", "replace"),
        )
        if name and version:
            found.setdefault(name, version)
            found[f"{name}:{fields.get(b'Architecture', b'').decode('ascii', 'replace')}"] = version
    return found
