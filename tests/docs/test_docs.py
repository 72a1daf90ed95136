"""The documentation against the code: every code has its page, every verb its real help, and every link leads somewhere."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

from sanctity.canon.contents import parse_contents
from sanctity.cli import cli
from sanctity.errors import UsageError
from sanctity.model.artifact import Proof
from sanctity.model.difference import LookCode
from sanctity.model.drift import Code
from sanctity.model.finding import RULES
from sanctity.pages import page, pages
from sanctity.report.difference import schema as difference_schema
from sanctity.report.json import schema
from sanctity.report.linting import schema as lint_schema
from sanctity.seals.document import format_seal, parse_seal
from sanctity.seals.files import parse_files

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/sanctity"
DOCS = ROOT / "docs"
WIDTH = 100
PROSE = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))]
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

#: What makes something with a code: the class or method, and where among its arguments the code stands.
MAKERS = {
    "SanctityError": 0,
    "StateError": 0,
    "UsageError": 0,
    "DocumentError": 0,
    "NoEnvironmentError": 0,
    "ObservationError": 0,
    "ArchiveError": 0,
    "Ailment": 0,
    "Doubt": 0,
    "Fault": 0,
    "FetchError": 0,
    "Lacking": 0,
    "_lacks": 2,
    "Missing": 2,
    "lacks": 0,
    "Issue": 0,
    "Note": 0,
    "fault": 0,
    "note": 0,
    "Problem": 0,
    "Unchecked": 0,
    "RecordFault": 0,
    "remark": 1,
    "_Trouble": 0,
    "finding": 0,
}
#: Codes that are put together when they are needed, by the text before and after what is filled in.
COMPOSED = {
    "{}-bad-type": ("lock-bad-type", "seal-bad-type", "policy-bad-type", "waiver-bad-type", "canary-bad-type", "baseline-bad-type"),
    "{}-bad-value": ("seal-bad-value", "policy-bad-value", "waiver-bad-value", "canary-bad-value"),
    "{}-missing-key": ("lock-missing-key", "seal-missing-key", "waiver-missing-key", "canary-missing-key", "baseline-missing-key"),
    "{}-unknown-key": (
        "seal-unknown-key",
        "policy-unknown-key",
        "waiver-unknown-key",
        "canary-unknown-key",
        "baseline-unknown-key",
    ),
    "{}-unreadable": ("policy-unreadable", "waiver-unreadable"),
    "{}-syntax": ("policy-syntax", "waiver-syntax", "seal-syntax"),
    "{}-too-large": ("seal-too-large",),
    "unknown-{}": ("unknown-group", "unknown-extra"),
    "lock-url-{}": ("lock-url-credentials", "lock-url-query"),
}
#: Faults that a comparison tells under another code.
INNER = {"interpreter-claim": "interpreter-changed"}


def _code_argument(call: ast.Call, position: int) -> ast.expr | None:
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
    return named or (call.args[position] if len(call.args) > position else None)


def _constants(tree: ast.Module) -> dict[str, str]:
    """The module's own names for texts."""
    found: dict[str, str] = {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.update((target.id, value.value) for target in targets if isinstance(target, ast.Name))
    return found


def _codes_in(value: ast.expr | None, constants: dict[str, str]) -> set[str]:
    """The codes that an expression may be; what is handed on from elsewhere is found where it was made."""
    match value:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=orelse):
            return _codes_in(body, constants) | _codes_in(orelse, constants)
        case ast.Name(id=name) if name in constants:
            return {constants[name]}
        case ast.JoinedStr(values=parts):
            shape = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            assert shape in COMPOSED, f"a new composed code: {shape}"
            return set(COMPOSED[shape])
    return set()


def _codes_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    constants = _constants(tree)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
            pytests = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "pytest"
            if name in MAKERS and not pytests:
                found |= _codes_in(_code_argument(node, MAKERS[name]), constants)
        # A lock's codes are also handed from function to function.
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"lock-bad-[a-z-]+", node.value):
            found.add(node.value)
    return found


