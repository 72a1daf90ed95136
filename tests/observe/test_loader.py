"""ld.so.cache in each of its formats as ldconfig itself writes and prints it, and what a loader makes of its words for folders."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from observe.shared import make_library, needs_compiler
from sanctity.observe.elf import Elf
from sanctity.observe.loader import CACHE, CacheEntry, CacheError, Loader, hwcaps_of, parse_cache, read_loader
from sanctity.observe.view import View

_LDCONFIG = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
needs_ldconfig = pytest.mark.skipif(_LDCONFIG is None, reason="there is no ldconfig on this machine")
_LEVELS = ("x86-64-v4", "x86-64-v3", "x86-64-v2")
_ELF = Elf(bits=64, order="<", machine="x86_64", loader="/lib64/ld-linux-x86-64.so.2")


def _cache(entries: list[CacheEntry], *, order: str = "<", stated: bool = True, old: bool = False) -> bytes:
    """A cache that holds *entries*, with an old one before it if *old*; *stated* says whether it gives its byte order."""
    names = sorted({entry.hwcap for entry in entries if entry.hwcap})
    texts = bytearray(b"\0")
    places: dict[str, int] = {}
    start = 48 + 24 * len(entries)
    for text in [text for entry in entries for text in (entry.name, entry.path)] + names:
        places[text] = start + len(texts)
        texts += text.encode() + b"\0"
    texts += bytes(-len(texts) % 4)
    before = struct.pack(order + "12sIiII4x", b"ld.so-1.7.0\0", 1, 3, 0, 0) if old else b""
    extension = len(before) + start + len(texts) if names else 0
    kind = (3 if order == ">" else 2) if stated else 0
    data = bytearray(struct.pack(order + "20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(entries), len(texts), kind, extension))
    for entry in entries:
        bits = 1 << 62 | names.index(entry.hwcap) if entry.hwcap else entry.legacy
        data += struct.pack(order + "iIIIQ", entry.flags, places[entry.name], places[entry.path], 0, bits)
    data += texts
    if names:
        data += struct.pack(order + "IIIIII", 0xEAA42174, 1, 1, 0, extension + 24, 4 * len(names))
        data += struct.pack(f"{order}{len(names)}I", *(places[name] for name in names))
    return before + bytes(data)


_ENTRIES = [
    CacheEntry("libz.so.1", "/usr/lib/libz.so.1", 0x303),
    CacheEntry("libm.so.6", "/usr/lib/glibc-hwcaps/x86-64-v3/libm.so.6", 0x303, "x86-64-v3"),
    CacheEntry("libm.so.6", "/usr/lib/glibc-hwcaps/x86-64-v2/libm.so.6", 0x303, "x86-64-v2"),
    CacheEntry("libm.so.6", "/usr/lib/haswell/libm.so.6", 0x303, "", 1 << 58),
    CacheEntry("libm.so.6", "/usr/lib/libm.so.6", 0x303),
    CacheEntry("libm.so.6", "/usr/lib32/libm.so.6", 0x3),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_what_was_written_is_read(order: str, *, stated: bool, old: bool) -> None:
    assert list(parse_cache(_cache(_ENTRIES, order=order, stated=stated, old=old))) == _ENTRIES


@needs_ldconfig
def test_this_machines_cache_is_what_ldconfig_prints() -> None:
    if not Path(CACHE).exists():
        pytest.skip("this machine has no ld.so.cache")
    assert _LDCONFIG is not None
    printed = subprocess.run([_LDCONFIG, "-p"], capture_output=True, text=True, check=True).stdout
    expected = re.findall(r"^\t(\S+) \(.*\) => (\S+)$", printed, re.MULTILINE)
    assert expected
    assert [(entry.name, entry.path) for entry in parse_cache(Path(CACHE).read_bytes())] == expected


@needs_compiler
@needs_ldconfig
@pytest.mark.parametrize("form", ["new", "compat", "old"])
def test_a_cache_that_ldconfig_makes(tmp_path: Path, form: str) -> None:
    """In every format that ldconfig writes; folders for kinds of processors are in the new one alone."""
    assert _LDCONFIG is not None
    for folder in ("usr/lib", "usr/lib/glibc-hwcaps/x86-64-v2", "usr/lib/glibc-hwcaps/x86-64-v3"):
        make_library(tmp_path / folder / "libfirst.so.1", soname="libfirst.so.1")
    make_library(tmp_path / "usr/lib/libsecond.so.1", soname="libsecond.so.1")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.conf").write_text("/usr/lib\n")
    done = subprocess.run([_LDCONFIG, "-r", tmp_path, "-c", form], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this ldconfig writes no cache of the form {form}: {done.stderr[:200]}")
    found = parse_cache((tmp_path / "etc/ld.so.cache").read_bytes())
    assert ("libsecond.so.1", "/usr/lib/libsecond.so.1") in {(entry.name, entry.path) for entry in found}
    if form == "old":
        return
    assert {entry.hwcap for entry in found if entry.name == "libfirst.so.1"} == {"", "x86-64-v2", "x86-64-v3"}
    for entry in found:
        assert entry.path == f"/usr/lib/{f'glibc-hwcaps/{entry.hwcap}/' if entry.hwcap else ''}{entry.name}"


@pytest.mark.parametrize(
    ("hwcaps", "path"),
    [
        (_LEVELS, "/usr/lib/glibc-hwcaps/x86-64-v3/libm.so.6"),
        (_LEVELS[2:], "/usr/lib/glibc-hwcaps/x86-64-v2/libm.so.6"),
        ((), "/usr/lib/libm.so.6"),
    ],
)
def test_the_best_folder_for_the_processor(tmp_path: Path, hwcaps: tuple[str, ...], path: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(_cache(_ENTRIES))
    loader = read_loader(View(str(tmp_path)), _ELF, hwcaps=hwcaps)
    assert loader.cache == {"libz.so.1": "/usr/lib/libz.so.1", "libm.so.6": path}
    assert loader.varied == {"libm.so.6"}


def test_only_old_feature_bits(tmp_path: Path) -> None:
    """A library that is there for one old processor alone is taken only where there is no other."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(_cache(_ENTRIES[3:4]))
    assert read_loader(View(str(tmp_path)), _ELF).cache == {"libm.so.6": "/usr/lib/haswell/libm.so.6"}


