"""Every real lock of the corpus gives the facts that another program counted, straight from the documents."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from sanctity.lockfiles import pylock, toml, uv
from sanctity.lockfiles.summary import COLUMNS, summarise
from sanctity.model.lock import RootKind, SourceKind
from sanctity.observe.locks import read_lock

if TYPE_CHECKING:
    from sanctity.model.lock import Lock, Pin

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"

_NUMBERS = (
    "packages",
    "unique_names",
    "hashed_artifacts",
    "unhashed_artifacts",
    "hash_only",
    "no_hash_count",
    "platform_markers",
    "python_markers",
)
_LONG_LIST = re.compile(r"\((\d+) names, all of the unhashed rows\)")


def _rows() -> list[dict[str, str]]:
    index = CORPUS / "INDEX.tsv"
    if not index.exists():
        return []
    with index.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def read(path: str) -> Lock:
    """The lock *path* of the corpus; of a folder the file that it says to start from."""
    place = CORPUS / path
    if not place.exists():
        pytest.skip("the corpus of real locks is not beside this checkout")
    if place.is_dir():
        place /= (place / "ENTRY").read_text().strip()
    return read_lock(place, partial=True)


def pins(lock: Lock, name: str) -> list[Pin]:
    return [pin for pin in lock.pins if pin.name == name]


@pytest.mark.parametrize("row", _rows() or [{}], ids=lambda row: row.get("path", "absent"))
def test_the_summary_of_a_real_lock(row: dict[str, str]) -> None:
    if not row:
        pytest.skip("the corpus of real locks is not beside this checkout")
    found = summarise(read(row["path"]))
    assert tuple(found) == COLUMNS
    expected: dict[str, Any] = {column: int(row[column]) for column in _NUMBERS}
    algorithms = (cell.split(":") for cell in row["hash_algos"].split(",") if cell)
    expected["hash_algos"] = {name: int(count) for name, count in algorithms}
    expected["vcs_url_path_packages"] = [cell for cell in row["vcs_url_path_packages"].split(",") if cell]
    expected["more_facts"] = json.loads(row["more_facts"])
    names = found.pop("no_hash_packages")
    assert isinstance(names, list)
    if long := _LONG_LIST.fullmatch(row["no_hash_packages"]):
        assert len(names) == int(long[1])
        assert names == sorted(set(names))
    else:
        assert names == [cell for cell in row["no_hash_packages"].split(",") if cell]
    assert found == expected
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("row", _rows() or [{}], ids=lambda row: row.get("path", "absent"))
def test_what_a_real_lock_is_for_is_in_it(row: dict[str, str]) -> None:
    if not row:
        pytest.skip("the corpus of real locks is not beside this checkout")
    lock = read(row["path"])
    known = {(pin.name, pin.ecosystem) for pin in lock.pins}
    assert {(edge.name, edge.ecosystem) for root in lock.roots for edge in root.dependencies} <= known
    assert lock.roots or not lock.pins


_SHORT_WAYS = ("plain_artifact", "plain_files", "plain_hashes", "plain_rows")


@pytest.mark.parametrize("row", _rows() or [{}], ids=lambda row: row.get("path", "absent"))
def test_the_short_way_equals_the_careful_way(row: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly every file is read past the careful way; whatever that would make of it must be the same."""
    if not row:
        pytest.skip("the corpus of real locks is not beside this checkout")
    short = read(row["path"])
    taken: list[str] = []
    for name in _SHORT_WAYS:
        for module in (toml, uv, pylock):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda *_, name=name: taken.append(name))
    assert read(row["path"]) == short
    if row["format"] in {"uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"} and any(
        p.artifacts for p in short.pins
    ):
        assert taken


# What is odd about each file, as the index of the corpus notes it.


def test_a_script_keeps_its_own_requirements() -> None:
    lock = read("uv/astral-sh__uv__1.lock")
    (root,) = lock.roots
    assert (root.kind, root.member, root.default) == (RootKind.PROJECT, "", True)
    assert root.dependencies
    assert {pin.source.kind for pin in lock.pins} == {SourceKind.REGISTRY}


