"""pdm.lock in the layouts of PDM 1 and 2: real locks of one project, what their roots are, and how broken ones are refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sanctity.errors import DocumentError
from sanctity.lockfiles import pdm, reader_for
from sanctity.lockfiles.summary import summarise
from sanctity.model.digest import Digest
from sanctity.model.lock import Artifact, Dependency, Lock, Pin, Root, RootKind, SourceKind

FIXTURES = Path(__file__).parent / "fixtures"
DIGEST = Digest("sha256", "0" * 64)
#: One project, locked by PDM 1.15, 2.1, 2.4, 2.6, 2.10 and 2.29. Each has at most one wheel and one sdist of a package left.
VERSIONS = ("3.1", "4.0", "4.1", "4.2", "4.4", "4.5.1")
TEXTS = {version: (FIXTURES / f"pdm-{version}.pdm.lock").read_text() for version in VERSIONS}
FLAT = TEXTS["4.5.1"]
GRAPH = TEXTS["4.4"]
PYPROJECT = """
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["six==1.16.0", "requests[socks]>=2.28", "colorama; sys_platform == 'win32'",
    "gitlib @ git+https://git.index.example/gitlib@master"]

[project.optional-dependencies]
web = ["itsdangerous"]

[tool.pdm.dev-dependencies]
test = ["iniconfig", "coverage[toml]; python_version < '3.11'"]
dev = ["-e file:///${PROJECT_ROOT}/lib#egg=lib"]
"""


def read(text: str, pyproject: str | None = None) -> Lock:
    beside = {} if pyproject is None else {"pyproject.toml": pyproject}
    return pdm.parse(text, path="pdm.lock", digest=DIGEST, beside=beside)


def refusal(text: str, pyproject: str | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text, pyproject)
    return caught.value


def outcome(text: str, pyproject: str | None = None) -> Lock | DocumentError:
    try:
        return read(text, pyproject)
    except DocumentError as error:
        return error


def pin(lock: Lock, name: str) -> Pin:
    (found,) = [each for each in lock.pins if each.name == name]
    return found


def roots(lock: Lock) -> dict[str, Root]:
    return {root.name: root for root in lock.roots}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_layout_says_the_same(version: str) -> None:
    lock = read(TEXTS[version], PYPROJECT)
    assert lock.format_version == version
    assert not lock.notes or version == "3.1"
    requests = pin(lock, "requests")
    assert [edge.name for edge in requests.dependencies] == ["certifi", "charset-normalizer", "idna", "urllib3"]
    assert requests.optional == (("socks", (Dependency(name="pysocks"),)),)
    (six_wheel, six_sdist) = sorted(pin(lock, "six").artifacts, key=lambda one: one.filename.endswith(".gz"))
    assert (six_wheel.filename, six_sdist.filename) == ("six-1.16.0-py2.py3-none-any.whl", "six-1.16.0.tar.gz")
    assert [digest.value[:8] for digest in six_sdist.digests] == ["1e61c374"]
    found = roots(lock)
    assert (found["default"].kind, found["default"].default) == (RootKind.PROJECT, True)
    assert (found["web"].kind, found["web"].default, found["web"].extras) == (RootKind.EXTRA, True, ("web",))
    assert (found["test"].kind, found["test"].default) == (RootKind.GROUP, True)
    assert "itsdangerous" in {edge.name for edge in found["web"].dependencies}
    assert all(root.complete for root in lock.roots)
    if version != "3.1":
        assert (pin(lock, "gitlib").source.kind, pin(lock, "gitlib").source.location) == (
            SourceKind.GIT,
            "https://git.index.example/gitlib",
        )
        assert pin(lock, "gitlib").source.revision == "2ac8dd1955bf7870bd4bc4ade1e7d5e1ca7ffd3a"
        assert (pin(lock, "lib").source.kind, pin(lock, "lib").source.location) == (SourceKind.EDITABLE, "./lib")


def test_a_pin_has_its_files_however_many_rows_it_has() -> None:
    for version in VERSIONS:
        lock = read(TEXTS[version])
        coverage = pin(lock, "coverage")
        assert len(coverage.artifacts) == 2, version
        assert coverage.where.startswith("package[")
        facts = summarise(lock)
        assert facts["packages"] == len(lock.pins) + 2
        more = facts["more_facts"]
        assert isinstance(more, dict)
        assert more["rows_with_extras"] == 2
        # Where files are with their package, the row of an extra repeats them.
        assert more["layout"] == ("package.files" if version in {"4.4", "4.5.1"} else "metadata.files")
        hashed = sum(len(each.artifacts) for each in lock.pins)
        repeated = 4 if version in {"4.4", "4.5.1"} else 0
        assert facts["hashed_artifacts"] == hashed + repeated


def test_a_flat_lock_is_what_its_rows_say() -> None:
    lock = read(FLAT)
    assert (lock.generator, lock.requires_python) == ("PDM", ">=3.9")
    found = roots(lock)
    assert {edge.name for edge in found["dev"].dependencies} == {"idna", "lib"}
    assert Dependency(name="colorama", marker='sys_platform == "win32"') in found["default"].dependencies
    assert Dependency(name="coverage", extras=("toml",), marker='python_version < "3.11"') in found["test"].dependencies
    # Without pyproject.toml nobody knows which of them is an extra.
    assert {root.kind for root in lock.roots} == {RootKind.PROJECT, RootKind.GROUP}
    assert all(root.default for root in lock.roots)


def test_a_graph_without_its_project_does_not_say_what_it_is_for() -> None:
    (root,) = read(GRAPH).roots
    assert not root.complete
    assert {edge.name for edge in root.dependencies} >= {"six", "requests", "coverage", "itsdangerous", "lib"}
    assert "urllib3" not in {edge.name for edge in root.dependencies}


def test_a_graph_has_as_roots_the_groups_that_were_locked() -> None:
    text = GRAPH.replace('groups = ["default", "test", "web", "dev"]', 'groups = ["default", "test"]')
    assert text != GRAPH
    assert list(roots(read(text, PYPROJECT))) == ["default", "test"]


def test_what_the_project_wants_and_the_lock_lacks_is_said_once() -> None:
    lock = read(GRAPH, PYPROJECT.replace('"six==1.16.0"', '"six==1.16.0", "missing", "missing>1", "demo[web]"'))
    assert [(note.code, note.message.partition(" ")[0]) for note in lock.notes] == [("lock-stale", "missing")]


def test_versions_that_targets_tell_apart() -> None:
    row = '[[package]]\nname = "six"\nversion = "{}"\ngroups = ["default"]\nmarker = "{}"\nfiles = []\n'
    user = '[[package]]\nname = "user"\nversion = "1"\ngroups = ["default"]\ndependencies = ["six>=1; os_name == \'nt\'"]\nfiles = []\n'
    text = (
        '[metadata]\nlock_version = "4.5.0"\nstrategy = ["inherit_metadata"]\ngroups = ["default"]\n'
        '[[metadata.targets]]\nrequires_python = ">=3.8,<3.10"\n[[metadata.targets]]\nrequires_python = ">=3.10"\n'
        + row.format("1.15", "python_version < '3.10'")
        + row.format("1.16", "python_version >= '3.10' or os_name == 'x'")
        + user
    )
    lock = read(text)
    assert lock.requires_python == ">=3.8,<3.10 || >=3.10"
    assert [(edge.name, edge.version) for edge in lock.roots[0].dependencies] == [("six", "1.15"), ("six", "1.16"), ("user", "")]
    assert [(edge.version, edge.marker) for edge in pin(lock, "user").dependencies] == [
        ("1.15", "os_name == 'nt' and python_version < '3.10'"),
        ("1.16", "os_name == 'nt' and (python_version >= '3.10' or os_name == 'x')"),
    ]


def test_sources_of_every_kind() -> None:
    rows = {
        "plain": "",
        "archive": 'url = "https://user:secret@index.example/a-1.tar.gz"\nfiles = [{url = "https://index.example/a-1.tar.gz", hash = '
        f'"sha256:{"1" * 64}"}}]\nsubdirectory = "sub"',
        "file": 'path = "./x-1-py3-none-any.whl"',
        "folder": 'path = "./folder"',
        "editable": 'path = "./folder2"\neditable = true',
        "repository": f'git = "https://git.index.example/x.git"\nref = "main"\nrevision = "{"a" * 40}"\nsubdirectory = "s"',
    }
    text = '[metadata]\nlock_version = "4.4"\n' + "".join(
        f'[[package]]\nname = "{name}"\nversion = "1"\n{source}\n' for name, source in rows.items()
    )
    lock = read(text)
    found = {
        each.name: (each.source.kind, each.source.location, each.source.revision, each.source.subdirectory) for each in lock.pins
    }
    assert found == {
        "plain": (SourceKind.REGISTRY, "", "", ""),
        "archive": (SourceKind.URL, "https://index.example/a-1.tar.gz", "", "sub"),
        "file": (SourceKind.FILE, "./x-1-py3-none-any.whl", "", ""),
        "folder": (SourceKind.DIRECTORY, "./folder", "", ""),
        "editable": (SourceKind.EDITABLE, "./folder2", "", ""),
        "repository": (SourceKind.GIT, "https://git.index.example/x.git", "a" * 40, "s"),
    }
    assert pin(lock, "archive").artifacts == (
        Artifact(
            filename="a-1.tar.gz",
            digests=(Digest("sha256", "1" * 64),),
            location="https://index.example/a-1.tar.gz",
            where="package[1].files[0]",
        ),
    )
    assert [note.code for note in lock.notes] == ["lock-url-credentials"]
    assert "secret" not in repr(lock)
    assert summarise(lock)["vcs_url_path_packages"] == [
        "archive:url",
        "editable:editable",
        "file:path",
        "folder:dir",
        "repository:git",
    ]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://user:hunter2@git.index.example/x.git", "https://git.index.example/x.git"),
        ("user:hunter2@git.index.example:x.git", "git.index.example:x.git"),
        (
            "https://git.index.example/https://user:hunter2@other.index.example/x",
            "https://git.index.example/https://other.index.example/x",
        ),
        ("git@git.index.example:x.git", "git@git.index.example:x.git"),
    ],
)
def test_a_repository_is_kept_without_its_secret(written: str, kept: str) -> None:
    lock = read(_one(f"git = '{written}'\nrevision = '{'a' * 40}'"))
    assert lock.pins[0].source.location == kept
    assert "hunter2" not in repr(lock)


def _one(body: str, *, metadata: str = 'lock_version = "4.4"') -> str:
    return f'[metadata]\n{metadata}\n[[package]]\nname = "six"\nversion = "1.16.0"\n{body}\n'


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ("", "lock-missing-key", "pdm.lock"),
        ("[metadata]\n", "lock-version-unsupported", "pdm.lock: metadata.lock_version"),
        ('[metadata]\nlock_version = "5.0"\n', "lock-version-unsupported", "pdm.lock: metadata.lock_version"),
        ('[metadata]\nlock_version = "2"\n', "lock-version-unsupported", "pdm.lock: metadata.lock_version"),
        ("[metadata]\nlock_version = 4\n", "lock-version-unsupported", "pdm.lock: metadata.lock_version"),
        ("[metadata\n", "lock-syntax", "pdm.lock: line 1 column 10"),
        ("metadata = 1\n", "lock-bad-type", "pdm.lock: metadata"),
        (_one("", metadata='lock_version = "4.5"\nstrategy = ["inherit_metadata"]'), "lock-missing-key", "pdm.lock: package[0]"),
        (_one('files = [{file = "../x.whl", hash = "sha256:00"}]'), "lock-unsafe-filename", "pdm.lock: package[0].files[0].file"),
        (_one('files = [{file = "x.whl", hash = "sha256:00"}]'), "malformed-hash", "pdm.lock: package[0].files[0].hash"),
        (_one('files = [{file = "x.whl", hash = 1}]'), "lock-bad-type", "pdm.lock: package[0].files[0].hash"),
        (_one('files = [{hash = "sha256:00"}]'), "lock-missing-key", "pdm.lock: package[0].files[0]"),
        (_one("files = [1]"), "lock-bad-type", "pdm.lock: package[0].files[0]"),
        (_one("files = {}"), "lock-bad-type", "pdm.lock: package[0].files"),
        (_one("dependencies = ['a b']"), "lock-bad-requirement", "pdm.lock: package[0].dependencies[0]"),
        (_one("dependencies = ['-e ./lib']"), "lock-bad-requirement", "pdm.lock: package[0].dependencies[0]"),
        (_one("dependencies = ['a; os_name']"), "lock-bad-marker", "pdm.lock: package[0].dependencies[0]"),
        (_one("marker = 'x'"), "lock-bad-marker", "pdm.lock: package[0].marker"),
        (_one("extras = 'x'"), "lock-bad-type", "pdm.lock: package[0].extras"),
        (_one("git = 'https://index.example/x'\nrevision = 'main'"), "lock-bad-revision", "pdm.lock: package[0].revision"),
        (_one("hg = 'https://index.example/x'"), "lock-unsupported-vcs", "pdm.lock: package[0].hg"),
        (_one('[[package]]\nname = "six"\nversion = "1.16.0"'), "lock-duplicate-package", "pdm.lock: package[1]"),
        (_one('[[package]]\nname = "Six"\nversion = "x"'), "lock-bad-version", "pdm.lock: package[1].version"),
        (_one('[[package]]\nname = "a"'), "lock-missing-key", "pdm.lock: package[1]"),
        (
            _one(
                f'files = [{{file = "x.whl", hash = "sha256:{"1" * 64}"}}]\n[[package]]\nname = "six"\nversion = "1.16.0"\n'
                f'extras = ["y"]\nfiles = [{{file = "x.whl", hash = "sha256:{"2" * 64}"}}]'
            ),
            "lock-contradictory",
            "pdm.lock: package[1]",
        ),
        (
            _one("", metadata='lock_version = "4.0"\nfiles = {"six 1.16.0" = [{file = "x", hash = "md5:1"}]}'),
            "malformed-hash",
            "pdm.lock: metadata.files.'six 1.16.0'[0].hash",
        ),
    ],
)
def test_a_broken_lock_is_refused_with_its_place(text: str, code: str, where: str) -> None:
    error = refusal(text)
    assert (error.code, error.where) == (code, where)
    assert error.hint


def test_a_newer_minor_version_is_read_with_a_note() -> None:
    lock = read(FLAT.replace('lock_version = "4.5.1"', 'lock_version = "4.6.0"'))
    assert [note.code for note in lock.notes] == ["lock-version-newer"]
    assert lock.pins == read(FLAT).pins


def test_a_broken_project_beside_it_is_told_as_the_projects() -> None:
    assert refusal(GRAPH, "[project]\ndependencies = ['a b']\n").where == "pyproject.toml: project.dependencies[0]"


def test_its_names() -> None:
    for name in ("pdm.lock", "pdm.dev.lock", "pdm.py38-linux.lock"):
        assert reader_for(name) is pdm
    assert reader_for("other.lock", FLAT) is pdm


def test_nothing_that_a_lock_is_turned_into_fails_otherwise() -> None:
    """Cut, doubled and mixed: a lock, or an error that names a place in it."""
    chance = random.Random(20)
    for _ in range(300):
        text = chance.choice(list(TEXTS.values()))
        for _ in range(chance.randint(1, 4)):
            at, to = sorted(chance.randrange(len(text)) for _ in range(2))
            piece = chance.choice(
                ["", "1", '"', "[]", "{}", "true", "= {", text[at : at + 40], "\n[[package]]\n", "\n[metadata]\n"]
            )
            to = min(to, at + chance.choice([0, 1, 8, 200]))
            text = text[:at] + piece + text[to:]
        lock = outcome(text, chance.choice([None, PYPROJECT]))
        if isinstance(lock, DocumentError):
            assert lock.code.startswith(("lock-", "malformed-hash"))
        else:
            assert summarise(lock)
