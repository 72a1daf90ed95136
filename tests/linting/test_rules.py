"""Each rule: what it finds, by values and in real locks, and the near miss that it is silent on."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from factories import REGISTRY, a_digest, a_lock, a_pin, a_project, an_edge, an_interpreter
from sanctity.errors import DocumentError, Issue
from sanctity.linting.rules import JUDGES, judge, judge_unreadable
from sanctity.linting.subject import Subject
from sanctity.model.digest import Digest
from sanctity.model.drift import Severity
from sanctity.model.finding import RULES
from sanctity.model.lock import Artifact, Ecosystem, LockFormat, Note, Source, SourceKind
from sanctity.model.wheel import WheelFacts, WheelHook
from sanctity.observe.locks import read_lock

if TYPE_CHECKING:
    from sanctity.model.finding import Finding
    from sanctity.model.lock import Lock, Pin

CORPUS = Path(__file__).parents[3] / "shared/corpus"
MD5 = Digest("md5", "0" * 32)
MADE = "Python 3.11 on linux-x86_64-glibc"


def _judged(lock: Lock, **known: Any) -> list[Finding]:
    return list(judge(Subject(lock=replace(lock, requires_python=lock.requires_python or ">=3.9"), **known)))


def _codes(*parts: Any, **fields: Any) -> list[str]:
    return [each.code for each in _judged(a_lock(*parts, **fields))]


def _file(filename: str, *digests: Digest, location: str = "") -> Artifact:
    return Artifact(filename=filename, digests=digests or (a_digest(filename),), location=location)


def _real(path: str) -> Lock:
    if not CORPUS.exists():
        pytest.skip("the corpus of real locks is not beside this checkout")
    return read_lock(CORPUS / path, partial=True)


def _real_codes(path: str, **known: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in judge(Subject(lock=_real(path), **known)):
        found[each.code] = found.get(each.code, 0) + 1
    return found


# --- What a lock decides -----------------------------------------------------------------------------------------------------


def test_a_sound_lock_gives_nothing() -> None:
    assert _codes(a_pin("six"), a_pin("idna", "3.6", "six")) == []


def test_a_loose_row_is_unpinned() -> None:
    lock = a_lock(a_pin("six", "", specifier=">=1.0", artifacts=()), format=LockFormat.REQUIREMENTS)
    (found,) = _judged(lock)
    assert (found.code, found.package, found.severity) == ("unpinned", "six", Severity.WARNING)
    assert ">=1.0" in found.message
    assert "any version at all" in _judged(a_lock(a_pin("six", "", artifacts=()), format=LockFormat.REQUIREMENTS))[0].message


def test_a_folder_without_a_version_is_not_unpinned() -> None:
    assert _codes(a_pin("app", "", source=Source(kind=SourceKind.EDITABLE, location="."), artifacts=())) == []


def test_real_loose_rows() -> None:
    assert _real_codes("requirements/Lightning-AI__pytorch-lightning__1.txt") == {"unpinned": 18, "unhashed": 2}


@pytest.mark.parametrize("artifacts", [(), (Artifact(filename="six-1.0-py3-none-any.whl"),)])
def test_no_hash_is_unhashed(artifacts: tuple[Artifact, ...]) -> None:
    (found,) = _judged(a_lock(a_pin("six", artifacts=artifacts)))
    assert (found.code, found.package, found.version) == ("unhashed", "six", "1.0")


def test_one_file_of_several_without_a_hash() -> None:
    (found,) = _judged(a_lock(a_pin("six", artifacts=(_file("six-1.0.tar.gz"), Artifact(filename="six-1.0-py3-none-any.whl")))))
    assert found.message == "1 of its 2 files have no hash: six-1.0-py3-none-any.whl"


def test_what_has_no_file_needs_no_hash() -> None:
    git = Source(kind=SourceKind.GIT, location="https://git.example/six", revision="0" * 40)
    assert _codes(a_pin("six", source=git, artifacts=())) == []


def test_what_only_wishes_is_told_as_unpinned_alone() -> None:
    pin = a_pin("six", "", specifier=">=1", artifacts=())
    assert _codes(pin, a_pin("idna", artifacts=()), format=LockFormat.PYPROJECT) == ["unpinned"]


def test_md5_alone_is_weak() -> None:
    (found,) = _judged(a_lock(a_pin("six", artifacts=(_file("six-1.0-py3-none-any.whl", MD5),))))
    assert found.code == "weak-hash"
    assert "md5 alone" in found.message


def test_md5_beside_sha256_is_not_weak() -> None:
    assert _codes(a_pin("six", artifacts=(_file("six-1.0-py3-none-any.whl", MD5, a_digest("x")),))) == []


def test_a_real_list_of_conda_packages_has_md5_alone() -> None:
    assert _real_codes("conda-explicit/conda__conda-lock__1.txt") == {"weak-hash": 6}


# --- Files -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "filename"),
    [
        ("six", "1.0", "seven-1.0-py3-none-any.whl"),
        ("six", "1.0", "six-1.1-py3-none-any.whl"),
        ("six", "1.0", "six-1.0.1.tar.gz"),
        ("six", "1.0", "sixx-1.0.tar.gz"),
        ("six", "1.0", "six-py3-none-any.whl"),
        ("foo-bar", "1.0", "foo-1.0.tar.gz"),
        ("foo", "1.0", "foo-bar-1.0.tar.gz"),
        ("torch", "2.1+cpu", "torch-2.1+cu121-cp311-cp311-linux_x86_64.whl"),
    ],
)
def test_a_file_of_another_name_or_version(name: str, version: str, filename: str) -> None:
    (found,) = (each for each in _judged(a_lock(a_pin(name, version, artifacts=(_file(filename),)))) if each.code != "sdist-only")
    assert (found.code, found.severity) == ("filename-mismatch", Severity.ERROR)
    assert filename in found.message


@pytest.mark.parametrize(
    ("name", "version", "filename"),
    [
        ("foo-bar", "1.0", "Foo.Bar-1.0-py2.py3-none-any.whl"),
        ("foo-bar", "1.0", "foo_bar-1.0-1-py3-none-any.whl"),
        ("foo-bar", "1.0", "Foo-Bar_1.0.tar.gz"),
        ("foo-bar", "1.0", "foo.bar-1.0.zip"),
        ("foo", "1.0.post1", "foo-1.0-1.tar.gz"),
        ("foo", "1.0", "foo-1.0.0.tar.bz2"),
        ("foo", "1.0rc1", "foo-1.0.rc1.tar.gz"),
        ("foo", "1.0", "foo-1.0.win32-py2.7.exe"),
        ("foo", "1.0", "foo-1.0-py2.7.egg"),
        ("foo-bar", "1.0", "foo_bar-1.0-py2.7-macosx-10.9-x86_64.egg"),
        ("torch", "2.1+cu121", "torch-2.1+cu121-cp311-cp311-linux_x86_64.whl"),
        ("torch", "2.1", "torch-2.1+cu121-cp311-cp311-linux_x86_64.whl"),
        ("foo", "2024.1.5", "foo-2024.01.05.tar.gz"),
        ("foo", "", "foo-3-py3-none-any.whl"),
        ("foo", "not.a.version-1", "foo-not.a.version_1-py3-none-any.whl"),
        ("pyqt5-sip", "12.9", "PyQt5_sip-12.9.tar.gz"),
        ("backports-zoneinfo", "0.2", "backports.zoneinfo-0.2.tar.gz"),
    ],
)
def test_names_that_tools_give_to_files(name: str, version: str, filename: str) -> None:
    found = _judged(a_lock(a_pin(name, version, artifacts=(_file(filename),), specifier="")))
    assert "filename-mismatch" not in {each.code for each in found}


def test_an_archive_of_a_forge_may_be_called_as_it_likes() -> None:
    source = Source(kind=SourceKind.URL, location="https://forge.example/six/archive/v1.0.zip")
    assert "filename-mismatch" not in _codes(a_pin("six", source=source, artifacts=(_file("v1.0.zip"),)))


def test_a_conda_package_of_another_build() -> None:
    channel = Source(kind=SourceKind.REGISTRY, location="https://conda.example/forge/linux-64")
    pin = a_pin("zlib", "1.2", source=channel, ecosystem=Ecosystem.CONDA, build="h1_0", artifacts=(_file("zlib-1.2-h1_1.conda"),))
    assert _codes(pin, format=LockFormat.PIXI) == ["filename-mismatch"]
    assert _codes(replace(pin, build="h1_1"), format=LockFormat.PIXI) == []


def test_an_sdist_alone() -> None:
    (found,) = _judged(a_lock(a_pin("six", artifacts=(_file("six-1.0.tar.gz"),))))
    assert (found.code, found.severity) == ("sdist-only", Severity.NOTE)
    assert _codes(a_pin("six", artifacts=(_file("six-1.0.tar.gz"), _file("six-1.0-py3-none-any.whl")))) == []


def test_files_without_names_are_not_called_sdists() -> None:
    assert _codes(a_pin("six", artifacts=(Artifact(digests=(a_digest(),)),)), format=LockFormat.REQUIREMENTS) == []


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        (("six-1.0-cp312-cp312-win_amd64.whl",), Severity.WARNING),
        (("six-1.0-cp312-cp312-win_amd64.whl", "six-1.0.tar.gz"), Severity.NOTE),
    ],
)
def test_no_wheel_for_the_platform(files: tuple[str, ...], severity: Severity) -> None:
    lock = a_lock(a_pin("six", artifacts=tuple(map(_file, files))))
    (found,) = _judged(lock, interpreter=an_interpreter(), judged_for=MADE)
    assert (found.code, found.severity) == ("no-wheel-for-platform", severity)
    assert MADE in found.message


def test_a_package_for_another_platform_needs_no_wheel_for_this_one() -> None:
    pin = a_pin("colorama", artifacts=(_file("colorama-1.0-cp311-cp311-win_amd64.whl"),))
    lock = a_lock(pin, a_project(an_edge("colorama; sys_platform == 'win32'")))
    assert _judged(lock, interpreter=an_interpreter(), judged_for=MADE) == []


def test_a_real_lock_of_an_old_project_builds_some_on_a_new_python() -> None:
    known = {"interpreter": an_interpreter(version="3.12.4", abi="cpython-312"), "judged_for": "x"}
    assert _real_codes("poetry/mlf-core__mlf-core__1.lock", **known) == {"no-wheel-for-platform": 14, "sdist-only": 5}


def test_what_wheels_bring() -> None:
    facts = WheelFacts(
        filename="six-1.0-py3-none-any.whl",
        hooks=(WheelHook("lib/six.pth", "pth-code", "import six"),),
        native=("lib/six.so",),
        runpaths=(("lib/six.so", "/build/lib"),),
    )
    found = _judged(a_lock(a_pin("six"), a_pin("idna")), opened={("six", "1.0"): facts})
    assert [(each.code, each.package, each.severity) for each in found] == [
        ("wheel-hook", "six", Severity.NOTE),
        ("wheel-runpath", "six", Severity.WARNING),
    ]
    assert "import six" in found[0].message
    assert "/build/lib" in found[1].message


# --- The graph ---------------------------------------------------------------------------------------------------------------


def test_an_edge_that_leads_nowhere() -> None:
    (found,) = _judged(a_lock(a_pin("six", "1.0", "lost")))
    assert (found.code, found.package) == ("closure-incomplete", "lost")
    assert found.message == "lost is needed by six, and is not locked"


@pytest.mark.parametrize(
    "edge",
    [
        "lost; python_version < '3.8'",
        "lost; sys_platform == 'emscripten'",
        "lost; extra == 'never'",
        "lost; platform_python_implementation == 'PyPy'",
        "six==1.0",
    ],
)
def test_an_edge_that_no_environment_follows_may_lead_nowhere(edge: str) -> None:
    assert _codes(a_pin("six", "1.0"), a_pin("idna", "1.0", edge)) == []


def test_an_edge_to_another_version_than_is_locked() -> None:
    assert _codes(a_pin("six", "1.0"), a_pin("idna", "1.0", "six==2.0")) == ["closure-incomplete"]


def test_the_edges_of_an_extra_count_where_it_is_asked_for() -> None:
    pin = a_pin("six", optional={"fast": ["lost"]})
    assert _codes(pin) == []
    assert _codes(pin, a_project("six[fast]")) == ["closure-incomplete"]


def test_a_conda_package_that_is_missing_on_one_platform() -> None:
    conda: dict[str, Any] = {"ecosystem": Ecosystem.CONDA, "artifacts": (Artifact(digests=(a_digest(),)),)}
    needs = an_edge("zlib", ecosystem=Ecosystem.CONDA)
    python = a_pin("python", "3.11", needs, **conda, platforms=("linux-64", "osx-64"))
    zlib = a_pin("zlib", "1.2", **conda, platforms=("linux-64",))
    (found,) = _judged(a_lock(python, zlib, a_project(), format=LockFormat.CONDA_LOCK))
    assert (found.code, found.message) == ("closure-incomplete", "zlib on osx-64 is needed by python, and is not locked")
    assert _judged(a_lock(python, replace(zlib, platforms=("linux-64", "osx-64")), a_project(), format=LockFormat.CONDA_LOCK)) == []
    system = a_pin("python", "3.11", an_edge("__glibc", ecosystem=Ecosystem.CONDA), **conda)
    assert _judged(a_lock(system, a_project(), format=LockFormat.CONDA_LOCK)) == []


def test_a_host_that_is_trusted_without_a_certificate() -> None:
    settings = (
        ("--trusted-host", "index.example:8080"),
        ("--trusted-host", "localhost:80"),
        ("--trusted-host", "::1"),
        ("--pre", ""),
    )
    bare = a_lock(a_pin("six", "1", artifacts=()), format=LockFormat.REQUIREMENTS, settings=settings)
    found = [each for each in _judged(bare) if each.code == "source-insecure"]
    assert [(each.severity, each.message.partition(" ")[0]) for each in found] == [(Severity.WARNING, "index.example:8080")]
    hashed = a_lock(a_pin("six", "1"), format=LockFormat.REQUIREMENTS, settings=settings)
    assert [each.severity for each in _judged(hashed) if each.code == "source-insecure"] == [Severity.NOTE]


def test_one_name_twice_for_one_environment() -> None:
    pins = (a_pin("six", "1.0", marker="python_version >= '3.9'"), a_pin("six", "2.0", marker="sys_platform == 'linux'"))
    (found,) = _judged(a_lock(*pins, format=LockFormat.PYLOCK))
    assert (found.code, found.package, found.severity) == ("pins-overlap", "six", Severity.ERROR)
    assert "Python 3.9 on linux" in found.message


def test_one_name_twice_for_an_old_python_that_the_lock_is_for() -> None:
    pins = (a_pin("six", "1.0", marker="python_version < '3.8'"), a_pin("six", "2.0", marker="python_version >= '3.7'"))
    (found,) = _judged(a_lock(*pins, format=LockFormat.PYLOCK, requires_python=">=3.7"))
    assert "Python 3.7 on linux" in found.message
    assert _codes(*pins, format=LockFormat.PYLOCK, requires_python=">=3.8") == []


def test_one_name_twice_in_a_uv_lock_that_something_needs_without_saying_which() -> None:
    one, other = a_pin("six", "1.0"), a_pin("six", "2.0")
    (found,) = _judged(a_lock(one, other, a_project(an_edge("six"))))
    assert (found.code, found.package, found.severity) == ("pins-overlap", "six", Severity.ERROR)
    assert "1.0 and 2.0" in found.message
    assert _codes(one, other, a_project(an_edge("six", version="1.0"), an_edge("six", version="2.0"))) == []
    assert _codes(one, a_project(an_edge("six"))) == []


def test_what_can_not_be_read_of_the_pythons_accuses_nobody() -> None:
    edge = an_edge("six", marker="python_version < '3.9'")
    assert _codes(a_pin("idna", "1", edge), requires_python=">=3.8") == ["closure-incomplete"]
    assert _codes(a_pin("idna", "1", edge), requires_python=">=3.12.[X]") == []


def test_one_name_twice_for_environments_that_exclude_each_other() -> None:
    pins = (a_pin("six", "1.0", marker="python_version < '3.11'"), a_pin("six", "2.0", marker="python_version >= '3.11'"))
    assert _codes(*pins, format=LockFormat.PYLOCK) == []


def test_no_python_is_stated() -> None:
    (found,) = judge(Subject(lock=a_lock(a_pin("six"))))
    assert (found.code, found.severity) == ("requires-python-missing", Severity.NOTE)
    assert judge(Subject(lock=a_lock(a_pin("six"), format=LockFormat.REQUIREMENTS))) == ()
    (found,) = judge(Subject(lock=a_lock(a_pin("six"), format=LockFormat.PYLOCK, generator="pip")))
    assert "pip writes none" in found.hint


# --- Sources -----------------------------------------------------------------------------------------------------------------


def _from(kind: SourceKind, location: str, **fields: Any) -> Pin:
    revision = fields.pop("revision", "")
    return a_pin("six", **{"artifacts": (), **fields}, source=Source(kind=kind, location=location, revision=revision))


@pytest.mark.parametrize(
    ("pin", "severity"),
    [
        (_from(SourceKind.GIT, "https://git.example/six"), Severity.WARNING),
        (_from(SourceKind.URL, "https://files.example/six@latest.zip", artifacts=(Artifact(),)), Severity.WARNING),
        (_from(SourceKind.EDITABLE, "/home/me/six"), Severity.WARNING),
        (_from(SourceKind.DIRECTORY, "file:///home/me/six"), Severity.WARNING),
        (_from(SourceKind.EDITABLE, "../six"), Severity.NOTE),
    ],
)
def test_a_source_that_can_change(pin: Pin, severity: Severity) -> None:
    found = [each for each in _judged(a_lock(pin)) if each.code == "source-mutable"]
    assert [each.severity for each in found] == [severity]


@pytest.mark.parametrize(
    "pin",
    [
        _from(SourceKind.GIT, "https://git.example/six", revision="0" * 40),
        _from(SourceKind.URL, "https://files.example/six@latest.zip", artifacts=(Artifact(digests=(a_digest(),)),)),
        _from(SourceKind.EDITABLE, "."),
        _from(SourceKind.DIRECTORY, "packages/six"),
        _from(SourceKind.VIRTUAL, ".."),
    ],
)
def test_a_source_that_is_held(pin: Pin) -> None:
    assert _codes(pin) == []


def test_a_neighbour_in_the_same_repository_is_governed_by_it() -> None:
    lock = a_lock(_from(SourceKind.EDITABLE, "../six"))
    assert _judged(lock, inside="libs/app") == []
    assert [each.code for each in _judged(a_lock(_from(SourceKind.EDITABLE, "../../../six")), inside="libs/app")] == [
        "source-mutable"
    ]


def test_a_real_monorepo() -> None:
    path = "uv/langchain-ai__langgraph__1.lock"
    assert _real_codes(path)["source-mutable"] == 6
    assert "source-mutable" not in _real_codes(path, inside="libs/langgraph")


def test_real_urls_without_hashes() -> None:
    found = _real_codes("requirements/oobabooga__text-generation-webui__1.txt")
    assert found["source-mutable"] == 10


def test_an_open_line_is_told_once_a_place() -> None:
    index = Source(kind=SourceKind.REGISTRY, location="http://index.example/simple")
    (found,) = _judged(a_lock(a_pin("six", source=index), a_pin("idna", source=index)))
    assert (found.code, found.severity, found.count) == ("source-insecure", Severity.NOTE, 2)
    bare = [each for each in _judged(a_lock(a_pin("six", source=index, artifacts=()))) if each.code == "source-insecure"]
    assert [each.severity for each in bare] == [Severity.WARNING]
    git = _from(SourceKind.GIT, "git://git.example/six", revision="0" * 40)
    assert _codes(git) == ["source-insecure"]


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:3141", "[::1]:80"])
def test_this_machine_is_no_open_line(host: str) -> None:
    index = Source(kind=SourceKind.REGISTRY, location=f"http://{host}/simple")
    assert _codes(a_pin("six", source=index)) == []


def _of_index(number: int, *, host: str = "files.example", index: Source = REGISTRY) -> Pin:
    name = f"package{number}"
    filename = f"{name}-1.0-py3-none-any.whl"
    return a_pin(name, "1.0", source=index, artifacts=(_file(filename, location=f"https://{host}/{filename}"),))


def test_one_file_from_another_host_than_all_others() -> None:
    (found,) = _judged(a_lock(*map(_of_index, range(20)), _of_index(20, host="elsewhere.example")))
    assert (found.code, found.package) == ("artifact-elsewhere", "package20")
    assert "elsewhere.example" in found.message


def test_an_index_that_serves_from_several_hosts() -> None:
    assert _codes(*(_of_index(number, host=f"mirror{number % 3}.example") for number in range(20))) == []
    assert _codes(*map(_of_index, range(20)), _of_index(20, host="index.example")) == []
    other = Source(kind=SourceKind.REGISTRY, location="https://other.example/simple")
    assert "artifact-elsewhere" not in _codes(*map(_of_index, range(20)), _of_index(20, host="elsewhere.example", index=other))


def test_several_indexes_of_a_requirements_file() -> None:
    urls = ("https://index.example/simple", "https://private.example/simple")
    (found,) = _judged(a_lock(a_pin("six", artifacts=()), format=LockFormat.REQUIREMENTS, indexes=urls))[1:]
    assert (found.code, found.severity) == ("indexes-several", Severity.WARNING)
    (held,) = _judged(a_lock(a_pin("six"), format=LockFormat.REQUIREMENTS, indexes=urls))
    assert held.severity is Severity.NOTE
    assert _codes(a_pin("six"), format=LockFormat.REQUIREMENTS, indexes=urls[:1]) == []


def test_the_default_index_counts_where_only_more_of_them_are_named() -> None:
    more = {"format": LockFormat.REQUIREMENTS, "indexes": ("https://private.example/simple",)}
    extra, other = ("--extra-index-url", "https://private.example/simple"), ("--index-url", "https://private.example/simple")
    (found,) = _judged(a_lock(a_pin("six", artifacts=()), **more, settings=(extra,)))[1:]
    assert (found.code, found.severity) == ("indexes-several", Severity.WARNING)
    assert "2 indexes are asked for every name, the default index, private.example/simple" in found.message
    assert [each.severity for each in _judged(a_lock(a_pin("six"), **more, settings=(extra,)))] == [Severity.NOTE]
    assert _codes(a_pin("six"), **more, settings=(other,)) == []
    assert _codes(a_pin("six"), **more, settings=(("--no-index", "given"), extra)) == []


def test_a_real_lock_with_two_indexes() -> None:
    assert _real_codes("uv/PrimeIntellect-ai__prime-rl__1.lock") == {"indexes-several": 1, "sdist-only": 4, "unhashed": 1}


# --- Readers -----------------------------------------------------------------------------------------------------------------


def test_what_a_reader_noted_is_a_finding() -> None:
    note = Note(code="lock-url-credentials", where="line 3", message="the credentials of this URL were left out")
    (found,) = _judged(a_lock(notes=(note,)))
    assert (found.code, found.severity, found.where) == ("lock-url-credentials", Severity.ERROR, "line 3")


def test_every_fault_of_what_can_not_be_read_is_an_error() -> None:
    issues = (Issue("malformed-hash", "package[1].hash", "'zz' is not a sha256 digest"), Issue("lock-bad-name", "", "no", "h"))
    found = judge_unreadable(DocumentError("malformed-hash", "x", where="uv.lock: y", hint="lock again", issues=issues), "uv.lock")
    assert [(each.code, each.where, each.severity, each.hint) for each in found] == [
        ("malformed-hash", "package[1].hash", Severity.ERROR, "lock again"),
        ("lock-bad-name", "", Severity.ERROR, "h"),
    ]
    (one,) = judge_unreadable(DocumentError("lock-empty", "is empty", where="uv.lock: line 1"), "uv.lock")
    assert (one.path, one.where) == ("uv.lock", "line 1")


# --- All of them -------------------------------------------------------------------------------------------------------------


def _rows() -> list[str]:
    index = CORPUS / "INDEX.tsv"
    if not index.exists():
        return []
    with index.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["path"] + ("/dev.txt" if row["format"] == "requirements-tree" else "") for row in rows]


@pytest.mark.parametrize("path", _rows() or [""])
def test_no_real_lock_is_wrongly_accused(path: str) -> None:
    """No error, and nothing that says that somebody forged it, on any lock that somebody works with."""
    if not path:
        pytest.skip("the corpus of real locks is not beside this checkout")
    found = judge(Subject(lock=_real(path), interpreter=an_interpreter(version="3.12.4", abi="cpython-312"), judged_for="x"))
    accusing = {"filename-mismatch", "artifact-elsewhere", "pins-overlap", "closure-incomplete", "name-lookalike"}
    told = {each.code for each in found if each.severity is Severity.ERROR or each.code in accusing}
    assert told == ({"lock-include-missing"} if path.startswith("requirements/google__osv-scalibr") else set())


def test_every_rule_has_a_severity_and_every_severity_a_rule() -> None:
    """Read from the source: the codes that rules give are those of the table, less the project's."""
    folder = Path(judge.__code__.co_filename).parent
    names = {rule.__module__.rpartition(".")[2] for rule in JUDGES}
    told = {code for name in names for code in re.findall(r'finding\(\s*"([a-z-]+)"', (folder / f"{name}.py").read_text())}
    of_projects = set(RULES) - told
    assert told <= set(RULES)
    assert of_projects == {
        "lock-missing",
        "locks-disagree",
        "lock-stale",
        "lock-not-committed",
        "seal-not-committed",
        "environment-committed",
        "interpreter-unpinned",
        "install-unlocked",
        "install-unhashed",
    }