def test_a_lock_below_a_header_that_was_cut_off_is_whole() -> None:
    lock = read("uv/astral-sh__uv__2.lock")
    (member,) = pins(lock, "homeassistant")
    assert (member.source.kind, member.source.location) == (SourceKind.EDITABLE, ".")
    assert lock.requires_python == ">=3.12.[X]"
    assert [note.code for note in lock.notes] == ["lock-bad-specifier"]


def test_a_small_virtual_root() -> None:
    (member,) = pins(read("uv/fpgmaas__deptry__1.lock"), "foo")
    assert (member.source.kind, member.source.location) == (SourceKind.VIRTUAL, ".")


def test_the_newest_revision_is_no_news() -> None:
    lock = read("uv/generated__uv__1.lock")
    assert lock.format_version == "1 revision 5"
    assert not lock.notes
    numpies = pins(lock, "numpy")
    assert len(numpies) > 1
    assert all(pin.marker for pin in numpies)
    assert len({pin.marker for pin in numpies}) == len(numpies)


def test_a_git_package_of_a_lock_without_a_revision() -> None:
    lock = read("uv/google__osv-scalibr__1.lock")
    assert lock.format_version == "1"
    (ruff,) = pins(lock, "ruff")
    assert (ruff.source.kind, ruff.source.location) == (SourceKind.GIT, "https://github.com/astral-sh/ruff")
    assert re.fullmatch("[0-9a-f]{40}", ruff.source.revision)
    assert {root.member for root in lock.roots} == {"uv-lockfiles"}


def test_a_member_of_a_monorepo_points_at_its_neighbours() -> None:
    lock = read("uv/langchain-ai__langgraph__1.lock")
    places = {pin.name: pin.source.location for pin in lock.pins if pin.source.kind is SourceKind.EDITABLE}
    assert places["langgraph"] == "."
    assert places["langgraph-prebuilt"] == "../prebuilt"
    assert {root.member for root in lock.roots} == {"langgraph"}


def test_a_first_lock_knows_no_upload_times() -> None:
    lock = read("uv/langchain-ai__langgraph__2.lock")
    assert lock.format_version == "1"
    assert {artifact.upload_time for pin in lock.pins for artifact in pin.artifacts} == {""}
    assert any(artifact.size for pin in lock.pins for artifact in pin.artifacts)


def test_two_registries_and_wheels_at_the_latest() -> None:
    lock = read("uv/PrimeIntellect-ai__prime-rl__1.lock")
    assert len(lock.indexes) == 2
    assert lock.indexes[1].endswith("/whl/test/cu128")
    direct = [pin for pin in lock.pins if pin.source.kind is SourceKind.URL]
    assert len(direct) == 13
    assert all("/@latest/" in pin.source.location and pin.version and pin.artifacts[0].digests for pin in direct)
    assert [pin.name for pin in lock.pins if pin.source.kind is SourceKind.GIT] == ["verifiers"]


def test_a_dummy_date_is_no_part_of_a_lock() -> None:
    assert not read("uv/sigstore__sigstore-python__1.lock").notes
    assert 'exclude-newer = "0001-01-01' in (CORPUS / "uv/sigstore__sigstore-python__1.lock").read_text()


def test_every_package_from_a_legacy_source() -> None:
    lock = read("poetry/generated__poetry__1.lock")
    assert len(lock.indexes) == 1
    assert {pin.source.location for pin in lock.pins} == set(lock.indexes)


def test_a_directory_without_files() -> None:
    lock = read("poetry/langchain-ai__langgraph__1.lock")
    (member,) = pins(lock, "langgraph-checkpoint")
    assert (member.source.kind, member.source.location, member.artifacts) == (SourceKind.EDITABLE, "../checkpoint", ())


@pytest.mark.parametrize(("name", "version"), [("mlf-core__mlf-core__1", "1.1"), ("python-poetry__poetry__2", "1.0")])
def test_files_that_metadata_keeps(name: str, version: str) -> None:
    lock = read(f"poetry/{name}.lock")
    assert lock.format_version == version
    assert lock.facts["layout"] == "metadata.files"
    assert all(pin.artifacts for pin in lock.pins)


def test_groups_and_markers_of_each_package() -> None:
    lock = read("poetry/python-poetry__poetry__1.lock")
    groups = {root.name: root for root in lock.roots if root.kind is RootKind.GROUP}
    assert {"dev", "test"} <= set(groups)
    assert any(edge.marker for root in groups.values() for edge in root.dependencies)
    assert [pin.source.kind for pin in pins(lock, "poetry-core")] == [SourceKind.GIT]


