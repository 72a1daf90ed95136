"""Claims, candidates and judgements at depth artifact, as values: what proves, what is named, and what is never a pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from factories import a_digest, a_distribution, a_lock, a_pin, an_environment, an_interpreter, an_origin
from sanctity.canon.content import content_digest
from sanctity.compare.artifacts import (
    Claim,
    Failure,
    altered_code,
    candidates,
    claims_of,
    has_code_of,
    judge_claim,
    may_be_built,
    of_release,
    proof_of,
    proof_of_built,
    renamed,
    sealed_claims,
    suspected_releases,
)
from sanctity.model.artifact import Proof, WheelContent
from sanctity.model.drift import Code, Drift, Unchecked
from sanctity.model.environment import RecordRow
from sanctity.model.lock import Artifact, Source, SourceKind
from sanctity.model.seal import SealedDistribution
from sanctity.plan.needs import artifacts_of
from sealing import sealed

if TYPE_CHECKING:
    from sanctity.compare.artifacts import Claim as AClaim
    from sanctity.model.environment import Distribution
    from sanctity.model.lock import Lock

SITE = "lib/python3.11/site-packages"


def _value(text: str) -> str:
    return str(a_digest(text))


def _rows(**code: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((f"lib/{name}.py", _value(text)) for name, text in code.items()))


def _installed(rows: tuple[tuple[str, str], ...], *, version: str = "1.0", **fields: Any) -> Distribution:
    record = tuple(RecordRow(f"{SITE}/{key[4:]}", "sha256", bytes.fromhex(value[7:]), 1) for key, value in rows)
    given: dict[str, Any] = {"content": content_digest(rows), "rows": rows, "record": record, "tags": ("py3-none-any",), **fields}
    return a_distribution(version=version, **given)


def _wheel(rows: tuple[tuple[str, str], ...], of: str = "six-1.0", **fields: object) -> WheelContent:
    given = {"filename": f"{of}-py3-none-any.whl", "proof": Proof.WHEEL, "rows": rows, **fields}
    return WheelContent(sha256=a_digest(of), content=content_digest(rows), **given)  # type: ignore[arg-type]


def _claims(lock: Lock, *items: Distribution, **fields: object) -> tuple[AClaim, ...]:
    artifacts = {(pin.name, pin.where): artifacts_of(pin) for pin in lock.pins}
    return claims_of(an_environment(*items), lock, artifacts, seeds=(), **fields)  # type: ignore[arg-type]


def _judged(
    claim: AClaim, *tried: WheelContent, failures: tuple[Failure, ...] = (), told: tuple[str, ...] = ()
) -> list[Drift | Unchecked]:
    return list(judge_claim(claim, tried, failures, an_environment(claim.item), told))


def test_content_alone_proves() -> None:
    (claim,) = _claims(a_lock(a_pin()), _installed(_rows(six="good")))
    assert proof_of(claim, {a_digest("six-1.0").value: _wheel(_rows(six="good"))}) is Proof.WHEEL
    assert proof_of(claim, {a_digest("six-1.0").value: _wheel(_rows(six="evil"))}) is None
    assert proof_of(claim, {a_digest("six-1.1").value: _wheel(_rows(six="good"), "six-1.1")}) is None  # no locked hash is its
    assert proof_of(claim, {}) is None


def test_how_it_is_known_is_told() -> None:
    (claim,) = _claims(a_lock(a_pin()), _installed(_rows(six="good")))
    for how in (Proof.WHEEL, Proof.REMEMBERED, Proof.IMPORTED):
        assert proof_of(claim, {a_digest("six-1.0").value: _wheel(_rows(six="good"), proof=how)}) is how


def test_tags_are_compared_as_sets_and_a_renamed_wheel_is_found_by_what_the_interpreter_installs() -> None:
    names = (
        "six-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "six-1.0-cp311-cp311-musllinux_1_2_x86_64.whl",
        "six-1.0-py3-none-any.whl",
    )
    artifacts = tuple(Artifact(filename=name, digests=(a_digest(name),)) for name in names)
    lock = a_lock(a_pin(artifacts=artifacts))
    tags = ("cp311-cp311-manylinux2014_x86_64", "cp311-cp311-manylinux_2_17_x86_64")
    (claim,) = _claims(lock, _installed(_rows(six="good"), tags=tags))
    assert [wanted.filename for wanted in candidates(claim, an_interpreter())] == [names[0]]
    (renamed,) = _claims(lock, _installed(_rows(six="good"), tags=("cp311-cp311-linux_x86_64",)))
    assert [wanted.filename for wanted in candidates(renamed, an_interpreter())] == [names[0], names[2]]
    assert candidates(replace(claim, item=replace(claim.item, built_here=True)), an_interpreter()) == ()


def test_a_renamed_wheel_is_told_and_proven() -> None:
    rows = _rows(six="good")
    (claim,) = _claims(a_lock(a_pin()), _installed(rows, tags=("cp311-cp311-linux_x86_64",)))
    told = renamed(claim, _wheel(rows))
    assert told is not None
    assert (told.code, told.gating, told.path) == (Code.WHEEL_RENAMED, False, "six-1.0-py3-none-any.whl")
    (plain,) = _claims(a_lock(a_pin()), _installed(rows))
    assert renamed(plain, _wheel(rows)) is None
    (silent,) = _claims(a_lock(a_pin()), _installed(rows, tags=()))
    assert renamed(silent, _wheel(rows)) is None


def test_a_forged_record_is_named_file_by_file() -> None:
    rows = _rows(six="evil", other="same", added="new")
    (claim,) = _claims(a_lock(a_pin()), _installed(rows, stated=content_digest(rows)))
    found = _judged(claim, _wheel(_rows(six="good", other="same", gone="was here")))
    assert [(drift.code, drift.path, bool(drift.gating)) for drift in found if isinstance(drift, Drift)] == [
        (Code.RECORD_FORGED, "added.py", True),
        (Code.RECORD_FORGED, "gone.py", True),
        (Code.RECORD_FORGED, "six.py", True),
    ]
    assert isinstance(found[2], Drift)
    assert (found[2].expected, found[2].actual) == (_value("good"), _value("evil"))


def test_what_the_wheels_own_record_names_is_not_named_again() -> None:
    good = _rows(six="good")
    (claim,) = _claims(a_lock(a_pin()), _installed(_rows(six="evil"), stated=content_digest(good)))
    assert _judged(claim, _wheel(good), told=("six.py",)) == []
    assert _judged(claim, _wheel(good))  # nobody named it: then this does


def test_a_digest_without_rows_still_drifts() -> None:
    rows = _rows(six="evil")
    (claim,) = _claims(a_lock(a_pin()), _installed(rows, stated=content_digest(rows)))
    (drift,) = _judged(claim, replace(_wheel(_rows(six="good")), rows=None))
    assert isinstance(drift, Drift)
    assert drift.code is Code.RECORD_FORGED
    assert drift.gating
    assert drift.path == "six-1.0.dist-info/RECORD"


def test_what_can_not_be_had_is_never_a_pass() -> None:
    (claim,) = _claims(a_lock(a_pin()), _installed(_rows(six="good")))
    wanted = claim.artifacts[0]
    for code in ("offline", "artifact-gone", "index-unreachable", "wheel-invalid"):
        (found,) = _judged(claim, failures=(Failure(wanted, code, "why"),))
        assert isinstance(found, Unchecked)
        assert found.in_scope
        assert found.code == "unverifiable"
    (mismatch,) = _judged(claim, failures=(Failure(wanted, "artifact-mismatch", "other bytes", a_digest("x")),))
    assert isinstance(mismatch, Drift)
    assert (mismatch.code, mismatch.gating, mismatch.actual) == (Code.ARTIFACT_MISMATCH, True, str(a_digest("x")))


@pytest.mark.parametrize("digests", [(), (replace(a_digest("x"), algorithm="md5", value="0" * 32),)])
def test_a_lock_without_a_strong_hash_proves_nothing(digests: tuple[object, ...]) -> None:
    artifact = Artifact(filename="six-1.0-py3-none-any.whl", digests=digests)  # type: ignore[arg-type]
    (claim,) = _claims(a_lock(a_pin(artifacts=(artifact,))), _installed(_rows(six="good")))
    assert proof_of(claim, {a_digest("six-1.0").value: _wheel(_rows(six="good"))}) is None
    (found,) = _judged(claim)
    assert isinstance(found, Unchecked)
    assert (found.code, found.in_scope) == ("unhashed", True)


def _sdist_lock() -> Lock:
    return a_lock(a_pin(artifacts=(Artifact(filename="six-1.0.tar.gz", digests=(a_digest("sdist"),)),)))


def test_what_was_built_from_source_is_undecided_unless_somebody_states_its_content() -> None:
    rows = _rows(six="built")
    (claim,) = _claims(_sdist_lock(), _installed(rows))
    assert claim.from_source
    assert candidates(claim, an_interpreter()) == ()
    (found,) = _judged(claim)
    assert isinstance(found, Unchecked)
    assert (found.code, found.in_scope) == ("built-here", True)
    assert proof_of(replace(claim, sealed=content_digest(rows)), {}) is Proof.SEALED
    assert proof_of(replace(claim, sealed=content_digest(_rows(six="other"))), {}) is None
    built = _wheel(rows, "built", built_from=_value("sdist"))
    assert proof_of(claim, {}, (built,)) is Proof.WHEEL
    assert proof_of(claim, {}, (replace(built, built_from=_value("another sdist")),)) is None


def test_a_wheel_that_the_lock_names_is_not_proven_by_a_seal() -> None:
    rows = _rows(six="good")
    for artifact in (Artifact(filename="six-1.0-py3-none-any.whl", digests=(a_digest("x"),)), Artifact(digests=(a_digest("x"),))):
        (claim,) = _claims(a_lock(a_pin(artifacts=(artifact,))), _installed(rows))
        assert proof_of(replace(claim, sealed=content_digest(rows)), {}) is None


def test_what_may_be_built_from_a_locked_source_is_left_open_and_altered_code_is_not() -> None:
    wheel_row = "lib/six-1.0.dist-info/WHEEL"
    artifacts = (
        Artifact(filename="six-1.0-py3-none-any.whl", digests=(a_digest("six-1.0"),)),
        Artifact(filename="six-1.0.tar.gz", digests=(a_digest("sdist"),)),
    )
    locked = _wheel((*_rows(six="good"), (wheel_row, _value("of the publisher"))))
    mine = (*_rows(six="good"), (wheel_row, _value("of another builder")))
    (claim,) = _claims(a_lock(a_pin(artifacts=artifacts)), _installed(mine, stated=content_digest(mine)))
    environment = an_environment(claim.item)
    assert may_be_built(claim, locked, environment)
    (found,) = _judged(claim, locked)
    assert isinstance(found, Unchecked)
    assert (found.code, found.in_scope) == ("built-here", True)
    assert proof_of_built(replace(claim, sealed=content_digest(mine)), locked, environment, ()) is Proof.SEALED
    (without,) = _claims(a_lock(a_pin(artifacts=artifacts[:1])), claim.item)
    assert not may_be_built(without, locked, environment)
    evil = (*_rows(six="evil"), (wheel_row, _value("of another builder")))
    (forged,) = _claims(a_lock(a_pin(artifacts=artifacts)), _installed(evil, stated=content_digest(evil)))
    codes = [drift.code for drift in _judged(forged, locked) if isinstance(drift, Drift)]
    assert codes == [Code.RECORD_FORGED, Code.RECORD_FORGED]


def test_a_seal_of_depth_record_does_not_vouch_for_a_wheel_that_it_does_not_name() -> None:
    rows = _rows(six="forged before it was sealed")
    item = _installed(rows)
    line = SealedDistribution(name="six", version="1.0", content=content_digest(rows))
    (claim,) = sealed_claims(an_environment(item), replace(sealed(), distributions=(line,), basis="record"), seeds=())
    assert proof_of(claim, {}) is None
    (found,) = _judged(claim)
    assert isinstance(found, Unchecked)
    assert (found.code, found.in_scope) == ("unverifiable", True)
    (proven,) = sealed_claims(an_environment(item), replace(sealed(), distributions=(line,), basis="artifact"), seeds=())
    assert proof_of(proven, {}) is Proof.SEALED
    (built,) = sealed_claims(
        an_environment(item), replace(sealed(), distributions=(replace(line, origin="git:abc"),), basis="record"), seeds=()
    )
    assert proof_of(built, {}) is Proof.SEALED


def test_a_mark_that_says_built_here_is_no_way_around_the_locked_wheel() -> None:
    """Whoever forges a file may as well put a uv_build.json beside it: undecided at best, and a seal says what it must be."""
    rows = _rows(six="evil")
    (claim,) = _claims(a_lock(a_pin()), _installed(rows, built_here=True))
    assert proof_of(claim, {a_digest("six-1.0").value: _wheel(_rows(six="good"))}) is None
    (found,) = _judged(claim)
    assert isinstance(found, Unchecked)
    assert found.in_scope


def test_editables_seeds_and_what_the_lock_does_not_have_are_no_claims() -> None:
    editable = a_distribution("demo", origin=an_origin(editable=True))
    lock = a_lock(a_pin("demo", source=Source(kind=SourceKind.EDITABLE, location=".")), a_pin())
    assert _claims(lock, editable, a_distribution("other")) == ()
    assert claims_of(an_environment(a_distribution("pip")), lock, {}, seeds={"pip"}) == ()
    assert _claims(lock, a_distribution(version="2.0")) == ()  # another version: told elsewhere


def test_code_of_another_release_is_recognised_by_what_it_states_and_proven_by_its_wheel() -> None:
    rows = _rows(six="code of 0.9", other="same")
    item = _installed(rows)
    sources = (b'"""six"""\n__version__ = "0.9"\n', b"__version__ = '1.0'\n", b"x = 1\n")
    assert suspected_releases(item, sources) == ("0.9",)
    before = _wheel(_rows(six="code of 0.9", other="other"), "six-0.9")
    assert has_code_of(rows, before, ["lib/six.py"])
    assert not has_code_of(rows, before, ["lib/six.py", "lib/other.py"])
    assert not has_code_of(rows, before, [])
    assert altered_code(rows, _wheel(_rows(six="good", other="same"))) == ("lib/six.py",)
    (claim,) = _claims(a_lock(a_pin()), item)
    found = list(judge_claim(claim, (_wheel(_rows(six="good", other="same")),), (), an_environment(item), (), ("0.9", before)))
    assert [drift.code for drift in found if isinstance(drift, Drift)] == [Code.RELEASE_MIXED, Code.RECORD_FORGED]


def test_wheels_of_a_release_are_found_among_what_is_known() -> None:
    item = _installed(_rows(six="x"))
    known = (_wheel(_rows(six="a"), "six-0.9"), _wheel(_rows(six="b"), "six-0.8"), _wheel(_rows(six="c"), "sixty-0.9"))
    assert [wanted.filename for wanted in of_release(item, "0.9", known, ())] == ["six-0.9-py3-none-any.whl"]


def test_hashes_without_names_are_claims_one_by_one() -> None:
    lock = a_lock(a_pin(artifacts=(Artifact(digests=(a_digest("a"), a_digest("six-1.0"))),)))
    (claim,) = _claims(lock, _installed(_rows(six="good")))
    assert [(wanted.filename, wanted.digests) for wanted in claim.artifacts] == [
        ("", (a_digest("a"),)),
        ("", (a_digest("six-1.0"),)),
    ]
    assert proof_of(claim, {a_digest("six-1.0").value: _wheel(_rows(six="good"), filename="")}) is Proof.WHEEL
    assert isinstance(claim, Claim)
