"""The cone as text, Markdown, JSON, picture and page: sound whatever names are in it, and the same each time."""

from __future__ import annotations

import base64
import builtins
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.errors import SanctityError
from sanctity.model.timeline import Cone, Release, Resolution, Target
from sanctity.report.cone import cone_document, cone_json, cone_markdown, cone_text, facts, outages, schema
from sanctity.report.cone_html import Pictures, cone_html
from sanctity.report.cone_plot import cone_png, cone_svg
from sanctity.report.plots import DARK
from sanctity.report.text import Paint

if TYPE_CHECKING:
    from collections.abc import Mapping

VALIDATOR = jsonschema.Draft202012Validator(schema())
HOSTILE = "</code><script>alert(1)</script>$x_1^2$ `|\x1b[31m\u202e\n# [a](javascript:b)"


def a_resolution(month: int, pins: Mapping[str, str] | str) -> Resolution:
    at = f"{2023 + month // 12}-{month % 12 + 1:02}-02T00:00:00Z"
    if isinstance(pins, str):
        return Resolution(at=at, failure=pins)
    return Resolution(
        at=at,
        releases=tuple(Release(name=name, version=pins[name], uploaded=at, via=("-r requirements.in",)) for name in sorted(pins)),
    )


def a_cone(*dates: Mapping[str, str] | str, locked: Mapping[str, str] | None = None, **other: Any) -> Cone:
    releases = None if locked is None else tuple(Release(name=name, version=locked[name]) for name in sorted(locked))
    stated = {
        "subject": "requirements.in",
        "target": Target(python="3.11"),
        "resolutions": tuple(map(a_resolution, range(len(dates)), dates)),
        "every": "month",
        "lock": "requirements.txt" if locked is not None else "",
        "locked": releases,
        "resolver": "uv 0.9.0 (abc)",
        **other,
    }
    return Cone(**stated)


WIDE = a_cone(
    {"numpy": "1.0", "scipy": "1.0"},
    {"numpy": "1.1", "scipy": "1.0"},
    "numpy has gone",
    "numpy has gone",
    {"numpy": "2.0", "scipy": "1.1", "extra": "1"},
    {"numpy": "2.1", "scipy": "1.1"},
    locked={"numpy": "1.0", "scipy": "1.1"},
)
TIGHT = a_cone({"six": "1.16"}, {"six": "1.16"}, locked={"six": "1.16"})
BARREN = a_cone("there is none", "there is none")
EVIL = a_cone(
    {HOSTILE: HOSTILE, "b": "1"},
    {HOSTILE: "2" + HOSTILE, "b": "2"},
    HOSTILE,
    locked={HOSTILE: HOSTILE},
    subject=HOSTILE,
    lock=HOSTILE,
    resolver=HOSTILE,
)
MANY = a_cone(*({f"package-{number:03}": f"{month // (number % 5 + 1)}" for number in range(60)} for month in range(30)))
ALL = {
    "wide": WIDE,
    "tight": TIGHT,
    "barren": BARREN,
    "evil": EVIL,
    "many": MANY,
    "one date": a_cone({"a": "1"}),
    "nothing": a_cone({}, {}),
}


def test_the_text_says_what_there_is_to_learn() -> None:
    text = cone_text(WIDE, notices=("a note",))
    lines = text.splitlines()
    assert lines[0] == "CONE  requirements.in   2023-01-01 to 2023-06-01, every month; Python 3.11 on this platform; uv 0.9.0"
    assert "4 distinct environments at 4 dates" in lines[1]
    assert "on 2023-06-01 2 of 2 packages are not what they were on 2023-01-01" in text
    assert "numpy widens it most: 4 versions, 1.0 to 2.1, through -r requirements.in" in text
    assert "requirements.txt locks 2 packages: one environment at every date" in text
    assert "what would be installed on 2023-06-01 differs from requirements.txt in 1 package\n" in text
    rows = {line.split()[0]: line for line in lines if line.startswith("  ") and "requirements.in" in line.split("  ")[-1]}
    assert "·●●●" in rows["numpy"]
    assert "  ●●" in rows["extra"], "it came and went"
    assert "no resolution  2023-03-01 to 2023-04-01 (2 dates): numpy has gone" in text
    assert "note: a note" in text
    assert max(map(len, lines)) <= 118


