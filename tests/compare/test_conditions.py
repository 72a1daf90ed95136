"""Markers as conditions: what is joined and written down again holds in the same environments, and is as short as one hopes."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.compare.conditions import FALSE, TRUE, Space, quoted
from sanctity.compare.markers import MarkerEnvironment, evaluate

PYTHONS = ("3.8.0", "3.9.0", "3.9.7", "3.10.2", "3.11.0", "3.12.4")
SYSTEMS = (("linux", "Linux", "posix"), ("win32", "Windows", "nt"), ("darwin", "Darwin", "posix"))
ATOMS = (
    *(f"python_version {op} '{v}'" for op in ("<", ">=", "==", "!=", "<=", ">") for v in ("3.9", "3.10", "3.11")),
    *(f"python_full_version {op} '{v}'" for op in ("<", ">=", "==", "!=", "<=", ">") for v in ("3.9", "3.9.7", "3.11.0a6")),
    "python_full_version == '3.9.*'",
    "python_full_version != '3.9.*'",
    "python_version ~= '3.9'",
    "'3.10' <= python_version",
    "python_version in '3.9 3.10'",
    "python_version not in '3.9 3.10'",
    "sys_platform == 'win32'",
    "sys_platform != 'win32'",
    "'linux' == sys_platform",
    "'win' in sys_platform",
    "'win' not in sys_platform",
    "platform_system == 'Darwin'",
    "platform_machine == 'x86_64'",
    "'docs' in extras",
    "'docs' not in extras",
    "'dev' in dependency_groups",
)


def _environments() -> list[MarkerEnvironment]:
    found = []
    for python, (platform, system, name), machine in product(PYTHONS, SYSTEMS, ("x86_64", "arm64")):
        known = {
            "python_full_version": python,
            "python_version": python.rpartition(".")[0],
            "sys_platform": platform,
            "platform_system": system,
            "os_name": name,
            "platform_machine": machine,
        }
        found.append(MarkerEnvironment(known=tuple(sorted(known.items()))))
    return found


ENVIRONMENTS = _environments()


def _holds(marker: str) -> list[bool | None]:
    """Where *marker* holds, of all environments with each choice of the extra and the group."""
    return [
        evaluate(marker, environment, extras=frozenset(extras), groups=frozenset(groups))
        for environment in ENVIRONMENTS
        for extras in ((), ("docs",))
        for groups in ((), ("dev",))
    ]


def _space(*markers: str) -> Space:
    return Space(markers, extras=("docs",), groups=("dev",))


def _chosen(space: Space) -> object:
    return lambda variable, name: space.group_chosen(name) if variable == "dependency_groups" else space.extra_chosen(name)


def _written(marker: str) -> str:
    space = _space(marker)
    return space.written(space.of(marker, _chosen(space)))  # type: ignore[arg-type]


MARKERS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.builds(
        lambda parts, word: "(" + f" {word} ".join(parts) + ")",
        st.lists(inner, min_size=2, max_size=3),
        st.sampled_from(["and", "or"]),
    ),
    max_leaves=8,
)


@given(MARKERS)
@settings(max_examples=300, deadline=None)
def test_what_is_written_holds_where_the_marker_did(marker: str) -> None:
    space = _space(marker)
    condition = space.of(marker, _chosen(space))  # type: ignore[arg-type]
    if condition == FALSE:
        assert not any(_holds(marker))
    else:
        text = space.written(condition)
        assert _holds(text) == _holds(marker), text
        assert (text == "") is (condition == TRUE)


@given(MARKERS, MARKERS)
@settings(max_examples=150, deadline=None)
def test_conditions_join_as_markers_do(one: str, other: str) -> None:
    space = _space(one, other)
    first, second = (space.of(marker, _chosen(space)) for marker in (one, other))  # type: ignore[arg-type]
    assert space.both(first, second) == space.of(f"({one}) and ({other})", _chosen(space))  # type: ignore[arg-type]
    assert space.either(first, second) == space.of(f"({one}) or ({other})", _chosen(space))  # type: ignore[arg-type]
    assert space.both(first, space.opposite(first)) == FALSE
    assert space.either(first, space.opposite(first)) == TRUE


@pytest.mark.parametrize(
    ("marker", "written"),
    [
        ("python_version < '3.11' or python_version >= '3.11'", ""),
        (
            "python_version < '3.11' or (python_version >= '3.11' and sys_platform == 'win32')",
            "python_version < '3.11' or sys_platform == 'win32'",
        ),
        ("sys_platform != 'win32' or sys_platform == 'win32' and 'docs' in extras", "sys_platform != 'win32' or 'docs' in extras"),
        ("python_version >= '3.9' and python_version >= '3.10'", "python_version >= '3.10'"),
        ("python_version == '3.9' or python_version == '3.10'", "python_version >= '3.9' and python_version <= '3.10'"),
        (
            "python_full_version != '3.9.1' and python_full_version >= '3.9'",
            "python_full_version >= '3.9' and python_full_version != '3.9.1'",
        ),
        (
            "python_full_version < '3.9' or python_full_version > '3.11'",
            "python_full_version < '3.9' or python_full_version > '3.11'",
        ),
        ("sys_platform == 'win32' or sys_platform == 'linux'", "sys_platform == 'linux' or sys_platform == 'win32'"),
        (
            "(sys_platform == 'win32' or sys_platform == 'linux') and 'docs' in extras",
            "(sys_platform == 'linux' or sys_platform == 'win32') and 'docs' in extras",
        ),
        (
            "sys_platform == 'win32' and 'docs' in extras or sys_platform == 'win32' and 'dev' in dependency_groups",
            "sys_platform == 'win32' and ('docs' in extras or 'dev' in dependency_groups)",
        ),
        ("'docs' in extras or 'docs' not in extras", ""),
        ("'win' in sys_platform or 'win' not in sys_platform", ""),
        ("extra == 'docs'", "'docs' in extras"),
    ],
)
def test_it_is_short(marker: str, written: str) -> None:
    assert _written(marker) == written


def test_what_never_holds_has_no_marker() -> None:
    space = _space("python_version < '3.9' and python_version >= '3.9'")
    condition = space.of("python_version < '3.9' and python_version >= '3.9'", _chosen(space))  # type: ignore[arg-type]
    assert condition == FALSE
    with pytest.raises(ValueError, match="never holds"):
        space.written(condition)


def test_a_question_without_a_meaning_is_refused() -> None:
    space = _space("extra in 'docs'")
    with pytest.raises(ValueError, match="extra"):
        space.of("extra in 'docs'", _chosen(space))  # type: ignore[arg-type]


@given(st.text())
def test_any_text_is_quoted_so_that_it_is_read_again(text: str) -> None:
    marker = f"sys_platform == {quoted(text)}"
    environment = MarkerEnvironment(known=(("sys_platform", text),))
    assert evaluate(marker, environment) is True
