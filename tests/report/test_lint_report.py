"""What a lint found, in five formats: each holds to its own rules, whatever a lock says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import a_lock, a_pin
from sanctity.linting.subject import finding
from sanctity.lockfiles.summary import summarise
from sanctity.model.drift import Severity, Unchecked, Verdict
from sanctity.model.finding import Finding, LintedLock, Linting
from sanctity.report.linting import (
    FORMATS,
    exit_code,
    linting_github,
    linting_json,
    linting_markdown,
    linting_sarif,
    linting_text,
    schema,
)
from sanctity.report.text import Paint

SARIF = jsonschema.Draft4Validator(json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text("utf-8")))
HOSTILE = "\x1b[31m](javascript:0) {0} `x` | @all #1 \u202e\udcff\n::error::x\r\n<b> %0A"


def a_linted(path: str = "uv.lock", *names: str) -> LintedLock:
    lock = a_lock(*map(a_pin, names or ("six",)), path=path)
    return LintedLock(path=path, lock=lock, summary=summarise(lock))


def a_finding(code: str = "unhashed", package: str = "six", **fields: Any) -> Finding:
    fields = {"path": "uv.lock", "version": "1.0", "line": 3, "where": "package[1]", "hint": "uv lock", **fields}
    return replace(finding(code, fields.pop("message", "no hash"), package=package), **fields)


def a_linting(*findings: Finding, **fields: Any) -> Linting:
    return Linting(**{"locks": (a_linted(),), "findings": findings, **fields})


CASES = {
    "clean": a_linting(),
    "warned": a_linting(a_finding()),
    "faulty": a_linting(a_finding("filename-mismatch"), a_finding(), a_finding("sdist-only", line=0)),
    "strict": a_linting(a_finding(), strict=True),
    "unreadable": a_linting(
        a_finding("malformed-hash", severity=Severity.ERROR, package=""),
        locks=(LintedLock(path="uv.lock", lock=None),),
        unreadable=True,
    ),
    "known": a_linting(
        a_finding("filename-mismatch", known=True), a_finding(), baseline="lint.baseline.json", gone=("unhashed idna in uv.lock",)
    ),
    "project": a_linting(
        a_finding("lock-missing", package="", path="", where="", line=0), locks=(a_linted(), a_linted("b/uv.lock")), project="."
    ),
    "blind": a_linting(unchecked=(Unchecked(code="offline", what="six 1.0", reason="no index may be asked"),)),
    "many": a_linting(*(a_finding(package=f"p{n}", line=n + 1, where=f"package[{n}]") for n in range(400))),
    "various": a_linting(*(a_finding(package=f"p{n}", message=f"reason {n}", line=n + 1) for n in range(30))),
    "empty": Linting(project="."),
    "hostile": a_linting(
        a_finding(package=HOSTILE, version=HOSTILE, message=HOSTILE, hint=HOSTILE, path=HOSTILE, where=HOSTILE),
        a_finding("filename-mismatch", package="", message=HOSTILE, path=HOSTILE, where=HOSTILE, line=0),
        locks=(LintedLock(path=HOSTILE, lock=None),),
        unchecked=(Unchecked(code="offline", what=HOSTILE, reason=HOSTILE),),
        baseline=HOSTILE,
        gone=(HOSTILE,),
        judged_for=HOSTILE,
        unreadable=True,
    ),
}


@pytest.fixture(params=sorted(CASES))
def linting(request: pytest.FixtureRequest) -> Linting:
    return CASES[request.param]


def test_every_format_can_be_written_and_says_the_same_each_time(linting: Linting) -> None:
    for name, form in FORMATS.items():
        text = form(linting)
        text.encode()
        assert text.endswith("\n"), name
        assert text == form(linting)


@pytest.mark.parametrize(
    ("name", "code"), [("clean", 0), ("warned", 0), ("faulty", 1), ("strict", 1), ("unreadable", 2), ("known", 0)]
)
def test_the_exit_code(name: str, code: int) -> None:
    assert exit_code(CASES[name]) == code


# --- JSON --------------------------------------------------------------------------------------------------------------------


def test_json_holds_to_its_schema(linting: Linting) -> None:
    document = json.loads(linting_json(linting))
    jsonschema.validate(document, schema())
    assert len(document["findings"]) == len(linting.findings)
    assert [entry["gating"] for entry in document["findings"]] == [linting.gates(each) for each in linting.findings]
    assert document["verdict"] == str(linting.verdict)


# --- SARIF -------------------------------------------------------------------------------------------------------------------


def test_sarif_holds_to_the_standard(linting: Linting) -> None:
    log = json.loads(linting_sarif(linting))
    SARIF.validate(log)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted({result["ruleId"] for result in run["results"]})
    assert len(run["results"]) == len(linting.findings)
    for result, each in zip(run["results"], linting.findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == each.code
        assert (result["suppressions"] != []) == each.known
        message = result["message"]["text"]
        assert message.isprintable()
        assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]]", message)  # 3.11.6: no embedded links
        assert "{" not in message.replace("{{", "")  # 3.11.5: no placeholders
        (location,) = result["locations"]
        assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", location["physicalLocation"]["artifactLocation"]["uri"])
        assert ("region" in location["physicalLocation"]) == (each.line > 0)
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(marks)) == len(marks)
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is not linting.unreadable
    assert invocation["exitCode"] == exit_code(linting)


def test_a_rule_has_its_page() -> None:
    (rule,) = json.loads(linting_sarif(CASES["warned"]))["runs"][0]["tool"]["driver"]["rules"]
    assert rule["help"]["markdown"].startswith("# unhashed")
    assert rule["defaultConfiguration"] == {"level": "warning"}


def test_an_alert_is_the_same_one_after_the_entry_moved() -> None:
    def mark(one: Finding) -> str:
        (result,) = json.loads(linting_sarif(a_linting(one)))["runs"][0]["results"]
        return str(result["partialFingerprints"])

    assert mark(a_finding()) == mark(a_finding(line=99, where="package[7]", version="2.0"))
    assert mark(a_finding()) != mark(a_finding(package="idna"))


# --- GitHub ------------------------------------------------------------------------------------------------------------------


def test_every_line_for_github_is_one_command(linting: Linting) -> None:
    text = linting_github(linting)
    kinds: dict[str, int] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"::(error|warning|notice) ((?:\w+=[^,:]+)(?:,\w+=[^,:]+)*)::.*", line)
        assert match, line
        kinds[match[1]] = kinds.get(match[1], 0) + 1
    assert all(number <= 10 for number in kinds.values())
    assert text.isascii() or "\x1b" not in text


def test_an_annotation_stands_at_its_line() -> None:
    told = linting_github(CASES["faulty"])
    assert "::error file=uv.lock,line=3,title=filename-mismatch::six 1.0: no hash%0Afix: uv lock\n" in told
    assert "::notice file=uv.lock,title=sdist-only::" in told
    assert linting_github(CASES["strict"]).count("::error ") == 2


# --- Markdown ----------------------------------------------------------------------------------------------------------------


def test_markdown_is_a_table_that_nothing_breaks(linting: Linting) -> None:
    text = linting_markdown(linting)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)
    assert len(text) < 65_536
    prose = re.sub(r"(`+).*?\1", "", text, flags=re.DOTALL)
    assert not re.search(r"@all|javascript|<b>", prose)


def test_notes_are_folded() -> None:
    text = linting_markdown(CASES["faulty"])
    head, _, folded = text.partition("<details>")
    assert "**error**" in head
    assert "filename-mismatch" in head
    assert "sdist-only" not in head
    assert "sdist-only" in folded


# --- Text --------------------------------------------------------------------------------------------------------------------


def test_text_drives_no_terminal_and_is_short(linting: Linting) -> None:
    text = linting_text(linting)
    assert all(line.isprintable() for line in text.splitlines())
    assert text.count("\n") <= 40
    head = text.splitlines()[0]
    warned = any(each.severity is Severity.WARNING and not each.known for each in linting.findings)
    clean = "PASSED  " if warned else "CLEAN  "
    assert head.startswith({Verdict.CLEAN: clean, Verdict.DRIFTED: "FAULTY  ", Verdict.UNDECIDED: "UNREADABLE  "}[linting.verdict])


def test_what_is_alike_is_one_line() -> None:
    lines = linting_text(CASES["many"]).splitlines()
    assert lines == [
        "PASSED  uv.lock: 400 warnings   1 package",
        "    warning  unhashed   400 packages: p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11 and 388 more   (no hash)",
        "    fix: uv lock",
        "  --format json has all of them",
    ]


def test_what_says_something_else_has_its_own_line_and_what_is_left_out_is_told() -> None:
    lines = linting_text(CASES["various"]).splitlines()
    assert sum("(reason " in line for line in lines) == 20
    assert "    and 10 more of unhashed" in lines
    assert lines[-1] == "  --format json has all of them"
    few = linting_text(a_linting(*CASES["various"].findings[:20]))
    assert few.count("(reason ") == 20
    assert "more" not in few
    codes = [f"code-{number}" for number in range(120)]
    assert "    and 20 more in this file\n" in linting_text(a_linting(*map(a_finding, codes)))


def test_the_file_is_named_where_a_project_is_judged() -> None:
    text = linting_text(a_linting(a_finding(), project="."))
    assert text.splitlines()[:2] == ["PASSED  this project: 1 warning   1 lock, 1 package", "  uv.lock"]
    assert "  uv.lock" not in linting_text(a_linting(a_finding())).splitlines()


def test_a_command_is_set_apart_from_what_somebody_has_to_do() -> None:
    one = a_finding(hint="uv lock", command="uv lock")
    text = linting_markdown(a_linting(one, a_finding("weak-hash", hint="git is where it was before; look there")))
    assert "uv lock\n```" in text
    assert "- by hand: git is where it was before; look there" in text
    assert text.count("uv lock\n") == 1
    moved = linting_markdown(a_linting(one, a_finding("weak-hash", command="cd app && uv lock", hint="cd app && uv lock")))
    assert "\nuv lock\n" in moved
    assert "\n(cd app && uv lock)\n" in moved


def test_what_is_known_is_only_counted() -> None:
    text = linting_text(CASES["known"])
    assert "filename-mismatch" not in text
    assert "1 finding known before: lint.baseline.json" in text
    assert "to be taken out of lint.baseline.json: unhashed idna in uv.lock" in text


def test_colours_are_asked_for() -> None:
    assert "\x1b[1;31mFAULTY\x1b[0m" in linting_text(CASES["faulty"], Paint(on=True))
    assert "\x1b" not in linting_text(CASES["faulty"])


WORDS = st.text(st.characters(codec=None), max_size=20)


@settings(deadline=None, max_examples=60)
@given(words=st.tuples(WORDS, WORDS, WORDS, WORDS, WORDS), line=st.integers(0, 9))
def test_whatever_a_lock_says(words: tuple[str, str, str, str, str], line: int) -> None:
    package, version, message, path, where = words
    found = a_finding(package=package, version=version, message=message, path=path, where=where, hint=message, line=line)
    linting = a_linting(found, a_finding())
    for form in FORMATS.values():
        form(linting).encode()
    jsonschema.validate(json.loads(linting_json(linting)), schema())
    SARIF.validate(json.loads(linting_sarif(linting)))
    test_every_line_for_github_is_one_command(linting)
    test_markdown_is_a_table_that_nothing_breaks(linting)
    test_text_drives_no_terminal_and_is_short(linting)
