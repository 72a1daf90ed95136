from __future__ import annotations

import platform
import random
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_digest, a_group, a_lock, a_pin, a_project, an_edge, an_extra, an_interpreter
from sanctity.compare.markers import environment_of
from sanctity.compare.selection import Selected, fits, select
from sanctity.errors import UsageError
from sanctity.lockfiles import uv
from sanctity.model.lock import Dependency, Lock, LockFormat, Pin, Root, Source, SourceKind

if TYPE_CHECKING:
    from pathlib import Path

LINUX = environment_of(an_interpreter())
EDITABLE = Source(kind=SourceKind.EDITABLE, location=".")
EXAMPLES = 200


def present(*texts: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for text in texts:
        name, _, version = text.partition("==")
        found.setdefault(name, set()).add(version or "1.0")
    return {name: frozenset(versions) for name, versions in found.items()}


def names(pins: tuple[Pin, ...]) -> list[str]:
    return [pin.name for pin in pins]


def exact(pins: tuple[Pin, ...]) -> list[str]:
    return [f"{pin.name}=={pin.version}" for pin in pins]


def test_the_closure_of_a_project_through_cycles_extras_and_markers() -> None:
    lock = a_lock(
        a_pin("a", "1.0", "b[fast]", "w; sys_platform == 'win32'"),
        a_pin("b", "1.0", "a", optional={"fast": ["c"], "slow": ["d"]}),
        a_pin("c"),
        a_pin("d"),
        a_pin("w"),
        a_project("a"),
    )
    chosen = select(lock, LINUX, {})
    assert names(chosen.expected) == names(chosen.allowed) == ["a", "b", "c"]
    assert chosen.undecided == ()


def test_forks_are_told_apart_by_version_by_source_and_by_their_own_marker() -> None:
    other = Source(kind=SourceKind.REGISTRY, location="https://other.example/simple")
    old = a_pin("n", "1.0", marker="python_full_version < '3.10'")
    new = a_pin("n", "2.0", marker="python_full_version >= '3.10'")
    assert exact(select(a_lock(old, new, a_project("n")), LINUX, {}).expected) == ["n==2.0"]
    assert exact(select(a_lock(old, new, a_project("n==1.0")), LINUX, {}).expected) == ["n==1.0"]
    here, there = a_pin("t", "1.0"), a_pin("t", "1.0", source=other)
    chosen = select(a_lock(here, there, a_project(an_edge("t", source=other))), LINUX, {})
    assert chosen.expected == (there,)


def test_a_flat_formats_pin_has_a_condition_of_its_own() -> None:
    lock = a_lock(a_pin("w", marker="sys_platform == 'win32'"), a_pin("x"), format=LockFormat.POETRY)
    assert names(select(lock, LINUX, {}).expected) == ["x"]


GROUPS: tuple[Pin | Root, ...] = (
    a_pin("base"),
    a_pin("pytest", "1.0", "pluggy"),
    a_pin("pluggy"),
    a_pin("ruff"),
    a_pin("sphinx", "1.0", "base"),
    a_project("base"),
    a_group("test", "pytest"),
    a_group("dev", "pytest", "ruff"),
    a_group("docs", "sphinx"),
)


@pytest.mark.parametrize(
    ("there", "groups", "missing"),
    [
        ((), (), ["base"]),
        (("base",), (), []),
        (("base", "pytest", "pluggy"), ("test",), []),
        (("base", "pytest"), ("test",), ["pluggy"]),
        (("base", "pytest", "pluggy", "ruff"), ("dev", "test"), []),
        (("base", "ruff"), ("dev",), ["pluggy", "pytest"]),
        (("sphinx",), ("docs",), ["base"]),
    ],
)
def test_a_group_is_selected_by_what_only_it_brings(there: tuple[str, ...], groups: tuple[str, ...], missing: list[str]) -> None:
    chosen = select(a_lock(*GROUPS), LINUX, present(*there))
    assert chosen.selection.groups == groups
    assert sorted({pin.name for pin in chosen.expected} - set(there)) == missing
    assert names(chosen.allowed) == ["base", "pluggy", "pytest", "ruff", "sphinx"]


def test_what_is_asked_for_is_required() -> None:
    chosen = select(a_lock(*GROUPS), LINUX, present("base"), groups=("Docs",))
    assert names(chosen.expected) == ["base", "sphinx"]
    assert chosen.selection.groups == ("docs",)
    with pytest.raises(UsageError, match="no group 'nope'") as caught:
        select(a_lock(*GROUPS), LINUX, {}, groups=("nope",))
    assert caught.value.code == "unknown-group"
    assert "dev, docs, test" in caught.value.hint


OVERLAPPING: tuple[Pin | Root, ...] = (
    a_pin("base"),
    *(a_pin(name) for name in "xyzw"),
    a_project("base"),
    an_extra("a", "x", "y"),
    an_extra("b", "x", "z"),
    an_extra("c", "y", "w"),
    an_extra("all", "x", "y", "z", "w"),
)


def test_a_complete_extra_explains_what_is_exclusive_to_none() -> None:
    chosen = select(a_lock(*OVERLAPPING), LINUX, present("base", "x", "y"))
    assert chosen.selection.extras == ("a",)
    assert chosen.undecided == ()


def test_what_no_complete_extra_explains_is_undecided() -> None:
    chosen = select(a_lock(*OVERLAPPING), LINUX, present("base", "x"))
    assert [(each.pin.name, each.code) for each in chosen.undecided] == [("x", "membership-unknown")]
    assert "a, all and b" in chosen.undecided[0].reason


def test_an_extra_that_includes_others_leaves_them_recognisable() -> None:
    lock = a_lock(
        *(a_pin(name) for name in "pqr"), a_project(), an_extra("a", "p", "q"), an_extra("b", "r"), an_extra("all", "p", "q", "r")
    )
    assert names(select(lock, LINUX, present("p")).expected) == ["p", "q"]
    assert select(lock, LINUX, present("p", "q", "r")).selection.extras == ("a", "b")


def test_a_seed_is_no_evidence_of_a_group() -> None:
    lock = a_lock(a_pin("base"), a_pin("setuptools"), a_pin("mypy"), a_project("base"), a_group("dev", "setuptools", "mypy"))
    assert select(lock, LINUX, present("base", "setuptools")).selection.groups == ()


def test_an_unknown_marker_is_undecided_both_ways() -> None:
    lock = a_lock(a_pin("base"), a_pin("k", "1.0", "l"), a_pin("l"), a_project("base", "k; platform_release >= '6'"))
    for there in (("base",), ("base", "k", "l")):
        chosen = select(lock, LINUX, present(*there))
        assert names(chosen.expected) == ["base"]
        assert [(each.pin.name, each.code) for each in chosen.undecided] == [("k", "marker-unknown"), ("l", "marker-unknown")]
        assert "platform_release" in chosen.undecided[0].reason


def test_an_unknown_marker_in_a_group_that_nobody_selected_is_nothing() -> None:
    lock = a_lock(a_pin("base"), a_pin("k"), a_project("base"), a_group("dev", "k; platform_release >= '6'"))
    assert select(lock, LINUX, present("base")).undecided == ()
    assert names(tuple(each.pin for each in select(lock, LINUX, present("base", "k")).undecided)) == ["k"]


def test_an_incomplete_root_makes_an_absence_undecided() -> None:
    lock = a_lock(a_pin("a"), a_pin("b"), a_project("a", "b", complete=False))
    chosen = select(lock, LINUX, present("a"))
    assert chosen.expected == ()
    assert names(chosen.allowed) == ["a", "b"]
    assert [(each.pin.name, each.code) for each in chosen.undecided] == [("b", "membership-unknown")]


def test_what_the_lock_asks_for_without_pinning_it_is_undecided() -> None:
    chosen = select(a_lock(a_pin("a", "1.0", "ghost", "setuptools"), a_project("a")), LINUX, present("a"))
    assert [(each.pin.name, each.code) for each in chosen.undecided] == [("ghost", "membership-unknown")]


def workspace(*, main: SourceKind = SourceKind.EDITABLE) -> Lock:
    return a_lock(
        a_pin("app", "1.0", "lib", "six", source=Source(kind=main, location=".")),
        a_pin("lib", "1.0", "attrs", source=Source(kind=SourceKind.EDITABLE, location="lib")),
        a_pin("tool", "1.0", "click", source=Source(kind=SourceKind.EDITABLE, location="tool")),
        *(a_pin(name) for name in ("six", "attrs", "click", "pytest")),
        a_project(*(["app"] if main is not SourceKind.VIRTUAL else []), "lib", "six", member="app"),
        a_project("lib", "attrs", member="lib", default=False),
        a_project("tool", "click", member="tool", default=False),
        a_group("dev", "pytest", member="app"),
        a_group("dev", "six", member="tool"),
    )


@pytest.mark.parametrize(
    ("there", "members", "expected", "absent"),
    [
        (("app", "lib", "six", "attrs"), ("app",), ["app", "attrs", "lib", "six"], []),
        (("app", "six", "attrs"), ("app",), ["app", "attrs", "lib", "six"], []),
        (("six", "attrs"), ("app",), ["attrs", "six"], ["app", "lib"]),
        (("lib", "six", "attrs"), ("app", "lib"), ["attrs", "lib", "six"], ["app"]),
        (("tool", "click"), ("tool",), ["click", "tool"], []),
        (("app", "lib", "six", "attrs", "click"), ("app", "tool"), ["app", "attrs", "click", "lib", "six"], ["tool"]),
    ],
)
def test_the_members_of_a_workspace(
    there: tuple[str, ...], members: tuple[str, ...], expected: list[str], absent: list[str]
) -> None:
    installed = frozenset(there) & {"app", "lib", "tool"}
    chosen = select(workspace(), LINUX, present(*there), members_installed=installed)
    assert names(chosen.expected) == expected
    assert names(chosen.projects_absent) == absent
    assert set(members) <= set(chosen.selection.members)


def test_a_virtual_project_is_never_expected_but_what_it_needs_is() -> None:
    lock = workspace(main=SourceKind.VIRTUAL)
    bare = select(lock, LINUX, {})
    assert names(bare.expected) == ["attrs", "six"]
    assert names(bare.projects_absent) == ["lib"]
    synced = select(lock, LINUX, present("lib", "attrs", "six"), members_installed=frozenset({"lib"}))
    assert names(synced.expected) == ["attrs", "lib", "six"]
    assert synced.projects_absent == ()


def test_groups_of_one_name_are_told_apart_by_their_member() -> None:
    chosen = select(
        workspace(), LINUX, present("app", "lib", "six", "attrs", "pytest"), members_installed=frozenset({"app", "lib"})
    )
    assert chosen.selection.groups == ("dev",)
    asked = select(workspace(), LINUX, {}, groups=("tool:dev",))
    assert asked.selection.groups == ("tool:dev",)
    assert "click" in names(asked.expected)


def conflicting() -> Lock:
    """As uv writes two extras that exclude each other."""
    return a_lock(
        a_pin(
            "app", "1.0", "torch==2.0; extra != 'extra-3-app-gpu'", "torch==2.0+gpu; extra == 'extra-3-app-gpu'", source=EDITABLE
        ),
        a_pin("torch", "2.0"),
        a_pin(
            "torch", "2.0+gpu", "nvidia; extra == 'extra-3-app-gpu' or (extra == 'extra-3-app-cpu' and extra == 'extra-3-app-gpu')"
        ),
        a_pin("nvidia"),
        a_project("app", "torch==2.0; extra != 'extra-3-app-gpu'", "torch==2.0+gpu; extra == 'extra-3-app-gpu'", member="app"),
        an_extra("gpu", member="app", extras=("extra-3-app-gpu",)),
        an_extra("cpu", member="app", extras=("extra-3-app-cpu",)),
    )


@pytest.mark.parametrize(
    ("there", "extras", "expected"),
    [
        (("torch==2.0",), (), ["app==1.0", "torch==2.0"]),
        (("torch==2.0+gpu",), ("gpu",), ["app==1.0", "nvidia==1.0", "torch==2.0+gpu"]),
        (("torch==1.9", "nvidia"), ("gpu",), ["app==1.0", "nvidia==1.0", "torch==2.0+gpu"]),
        (("torch==1.9",), (), ["app==1.0", "torch==2.0"]),
    ],
)
def test_uvs_conflict_markers(there: tuple[str, ...], extras: tuple[str, ...], expected: list[str]) -> None:
    chosen = select(conflicting(), LINUX, present("app", *there), members_installed=frozenset({"app"}))
    assert chosen.selection.extras == extras
    assert exact(chosen.expected) == expected


def test_an_extra_switched_on_by_an_edge_is_active_for_conflict_markers() -> None:
    lock = a_lock(
        a_pin("app", "1.0", "lib[fast]", source=EDITABLE),
        a_pin(
            "lib",
            "1.0",
            "c; extra == 'extra-3-lib-fast'",
            source=Source(kind=SourceKind.EDITABLE, location="lib"),
            optional={"fast": ["d"]},
        ),
        a_pin("c"),
        a_pin("d"),
        a_project("app", "lib[fast]", member="app"),
        a_project("lib", "c; extra == 'extra-3-lib-fast'", member="lib", default=False),
    )
    assert names(select(lock, LINUX, present("app"), members_installed=frozenset({"app"})).expected) == ["app", "c", "d", "lib"]


def test_pylocks_groups_and_extras() -> None:
    pins = (a_pin("a"), a_pin("b", marker="'dev' in dependency_groups"), a_pin("c", marker="'x' in extras and os_name == 'posix'"))
    needs = [Dependency(name=pin.name, marker=pin.marker) for pin in pins]
    lock = a_lock(
        *pins, a_project(*needs), a_group("dev", *needs, groups=("dev",)), an_extra("x", *needs), format=LockFormat.PYLOCK
    )
    assert names(select(lock, LINUX, present("a")).expected) == ["a"]
    assert names(select(lock, LINUX, present("a", "c")).expected) == ["a", "c"]
    both = select(lock, LINUX, present("a", "b", "c"))
    assert (both.selection.groups, both.selection.extras) == (("dev",), ("x",))


@pytest.mark.parametrize(
    ("pinned", "version", "expected"),
    [
        ("1.0", "1.0.0", True),
        ("1.0", "1.0+cpu", True),
        ("1.0.0", "1.0+cpu", True),
        ("1.0+cpu", "1.0", False),
        ("1.0+cpu", "1.0+gpu", False),
        ("1.0", "1.0.post1", False),
        ("", "7", True),
        ("odd", "odd", True),
        ("1.0", "odd", False),
    ],
)
def test_a_version_fits_as_pip_has_it(pinned: str, version: str, expected: bool) -> None:
    assert fits(a_pin("a", pinned), version) is expected


@pytest.mark.parametrize(
    ("version", "expected"), [("1.2", True), ("1.2+cpu", True), ("1.3rc1", True), ("2.0rc1", False), ("1.1", False), ("odd", False)]
)
def test_a_loose_requirement_takes_any_version_its_specifier_holds_for(version: str, expected: bool) -> None:
    assert fits(a_pin("a", "", specifier=">=1.2,<2.0"), version) is expected


LETTERS = "abcdefghij"


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Locks of ten pins with any edges, two groups and two extras."""
    edge = st.builds(
        lambda name, marker, extra: an_edge(name, marker=marker, extras=("x",) if extra else ()),
        st.sampled_from(LETTERS),
        st.sampled_from(["", "", "", "sys_platform == 'linux'", "sys_platform == 'win32'", "extra == 'e'", "extra != 'e'"]),
        st.booleans(),
    )
    needs = st.lists(edge, max_size=3)
    pins = [a_pin(letter, "1.0", *draw(needs), optional={"x": draw(needs)}) for letter in LETTERS]
    roots = [
        a_project(*draw(needs)),
        a_group("g", *draw(needs)),
        a_group("h", *draw(needs)),
        an_extra("e", *draw(needs)),
        an_extra("f", *draw(needs)),
    ]
    return a_lock(*pins, *roots)


def shuffled(lock: Lock, seed: int) -> Lock:
    chance = random.Random(seed)

    def mixed(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(chance.sample(values, len(values)))

    pins = [
        Pin(
            name=pin.name,
            version=pin.version,
            source=pin.source,
            artifacts=pin.artifacts,
            dependencies=mixed(pin.dependencies),
            optional=pin.optional,
        )
        for pin in lock.pins
    ]
    roots = [
        Root(kind=root.kind, name=root.name, dependencies=mixed(root.dependencies), default=root.default, extras=root.extras)
        for root in lock.roots
    ]
    return a_lock(*mixed(tuple(pins)), *mixed(tuple(roots)))


def plain(chosen: Selected) -> tuple[object, ...]:
    return (
        chosen.selection,
        exact(chosen.expected),
        exact(chosen.allowed),
        [(each.pin.name, each.reason) for each in chosen.undecided],
    )


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), there=st.sets(st.sampled_from(LETTERS)), seed=st.integers(0, 1000))
def test_no_order_matters(lock: Lock, there: set[str], seed: int) -> None:
    assert plain(select(lock, LINUX, present(*there))) == plain(select(shuffled(lock, seed), LINUX, present(*there)))


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), groups=st.sets(st.sampled_from("gh")), extras=st.sets(st.sampled_from("ef")))
def test_what_an_installer_leaves_is_exactly_explained(lock: Lock, groups: set[str], extras: set[str]) -> None:
    asked = select(lock, LINUX, {}, groups=tuple(groups), extras=tuple(extras))
    there = present(*names(asked.expected))
    again = select(lock, LINUX, there, groups=tuple(groups), extras=tuple(extras))
    assert set(there) == set(names(again.expected))
    assert again.undecided == ()


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(lock=locks(), there=st.sets(st.sampled_from(LETTERS)))
def test_what_is_expected_is_allowed(lock: Lock, there: set[str]) -> None:
    chosen = select(lock, LINUX, present(*there))
    assert set(chosen.expected) <= set(chosen.allowed)


ROOTY = """
[project]
name = "rooty"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["alpha", "six"]
[project.optional-dependencies]
old = ["idna==2.10"]
new = ["idna==3.4"]
color = ["colorama; sys_platform == 'win32'", "tomli; python_version < '3.12'"]
[dependency-groups]
dev = ["pytest", {include-group = "lint"}]
lint = ["click<8.1", "alpha[fast]"]
docs = ["click>=8.1"]
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.uv]
conflicts = [
    [{extra = "old"}, {extra = "new"}],
    [{group = "lint"}, {group = "docs"}],
    [{group = "dev"}, {group = "docs"}],
]
[tool.uv.workspace]
members = ["libs/*"]
[tool.uv.sources]
alpha = {workspace = true}
"""
ALPHA = """
[project]
name = "alpha"
version = "0.1"
requires-python = ">=3.9"
dependencies = ["packaging"]
[project.optional-dependencies]
fast = ["attrs"]
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
"""
BETA = """
[project]
name = "beta"
version = "0.1"
requires-python = ">=3.9"
dependencies = ["markupsafe"]
[dependency-groups]
dev = ["iniconfig"]
"""


def run_uv(folder: Path, *arguments: str) -> str:
    command = [
        sys.executable,
        "-m",
        "uv",
        "--no-progress",
        "--no-config",
        *arguments,
        "--project",
        str(folder),
        "--python",
        sys.executable,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.index
def test_a_real_workspace_with_conflicts_is_understood_as_uv_does(tmp_path: Path) -> None:
    for folder, text in ((tmp_path, ROOTY), (tmp_path / "libs/alpha", ALPHA), (tmp_path / "libs/beta", BETA)):
        (folder / "src" / folder.name).mkdir(parents=True)
        (folder / "pyproject.toml").write_text(text)
    run_uv(tmp_path, "lock")
    lock = uv.parse((tmp_path / "uv.lock").read_text(), path="uv.lock", digest=a_digest(), beside={"pyproject.toml": ROOTY})
    here = environment_of(an_interpreter(version=platform.python_version(), machine=platform.machine()))
    members = {"rooty": "1.0", "alpha": "0.1"}
    for options, groups, extras in (
        ((), ("dev",), ()),
        (("--no-default-groups",), (), ()),
        (("--no-default-groups", "--extra", "old"), (), ("old",)),
        (("--extra", "new", "--extra", "color"), ("dev",), ("color", "new")),
        (("--no-default-groups", "--group", "docs"), ("docs",), ()),
        (("--no-default-groups", "--group", "lint", "--extra", "old"), ("lint",), ("old",)),
        (("--all-packages",), ("dev", "beta:dev"), ()),
    ):
        rows = re.findall(r"^ \+ (\S+?)(==| @ )(\S+)", run_uv(tmp_path, "sync", "--frozen", "--dry-run", *options), re.MULTILINE)
        there = {name: frozenset({version if sign == "==" else members[name]}) for name, sign, version in rows}
        asked = select(lock, here, {}, members_installed=frozenset(members), groups=groups, extras=extras)
        assert {pin.name: frozenset({pin.version}) for pin in asked.expected} == there, options
        found = select(lock, here, there, members_installed=frozenset(members))
        assert set(found.expected) == set(asked.expected), options
        assert found.undecided == ()
