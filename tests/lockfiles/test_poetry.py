"""poetry.lock in every layout: what real ones say, what their roots are, and how broken ones are refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from sanctity.errors import DocumentError
from sanctity.lockfiles import poetry, reader_for
from sanctity.model.digest import Digest
from sanctity.model.lock import Artifact, Dependency, Lock, Pin, Root, RootKind, Source, SourceKind

FIXTURES = Path(__file__).parent / "fixtures"
CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
DIGEST = Digest("sha256", "0" * 64)
FLAT = (FIXTURES / "flat.poetry.lock").read_text()
GRAPH = (FIXTURES / "graph.poetry.lock").read_text()
PYPROJECT = """
[tool.poetry]
name = "app"

[tool.poetry.dependencies]
python = "^3.8"
requests = {version = "^2.30", extras = ["socks"], platform = "linux || darwin"}
idna = {version = "*", python = "<3.12"}
pysocks = {version = "*", optional = true}

[tool.poetry.extras]
proxy = ["pysocks"]

[tool.poetry.group.test.dependencies]
pytest = "*"

[tool.poetry.group.docs]
optional = true

[tool.poetry.group.docs.dependencies]
urllib3 = "<2"
"""


def read(text: str, pyproject: str | None = None) -> Lock:
    beside = {} if pyproject is None else {"pyproject.toml": pyproject}
    return poetry.parse(text, path="poetry.lock", digest=DIGEST, beside=beside)


def refusal(text: str, pyproject: str | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(text, pyproject)
    return caught.value


def outcome(text: str, pyproject: str | None = None) -> Lock | DocumentError:
    try:
        return read(text, pyproject)
    except DocumentError as error:
        return error


def pin(lock: Lock, name: str, version: str = "") -> Pin:
    (found,) = [pin for pin in lock.pins if pin.name == name and version in {"", pin.version}]
    return found


def root(lock: Lock, kind: RootKind, name: str = "main") -> Root:
    (found,) = [root for root in lock.roots if (root.kind, root.name) == (kind, name)]
    return found


def rows() -> list[dict[str, str]]:
    if not CORPUS.is_dir():
        return []
    with (CORPUS / "INDEX.tsv").open() as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if row["format"] == "poetry.lock"]


needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real locks is not beside this checkout")


@needs_corpus
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["path"])
def test_real_locks_have_the_facts_counted_in_them(row: dict[str, str]) -> None:
    lock = read((CORPUS / row["path"]).read_text())
    artifacts = [artifact for pin in lock.pins for artifact in pin.artifacts]
    assert len(lock.pins) == int(row["packages"])
    assert len(lock.names()) == int(row["unique_names"])
    assert sum(bool(artifact.digests) for artifact in artifacts) == int(row["hashed_artifacts"])
    assert sum(not artifact.digests for artifact in artifacts) == int(row["unhashed_artifacts"])
    assert lock.format_version == row["format_version"]
    hashed = {pin.name for pin in lock.pins for artifact in pin.artifacts if artifact.digests}
    assert len(lock.names() - hashed) == int(row["no_hash_count"])
    kinds = {SourceKind.GIT: "git", SourceKind.DIRECTORY: "dir", SourceKind.EDITABLE: "dir", SourceKind.URL: "url"}
    elsewhere = {f"{pin.name}:{kinds[pin.source.kind]}" for pin in lock.pins if pin.source.kind is not SourceKind.REGISTRY}
    assert elsewhere == set(filter(None, row["vcs_url_path_packages"].split(",")))
    for each in lock.roots:
        assert {edge.name for edge in each.dependencies} <= lock.names()


@needs_corpus
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["path"])
def test_every_file_of_a_real_lock_is_of_one_version(row: dict[str, str]) -> None:
    lock = read((CORPUS / row["path"]).read_text())
    for each in lock.pins:
        for artifact in each.artifacts:
            assert f"-{each.version}" in artifact.filename.replace("_", "-")


def test_wants_the_project_and_recognises_only_its_own_name() -> None:
    assert poetry.wants(FLAT) == ("pyproject.toml",)
    assert reader_for("poetry.lock") is poetry
    assert reader_for("uv.lock") is not poetry
    assert reader_for("old-poetry.lock") is not poetry


def test_a_flat_lock() -> None:
    lock = read(FLAT)
    assert lock.generator == "Poetry 2.1.3"
    assert lock.requires_python == ">=2.7,<2.8 || >=3.9,<4.0"
    assert [each.dependencies for each in lock.pins] == [()] * len(lock.pins)
    assert pin(lock, "from-url").requires_python == ">=3.9,<4.0"
    assert pin(lock, "from-git").requires_python == ""
    wheel = pin(lock, "idna", "3.11").artifacts[0]
    upper = "771A87F49D9DEFAF64091E6E6FE9C18D4833F140BD19464795BC32D966CA37EA"
    assert wheel == Artifact(filename="idna-3.11-py3-none-any.whl", digests=(Digest("sha256", upper.lower()),))
    assert pin(lock, "uvicorn").artifacts[0].digests[0].strong is False


def test_an_artifact_built_field_by_field_is_like_any_other() -> None:
    artifact = pin(read(FLAT), "anyio").artifacts[0]
    value = "08b310f9e24a9594186fd75b4f73f4a4152069e3853f1ed8bfbf58369f4ad708"
    same = Artifact(filename="anyio-4.13.0-py3-none-any.whl", digests=(Digest("sha256", value),))
    assert artifact == same
    assert hash(artifact) == hash(same)
    assert repr(artifact) == repr(same)


def test_roots_of_a_flat_lock() -> None:
    lock = read(FLAT)
    main = root(lock, RootKind.PROJECT)
    assert main.default
    assert main.complete
    assert main.extras == ()
    assert main.dependencies == (
        Dependency(name="anyio", marker='sys_platform == "linux"'),
        Dependency(name="idna", version="3.10", marker='python_version < "3.10"'),
        Dependency(name="idna", version="3.11", marker='python_version >= "3.10"'),
        Dependency(name="uvicorn", marker='extra == "serve"'),
    )
    assert root(lock, RootKind.GROUP, "dev").dependencies == (Dependency(name="anyio", marker='python_version < "3.12"'),)
    assert len(root(lock, RootKind.GROUP, "docs").dependencies) == 5
    serve = root(lock, RootKind.EXTRA, "serve")
    assert serve.extras == ("serve",)
    assert serve.dependencies == main.dependencies
    assert not serve.default


def test_a_project_says_which_groups_are_optional() -> None:
    lock = read(FLAT, "[tool.poetry.group.docs]\noptional = true\n[tool.poetry.group.docs.dependencies]\nFrom_Git = '*'\n")
    assert not root(lock, RootKind.GROUP, "docs").default
    assert root(lock, RootKind.GROUP, "dev").default
    assert lock.notes == read(FLAT).notes


def test_sources() -> None:
    lock = read(FLAT)
    commit = "0123456789abcdef0123456789abcdef01234567"
    where = "https://git.example/from-git.git"
    assert pin(lock, "from-git").source == Source(kind=SourceKind.GIT, location=where, revision=commit, subdirectory="python")
    assert pin(lock, "idna", "3.10").source == Source(kind=SourceKind.REGISTRY, location="https://index.example/simple")
    assert pin(lock, "from-url").source.kind is SourceKind.URL
    assert pin(lock, "from-file").source == Source(kind=SourceKind.FILE, location="vendor/from_file-1.0.tar.gz")
    assert pin(lock, "from-folder").source == Source(kind=SourceKind.DIRECTORY, location="../libs/from-folder")
    assert pin(lock, "editable-folder").source == Source(kind=SourceKind.EDITABLE, location="../libs/editable-folder")


def test_a_graph_without_its_project_is_incomplete() -> None:
    lock = read(GRAPH)
    assert {each.complete for each in lock.roots} == {False}
    assert root(lock, RootKind.PROJECT).dependencies == (Dependency(name="requests"),)
    assert root(lock, RootKind.GROUP, "dev").dependencies == (Dependency(name="pytest"),)
    assert root(lock, RootKind.EXTRA, "proxy").dependencies == (Dependency(name="pysocks"),)


def test_a_graph_with_its_project() -> None:
    lock = read(GRAPH, PYPROJECT)
    assert {each.complete for each in lock.roots} == {True}
    platforms = 'sys_platform == "linux" or sys_platform == "darwin"'
    assert root(lock, RootKind.PROJECT).dependencies == (
        Dependency(name="requests", marker=platforms, extras=("socks",)),
        Dependency(name="idna", marker='python_full_version < "3.12"'),
    )
    assert root(lock, RootKind.GROUP, "test").default
    docs = root(lock, RootKind.GROUP, "docs")
    assert not docs.default
    assert docs.dependencies == (Dependency(name="urllib3", version="1.26.20"),)
    assert root(lock, RootKind.EXTRA, "proxy").dependencies == (Dependency(name="pysocks"),)


def test_edges_of_a_graph() -> None:
    requests = pin(read(GRAPH), "requests")
    assert requests.dependencies == (
        Dependency(name="idna"),
        Dependency(name="colorama", marker='sys_platform == "win32"'),
        Dependency(name="urllib3", version="1.26.20", marker='python_version < "3.10"'),
        Dependency(name="urllib3", version="2.2.3", marker='python_version >= "3.10"'),
    )
    assert requests.optional == (("socks", (Dependency(name="pysocks", marker='sys_platform != "win32"'),)),)


def test_of_several_versions_that_would_do_the_newest_that_fits_the_python_is_meant() -> None:
    assert pin(read(GRAPH), "pytest").dependencies == (
        Dependency(name="urllib3", version="2.2.3", marker='python_full_version >= "3.8"'),
        Dependency(name="urllib3", version="1.26.20", marker='python_full_version < "3.8"'),
    )


def test_files_of_several_versions_under_one_name_are_told_apart() -> None:
    lock = read(GRAPH)
    assert [artifact.filename for artifact in pin(lock, "urllib3", "2.2.3").artifacts] == ["urllib3-2.2.3-py3-none-any.whl"]
    assert len(pin(lock, "urllib3", "1.26.20").artifacts) == 2


def test_a_circle_is_reached() -> None:
    package = '[[package]]\nname = "{0}"\nversion = "1"\nfiles = []\n[package.dependencies]\n{1} = "*"\n'
    text = package.format("a", "b") + package.format("b", "a") + '[metadata]\nlock-version = "2.0"\npython-versions = "*"\n'
    assert [edge.name for edge in root(read(text), RootKind.PROJECT).dependencies] == ["a"]


def test_a_project_that_asks_for_more_than_is_locked_is_noted() -> None:
    lock = read(GRAPH, PYPROJECT.replace("\npython = ", '\nflask = "*"\npython = '))
    assert [note.code for note in lock.notes] == ["lock-stale"]
    assert "flask" in lock.notes[0].message
    assert [note.code for note in read(FLAT, '[project]\nname = "a"\ndependencies = ["flask>=1"]').notes].count("lock-stale") == 1


def test_a_project_by_the_standard_tables() -> None:
    project = """
