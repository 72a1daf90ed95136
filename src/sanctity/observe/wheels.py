"""A wheel that was never installed, and the content digest that it will have wherever it is.

A wheel is refused where two readers could take it for two different things, or where an installer would write anything but the
files that it seems to hold: nothing of it is written here, and nothing is read beyond what its own size allows. The zip file must
be just its members, one after another, and their directory; each member's own head must say what the directory says; and RECORD
must state every member. Of 1,129 published wheels, from 2013 on, none breaks a rule that is kept here (docs/content-digest.md).
"""

from __future__ import annotations

import base64
import errno
import hashlib
import lzma
import os
import posixpath
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Final, TypeVar

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
from sanctity.canon.record import parse_record
from sanctity.canon.scripts import EntryPointError, parse_entry_points, wrapper_target
from sanctity.canon.startup import customize_hook, is_customize, path_file_hook, pth_hook
from sanctity.errors import DocumentError
from sanctity.model.names import normalise_name, version_key
from sanctity.model.wheel import WheelFacts, WheelHook
from sanctity.observe.distributions import parse_metadata
from sanctity.observe.elf import ElfError, read_elf

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from sanctity.model.digest import ContentDigest
    from sanctity.model.environment import Hook, RecordRow

__all__ = ["wheel_content", "wheel_facts", "wheel_rows", "wheel_surface"]

_T = TypeVar("_T")

_CHUNK: Final = 1 << 20
_MOST_MEMBERS: Final = 500_000
_LARGEST_DIRECTORY: Final = 1 << 27
_LARGEST_METADATA: Final = 16 << 20
_LARGEST_HOOK: Final = 1 << 26
_LARGEST_RECORD: Final = 256 << 20
#: No byte of a deflated file becomes more than 1,032, so what unpacks to more overlaps itself, or is no wheel but a bomb.
_MOST_UNPACKED: Final = 1032
#: PKWARE's APPNOTE: 4.3.7 (a member's head), 4.3.9 (what follows it where sizes were not known before), 4.3.16 (the end).
_HEAD: Final = struct.Struct("<4s5H3L2H")
_END: Final = struct.Struct("<4s4H2LH")
_LARGE_END: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_MORE_THAN_STATED: Final = 0xFFFF
_STATED_ELSEWHERE: Final = 0xFFFFFFFF
#: Flags that change nothing of what a member is: how hard it was deflated, sizes that follow it, names in UTF-8.
_KNOWN_FLAGS: Final = 0x080E
_SIZES_FOLLOW: Final = 0x08
_UTF_8: Final = 0x800
_ENCRYPTED: Final = 0x2041
_ANOTHER_NAME: Final = 0x7075
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_HEX: Final = re.compile(r",(sha256)=([0-9a-f]{64}),")
_SCHEMES: Final = frozenset({"purelib", "platlib", "scripts", "headers", "data"})
_SIGNATURES: Final = ("RECORD", "RECORD.jws", "RECORD.p7s")
#: How machine code begins: ELF, Mach-O in both orders and widths, and PE; the last two only under a name that such code has, since
#: Java classes and old archives begin so too.
_ELF: Final = b"\x7fELF"
_MACH_O: Final = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_OTHER_CODE: Final = (b"\xca\xfe\xba\xbe", b"MZ")
_CODE_NAME: Final = re.compile(r".*(?:\.(?:so|dylib|pyd|dll|exe)|/[^/.]+)")


def _bad(path: str, message: str) -> DocumentError:
    return DocumentError("wheel-invalid", message, where=path, hint="fetch the wheel again, and compare its hash with the lock's")


def _shown(name: str) -> str:
    return repr(name[:120])


def wheel_content(path: str) -> ContentDigest:
    """The content digest of the wheel file at *path* (scheme ``content/1``), without installing it.

    Raises:
        DocumentError: ``wheel-invalid``, it is no wheel, is damaged, or is hostile; the member is named.
        OSError: it can not be read.
    """
    return content_digest(wheel_rows(path))


def wheel_rows(path: str) -> list[tuple[str, str]]:
    """The (key, value) rows of the wheel at *path*, unsorted. Raises as `wheel_content` does."""
    return _read_wheel(path, lambda wheel: list(wheel.rows()))


