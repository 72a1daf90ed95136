"""Conda's documents as conda itself, libmamba and old releases write them, in a small prefix made here; and what a prefix leaves."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanctity.compare.records import compare_with_records
from sanctity.model.digest import Digest
from sanctity.model.drift import Comparison, Depth, Verdict
from sanctity.model.environment import CondaPackage
from sanctity.observe.conda import keepers, read_conda_manifest, restored
from sanctity.observe.environment import observe_environment
from sanctity.observe.view import View
from sites import add_distribution

MINOR = "{}.{}".format(*sys.version_info[:2])
SITE = f"lib/python{MINOR}/site-packages"
PLACEHOLDER = "/builder" + "_placehold" * 24

WRAPPER = """#!{python}
# -*- coding: utf-8 -*-
import re
import sys

from {module} import main

if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _row(path: str, data: bytes, **more: object) -> dict[str, object]:
    """A path as conda writes it: it gives both digests for every plain file."""
    return {
        "_path": path,
        "path_type": "hardlink",
        "sha256": _sha(data),
        "sha256_in_prefix": _sha(data),
        "size_in_bytes": len(data),
    } | more


def _document(prefix: Path, name: str, rows: list[dict[str, Any]], **more: object) -> Path:
    """The document of the package *name*; returns where it is."""
    whole = {"name": name, "version": "1.0", "build": "0", "files": [row["_path"] for row in rows], **more}
    whole.setdefault("paths_data", {"paths_version": 1, "paths": rows})
    file = prefix / f"conda-meta/{name}-1.0-0.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(whole))
    return file


def _place(prefix: Path, path: str, data: bytes) -> None:
    (prefix / path).parent.mkdir(parents=True, exist_ok=True)
    (prefix / path).write_bytes(data)


def _demo(prefix: Path) -> list[dict[str, Any]]:
    """A noarch package of Python as conda installs it: its wrapper and its bytecode have no digest."""
    info = f"{SITE}/demo-1.0.dist-info"
    files = {
        f"{SITE}/demo/__init__.py": b"def main():\n    return 0\n",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        f"{info}/RECORD": b"gone.py,sha256=" + b"A" * 43 + b",1\n",
        f"{info}/direct_url.json": b'{"dir_info": {"editable": true}, "url": "file:///builder"}',
        f"{info}/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n",
    }
    for path, data in files.items():
        _place(prefix, path, data)
    _place(prefix, "bin/demo", WRAPPER.format(python=f"{prefix}/bin/python{MINOR}", module="demo").encode())
    rows = [_row(path, data) for path, data in files.items()]
    rows.append({"_path": "bin/demo", "path_type": "unix_python_entry_point"})
    rows.append({"_path": f"{SITE}/demo/__pycache__/__init__.cpython-{MINOR.replace('.', '')}.pyc", "path_type": "pyc_file"})
    return rows


