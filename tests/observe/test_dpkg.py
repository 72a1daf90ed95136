"""Debian's own packages against dpkg's lists, in a small image made here, so that it can be seen on any system."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from sanctity.compare.records import compare_with_records
from sanctity.model.drift import Comparison, Depth, Verdict
from sanctity.observe.dpkg import dist_packages, read_manifest
from sanctity.observe.environment import observe_environment
from sanctity.observe.view import View

SITE = "usr/lib/python3/dist-packages"
MINOR = "{}.{}".format(*sys.version_info[:2])


def _package(root: Path, name: str, files: dict[str, bytes], *, summed: bool = True) -> None:
    """A package that dpkg installed below *root*."""
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    folders = {str(parent) for path in files for parent in Path(path).parents}
    (info / f"{name}.list").write_text("".join(f"/{path}\n" for path in sorted({*files, *folders})))
    if summed:
        sums = (f"{hashlib.md5(data, usedforsecurity=False).hexdigest()}  {path}\n" for path, data in files.items())
        (info / f"{name}.md5sums").write_text("".join(sums))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image with an interpreter, a package with an egg-info and no RECORD, and one with an overtaken RECORD and a hook."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / f"usr/lib/python{MINOR}").mkdir(parents=True)
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    shutil.copy2(base, root / f"usr/bin/python{MINOR}")
    library = next(iter(base.parents[1].glob("lib/libpython3.*.so.1.0")), None)
    if library is not None:
        shutil.copy2(library, root / "usr/lib" / library.name)
    six = {
        f"{SITE}/six.py": b"X = 1\n",
        f"{SITE}/six-1.16.0.egg-info/PKG-INFO": b"Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n",
        "usr/share/doc/python3-six/copyright": b"MIT\n",
    }
    _package(root, "python3-six", six)
    yaml = {
        f"{SITE}/yaml/__init__.py": b"Y = 1\n",
        f"{SITE}/PyYAML-6.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\n",
        f"{SITE}/PyYAML-6.0.dist-info/RECORD": b"yaml/gone.py,sha256=" + b"A" * 43 + b",1\n",
        f"{SITE}/yaml.pth": b"import yaml\n",
    }
    _package(root, "python3-yaml:amd64", yaml)
    return root


def _compare(root: Path) -> Comparison:
    environment = observe_environment("/usr", depth=Depth.RECORD, clock=lambda: 0.0, root=str(root))
    return compare_with_records(environment, depth=Depth.RECORD)


def _gating(comparison: Comparison) -> list[tuple[str, str, str]]:
    return [(str(drift.code), drift.distribution, drift.path) for drift in comparison.drifts if drift.gating]


def test_untouched(root: Path) -> None:
    comparison = _compare(root)
    assert _gating(comparison) == []
    assert comparison.verdict is Verdict.CLEAN
    assert comparison.checked.distributions == 2
    assert comparison.fingerprint is not None


def test_the_manifest(root: Path) -> None:
    view = View(str(root))
    assert dist_packages(view, "/usr", MINOR) == ("lib/python3/dist-packages",)
    assert dist_packages(view, "/usr/local", MINOR) == ()
    manifest = read_manifest(view, "/usr", ["lib/python3/dist-packages"])
    assert manifest["lib/python3/dist-packages/yaml/__init__.py"][0] == "python3-yaml"
    assert manifest["lib/python3/dist-packages/yaml"] == ("python3-yaml", b"")
    assert not any("share" in path for path in manifest)


@pytest.mark.parametrize(
    ("path", "package"),
    [("six.py", "python3-six"), ("yaml/__init__.py", "python3-yaml"), ("PyYAML-6.0.dist-info/RECORD", "python3-yaml")],
)
def test_an_altered_file_names_its_package(path: str, package: str, root: Path) -> None:
    whole = _compare(root).fingerprint
    file = root / SITE / path
    file.write_bytes(file.read_bytes() + b"\n")
    comparison = _compare(root)
    assert _gating(comparison) == [("file-altered", package, path)]
    assert comparison.fingerprint != whole
    file.unlink()
    assert _gating(_compare(root)) == [("file-missing", package, path)]


def test_what_dpkg_does_not_own(root: Path) -> None:
    (root / SITE / "planted.py").write_text("Z = 1\n")
    (root / SITE / "yaml.pth").rename(root / SITE / "other.pth")
    assert sorted(_gating(_compare(root))) == [
        ("file-missing", "python3-yaml", "yaml.pth"),
        ("file-unclaimed", "", "planted.py"),
        ("pth-hook", "", "other.pth"),
    ]


def test_code_without_a_checksum_is_undecided(root: Path) -> None:
    _package(root, "python3-idna", {f"{SITE}/idna.py": b"I = 1\n"}, summed=False)
    comparison = _compare(root)
    assert comparison.verdict is Verdict.UNDECIDED
    (open_,) = (item for item in comparison.unchecked if item.in_scope)
    assert (open_.code, open_.what) == ("no-checksum", "idna.py")


def test_a_list_that_can_not_be_read_is_undecided(root: Path) -> None:
    """Nobody knows then who owns what; so nothing is clean."""
    listed = root / "var/lib/dpkg/info/python3-six.list"
    listed.unlink()
    os.mkfifo(listed)
    comparison = _compare(root)
    assert comparison.verdict is not Verdict.CLEAN
    assert [item.what for item in comparison.unchecked if item.in_scope] == ["/var/lib/dpkg/info"]


def test_metadata_that_debian_ships_twice_and_a_newer_release_of_pips(root: Path) -> None:
    egg = {f"{SITE}/PyYAML.egg-info/PKG-INFO": b"Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\n"}
    _package(root, "python3-yaml-more", egg)
    assert _gating(_compare(root)) == []
    for site in (f"usr/local/lib/python{MINOR}/dist-packages", SITE):
        info = root / site / "six-1.17.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n")
        (info / "RECORD").write_text("six-1.17.0.dist-info/METADATA,,\nsix-1.17.0.dist-info/RECORD,,\n")
        told = {code for code, _, _ in _gating(_compare(root))}
        assert ("distribution-duplicate" in told) == (site == SITE)
        shutil.rmtree(info)