@pytest.mark.parametrize(("name", "version"), [("fpgmaas__deptry__1", "4.5.0"), ("pdm-project__pdm__1", "4.5.1")])
def test_a_flat_pdm_lock_says_where_its_rows_belong(name: str, version: str) -> None:
    lock = read(f"pdm/{name}.lock")
    assert (lock.format_version, lock.generator, lock.requires_python) == (version, "PDM", ">=3.10")
    assert all(root.complete for root in lock.roots)
    assert lock.roots[0].kind is RootKind.PROJECT
    (coverage,) = pins(lock, "coverage")
    assert [extra for extra, _ in coverage.optional] == ["toml"]
    assert [edge.name for edge in coverage.optional[0][1]] == ["tomli"]
    wanted = {root.name: [edge for edge in root.dependencies if edge.name == "coverage"] for root in lock.roots}
    assert {edge.extras for edge in wanted["test"]} == {(), ("toml",)}
    assert not wanted["default"]


def test_a_pdm_lock_that_is_a_graph_does_not_say_what_it_is_for() -> None:
    lock = read("pdm/pdm-project__pdm__2.lock")
    assert lock.format_version == "4.4"
    (root,) = lock.roots
    assert not root.complete
    assert len(root.dependencies) < len(lock.pins)
    assert any(pin.dependencies for pin in lock.pins)


def test_files_of_pdm_that_are_urls() -> None:
    lock = read("pdm/pdm-project__pdm__3.lock")
    files = [artifact for pin in lock.pins for artifact in pin.artifacts]
    assert all(file.location.endswith("/" + file.filename) for file in files)
    assert len(files) == 20


def test_a_name_that_two_sections_pin_differently() -> None:
    lock = read("pipfile/pypa__pipenv__1.lock")
    default, develop = lock.roots
    assert (default.kind, default.default, develop.kind, develop.name, develop.default) == (
        RootKind.PROJECT,
        True,
        RootKind.GROUP,
        "develop",
        False,
    )
    twice = {pin.name for pin in lock.pins if len(pins(lock, pin.name)) > 1}
    assert len(twice) == 4
    assert all(edge.version for root in lock.roots for edge in root.dependencies if edge.name in twice)


def test_an_editable_checkout_and_editable_folders() -> None:
    lock = read("pipfile/pypa__pipenv__2.lock")
    (passa,), (itself,), (folder,) = pins(lock, "passa"), pins(lock, "pipenv"), pins(lock, "pytest-pypi")
    assert (passa.source.kind, passa.source.revision) == (SourceKind.GIT, "a2ba0b30c86339cae5ef3a03046fc9c583452c40")
    assert (itself.source.kind, itself.source.location) == (SourceKind.EDITABLE, ".")
    assert (folder.source.kind, folder.source.location) == (SourceKind.EDITABLE, "./tests/pytest-pypi")
    (edge,) = [edge for root in lock.roots for edge in root.dependencies if edge.name == "pipenv"]
    assert edge.extras == ("dev", "tests")


def test_a_lock_of_2017_was_made_on_one_machine() -> None:
    lock = read("pipfile/pypa__pipenv__3.lock")
    assert (lock.format_version, lock.requires_python) == ("pipfile-spec 2", "==3.6.*")
    assert [pin.name for pin in lock.pins if not pin.artifacts] == ["pipenv"]


def test_wheels_whose_url_is_their_name() -> None:
    lock = read("pylock/Comfy-Org__comfy-cli__1.toml")
    files = [artifact for pin in lock.pins for artifact in pin.artifacts]
    named = {file.filename for file in files if file.filename != unquote(file.location).rpartition("/")[2]}
    assert {name.partition("-")[0] for name in named} == {"markupsafe", "pyyaml"}  # which have a name key of their own
    assert len(named) < len(files) / 2


def test_one_platform_and_one_sdist() -> None:
    lock = read("pylock/generated__pip__1.toml")
    assert [len(pin.artifacts) for pin in lock.pins] == [1] * len(lock.pins)
    assert [pin.name for pin in lock.pins if pin.artifacts[0].filename.endswith(".tar.gz")] == ["docopt"]


