"""A wheel that was never installed, and the content digest that it will have wherever it is."""

from __future__ import annotations

import errno
import hashlib
import lzma
import os
import posixpath
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Final

from sanctity.canon.content import (
    LARGEST_SCRIPT,
    content_digest,
    is_about_installing,
    is_cached_bytecode,
    is_shadowed,
    normalise_wheel_metadata,
    normalised_script,
    wheel_key,
)
from sanctity.canon.scripts import EntryPointError, parse_entry_points, wrapper_target
from sanctity.errors import DocumentError
from sanctity.model.names import normalise_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sanctity.model.digest import ContentDigest

__all__ = ["wheel_content", "wheel_rows"]

_CHUNK: Final = 1 << 20
_MOST_MEMBERS: Final = 500_000
_LARGEST_METADATA: Final = 16 << 20
#: No byte of a deflated file becomes more than 1,032, so what unpacks to more overlaps itself, or is no wheel but a bomb.
_MOST_UNPACKED: Final = 1032
_FIRST_LINE: Final = 1 << 14
#: The end of a zip file's directory, with the longest comment.
_LONGEST_END: Final = 22 + 0xFFFF
_MORE_THAN_STATED: Final = 0xFFFF


def _bad(path: str, message: str) -> DocumentError:
    return DocumentError("wheel-invalid", message, where=path, hint="fetch the wheel again, and compare its hash with the lock's")


def _safe(info: zipfile.ZipInfo) -> bool:
    """Whether a member's name is the plain relative path that every installer takes it for."""
    name = info.filename
    return (
        name == info.orig_filename  # zipfile cuts a name at a NUL
        and "\\" not in name
        and name == posixpath.normpath(name)
        and name != "."
        and not name.startswith(("/", "../"))
        and name != ".."
    )


def wheel_content(path: str) -> ContentDigest:
    """The content digest of the wheel file at *path* (scheme ``content/1``), without installing it.

    Raises:
        DocumentError: ``wheel-invalid``, it is no wheel, holds an unsafe or repeated member, or is damaged.
        OSError: it can not be read.
    """
    return content_digest(wheel_rows(path))


def wheel_rows(path: str) -> list[tuple[str, str]]:
    """The (key, value) rows of the wheel at *path*, unsorted. Raises as `wheel_content` does."""
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if _stated_members(file) not in {len(archive.infolist()), _MORE_THAN_STATED}:
                    raise _bad(path, "its directory does not hold as many members as it says")
                return list(_rows(archive, path, os.fstat(file.fileno()).st_size))
        except (
            zipfile.BadZipFile,
            zipfile.LargeZipFile,
            zlib.error,
            lzma.LZMAError,
            struct.error,
            EOFError,
            NotImplementedError,
            OverflowError,
            RuntimeError,
            ValueError,
        ) as error:
            raise _bad(path, f"it can not be unpacked: {error}") from error
        except OSError as error:
            # A place before the file's beginning, and damaged bzip2, are the document's fault and not the disk's.
            if error.errno not in {None, errno.EINVAL}:
                raise
            raise _bad(path, f"it can not be unpacked: {error}") from error


def _stated_members(file: IO[bytes]) -> int:
    """How many members the end of the zip *file* states: zipfile does not look, and a long comment may swallow the next entries.

    Source: PKWARE's APPNOTE, 4.3.16. More than 65,534 members are stated elsewhere.
    """
    file.seek(-min(os.fstat(file.fileno()).st_size, _LONGEST_END), os.SEEK_END)
    end = file.read()
    return int(struct.unpack_from("<H", end, end.rindex(b"PK\5\6") + 10)[0])


def _rows(archive: zipfile.ZipFile, path: str, size: int) -> Iterator[tuple[str, str]]:
    infos = archive.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise _bad(path, f"it has {len(infos):,} members")
    members = [info for info in infos if not info.is_dir()]
    unpacked = sum(info.file_size for info in members)
    if unpacked > size * _MOST_UNPACKED:
        raise _bad(path, f"its {size:,} bytes claim to unpack to {unpacked:,}")
    unsafe = next((info.orig_filename for info in members if not _safe(info)), None)
    if unsafe is not None:
        raise _bad(path, f"the name of its member {unsafe[:120]!r} is no plain path inside of it")
    names = {info.filename for info in members}
    if len(names) != len(members):
        raise _bad(path, "two members have one name")
    home = _find_home(names, path)
    data = home.removesuffix(".dist-info") + ".data/"
    declared: dict[str, str] = {}
    if f"{home}/entry_points.txt" in names:
        info = archive.getinfo(f"{home}/entry_points.txt")
        if info.file_size > _LARGEST_METADATA:
            raise _bad(path, f"entry_points.txt has {info.file_size:,} bytes")
        try:
            declared = parse_entry_points(archive.read(info).decode())
        except (UnicodeDecodeError, EntryPointError) as error:
            raise _bad(path, f"entry_points.txt: {error}") from error
    # What was built where it was installed keeps the mark when it is packed, and its WHEEL counts as it does there.
    built_here = f"{home}/WHEEL" if f"{home}/uv_build.json" in names else ""
    for info in members:
        name = info.filename
        if is_cached_bytecode(name) or is_about_installing(name, home):
            continue
        key = wheel_key(name, data=data)
        if name == built_here:
            yield key, f"sha256:{hashlib.sha256(normalise_wheel_metadata(archive.read(info))).hexdigest()}"
        elif not name.startswith(data + "scripts/"):
            yield key, f"sha256:{_hash(archive, info)}"
        elif not is_shadowed(name, declared):
            found = _hash_script(archive, info, declared.values())
            if found:
                yield key, f"sha256:{found}"
    for name, target in declared.items():
        yield f"scripts/{name}", f"ep:{target}"


def _find_home(names: Collection[str], path: str) -> str:
    """The wheel's one dist-info folder, which must be the one that its file name promises."""
    tops = {name.partition("/")[0] for name in names if "/" in name}
    homes = [top for top in tops if top.endswith(".dist-info")]
    if len(homes) != 1:
        raise _bad(path, f"it has {len(homes)} dist-info folders, not one")
    home = homes[0]
    if f"{home}/METADATA" not in names:
        raise _bad(path, f"it has no {home}/METADATA")
    stated, dash, _ = os.path.basename(path).partition("-")
    if path.endswith(".whl") and dash and normalise_name(stated) != normalise_name(home.partition("-")[0]):
        raise _bad(path, f"the dist-info in it is {home}")
    return home


def _hash(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    digest = hashlib.sha256()
    with archive.open(info) as member:
        while chunk := member.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _hash_script(archive: zipfile.ZipFile, info: zipfile.ZipInfo, targets: Collection[str]) -> str:
    """The hash of a script as it will be; empty for a wrapper of one of the entry points *targets* under a name of its own."""
    with archive.open(info) as member:
        head = member.read(_FIRST_LINE)
    line, newline, _ = head.partition(b"\n")
    length = info.file_size - len(line) - len(newline)
    # Installers rewrite a first line that starts with #!python, and its arguments are lost.
    if not line.startswith(b"#!python") or length > LARGEST_SCRIPT:
        return _hash(archive, info)
    content = normalised_script(archive.read(info).partition(b"\n")[2])
    return "" if wrapper_target(content) in targets else hashlib.sha256(content).hexdigest()
