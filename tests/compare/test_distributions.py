from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from factories import (
    a_digest,
    a_distribution,
    a_group,
    a_lock,
    a_pin,
    a_project,
    an_environment,
    an_interpreter,
    an_origin,
)
from sanctity.compare.comparison import compare_with_lock
from sanctity.compare.copies import compare_distributions_alone
from sanctity.compare.distributions import compare_distributions, installed_in, members_in
from sanctity.compare.markers import environment_of
from sanctity.compare.selection import select
from sanctity.lockfiles.requirements import parse
from sanctity.model.drift import Code, Depth, Drift, Unchecked
from sanctity.model.lock import Lock, LockFormat, Source, SourceKind

if TYPE_CHECKING:
    from sanctity.model.environment import Distribution, Environment, Origin

EXAMPLES = 200
FOLDER = "/project"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIT = Source(kind=SourceKind.GIT, location="https://git.example/a/six", revision=COMMIT)


def compared(
    lock: Lock, environment: Environment, *, project_name: str = "", groups: tuple[str, ...] = ()
) -> tuple[tuple[Drift, ...], tuple[Unchecked, ...]]:
    selected = select(
        lock,
        environment_of(environment.interpreter),
        installed_in(environment),
        members_installed=members_in(lock, environment),
        groups=groups,
    )
    return compare_distributions(lock, environment, selected, lock_folder=FOLDER, project_name=project_name)


def drifts(lock: Lock, *distributions: Distribution, **options: str) -> list[tuple[Code, str]]:
    found, _ = compared(lock, an_environment(*distributions), **options)  # type: ignore[arg-type]
    return [(drift.code, drift.distribution) for drift in found]


def unchecked(lock: Lock, *distributions: Distribution, **options: str) -> list[tuple[str, str, bool]]:
    _, found = compared(lock, an_environment(*distributions), **options)  # type: ignore[arg-type]
    return [(each.code, each.what, each.in_scope) for each in found]


def test_what_is_locked_is_there() -> None:
    lock = a_lock(a_pin("six"), a_pin("attrs", "25.1"))
    assert compared(lock, an_environment(a_distribution("six"), a_distribution("attrs", "25.1.0"))) == ((), ())


def test_missing_extra_and_mismatch_say_what_and_both_versions() -> None:
    lock = a_lock(a_pin("six", "1.16.0"), a_pin("attrs", "25.1"))
    found, _ = compared(lock, an_environment(a_distribution("six", "1.17.0"), a_distribution("Rogue", "3")))
    assert [(drift.code, drift.distribution, drift.expected, drift.actual) for drift in found] == [
        (Code.DISTRIBUTION_MISSING, "attrs", "25.1", ""),
        (Code.VERSION_MISMATCH, "six", "1.16.0", "1.17.0"),
        (Code.DISTRIBUTION_EXTRA, "Rogue", "", "3"),
    ]
    assert all(drift.message and drift.gating for drift in found)


def test_a_duplicate_names_both_versions_and_homes_with_a_lock_and_without() -> None:
    environment = an_environment(a_distribution("six", "1.0"), a_distribution("six", "0.9"))
    alone = compare_distributions_alone(environment)
    assert [drift.code for drift in alone] == [Code.DISTRIBUTION_DUPLICATE]
    for text in ("1.0", "0.9", "six-1.0.dist-info", "six-0.9.dist-info"):
        assert text in alone[0].message
    assert compared(a_lock(a_pin("six")), environment)[0] == alone


def test_two_spellings_of_one_name_are_a_duplicate() -> None:
    environment = an_environment(a_distribution("zope.event"), a_distribution("zope-event", home="lib/zope_event-1.0.egg-info"))
    assert len(compare_distributions_alone(environment)) == 1


def test_without_a_lock_only_duplicates_count() -> None:
    assert compare_distributions_alone(an_environment(a_distribution("a"), a_distribution("b"))) == ()


def test_seeds_are_never_extra_and_are_compared_where_they_are_expected() -> None:
    seeds = [a_distribution(name) for name in ("pip", "setuptools", "wheel")]
    assert drifts(a_lock(a_pin("six")), a_distribution("six"), *seeds) == []
    elsewhere = a_lock(a_pin("six"), a_pin("setuptools", "80"), a_project("six"), a_group("dev", "setuptools==80"))
    assert drifts(elsewhere, a_distribution("six"), *seeds) == []
    assert drifts(a_lock(a_pin("setuptools", "80")), *seeds) == [(Code.VERSION_MISMATCH, "setuptools")]
    assert drifts(a_lock(a_pin("six")), a_distribution("six"), a_distribution("distribute")) == [
        (Code.DISTRIBUTION_EXTRA, "distribute")
    ]


