"""Wheels that were never installed: the digest of the page's own example, and every hostile one refused by name.

Beside them, the same laws on disk: what of an installed distribution counts, and what never does.
"""

from __future__ import annotations

import json
import random
import re
import struct
import time
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from real.index import make_wheel
from sanctity.errors import DocumentError
from sanctity.model.drift import Depth
from sanctity.observe.environment import observe_environment
from sanctity.observe.wheels import wheel_content, wheel_rows
from sites import add_distribution, build_site, record_row, site_packages

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE: Final = Path(__file__).parents[2] / "docs/content-digest.md"
SEED: Final = 20261123
FILES: Final = {
    "pkg/__init__.py": b"VALUE = 1\n" * 40,
    "pkg/data.bin": bytes(range(256)),
    "pkg-1.0.data/scripts/tool": b"#!python\nprint()\n",
}
OTHER: Final = (
    ("other-1.0.dist-info/METADATA", b"Name: other\nVersion: 1.0\n"),
    ("other-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n"),
    ("other-1.0.dist-info/RECORD", b""),
)
ENTRY_POINTS: Final = "[console_scripts]\nrun = pkg:main\n"


def a_wheel(folder: Path, **files: bytes) -> Path:
    return make_wheel(folder, "pkg", "1.0", {**FILES, **files}, entry_points=ENTRY_POINTS).path


def rewritten(
    wheel: Path, *, add: tuple[tuple[str, bytes], ...] = (), drop: str = "\0", compression: int = zipfile.ZIP_STORED
) -> Path:
    """The same wheel in another folder, with more members, or without those whose name holds *drop*."""
    other = wheel.parent / "rewritten" / wheel.name
    other.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(other, "w", compression) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a second member with one name
        members = [(info.filename, source.read(info)) for info in source.infolist() if drop not in info.filename]
        members += add
        for name, data in members:
            if not name.endswith("dist-info/RECORD"):
                target.writestr(zipfile.ZipInfo(name), data, compression)
        for record in dict.fromkeys(name for name, _ in members if name.endswith("dist-info/RECORD")):
            target.writestr(record, _record(members))
    return other


def _record(members: list[tuple[str, bytes]]) -> str:
    """A true RECORD of all *members*, but for itself and signatures of it."""
    rows = [
        record_row(f'"{name}"' if "," in name else name, data)
        for name, data in members
        if "/RECORD" not in name and name[-1] != "/"
    ]
    return "\n".join(rows) + "\n"


def refused(wheel: Path) -> str:
    """Why *wheel* is refused."""
    with pytest.raises(DocumentError) as caught:
        wheel_content(str(wheel))
    assert caught.value.code == "wheel-invalid"
    assert caught.value.where == str(wheel)
    assert caught.value.hint
    return caught.value.message


def _read_or_refused(wheel: Path) -> str | None:
    """The digest of *wheel*, or None where it is refused by name; anything else is raised."""
    try:
        return str(wheel_content(str(wheel)))
    except DocumentError as error:
        if error.code != "wheel-invalid":
            raise
        return None


# -- what is read ----------------------------------------------------------------------------------------------------------