def test_no_cache_is_none_and_a_bad_one_is_said(tmp_path: Path) -> None:
    view = View(str(tmp_path))
    assert read_loader(view, _ELF).fault == ("", "")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ld.so.cache").write_bytes(b"no cache")
    loader = read_loader(view, _ELF)
    assert loader.fault[0] == CACHE
    assert loader.cache == {}


def test_levels_of_x86_64() -> None:
    v2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}
    v3 = v2 | {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
    v4 = v3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    assert hwcaps_of("x86_64", set()) == ()
    assert hwcaps_of("x86_64", v2) == _LEVELS[2:]
    assert hwcaps_of("x86_64", v3) == _LEVELS[1:]
    assert hwcaps_of("x86_64", v4) == _LEVELS
    assert hwcaps_of("x86_64", v4 - {"ssse3"}) == ()
    assert hwcaps_of("aarch64", v4) == ()


def test_this_machines_levels_are_the_loaders_own() -> None:
    """`ld.so --help` says which folders it looks into on this processor."""
    loader = Path(_ELF.loader)
    cpu = Path("/proc/cpuinfo")
    if not loader.exists() or not cpu.exists():
        pytest.skip("no glibc for x86-64 here")
    said = subprocess.run([loader, "--help"], capture_output=True, text=True, check=False).stdout
    expected = re.findall(
        r"^  (\S+) \(supported, searched\)", said.partition("glibc-hwcaps")[2].partition("Legacy")[0], re.MULTILINE
    )
    if not expected:
        pytest.skip("this loader does not say which folders it looks into")
    flags = re.search(r"^flags\s*:(.*)$", cpu.read_text(), re.MULTILINE)
    assert flags
    assert list(hwcaps_of("x86_64", flags[1].split())) == expected


def test_words_for_folders() -> None:
    loader = Loader("glibc", "", lib="lib/x86_64-linux-gnu", platform="haswell")
    assert loader.places("$ORIGIN:${ORIGIN}/../x.libs:/a/$LIB/${PLATFORM}:$LIBRARY/x::.", "/o") == (
        "/o",
        "/o/../x.libs",
        "/a/lib/x86_64-linux-gnu/haswell",
    )
    musl = Loader("musl", "")
    assert musl.places("$ORIGIN/../lib:/a/$LIB", "/o") == ("/o/../lib", "/a/$LIB")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ("/lib", "/usr/local/lib", "/usr/lib")),
        ("/lib/x86_64-linux-musl\n/usr/lib:/opt/lib\n", ("/lib/x86_64-linux-musl", "/usr/lib", "/opt/lib")),
        ("", ()),
    ],
)
def test_musls_folders(tmp_path: Path, text: str | None, expected: tuple[str, ...]) -> None:
    if text is not None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc/ld-musl-x86_64.path").write_text(text)
    elf = Elf(bits=64, order="<", machine="x86_64", loader="/lib/ld-musl-x86_64.so.1")
    loader = read_loader(View(str(tmp_path)), elf)
    assert (loader.libc, loader.folders) == ("musl", expected)
    assert loader.is_own("libc.musl-x86_64.so.1")
    assert loader.is_own("libpthread.so.0")
    assert not loader.is_own("libcrypt.so.1")


_SOUND = [_cache(_ENTRIES), _cache(_ENTRIES, order=">"), _cache(_ENTRIES, old=True), _cache(_ENTRIES, stated=False)]
_ACCIDENTS = st.lists(
    st.tuples(
        st.integers(0, 600),
        st.one_of(st.sampled_from((b"\0", b"\xff", b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f")), st.binary(max_size=8)),
    ),
    max_size=6,
)


@settings(max_examples=3_000, derandomize=True, deadline=None)
@given(st.sampled_from(_SOUND), _ACCIDENTS, st.one_of(st.none(), st.integers(0, 600)))
def test_any_cache_costs_an_error_at_most(data: bytes, accidents: list[tuple[int, bytes]], cut: int | None) -> None:
    """3,000 cases, derandomised: counts, offsets, byte order and the extension overwritten, the file cut anywhere."""
    changed = bytearray(data)
    for at, value in accidents:
        start = at % len(changed)
        changed[start : start + len(value)] = value
    try:
        found = parse_cache(bytes(changed[:cut]))
    except CacheError:
        return
    assert len(found) <= len(changed) // 12


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.binary(max_size=200))
@example(b"")
@example(b"glibc-ld.so.cache1.1")
@example(b"ld.so-1.7.0\0\xff\xff\xff\xff")
def test_any_bytes_cost_an_error_at_most(data: bytes) -> None:
    for start in (b"", b"glibc-ld.so.cache1.1", b"ld.so-1.7.0\0"):
        with pytest.raises(CacheError):
            parse_cache(start + data[:20])


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.text(alphabet="$ORIGINLBPATFM{}/:._a-\n", max_size=60), st.text(max_size=10))
def test_any_words_are_expanded(text: str, origin: str) -> None:
    for libc in ("glibc", "musl"):
        places = Loader(libc, "", lib="lib64", platform="x").places(text, "/" + origin)
        assert all(place.startswith("/") for place in places)