def wheel_surface(path: str) -> tuple[list[tuple[str, str]], tuple[Hook, ...]]:
    """The rows of the wheel at *path*, and the start-up hooks that it brings, by their keys (``lib/x.pth``).

    Raises as `wheel_content` does.
    """
    return _read_wheel(path, lambda wheel: (list(wheel.rows()), tuple(sorted(wheel.hooks()))))


def wheel_facts(path: str, filename: str = "") -> WheelFacts:
    """What the wheel at *path* brings that its name does not tell; it is called *filename*. Raises as `wheel_content` does."""

    def facts(wheel: _Wheel) -> WheelFacts:
        for _ in wheel.rows():  # all of it is checked before any of it is believed
            pass
        hooks = tuple(WheelHook(hook.path, str(hook.kind), hook.effect) for hook in sorted(wheel.hooks()))
        native = wheel.native()
        runpaths = tuple((key, folder) for key in native for folder in wheel.runpaths(key))
        return WheelFacts(filename=filename or os.path.basename(path), hooks=hooks, native=native, runpaths=runpaths)

    return _read_wheel(path, facts)


def _read_wheel(path: str, work: Callable[[_Wheel], _T]) -> _T:
    with open(path, "rb") as file:
        try:
            size = os.fstat(file.fileno()).st_size
            start = _find_directory(file, size, path)
            with zipfile.ZipFile(file) as archive:
                return work(_Wheel(archive, file, path, size, start))
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


def _find_directory(file: IO[bytes], size: int, path: str) -> int:
    """Where the directory of the zip *file* starts, which must end where its end begins, which must end the file.

    zipfile looks for an end anywhere in the last 64 KiB, and takes what lies before the first member for the head of a program that
    unpacks itself; other readers take other ends for the true one.
    """

    def read(form: struct.Struct, at: int) -> tuple[bytes, list[int]]:
        data = os.pread(file.fileno(), form.size, at) if at >= 0 else b""
        signature, *numbers = form.unpack(data.ljust(form.size, b"\0"))
        return signature, numbers

    at = size - _END.size
    signature, (disk, first, here, members, length, start, comment) = read(_END, at)
    if signature != b"PK\5\6" or comment:
        raise _bad(path, "it is no zip file, is cut short, or goes on behind the end of its directory")
    signature, (_, elsewhere, _) = read(_LOCATOR, at - _LOCATOR.size)
    if signature == b"PK\6\7":
        at = elsewhere
        signature, large = read(_LARGE_END, at) if at < size else (b"", [])
        if signature != b"PK\6\6" or at + _LARGE_END.size + _LOCATOR.size + _END.size != size:
            raise _bad(path, "the end of its directory is not where it says")
        disk, first, here, members, length, start = large[3:9]
    if disk or first or here != members:
        raise _bad(path, "it is one of several disks")
    if members > _MOST_MEMBERS or length > _LARGEST_DIRECTORY:
        raise _bad(path, f"it has {members:,} members, and a directory of {length:,} bytes")
    if start + length != at:
        raise _bad(path, "its directory does not end where its end begins, so something lies before, between or behind its members")
    return start