[project]
name = "app"
dependencies = ["requests[socks] >=2 ; python_version < '4'"]
optional-dependencies = {proxy = ["pysocks"]}
[dependency-groups]
base = ["idna"]
dev = ["pytest", {include-group = "base"}]
"""
    lock = read(GRAPH, project)
    assert root(lock, RootKind.PROJECT).dependencies == (
        Dependency(name="requests", marker='python_version < "4"', extras=("socks",)),
    )
    assert [edge.name for edge in root(lock, RootKind.GROUP, "dev").dependencies] == ["pytest", "idna"]


def test_a_project_that_says_nothing_of_dependencies_is_none() -> None:
    assert not root(read(GRAPH, "[tool.black]\nline-length = 100\n"), RootKind.PROJECT).complete


def test_groups_that_include_each_other_end() -> None:
    project = '[dependency-groups]\na = [{include-group = "b"}, "idna"]\nb = [{include-group = "a"}]\n'
    lock = read(GRAPH, project)
    assert [edge.name for edge in root(lock, RootKind.GROUP, "b").dependencies] == ["idna"]


def test_a_broken_project_is_told_by_its_own_name() -> None:
    assert refusal(GRAPH, "[tool.poetry").where.startswith("pyproject.toml: line 1")
    error = refusal(GRAPH, "[tool.poetry.dependencies]\nrequests = 3\n")
    assert (error.code, error.where) == ("lock-bad-type", "pyproject.toml: tool.poetry.dependencies.requests")


def test_the_oldest_layout_has_hashes_without_names() -> None:
    text = (
        '[[package]]\nname = "six"\nversion = "1.12.0"\ncategory = "main"\noptional = false\npython-versions = "*"\n'
        f'[metadata]\npython-versions = "*"\n[metadata.hashes]\nsix = ["{"a" * 64}", "{"b" * 64}"]\n'
    )
    lock = read(text)
    assert lock.format_version == ""
    assert lock.pins[0].artifacts == tuple(Artifact(digests=(Digest("sha256", each * 64),)) for each in "ab")
    assert refusal(text.replace("a" * 64, "a" * 63)).where == "poetry.lock: metadata.hashes.six[0]"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("*", ""),
        ("^3.9", ">=3.9,<4.0"),
        ("^3.9.0,<4.0", ">=3.9.0,<4.0"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0.0", ">=0.0,<0.1"),
        ("^0", ">=0,<1.0"),
        ("~3", ">=3,<4.0"),
        ("~3.8", ">=3.8,<3.9"),
        ("~2.7 || ^3.6", ">=2.7,<2.8 || >=3.6,<4.0"),
        ("2.7.* | 3.x", "==2.7.* || ==3.*"),
        (">= 2.7, !=3.0.*, != 3.1.*", ">=2.7,!=3.0.*,!=3.1.*"),
        (">=3.8 <4", ">=3.8,<4"),
        ("3.8", "==3.8"),
        ("=3.8", "==3.8"),
        (">=3.6 || *", ""),
        ("~=3.8", "~=3.8"),
    ],
)
def test_constraints_as_pep_440_has_them(written: str, meant: str) -> None:
    lock = read(f'package = []\n[metadata]\nlock-version = "2.0"\npython-versions = "{written}"\n')
    assert lock.requires_python == meant
    for one in lock.requires_python.split(" || "):
        SpecifierSet(one)


def test_markers_made_here_are_markers() -> None:
    project = PYPROJECT.replace("<3.12", "~2.7 || ^3.6,!=3.7.*").replace("linux || darwin", "!=win32")
    edges = root(read(GRAPH, project), RootKind.PROJECT).dependencies
    requests, idna = (Marker(edge.marker) for edge in edges)
    assert not requests.evaluate({"sys_platform": "win32"})
    assert [idna.evaluate({"python_full_version": one}) for one in ("2.7.18", "3.5.1", "3.7.9", "3.8.0", "4.0.0")] == [
        True,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        ("sha256:334b", "sha256:zz", "malformed-hash", "package[0].files[1].hash"),
        ("sha256:334b", "sha1:334b", "malformed-hash", "package[0].files[1].hash"),
        ("sha256:334b", "sha1000:334b", "malformed-hash", "package[0].files[1].hash"),
        ("sha256:334b", "334b", "malformed-hash", "package[0].files[1].hash"),
        ('lock-version = "2.1"', 'lock-version = "3.0"', "lock-version-unsupported", "metadata.lock-version"),
        ('lock-version = "2.1"', 'lock-version = "new"', "lock-version-unsupported", "metadata.lock-version"),
        ('lock-version = "2.1"\n', "", "lock-missing-key", "metadata"),
        ('lock-version = "2.1"', "lock-version = 2.1", "lock-bad-type", "metadata.lock-version"),
        ('file = "anyio-4.13.0.tar.gz"', 'file = "../anyio-4.13.0.tar.gz"', "lock-unsafe-filename", "package[0].files[1].file"),
        ('file = "anyio-4.13.0.tar.gz"', 'file = "/etc/passwd"', "lock-unsafe-filename", "package[0].files[1].file"),
        ('file = "anyio-4.13.0.tar.gz"', 'file = "a\\u0000b"', "lock-unsafe-filename", "package[0].files[1].file"),
        ('file = "anyio-4.13.0.tar.gz"', 'file = "a\\nb"', "lock-unsafe-filename", "package[0].files[1].file"),
        ('file = "anyio-4.13.0.tar.gz"', 'file = ".."', "lock-unsafe-filename", "package[0].files[1].file"),
        ('file = "anyio-4.13.0.tar.gz", ', "", "lock-missing-key", "package[0].files[1]"),
        ("anyio-4.13.0.tar.gz", "anyio-4.13.0-py3-none-any.whl", "lock-contradictory", "package[0].files"),
        ('version = "4.13.0"', 'version = "banana"', "lock-bad-version", "package[0].version"),
        ('version = "4.13.0"\n', "", "lock-missing-key", "package[0]"),
        ('name = "Anyio"', 'name = "../anyio"', "lock-bad-name", "package[0].name"),
        ('groups = ["main", "dev"]\n', "", "lock-missing-key", "package[0]"),
        ('groups = ["main", "dev"]', 'groups = "main"', "lock-bad-type", "package[0].groups"),
        ('"python_version < \\"3.10\\""', '"python_version <"', "lock-bad-marker", "package[1].markers"),
        ('markers = "python_version < \\"3.10\\""\n', "markers = 3\n", "lock-bad-type", "package[1].markers"),
        ('python_version >= \\"3.10\\"', 'python_version < \\"3.10\\"', "lock-contradictory", "package[2]"),
        ('version = "3.11"', 'version = "3.10"', None, ""),
        ('name = "from-url"', 'name = "from-git"', None, ""),
        ('type = "git"', 'type = "carrier-pigeon"', "lock-unknown-source", "package[4].source.type"),
        ('resolved_reference = "0', 'resolved_reference = "g', "lock-bad-revision", "package[4].source.resolved_reference"),
        ('python-versions = "^3.9"', 'python-versions = "^^3.9"', "lock-bad-specifier", "package[5].python-versions"),
        ("[metadata]", "[metadata", "lock-syntax", "line"),
        ('url = "vendor/', 'url = "vendor\\n/', "lock-bad-url", "package[6].source.url"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, code: str | None, where: str) -> None:
    assert old in FLAT
    if code is None:
        assert len(read(FLAT.replace(old, new, 1)).pins) == len(read(FLAT).pins)
        return
    error = refusal(FLAT.replace(old, new, 1))
    assert error.code == code
    assert error.where.startswith(f"poetry.lock: {where}")
    assert error.hint


def test_the_message_of_the_contract() -> None:
    start = FLAT.index("sha256:334b")
    error = refusal(FLAT[:start] + "sha256:zz" + FLAT[start + 71 :])
    assert str(error) == "poetry.lock: package[0].files[1].hash: 'zz' is not a sha256 digest"
    assert error.hint == "lock again with poetry"


def test_a_lock_cut_short_is_refused() -> None:
    assert refusal(FLAT[: FLAT.index("[extras]")]).code == "lock-missing-key"
    assert refusal(GRAPH[: GRAPH.index("[metadata]")]).code == "lock-missing-key"


def test_a_package_that_is_there_twice_is_refused() -> None:
    at = FLAT.index('[[package]]\nname = "uvicorn"')
    end = FLAT.index('[[package]]\nname = "from-git"')
    error = refusal(FLAT[:end] + FLAT[at:end] + FLAT[end:])
    assert (error.code, error.where) == ("lock-duplicate-package", "poetry.lock: package[4]")


def test_a_newer_minor_version_is_read_with_a_note() -> None:
    lock = read(FLAT.replace('lock-version = "2.1"', 'lock-version = "2.9"'))
    assert [note.code for note in lock.notes if note.code != "lock-url-credentials"] == ["lock-version-newer"]
    assert lock.roots == read(FLAT).roots


def test_all_faults_are_told_at_once() -> None:
    error = refusal(FLAT.replace("sha256:", "sha256:x"))
    assert len(error.issues) == 6
    assert error.message.endswith("(and 5 more)")


def test_credentials_are_nowhere() -> None:
    lock = read(FLAT)
    assert "hunter" not in repr(lock)
    assert {note.code for note in lock.notes} == {"lock-url-credentials"}
    for old, new in [
        ('type = "git"', "type = 3"),
        ('type = "legacy"', 'type = "x"'),
        ("https://me:", "https://me:a/b:"),
        ("[[", "[[["),
    ]:
        error = refusal(FLAT.replace(old, new, 1))
        assert "hunter" not in f"{error} {error.hint} {error.issues!r}"
    scp = read(FLAT.replace("https://me:hunter2@git.example/", "me:hunter2@git.example:", 1))
    assert pin(scp, "from-git").source.location == "git.example:from-git.git"


VALUES = (
    "1",
    "-1",
    "1.5",
    "true",
    '""',
    '"x"',
    '"^"',
    '"||"',
    "[]",
    "[1]",
    "[[]]",
    "{}",
    "{a = 1}",
    "1979-05-27",
    "[{}]",
    '"é\\u0000"',
)


@st.composite
def broken(draw: st.DrawFn, text: str) -> str:
    """*text* with one to three of: another value after a key, a cut, a doubled or lost line, a changed character."""
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(("value", "value", "value", "cut", "twice", "lost", "character", "header")))
        if how == "value" and " = " in lines[at]:
            lines[at] = lines[at].partition(" = ")[0] + " = " + draw(st.sampled_from(VALUES))
        elif how == "cut":
            lines = lines[:at]
        elif how == "twice":
            lines.insert(at, lines[at])
        elif how == "lost":
            del lines[at]
        elif how == "header":
            lines.insert(
                at, draw(st.sampled_from(("[metadata.files]", "[package.source]", "[[package]]", "[extras]", "[package.x]")))
            )
        elif lines[at]:
            column = draw(st.integers(0, len(lines[at]) - 1))
            lines[at] = lines[at][:column] + draw(st.sampled_from('"[]{}=,.\\\0é@ 0x')) + lines[at][column + 1 :]
        text = "\n".join(lines)
    return text


@settings(max_examples=400, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(broken(FLAT), broken(GRAPH)), st.one_of(st.none(), broken(PYPROJECT)))
def test_nothing_but_a_document_error_ever_comes_out(text: str, pyproject: str | None) -> None:
    result = outcome(text, pyproject)
    if isinstance(result, DocumentError):
        assert result.code.startswith("lock-")
        assert result.where.startswith(("poetry.lock", "pyproject.toml"))
        assert "hunter" not in str(result)
    else:
        assert "hunter" not in repr(result)
        for each in result.roots:
            for edge in each.dependencies:
                assert edge.marker == "" or str(Marker(edge.marker))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(alphabet="^~=!<>|,. *x0123v-+ab", max_size=24))
def test_any_constraint_is_pep_440_or_refused(text: str) -> None:
    document = f'package = []\n[metadata]\nlock-version = "2.0"\npython-versions = "{text}"\n'
    result = outcome(document)
    if isinstance(result, DocumentError):
        assert result.code == "lock-bad-specifier"
    else:
        for one in result.requires_python.split(" || "):
            SpecifierSet(one)
