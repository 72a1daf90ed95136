"""A wheel of what is installed: for what was built here, no index has one, and a rebuild needs its very bytes.

The wheel holds what the distribution's RECORD claims, less what installers write about themselves or make again: wrappers of
entry points, INSTALLER, REQUESTED, direct_url.json, bytecode. Its content digest is the installed one, which is verified before
anything is given back. The same distribution gives the same bytes on every machine: members are sorted, have one time and two
modes, and are stored rather than deflated, since one zlib does not deflate as another does. RECORD is made anew and comes last.

Of what was built here, WHEEL counts without the line that names its builder (docs/content-digest.md), and an installer says that it
was built only where it builds it. So the packed wheel brings the mark along, ``uv_build.json`` in its dist-info: uv writes it for
what it built, uv and pip install it from a wheel as they install any file, and it is no content itself. A direct_url.json would not
do: it states an origin, which the reinstalled distribution does not have, and installers write their own over it.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import hashlib
import io
import os
import re
import stat
import zipfile
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from sanctity.canon.content import (
    installed_key,
    is_about_installing,
    is_cached_bytecode,
    is_shadowed,
    normalised_script,
    wheel_key,
)
from sanctity.canon.scripts import parse_entry_points, split_interpreter
from sanctity.errors import DocumentError, SanctityError
from sanctity.model.digest import Digest
from sanctity.model.environment import FileKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import Distribution, Environment, FileEntry, RecordRow

__all__ = ["Packed", "pack"]

_MARK: Final = "uv_build.json"
_CHUNK: Final = 1 << 20
#: The earliest time that a zip file can state.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_LARGEST_METADATA: Final = 1 << 20
_STEM: Final = re.compile(r"[A-Za-z0-9._]+-[A-Za-z0-9._+!]+")
_TAG: Final = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)-([A-Za-z0-9_.]+)")
_BUILD: Final = re.compile(r"\d[A-Za-z0-9_.]*")
_UNMENDED: Final = "`sanctity repair` says how to install it anew; what is whole can be packed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A wheel that was made of an installed distribution; *filename* is as an index would have it, *size* in bytes.

    *content* is what it becomes once installed, which is what was installed. *built_from* is what its origin says that it was built
    from: ``sha256:…`` of an sdist, or ``git:COMMIT``; else empty.
    """

    path: str
    filename: str
    sha256: Digest
    size: int
    content: ContentDigest
    built_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One member of the wheel: *data* is given where it is not just the bytes of *entry*."""

    name: str
    entry: FileEntry | None = None
    data: bytes | None = None
    program: bool = False


def pack(environment: Environment, item: Distribution, to: str, *, content_of: Callable[[str], ContentDigest]) -> Packed:
    """Write a wheel of *item*, a distribution of *environment* observed at depth ``record``, into the folder *to*.

    Its file name is made of the dist-info folder's name and the tags in its WHEEL. *content_of* reads the content digest of a wheel
    file, and raises DocumentError where that is none (`sanctity.observe.wheels.wheel_content`). Nothing is left behind on failure.

    Raises:
        SanctityError: ``not-packable``, with the reason: it is no whole distribution, does not match its own RECORD, or holds what
            no wheel becomes again.
        OSError: *to* can not be written.
    """
    content = _whole(item)
    _hold_to_record(environment, item)
    filename = _filename(environment, item)
    members = {member.name: member for member in _members(environment, item)}
    home = os.path.basename(item.home)
    if item.built_here:
        members.setdefault(f"{home}/{_MARK}", _Member(name=f"{home}/{_MARK}", data=b"{}"))
    path = os.path.join(to, filename)
    # Whoever reads it finds the name of the distribution in the file's own, so the temporary place is a folder.
    folder = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    temporary = os.path.join(folder, filename)
    os.mkdir(folder)
    try:
        sha256 = _write(environment, item, temporary, members, record=f"{home}/RECORD")
        size = os.stat(temporary).st_size
        try:
            packed = content_of(temporary)
        except DocumentError as error:
            raise _refusal(item.home, f"no wheel can hold it: {error.message}") from error
        if packed != content:
            raise _refusal(item.home, _difference(environment, item, members))
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        os.rmdir(folder)
    return Packed(path=path, filename=filename, sha256=sha256, size=size, content=content, built_from=_built_from(item))


def _refusal(where: str, message: str, hint: str = "") -> SanctityError:
    hint = hint or "keep the wheel that it was installed from, or build one with the project's own tool: uv build, pip wheel"
    return SanctityError("not-packable", message, where=where, hint=hint)


def _whole(item: Distribution) -> ContentDigest:
    """The content of *item*, if it is a distribution that a wheel can become again."""
    if item.origin is not None and item.origin.editable:
        raise _refusal(item.home, "it is an editable: its code lies outside of the environment, where git governs it")
    if item.keeper:
        raise _refusal(
            item.home, f"{item.keeper} owns it, a package of the system", "let the system's own package manager restore it"
        )
    if item.record is None or not item.home.endswith(".dist-info"):
        raise _refusal(item.home, "it has no RECORD, so nothing says which files are its own")
    for fault in item.faults:
        raise _refusal(fault.path, f"{fault.code}: {fault.message}", _UNMENDED)
    for script in item.scripts:
        if script.fault:
            raise _refusal(script.path, f"script-altered: {script.fault}", _UNMENDED)
    if item.content is None:
        raise _refusal(item.home, "a file of it could not be read, so it has no content digest")
    return item.content


def _hold_to_record(environment: Environment, item: Distribution) -> None:
    """Refuse *item* where a file of its content is not what its RECORD says."""
    canonical = {script.path: script.canonical for script in item.scripts}
    others = {(path, algorithm): digest for path, algorithm, digest in environment.other_digests}
    for row in item.record or ():
        if is_cached_bytecode(row.path) or is_about_installing(row.path, item.home):
            continue
        entry = environment.files.get(row.path)
        if entry is None:
            if not _was_skipped(item, row):
                raise _refusal(row.path, "its RECORD names this file, and it is not there", _UNMENDED)
        elif entry.kind not in {FileKind.FILE, FileKind.LINK} or not entry.digest:
            raise _refusal(row.path, f"it is a {entry.kind} that could not be read as a file")
        elif not row.digest:
            raise _refusal(row.path, "its RECORD row has no hash, so nothing vouches for it")
        elif row.digest not in {entry.digest, canonical.get(row.path), others.get((row.path, row.algorithm))}:
            raise _refusal(row.path, "it is not the file that its RECORD states", _UNMENDED)
        elif row.digest == entry.digest and row.size not in {-1, entry.size}:
            raise _refusal(row.path, f"its RECORD row says {row.size:,} bytes, and it has {entry.size:,}", _UNMENDED)


def _was_skipped(item: Distribution, row: RecordRow) -> bool:
    """Whether *row* is of a script of the wheel's that installers skipped, since an entry point has its name; they keep the row."""
    folder = f"{item.home.removesuffix('.dist-info')}.data/scripts/"
    declared = {script.name for script in item.scripts if script.declared}
    return row.path.startswith(folder) and is_shadowed(row.path[len(folder) :], declared)