def test_one_environment_is_a_cylinder_and_none_is_told() -> None:
    assert cone_text(TIGHT).startswith("CYLINDER  ")
    assert "is just that" in cone_text(TIGHT)
    assert cone_text(BARREN).startswith("NO RESOLUTION  ")
    assert facts(BARREN) == ("no date has a resolution",)
    assert [(each.when, each.reason) for each in outages(BARREN)] == [("2023-01-01 to 2023-02-01 (2 dates)", "there is none")]
    assert outages(a_cone("a", "b", "a"))[1].when == "2023-02-01"


@pytest.mark.parametrize("name", ALL)
def test_nothing_in_a_cone_drives_a_terminal(name: str) -> None:
    text = cone_text(ALL[name], Paint(on=False), notices=(HOSTILE,))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "\x1b[1m" in cone_text(ALL[name], Paint(on=True)) or name == "barren"


@pytest.mark.parametrize("name", ALL)
def test_markdown_keeps_what_others_named_in_code(name: str) -> None:
    text = cone_markdown(ALL[name], notices=(HOSTILE,))
    outside = re.sub(r"`+[^`]*`+", "", text)
    assert not re.search(r"<script|javascript:|\x1b|alert", outside)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 7 for line in rows)


@pytest.mark.parametrize("name", ALL)
def test_the_document_holds_to_its_schema(name: str) -> None:
    VALIDATOR.validate(json.loads(cone_json(ALL[name], notices=(HOSTILE,))))


def test_the_schema_is_a_schema_and_refuses_what_is_none() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    document = cone_document(WIDE)
    for key in document:
        assert list(VALIDATOR.iter_errors({name: value for name, value in document.items() if name != key}))


def test_the_document_says_of_each_date_where_its_environment_stands() -> None:
    document = cone_document(WIDE)
    assert [date["environment"] for date in document["dates"]] == [0, 1, None, None, 2, 3]
    assert [date["width"] for date in document["dates"]] == [0, 1, None, None, 3, 2]
    assert document["dates"][2]["failure"] == "numpy has gone"
    assert document["lock"]["differs"] == [{"name": "numpy", "locked": "1.0", "last": "2.1"}]
    extra = next(package for package in document["packages"] if package["name"] == "extra")
    assert [state["version"] for state in extra["states"]] == [None, "1", None]
    assert extra["moves"] == 1