def _native(prefix: Path) -> list[dict[str, Any]]:
    """A package with links and with a file that holds the prefix, as conda installs it."""
    packaged = f"prefix = {PLACEHOLDER}\n".encode()
    installed = packaged.replace(PLACEHOLDER.encode(), os.fsencode(prefix))
    for path, data in {"lib/libn.so.1": b"\x7fELF", "etc/n.conf": installed}.items():
        _place(prefix, path, data)
    (prefix / "lib/libn.so").symlink_to("libn.so.1")
    (prefix / "share").mkdir()
    (prefix / "share/n").symlink_to("../etc")
    end = {"path_type": "softlink", "sha256": _sha(b"\x7fELF"), "size_in_bytes": 4}
    return [
        _row("lib/libn.so.1", b"\x7fELF"),
        {"_path": "lib/libn.so", **end},
        {"_path": "share/n", "path_type": "softlink", "sha256": _sha(b""), "size_in_bytes": 0},
        _row("etc/n.conf", installed, sha256=_sha(packaged), prefix_placeholder=PLACEHOLDER, file_mode="text"),
    ]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A prefix of three packages, of which one is the interpreter."""
    prefix = tmp_path / "prefix"
    (prefix / SITE).mkdir(parents=True)
    (prefix / "bin").mkdir()
    base = Path(os.path.realpath(sys.executable))
    files = {f"bin/python{MINOR}": base, **{f"lib/{path.name}": path for path in base.parents[1].glob("lib/libpython3.*.so.*")}}
    for path, source in files.items():
        shutil.copy2(source, prefix / path)
    (prefix / "bin/python").symlink_to(f"python{MINOR}")
    _place(prefix, f"lib/python{MINOR}/os.py", b"name = 'posix'\n")
    whole = [_row(path, (prefix / path).read_bytes()) for path in (*files, f"lib/python{MINOR}/os.py")]
    whole.append({"_path": "bin/python", "path_type": "softlink", "sha256": whole[0]["sha256"], "size_in_bytes": 1})
    _document(prefix, "python", whole)
    _document(prefix, "demo", _demo(prefix))
    _document(prefix, "native", _native(prefix))
    (prefix / "conda-meta/history").write_text("==> 2026-01-01 00:00:00 <==\n")
    (prefix / "pkgs/cached").mkdir(parents=True)
    (prefix / "pkgs/cached/loose.py").write_text("")
    return prefix


def _compare(prefix: Path) -> Comparison:
    environment = observe_environment(str(prefix), depth=Depth.RECORD, clock=time.monotonic)
    return compare_with_records(environment, depth=Depth.RECORD)


def _gating(prefix: Path) -> list[tuple[str, str, str]]:
    return sorted((str(drift.code), drift.distribution, drift.path) for drift in _compare(prefix).drifts if drift.gating)


def test_untouched(prefix: Path) -> None:
    comparison = _compare(prefix)
    assert _gating(prefix) == []
    assert comparison.verdict is Verdict.CLEAN
    assert comparison.fingerprint is not None
    # Nobody states where a link to a folder leads, and no code is read through it.
    assert [(item.code, item.what) for item in comparison.unchecked] == [("no-checksum", "share/n")]
    environment = observe_environment(str(prefix), depth=Depth.RECORD, clock=time.monotonic)
    (demo,) = environment.distributions
    assert (demo.keeper, demo.origin, demo.record) == ("demo", None, None)
    assert not any(path.startswith(("pkgs", "conda-meta")) for path in environment.files)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("bin/demo", WRAPPER.format(python="PREFIX/bin/python", module="other")),
        ("bin/demo", WRAPPER.format(python="/usr/bin/python3", module="demo")),
        ("bin/demo", "#!/bin/sh\nexec evil\n'''exec' \"PREFIX/bin/python\" \"$0\" \"$@\" #'''\n"),
    ],
)
def test_a_wrapper_without_a_digest_is_what_its_entry_point_generates(path: str, text: str, prefix: Path) -> None:
    (prefix / path).write_text(text.replace("PREFIX", str(prefix)))
    assert _gating(prefix) == [("file-altered", "demo", path)]


@pytest.mark.parametrize(
    "start",
    ["#!{python}", "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\" #'''", "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\" #'''"],
)
def test_the_first_lines_that_conda_writes_are_one(start: str, prefix: Path) -> None:
    whole = _compare(prefix).fingerprint
    rest = WRAPPER.format(python="", module="demo").partition("\n")[2]
    (prefix / "bin/demo").write_text(start.format(python=f"{prefix}/bin/python") + "\n" + rest)
    assert _gating(prefix) == []
    assert _compare(prefix).fingerprint == whole


def test_a_wrapper_that_nobody_declares_is_undecided(prefix: Path) -> None:
    _place(prefix, "bin/loose", WRAPPER.format(python=f"{prefix}/bin/python", module="demo").encode())
    _document(prefix, "loose", [{"_path": "bin/loose", "path_type": "unix_python_entry_point"}])
    comparison = _compare(prefix)
    assert comparison.verdict is Verdict.UNDECIDED
    assert [(item.code, item.what) for item in comparison.unchecked if item.in_scope] == [("no-checksum", "bin/loose")]


def test_before_conda_stated_digests(prefix: Path) -> None:
    """Old documents name files and no more, so that nothing says what these must be."""
    _document(prefix, "native", [], files=["lib/libn.so.1", "etc/n.conf"], paths_data=None)
    comparison = _compare(prefix)
    assert comparison.verdict is Verdict.UNDECIDED
    assert [(item.code, item.what, item.count) for item in comparison.unchecked if item.in_scope] == [
        ("no-checksum", "etc/n.conf", 2)
    ]


def test_a_name_that_no_report_can_print(prefix: Path) -> None:
    (prefix / "conda-meta/\udc80-1.0-0.json").write_text('{"name": "\\udc80", "files": ["lib/libn.so.1"]}')
    assert [code for code, _, _ in _gating(prefix)] == ["record-invalid"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"name": "native", "files": 3}',
        b'{"name": "other", "files": []}',
        b'{"name": "native", "files": [], "paths_data": {"paths": [{"_path": "../x"}]}}',
        b'{"name": "native", "files": [], "paths_data": {"paths": [{"_path": "/x"}]}}',
        b'{"name": "native", "files": [], "paths_data": {"paths": [{"_path": "x", "sha256": "zz"}]}}',
        b'{"name": "native", "files": [], "paths_data": {"paths": [{"_path": "\\ud800"}]}}',
        b'{"name": "native", "files": [], "paths_data": {"paths": [3]}}',
        b'{"name": "native", "files": ["' + b"a/" * 5_000 + b'a"]}',
        b'{"name": "native", "files": [], "paths_data": {"paths": [{"_path": "x", "prefix_placeholder": 7}]}}',
    ],
)
def test_a_document_that_is_none_is_told(document: bytes, prefix: Path) -> None:
    (prefix / "conda-meta/native-1.0-0.json").write_bytes(document)
    assert ("record-invalid", "", "conda-meta/native-1.0-0.json") in _gating(prefix)


def test_a_document_that_is_no_file_is_told_and_not_waited_for(prefix: Path) -> None:
    os.mkfifo(prefix / "conda-meta/late-1.0-0.json")
    assert ("record-invalid", "", "conda-meta/late-1.0-0.json") in _gating(prefix)


def test_what_pip_put_in_the_place_of_condas(prefix: Path) -> None:
    """conda's list still says what it installed; the other one's bytes are there."""
    shutil.rmtree(prefix / f"{SITE}/demo-1.0.dist-info")
    add_distribution(prefix, "demo", "2.0", {"demo/__init__.py": b"def main():\n    return 2\n"})
    found = _gating(prefix)
    assert ("file-clobbered", "demo", "demo/__init__.py") in found
    assert ("file-missing", "demo", "demo-1.0.dist-info/METADATA") in found
    assert not any(code == "file-unclaimed" for code, _, _ in found)


def test_two_packages_of_one_path(prefix: Path) -> None:
    same = (prefix / f"{SITE}/demo/__init__.py").read_bytes()
    _document(prefix, "twin", [_row(f"{SITE}/demo/__init__.py", same)])
    assert _gating(prefix) == []
    _document(prefix, "twin", [_row(f"{SITE}/demo/__init__.py", b"other\n")])
    assert _gating(prefix) == [("file-clobbered", "twin", "demo/__init__.py")]


def test_a_prefix_whose_files_were_rewritten_for_its_new_place(prefix: Path, tmp_path: Path) -> None:
    """As conda-unpack does: it is what was packaged, though not what the document says was installed."""
    whole = _compare(prefix).fingerprint
    moved = tmp_path / "moved"
    prefix.rename(moved)
    for path in ("etc/n.conf", "bin/demo"):
        (moved / path).write_bytes((moved / path).read_bytes().replace(os.fsencode(prefix), os.fsencode(moved)))
    assert _gating(moved) == []
    assert _compare(moved).fingerprint == whole


def test_a_document_can_not_choose_what_stands_for_the_prefix(prefix: Path) -> None:
    """Else a text of the file could be replaced by the prefix, and the file count as what it was."""
    whole = _compare(prefix).fingerprint
    file = prefix / f"{SITE}/demo/__init__.py"
    document = prefix / "conda-meta/demo-1.0-0.json"
    altered = file.read_bytes().replace(b"return 0", os.fsencode(prefix))
    stated = json.loads(document.read_bytes())
    row = next(row for row in stated["paths_data"]["paths"] if row["_path"].endswith("demo/__init__.py"))
    row |= {"prefix_placeholder": "return 0", "file_mode": "text", "sha256_in_prefix": _sha(altered)}
    file.write_bytes(altered)
    document.write_text(json.dumps(stated))
    assert _compare(prefix).fingerprint != whole


def test_a_first_line_that_asks_the_path_is_another(prefix: Path) -> None:
    """conda writes one for a prefix that is too long for a plain line, and for no other."""
    script = f"#!{PLACEHOLDER}/bin/python\nprint(1)\n".encode()
    installed = script.replace(PLACEHOLDER.encode(), os.fsencode(prefix))
    row = _row("bin/script", installed, sha256=_sha(script), prefix_placeholder=PLACEHOLDER, file_mode="text")
    _place(prefix, "bin/script", installed)
    _document(prefix, "script", [row])
    whole = _compare(prefix).fingerprint
    assert _gating(prefix) == []
    _place(prefix, "bin/script", b"#!/usr/bin/env python\nprint(1)\n")
    assert _gating(prefix) == [("file-altered", "script", "bin/script")]
    assert _compare(prefix).fingerprint != whole


def test_a_claim_that_leads_through_a_link(prefix: Path) -> None:
    (prefix / "lib/python3.1").symlink_to(f"python{MINOR}")
    rows = [{"_path": "lib/python3.1", "path_type": "softlink", "sha256": _sha(b"")}]
    _document(prefix, "alias", rows)
    _place(prefix, f"{SITE}/old.py", b"OLD = 1\n")
    _document(prefix, "old", [_row("lib/python3.1/site-packages/old.py", b"OLD = 1\n")])
    assert _gating(prefix) == []
    _place(prefix, f"{SITE}/old.py", b"OLD = 2\n")
    assert _gating(prefix) == [("file-altered", "old", "old.py")]


def test_the_keeper_of_metadata(prefix: Path) -> None:
    claims, _, faults = read_conda_manifest(View(), str(prefix))
    assert not faults
    assert keepers(claims, [SITE]) == {f"{SITE}/demo-1.0.dist-info": "demo"}
    assert list(claims) == sorted(claims)


_PIECES = st.lists(st.one_of(st.binary(max_size=8).filter(lambda data: b"/" not in data), st.just(b"PREFIX"), st.just(b"\0")))


def _as_conda_replaces(data: bytes, placeholder: bytes, prefix: bytes) -> bytes:
    """What conda does to a binary (its ``portability.binary_replace``): strings keep their place, and NULs fill what is left."""

    def replace(match: re.Match[bytes]) -> bytes:
        short = match[0][:-1].replace(placeholder, prefix)
        return short + b"\0" * (len(match[0]) - len(short))

    return re.sub(re.escape(placeholder) + rb"(?:[^\0]*)\0", replace, data)


@given(pieces=_PIECES, binary=st.booleans())
def test_what_an_installer_wrote_is_taken_out_again(pieces: list[bytes], *, binary: bool) -> None:
    placeholder, prefix = b"/placeholder/that/is/long", b"/place"
    data = b"".join(placeholder if piece == b"PREFIX" else piece for piece in pieces) + b"\0"
    installed = _as_conda_replaces(data, placeholder, prefix) if binary else data.replace(placeholder, prefix)
    assert restored(installed, prefix, placeholder, binary=binary) == data


def test_what_a_document_says_of_its_package(tmp_path: Path) -> None:
    archive = "linux-64/demo-1.0-0.conda"
    said = {
        "subdir": "linux-64",
        "channel": "https://user:secret@conda.example/t/token-123/forge",
        "url": f"https://user:secret@conda.example/t/token-123/forge/{archive}",
        "sha256": "A" * 64,
        "md5": "no digest",
        "requested_specs": ["demo >=1", 3],
    }
    _document(tmp_path, "demo", [], **said)
    _document(tmp_path, "other", [], noarch="python", requested_spec="other", sha256=None, url=7)
    one, other = read_conda_manifest(View(), str(tmp_path)).packages
    assert one == CondaPackage(
        name="demo",
        version="1.0",
        build="0",
        path="conda-meta/demo-1.0-0.json",
        subdir="linux-64",
        channel="https://conda.example/forge",
        url=f"https://conda.example/forge/{archive}",
        digests=(Digest("sha256", "a" * 64),),
        requested="demo >=1",
    )
    assert (other.name, other.noarch, other.requested, other.url, other.digests) == ("other", True, "other", "", ())


def test_a_broken_document_is_of_no_package(tmp_path: Path) -> None:
    _document(tmp_path, "demo", []).write_text("{")
    found = read_conda_manifest(View(), str(tmp_path))
    assert found.packages == ()
    assert [fault.code for fault in found.faults] == ["record-invalid"]
