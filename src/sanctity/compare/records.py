"""An environment against its own RECORDs, and what every comparison has in common with that.

The standard library alone is imported here and by all that is compared with a seal, since the guard compares where nothing else is
installed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sanctity.canon.fingerprint import fingerprint
from sanctity.compare.bytecode import compare_bytecode
from sanctity.compare.copies import compare_distributions_alone
from sanctity.compare.files import compare_claimed, compare_problems, compare_shared, compare_unclaimed, unclaimed_code
from sanctity.compare.ownership import own
from sanctity.compare.sites import compare_other_sites
from sanctity.compare.startup import compare_interpreter, compare_startup
from sanctity.compare.system import compare_system
from sanctity.model.drift import Checked, Code, Comparison, Depth, Drift, Reference, Severity, Unchecked
from sanctity.model.names import SEEDS

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment, Fingerprint

__all__ = ["compare_alone", "compare_with_records", "fingerprint_of"]

#: Drifts that are none where some RECORD claims the file.
_BY_CLAIM: Final = frozenset(
    {Code.FILE_UNCLAIMED, Code.PATH_SHADOW, Code.BYTECODE_ORPHAN, Code.PTH_HOOK, Code.CUSTOMIZE_HOOK, Code.PATH_INVALID}
)


def fingerprint_of(environment: Environment, seeds: AbstractSet[str], ownership: Ownership | None = None) -> Fingerprint | None:
    """The fingerprint of *environment*, or None where a part of it could not be read. Unreadable code in scope is such a part."""
    index = ownership or own(environment)
    if any(item.in_scope for item in compare_problems(environment, index)):
        return None
    return fingerprint(environment, seeds=seeds, unclaimed=unclaimed_code(environment, index))


def _look_at_files(environment: Environment, ownership: Ownership, seeds: AbstractSet[str]) -> tuple[list[Drift], list[Unchecked]]:
    drifts = compare_claimed(environment, ownership, seeds)
    unchecked = list(compare_problems(environment, ownership))
    unclaimed = [*compare_unclaimed(environment, ownership), *compare_startup(environment, ownership, seeds)]
    unread = {problem.path for problem in environment.problems}
    if any(f"{item.home}/RECORD" in unread for item in environment.distributions):
        # Who knows what the RECORD claims that could not be read: so nothing can be called unclaimed.
        sure = [drift for drift in unclaimed if not drift.gating or drift.code not in _BY_CLAIM]
        unsure = [
            replace(drift, gating=False, severity=Severity.WARNING)
            for drift in unclaimed
            if drift.gating and drift.code in _BY_CLAIM
        ]
        if unsure:
            reason = "no RECORD that could be read claims them"
            unchecked.append(Unchecked(code="unreadable", what="files", reason=reason, count=len(unsure), in_scope=True))
        unclaimed = sure + unsure
    drifts.extend(unclaimed)
    for found in (*compare_system(environment, ownership), *compare_bytecode(environment, ownership)):
        if isinstance(found, Drift):
            drifts.append(found)
        else:
            unchecked.append(found)
    drifts.extend(compare_shared(ownership))
    return drifts, unchecked


def compare_alone(
    environment: Environment,
    *,
    depth: Depth,
    reference: Reference,
    seeds: frozenset[str],
    drifts: list[Drift],
    unchecked: list[Unchecked],
) -> Comparison:
    """Everything that *environment* says against itself, beside the *drifts* and *unchecked* found already; *seeds* do not gate."""
    for each in compare_interpreter(environment):
        if isinstance(each, Drift):
            drifts.append(each)
        else:
            unchecked.append(each)
    if depth is Depth.VERSION:
        drifts.extend(compare_claimed(environment, own(environment), seeds))  # no RECORD was read: what is wrong with the metadata
        unchecked.extend(
            Unchecked(code=each.code, what=each.path, reason=each.reason, in_scope=True) for each in environment.problems
        )
    found = None
    if depth is not Depth.VERSION:
        ownership = own(environment)
        more, blind = _look_at_files(environment, ownership, seeds)
        drifts.extend(more)
        unchecked.extend(blind)
        for each in compare_other_sites(environment, lambda other: _look_at_files(other, own(other), SEEDS)):
            if isinstance(each, Drift):
                drifts.append(each)
            else:
                unchecked.append(each)
        found = fingerprint_of(environment, seeds, ownership)
    return Comparison(
        depth=depth,
        reference=reference,
        prefix=environment.prefix,
        looked_at_from=environment.looked_at_from,
        checked=Checked(
            distributions=len(environment.distributions),
            files=len(environment.files),
            bytes=sum(entry.size for entry in environment.files.values() if entry.digest),
            cached=environment.cached,
        ),
        drifts=tuple(drifts),
        unchecked=tuple(unchecked),
        fingerprint=found,
    )


def compare_with_records(environment: Environment, *, depth: Depth) -> Comparison:
    """Compare *environment* with what it says of itself: consistency, and never proof."""
    return compare_alone(
        environment,
        depth=depth,
        reference=Reference(),
        seeds=SEEDS,
        drifts=list(compare_distributions_alone(environment)),
        unchecked=[],
    )
