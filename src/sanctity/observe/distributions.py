"""The distributions of a site-packages folder, as their own metadata states them; read, never imported."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from sanctity.canon.record import parse_record
from sanctity.model.digest import Digest
from sanctity.model.environment import Distribution, Origin, Problem, RecordFault, RecordRow
from sanctity.model.names import normalise_name, version_key
from sanctity.observe.view import is_blind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.observe.view import View

__all__ = ["metadata_homes", "observe_distribution", "parse_metadata", "parse_origin"]

_LARGEST_METADATA: Final = 16 << 20
_USUAL_HEADERS: Final = 16 << 10
_LARGEST_RECORD: Final = 256 << 20
_HEADER: Final = re.compile(rb"^(Name|Version|Requires-Dist):(.*)$", re.IGNORECASE | re.MULTILINE)
_SDIST: Final = re.compile(r"\.(?:tar\.(?:gz|bz2|xz|Z)|tgz|zip|tar)(?:$|[?#])")


def metadata_homes(view: View, folder: str) -> Iterator[str]:
    """The names of the dist-info and egg-info entries in the site-packages *folder*, sorted; in any case, as importlib.metadata."""
    for name in view.listing(folder):
        if name.lower().endswith((".dist-info", ".egg-info")) and not name.startswith(("~", ".")):
            yield name


def _end_of_headers(data: bytes) -> int:
    """Where the first blank line is, or the length of *data* where there is none."""
    ends = [at for at in (data.find(b"\n\n"), data.find(b"\n\r\n")) if at >= 0]
    return min(ends, default=len(data))


def parse_metadata(data: bytes) -> tuple[str, str, tuple[str, ...]]:
    """The first Name and Version, and all Requires-Dist, of a METADATA or PKG-INFO; empty where absent.

    Only the headers are read: the body is a README, and may hold anything.
    """
    head = data[: _end_of_headers(data)]
    name = version = ""
    requires: list[str] = []
    for match in _HEADER.finditer(head):
        key = match[1].lower()
        value = match[2].strip().decode("utf-8", "replace")
        if key == b"name":
            name = name or value
        elif key == b"version":
            version = version or value
        else:
            requires.append(value)
    return name, version, tuple(requires)


def parse_origin(data: bytes) -> Origin:
    """Read a ``direct_url.json`` (PEP 610), without the credentials its URL may hold.

    Raises:
        ValueError: it is not one.
    """
    stated = json.loads(data)
    if not isinstance(stated, dict) or not isinstance(stated.get("url"), str):
        raise ValueError("it names no url")
    parts = urlsplit(stated["url"])
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    url.encode()  # JSON can write halves of characters, which no path and no report can
    subdirectory = stated.get("subdirectory")
    inside = subdirectory if isinstance(subdirectory, str) else ""
    vcs, folder, archive = (stated.get(key) for key in ("vcs_info", "dir_info", "archive_info"))
    if isinstance(vcs, dict):
        return Origin(kind="vcs", url=url, commit=str(vcs.get("commit_id") or ""), subdirectory=inside)
    if isinstance(folder, dict):
        return Origin(kind="directory", url=url, editable=folder.get("editable") is True, subdirectory=inside)
    if not isinstance(archive, dict):
        raise ValueError("it has none of vcs_info, dir_info and archive_info")
    hashes = archive.get("hashes")
    texts = [f"{key}:{value}" for key, value in hashes.items()] if isinstance(hashes, dict) else []
    if not texts and isinstance(archive.get("hash"), str):
        texts = [archive["hash"].replace("=", ":", 1)]
    digests = []
    for text in texts:
        try:
            digests.append(Digest.parse(text))
        except ValueError:
            continue
    return Origin(kind="archive", url=url, subdirectory=inside, digests=tuple(sorted(digests)))


def _named_by_folder(home: str) -> tuple[str, str]:
    stem = os.path.basename(home).rpartition(".")[0]
    if home.lower().endswith(".egg-info"):
        stem = re.sub(r"-py\d(\.\d+)?$", "", stem)
    name, _, version = stem.partition("-")
    return name, version


def _agree(one: str, other: str) -> bool:
    if one == other:
        return True
    key = version_key(one)
    if key is None:
        return one.replace("-", "_") == other.replace("-", "_")
    return key == version_key(other)


def observe_distribution(
    view: View, prefix: str, site: str, entry: str, problems: list[Problem], *, records: bool, tags: bool = False
) -> Distribution:
    """Look at one dist-info or egg-info *entry* of the *site* folder (relative to *prefix*).

    With *records* the RECORD is read as well, and with *tags* the Tag lines of WHEEL. What is malformed becomes a fault of the
    distribution, and what can not be read one of the *problems*; nothing is raised.
    """
    home = f"{site}/{entry}"
    folder = f"{prefix}/{home}"
    faults: list[RecordFault] = []

    def blame(path: str, error: Exception) -> None:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if isinstance(error, OSError) and is_blind(error):
            problems.append(Problem("unreadable", path, reason))
        else:
            faults.append(RecordFault("record-invalid", path, f"it can not be read: {reason}"[:200]))

    stated_name, stated_version = _named_by_folder(home)
    egg = entry.lower().endswith(".egg-info")
    flat = egg and not view.is_folder(folder)
    source = folder if flat else f"{folder}/{'PKG-INFO' if egg else 'METADATA'}"
    shown = home if flat else f"{home}/{'PKG-INFO' if egg else 'METADATA'}"
    name = version = ""
    requires: tuple[str, ...] = ()
    try:
        data = view.read_head(source, _USUAL_HEADERS)
        if len(data) == _USUAL_HEADERS and _end_of_headers(data) == len(data):
            data = view.read(source, _LARGEST_METADATA)
    except OSError as error:
        blame(shown, error)
    else:
        name, version, requires = parse_metadata(data)
        if not name or not version:
            faults.append(RecordFault("record-invalid", shown, f"it states no {'Version' if name else 'Name'}"))
        elif not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            faults.append(RecordFault("record-invalid", shown, f"{name[:60]!r} is not a project name"))
        elif version_key(version) is None:
            if not egg:
                faults.append(RecordFault("record-invalid", shown, f"{version[:60]!r} is not a version"))
        else:
            same = normalise_name(name) == normalise_name(stated_name)
            if not same or (stated_version and not _agree(version, stated_version)):
                faults.append(RecordFault("record-invalid", shown, f"it says {name} {version}, its folder says {entry!r}"))
    name = name or stated_name or entry
    version = version or stated_version
    names = frozenset() if flat else frozenset(view.listing(folder))
    installer = _first_line(view, f"{folder}/INSTALLER") if "INSTALLER" in names else ""
    origin = None
    built = "uv_build.json" in names
    if "direct_url.json" in names:
        try:
            origin = parse_origin(view.read(f"{folder}/direct_url.json", _LARGEST_METADATA))
        except (OSError, ValueError, RecursionError) as error:
            blame(f"{home}/direct_url.json", error)
        else:
            origin = replace(origin, resolved=_resolved(view, origin.url))
            built = built or origin.kind != "archive" or bool(_SDIST.search(origin.url))
    rows: tuple[RecordRow, ...] | None = None
    if records and not flat:
        try:
            rows, found = _observe_record(view, prefix, site, home, folder)
            faults.extend(found)
        except FileNotFoundError:
            if not egg:
                words = "there is no RECORD, so nothing of it can be compared"
                faults.append(RecordFault("record-missing", f"{home}/RECORD", words))
        except OSError as error:
            blame(f"{home}/RECORD", error)
    return Distribution(
        key=normalise_name(name),
        name=name,
        version=version,
        home=home,
        installer=installer,
        requested="REQUESTED" in names,
        origin=origin,
        built_here=built,
        requires=requires,
        tags=_tags(view, f"{folder}/WHEEL") if tags and "WHEEL" in names else (),
        record=rows,
        faults=tuple(faults),
    )


def _observe_record(
    view: View, prefix: str, site: str, home: str, folder: str
) -> tuple[tuple[RecordRow, ...], tuple[RecordFault, ...]]:
    where = f"{home}/RECORD"
    data = view.read(f"{folder}/RECORD", _LARGEST_RECORD)
    faults: tuple[RecordFault, ...] = ()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "surrogateescape")
        faults = (RecordFault("path-invalid", where, f"it is not UTF-8 text at byte {error.start}"),)
    rows, found = parse_record(text, where=where, site=site, prefix=prefix, resolve=view.real)
    return rows, faults + found


def _tags(view: View, path: str) -> tuple[str, ...]:
    """The Tag lines of a WHEEL file: a claim, as all of it (PyPA, Binary distribution format)."""
    try:
        lines = view.read_head(path, _USUAL_HEADERS).decode("utf-8", "replace").splitlines()
    except OSError:
        return ()
    return tuple(line[4:].strip() for line in lines if line[:4].lower() == "tag:")


def _resolved(view: View, url: str) -> str:
    """Where the path of a ``file:`` URL leads, every link followed; empty for any other."""
    path = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    return view.real(path) if path.startswith("/") and "\0" not in path else ""


def _first_line(view: View, path: str) -> str:
    try:
        return view.read_head(path, 200).decode("utf-8", "replace").strip().partition("\n")[0]
    except OSError:
        return ""
