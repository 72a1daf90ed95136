"""How the system's dynamic loader finds a shared library by its name: glibc's and musl's rules, and ld.so.cache.

Source: ld.so(8), glibc's ``elf/dl-load.c``, ``elf/dl-cache.c`` and ``sysdeps/generic/dl-cache.h``, musl's ``ldso/dynlink.c``.
``LD_LIBRARY_PATH`` and ``LD_PRELOAD`` belong to a process and are not looked at here. Every offset of a cache is checked against
its length, so that a hostile one costs a `CacheError` and nothing more.
"""

from __future__ import annotations

import posixpath
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from sanctity.observe.elf import Elf
    from sanctity.observe.view import View

__all__ = ["CACHE", "CacheEntry", "CacheError", "Loader", "hwcaps_of", "parse_cache", "read_loader"]

#: Where glibc keeps its cache.
CACHE: Final = "/etc/ld.so.cache"
_LARGEST: Final = 1 << 23
_MOST_TEXT: Final = 1 << 25
_SMALL: Final = 1 << 16
_MOST_OLD: Final = 8192
_LONGEST: Final = 4096
_OLD_MAGIC: Final = b"ld.so-1.7.0\0"
_NEW_MAGIC: Final = b"glibc-ld.so.cache1.1"
_OLD_HEADER, _OLD_ENTRY = "12sI", "iII"
_NEW_HEADER, _NEW_ENTRY = "20sIIB3xI12x", "iIIIQ"
_EXTENSION_MAGIC: Final = 0xEAA42174
_TAG_HWCAPS: Final = 1
_MOST_EXTENSIONS: Final = 64
#: The bit of an entry's hwcap that says: its low 32 bits count into the names of the extension.
_NAMED_HWCAP: Final = 1 << 62
#: What `flags` of an entry says of a library for each machine (FLAG_ELF_LIBC6 with the machine's own bits).
_FLAGS: Final = {
    "x86_64": (0x303,),
    "i686": (0x1, 0x3),
    "aarch64": (0xA03,),
    "armv7l": (0x903, 0xB03, 0x3),
    "ppc64": (0x503,),
    "ppc64le": (0x503,),
    "s390x": (0x403,),
    "riscv64": (0x1003, 0xF03),
}
#: Debian's name for the folder of a machine's libraries.
_TRIPLES: Final = {
    "i686": "i386-linux-gnu",
    "armv7l": "arm-linux-gnueabihf",
    "ppc64": "powerpc64-linux-gnu",
    "ppc64le": "powerpc64le-linux-gnu",
}
_LIB64: Final = frozenset({"x86_64", "aarch64", "ppc64", "ppc64le", "s390x", "riscv64"})
#: What Linux calls the features that each level of the x86-64 psABI adds.
_LEVELS: Final = (
    ("x86-64-v2", frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})),
    ("x86-64-v3", frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})),
    ("x86-64-v4", frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
)
_MUSL_FOLDERS: Final = ("/lib", "/usr/local/lib", "/usr/lib")
_MUSL_NAMES: Final = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))


class CacheError(ValueError):
    """The file is no cache of glibc's, or contradicts itself."""


class CacheEntry(NamedTuple):
    """One library of a cache: its *name*, the *path* to take, its *flags*, and *hwcap*: the name of a ``glibc-hwcaps`` folder.

    *legacy* are the bits of a processor's features as glibc before 2.33 gave them.
    """

    name: str
    path: str
    flags: int
    hwcap: str = ""
    legacy: int = 0


