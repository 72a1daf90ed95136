"""A wheel that was never installed, and the content digest that it will have wherever it is."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from sanctity.canon.content import LEFT_OUT, content_digest, is_cached_bytecode, normalised_script, wheel_key
from sanctity.canon.scripts import EntryPointError, parse_entry_points, split_interpreter
from sanctity.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sanctity.model.digest import ContentDigest

__all__ = ["wheel_content", "wheel_rows"]

_CHUNK: Final = 1 << 20
_LARGEST_SCRIPT: Final = 1 << 20
_MOST_MEMBERS: Final = 500_000


def _bad(path: str, message: str) -> DocumentError:
    return DocumentError("wheel-invalid", message, where=path, hint="fetch the wheel again, and compare its hash with the lock's")


def _safe(name: str) -> bool:
    return not name.startswith("/") and "\\" not in name and ".." not in name.split("/") and "\0" not in name


def wheel_content(path: str) -> ContentDigest:
    """The content digest of the wheel file at *path* (scheme ``content/1``), without installing it.

    Raises:
        DocumentError: ``wheel-invalid``, it is no wheel, holds an unsafe or repeated member, or is damaged.
        OSError: it can not be read.
    """
    return content_digest(wheel_rows(path))


def wheel_rows(path: str) -> list[tuple[str, str]]:
    """The (key, value) rows of the wheel at *path*, unsorted. Raises as `wheel_content` does."""
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_rows(archive, path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _bad(path, f"it can not be unpacked: {error}") from error


def _rows(archive: zipfile.ZipFile, path: str) -> Iterator[tuple[str, str]]:
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) > _MOST_MEMBERS:
        raise _bad(path, f"it has {len(members):,} members")
    names = {info.filename for info in members}
    if len(names) != len(members):
        raise _bad(path, "two members have one name")
    unsafe = next((name for name in sorted(names) if not _safe(name)), "")
    if unsafe:
        raise _bad(path, f"the member {unsafe[:120]!r} would leave the environment")
    homes = {name.partition("/")[0] for name in names if name.partition("/")[0].endswith(".dist-info") and "/" in name}
    if len(homes) != 1:
        raise _bad(path, f"it has {len(homes)} dist-info folders, not one")
    home = homes.pop()
    if not os.path.basename(path).startswith(home.partition("-")[0]) and f"{home}/METADATA" not in names:
        raise _bad(path, "its dist-info is not its own")
    data = home.removesuffix(".dist-info") + ".data/"
    for info in members:
        name = info.filename
        if is_cached_bytecode(name) or (name.startswith(home + "/") and name[len(home) + 1 :] in LEFT_OUT):
            continue
        key = wheel_key(name, data=data)
        script = name.startswith(data + "scripts/")
        yield key, f"sha256:{_digest(archive, info, script=script).hex()}"
    if f"{home}/entry_points.txt" in names:
        try:
            declared = parse_entry_points(archive.read(f"{home}/entry_points.txt").decode())
        except (UnicodeDecodeError, EntryPointError) as error:
            raise _bad(path, f"entry_points.txt: {error}") from error
        for name, target in declared.items():
            yield f"scripts/{name}", f"ep:{target}"


def _digest(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, script: bool) -> bytes:
    if script and info.file_size <= _LARGEST_SCRIPT:
        content = archive.read(info)
        # Installers rewrite a first line that starts with #!python, and its arguments are lost.
        if content.startswith(b"#!python"):
            interpreter, rest = split_interpreter(content)
            content = normalised_script(interpreter, rest, content, ours=True)
        return hashlib.sha256(content).digest()
    digest = hashlib.sha256()
    with archive.open(info) as member:
        while chunk := member.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
