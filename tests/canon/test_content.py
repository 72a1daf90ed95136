"""The laws of the content digest: what counts, what never does, and that a wheel and its installation have the same keys."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.canon.content import (
    LEFT_OUT,
    content_digest,
    installed_key,
    is_about_installing,
    is_cached_bytecode,
    is_shadowed,
    normalise_wheel_metadata,
    normalised_script,
    wheel_key,
)

if TYPE_CHECKING:
    import random

SITE: Final = "lib/python3.11/site-packages"
DATA: Final = "pkg-1.0.data/"
EXAMPLES: Final = 300

keys = st.text(min_size=1, max_size=12).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
rows = st.dictionaries(keys, keys, min_size=1, max_size=8).map(lambda found: sorted(found.items()))


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_order_and_repetition_never_matter(found: list[tuple[str, str]], chance: random.Random) -> None:
    mixed = found + chance.choices(found, k=3)
    chance.shuffle(mixed)
    assert content_digest(mixed) == content_digest(found)


@given(rows, st.data())
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_every_row_counts(found: list[tuple[str, str]], data: st.DataObject) -> None:
    whole = content_digest(found)
    place = data.draw(st.integers(0, len(found) - 1))
    key, value = found[place]
    others = found[:place] + found[place + 1 :]
    assert content_digest(others) != whole
    other = data.draw(keys)
    if other != value:
        assert content_digest([*others, (key, other)]) != whole
    if other != key:
        assert content_digest([*others, (other, value)]) != whole
    assert content_digest([*found, (key + other, value)]) != whole


def test_the_border_between_key_and_value_counts() -> None:
    assert (
        len({str(content_digest([pair])) for pair in (("a", "bc"), ("ab", "c"), ('a","b', "c"), ("a\0b", "c"), ("abc", ""))}) == 5
    )
    assert content_digest([("a", "b"), ("c", "d")]) != content_digest([("a", "d"), ("c", "b")])


near_quotes = st.text(alphabet=st.sampled_from('\t !"#,[]\\\x7fa\xe9\u2028\U0001f40d'), max_size=4)
paths = st.one_of(near_quotes, st.text(alphabet="ab/.", max_size=4))


@given(
    st.lists(st.tuples(paths, near_quotes), max_size=6), st.lists(st.tuples(paths, st.binary(min_size=32, max_size=32)), max_size=6)
)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_it_is_over_the_canonical_json_of_the_sorted_rows(found: list[tuple[str, str]], lib: list[tuple[str, bytes]]) -> None:
    every = {*found, *((f"lib/{path}", f"sha256:{digest.hex()}") for path, digest in lib)}
    stated = hashlib.sha256(json.dumps(sorted(every), separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
    assert str(content_digest(found, lib=lib)) == f"content/1:sha256:{stated}"


def test_written_with_its_scheme() -> None:
    # The hash of the two bytes "[]".
    assert str(content_digest([])) == "content/1:sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"


def test_a_key_that_is_no_text_has_no_digest() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        content_digest([("lib/\udcff.py", "sha256:00")])


# -- keys ------------------------------------------------------------------------------------------------------------------

names = st.lists(
    st.text("ab.-_ \u00e9", min_size=1, max_size=4).filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3
).map("/".join)


@given(names)
@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
def test_a_wheel_and_its_installation_have_one_key(rest: str) -> None:
    """Where installers put each scheme (facts of pip, uv, Poetry and installer), its files have the keys that the wheel has."""
    for member, places in {
        rest: [f"{SITE}/{rest}", f"lib64/python3.11/site-packages/{rest}"],
        f"{DATA}purelib/{rest}": [f"{SITE}/{rest}"],
        f"{DATA}platlib/{rest}": [f"{SITE}/{rest}"],
        f"{DATA}scripts/{rest}": [f"bin/{rest}"],
        f"{DATA}headers/{rest}": [f"include/site/python3.11/pkg/{rest}", f"include/python3.13t/Pkg.name/{rest}"],
        f"{DATA}data/{rest}": [rest],
        f"{DATA}data/share/{rest}": [f"share/{rest}"],
        f"{DATA}data/bin/{rest}": [f"bin/{rest}"],
        f"{DATA}data/{SITE}/{rest}": [f"{SITE}/{rest}"],
        f"{DATA}data/include/python3.11/other/{rest}": [f"include/python3.11/other/{rest}"],
    }.items():
        for place in places:
            assert installed_key(place, site=SITE, scripts="bin") == wheel_key(member, data=DATA)


def test_keys_tell_the_parts_apart() -> None:
    places = [f"{SITE}/x", "bin/x", "include/python3.11/pkg/x", "x", "binx", f"{SITE}x", "lib/python3.11/x", "include/x", "bin/a/x"]
    assert len({installed_key(place, site=SITE, scripts="bin") for place in places}) == len(places)


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("__pycache__/a.cpython-311.pyc", True),
        ("a/__pycache__/b.cpython-311.opt-1.pyc", True),
        ("a/__pycache__/b.pyo", True),
        ("a/b.pyc", False),
        ("b.pyc", False),
        ("a/__pycache__/b.py", False),
        ("a/__pycache__/b.so", False),
        ("a/__pycache__/c/b.pyc", False),  # importable, as a.__pycache__.c.b
        ("a/my__pycache__/b.pyc", False),
        ("__pycache__.pyc", False),
    ],
)
def test_cached_bytecode(path: str, *, cached: bool) -> None:
    assert is_cached_bytecode(path) is cached


def test_what_installers_say_of_themselves() -> None:
    home = f"{SITE}/pkg-1.0.dist-info"
    assert all(is_about_installing(f"{home}/{name}", home) for name in LEFT_OUT)
    assert is_about_installing(f"{SITE}/pkg-1.0.virtualenv", home)
    others = [f"{home}/METADATA", f"{home}/WHEEL", f"{home}/entry_points.txt", f"{home}/licenses/RECORD", f"{SITE}/INSTALLER"]
    others += [f"{SITE}/pkg/vendor-1.0.dist-info/INSTALLER", f"{SITE}/pkg-2.0.virtualenv", f"{SITE}/pkg-1.0.dist-infox/RECORD"]
    assert not any(is_about_installing(path, home) for path in others)


@pytest.mark.parametrize("name", ["x", "x.exe", "X-script.py", "x-script.PY", "x.pya", "folder/x.EXE"])
def test_what_gives_way_to_an_entry_point(name: str) -> None:
    assert is_shadowed(name, {"x", "X"})
    assert not is_shadowed(name, {"y"})


@pytest.mark.parametrize("name", ["x.py", "x-script.pyw", "xx", "x.exe.exe", "x-script"])
def test_what_stands_beside_an_entry_point(name: str) -> None:
    assert not is_shadowed(name, {"x"})


def test_normalised_script() -> None:
    assert normalised_script(b"print()\r\n") == b"#!python\nprint()\r\n"


def test_the_builder_is_no_content() -> None:
    text = b"Wheel-Version: 1.0\nGenerator: setuptools (%d)\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    assert normalise_wheel_metadata(text % 80) == normalise_wheel_metadata(text % 84)
    assert normalise_wheel_metadata(text) == normalise_wheel_metadata(text.replace(b"\n", b"\r\n"))
    assert normalise_wheel_metadata(text) != normalise_wheel_metadata(text.replace(b"true", b"false"))
    assert normalise_wheel_metadata(text) != normalise_wheel_metadata(text + b"Tag: py2-none-any\n")
    assert normalise_wheel_metadata(text) != normalise_wheel_metadata(text + b"Build: 1\n")
