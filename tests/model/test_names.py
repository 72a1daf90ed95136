"""Our two rules against `packaging`, which is the authority: the same names are one name, the same versions are equal."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from sanctity.model.names import normalise_name, version_key

numbers = st.integers(0, 30).map(str)
separators = st.sampled_from(["", ".", "-", "_"])
releases = st.lists(numbers, min_size=1, max_size=4).map(".".join)


@st.composite
def versions(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(["", "v", "1!", "0!", " "])) + draw(releases)
    if draw(st.booleans()):
        text += (
            draw(separators)
            + draw(st.sampled_from(["a", "b", "rc", "c", "alpha", "BETA", "pre", "preview", "x"]))
            + draw(separators)
        )
        text += draw(st.sampled_from(["", "0", "1", "01"]))
    if draw(st.booleans()):
        text += draw(st.sampled_from([".post", "-", "_rev", "r", ".post.", "-post-"])) + draw(st.sampled_from(["", "0", "2"]))
    if draw(st.booleans()):
        text += draw(separators) + "dev" + draw(separators) + draw(st.sampled_from(["", "0", "3"]))
    if draw(st.booleans()):
        text += "+" + draw(st.sampled_from(["cpu", "CPU", "cu118", "1.2", "01", "1-2_3", "", "ubuntu.1"]))
    return text


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except (InvalidVersion, ValueError):
        return None


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(versions() | st.text("0123456789.abcrv-_+!postdev ", max_size=12), versions())
@example("1.0.post", "1.0.post0")
@example("1.0-1", "1.0.post1")
@example("1" * 5000, "1")
def test_versions_are_equal_where_packaging_says_so(one: str, other: str) -> None:
    mine, theirs = version_key(one), _version(one)
    assert (mine is None) is (theirs is None)
    if mine is not None and theirs is not None and (second := _version(other)) is not None:
        assert (mine == version_key(other)) is (theirs == second)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text("aBz09-_.", min_size=1, max_size=12))
def test_names_are_normalised_as_packaging_does(name: str) -> None:
    assert normalise_name(name) == canonicalize_name(name)
