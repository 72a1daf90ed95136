"""Pipfile.lock: sections, sources of every kind, and JSON read to the letter."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from sanctity.errors import DocumentError
from sanctity.lockfiles import pipfile, reader_for
from sanctity.lockfiles.summary import summarise
from sanctity.model.digest import Digest
from sanctity.model.lock import Lock, Pin, RootKind, SourceKind

FIXTURES = Path(__file__).parent / "fixtures"
DIGEST = Digest("sha256", "0" * 64)
#: What pipenv 2026.10 made, less most of the hashes.
REAL = (FIXTURES / "categories.Pipfile.lock").read_text()
HASH = "sha256:" + "1" * 64


def read(text: str) -> Lock:
    return pipfile.parse(text, path="Pipfile.lock", digest=DIGEST, beside={})


def outcome(text: str) -> Lock | DocumentError:
    try:
        return read(text)
    except DocumentError as error:
        return error


def document(meta: dict[str, Any] | None = None, **sections: dict[str, Any]) -> str:
    source = {"name": "main", "url": "https://index.example/simple", "verify_ssl": True}
    return json.dumps({"_meta": {"pipfile-spec": 6, "sources": [source], **(meta or {})}, **sections})


def pin(lock: Lock, name: str) -> Pin:
    (found,) = [each for each in lock.pins if each.name == name]
    return found


def test_what_pipenv_wrote() -> None:
    lock = read(REAL)
    assert (lock.format_version, lock.generator, lock.requires_python) == ("pipfile-spec 6", "pipenv", "==3.11.*")
    assert lock.indexes == ("https://index.example/simple",)
    assert [(root.kind, root.name, root.default) for root in lock.roots] == [
        (RootKind.PROJECT, "default", True),
        (RootKind.GROUP, "develop", False),
        (RootKind.GROUP, "docs", False),
    ]
    requests = pin(lock, "requests")
    assert (requests.version, requests.marker, len(requests.artifacts)) == ("2.34.2", "python_version >= '3.10'", 2)
    assert [edge.extras for edge in lock.roots[0].dependencies if edge.name == "requests"] == [("socks",)]
    assert pin(lock, "gitlib").source.revision == "2ac8dd1955bf7870bd4bc4ade1e7d5e1ca7ffd3a"
    assert (pin(lock, "lib").source.kind, pin(lock, "lib").source.location) == (SourceKind.EDITABLE, "./lib")
    # pipenv did not resolve it: the marker of the Pipfile is not true where it was locked.
    assert (pin(lock, "colorama").version, pin(lock, "colorama").specifier) == ("", "")


def test_sources_of_every_kind() -> None:
    commit = "a" * 40
    lock = read(
        document(
            default={
                "index": {"version": "==1", "hashes": [HASH]},
                "git": {"git": "https://user:secret@git.index.example/x.git", "ref": commit, "subdirectory": "s"},
                "branch": {"git": "https://git.index.example/x.git", "ref": "main"},
                "checkout": {"git": "https://git.index.example/x.git", "ref": commit, "editable": True},
                "folder": {"path": "./folder"},
                "editable": {"path": ".", "editable": True},
                "wheel": {"path": "./x-1-py3-none-any.whl"},
                "url": {"file": "https://index.example/x-1.tar.gz", "hashes": [HASH]},
                "bare-url": {"file": "https://index.example/y-1.tar.gz"},
            }
        )
    )
    found = {each.name: (each.source.kind, each.source.location, each.source.revision) for each in lock.pins}
    assert found == {
        "index": (SourceKind.REGISTRY, "https://index.example/simple", ""),
        "git": (SourceKind.GIT, "https://git.index.example/x.git", commit),
        "branch": (SourceKind.GIT, "https://git.index.example/x.git", ""),
        "checkout": (SourceKind.GIT, "https://git.index.example/x.git", commit),
        "folder": (SourceKind.DIRECTORY, "./folder", ""),
        "editable": (SourceKind.EDITABLE, ".", ""),
        "wheel": (SourceKind.FILE, "./x-1-py3-none-any.whl", ""),
        "url": (SourceKind.URL, "https://index.example/x-1.tar.gz", ""),
        "bare-url": (SourceKind.URL, "https://index.example/y-1.tar.gz", ""),
    }
    assert pin(lock, "git").source.subdirectory == "s"
    assert [note.code for note in lock.notes] == ["lock-url-credentials"]
    assert "secret" not in repr(lock)
    facts = summarise(lock)
    assert facts["vcs_url_path_packages"] == [
        "bare-url:url",
        "branch:git",
        "checkout:editable-git",
        "editable:editable",
        "folder:path",
        "git:git",
        "url:url",
        "wheel:path",
    ]
    assert (facts["hashed_artifacts"], facts["unhashed_artifacts"], facts["hash_only"]) == (2, 2, 1)


def test_two_indexes_and_which_of_them_a_row_names() -> None:
    sources = [{"name": "one", "url": "https://user:pass@one.index.example/simple"}, {"url": "https://two.index.example/simple"}]
    lock = read(
        document(
            {"sources": sources},
            default={"a": {"version": "==1", "index": "one"}, "b": {"version": "==1"}},
            develop={"b": {"version": "==1", "index": "one"}},
        )
    )
    assert lock.indexes == ("https://one.index.example/simple", "https://two.index.example/simple")
    assert pin(lock, "a").source.location == lock.indexes[0]
    assert pin(lock, "b").source.location == lock.indexes[0]
    assert "pass@" not in repr(lock)


def test_versions_and_conditions_as_older_locks_have_them() -> None:
    lock = read(
        document(
            {"requires": {"python_full_version": "3.11.4", "python_version": "3.11"}},
            default={
                "any": {"version": "*"},
                "wild": {"version": "==1.*"},
                "range": {"version": ">=1,<2"},
                "legacy": {"version": "===1.0-custom"},
                "when": {"version": "==1", "sys_platform": "== 'win32'", "markers": "os_name == 'nt' or os_name == 'x'"},
            },
        )
    )
    assert lock.requires_python == "==3.11.4"
    assert [(each.version, each.specifier) for each in lock.pins] == [
        ("", ""),
        ("", "==1.*"),
        ("", ">=1,<2"),
        ("1.0-custom", ""),
        ("1", ""),
    ]
    assert pin(lock, "when").marker == "(os_name == 'nt' or os_name == 'x') and sys_platform == 'win32'"


def test_what_two_sections_lock_alike_is_one_pin_and_else_two() -> None:
    other = "sha256:" + "2" * 64
    lock = read(
        document(
            default={"Six": {"version": "==1", "hashes": [HASH], "markers": "os_name == 'a'"}, "x": {"version": "==1"}},
            develop={"six": {"version": "==1", "hashes": [HASH, other]}, "x": {"version": "==2"}},
        )
    )
    six = pin(lock, "six")
    assert [artifact.digests[0].value[0] for artifact in six.artifacts] == ["1", "2"]
    assert six.marker == ""
    assert [each.version for each in lock.pins if each.name == "x"] == ["1", "2"]
    assert [[(edge.name, edge.version) for edge in root.dependencies] for root in lock.roots] == [
        [("six", ""), ("x", "1")],
        [("six", ""), ("x", "2")],
    ]
    facts = summarise(lock)
    assert (facts["packages"], facts["unique_names"], facts["hashed_artifacts"]) == (4, 2, 3)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("[]", "lock-syntax", "Pipfile.lock"),
        ("{}", "lock-missing-key", "Pipfile.lock"),
        ("{", "lock-syntax", "Pipfile.lock: line 1 column 2"),
        ('{"_meta": {}}', "lock-version-unsupported", "Pipfile.lock: _meta.pipfile-spec"),
        (document({"pipfile-spec": 7}), "lock-version-unsupported", "Pipfile.lock: _meta.pipfile-spec"),
        (document({"pipfile-spec": "6"}), "lock-version-unsupported", "Pipfile.lock: _meta.pipfile-spec"),
        ('{"_meta": {"pipfile-spec": 6}, "default": {}, "default": {}}', "lock-syntax", "Pipfile.lock"),
        ('{"_meta": {"pipfile-spec": 6}, "default": {"a": {"version": "==1", "version": "==2"}}}', "lock-syntax", "Pipfile.lock"),
        ('{"_meta": {"pipfile-spec": NaN}}', "lock-syntax", "Pipfile.lock"),
        ('{"_meta": {"pipfile-spec": -Infinity}}', "lock-syntax", "Pipfile.lock"),
        ('{"_meta": {"pipfile-spec": ' + "1" * 5000 + "}}", "lock-syntax", "Pipfile.lock"),
        ('{"_meta": ' * 200_000, "lock-syntax", "Pipfile.lock"),
        ("[" * 200_000, "lock-syntax", "Pipfile.lock"),
        ('{"_meta": {"pipfile-spec": 6}, "default": {"a": {"path": "\\ud800"}}}', "lock-syntax", "Pipfile.lock"),
        (document(default=[]), "lock-bad-type", "Pipfile.lock: default"),  # type: ignore[arg-type]
        (document(default={"a": "==1"}), "lock-bad-type", "Pipfile.lock: default.a"),
        (document(default={"a b": {"version": "==1"}}), "lock-bad-name", "Pipfile.lock: default"),
        (document(default={"a": {}}), "lock-missing-key", "Pipfile.lock: default.a"),
        (document(default={"a": {"version": "==x"}}), "lock-bad-version", "Pipfile.lock: default.a.version"),
        (document(default={"a": {"version": 1}}), "lock-bad-type", "Pipfile.lock: default.a.version"),
        (
            document(default={"a": {"version": "==1", "hashes": ["sha256:1"]}}),
            "malformed-hash",
            "Pipfile.lock: default.a.hashes[0]",
        ),
        (document(default={"a": {"version": "==1", "hashes": [1]}}), "lock-bad-type", "Pipfile.lock: default.a.hashes[0]"),
        (document(default={"a": {"version": "==1", "markers": "x"}}), "lock-bad-marker", "Pipfile.lock: default.a.markers"),
        (document(default={"a": {"version": "==1", "index": "none"}}), "lock-bad-source", "Pipfile.lock: default.a.index"),
        (document(default={"a": {"hg": "https://index.example/x"}}), "lock-unsupported-vcs", "Pipfile.lock: default.a.hg"),
        (document(default={"a": {"version": "==1"}, "A": {"version": "==2"}}), "lock-duplicate-package", "Pipfile.lock: default.a"),
        (document({"sources": [{"name": "x"}]}), "lock-missing-key", "Pipfile.lock: _meta.sources[0]"),
    ],
)
def test_a_broken_lock_is_refused_with_its_place(text: str, code: str, where: str) -> None:
    error = outcome(text)
    assert isinstance(error, DocumentError)
    assert (error.code, error.where) == (code, where)
    assert error.hint


def test_a_secret_among_the_keys_is_not_shown() -> None:
    error = outcome('{"https://u:hunter2@index.example": 1, "https://u:hunter2@index.example": 2}')
    assert isinstance(error, DocumentError)
    assert "hunter2" not in str(error)


def test_its_names() -> None:
    assert reader_for("Pipfile.lock") is pipfile
    assert reader_for("other.json", REAL) is pipfile
    assert reader_for("package-lock.json", '{"name": "x"}') is None


def test_nothing_that_a_lock_is_turned_into_fails_otherwise() -> None:
    """Values of other types anywhere in it: a lock, or an error that names a place."""
    chance = random.Random(6)
    odd: list[Any] = [None, True, 1, -1.5, "", "x", "\\", "==", [], {}, [[]], {"a": {}}, "https://a:b@c:d/e"]

    def spoil(value: Any, depth: int) -> Any:
        if chance.random() < 0.005 * depth:
            return chance.choice(odd)
        if isinstance(value, dict):
            return {chance.choice(["", "A b", *[key] * 400]): spoil(each, depth + 1) for key, each in value.items()}
        return [spoil(each, depth + 1) for each in value] if isinstance(value, list) else value

    refused = 0
    for _ in range(300):
        found = outcome(json.dumps(spoil(json.loads(REAL), 0)))
        refused += isinstance(found, DocumentError)
        if isinstance(found, Lock):
            assert summarise(found)
    assert 0 < refused < 300