def test_who_made_a_pylock() -> None:
    assert read("pylock/google__osv-scalibr__1.toml").generator == "pip"
    assert read("pylock/pypa__packaging__1.toml").generator == "mousebender"


def test_extras_and_groups_that_markers_ask_for() -> None:
    lock = read("pylock/pdm-project__pdm__1.toml")
    assert [(root.kind, root.name) for root in lock.roots] == [
        (RootKind.PROJECT, ""),
        (RootKind.EXTRA, "security"),
        (RootKind.EXTRA, "tests"),
        (RootKind.GROUP, "default"),
    ]
    assert any("in extras" in pin.marker for pin in lock.pins)
    assert any("in dependency_groups" in pin.marker for pin in lock.pins)


def test_what_pandas_wishes_for() -> None:
    lock = read("pyproject/astral-sh__uv__1.toml")
    assert not lock.format.is_lock
    assert lock.requires_python == ">=3.11"
    assert {pin.version for pin in lock.pins} == {""}
    assert [pin.specifier for pin in pins(lock, "numpy")] == [">=1.26.0", ">=2.3.3"]
    assert "meson-python" not in lock.names()
    extras = {root.name for root in lock.roots if root.kind is RootKind.EXTRA}
    assert {"test", "all", "output-formatting"} <= extras


def test_a_project_without_a_project_table() -> None:
    lock = read("pyproject/Lightning-AI__pytorch-lightning__1.toml")
    assert not lock.pins
    assert [root.dependencies for root in lock.roots] == [()]


def test_constraints_are_pins_that_nobody_asks_for_less() -> None:
    lock = read("constraints/astral-sh__uv__1.txt")
    assert all(pin.version and not pin.artifacts for pin in lock.pins)


def test_several_versions_of_one_name() -> None:
    lock = read("requirements/generated__uv__1.txt")
    several = [pin for pin in lock.pins if len(pins(lock, pin.name)) > 1]
    assert len(several) == 6
    assert all(pin.marker for pin in several)
    assert lock.generator == "uv pip compile"


def test_the_example_of_pips_documentation() -> None:
    lock = read("requirements/google__osv-scalibr__1.txt")
    assert [note.code for note in lock.notes] == ["lock-include-missing"] * 2
    (numpy,), (requests,) = pins(lock, "numpy"), pins(lock, "requests")
    assert (numpy.source.kind, numpy.version) == (SourceKind.FILE, "1.9.2")
    assert (requests.version, requests.marker) == ("", 'python_version < "2.7"')
    (edge,) = [edge for root in lock.roots for edge in root.dependencies if edge.name == "requests"]
    assert edge.extras == ("security",)
    assert pins(lock, "wxpython-phoenix")[0].source.location.startswith("http://")


def test_ranges_and_a_theme_that_no_index_has() -> None:
    lock = read("requirements/Lightning-AI__pytorch-lightning__1.txt")
    assert [pin.name for pin in lock.pins if pin.version] == ["sphinx-toolbox", "sphinxcontrib-video"]
    assert pins(lock, "lai-sphinx-theme")[0].specifier == ""
    assert pins(lock, "sphinx")[0].specifier == "<6.0,>5.0"


def test_wildcards_pin_nothing_and_local_versions_do() -> None:
    lock = read("requirements/oobabooga__text-generation-webui__1.txt")
    assert [(pin.version, pin.specifier) for pin in pins(lock, "accelerate")] == [("", "==1.13.*")]
    wheels = pins(lock, "llama-cpp-binaries")
    assert {pin.version for pin in wheels} == {"0.124.0+cu124"}
    assert len({pin.source.location for pin in wheels}) == 2
    assert all("platform_system" in pin.marker for pin in wheels)


def test_the_other_index_of_an_export() -> None:
    assert len(read("requirements/pdm-project__pdm__1.txt").indexes) == 1
    assert read("requirements/pypi__warehouse__1.txt").generator == "pip-compile"


def test_a_tree_of_files_that_ends_in_the_project_itself() -> None:
    lock = read("requirements/theupdateframework__python-tuf__1")
    assert lock.files == ("build.txt", "lint.txt", "pinned.txt", "test.txt")
    (itself,) = [pin for pin in lock.pins if pin.source.kind is SourceKind.EDITABLE]
    assert (itself.name, itself.source.location) == ("", ".")
    assert len(pins(lock, "freezegun")) == 1
