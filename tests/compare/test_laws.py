"""The laws of a comparison, on values: what agrees never drifts, one changed byte is always named, order never matters."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from factories import a_distribution, a_lock, a_pin, an_environment
from sanctity.compare.comparison import compare_with_lock
from sanctity.compare.records import compare_with_records
from sanctity.model.drift import Code, Depth, Verdict
from sanctity.model.environment import Distribution, Environment, FileEntry, FileKind, Problem, RecordRow

if TYPE_CHECKING:
    from sanctity.model.drift import Comparison

SITE = "lib/python3.11/site-packages"
LAWS = settings(max_examples=150, derandomize=True, deadline=None)
NAMES = st.sampled_from(["six", "click", "attrs", "yaml", "idna"])
MODULES = st.lists(st.text("abcdef", min_size=1, max_size=4), min_size=1, max_size=5, unique=True)
TREES = st.dictionaries(NAMES, MODULES, min_size=1, max_size=4)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _entry(path: str, text: str = "") -> FileEntry:
    return FileEntry(path, FileKind.FILE, len(text or path), _digest(text or path), 1, 1)


def _build(tree: dict[str, list[str]]) -> Environment:
    """An environment in which every file is what its RECORD says."""
    files: dict[str, FileEntry] = {}
    distributions: list[Distribution] = []
    for name, modules in tree.items():
        item = a_distribution(name)
        rows = [RecordRow(f"{item.home}/RECORD", "", b"", -1)]
        files[rows[0].path] = _entry(rows[0].path)
        for path in [f"{SITE}/{name}/{module}.py" for module in modules] + [f"{item.home}/METADATA"]:
            files[path] = _entry(path)
            rows.append(RecordRow(path, "sha256", _digest(path), len(path)))
        distributions.append(replace(item, record=tuple(rows)))
    return an_environment(*distributions, files=files)


def _compare(environment: Environment) -> Comparison:
    lock = a_lock(*(a_pin(item.key, item.version) for item in environment.distributions))
    return compare_with_lock(environment, lock, depth=Depth.RECORD, lock_folder="/project")


def _claimed(environment: Environment) -> list[str]:
    return sorted(row.path for item in environment.distributions for row in item.record or () if row.digest)


@LAWS
@given(TREES)
def test_what_agrees_is_clean(tree: dict[str, list[str]]) -> None:
    environment = _build(tree)
    assert _compare(environment).verdict is Verdict.CLEAN
    assert compare_with_records(environment, depth=Depth.RECORD).verdict is Verdict.CLEAN


@LAWS
@given(TREES, st.data())
def test_one_changed_file_is_named(tree: dict[str, list[str]], data: st.DataObject) -> None:
    environment = _build(tree)
    path = data.draw(st.sampled_from(_claimed(environment)))
    files = {**environment.files, path: _entry(path, "other bytes")}
    found = [drift for drift in _compare(replace(environment, files=files)).drifts if drift.gating]
    assert [(drift.code, drift.path) for drift in found] == [(Code.FILE_ALTERED, path.removeprefix(SITE + "/"))]


@LAWS
@given(TREES, st.data())
def test_one_missing_file_is_named(tree: dict[str, list[str]], data: st.DataObject) -> None:
    environment = _build(tree)
    path = data.draw(st.sampled_from(_claimed(environment)))
    files = {key: entry for key, entry in environment.files.items() if key != path}
    found = [drift for drift in _compare(replace(environment, files=files)).drifts if drift.gating]
    assert (Code.FILE_MISSING, path.removeprefix(SITE + "/")) in [(drift.code, drift.path) for drift in found]


@LAWS
@given(TREES, st.sampled_from(["z.py", "z.so", "z.pyc", "six/z.py", "z.egg-link", "z.zip", "new/__init__.py"]))
def test_code_that_nobody_claims_is_named(tree: dict[str, list[str]], name: str) -> None:
    environment = _build(tree)
    assume(f"{SITE}/{name}" not in environment.files)
    files = {**environment.files, f"{SITE}/{name}": _entry(f"{SITE}/{name}")}
    comparison = _compare(replace(environment, files=files))
    assert comparison.verdict is Verdict.DRIFTED
    assert name in {drift.path for drift in comparison.drifts if drift.gating}


@LAWS
@given(TREES, st.data())
def test_dropping_a_hash_never_makes_it_clean(tree: dict[str, list[str]], data: st.DataObject) -> None:
    environment = _build(tree)
    path = data.draw(st.sampled_from(_claimed(environment)))
    stripped = tuple(
        replace(
            item,
            record=tuple(row._replace(algorithm="", digest=b"", size=-1) if row.path == path else row for row in item.record or ()),
        )
        for item in environment.distributions
    )
    assert _compare(replace(environment, distributions=stripped)).verdict is Verdict.DRIFTED


@LAWS
@given(TREES, st.data())
def test_an_unread_file_in_scope_is_never_a_pass(tree: dict[str, list[str]], data: st.DataObject) -> None:
    environment = _build(tree)
    path = data.draw(st.sampled_from(_claimed(environment)))
    unread = environment.files[path]._replace(digest=b"", problem="EIO")
    blind = replace(
        environment, files={**environment.files, path: unread}, problems=(Problem("unreadable", path, "Input/output error"),)
    )
    comparison = _compare(blind)
    assert comparison.verdict is Verdict.UNDECIDED
    assert comparison.fingerprint is None


@LAWS
@given(TREES, st.randoms(use_true_random=False))
def test_order_never_matters(tree: dict[str, list[str]], chance: object) -> None:
    environment = _build(tree)
    shuffle = getattr(chance, "shuffle")  # noqa: B009 - hypothesis gives a random.Random by another name
    files = list(environment.files.items())
    distributions = [replace(item, record=tuple(reversed(item.record or ()))) for item in environment.distributions]
    shuffle(files)
    shuffle(distributions)
    other = replace(environment, files=dict(files), distributions=tuple(distributions))
    one, two = _compare(environment), _compare(other)
    assert (one.verdict, one.by_weight()) == (two.verdict, two.by_weight())


@LAWS
@given(TREES)
def test_what_two_distributions_own_is_laid_at_the_losers_door(tree: dict[str, list[str]]) -> None:
    environment = _build({**tree, "six": ["a"], "idna": ["b"]})
    shared = f"{SITE}/six/a.py"
    theirs = RecordRow(shared, "sha256", _digest("their bytes"), 11)
    distributions = tuple(
        replace(item, record=(*(item.record or ()), theirs)) if item.key == "idna" else item for item in environment.distributions
    )
    files = {**environment.files, shared: _entry(shared, "their bytes")}
    found = [drift for drift in _compare(replace(environment, distributions=distributions, files=files)).drifts if drift.gating]
    assert [(drift.code, drift.distribution) for drift in found] == [(Code.FILE_CLOBBERED, "six")]
