"""pylock.toml (PEP 751): what real tools wrote, read back; and broken ones, named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sanctity.errors import DocumentError
from sanctity.lockfiles import pylock, reader_for
from sanctity.model.digest import Digest
from sanctity.model.lock import Dependency, Lock, Pin, RootKind, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parent / "fixtures"
DIGEST = Digest("sha256", "0" * 64)
HEX = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"
URL = "https://files.index.example/six-1.17.0-py2.py3-none-any.whl"
WHEEL = f'{{ url = "{URL}", upload-time = 2024-12-04T17:35:26Z, size = 11050, hashes = {{ sha256 = "{HEX}" }} }}'
LOCK = f"""lock-version = "1.0"
created-by = "example"
requires-python = ">=3.11"
extras = ["Docs_Too"]
dependency-groups = ["dev", "main"]
default-groups = ["main"]

[[packages]]
name = "Six"
version = "1.17.0"
marker = "'dev' in dependency_groups or 'docs-too' in extras"
index = "https://index.example/simple"
wheels = [{WHEEL}]
"""


def read(text: str) -> Lock:
    return pylock.parse(text, path="pylock.toml", digest=DIGEST, beside={})


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("pylock.toml", True),
        ("pylock.dev.toml", True),
        ("pylock.a.b.toml", False),
        ("pylock..toml", False),
        ("my.pylock.toml", False),
        ("pylock.lock", False),
    ],
)
def test_recognises_by_name(name: str, known: bool) -> None:
    assert (reader_for(name) is pylock) is known


def test_a_lock() -> None:
    lock = read(LOCK)
    (six,) = lock.pins
    (wheel,) = six.artifacts
    assert (six.name, six.version, six.marker) == ("six", "1.17.0", "'dev' in dependency_groups or 'docs-too' in extras")
    assert six.source == Source(kind=SourceKind.REGISTRY, location="https://index.example/simple")
    assert (wheel.filename, wheel.location, wheel.size) == ("six-1.17.0-py2.py3-none-any.whl", URL, 11050)
    assert (wheel.digests, wheel.upload_time) == ((Digest("sha256", HEX),), "2024-12-04T17:35:26Z")
    assert (lock.generator, lock.format_version, lock.requires_python) == ("example", "1.0", ">=3.11")


def test_roots() -> None:
    lock = read(LOCK)
    assert [(root.kind, root.name, root.default, root.extras, root.groups) for root in lock.roots] == [
        (RootKind.PROJECT, "", True, (), ("main",)),
        (RootKind.EXTRA, "docs-too", False, ("docs-too",), ("main",)),
        (RootKind.GROUP, "dev", False, (), ("dev",)),
        (RootKind.GROUP, "main", True, (), ("main",)),
    ]
    (six,) = lock.pins
    edge = Dependency(name="six", marker=six.marker, version="1.17.0", source=six.source)
    assert {root.dependencies for root in lock.roots} == {(edge,)}


def test_sources() -> None:
    lock = read((FIXTURES / "pylock.sources.toml").read_text())
    assert {pin.name: pin.source for pin in lock.pins} == {
        "editpkg": Source(kind=SourceKind.EDITABLE, location="srcs/edit"),
        "folderpkg": Source(kind=SourceKind.DIRECTORY, location="srcs/folder"),
        "gitpkg": Source(
            kind=SourceKind.GIT,
            location="https://git.index.example/gitpkg",
            revision="9cb77c98f2321622ccc787aab025fdafd7ed1e2c",
            subdirectory="sub",
        ),
        "idna": Source(kind=SourceKind.URL, location=lock.pins[3].artifacts[0].location),
        "iniconfig": Source(kind=SourceKind.REGISTRY, location="file:///srv/flat"),
        "old-pkg": Source(kind=SourceKind.FILE, location="srcs/old_pkg-0.3.tar.gz"),
        "six": Source(kind=SourceKind.FILE, location="srcs/six-1.17.0-py2.py3-none-any.whl"),
    }
    assert [artifact.filename for pin in lock.pins for artifact in pin.artifacts] == [
        "idna-3.20.tar.gz",
        "iniconfig-2.3.1-py3-none-any.whl",
        "old_pkg-0.3.tar.gz",
        "six-1.17.0-py2.py3-none-any.whl",
    ]
    assert all(artifact.digests for pin in lock.pins for artifact in pin.artifacts)


def test_an_exported_workspace() -> None:
    lock = read((FIXTURES / "pylock.workspace.toml").read_text())

    def kinds(pin: Pin) -> tuple[str, SourceKind]:
        return pin.name, pin.source.kind

    assert [kinds(pin) for pin in lock.pins if pin.source.kind is not SourceKind.REGISTRY] == [
        ("alpha", SourceKind.EDITABLE),
        ("beta", SourceKind.EDITABLE),
        ("root-app", SourceKind.EDITABLE),
    ]
    assert {artifact.upload_time[-1:] for pin in lock.pins for artifact in pin.artifacts} == {"Z"}


def test_one_name_under_two_markers() -> None:
    package = LOCK[LOCK.index("[[packages]]") :]
    other = package.replace("'dev' in dependency_groups or", "'main' in dependency_groups or")
    assert len(read(LOCK + other).pins) == 2
    assert refusal(LOCK + package).code == "lock-duplicate-package"


@pytest.mark.parametrize("version", ['"2.0"', '"0.9"', '"1"', "1.0", '"one"', '""'])
def test_other_versions_are_refused(version: str) -> None:
    error = refusal(LOCK.replace('"1.0"', version))
    assert (error.code, error.where) == ("lock-version-unsupported", "pylock.toml: lock-version")


def test_a_lock_without_version_is_refused() -> None:
    assert refusal(LOCK.replace('lock-version = "1.0"\n', "")).code == "lock-version-unsupported"


def test_a_newer_minor_version_is_noted() -> None:
    assert [note.code for note in read(LOCK.replace('"1.0"', '"1.7"')).notes] == ["lock-version-newer"]


ARCHIVE = f'archive = {{ url = "https://files.index.example/six-1.tar.gz", hashes = {{ sha256 = "{HEX}" }} }}'
WHEELS = f"wheels = [{WHEEL}]"
BROKEN: dict[str, tuple[Callable[[str], str], str, str]] = {
    "truncated": (lambda text: text[: text.rindex("hashes") + 9], "lock-syntax", "line "),
    "short hash": (lambda text: text.replace(HEX, HEX[:-2]), "malformed-hash", "packages[0].wheels[0].hashes"),
    "unknown hash": (lambda text: text.replace("sha256 =", "crc32 ="), "malformed-hash", "packages[0].wheels[0].hashes"),
    "hash of a wrong type": (lambda text: text.replace(f'"{HEX}"', "[7]"), "malformed-hash", "packages[0].wheels[0].hashes"),
    "hashes is a text": (
        lambda text: text.replace(f'{{ sha256 = "{HEX}" }}', '"x"'),
        "lock-bad-type",
        "packages[0].wheels[0].hashes",
    ),
    "time is a text": (
        lambda text: text.replace("2024-12-04T17:35:26Z", "7"),
        "lock-bad-type",
        "packages[0].wheels[0].upload-time",
    ),
    "bad marker": (lambda text: text.replace("or 'docs", "or or 'docs"), "lock-bad-marker", "packages[0].marker"),
    "bad environment": (lambda text: f"environments = ['linux']\n{text}", "lock-bad-marker", "environments[0]"),
    "bad name": (lambda text: text.replace('"Six"', '"six/"'), "lock-bad-name", "packages[0].name"),
    "bad version": (lambda text: text.replace('"1.17.0"', '"1,17"'), "lock-bad-version", "packages[0].version"),
    "no packages": (lambda text: text[: text.index("[[")], "lock-missing-key", ""),
    "a file for a package": (lambda text: text.replace(WHEELS, ""), "lock-bad-source", "packages[0]"),
    "wheels and an archive": (lambda text: text + ARCHIVE, "lock-bad-source", "packages[0]"),
    "a folder without path": (lambda text: text.replace(WHEELS, "directory = {}"), "lock-missing-key", "packages[0].directory"),
    "a repository without commit": (
        lambda text: text.replace(WHEELS, 'vcs = { type = "git", url = "https://index.example/x" }'),
        "lock-missing-key",
        "packages[0].vcs",
    ),
    "a branch for a commit": (
        lambda text: text.replace(WHEELS, 'vcs = { type = "git", url = "https://index.example/x", commit-id = "main" }'),
        "lock-bad-source",
        "packages[0].vcs.commit-id",
    ),
    "another system": (
        lambda text: text.replace(WHEELS, f'vcs = {{ type = "hg", url = "https://index.example/x", commit-id = "{"a" * 40}" }}'),
        "lock-unsupported-vcs",
        "packages[0].vcs.type",
    ),
    "contradictory": (
        lambda text: text.replace(WHEELS, f"wheels = [{WHEEL}, {WHEEL.replace(HEX, HEX[::-1])}]"),
        "lock-contradictory",
        "packages[0].wheels[1]",
    ),
    "path traversal": (
        lambda text: text.replace("{ url", '{ name = "../six.whl", url'),
        "lock-unsafe-filename",
        "packages[0].wheels[0].name",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken(fault: str) -> None:
    mend, code, where = BROKEN[fault]
    error = refusal(mend(LOCK))
    assert error.code == code
    assert error.where.startswith(f"pylock.toml: {where}" if where else "pylock.toml")
    assert error.hint


def test_several_hashes_and_a_name_of_its_own() -> None:
    wheel = WHEEL.replace("{ url", '{ name = "six-1.17.0-py3-none-any.whl", url').replace(
        "{ sha256", f'{{ md5 = "{HEX[:32]}", sha256'
    )
    ((artifact,),) = (pin.artifacts for pin in read(LOCK.replace(WHEEL, wheel)).pins)
    assert artifact.filename == "six-1.17.0-py3-none-any.whl"
    assert artifact.digests == (Digest("md5", HEX[:32]), Digest("sha256", HEX))


def test_secrets_are_left_out() -> None:
    secret = LOCK.replace("https://", "https://bob:hunter2@").replace(".whl", ".whl?sig=hunter2#egg=hunter2")
    lock = read(secret)
    assert "hunter2" not in repr(lock)
    assert {note.code for note in lock.notes} == {"lock-url-credentials"}
    assert lock.pins == read(LOCK).pins
