"""What every report is tried on: comparisons as they happen, and names that want to be more than names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from factories import a_comparison, a_digest, a_drift
from sanctity.model.drift import Code, Depth, Reference, ReferenceKind, Selection, Severity, Unchecked
from sanctity.model.environment import Fingerprint, LookedAtFrom
from sanctity.model.lock import LockFormat
from sanctity.report.words import remedies

if TYPE_CHECKING:
    from collections.abc import Callable

    from sanctity.model.drift import Comparison, Drift

#: Where the distributions of the cases stand in their lock.
LINES: Final = {("numpy", "2.4.6"): 40, ("six", "1.16.0"): 7, ("coverage", "7.17.3"): 99}

DRIFTED: Final = a_comparison(
    a_drift(
        Code.PTH_HOOK,
        severity=Severity.NOTE,
        gating=False,
        distribution="coverage",
        version="7.17.3",
        path="a1_coverage.pth",
        message="runs at every start of Python; claimed, and as its RECORD states",
        count=2,
    ),
    a_drift(
        distribution="numpy",
        version="2.4.6",
        path="numpy/linalg/_linalg.py",
        shared=True,
        hint="uv cache clean numpy && uv sync --reinstall-package numpy",
    ),
    *(
        a_drift(
            distribution="numpy",
            version="2.4.6",
            path=f"numpy/f{n}.py",
            hint="uv cache clean numpy && uv sync --reinstall-package numpy",
        )
        for n in range(9)
    ),
    a_drift(
        Code.VERSION_MISMATCH, distribution="six", version="1.15.0", path="", expected="1.16.0", actual="1.15.0", hint="uv sync"
    ),
    a_drift(Code.FILE_UNCLAIMED, distribution="", version="", path="evil.py", message="no RECORD claims it", hint="rm evil.py"),
    a_drift(
        Code.SCRIPT_ALTERED,
        severity=Severity.WARNING,
        gating=False,
        distribution="pip",
        version="24.0",
        path="bin/pip",
        message="not what its entry point makes",
    ),
    a_drift(Code.DATA_ALTERED, gating=False, distribution="six", version="1.15.0", path="share/six.json", waiver="W-7"),
    reference=Reference(
        kind=ReferenceKind.LOCK,
        format=LockFormat.UV,
        path="uv.lock",
        digest=str(a_digest("uv.lock")),
        selection=Selection(groups=("dev",), extras=("cuda",)),
    ),
    unchecked=(
        Unchecked(code="editable-source", what="demo", reason="its source is governed by git"),
        Unchecked(code="bytecode", what="bytecode", reason="its header was compared, not its code", count=8102),
    ),
    policy=str(a_digest("policy")),
    profile="default",
)
CASES: Final[dict[str, Comparison]] = {
    "clean": a_comparison(fingerprint=Fingerprint(digest=a_digest("whole"), parts=(("distributions", a_digest("d")),))),
    "drifted": DRIFTED,
    "undecided": a_comparison(
        unchecked=(Unchecked(code="unreadable", what="six.py", reason="Permission denied", in_scope=True, count=3),),
        looked_at_from=LookedAtFrom.ITSELF,
    ),
    "alone": a_comparison(reference=Reference()),
    "alone-drifted": a_comparison(a_drift(), reference=Reference()),
    "version": a_comparison(depth=Depth.VERSION),
    "seal": a_comparison(
        a_drift(Code.CPU_CHANGED, distribution="", version="", path="", message="sealed with avx512f, here avx2"),
        reference=Reference(kind=ReferenceKind.SEAL, path="env.seal.json", digest=str(a_digest("seal"))),
    ),
}

#: Names of files and distributions that want to be a row, a heading, a tag, a link, a command or a placeholder.
HOSTILE: Final = (
    "a|b|c|d|e.py",
    "a\\|b\\\\|c.py",
    "x.py\n\n# CLEAN\n\nall is well",
    "x.py\r\n::error::forged",
    "x.py\n::set-output name=a::b",
    "::stop-commands::pause",
    "##[add-mask]x",
    "a,line=1::forged",
    "100%0A::error::forged",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><b onmouseover="alert(1)">',
    "</details></td></table><h1>CLEAN</h1>",
    "<!-- hidden",
    "-->",
    "]]>",
    "&lt;b&gt; &amp;",
    "`code` ``more`` ```fence```",
    "```\n# CLEAN\n```",
    "~~~",
    "`",
    "``",
    " ` ",
    "   ",
    "\\",
    "\\`",
    "[click](https://index.example/evil)",
    "![see](https://index.example/evil.png)",
    "[click][1]",
    "[1]: https://index.example/evil",
    "<https://index.example/evil>",
    "https://index.example/evil",
    "www.index.example",
    "someone@index.example",
    "@everyone @octo-org/team",
    "#1 GH-2 octo/repo#3",
    "deadbeef" * 5,
    "# CLEAN",
    "> CLEAN",
    "- [x] CLEAN",
    "1. CLEAN",
    "| --- | --- |",
    "---",
    "===",
    "*a* _b_ **c** ~~d~~ $e$",
    ":warning:",
    "{0} {{1}} {",
    "a/../../etc/passwd",
    "/etc/passwd",
    "C:\\Windows\\x.py",
    "a b\tc%20d?e#f.py",
    "bad\udcff\udc80.py",
    "lone\ud800.py",
    "\x1b[2J\x07\x00\x7f",
    "a\u202eb\u2066c\u200b.py",
    "a\u2028b\u2029c\x85d\x0be\x0cf.py",
    "žluťoučký kůň 🐎.py",
    "x" * 5000,
    "`" * 300,
    "|" * 300,
)

_PIECES: Final = st.one_of(
    st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=()), max_size=12), st.text("`|\\<&@[]\n:,%# ", max_size=8)
)
TEXT: Final = st.one_of(st.just(""), _PIECES, st.lists(_PIECES, min_size=2, max_size=3).map("".join))
DRIFTS: Final = st.builds(
    a_drift,
    st.sampled_from(Code),
    severity=st.sampled_from(Severity),
    gating=st.booleans(),
    distribution=TEXT,
    version=TEXT,
    path=TEXT,
    message=TEXT,
    expected=TEXT,
    actual=TEXT,
    hint=st.one_of(TEXT, TEXT.map(lambda text: f"rm {text} && uv sync"), TEXT.map(lambda text: f".venv/bin/python -m pip {text}")),
    shared=st.booleans(),
    count=st.integers(1, 3),
    waiver=TEXT,
)
UNCHECKED: Final = st.builds(
    Unchecked,
    code=st.sampled_from(("unreadable", "bytecode")),
    what=TEXT,
    reason=TEXT,
    count=st.integers(1, 3),
    in_scope=st.booleans(),
)
COMPARISONS: Final = st.builds(
    lambda drifts, unchecked, prefix, path, kind, group, profile: a_comparison(
        *drifts,
        unchecked=tuple(unchecked),
        prefix=prefix,
        reference=Reference()
        if kind is ReferenceKind.NONE
        else Reference(
            kind=kind,
            format=LockFormat.UV,
            path=path,
            digest=str(a_digest("x")),
            selection=Selection(groups=(group,) if group else ()),
        ),
        profile=profile,
        policy=str(a_digest("policy")),
    ),
    st.lists(DRIFTS, max_size=4),
    st.lists(UNCHECKED, max_size=2),
    TEXT,
    TEXT,
    st.sampled_from(ReferenceKind),
    TEXT,
    st.sampled_from(("", "default", "production")),
)


def harmless(comparison: Comparison) -> Comparison:
    """*comparison* with a plain word in place of each different text: of the same shape and order, and with nothing to fear in it."""
    texts: set[str] = set()

    def seen(text: str) -> str:
        texts.add(text)
        return text

    _reworded(comparison, seen)
    words = {text: f"word{rank:04}" for rank, text in enumerate(sorted(texts - {""}))}
    return _reworded(comparison, lambda text: words.get(text, ""))


def _reworded(comparison: Comparison, word: Callable[[str], str]) -> Comparison:
    """*comparison* with what *word* makes of each text in it."""

    def hint(text: str) -> str:
        """Still a command, and still a long one, if it was."""
        command = remedies((a_drift(hint=text),), 10**9)[0]
        return f"rm {word(text)}{'x' * max(0, len(text) - 100)}" if command else word(text)

    def plain(drift: Drift) -> Drift:
        return replace(
            drift,
            distribution=word(drift.distribution),
            version=word(drift.version),
            path=word(drift.path),
            expected=word(drift.expected),
            actual=word(drift.actual),
            message=word(drift.message),
            hint=hint(drift.hint),
            waiver=word(drift.waiver),
        )

    reference = comparison.reference
    return replace(
        comparison,
        prefix=word(comparison.prefix),
        drifts=tuple(plain(drift) for drift in comparison.drifts),
        unchecked=tuple(replace(item, what=word(item.what), reason=word(item.reason)) for item in comparison.unchecked),
        reference=replace(
            reference,
            path=word(reference.path),
            selection=replace(reference.selection, groups=tuple(word(name) for name in reference.selection.groups)),
        ),
    )