def _used() -> dict[str, set[str]]:
    """Each code that the source makes, and the files that do."""
    used: dict[str, set[str]] = {str(code): {"model/drift.py"} for code in Code}
    for file in sorted(SOURCE.rglob("*.py")):
        for code in _codes_of(file):
            used.setdefault(INNER.get(code, code), set()).add(str(file.relative_to(SOURCE)))
    for code in RULES:
        used.setdefault(code, set()).add("model/finding.py")
    for look in LookCode:
        used.setdefault(str(look), set()).add("model/difference.py")
    # What the walk says of files that it could not look at.
    for code in ("vanished", "unreadable", "changed-while-looking"):
        used.setdefault(code, set()).add("observe/walk.py")
    # What the selection says of pins that it could not decide.
    for code in ("marker-unknown", "membership-unknown"):
        used.setdefault(code, set()).add("compare/selection.py")
    return used


USED = _used()


def test_codes_are_found_in_the_source() -> None:
    """The search itself works: it finds codes of every way of making one."""
    expected = {"malformed-hash", "usage", "editable-source", "record-invalid", "interpreter-changed", "unknown-group"}
    assert expected <= USED.keys()
    assert all(KEBAB.fullmatch(code) for code in USED)


def test_walk_and_selection_say_the_codes_that_are_taken_for_granted() -> None:
    walk = (SOURCE / "observe/walk.py").read_text("utf-8")
    selection = (SOURCE / "compare/selection.py").read_text("utf-8")
    assert all(f'"{code}"' in walk for code in ("vanished", "unreadable", "changed-while-looking"))
    assert all(f'"{code}"' in selection for code in ("marker-unknown", "membership-unknown"))


@pytest.mark.parametrize("code", sorted(USED))
def test_every_code_has_a_page(code: str) -> None:
    assert code in pages(), f"{code} of {', '.join(sorted(USED[code]))} has no page"


def test_every_page_is_of_a_code() -> None:
    assert set(pages()) == USED.keys()


@pytest.mark.parametrize("code", pages())
def test_a_page_says_what_it_must(code: str) -> None:
    text = page(code)
    title, meaning = text.split("\n\n")[:2]
    assert title == f"# {code}"
    assert meaning.endswith(".")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[:2] == ["How it arises", "What to do"]
    assert headings[2:] in (["Gating?", "What it can't show"], ["Exit code"])
    if code in set(Code):
        assert "Gating?" in headings
        assert "\n    " in text, "a drift's page shows one"


@pytest.mark.parametrize("code", pages())
def test_a_page_fits_a_terminal(code: str) -> None:
    text = page(code)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("\n") <= 36
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_rules_of_a_difference_are_explained_by_their_reasons() -> None:
    assert all(page(f"diff-{look}") == page(look) for look in LookCode)
    assert (page("diff-down"), page("diff-hashes")) == (page("downgrade"), page("hash-changed"))
    with pytest.raises(UsageError):
        page("diff-nothing")