def test_what_a_group_lists_is_allowed_in_its_version_only() -> None:
    lock = a_lock(a_pin("six"), a_pin("x"), a_pin("y"), a_project("six"), a_group("a", "x", "y"), a_group("b", "x"))
    assert drifts(lock, a_distribution("six"), a_distribution("x")) == []
    assert drifts(lock, a_distribution("six"), a_distribution("x", "2")) == [(Code.VERSION_MISMATCH, "x")]


def test_a_pin_for_another_platform_is_extra_here() -> None:
    lock = a_lock(a_pin("six"), a_pin("colorama"), a_project("six", "colorama; sys_platform == 'win32'"))
    found, _ = compared(lock, an_environment(a_distribution("six"), a_distribution("colorama")))
    assert [drift.code for drift in found] == [Code.DISTRIBUTION_EXTRA]
    assert "other environments" in found[0].message


@pytest.mark.parametrize(
    ("source", "origin", "fault"),
    [
        (None, None, ""),
        (None, an_origin("archive", "https://elsewhere.example/six.whl", digests=(a_digest("six-1.0"),)), ""),
        (None, an_origin("archive", "https://index.example/files/six-1.0-py3-none-any.whl"), ""),
        (
            None,
            an_origin("archive", "https://index.example/files/six-1.0-py3-none-any.whl", digests=(a_digest("other"),)),
            "an index",
        ),
        (None, an_origin("archive", "file:///elsewhere/six-1.0-py3-none-any.whl"), "an index"),
        (None, an_origin("directory", "file:///src/six"), "the folder /src/six"),
        (None, an_origin("directory", "file:///src/six", editable=True), "editable"),
        (None, an_origin("vcs", "https://git.example/a/six", commit=COMMIT), "git"),
        (GIT, an_origin("vcs", "https://git.example/a/six.git", commit=COMMIT), ""),
        (GIT, an_origin("vcs", "file://None/a/six", commit=COMMIT), ""),
        (GIT, an_origin("vcs", "https://git.example/a/six", commit="f" * 40), "commit ffffffffffff"),
        (GIT, None, "git"),
        (replace(GIT, revision=""), an_origin("vcs", "git@git.example:a/six.git", commit=COMMIT), ""),
        (replace(GIT, revision=""), an_origin("vcs", "https://git.example/b/six", commit=COMMIT), "git.example/b/six"),
        (
            Source(kind=SourceKind.URL, location="https://a.example/six.whl"),
            an_origin("archive", "https://a.example/six.whl#egg=six"),
            "",
        ),
        (
            Source(kind=SourceKind.URL, location="https://a.example/six.whl"),
            an_origin("archive", "https://b.example/six.whl"),
            "b.example",
        ),
        (Source(kind=SourceKind.FILE, location="wheels/six 1.whl"), an_origin("archive", "file:///project/wheels/six%201.whl"), ""),
        (Source(kind=SourceKind.FILE, location="wheels/six.whl"), None, "wheels/six.whl"),
        (Source(kind=SourceKind.DIRECTORY, location="../six"), an_origin("directory", "file:///six"), ""),
        (Source(kind=SourceKind.DIRECTORY, location="../six"), an_origin("directory", "file:///six", editable=True), "editable"),
        (Source(kind=SourceKind.EDITABLE, location="six"), an_origin("directory", "file:///project/six/", editable=True), ""),
        (
            Source(kind=SourceKind.EDITABLE, location="six"),
            an_origin("directory", "file://localhost/project/six", editable=True),
            "",
        ),
        (
            Source(kind=SourceKind.EDITABLE, location="six"),
            an_origin("directory", "file:///other/six", editable=True),
            "/other/six",
        ),
        (Source(kind=SourceKind.EDITABLE, location="six"), None, "an index"),
    ],
)
def test_origins(source: Source | None, origin: Origin | None, fault: str) -> None:
    pin = a_pin("six") if source is None else a_pin("six", source=source, artifacts=())
    found, _ = compared(a_lock(pin), an_environment(a_distribution("six", origin=origin)))
    assert [drift.code for drift in found] == ([Code.ORIGIN_MISMATCH] if fault else [])
    assert all(fault in drift.message for drift in found)