@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(
            st.text(min_size=1, max_size=5), st.dictionaries(st.text(max_size=8), st.text(min_size=1, max_size=8), max_size=4)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_the_names_every_report_is_written(dates: list[str | dict[str, str]]) -> None:
    try:
        cone = a_cone(*dates)
        VALIDATOR.validate(json.loads(cone_json(cone)))
    except ValueError as error:
        assert "UTF-8" in str(error)  # noqa: PT017  (a name with a lone surrogate has no digest, and comes from no resolver)
        return
    assert cone_text(cone)
    assert cone_markdown(cone)
    Page(cone_html(cone, pictures=None, command=["sanctity"]))


# --- the picture


def texts_of(svg: str) -> str:
    return " ".join(" ".join(element.itertext()) for element in ET.fromstring(svg).iter() if element.tag.endswith("}text"))


@pytest.mark.parametrize("name", ALL)
def test_a_picture_is_sound_says_what_it_shows_and_loads_nothing(name: str) -> None:
    svg = cone_svg(ALL[name])
    root = ET.fromstring(svg)
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert tags[1:3] == ["title", "desc"]
    assert root.get("role") == "img"
    assert not {"script", "image", "foreignObject"} & set(tags)
    links = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\((?!#)|@import|<!DOCTYPE", svg)
    assert "prefers-color-scheme:dark" in svg


def test_the_same_cone_is_the_same_picture_and_another_another() -> None:
    assert cone_svg(WIDE) == cone_svg(WIDE)
    assert cone_png(TIGHT) == cone_png(TIGHT)
    assert cone_svg(WIDE) != cone_svg(TIGHT)
    assert cone_png(TIGHT).startswith(b"\x89PNG")


def test_the_packages_that_widen_it_are_named_in_the_picture_and_the_others_counted() -> None:
    said = texts_of(cone_svg(WIDE))
    assert all(words in said for words in ("requirements.in came to 4 environments", "numpy", "scipy", "1.0 → 2.1"))
    assert "requirements.txt is one environment at every date" in said
    assert "no resolution 2023-03-01 to 2023-04-01" in said
    many = texts_of(cone_svg(MANY))
    assert "package-000" in many
    assert re.search(r"\d+ more packages", many)
    assert texts_of(cone_svg(WIDE, titled=False, narrow=True)).count("came to") == 0


def test_every_neutral_colour_of_the_picture_has_one_for_the_dark() -> None:
    svg = cone_svg(WIDE)
    drawn = {colour.lower() for colour in re.findall(r'style="[^"]*?(?:fill|stroke): (#[0-9a-fA-F]{6})', svg)}
    neutral = {colour for colour in drawn if max(_channels(colour)) - min(_channels(colour)) < 16}
    assert neutral <= DARK.keys()


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def test_a_users_own_configuration_of_matplotlib_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    plain = cone_svg(TIGHT)
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)
    monkeypatch.setitem(mpl.rcParams, "axes.facecolor", "#ff0000")
    assert cone_svg(TIGHT) == plain
    assert mpl.rcParams["font.size"] == 30


def test_without_matplotlib_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SanctityError) as caught:
        cone_svg(WIDE)
    assert caught.value.code == "plots-not-installed"
    assert "pip install '.[plots]'" in caught.value.hint


# --- the page


class Page(HTMLParser):
    """A page's elements, with every one closed that was opened; its text."""

    EMPTY = frozenset({"meta", "img", "source", "rect", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.said = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


def a_page(cone: Cone) -> str:
    pictures = (
        Pictures(wide=cone_svg(cone, titled=False), narrow=cone_svg(cone, narrow=True, titled=False)) if cone.resolved else None
    )
    return cone_html(cone, pictures=pictures, command=["sanctity", "cone", HOSTILE], notices=(HOSTILE,))


@pytest.mark.parametrize("name", ALL)
def test_a_page_runs_nothing_loads_nothing_and_is_whole(name: str) -> None:
    page = Page(a_page(ALL[name]))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base"}
    for _, attributes in page.elements:
        assert not any(key.startswith("on") or key in {"style", "href"} for key in attributes)
        for key in ("src", "srcset"):
            assert attributes.get(key, "data:image/svg+xml;base64,").startswith("data:image/svg+xml;base64,")
    policies = [
        attributes["content"] for _, attributes in page.elements if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies
    assert "default-src 'none'" in policies[0]
    style = re.search(r"<style>(.*?)</style>", a_page(ALL[name]), re.DOTALL)
    assert style is not None
    assert not re.search(r"url\(|@import", style[1])


def test_a_page_is_there_for_who_can_not_see_it() -> None:
    page = Page(a_page(WIDE))
    assert ("html", {"lang": "en"}) in page.elements
    (image,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert "4 distinct environments" in image["alt"]
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.elements if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in page.elements if tag == "svg")
    for words in ("numpy 1.0 → 1.1", "extra absent → 1", "numpy has gone", "2023-03-01 to 2023-04-01 (2 dates)"):
        assert words in page.said
    svg = base64.b64decode(image["src"].partition(",")[2]).decode()
    assert "numpy" in texts_of(svg)