def test_the_index_of_codes_links_every_page_with_its_first_sentence() -> None:
    rows = re.findall(
        r"^- \[`(.+?)`\]\(\.\./src/sanctity/pages/(.+?)\.md\): (.+)$", (DOCS / "codes.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(code for code, _, _ in rows) == sorted(pages())
    for code, target, meaning in rows:
        assert code == target
        assert meaning == page(code).split("\n\n")[1].replace("\n", " ")


def _help(verb: str) -> str:
    result = CliRunner().invoke(cli, [*verb.split(), "--help"], prog_name="sanctity", terminal_width=WIDTH)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_a_page_with_its_real_help(verb: str) -> None:
    text = (DOCS / f"verbs/{verb}.md").read_text("utf-8")
    assert text.startswith(f"# sanctity {verb}\n")
    command = cli.commands[verb]
    below = sorted(command.commands) if isinstance(command, click.Group) else []
    for each in (verb, *(f"{verb} {name}" for name in below)):
        assert f"```text\n$ sanctity {each} --help\n{_help(each)}```\n" in text, each
    assert "## Exit codes" in text


def test_every_page_of_a_verb_is_of_a_verb() -> None:
    assert {file.stem for file in (DOCS / "verbs").glob("*.md")} == cli.commands.keys()


def test_the_page_of_explain_shows_a_real_page() -> None:
    shown = re.search(r"\$ sanctity explain ([a-z][a-z-]*)\n(.*?)```", (DOCS / "verbs/explain.md").read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert shown[2] == page(shown[1])


def _anchors(file: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", PROSE, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    text = re.sub(r"^```.*?^```", "", file.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (file.parent / path).resolve() if path else file
        assert there.exists(), f"{target} leads nowhere"
        assert ROOT in there.parents
        if anchor:
            assert anchor in _anchors(there), f"{target} has no such heading"


def test_every_page_of_the_documentation_can_be_reached_from_the_index() -> None:
    waiting, seen = [DOCS / "index.md"], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        if DOCS in file.parents:
            targets = re.findall(r"\]\(([^)\s#]+\.md)", file.read_text("utf-8"))
            waiting += [(file.parent / target).resolve() for target in targets if not re.match(r"[a-z]+:", target)]
    assert set(DOCS.rglob("*.md")) <= seen


def _json_blocks() -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for file in PROSE:
        text = file.read_text("utf-8")
        for number, block in enumerate(re.findall(r"^```json\n(.*?)^```", text, re.DOTALL | re.MULTILINE)):
            found.append((f"{file.relative_to(ROOT)}[{number}]", json.loads(block)))
    return found


DOCUMENTS = [(place, document) for place, document in _json_blocks() if isinstance(document, dict)]


@pytest.mark.parametrize(("place", "document"), DOCUMENTS, ids=[place for place, _ in DOCUMENTS])
def test_a_json_example_is_a_document_of_ours(place: str, document: dict[str, object]) -> None:
    match document.get("schema"):
        case "sanctity.report/1":
            jsonschema.validate(document, lint_schema() if document["verb"] == "lint" else schema())
        case "sanctity.diff/1":
            jsonschema.validate(document, difference_schema())
        case "sanctity.seal/1":
            assert format_seal(parse_seal(json.dumps(document).encode(), place)).count("\n") > 20
        case "sanctity.seal-files/1":
            assert parse_files(json.dumps(document).encode(), place)
        case "sanctity.contents/1":
            assert parse_contents(json.dumps(document).encode(), place, proof=Proof.REMEMBERED)
        case "sanctity.fingerprint/1":
            parts = document["parts"]
            assert isinstance(parts, dict)
            assert list(parts) == ["distributions", "interpreter", "startup", "unclaimed"]
        case "sanctity.error/1":
            error = document["error"]
            assert isinstance(error, dict)
            assert error["code"] in pages()
        case other:
            pytest.fail(f"{place}: {other!r} is no schema of ours")


def test_the_report_page_shows_a_whole_verdict() -> None:
    """An example with a gating drift, a note, and something that was not checked."""
    found = [
        document
        for place, document in DOCUMENTS
        if place.startswith("docs/report.md") and document["schema"] == "sanctity.report/1"
    ]
    assert len(found) == 1
    drifts = found[0]["drifts"]
    assert isinstance(drifts, list)
    assert {drift["gating"] for drift in drifts} == {True, False}
    assert found[0]["unchecked"]


def test_the_decisions_are_numbered_and_whole() -> None:
    files = sorted((DOCS / "adr").glob("*.md"))
    for number, file in enumerate(files, 1):
        text = file.read_text("utf-8")
        assert file.name.startswith(f"{number:04}-")
        assert text.startswith(f"# {number:04}: ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
