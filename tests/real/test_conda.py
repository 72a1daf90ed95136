"""Conda prefixes that a real installer made: clean, the same wherever they lie, and each planted change named with its package."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from real.conda import demo_packages, install, publish, python_package, write_wheel
from real.environments import HERE_PYTHON
from real.judging import examine, sanctity
from real.tampering import NotHereError
from sanctity.compare.records import compare_with_records
from sanctity.model.drift import Depth, Verdict
from sanctity.observe.environment import observe_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from real.tools import Workshop
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Fingerprint

pytestmark = pytest.mark.index

SITE = f"lib/python{HERE_PYTHON}/site-packages"
STDLIB = f"lib/python{HERE_PYTHON}"


@dataclass(frozen=True, kw_only=True)
class Prefixes:
    """Two prefixes of the same packages: *one*, and *other* at a longer path."""

    one: Path
    other: Path


@pytest.fixture(scope="module")
def prefixes(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Prefixes:
    folder = tmp_path_factory.mktemp("conda")
    try:
        packages = (python_package(), *demo_packages())
    except NotHereError as error:
        pytest.skip(str(error))
    publish(folder / "channel", packages)
    (folder / ".git").mkdir()
    found = Prefixes(one=folder / "one", other=folder / "a rather longer place" / "for the other")
    install(workshop, folder / "channel", found.one, found.other)
    wheel = workshop.scratch / "demo_pip-3.0-py3-none-any.whl"
    write_wheel(wheel)
    pip = workshop.tool("pip", "python")
    for prefix in (found.one, found.other):
        python = prefix / "bin/python"
        workshop.run([pip, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel])
    return found


def _look(prefix: Path) -> Comparison:
    environment = observe_environment(str(prefix), depth=Depth.RECORD, clock=time.monotonic)
    return compare_with_records(environment, depth=Depth.RECORD)


def _gating(prefix: Path) -> list[tuple[str, str, str]]:
    """(code, distribution, path) of every drift that decides the verdict."""
    return [(str(drift.code), drift.distribution, drift.path) for drift in _look(prefix).drifts if drift.gating]


def _fingerprint(prefix: Path) -> Fingerprint:
    found = _look(prefix).fingerprint
    assert found is not None
    return found


@contextlib.contextmanager
def _changed(file: Path, data: bytes | None) -> Iterator[None]:
    """*file* with other bytes, or away; what was there comes back. The links that other prefixes share stay as they are."""
    aside = _elsewhere(file)
    there = os.path.lexists(file)
    if there:
        shutil.move(file, aside)
    try:
        if data is not None:
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
            if there:
                file.chmod(aside.stat().st_mode)
        yield
    finally:
        if os.path.lexists(file):
            file.unlink()
        if there:
            shutil.move(aside, file)


def _elsewhere(file: Path) -> Path:
    """Where what was at *file* lies meanwhile: beside the prefix."""
    prefix = next(parent for parent in file.parents if (parent / "conda-meta").is_dir())
    return prefix.with_name("put-aside")


def test_untouched_prefixes_are_clean_and_the_same(prefixes: Prefixes) -> None:
    found = [_look(prefix) for prefix in (prefixes.one, prefixes.other)]
    for comparison in found:
        assert comparison.verdict is Verdict.CLEAN, comparison.drifts
        assert not [item for item in comparison.unchecked if item.code != "bytecode"]
        assert comparison.checked.distributions == 3
        assert comparison.checked.files > 500
    assert found[0].fingerprint == found[1].fingerprint is not None


@pytest.mark.parametrize(
    ("path", "package"),
    [
        (f"{STDLIB}/json/decoder.py", "python"),
        (f"{SITE}/demo_conda/__init__.py", "demo-conda"),
        (f"{SITE}/demo_conda-1.0.dist-info/RECORD", "demo-conda"),
        (f"{SITE}/demo_native.so", "demo-native"),
        ("lib/libdemo.so.2", "demo-native"),
        ("etc/demo.conf", "demo-native"),
        ("bin/demo-native", "demo-native"),
        ("bin/demo-conda", "demo-conda"),
    ],
)
def test_an_altered_file_names_its_package(path: str, package: str, prefixes: Prefixes) -> None:
    file = prefixes.one / path
    shown = path.removeprefix(f"{SITE}/")
    whole = _fingerprint(prefixes.one)
    with _changed(file, file.read_bytes() + b"\nmore = 1\n"):
        assert _gating(prefixes.one) == [("file-altered", package, shown)]
        assert _fingerprint(prefixes.one) != whole
    with _changed(file, None):
        assert _gating(prefixes.one) == [("file-missing", package, shown)]
    assert _fingerprint(prefixes.one) == whole


def test_an_altered_interpreter(prefixes: Prefixes) -> None:
    file = prefixes.one / f"bin/python{HERE_PYTHON}"
    with _changed(file, file.read_bytes() + b"more"):
        assert _gating(prefixes.one) == [("file-altered", "python", f"bin/python{HERE_PYTHON}")]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{SITE}/planted.py", "file-unclaimed"),
        (f"{STDLIB}/planted.py", "file-unclaimed"),
        (f"{STDLIB}/sitecustomize.py", "file-unclaimed"),
        (f"{STDLIB}/lib-dynload/planted.so", "file-unclaimed"),
        (f"{SITE}/planted.pth", "pth-hook"),
        (f"{SITE}/demo_native-2.0.dist-info/entry_points.txt", "file-unclaimed"),
        ("share/planted.py", ""),
        ("bin/planted", ""),
        ("conda-meta/planted.txt", ""),
    ],
)
def test_what_no_package_claims(path: str, code: str, prefixes: Prefixes) -> None:
    with _changed(prefixes.one / path, b"import planted\n"):
        assert [found for found, _, _ in _gating(prefixes.one)] == ([code] if code else [])


def test_a_pip_package_has_its_own_record(prefixes: Prefixes) -> None:
    with _changed(prefixes.one / f"{SITE}/demo_pip.py", b"PIP = False\n"):
        assert _gating(prefixes.one) == [("file-altered", "demo-pip", "demo_pip.py")]


def test_a_document_that_was_edited(prefixes: Prefixes) -> None:
    """Its word is compared with the files, so what it says alone contradicts them."""
    file = next((prefixes.one / "conda-meta").glob("demo-native-*.json"))
    stated = json.loads(file.read_bytes())
    paths = stated["paths_data"]["paths"]
    row = next(row for row in paths if row["_path"].endswith("demo_native.so"))
    others = [other for other in paths if other is not row]
    for rows, expected in (
        ([*others, {**row, "sha256": "0" * 64}], ("file-altered", "demo-native", "demo_native.so")),
        (others, ("file-unclaimed", "", "demo_native.so")),
    ):
        document = {**stated, "paths_data": {"paths_version": 1, "paths": rows}}
        with _changed(file, json.dumps(document).encode()):
            assert _gating(prefixes.one) == [expected]
    with _changed(file, b"{}"):
        assert ("record-invalid", "", f"conda-meta/{file.name}") in _gating(prefixes.one)


def test_a_forged_digest_does_not_keep_the_fingerprint(prefixes: Prefixes) -> None:
    """Who changes a file with the prefix in it, and its digest as installed, leaves that of the package: it is not believed."""
    file = prefixes.one / "etc/demo.conf"
    document = next((prefixes.one / "conda-meta").glob("demo-native-*.json"))
    altered = file.read_bytes() + b"more = yes\n"
    stated = json.loads(document.read_bytes())
    row = next(row for row in stated["paths_data"]["paths"] if row["_path"] == "etc/demo.conf")
    row["sha256_in_prefix"] = hashlib.sha256(altered).hexdigest()
    whole = _fingerprint(prefixes.one)
    written = file.read_bytes()
    try:
        file.write_bytes(altered)
        with _changed(document, json.dumps(stated).encode()):
            assert _gating(prefixes.one) == []
            assert _fingerprint(prefixes.one) != whole
    finally:
        file.write_bytes(written)


def test_a_link_that_leads_elsewhere(prefixes: Prefixes) -> None:
    link = prefixes.one / "lib/libdemo.so"
    link.unlink()
    try:
        link.symlink_to("/usr/lib/planted.so")
        assert _gating(prefixes.one) == [("file-altered", "demo-native", "lib/libdemo.so")]
    finally:
        link.unlink()
        link.symlink_to("libdemo.so.2")
    assert _gating(prefixes.one) == []


def test_a_seal_of_one_is_met_by_the_other(prefixes: Prefixes, tmp_path: Path) -> None:
    """The interpreter, its library and its standard library hold the prefix too, and are sealed as they were packaged."""
    (tmp_path / ".git").mkdir()
    seal = tmp_path / "env.seal.json"
    made = sanctity("seal", "--env", prefixes.one, "-o", seal, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert examine(seal, "--env", prefixes.other, cwd=tmp_path)["verdict"] == "clean"
    file = prefixes.other / f"{STDLIB}/json/decoder.py"
    with _changed(file, file.read_bytes() + b"\n"):
        report = examine(seal, "--env", prefixes.other, cwd=tmp_path)
        assert {drift["code"] for drift in report.gating} >= {"file-altered", "stdlib-altered"}, report.told()


def test_a_prefix_that_was_moved(prefixes: Prefixes) -> None:
    """Its bytes are as they were, so its scripts start what lies at the old place."""
    moved = prefixes.one.with_name("moved")
    prefixes.one.rename(moved)
    try:
        assert {(code, path) for code, _, path in _gating(moved)} == {
            ("script-altered", "bin/demo-native"),
            ("script-altered", "bin/demo-conda"),
        }
        assert _fingerprint(moved) != _fingerprint(prefixes.other)
    finally:
        moved.rename(prefixes.one)