def test_what_conda_installed_carries_the_origin_of_its_build_host() -> None:
    assert drifts(a_lock(a_pin("six")), a_distribution("six", origin=an_origin(url="file:///feedstock"), installer="conda")) == []


def project_lock() -> Lock:
    source = Source(kind=SourceKind.EDITABLE, location=".")
    return a_lock(a_pin("app", "1.0", "six", source=source), a_pin("six"), a_project("app", "six", member="app"))


def test_an_editable_that_the_lock_names_is_governed_by_git() -> None:
    editable = a_distribution("app", origin=an_origin(url="file:///project", editable=True))
    assert drifts(project_lock(), editable, a_distribution("six")) == []
    assert unchecked(project_lock(), editable, a_distribution("six")) == [("editable-source", "app", False)]
    built = replace(editable, origin=an_origin(url="file:///project"))
    assert unchecked(project_lock(), built, a_distribution("six")) == [("built-here", "app", False)]


def test_a_project_that_is_not_installed_is_no_drift() -> None:
    assert drifts(project_lock(), a_distribution("six")) == []
    assert unchecked(project_lock(), a_distribution("six")) == [("project-not-installed", "app", False)]


def test_a_virtual_project_installed_by_hand_is_the_locks_own() -> None:
    source = Source(kind=SourceKind.VIRTUAL, location=".")
    lock = a_lock(a_pin("app", "1.0", "six", source=source), a_pin("six"), a_project("six", member="app"))
    app = a_distribution("app", origin=an_origin(url="file:///project", editable=True))
    assert drifts(lock, app, a_distribution("six")) == []
    assert drifts(lock, replace(app, origin=None), a_distribution("six")) == [(Code.ORIGIN_MISMATCH, "app")]


def test_a_project_that_its_lock_does_not_name() -> None:
    lock = a_lock(a_pin("six"), format=LockFormat.POETRY)
    six = a_distribution("six")
    app = a_distribution("My.App", origin=an_origin(url="file:///project", editable=True))
    assert unchecked(lock, six, project_name="my-app") == [("project-not-installed", "my-app", False)]
    assert (drifts(lock, six, app, project_name="my_app"), unchecked(lock, six, app, project_name="my_app")) == (
        [],
        [("editable-source", "My.App", False)],
    )
    assert unchecked(lock, six, replace(app, origin=an_origin()), project_name="my-app") == [("built-here", "My.App", False)]
    assert drifts(lock, six, replace(app, origin=an_origin(url="file:///other", editable=True)), project_name="my-app") == [
        (Code.ORIGIN_MISMATCH, "My.App")
    ]
    assert drifts(lock, six, replace(app, origin=None), project_name="my-app") == [(Code.ORIGIN_MISMATCH, "My.App")]
    assert drifts(lock, six, app, project_name="another") == [(Code.DISTRIBUTION_EXTRA, "My.App")]
    assert drifts(lock, six, app) == []


def test_the_interpreter_must_be_what_the_lock_is_for() -> None:
    lock = a_lock(a_pin("six", requires_python=">=3.8"), requires_python=">=3.12")
    found, _ = compared(lock, an_environment(a_distribution("six")))
    assert [(drift.code, drift.expected, drift.actual) for drift in found] == [(Code.INTERPRETER_MISMATCH, ">=3.12", "3.11.7")]
    pinned = a_lock(a_pin("six", requires_python="<3.11"), requires_python=">=3.8")
    found, _ = compared(pinned, an_environment(a_distribution("six")))
    assert [(drift.code, drift.distribution) for drift in found] == [(Code.INTERPRETER_MISMATCH, "six")]


def test_an_interpreter_that_is_not_known_is_undecided() -> None:
    lock = a_lock(a_pin("six", requires_python=">=3.11.4"), requires_python=">=3.8")
    for interpreter in (
        an_interpreter(version="3.11"),
        an_interpreter(version="", abi="cpython-311"),
        an_interpreter(version="", abi=""),
    ):
        found, open_points = compared(lock, an_environment(a_distribution("six"), interpreter=interpreter))
        assert found == ()
        assert [(each.code, each.in_scope) for each in open_points] == [("interpreter-unknown", True)]


def test_an_unknown_marker_is_undecided_whether_the_pin_is_there_or_not() -> None:
    lock = a_lock(a_pin("six"), a_pin("k"), a_project("six", "k; platform_release >= '6'"))
    assert unchecked(lock, a_distribution("six")) == [("marker-unknown", "k 1.0", True)]
    assert unchecked(lock, a_distribution("six"), a_distribution("k")) == [("marker-unknown", "k 1.0", True)]
    assert drifts(lock, a_distribution("six"), a_distribution("k", "2")) == [(Code.VERSION_MISMATCH, "k")]