def _members(environment: Environment, item: Distribution) -> Iterator[_Member]:
    """What goes into the wheel, but for RECORD."""
    site = os.path.dirname(item.home)
    home = os.path.basename(item.home)
    data = f"{home.removesuffix('.dist-info')}.data"
    scripts = {script.path: script for script in item.scripts}
    for row in item.record or ():
        path = row.path
        entry = environment.files.get(path)
        if entry is None or is_cached_bytecode(path):
            continue
        if is_about_installing(path, item.home):
            if path == f"{item.home}/{_MARK}":
                yield _Member(name=f"{home}/{_MARK}", entry=entry)
            continue
        script = scripts.get(path)
        if script is not None and script.target:
            continue  # the installer makes it again, and pip makes pip3.11
        key = installed_key(path, site=site, scripts=environment.layout.scripts)
        scheme, _, rest = key.partition("/")
        if scheme == "lib":
            yield _Member(name=rest, entry=entry)
        elif script is not None and script.canonical != entry.digest:
            yield _Member(name=f"{data}/scripts/{rest}", data=_normalised(environment, entry), program=True)
        elif scheme == "scripts" and not _head(environment, entry).startswith(b"#!python"):
            yield _Member(name=f"{data}/scripts/{rest}", entry=entry, program=True)
        elif scheme == "scripts":  # an installer would write that line anew, but for a file of data
            yield _Member(name=f"{data}/data/bin/{rest}", entry=entry, program=True)
        else:
            yield _Member(name=f"{data}/{key}", entry=entry)


def _place(environment: Environment, entry: FileEntry) -> str:
    return f"{environment.prefix.rstrip('/')}/{entry.path}"


def _head(environment: Environment, entry: FileEntry) -> bytes:
    try:
        with open(_place(environment, entry), "rb") as file:
            return file.read(16)
    except OSError as error:
        raise _refusal(entry.path, f"it can not be read: {error.strerror}") from error


def _read(environment: Environment, entry: FileEntry) -> bytes:
    """The bytes of *entry*, which must still be those that were looked at."""
    return b"".join(_chunks(environment, entry))


