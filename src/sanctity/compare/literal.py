"""An environment against a literal fingerprint: it has it, or it has another and what differs is named as far as anything can."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

from sanctity.compare.ownership import own
from sanctity.compare.records import fingerprint_of
from sanctity.model.drift import Code, Drift, Reference, ReferenceKind, Severity, Unchecked
from sanctity.model.names import SEEDS, normalise_name

if TYPE_CHECKING:
    from sanctity.model.digest import Digest
    from sanctity.model.drift import Comparison
    from sanctity.model.environment import Environment

__all__ = ["match_literal", "mismatch_literal"]

#: What a fingerprint does not cover, so that a matching one says nothing of it.
_UNCOVERED: Final = frozenset({Code.BYTECODE_UNCHECKED, Code.INTERPRETER_CHANGED})


def match_literal(comparison: Comparison, environment: Environment, literal: Digest) -> Comparison | None:
    """*comparison* with a literal fingerprint that *environment* has, or None where it has another.

    What an environment is seeded with depends on the lock, which a literal does not name; so the digest may be over the
    environment with any of pip, setuptools and wheel counted in. What the fingerprint covers is as it was when that was taken, so
    it is told and does not gate.
    """
    reference = Reference(kind=ReferenceKind.FINGERPRINT, digest=str(literal))
    index = own(environment)
    present = sorted(SEEDS & {item.key for item in environment.distributions})
    for size in range(len(present), -1, -1):
        for seeds in combinations(present, size):
            found = fingerprint_of(environment, frozenset(seeds), index)
            if found is not None and found.digest == literal:
                drifts = tuple(
                    drift
                    if not drift.gating or drift.code in _UNCOVERED or normalise_name(drift.distribution) in seeds
                    else replace(drift, gating=False, severity=Severity.WARNING)
                    for drift in comparison.drifts
                )
                return replace(comparison, reference=reference, fingerprint=found, drifts=drifts)
    return None


def mismatch_literal(comparison: Comparison, literal: Digest) -> Comparison:
    """*comparison* with a literal fingerprint that the environment does not have, or of which it can not be told."""
    reference = replace(comparison.reference, kind=ReferenceKind.FINGERPRINT, digest=str(literal))
    if comparison.fingerprint is None:
        blind = Unchecked(
            code="unreadable", what="fingerprint", reason="a part of the environment could not be read", in_scope=True
        )
        return replace(comparison, reference=reference, unchecked=(*comparison.unchecked, blind))
    named = any(drift.gating for drift in comparison.drifts)
    against = f"{comparison.reference.path} and its RECORDs" if comparison.reference.path else "its own RECORDs"
    drift = Drift(
        code=Code.FINGERPRINT_MISMATCH,
        expected=str(literal),
        actual=str(comparison.fingerprint.digest),
        message=f"what differs from {against} is named here"
        if named
        else f"it agrees with {against}, so these can not name what differs",
    )
    return replace(comparison, reference=reference, drifts=(drift, *comparison.drifts))