def parse_cache(data: bytes) -> tuple[CacheEntry, ...]:
    """Read an ``ld.so.cache``, in its own order: the new format, also behind the old one, and the old one alone.

    Raises:
        CacheError: it is not well-formed.
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise CacheError(f"truncated: {error}") from error


def _parse(data: bytes) -> tuple[CacheEntry, ...]:
    if data.startswith(_NEW_MAGIC):
        return _parse_new(data, 0)
    if not data.startswith(_OLD_MAGIC[:11]):
        raise CacheError("it does not start as a cache of glibc's does")
    order = _order(data[12:16])
    (_, count) = struct.unpack_from(order + _OLD_HEADER, data)
    start = struct.calcsize(order + _OLD_HEADER)
    end = start + count * struct.calcsize(order + _OLD_ENTRY)
    if end > len(data):
        raise CacheError("it ends before its entries do")
    after = end + -end % 8
    if data.startswith(_NEW_MAGIC, after):
        return _parse_new(data, after)
    if count > _MOST_OLD:
        raise CacheError("it has more entries than any system")
    entries = struct.iter_unpack(order + _OLD_ENTRY, data[start:end])
    return tuple(CacheEntry(_text(data, end + name), _text(data, end + path), flags) for flags, name, path in entries)


def _order(count: bytes) -> str:
    """The byte order in which *count* is the smaller number, for formats that do not state theirs."""
    return "<" if int.from_bytes(count, "little") <= int.from_bytes(count, "big") else ">"


def _parse_new(data: bytes, base: int) -> tuple[CacheEntry, ...]:
    """The new format at *base*: texts are counted from there, the extension from the start of the file."""
    kind = data[base + 28] & 3
    # glibc before 2.32 did not say in which byte order it wrote.
    order = {2: "<", 3: ">"}.get(kind) or _order(data[base + 20 : base + 24])
    _, count, _, _, extension = struct.unpack_from(order + _NEW_HEADER, data, base)
    size = struct.calcsize(order + _NEW_ENTRY)
    start = base + struct.calcsize(order + _NEW_HEADER)
    if start + count * size > len(data):
        raise CacheError("it ends before its entries do")
    names = _hwcap_names(data, order, extension, base) if extension else ()
    found: list[CacheEntry] = []
    left = _MOST_TEXT
    for flags, name, path, _, bits in struct.iter_unpack(order + _NEW_ENTRY, data[start : start + count * size]):
        hwcap, legacy = "", bits
        if bits & _NAMED_HWCAP and names:
            hwcap, legacy = names[bits & 0xFFFFFFFF], 0
        found.append(CacheEntry(_text(data, base + name), _text(data, base + path), flags, hwcap, legacy))
        left -= len(found[-1].name) + len(found[-1].path)
        if left < 0:
            raise CacheError("its entries share more text than any system has")
    return tuple(found)


def _hwcap_names(data: bytes, order: str, at: int, base: int) -> tuple[str, ...]:
    """The names of ``glibc-hwcaps`` folders that the extension at *at* lists."""
    magic, count = struct.unpack_from(order + "II", data, at)
    if magic != _EXTENSION_MAGIC or count > _MOST_EXTENSIONS:
        raise CacheError("its extension is out of bounds")
    for index in range(count):
        tag, _, start, size = struct.unpack_from(order + "IIII", data, at + 8 + 16 * index)
        if tag == _TAG_HWCAPS:
            if start + size > len(data) or size % 4:
                raise CacheError("its extension is out of bounds")
            return tuple(_text(data, base + name) for (name,) in struct.iter_unpack(order + "I", data[start : start + size]))
    return ()


def _text(data: bytes, start: int) -> str:
    end = data.find(b"\0", start, start + _LONGEST)
    if end < 0:
        raise CacheError("a string has no end")
    return data[start:end].decode("utf-8", "surrogateescape")


def hwcaps_of(machine: str, features: Collection[str]) -> tuple[str, ...]:
    """The ``glibc-hwcaps`` folders that glibc looks into on a processor with *features* as Linux names them, the best first."""
    found: list[str] = []
    if machine == "x86_64":
        for name, needed in _LEVELS:
            if not needed <= set(features):
                break
            found.insert(0, name)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Loader:
    """One system's loader: *libc* is ``glibc`` or ``musl``, *folders* its default folders, *cache* the paths of its cache by name.

    *hwcaps* are the folders of ``glibc-hwcaps`` that the processor takes, the best first; *lib* is what ``$LIB`` stands for and
    *platform* what ``$PLATFORM`` does. *path* is the loader itself, as an executable names it. *varied* are the names that the
    cache has in such folders too. *fault* says where its own settings could not be read, and why.
    """

    libc: str
    path: str
    folders: tuple[str, ...] = ()
    cache: dict[str, str] = field(default_factory=dict)
    hwcaps: tuple[str, ...] = ()
    lib: str = "lib"
    platform: str = ""
    varied: frozenset[str] = frozenset()
    fault: tuple[str, str] = ("", "")

    def places(self, text: str, origin: str) -> tuple[str, ...]:
        """The folders that an RPATH or RUNPATH *text* names, for a file in the folder *origin*. An empty one is no folder here.

        glibc takes an empty or relative folder as one below the working folder, which belongs to a process.
        """
        found: list[str] = []
        for place in text.split(":"):
            expanded = self.expand(place, origin)
            if expanded.startswith("/"):
                found.append(posixpath.normpath(expanded) if "/.." not in expanded else expanded.rstrip("/"))
        return tuple(dict.fromkeys(found))

    def expand(self, text: str, origin: str) -> str:
        """*text* with ``$ORIGIN``, ``$LIB`` and ``$PLATFORM`` put in; musl knows the first alone."""
        if "$" not in text:
            return text
        words = {"ORIGIN": origin} if self.libc == "musl" else {"ORIGIN": origin, "LIB": self.lib, "PLATFORM": self.platform}
        for word, value in words.items():
            # glibc takes the longest name there is, so that $LIBRARY is none of these.
            pieces = re.split(rf"\$(?:\{{{word}\}}|{word}(?!\w))", text, flags=re.ASCII)
            text = value.join(pieces)
        return text

    def is_own(self, name: str) -> bool:
        """Whether musl's loader is itself what is asked for: it is the C library, under all of its names."""
        return self.libc == "musl" and name.startswith(_MUSL_NAMES)


