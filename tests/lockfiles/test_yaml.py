"""YAML as locks have it: texts, tables and arrays, and a refusal with its line of all that no lock needs."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.errors import DocumentError
from sanctity.lockfiles import yaml

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "corpus"


def refusal(text: str, *, aliases: bool = False) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        yaml.load(text, path="x.yml", hint="do better", aliases=aliases)
    assert caught.value.hint == "do better"
    return caught.value


def test_every_scalar_is_the_text_that_stands_there() -> None:
    text = "a: 1.10\nb: no\nc: 2020-01-01\nd: 0x10\ne: ~\nf:\ng: ''\nh: null\ni: 'null'\nj: |\n  two\n  lines\nk: 1e3\n"
    assert yaml.load(text, path="x.yml", hint="") == {
        "a": "1.10",
        "b": "no",
        "c": "2020-01-01",
        "d": "0x10",
        "e": None,
        "f": None,
        "g": "",
        "h": None,
        "i": "null",
        "j": "two\nlines\n",
        "k": "1e3",
    }


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3 column 1", "the key 'a' is here twice"),
        ("k:\n- {a: 1, b: 2, b: 3}\n", "line 2 column 16", "the key 'b' is here twice"),
        ("a:\n  b: !!python/object/apply:os.system ['true']\n", "line 2 column 6", "a YAML tag"),
        ("a: !x b\n", "line 1 column 4", "a YAML tag"),
        ("%TAG ! tag:x,2000:\n---\na: b\n", "line 1 column 1", "a YAML tag"),
        ("%YAML 3.0\n---\na: b\n", "line 1 column 1", "not YAML"),
        ("a: &b c\n", "line 1 column 4", "a YAML anchor"),
        ("a: b\nc: *d\n", "line 2 column 4", "a YAML alias"),
        ("a:\n  <<: {b: c}\n", "line 2 column 3", "a merge key"),
        ("a: 1\n---\nb: 2\n", "line 2 column 1", "a second document"),
        ("a: 1\n...\nb: 2\n", "line 3 column 1", "not YAML"),
        ("? [a]\n: b\n", "line 1 column 3", "a key that is no text"),
        ("{a: b}: c\n", "line 1 column 1", "a key that is no text"),
        ("~: a\n", "line 1 column 1", "a key that is no text"),
        ("a: b\nc:\n\td: e\n", "line 3 column 1", "not YAML"),
        ("a: b\nc: \x07\n", "line 2", "control characters"),
        ("ü: b\nc: ä\x00\n", "line 2", "control characters"),
        ("a: 'b\n\n", "line 3 column 1", "not YAML"),
        ("a: [b\n", "line 2 column 1", "not YAML"),
        ("- a\n", "x.yml", "a table was expected, and this is an array"),
        ("a\n", "x.yml", "a table was expected, and this is a text"),
        ("# nothing\n", "x.yml", "a table was expected, and this is nothing"),
        ("a: '\ud800'\n", "x.yml", "not YAML"),
    ],
)
def test_what_no_lock_needs_is_refused_with_its_line(text: str, where: str, message: str) -> None:
    error = refusal(text)
    assert error.code == "lock-syntax"
    assert error.where.endswith(where)
    assert message in error.message


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 1_000_000,
        "a: " + "{b: " * 1_000_000,
        "- " * 1_000_000,
        "a: " + "[" * 100 + "]" * 100,
        "".join(f"{' ' * depth}a:\n" for depth in range(2000)),
        "? " * 100_000,
    ],
)
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    assert refusal(text).code == "lock-syntax"


def test_a_document_of_too_many_values_is_refused() -> None:
    assert refusal("a: [" + "b," * 1_500_000 + "]").code == "lock-too-large"


def test_a_few_aliases_are_read_where_they_may_be() -> None:
    text = "a: &x [1, 2]\nb: *x\nc: &y {d: *x}\ne: *y\n"
    assert yaml.load(text, path="x.yml", hint="", aliases=True) == {
        "a": ["1", "2"],
        "b": ["1", "2"],
        "c": {"d": ["1", "2"]},
        "e": {"d": ["1", "2"]},
    }
    assert refusal("a: &x [*x]\n", aliases=True).message == "a YAML alias of what does not stand before it"


def test_aliases_that_stand_for_more_than_anybody_wrote_are_refused() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    tracemalloc.start()
    error = refusal(bomb, aliases=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more than anybody wrote" in error.message
    assert most < 2**20


def test_tables_and_texts_know_their_lines_where_they_are_asked() -> None:
    text = "a: b\nrows:\n- c: d\n  e: f\n- g\n"
    found = yaml.load(text, path="x.yml", hint="", marked=True)
    rows = found["rows"]
    assert isinstance(rows, list)
    assert isinstance(rows[1], yaml.Line)
    assert (rows[0], rows[0].line, rows[0]["e"].line, rows[1].line) == ({"c": "d", "e": "f"}, 3, 4, 5)
    assert [row.line for row in yaml.rows(text, "rows")] == [3]
    assert list(yaml.rows("a: [", "rows")) == list(yaml.rows("rows: 7", "rows")) == []


def test_it_reads_what_pyyaml_reads() -> None:
    """PyYAML's own loader, with every scalar a text, is the peer; only nothing is told apart here."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return None if value in {"", "~", "null"} else value

    files = [path for folder in ("conda-lock", "pixi") for path in sorted((CORPUS / folder).glob("*"))]
    if not files:
        pytest.skip("the corpus of real locks is not beside this checkout")
    for path in files:
        if path.stat().st_size < 400_000:
            text = path.read_text()
            assert plain(yaml.load(text, path="", hint="")) == plain(pyyaml.load(text, Loader=pyyaml.CBaseLoader))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.recursive(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc:- #", min_size=1, max_size=4), inner, max_size=3),
        max_leaves=12,
    )
)
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    text = pyyaml.dump({"value": value}, allow_unicode=True, default_style='"')
    # A value that is one object in two places is written with an alias.
    found = yaml.load(text, path="", hint="", aliases=True)
    assert found == {"value": value}
