"""A proof by repeating as text, Markdown, data and page: it claims what was varied and no more, and nothing in it drives a reader."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from repeated import CASES, NAMES, a_hostile, a_run, a_same
from sanctity.model.repeats import Claim, Guilty, Level, Phase, rate_bound
from sanctity.model.result import FileResult, LeafDifference, ResultComparison, Sameness, Ulps, What
from sanctity.report.page import LOOK
from sanctity.report.repeats import FORMATS, exit_code, repeats_json, repeats_markdown, repeats_text, schema
from sanctity.report.repeats_html import repeats_html
from sanctity.report.repeats_words import REMEDIES, State, again, state_of
from sanctity.report.results import results_markdown
from sanctity.report.text import Paint

if TYPE_CHECKING:
    from sanctity.model.repeats import Repeats

GOLDENS = Path(__file__).parent / "goldens"
BY_NAME = {each.name: each for each in a_same().variations}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("format_", ["txt", "md"])
def test_reports_are_as_reviewed(name: str, format_: str, *, update_goldens: bool) -> None:
    golden = GOLDENS / f"repeats-{name}.{format_}"
    text = (repeats_text if format_ == "txt" else repeats_markdown)(CASES[name])
    if update_goldens:
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_is_short_and_led_by_its_word(name: str) -> None:
    found = CASES[name]
    lines = repeats_text(found).splitlines()
    assert lines[0].startswith(f"{str(found.claim).upper()} on this machine")
    assert all(line.startswith("  ") for line in lines[1:])
    assert len(lines) <= 10
    assert repeats_text(found, paint=Paint(on=True)).startswith("\x1b[1;3")
    if found.claim is Claim.SAME:
        assert len(lines) <= 5


def test_the_example_of_the_verdict_is_four_lines() -> None:
    first, second, third, fourth = repeats_text(CASES["same"]).splitlines()
    assert first == "SAME on this machine, numerics held (threads 2, avx2): 2 repeats + 5 runs, 0 differ"
    assert second.endswith("      not possible here: clock (no libfaketime)")
    assert third.startswith("  excludes a divergence rate above 45 % (95 %); 59 runs exclude 5 %")
    assert fourth == "  compared: 2 files, 4,096 bytes: out/**"


# -- never more than what was varied -----------------------------------------------------------------------------------------------


def _claimed(text: str) -> str:
    """What a verdict says was varied."""
    found = re.search(r"varied together: (.*?)(?:      |$)", text, re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("name", NAMES)
def test_what_reached_no_run_is_never_claimed(name: str) -> None:
    """Whether it was held, not given, or given and not taken up."""
    variation, found = BY_NAME[name], CASES["same-numerics"]
    if variation.varies:
        assert variation.words in _claimed(repeats_text(found))
    without = replace(
        found,
        runs=tuple(replace(run, setting=tuple(pair for pair in run.setting if pair[0] != name)) for run in found.runs),
        variations=tuple(replace(each, held="a reason") if each.name == name else each for each in found.variations),
    )
    unseen = replace(found, runs=tuple(replace(run, unseen=(name,)) for run in found.runs))
    for changed, why in ((without, "a reason"), (unseen, "no process took it up")):
        text = repeats_text(changed)
        assert variation.words not in _claimed(text)
        if variation.varies:
            assert why in text
            assert why in repeats_html(changed)
        stated = {each["name"]: each for each in json.loads(repeats_json(changed))["variations"]}
        assert stated[name]["state"] != "varied"
        assert stated[name]["runs"] == 0


def test_a_level_is_claimed_only_where_something_of_it_was_varied() -> None:
    numerics = {name for name, each in BY_NAME.items() if each.level is Level.NUMERICS}
    found = CASES["same-numerics"]
    assert "numerics varied" in repeats_text(found)
    held = replace(
        found,
        runs=tuple(replace(run, setting=tuple(pair for pair in run.setting if pair[0] not in numerics)) for run in found.runs),
    )
    assert "numerics held (threads 2, avx2)" in repeats_text(held)
    assert json.loads(repeats_json(held))["numerics"]["varied"] is False
    process = replace(
        found,
        runs=tuple(
            replace(run, setting=tuple(pair for pair in run.setting if BY_NAME[pair[0]].level is Level.PROCESS))
            for run in found.runs
        ),
    )
    assert "surroundings and numerics held" in repeats_text(process)
    assert "nothing varied" in repeats_text(CASES["nothing-varied"])
    assert "no rate of divergence is excluded" in repeats_text(CASES["nothing-varied"])


@pytest.mark.parametrize("name", [name for name, found in CASES.items() if found.claim is not Claim.SAME])
def test_no_bound_is_told_where_nothing_is_the_same(name: str) -> None:
    found = CASES[name]
    for text in (repeats_text(found), repeats_markdown(found), repeats_html(found)):
        assert "exclude" not in text
    assert json.loads(repeats_json(found))["bound"] is None


@pytest.mark.parametrize(("runs", "rate", "more"), [(1, "95", "59"), (5, "45", "59"), (10, "26", "59"), (59, "5", "299")])
def test_the_bound_is_that_of_none_of_n(runs: int, rate: str, more: str) -> None:
    same = CASES["same"]
    varied = tuple(a_run(2 + number, Phase.VARIED, same.runs[3].setting) for number in range(1, runs + 1))
    text = repeats_text(replace(same, runs=(*same.runs[:2], *varied)))
    assert f"excludes a divergence rate above {rate} % (95 %); {more} runs exclude" in text
    # So many runs exclude the rate, and one fewer does not.
    assert rate_bound(int(more)) <= {"59": 0.05, "299": 0.01}[more] < rate_bound(int(more) - 1)


def test_what_is_only_around_the_values_counts_as_the_same_and_is_told() -> None:
    found = CASES["equal"]
    assert exit_code(found) == 0
    for text in (repeats_text(found), repeats_html(found)):
        assert "0 differ" in text
        assert "only what is around them differs, such as out/model.npz: time of 2 members" in text
    assert "≈ same values" in repeats_html(found)


# -- who is guilty -----------------------------------------------------------------------------------------------------------------


def test_the_guilty_one_is_named_first_with_the_first_difference_and_a_remedy() -> None:
    text = repeats_text(CASES["hash-seed"])
    assert text.splitlines()[0] == (
        "DIFFERENT on this machine: hash seed alone changes out/vocab.json (1 of 2 files), first at words[0]: 'cat' / 'dog'"
    )
    assert f"  fix: {REMEDIES['hash-seed']}\n" in text


@pytest.mark.parametrize("name", REMEDIES)
def test_each_that_can_be_guilty_has_a_remedy_of_a_line(name: str) -> None:
    found = replace(CASES["hash-seed"], guilty=(Guilty(names=(name,), values=("1",)),))
    assert f"fix: {REMEDIES[name]}" in repeats_text(found)
    assert REMEDIES[name] in json.loads(repeats_json(found))["advice"]
    assert len(REMEDIES[name]) <= 140
    assert REMEDIES[name].count("`") % 2 == 0


def test_a_seed_for_each_generator_is_the_remedy_and_one_for_the_global_streams_is_told_with_its_limits() -> None:
    first, second = re.findall("fix: (.*)", repeats_text(CASES["entropy"]))
    assert first.startswith("give each generator a seed (`default_rng(seed)`, ")
    assert second.startswith("for the global streams alone: `sanctity.set_global_determinism(seed)` or")
    assert second.endswith("; neither reaches generators of one's own, `uuid4` or `secrets`")


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("without", [False, True])
def test_what_was_not_seen_of_a_guilty_one_is_not_said(*, alone: bool, without: bool) -> None:
    found = replace(CASES["hash-seed"], guilty=(Guilty(names=("hash-seed",), values=("1",), alone=alone, without=without),))
    text = repeats_text(found)
    assert ("hash seed alone changes" in text) is alone
    assert (": differs with nothing else changed" in text) is alone
    assert ("but not it, runs agree" in text) is without


def test_a_difference_without_a_guilty_one_says_what_was_tried() -> None:
    assert "they differ with entropy, time, scheduling held, too" in repeats_text(CASES["nobody"])
    unknown = replace(CASES["hash-seed"], guilty=())
    assert "  who is guilty is not known\n" in repeats_text(unknown)
    told = replace(unknown, message="neither one alone nor few together")
    assert "  neither one alone nor few together\n" in repeats_text(told)
    assert "not known" not in repeats_text(told)


def test_of_several_guilty_ones_it_is_said_together_that_runs_agree_without_them() -> None:
    each = [Guilty(names=(name,), values=("1",), alone=True, without=True) for name in ("hash-seed", "tz")]
    text = repeats_text(replace(CASES["hash-seed"], guilty=tuple(each)))
    assert "hash seed and TZ, each alone, change out/vocab.json" in text
    assert "with all else changed but not hash seed and TZ, runs agree" in text
    text = repeats_text(replace(CASES["hash-seed"], guilty=(each[0], replace(each[1], without=False))))
    assert "\n  all else changed but not hash seed and TZ was not tried\n" in text
    sources = [Guilty(names=(name,), values=("free",), alone=True, without=name == "time") for name in ("entropy", "time")]
    text = repeats_text(replace(CASES["entropy"], guilty=tuple(sources)))
    assert "unchanged runs differ by entropy and time: " in text
    assert "with entropy and time held, runs agree\n" in text
    assert "with all else held but not entropy, they are not seen to differ\n" in text
    assert "with all else held but not time, they differ\n" in text


@pytest.mark.parametrize("sameness", [Sameness.IDENTICAL, Sameness.DIFFERENT])
@pytest.mark.parametrize("name", ["hash-seed", "aslr"])
def test_what_was_tried_without_the_guilty_one_is_told_as_it_came_out(name: str, sameness: Sameness) -> None:
    """Whatever a process starts with moves its addresses, so that nothing stands against them where runs differ without them."""
    found = replace(CASES["hash-seed"], guilty=(Guilty(names=(name,), values=("1",), alone=True),))
    setting = next(run for run in found.runs if run.phase is Phase.VARIED).setting
    untried = replace(found, runs=tuple(run for run in found.runs if run.phase is not Phase.SEARCH))
    rest = a_run(11, Phase.SEARCH, tuple(pair for pair in setting if pair[0] != name), sameness=sameness)
    tried = replace(untried, runs=(*untried.runs, rest))
    moving = ": whatever a process starts with moves addresses" if name == "aslr" else ""
    told = "are not seen to agree" if sameness is Sameness.IDENTICAL else "differ, too"
    assert f"but not it, runs {told}{moving}\n" in repeats_text(tried)
    told = "nothing else was tried" if name == "aslr" else "all else changed but not it was not tried"
    assert f"; {told}{moving}\n" in repeats_text(untried)


def test_nobody_is_guilty_of_what_may_be_no_difference() -> None:
    """Bytes that could not be read as values follow something, and that is all that is known."""
    found = replace(CASES["hash-seed"], claim=Claim.UNDECIDED, reason="output-undecided", message="could not be told")
    text = repeats_text(found)
    assert "bytes are seen to follow hash seed; whether values do is not known" in text
    assert "nothing else changed" not in text
    assert "fix:" not in text
    assert "fix:" in repeats_text(CASES["hash-seed"])
    assert ">guilty<" not in repeats_html(found)
    assert ">guilty<" in repeats_html(CASES["hash-seed"])


def test_where_a_run_ends_otherwise_that_is_to_be_looked_at_first() -> None:
    assert "fix: see why run 5 ended with exit status 1 (what it said last stands above)" in repeats_text(CASES["crashing"])
    silent = replace(CASES["crashing"], runs=tuple(replace(run, tail="") for run in CASES["crashing"].runs))
    assert "ended with exit status 1 (it said nothing)" in repeats_text(silent)
    slow = tuple(run for run in CASES["crashing"].runs if run.code in {0, None})
    assert "fix: see what run 6 waits for" in repeats_text(replace(CASES["crashing"], runs=slow))


@pytest.mark.parametrize(("value", "told"), [("0", "number 0 alone"), ("0,2", "numbers 0,2"), ("all but one", "all but one")])
def test_a_set_of_cpus_is_no_number_of_them(value: str, told: str) -> None:
    found = replace(
        CASES["hash-seed"],
        guilty=(Guilty(names=("cpus",), values=(value,), alone=True),),
        runs=tuple(replace(run, setting=(("cpus", value),) if run.setting else ()) for run in CASES["hash-seed"].runs),
    )
    assert f"CPU set = {told}: differs" in repeats_text(found)
    assert f"◆ {told}<" in repeats_html(found)


def test_counts_and_distances_are_never_cut_out_of_a_table() -> None:
    """Bits go first, then the middle of values."""
    item = LeafDifference(
        path="w",
        what=What.VALUE,
        before=f"{'1' * 90} (0x3f2736527)",
        after=f"{'2' * 90} (0x3f2736528)",
        elements=360_000,
        differing=268_635,
        first=(0,),
        ulps=Ulps(most=110_592, zeros=12_345, payloads=1_000, nans=100_000),
        largest="2.9802322387695312e-08",
        permuted=True,
    )
    file = FileResult(path="w.npy", format="npy", sameness=Sameness.DIFFERENT, leaves=1, differences=(item,))
    comparison = ResultComparison(before="a", after="b", files=(file,))
    runs = tuple(replace(run, comparison=comparison) if not run.same else run for run in CASES["hash-seed"].runs)
    for text in (repeats_markdown(replace(CASES["hash-seed"], runs=runs)), results_markdown(comparison)):
        row = next(line for line in text.splitlines() if line.startswith("| `w"))
        assert "268,635 of 360,000 differ (74.6 %)`; `up to 110,592 ulps, 12,345 zeros of another sign" in row
        assert "100,000 NaN on one side alone" in row
        assert "0x3f" not in row
        assert re.search("`1{20}…1{19} and 2{20}…2{19}`", row)
    same = replace(item, before="nan (0x7fc00000)", after="nan (0x7fc00001)")
    assert "`nan (0x7fc00000) and nan (0x7fc00001)`" in results_markdown(
        replace(comparison, files=(replace(file, differences=(same,)),))
    )


def test_it_is_said_why_another_run_is_shown_than_the_first_that_differs() -> None:
    words = "un 3 differed first; run 9 is shown since nothing but hash seed was changed in it."
    for text in (repeats_markdown(CASES["hash-seed"]), repeats_html(CASES["hash-seed"])):
        assert f"R{words}" in text
    for name in ("numerics", "nobody"):
        assert "differed first" not in repeats_markdown(CASES[name]) + repeats_html(CASES[name])


def test_what_stands_against_a_claim_is_shown() -> None:
    for name, words in {
        "outside": ("written outside of its place: model.pt, logs/a.txt", "(output-outside)"),
        "failed": ("every run ended with exit status 2", "train.py: error: unrecognized arguments"),
        "missing": ("nothing was written", "(output-missing)"),
        "blind": ("this harness does not see: a race of threads", "was not seen to differ here"),
        "crashing": ("exit status 0 / exit status 1", "UnicodeDecodeError", "run 5 ended with"),
    }.items():
        assert all(text in repeats_text(CASES[name]) for text in words), name
        assert exit_code(CASES[name]) == (1 if name == "crashing" else 3)


# -- data --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [*CASES.values(), a_hostile()], ids=[*CASES, "hostile"])
def test_the_document_follows_its_schema(found: Repeats) -> None:
    document = json.loads(repeats_json(found))
    jsonschema.validate(document, schema())
    assert len(document["runs"]) == len(found.runs)
    assert document["verdict"].split()[0].lower() == document["claim"] == found.claim


def test_the_document_tells_the_values_that_reached_runs_from_all_that_are_possible() -> None:
    for found, used in ((CASES["same"], ["1", "123456789", "4294967295"]), (CASES["function"], ["123456789"])):
        stated = {each["name"]: each for each in json.loads(repeats_json(found))["variations"]}
        assert sorted(stated["hash-seed"]["used"]) == used
        assert stated["hash-seed"]["values"] == list(BY_NAME["hash-seed"].values)
        assert stated["clock"]["used"] == []
    unseen = json.loads(repeats_json(CASES["unseen"]))["variations"]
    assert next(each for each in unseen if each["name"] == "file-order")["used"] == []


def test_the_schema_refuses_what_is_no_such_document() -> None:
    document = json.loads(repeats_json(CASES["same"]))
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid(document)
    for key in document:
        assert not validator.is_valid({name: value for name, value in document.items() if name != key}), key
    for change in ({"claim": "proven"}, {"runs": [{**document["runs"][0], "sameness": "alike"}]}, {"more": 1}):
        assert not validator.is_valid(document | change), change


def test_the_command_that_does_it_again_is_whole() -> None:
    assert again(CASES["same"]) == "sanctity prove -n 5 --outputs 'out/**' -- python train.py --epochs 3"
    found = replace(CASES["same-numerics"], command=("sh", "-c", "a > 'b c'"), outputs=())
    assert again(found) == """sanctity prove -n 59 --level numerics -- sh -c 'a > '"'"'b c'"'"''"""
    assert again(CASES["function"]) == "sanctity.prove(training.train, …)"
    held = replace(CASES["unseen"], outputs=(), stdout=True)
    assert again(held) == "sanctity prove -n 5 --stdout --hold tz -- python train.py --epochs 3"
    alone = tuple(
        replace(each, held="" if each.name == "tz" else "not named by --vary") if each.varies else each
        for each in CASES["same"].variations
    )
    assert again(replace(CASES["hash-seed"], variations=alone, outputs=())) == (
        "sanctity prove --vary tz -- python train.py --epochs 3"
    )


# -- the page ----------------------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page's elements, with every one closed that was opened; its text; its tables as rows of cells."""

    EMPTY = frozenset({"meta", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.said = ""
        self.tables: list[list[list[tuple[dict[str, str], str]]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"th", "td"}:
            self.tables[-1][-1].append((attributes, ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data
        if {"th", "td"} & set(self.open):
            attributes, said = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (attributes, said + data)


@pytest.mark.parametrize("found", [*CASES.values(), a_hostile()], ids=[*CASES, "hostile"])
def test_a_page_runs_nothing_loads_nothing_and_is_whole(found: Repeats) -> None:
    text = repeats_html(found)
    text.encode()
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "a"}
    for tag, attributes in page.elements:
        assert not any(key.startswith("on") or key in {"style", "href", "src", "srcset"} for key in attributes), tag
    assert sum("default-src 'none'" in attributes.get("content", "") for _, attributes in page.elements) == 1
    assert not re.search(r"url\(|@import", text)
    assert "\x1b" not in text
    assert ("html", {"lang": "en"}) in page.elements
    assert all(attributes.get("scope") in {"col", "row", "colgroup"} for tag, attributes in page.elements if tag == "th")
    # Every row of a table is as wide as its first.
    for table in page.tables:
        widths = {sum(int(attributes.get("colspan", 1)) for attributes, _ in row) for row in table}
        assert len(widths) == 1


def test_a_page_shows_hostile_text_as_text() -> None:
    text = repeats_html(a_hostile())
    assert text.count("&lt;script&gt;") > 20
    assert "\\x1b" in text
    assert "\\u202e" in text


@pytest.mark.parametrize("name", [name for name, found in CASES.items() if found.runs])
def test_the_matrix_has_every_run_with_what_it_had_and_what_it_gave(name: str) -> None:
    found = CASES[name]
    page = Page(repeats_html(found))
    cells: dict[int, dict[str, str]] = {run.number: {} for run in found.runs}
    for table in page.tables:
        for row in table:
            head = row[0][1].removeprefix("◆ ").removesuffix("guilty")
            for attributes, said in row[1:]:
                label = attributes.get("data-label", "")
                if label.startswith("run "):
                    cells[int(label.removeprefix("run "))][head] = said
    words = {each.name: each.words for each in found.variations}
    for run in found.runs:
        shown = cells[run.number]
        assert (
            shown["result"]
            == {
                Sameness.IDENTICAL: "✓ same",
                Sameness.EQUAL: "≈ same values",
                Sameness.DIFFERENT: "✗ differs",
                Sameness.UNDECIDED: "? not known",
            }[run.sameness]
        )
        for variation, value in run.setting:
            assert value in shown[words[variation]]
            assert ("not taken up" in shown[words[variation]]) is (variation in run.unseen)
    for guilty in found.guilty:
        for each in guilty.names:
            assert f"◆ {words[each]}guilty" in page.said


def test_of_very_many_runs_those_that_differ_are_shown() -> None:
    found = CASES["hash-seed"]
    setting = found.runs[2].setting
    many = tuple(a_run(number, Phase.VARIED, setting) for number in range(3, 301))
    late = replace(many[-1], sameness=Sameness.DIFFERENT)
    text = repeats_html(replace(found, runs=(*found.runs[:2], *many[:-1], late)))
    assert 'data-label="run 300"' in text
    assert "and 204 runs more, which gave the same" in text


def _contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2, relative luminance)."""

    def light(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_colours_of_pages_can_be_read_in_light_in_dark_and_on_paper() -> None:
    themes = [dict(re.findall(r"--(\w+):(#\w{3,6})", block)) for block in re.findall(r":root\{(.*?)\}", LOOK, re.DOTALL)]
    assert len(themes) == 3
    blushes = re.findall(r"--blush:(#\w{3,6})", repeats_html(CASES["hash-seed"]))
    assert len(blushes) == 3
    for colours, blush in zip(themes, blushes, strict=True):
        for name in ("ink", "quiet", "good", "bad", "doubt", "blue"):
            for ground in (colours["paper"], colours["tint"], blush):
                assert _contrast(colours[name], ground) >= 4.5, (name, ground)


def test_each_leaf_has_its_distances_drawn() -> None:
    text = repeats_html(CASES["entropy"])
    figures = re.findall(r"<figure>.*?</figure>", text, re.DOTALL)
    assert len(figures) == 2
    assert [int(number) for number in re.findall(r"ulps: (\d+)</title></rect>", figures[0])] == [210, 120, 64, 31, 9, 0, 2]
    assert "<code>layer.0.weight</code>" in figures[0]


def test_the_table_of_bounds_marks_these_runs() -> None:
    page = Page(repeats_html(CASES["same-process"]))
    rows = [[said for _, said in row] for table in page.tables for row in table]
    assert ["10", "26 % (these runs)"] in rows
    assert ["59", "5 %"] in rows


def test_nothing_from_outside_drives_a_terminal_or_breaks_a_table() -> None:
    found = a_hostile()
    text, markdown = repeats_text(found), repeats_markdown(found)
    for each in (text, markdown, repeats_json(found)):
        each.encode()
        assert "\x1b" not in each
    assert "\u202e" not in text + markdown
    assert text.count("\n") == len(text.splitlines())
    table = markdown[markdown.index("| file |") :].splitlines()
    assert {line.count("|") for line in table} == {4}
    # A fence that the text can not close.
    fence = re.search(r"^(`{3,})text$", markdown, re.MULTILINE)
    assert fence is not None
    assert sum(line.startswith(fence[1]) for line in markdown.splitlines()) == 2
    assert set(FORMATS) == {"json", "markdown", "html"}


def test_every_state_happens_in_these_cases() -> None:
    assert {state_of(found, each) for found in CASES.values() for each in found.variations} == set(State)