def test_a_loose_requirement_takes_what_it_allows() -> None:
    lock = a_lock(a_pin("six", "", specifier=">=1.2"), format=LockFormat.REQUIREMENTS)
    assert drifts(lock, a_distribution("six", "1.3")) == []
    assert drifts(lock, a_distribution("six", "1.1")) == [(Code.VERSION_MISMATCH, "six")]
    assert drifts(lock) == [(Code.DISTRIBUTION_MISSING, "six")]


def requirements(text: str) -> Lock:
    return parse(text, path="requirements.txt", digest=a_digest(text), beside={})


def of_rows(text: str, *there: Distribution, folder: str = FOLDER, project_name: str = "") -> list[tuple[str, str]]:
    """What drifts from the requirements *text* in an environment with what is *there*."""
    found = compare_with_lock(
        an_environment(*there), requirements(text), depth=Depth.VERSION, lock_folder=folder, project_name=project_name
    )
    assert all(drift.distribution and "( " not in drift.message for drift in found.drifts)
    return [(drift.code, drift.distribution) for drift in found.drifts if drift.code is not Code.RECORD_MISSING]


HERE = an_origin("directory", "file:///project", editable=True)
COPIED = an_origin("directory", "file:///project/local")
REPOSITORY = an_origin("vcs", "https://git.example/a/x.git", commit=COMMIT)
PART = an_origin("vcs", "https://git.example/a/x.git", commit=COMMIT, subdirectory="part")
WHEEL = an_origin("archive", "https://files.example/main.zip")


@pytest.mark.parametrize(
    ("row", "origin"),
    [
        ("-e .", HERE),
        ("-e .", an_origin("directory", "file:///project")),
        ("-e file:///project", HERE),
        ("./local", COPIED),
        (f"-e git+https://git.example/a/x.git@{COMMIT}", REPOSITORY),
        ("git+ssh://git@git.example/a/x", REPOSITORY),
        ("git+https://git.example/a/x#subdirectory=part", PART),
        ("https://files.example/main.zip", WHEEL),
    ],
)
def test_a_row_without_a_name_is_what_came_from_its_place(row: str, origin: Origin) -> None:
    there = a_distribution("Some.Thing", origin=origin)
    assert of_rows(f"{row}\nsix==1.0\n", there, a_distribution("six")) == []
    missing = of_rows(f"{row}\nsix==1.0\n", a_distribution("six"))
    assert [code for code, _ in missing] == [Code.DISTRIBUTION_MISSING]
    elsewhere = replace(there, origin=replace(origin, url="https://other.example/b.zip", resolved=""))
    assert (Code.DISTRIBUTION_EXTRA, "Some.Thing") in of_rows(f"{row}\nsix==1.0\n", elsewhere, a_distribution("six"))


@pytest.mark.parametrize(
    ("row", "origin"),
    [
        ("./local", replace(COPIED, editable=True)),
        (f"git+https://git.example/a/x@{COMMIT[::-1]}", REPOSITORY),
    ],
)
def test_a_row_without_a_name_keeps_the_rules_of_origin(row: str, origin: Origin) -> None:
    assert of_rows(row, a_distribution("thing", origin=origin)) == [(Code.ORIGIN_MISMATCH, "thing")]


def test_rows_without_a_name_are_told_apart_and_called_by_their_places() -> None:
    rows = f"-e .\n./local\ngit+https://git.example/a/x@{COMMIT}\ngit+https://git.example/a/x@{COMMIT}#subdirectory=part\n"
    everything = [
        a_distribution("one", origin=HERE),
        a_distribution("two", origin=COPIED),
        a_distribution("three", origin=REPOSITORY),
        a_distribution("four", origin=PART),
    ]
    assert of_rows(rows, *everything) == []
    places = ("-e .", "./local", f"git+https://git.example/a/x@{COMMIT}", f"git+https://git.example/a/x@{COMMIT}#subdirectory=part")
    for at, place in enumerate(places):
        assert of_rows(rows, *everything[:at], *everything[at + 1 :]) == [(Code.DISTRIBUTION_MISSING, place)]
    assert of_rows("-e .\n", project_name="My_Project") == [(Code.DISTRIBUTION_MISSING, "my-project")]