def test_the_page_s_example(tmp_path: Path) -> None:
    """The wheel that docs/content-digest.md describes has the rows and the digest that it prints."""
    text = PAGE.read_text("utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (entry_points,) = re.findall(r"```ini\n(.*?)```", text, re.DOTALL)
    rows, digest = re.findall(r"```(?:json|text)\n(.*?)```", text, re.DOTALL)[:2]
    wheel = tmp_path / "hello-1.0-py3-none-any.whl"
    info = "hello-1.0.dist-info"
    members = {
        "hello.py": source,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points,
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, words in members.items():
            archive.writestr(name, words)
        archive.writestr(f"{info}/RECORD", _record([(name, words.encode()) for name, words in members.items()]))
    assert sorted(wheel_rows(str(wheel))) == [tuple(row) for row in json.loads(rows)]
    assert str(wheel_content(str(wheel))) == digest.strip()


def test_packing_is_no_content(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path)
    digest = wheel_content(str(wheel))
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert wheel_content(str(rewritten(wheel, compression=compression))) == digest
    about = [(f"pkg-1.0.dist-info/{name}", b"x") for name in ("INSTALLER", "RECORD.jws", "direct_url.json")]
    about += [("pkg/__pycache__/__init__.cpython-311.pyc", b"x"), ("pkg/__pycache__/a.pyo", b"x"), ("pkg/empty/", b"")]
    assert wheel_content(str(rewritten(wheel, add=tuple(about)))) == digest
    assert wheel_content(str(rewritten(wheel, add=(("pkg/sourceless.pyc", b"x"),)))) != digest
    assert wheel_content(str(rewritten(wheel, drop="data.bin"))) != digest
    blob = tmp_path / "0123abcd"  # as an archive keeps it, by its hash
    blob.write_bytes(wheel.read_bytes())
    assert wheel_content(str(blob)) == digest


def test_the_builder_of_a_packed_wheel_is_no_content(tmp_path: Path) -> None:
    """A wheel with the mark of what was built here counts as that does: by the lines of its WHEEL that do not name the builder."""
    wheel = a_wheel(tmp_path)
    marked = rewritten(wheel, add=(("pkg-1.0.dist-info/uv_build.json", b"{}"),))
    digest = wheel_content(str(marked))
    assert digest != wheel_content(str(wheel))
    with zipfile.ZipFile(marked) as archive:
        words = archive.read("pkg-1.0.dist-info/WHEEL").replace(b"Generator: tests", b"Generator: other")
    other = rewritten(marked, drop="/WHEEL", add=(("pkg-1.0.dist-info/WHEEL", words),))
    assert wheel_content(str(other)) == digest
    other = rewritten(marked, drop="/WHEEL", add=(("pkg-1.0.dist-info/WHEEL", words.replace(b"py3", b"py2")),))
    assert wheel_content(str(other)) != digest


def test_a_wheel_and_its_installation_agree(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    site = site_packages(env)
    wheel = make_wheel(
        tmp_path / "wheels",
        "beta",
        "2.5",
        {"beta.py": (site / "beta.py").read_bytes()},
        entry_points="[console_scripts]\nbeta = beta:main\n",
    )
    info = "beta-2.5.dist-info"
    add = tuple((f"{info}/{name}", (site / info / name).read_bytes()) for name in ("METADATA", "WHEEL"))
    assert wheel_content(str(_with(wheel.path, dict(add)))) == _content(env, "beta")


def _with(wheel: Path, files: dict[str, bytes]) -> Path:
    """*wheel* with other bytes for some of its members."""
    with zipfile.ZipFile(wheel) as source:
        members = {info.filename: source.read(info) for info in source.infolist()} | files
    with zipfile.ZipFile(wheel, "w") as target:
        for name, data in members.items():
            target.writestr(name, _record(list(members.items())) if name.endswith("/RECORD") else data)
    return wheel


# -- hostile wheels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py",
        "/evil.py",
        "pkg/../../evil.py",
        "pkg\\..\\evil.py",
        "pkg//x.py",
        "./x.py",
        "pkg/./x.py",
        "..",
        "pkg/..",
        "a\0b",
    ],
)
def test_a_member_with_an_unsafe_name(name: str, tmp_path: Path) -> None:
    # ZipInfo tidies some names, so they are put in afterwards.
    harmless = "Z" * len(name)
    wheel = rewritten(a_wheel(tmp_path), add=((harmless, b"evil"),))
    wheel.write_bytes(wheel.read_bytes().replace(harmless.encode(), name.encode()))
    assert "no plain path" in refused(wheel)


def test_two_members_of_one_name(tmp_path: Path) -> None:
    wheel = rewritten(a_wheel(tmp_path), add=(("pkg/data.bin", b"other"),))
    assert refused(wheel) == "two members have one name: 'pkg/data.bin'"


@pytest.mark.parametrize(
    ("add", "drop", "message"),
    [
        ((("other-1.0.dist-info/METADATA", b""),), "\0", "2 dist-info"),
        ((), ".dist-info", "0 dist-info"),
        ((), "METADATA", "no pkg-1.0.dist-info/METADATA"),
        (OTHER, "pkg-1.0.", "its file is 'pkg-1.0', and METADATA says 'other 1.0'"),
        (OTHER[:1] + OTHER[2:], "pkg-1.0.dist-info", "no other-1.0.dist-info/WHEEL"),
        (OTHER[:2], "pkg-1.0.dist-info", "no other-1.0.dist-info/RECORD"),
        ((("pkg-1.0.dist-info/WHEEL", b"Wheel-Version: 2.0\n"),), "WHEEL", "a wheel of version 1"),
        ((("pkg-1.0.dist-info/WHEEL", b"Wheel-Version: 10.0\n"),), "WHEEL", "a wheel of version 1"),
        ((("pkg-1.0.dist-info/WHEEL", b"Tag: py3-none-any\n"),), "WHEEL", "a wheel of version 1"),
        ((("pkg-1.0.dist-info/METADATA", b"Name: pkg\nVersion: 1.1\n"),), "METADATA", "METADATA says 'pkg 1.1'"),
        ((("pkg-1.0.dist-info/METADATA", b"Name: other\nVersion: 1.0\n"),), "METADATA", "METADATA says 'other 1.0'"),
        ((("pkg-1.0.data/lib/x.py", b""),), "\0", "no part of an installation"),
        ((("other-1.0.data/purelib/x.py", b""),), "\0", "no part of an installation"),
        ((("pkg-1.0.dist-info/entry_points.txt", b"[console_scripts]\nx = y\n"),), "entry_points", "is not a script"),
        ((("pkg-1.0.dist-info/entry_points.txt", b"\xff"),), "entry_points", "entry_points.txt"),
        ((("pkg-1.0.dist-info/entry_points.txt", b"#" * (17 << 20)),), "entry_points", "17,825,792 bytes"),
    ],
)
def test_metadata_that_can_not_be(add: tuple[tuple[str, bytes], ...], drop: str, message: str, tmp_path: Path) -> None:
    assert message in refused(rewritten(a_wheel(tmp_path), add=add, drop=drop))


def _crc(data: bytearray, entry: int) -> None:
    struct.pack_into("<I", data, entry + 16, 1)


def _larger(data: bytearray, entry: int) -> None:
    struct.pack_into("<I", data, entry + 24, 1 << 30)


def _longer(data: bytearray, entry: int) -> None:
    struct.pack_into("<II", data, entry + 20, 1 << 20, 1 << 10)


def _zip64(data: bytearray, entry: int) -> None:
    struct.pack_into("<II", data, entry + 20, 0xFFFFFFFF, 0xFFFFFFFF)


def _encrypted(data: bytearray, entry: int) -> None:
    struct.pack_into("<H", data, entry + 8, 1)


def _method(data: bytearray, entry: int) -> None:
    struct.pack_into("<H", data, entry + 10, 99)


def _elsewhere(data: bytearray, entry: int) -> None:
    struct.pack_into("<I", data, entry + 42, 0x7FFFFFFF)


def _overlapping(data: bytearray, entry: int) -> None:
    struct.pack_into("<I", data, entry + 42, 0)


def _directory(data: bytearray, entry: int) -> None:
    struct.pack_into("<I", data, data.rindex(b"PK\5\6") + 16, 0x7FFFFFFF)


@pytest.mark.parametrize(
    "lie",
    [_crc, _larger, _longer, _zip64, _encrypted, _method, _elsewhere, _overlapping, _directory],
    ids=lambda lie: lie.__name__[1:],
)
def test_a_directory_that_lies(lie: Callable[[bytearray, int], None], tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path)
    data = bytearray(wheel.read_bytes())
    first = data.index(b"PK\1\2")
    lie(data, data.index(b"PK\1\2", first + 1))  # the second member's entry
    wheel.write_bytes(data)
    assert refused(wheel)


@pytest.mark.parametrize("data", [b"", b"no zip at all", b"PK\5\6" + bytes(18), b"PK\3\4" * 100])
def test_what_is_no_wheel(data: bytes, tmp_path: Path) -> None:
    wheel = tmp_path / "pkg-1.0-py3-none-any.whl"
    wheel.write_bytes(data)
    assert refused(wheel)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """Ten thousand entries for one and the same megabyte: 10 GB in a small file, refused before a byte is unpacked."""
    wheel = tmp_path / "pkg-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pkg-1.0.dist-info/METADATA", "")
        archive.writestr("bomb", bytes(1 << 20))
        info = archive.getinfo("bomb")
        for number in range(10_000):
            again = zipfile.ZipInfo(f"bomb{number}")
            for field in ("compress_type", "CRC", "compress_size", "file_size", "header_offset"):
                setattr(again, field, getattr(info, field))
            archive.filelist.append(again)
    assert "shares bytes" in refused(wheel)