def _chunks(environment: Environment, entry: FileEntry) -> Iterator[bytes]:
    """The bytes of *entry* piece by piece; refuses at their end where they are no longer those that were looked at."""
    digest = hashlib.sha256()
    left = entry.size + 1
    try:
        with open(_place(environment, entry), "rb") as file:
            while left > 0 and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                digest.update(chunk)
                yield chunk
    except OSError as error:
        raise _refusal(entry.path, f"it can not be read: {error.strerror}") from error
    if digest.digest() != entry.digest:
        raise _refusal(entry.path, "it changed while it was packed", "nothing else may work in the environment meanwhile")


def _normalised(environment: Environment, entry: FileEntry) -> bytes:
    return normalised_script(split_interpreter(_read(environment, entry))[1])


def _filename(environment: Environment, item: Distribution) -> str:
    """The name of the wheel's file, by its dist-info folder and the Build and Tag lines of its WHEEL."""
    where = f"{item.home}/WHEEL"
    stem = os.path.basename(item.home).removesuffix(".dist-info")
    if _STEM.fullmatch(stem) is None:
        raise _refusal(item.home, "its folder is not named NAME-VERSION, so no wheel can be")
    entry = environment.files.get(where)
    if entry is None or entry.size > _LARGEST_METADATA:
        raise _refusal(where, "there is no WHEEL in it that could be read, so nothing says what it is compatible with")
    lines = [line.partition(":") for line in _read(environment, entry).decode("utf-8", "replace").splitlines()]
    said = [(key.strip().lower(), value.strip()) for key, _, value in lines]
    matches = [_TAG.fullmatch(value) for key, value in said if key == "tag"]
    tags = {tag for match in matches if match for tag in product(*(part.split(".") for part in match.groups()))}
    parts = [sorted({tag[at] for tag in tags}) for at in range(3)]
    if not tags or None in matches or set(product(*parts)) != tags:
        raise _refusal(where, "its Tag lines are not those of any one wheel's name")
    builds = [value for key, value in said if key == "build"]
    if len(builds) > 1 or any(_BUILD.fullmatch(build) is None for build in builds):
        raise _refusal(where, "its Build line is none")
    return "-".join([stem, *builds, *(".".join(part) for part in parts)]) + ".whl"


def _write(environment: Environment, item: Distribution, path: str, members: dict[str, _Member], *, record: str) -> Digest:
    """Write the wheel at *path*, and give its SHA-256."""
    rows: list[tuple[str, str, str]] = []
    with open(path, "xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            member = members[name]
            if not name.isprintable() or "\\" in name:
                raise _refusal(item.home, f"no wheel can hold a file named {name[:120]!r}")
            digest, size = hashlib.sha256(), 0
            chunks = _chunks(environment, member.entry) if member.data is None and member.entry else iter([member.data or b""])
            with archive.open(_info(environment, member), "w") as out:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    out.write(chunk)
            rows.append((name, f"sha256={base64.urlsafe_b64encode(digest.digest()).rstrip(b'=').decode()}", str(size)))
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([*rows, (record, "", "")])
        archive.writestr(_info(environment, _Member(name=record)), text.getvalue())
    with open(path, "rb") as written:
        return Digest("sha256", hashlib.file_digest(written, "sha256").hexdigest())


def _info(environment: Environment, member: _Member) -> zipfile.ZipInfo:
    """The head of *member*. Of modes, only that a file of data or code can be started is kept."""
    info = zipfile.ZipInfo(member.name, _TIME)
    info.create_system = _UNIX
    program = member.program
    if member.entry is not None:
        info.file_size = member.entry.size
        with contextlib.suppress(OSError):
            program = program or bool(os.stat(_place(environment, member.entry)).st_mode & stat.S_IXUSR)
    info.external_attr = (stat.S_IFREG | (0o755 if program else 0o644)) << 16
    return info


def _difference(environment: Environment, item: Distribution, members: dict[str, _Member]) -> str:
    """Why the wheel would not become what is installed."""
    entry = environment.files.get(f"{item.home}/entry_points.txt")
    declared = parse_entry_points(_read(environment, entry).decode()) if entry is not None else {}
    absent = sorted(declared.keys() - {script.name for script in item.scripts if script.target})
    if absent:
        return f"its entry point {absent[0]!r} has no script here, and an installer would make one"
    data = f"{os.path.basename(item.home).removesuffix('.dist-info')}.data/"
    known = {key for key, _ in item.rows or ()}
    added = sorted(key for name in members if known and (key := wheel_key(name, data=data)) not in known)
    shown = next((key for key in added if not key.endswith(f"/{_MARK}")), "")
    return f"what an installer makes of it is not what is there{f': {shown}' if shown else ''}"


def _built_from(item: Distribution) -> str:
    if item.origin is None or not item.built_here:
        return ""
    if item.origin.kind == "vcs":
        return f"git:{item.origin.commit}" if item.origin.commit else ""
    return next((str(digest) for digest in item.origin.digests if digest.algorithm == "sha256"), "")