def test_a_repository_on_this_machine_is_the_same_however_it_is_written() -> None:
    origin = an_origin("vcs", "file:///srv/x.git", commit=COMMIT)
    assert of_rows("git+file:///srv/x.git\n", a_distribution("thing", origin=origin)) == []
    assert of_rows("git+file:///srv/y.git\n", a_distribution("thing", origin=origin)) != []


def test_an_editable_clone_of_pips_is_neither_drift_nor_a_pass() -> None:
    """pip records the folder that it cloned to, and neither the repository nor the commit."""
    row = f"-e git+https://git.example/a/x@{COMMIT}#egg=Some.Thing\n"
    clone = an_origin("directory", "file:///project/.venv/src/some-thing", editable=True)
    for origin, drifted, told in ((clone, [], [True]), (HERE, [(Code.ORIGIN_MISMATCH, "Some.Thing")], [])):
        environment = an_environment(a_distribution("Some.Thing", origin=origin))
        found = compare_with_lock(environment, requirements(row), depth=Depth.VERSION, lock_folder=FOLDER)
        assert [(each.code, each.distribution) for each in found.drifts if each.code is not Code.RECORD_MISSING] == drifted
        assert [each.in_scope for each in found.unchecked if each.code == "editable-source"] == told


def test_a_path_in_requirements_is_taken_from_where_pip_was_started() -> None:
    nested = f"{FOLDER}/requirements"
    assert of_rows("-e .\n", a_distribution("thing", origin=HERE), folder=nested) == []
    assert of_rows("thing @ file:///project\n", a_distribution("thing", origin=replace(HERE, editable=False)), folder=nested) == []
    assert of_rows("-e ./local\n", a_distribution("thing", origin=HERE), folder=nested) == [
        (Code.DISTRIBUTION_MISSING, "-e ./local"),
        (Code.DISTRIBUTION_EXTRA, "thing"),
    ]


LETTERS = "abcdefgh"


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    needs = st.lists(st.sampled_from(LETTERS), max_size=3, unique=True)
    pins = [a_pin(letter, "1.0", *draw(needs)) for letter in LETTERS]
    return a_lock(*pins, a_project(*draw(needs)), a_group("g", *draw(needs)), a_group("h", *draw(needs)))


def synced(lock: Lock, groups: tuple[str, ...]) -> list[Distribution]:
    selected = select(lock, environment_of(an_interpreter()), {}, groups=groups)
    return [a_distribution(pin.name, pin.version) for pin in selected.expected]


chosen_groups = st.sets(st.sampled_from("gh")).map(lambda names: tuple(sorted(names)))


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), groups=chosen_groups)
def test_what_was_synced_never_drifts(lock: Lock, groups: tuple[str, ...]) -> None:
    assert compared(lock, an_environment(*synced(lock, groups))) == ((), ())


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), groups=chosen_groups, index=st.integers(0, 7))
def test_taking_away_what_is_expected_is_always_found(lock: Lock, groups: tuple[str, ...], index: int) -> None:
    there = synced(lock, groups)
    assume(there)
    gone = there.pop(index % len(there))
    found, _ = compared(lock, an_environment(*there), groups=groups)
    assert [(drift.code, drift.distribution) for drift in found] == [(Code.DISTRIBUTION_MISSING, gone.key)]


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), groups=chosen_groups, version=st.sampled_from(["1.0", "2"]))
def test_adding_what_no_lock_names_is_always_found(lock: Lock, groups: tuple[str, ...], version: str) -> None:
    found, _ = compared(lock, an_environment(*synced(lock, groups), a_distribution("rogue", version)))
    assert [(drift.code, drift.distribution) for drift in found] == [(Code.DISTRIBUTION_EXTRA, "rogue")]


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), groups=chosen_groups, index=st.integers(0, 7))
def test_another_version_is_always_found(lock: Lock, groups: tuple[str, ...], index: int) -> None:
    there = synced(lock, groups)
    assume(there)
    there[index % len(there)] = replace(there[index % len(there)], version="1.0.1")
    found, _ = compared(lock, an_environment(*there))
    assert [drift.code for drift in found] == [Code.VERSION_MISMATCH]


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), there=st.permutations([a_distribution(name) for name in "abcx"]))
def test_no_order_of_distributions_matters(lock: Lock, there: list[Distribution]) -> None:
    assert compared(lock, an_environment(*there)) == compared(lock, an_environment(*sorted(there, key=lambda each: each.key)))