def test_a_wheel_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        wheel_content(str(tmp_path / "pkg-1.0-py3-none-any.whl"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_flipped_bit_is_refused_or_means_nothing(compression: int, tmp_path: Path) -> None:
    """600 flips for each way of packing: a damaged wheel never gets another digest than the whole one, and nothing else is raised."""
    wheel = rewritten(a_wheel(tmp_path), compression=compression)
    whole, digest = wheel.read_bytes(), wheel_content(str(wheel))
    chance = random.Random(SEED)
    refusals = 0
    for _ in range(600):
        place, bit = chance.randrange(len(whole)), chance.randrange(8)
        wheel.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        found = _read_or_refused(wheel)
        refusals += found is None
        assert found in {None, str(digest)}, (place, bit)
    assert refusals > 200


def test_a_cut_wheel_is_refused(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path)
    whole = wheel.read_bytes()
    for length in range(0, len(whole), 7):
        wheel.write_bytes(whole[:length])
        assert refused(wheel)


def test_garbage_is_refused(tmp_path: Path) -> None:
    """500 wheels with up to twenty random bytes: read or refused, and nothing else is raised."""
    wheel = a_wheel(tmp_path)
    whole = wheel.read_bytes()
    chance = random.Random(SEED)
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        wheel.write_bytes(data)
        found = _read_or_refused(wheel)
        assert found is None or found.startswith("content/1:sha256:")


# -- the same laws on disk -------------------------------------------------------------------------------------------------


def _content(env: Path, name: str) -> object:
    seen = observe_environment(str(env), depth=Depth.RECORD, clock=time.monotonic)
    (found,) = (item.content for item in seen.distributions if item.key == name)
    return found


def _claim(env: Path, info: str, path: str, data: bytes) -> None:
    """Write the file *path* (relative to site-packages) and add its row to the RECORD of *info*."""
    file = site_packages(env) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    record = site_packages(env) / info / "RECORD"
    record.write_text(record.read_text() + record_row(path, data) + "\n")


ALPHA: Final = "alpha-1.0.dist-info"


@pytest.mark.parametrize(
    "path",
    [
        *(f"{ALPHA}/{name}" for name in ("REQUESTED", "direct_url.json", "uv_cache.json", "provenance_url.json", "RECORD.jws")),
        "alpha-1.0.virtualenv",
        "alpha/__pycache__/__init__.cpython-311.pyc",
        "alpha/__pycache__/__init__.cpython-311.opt-2.pyc",
    ],
)
def test_what_never_counts(path: str, tmp_path: Path) -> None:
    env = build_site(tmp_path)
    whole = _content(env, "alpha")
    data = b'{"url": "https://index.example/alpha-1.0-py3-none-any.whl", "archive_info": {}}' if "direct" in path else b"{}"
    _claim(env, ALPHA, path, data)
    assert _content(env, "alpha") == whole
    (site_packages(env) / ALPHA / "INSTALLER").write_bytes(b"uv")
    assert _content(env, "alpha") == whole


@pytest.mark.parametrize(
    "path",
    [
        "alpha/sourceless.pyc",
        "alpha/__pycache__/more/x.pyc",
        "alpha/more.py",
        f"{ALPHA}/licenses/RECORD",
        "../../../share/x",
        "../../../bin/x",
    ],
)
def test_what_counts(path: str, tmp_path: Path) -> None:
    env = build_site(tmp_path)
    whole = _content(env, "alpha")
    _claim(env, ALPHA, path, b"x")
    assert _content(env, "alpha") != whole


def test_the_builder_of_what_was_built_here_never_counts(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    wheel = site_packages(env) / ALPHA / "WHEEL"
    found = []
    for generator in (b"tests", b"others"):
        wheel.write_bytes(wheel.read_bytes().replace(b"tests", generator))
        found.append(_content(env, "alpha"))
    assert found[0] != found[1]
    (wheel.parent / "uv_build.json").write_bytes(b"{}")
    found.append(_content(env, "alpha"))
    wheel.write_bytes(wheel.read_bytes().replace(b"others", b"tests"))
    assert _content(env, "alpha") == found[2]


def test_every_byte_counts(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    whole = _content(env, "beta")
    info = site_packages(env) / "beta-2.5.dist-info"
    for file in (site_packages(env) / "beta.py", info / "METADATA", info / "WHEEL", info / "entry_points.txt", env / "bin/beta"):
        before = file.read_bytes()
        file.write_bytes(before + b"\nimport os\n")
        assert _content(env, "beta") != whole, file
        file.unlink()
        assert _content(env, "beta") != whole, file
        file.write_bytes(before)
    assert _content(env, "beta") == whole


def test_a_moved_file_counts(tmp_path: Path) -> None:
    env = build_site(tmp_path)
    whole = _content(env, "beta")
    record = site_packages(env) / "beta-2.5.dist-info/RECORD"
    record.write_text(record.read_text().replace("beta.py,", "gamma.py,"))
    (site_packages(env) / "beta.py").rename(site_packages(env) / "gamma.py")
    assert _content(env, "beta") != whole


WRAPPER: Final = b"import sys\nfrom beta import main\nif __name__ == '__main__':\n    sys.exit(main())\n"


@pytest.mark.parametrize("python", ["python", "python3"])
@pytest.mark.parametrize(
    "start", ["#!{}\n", "#!/bin/sh\n'''exec' \"{}\" \"$0\" \"$@\"\n' '''\n", "#!/bin/sh\n'''exec' '{}' \"$0\" \"$@\"\n' '''\n"]
)
def test_any_wrapper_is_one(start: str, python: str, tmp_path: Path) -> None:
    env = build_site(tmp_path)
    whole = _content(env, "beta")
    (env / "bin/beta").write_bytes(start.format(env / "bin" / python).encode() + WRAPPER)
    assert _content(env, "beta") == whole


@pytest.mark.parametrize(
    "start",
    [
        "#!{env}/bin/python -i\n",
        "#!{env}/bin/python9.9.9\n",
        "#!{env}/bin/pythonista\n",
        "#!{env}/bin/../bin/python\n",
        "#!{env}/lib/python\n",
        "#!/usr/bin/env python\n",
        "#!python\n",
        "#!$ORIGIN/python\n",
        "",
        "\ufeff#!{env}/bin/python\n",
        "#!/bin/sh\n'''exec' \"{env}/bin/$(true)/../python\" \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' '{env}/bin/python' -i \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\ntrue\n'''exec' '{env}/bin/python' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_another_start_is_another_script(start: str, tmp_path: Path) -> None:
    env = build_site(tmp_path)
    whole = _content(env, "beta")
    (env / "bin/beta").write_bytes(start.format(env=env).encode() + WRAPPER)
    assert _content(env, "beta") != whole


def test_a_script_of_any_size_and_depth_is_normalised(tmp_path: Path) -> None:
    contents = set()
    for name in ("one", "two"):
        env = build_site(tmp_path / name, {})
        start = f"#!{env}/bin/python\n".encode()
        add_distribution(
            env, "gamma", "1.0", {"../../../bin/large": start + b"#" * (3 << 20), "../../../bin/a/deep": start + b"pass\n"}
        )
        contents.add(_content(env, "gamma"))
    assert len(contents) == 1