def read_loader(view: View, elf: Elf, *, hwcaps: tuple[str, ...] = ()) -> Loader:
    """The loader that starts the executable *elf*, as *view*'s system has set it up.

    Like glibc's, it goes on without a cache that is malformed, and says so in `Loader.fault`.
    """
    machine = elf.machine
    if "ld-musl-" in elf.loader:
        folders, fault = _musl_folders(view, elf.loader)
        return Loader("musl", elf.loader, folders, fault=fault)
    triple = _TRIPLES.get(machine, f"{machine}-linux-gnu")
    lib = "lib64" if machine in _LIB64 else "lib"
    folders = (f"/{lib}", f"/usr/{lib}")
    if view.is_folder(f"/usr/lib/{triple}") or view.is_folder(f"/lib/{triple}"):
        lib = f"lib/{triple}"
        folders = (f"/lib/{triple}", f"/usr/lib/{triple}", "/lib", "/usr/lib")
    elif lib == "lib64" and not view.is_folder("/lib64") and not view.is_folder("/usr/lib64"):  # pragma: no cover
        folders = ("/lib", "/usr/lib")
    cache: dict[str, str] = {}
    varied: set[str] = set()
    entries: tuple[CacheEntry, ...] = ()
    fault = ("", "")
    try:
        entries = parse_cache(view.read(CACHE, _LARGEST))
    except FileNotFoundError:
        pass
    except (OSError, CacheError) as error:
        fault = (CACHE, error.strerror or "unreadable" if isinstance(error, OSError) else f"it is no cache of glibc's: {error}")
    best: dict[str, int] = {}
    wanted = _FLAGS.get(machine, (0x3,))
    for entry in entries:
        if entry.flags not in wanted:
            continue
        if entry.hwcap:
            varied.add(entry.name)
            if entry.hwcap not in hwcaps:
                continue
        # The named folders of this processor first, the best of them before all; what asks for old feature bits last.
        rank = hwcaps.index(entry.hwcap) if entry.hwcap else len(hwcaps) + bool(entry.legacy)
        if entry.name not in best or rank < best[entry.name]:
            best[entry.name] = rank
            cache[entry.name] = entry.path
    return Loader("glibc", elf.loader, folders, cache, hwcaps, lib, machine, frozenset(varied), fault)


def _musl_folders(view: View, loader: str) -> tuple[tuple[str, ...], tuple[str, str]]:
    """The folders in ``/etc/ld-musl-ARCH.path``, or those that musl has built in; and what could not be read, and why."""
    above, _, name = loader.rpartition("/lib/")
    arch = (name or loader.rpartition("/")[2]).removeprefix("ld-musl-").partition(".so")[0]
    settings = f"{above}/etc/ld-musl-{arch}.path"
    try:
        text = view.read(settings, _SMALL).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return _MUSL_FOLDERS, ("", "")
    except OSError as error:
        return _MUSL_FOLDERS, (settings, error.strerror or "unreadable")
    return tuple(place for place in text.replace("\n", ":").split(":") if place.startswith("/")), ("", "")