class _Wheel:
    """One wheel as it is read: *archive* is its directory by zipfile, *file* its bytes, *path* what it is called.

    *size* is the file's, *start* the directory's place in it. The *rows* come first; *hooks* are of a wheel that they were had of.
    """

    def __init__(self, archive: zipfile.ZipFile, file: IO[bytes], path: str, size: int, start: int) -> None:
        self.archive = archive
        self.size = size
        self.start = start
        self.keys: dict[str, zipfile.ZipInfo] = {}
        self.fd = file.fileno()
        self.path = path
        self.starts: dict[str, int] = {}

    def bad(self, message: str) -> DocumentError:
        return _bad(self.path, message)

    def rows(self) -> Iterator[tuple[str, str]]:
        """The rows of its content."""
        size, start = self.size, self.start
        infos = self.archive.infolist()
        stated = struct.unpack("<H", os.pread(self.fd, 2, size - 12))[0]
        if stated not in {len(infos), _MORE_THAN_STATED} or len(infos) > _MOST_MEMBERS or self.archive.start_dir != start:
            raise self.bad("its directory does not hold as many members as it says")
        for info in infos:
            self._check_member(info)
        self._check_places(infos, start)
        if sum(info.file_size for info in infos) > size * _MOST_UNPACKED:
            raise self.bad(f"its {size:,} bytes claim to unpack to {sum(info.file_size for info in infos):,}")
        members = {info.filename: info for info in infos if not info.is_dir()}
        self._check_names(infos, members)
        home = self._find_home(members)
        data = home.removesuffix(".dist-info") + ".data/"
        for name in members:
            top, _, rest = name.partition("/")
            if top.lower().endswith(".data") and rest and (f"{top}/" != data or rest.partition("/")[0] not in _SCHEMES):
                raise self.bad(f"its member {_shown(name)} is for no part of an installation that there is")
        record = self._read_record(members, home)
        self._check_metadata(members, home)
        declared = self._declared(members, home)
        # What was built where it was installed keeps the mark when it is packed, and its WHEEL counts as it does there.
        built_here = f"{home}/WHEEL" if f"{home}/uv_build.json" in members else ""
        for name, info in members.items():
            digest = self._held(info, record.get(name), home)
            if is_cached_bytecode(name) or is_about_installing(name, home):
                continue
            key = wheel_key(name, data=data)
            if self.keys.setdefault(key, info) is not info:
                raise self.bad(f"its members {_shown(self.keys[key].filename)} and {_shown(name)} are installed in one place")
            if name == built_here:
                metadata = normalise_wheel_metadata(self._read(info, _LARGEST_METADATA))
                yield key, f"sha256:{hashlib.sha256(metadata).hexdigest()}"
            elif not name.startswith(data + "scripts/"):
                yield key, f"sha256:{digest}"
            elif not is_shadowed(name, declared):
                found = self._script(info, digest, declared.values())
                if found:
                    yield key, f"sha256:{found}"
        for name, target in declared.items():
            yield f"scripts/{name}", f"ep:{target}"

    def hooks(self) -> Iterator[Hook]:
        """What of it runs, or redirects imports, at the start of Python, wherever it is installed; of a package its first file."""
        packages: dict[str, str] = {}
        for key, info in sorted(self.keys.items()):
            folder, _, name = key.partition("/")
            top, _, inner = name.partition("/")
            if folder == "scripts" and name.endswith("._pth"):
                yield path_file_hook(key, self._read(info, _LARGEST_HOOK))
            elif folder == "lib" and not inner and name.endswith((".pth", ".start")):
                yield pth_hook(key, self._read(info, _LARGEST_HOOK))
            elif (
                folder == "lib"
                and is_customize(top)
                and (not inner or re.fullmatch(r"__init__\.[^/]*", inner))
                and packages.setdefault(top, key) == key  # of a package, the first by its name
            ):
                yield customize_hook(key, self._read(info, _LARGEST_HOOK))

    def native(self) -> tuple[str, ...]:
        """The keys of the members that are machine code, by how they begin."""
        found = []
        for key, info in sorted(self.keys.items()):
            head = next(iter(self._chunks(info)), b"")[:4]
            if head.startswith((_ELF, *_MACH_O)) or (head.startswith(_OTHER_CODE) and _CODE_NAME.fullmatch(key.lower())):
                found.append(key)
        return tuple(found)

    def runpaths(self, key: str) -> tuple[str, ...]:
        """The absolute folders that the ELF file *key* has its libraries looked for in; none of what is not well-formed ELF."""
        chunks = self._chunks(self.keys[key])
        head = next(chunks, b"")
        if not head.startswith(_ELF):
            return ()
        # Libraries of more than a gigabyte do exist, so it is not held in memory.
        with tempfile.NamedTemporaryFile(prefix="sanctity-") as file:
            file.write(head)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            try:
                elf, _ = read_elf(file.name)
            except ElfError:
                return ()
        folders = dict.fromkeys(f"{elf.runpath}:{elf.rpath}".split(":"))
        return tuple(folder for folder in folders if folder.startswith("/"))

    # -- the zip file ------------------------------------------------------------------------------------------------------

    def _check_member(self, info: zipfile.ZipInfo) -> None:
        """Refuse a member by what the directory says of it."""
        name = info.filename.removesuffix("/")
        shown = _shown(info.orig_filename)
        if (
            info.filename != info.orig_filename  # zipfile cuts a name at a NUL
            or "\\" in name
            or "\0" in name
            or name != posixpath.normpath(name)
            or name in {".", ".."}
            or name.startswith(("/", "../"))
            or _DRIVE.match(name)
        ):
            raise self.bad(f"the name of its member {shown} is no plain path inside of it")
        if not name.isascii() and not info.flag_bits & _UTF_8:
            raise self.bad(f"the name of its member {shown} is not in UTF-8")
        if info.flag_bits & _ENCRYPTED:
            raise self.bad(f"its member {shown} is encrypted")
        if info.flag_bits & ~_KNOWN_FLAGS:
            raise self.bad(f"its member {shown} has flags {info.flag_bits:#x} that no wheel has")
        if info.compress_type not in _METHODS:
            raise self.bad(f"its member {shown} is packed by method {info.compress_type}, which installers do not know")
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if kind not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG} or mode & (stat.S_ISUID | stat.S_ISGID):
            raise self.bad(f"its member {shown} is no plain file: its mode is {mode:o}")
        if info.is_dir() and info.file_size:
            raise self.bad(f"its member {shown} is a folder, and has bytes of its own")
        if (info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size) or (
            info.compress_type == zipfile.ZIP_DEFLATED and info.file_size > info.compress_size * _MOST_UNPACKED
        ):
            raise self.bad(f"its member {shown} claims to unpack from {info.compress_size:,} bytes to {info.file_size:,}")
        if info.extra and _ANOTHER_NAME in _extra_fields(info.extra):
            raise self.bad(f"its member {shown} has a second name")

    def _check_places(self, infos: list[zipfile.ZipInfo], start: int) -> None:
        """Refuse members that share bytes, or lie apart, or whose own head says other than the directory, which is at *start*.

        Some readers go by the directory and others by the heads, so what the two disagree on is two wheels in one.
        """
        at = 0
        for info in sorted(infos, key=lambda each: each.header_offset):
            shown = _shown(info.filename)
            if info.header_offset != at:
                how = (
                    "shares bytes with the one before it" if info.header_offset < at else "does not begin where the one before ends"
                )
                raise self.bad(f"its member {shown} {how}")
            name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437")
            head = os.pread(self.fd, _HEAD.size + len(name), at)
            signature, _, flags, method, _, _, crc, packed, unpacked, length, extra = _HEAD.unpack_from(head)
            if signature != b"PK\3\4" or length != len(name) or head[_HEAD.size :] != name:
                raise self.bad(f"its member {shown} has another name in its own head")
            if flags != info.flag_bits or method != info.compress_type:
                raise self.bad(f"its member {shown} is packed in another way by its own head")
            fields = _extra_fields(os.pread(self.fd, extra, at + len(head))) if extra else {}
            if _ANOTHER_NAME in fields:
                raise self.bad(f"its member {shown} has a second name")
            if _STATED_ELSEWHERE in {packed, unpacked}:
                large = fields.get(1, b"")
                large = large[: 8 * sum(each == _STATED_ELSEWHERE for each in (packed, unpacked))]
                values = list(struct.unpack(f"<{len(large) // 8}Q", large))
                unpacked = values.pop(0) if unpacked == _STATED_ELSEWHERE and values else unpacked
                packed = values.pop(0) if packed == _STATED_ELSEWHERE and values else packed
            said, known = (crc, packed, unpacked), (info.CRC, info.compress_size, info.file_size)
            follows = bool(info.flag_bits & _SIZES_FOLLOW)
            if said != known and not (follows and said == (0, 0, 0)):
                raise self.bad(f"its member {shown} has another size or checksum by its own head")
            at += len(head) + extra
            self.starts[info.filename] = at
            at += info.compress_size
            if follows:
                at += self._length_behind(at, known, shown)
            if at > start:
                raise self.bad(f"its member {shown} reaches into the directory")
        if at != start:
            raise self.bad("something lies between its last member and its directory")

    def _length_behind(self, at: int, known: tuple[int, int, int], shown: str) -> int:
        """How long the checksum and sizes behind a member are, which must be those that are *known*."""
        data = os.pread(self.fd, 24, at)
        for form in ("<4s3L", "<4sL2Q", "<3L", "<L2Q"):
            if len(data) >= struct.calcsize(form):
                said = struct.unpack_from(form, data)
                if said[-3:] == known and (len(said) == 3 or said[0] == b"PK\7\x08"):
                    return struct.calcsize(form)
        raise self.bad(f"its member {shown} has another size or checksum behind it")

    def _check_names(self, infos: list[zipfile.ZipInfo], members: Mapping[str, zipfile.ZipInfo]) -> None:
        """Refuse names that are one name, or would be on a file system that knows no case or composes characters."""
        count = sum(not info.is_dir() for info in infos)
        if len(members) != count:
            seen: set[str] = set()
            twice = next(info.filename for info in infos if info.filename in seen or seen.add(info.filename))  # type: ignore[func-returns-value]
            raise self.bad(f"two members have one name: {_shown(twice)}")
        folded: dict[str, str] = {}
        folders: set[str] = set()
        for name in members:
            other = folded.setdefault(_folded(name), name)
            if other is not name:
                raise self.bad(f"its members {_shown(other)} and {_shown(name)} are one file where case does not count")
            folder = name.rpartition("/")[0]
            while folder and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        folders.update(info.filename.rstrip("/") for info in infos if info.is_dir())
        both = next((folder for folder in sorted(folders) if _folded(folder) in folded), None)
        if both is not None:
            raise self.bad(f"its member {_shown(both)} is a file and a folder")

    # -- the wheel ---------------------------------------------------------------------------------------------------------

    def _find_home(self, names: Collection[str]) -> str:
        """The wheel's one dist-info folder, which must be the one that its file name promises."""
        tops = {name.partition("/")[0] for name in names if "/" in name}
        homes = [top for top in tops if top.lower().endswith(".dist-info")]
        if len(homes) != 1 or not homes[0].endswith(".dist-info"):
            raise self.bad(f"it has {len(homes)} dist-info folders, not one")
        home = homes[0]
        for name in ("METADATA", "WHEEL", "RECORD"):
            if f"{home}/{name}" not in names:
                raise self.bad(f"it has no {home}/{name}")
        return home

    def _check_metadata(self, members: Mapping[str, zipfile.ZipInfo], home: str) -> None:
        """Hold name and version in METADATA, of the dist-info and of the file to each other, and WHEEL to a known version."""
        name, version, _ = parse_metadata(self._read(members[f"{home}/METADATA"], _LARGEST_METADATA))
        stems = [("the dist-info in it", home.removesuffix(".dist-info"))]
        if self.path.endswith(".whl"):
            stems.append(("its file", "-".join(os.path.basename(self.path).split("-")[:2])))
        for what, stem in stems:
            named, dash, numbered = stem.partition("-")
            if dash and (normalise_name(named) != normalise_name(name) or not _same_version(numbered, version)):
                raise self.bad(f"{what} is {_shown(stem)}, and METADATA says {_shown(f'{name} {version}')}")
        stated = re.search(
            rb"^Wheel-Version:[ \t]*(\d+)\.\d+[ \t]*\r?$",
            self._read(members[f"{home}/WHEEL"], _LARGEST_METADATA),
            re.MULTILINE | re.IGNORECASE,
        )
        if stated is None or stated[1] != b"1":
            raise self.bad(f"{home}/WHEEL does not say that it is a wheel of version 1")

    def _declared(self, members: Mapping[str, zipfile.ZipInfo], home: str) -> dict[str, str]:
        if f"{home}/entry_points.txt" not in members:
            return {}
        try:
            return parse_entry_points(self._read(members[f"{home}/entry_points.txt"], _LARGEST_METADATA).decode())
        except (UnicodeDecodeError, EntryPointError) as error:
            raise self.bad(f"entry_points.txt: {error}") from error

    def _read_record(self, members: Mapping[str, zipfile.ZipInfo], home: str) -> dict[str, RecordRow]:
        """The rows of RECORD by their paths, each of which is a member."""
        where = f"{home}/RECORD"
        text = self._read(members[where], _LARGEST_RECORD).decode()
        # A published wheel (gmsh 4.15.2) has its hashes in hex, and they are right; installers take any text for a hash.
        text = _HEX.sub(lambda match: f",{match[1]}={_in_record(match[2])},", text)
        rows, faults = parse_record(text, where=where, site="", prefix="\0")
        if faults:
            raise self.bad(f"RECORD, {_shown(faults[0].path)}: {faults[0].message}")
        found = {row.path: row for row in rows}
        absent = next((path for path in found if path not in members), None)
        if absent is not None and absent not in {f"{home}/{name}" for name in _SIGNATURES}:
            raise self.bad(f"RECORD names {_shown(absent)}, which is not in it")
        return found

    def _held(self, info: zipfile.ZipInfo, row: RecordRow | None, home: str) -> str:
        """The hex SHA-256 of the member *info*, which must be what its *row* of RECORD says."""
        shown = _shown(info.filename)
        exempt = info.filename.startswith(f"{home}/") and info.filename[len(home) + 1 :] in _SIGNATURES
        digest = hashlib.sha256()
        other = None
        if not exempt:
            if row is None:
                raise self.bad(f"RECORD does not name its member {shown}")
            if not row.digest:
                raise self.bad(f"RECORD has no hash for its member {shown}")
            other = hashlib.new(row.algorithm) if row.algorithm != "sha256" else None
        for chunk in self._chunks(info):
            digest.update(chunk)
            if other is not None:
                other.update(chunk)
        found = (other or digest).digest()
        if not exempt and row is not None and (found != row.digest or row.size not in {-1, info.file_size}):
            raise self.bad(f"its member {shown} is not what RECORD states")
        return digest.hexdigest()

    def _script(self, info: zipfile.ZipInfo, digest: str, targets: Collection[str]) -> str:
        """The hash of a script as it will be; empty for a wrapper of one of the entry points *targets* under a name of its own."""
        head = b""
        for chunk in self._chunks(info):
            head = chunk
            break
        line, newline, _ = head.partition(b"\n")
        length = info.file_size - len(line) - len(newline)
        # Installers rewrite a first line that starts with #!python, and its arguments are lost.
        if not line.startswith(b"#!python") or length > LARGEST_SCRIPT:
            return digest
        content = normalised_script(self._read(info, LARGEST_SCRIPT + _CHUNK).partition(b"\n")[2])
        return "" if wrapper_target(content) in targets else hashlib.sha256(content).hexdigest()

    def _read(self, info: zipfile.ZipInfo, most: int) -> bytes:
        if info.file_size > most:
            raise self.bad(f"its member {_shown(info.filename)} has {info.file_size:,} bytes")
        return b"".join(self._chunks(info))

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """The bytes of a member, which must be as many as the directory says, and have its checksum.

        zipfile stops where the stated size is reached, and tells nobody of what would follow.
        """
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            with self.archive.open(info) as member:
                while chunk := member.read(_CHUNK):
                    yield chunk
            return
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS) if info.compress_type == zipfile.ZIP_DEFLATED else None
        at, left, total, checksum = self.starts[info.filename], info.compress_size, 0, 0
        more = False
        while left > 0 or more:
            data = b"" if unpacker is None else unpacker.unconsumed_tail
            if not data and left > 0:
                data = os.pread(self.fd, min(left, _CHUNK), at)
                if not data:
                    raise self.bad(f"its member {_shown(info.filename)} is cut short")
                at, left = at + len(data), left - len(data)
            chunk = data if unpacker is None else unpacker.decompress(data, _CHUNK)
            more = len(chunk) == _CHUNK and unpacker is not None  # zlib may hold back what it has unpacked already
            total += len(chunk)
            if total > info.file_size:
                raise self.bad(f"its member {_shown(info.filename)} unpacks to more than it says")
            checksum = zlib.crc32(chunk, checksum)
            if chunk:
                yield chunk
            if unpacker is not None and unpacker.eof:
                break
        if unpacker is not None and (not unpacker.eof or unpacker.unused_data or left):
            raise self.bad(f"its member {_shown(info.filename)} is followed by bytes that nothing unpacks, or is cut short")
        if total != info.file_size or checksum != info.CRC:
            raise self.bad(f"its member {_shown(info.filename)} is not of the size or checksum that it says")


def _in_record(value: str) -> str:
    """A digest in hex as a RECORD writes it."""
    return base64.urlsafe_b64encode(bytes.fromhex(value)).rstrip(b"=").decode()


def _extra_fields(data: bytes) -> dict[int, bytes]:
    """The extra fields of a member by their numbers (APPNOTE, 4.5); what is malformed ends them."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        number, length = struct.unpack_from("<2H", data, at)
        found.setdefault(number, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _folded(name: str) -> str:
    """*name* as file systems compare it that know no case (NTFS), or no composition of characters either (APFS)."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _same_version(one: str, other: str) -> bool:
    if one == other:
        return True
    key = version_key(one.replace("_", "-"))
    return key == version_key(other) if key is not None else one.replace("-", "_") == other.replace("-", "_")
