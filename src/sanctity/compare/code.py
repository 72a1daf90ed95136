"""What the judgement on bytecode comes to: forged, proven, or not decided. Only at depth ``artifact``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sanctity.model.drift import Code, Drift, Severity, Unchecked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sanctity.compare.bytecode import Runnable
    from sanctity.compare.ownership import Ownership
    from sanctity.model.environment import Environment

__all__ = ["compare_code", "without_headers"]

_CHECKED_HASH: Final = 3
#: Answers that say that import would run something else than the source, and why.
_FORGED: Final = {
    "differs": "and it is not what that compiles to",
    "no-code": "and it is no code that can be loaded",
    "no-source": "and that does not compile, so nothing honest made it",
}
#: Answers that leave it open, by the code that they are told under, and why.
_OPEN: Final = {
    "changed": ("changed-while-looking", "it changed, or its source did, while it was judged"),
    "failed": ("bytecode", "the interpreter that judged it ended on it, or ran out of memory or time"),
    "other-magic": ("bytecode", "it was made by another build of Python than the one that judged it"),
    "unread": ("bytecode", "it was not read whole"),
}


def _kind(environment: Environment, item: Runnable) -> str:
    """How the header makes import take it."""
    header = environment.files[item.path].header
    if item.state == "unchecked":
        kind = "its header says that it is never to be checked"
    elif int.from_bytes(header[4:8], "little") == _CHECKED_HASH:
        kind = "its header has the hash of the source"
    else:
        kind = "its header has the time and size of the source"
    return kind + (f", for -{'O' * item.level}" if 0 < item.level < 4 else f", for level {item.level}" if item.level else "")


def compare_code(
    environment: Environment, ownership: Ownership, found: Iterable[tuple[Runnable, str]], wanted: str
) -> Iterator[Drift | Unchecked]:
    """What is to be said of bytecode that was not *found* the same as its source; *wanted* is the interpreter that it takes."""
    unjudged = 0
    for item, answer in found:
        assert item.source is not None
        shown = ownership.shown(item.path)
        if answer in _FORGED:
            owner = ownership.owners.get(item.source.path)
            source = ownership.shown(item.source.path)
            yield Drift(
                code=Code.BYTECODE_FORGED,
                distribution=owner.name if owner else "",
                version=owner.version if owner else "",
                path=shown,
                actual=f"sha256:{environment.files[item.path].digest.hex()}",
                message=f"import runs it in place of {source}, {_FORGED[answer]} ({_kind(environment, item)})",
            )
        elif answer == "stale":
            yield Drift(
                code=Code.BYTECODE_STALE,
                severity=Severity.NOTE,
                gating=False,
                path=shown,
                message="its header has the hash of another source, so import ignores it",
            )
        elif answer in _OPEN:
            code, reason = _OPEN[answer]
            yield Unchecked(code=code, what=shown, reason=reason, in_scope=True)
        else:
            unjudged += 1
    if unjudged:
        yield Unchecked(
            code="bytecode",
            what="code of bytecode files",
            reason=f"only {wanted} can judge it, and none is here outside of the environment",
            count=unjudged,
            in_scope=True,
        )


def without_headers(drifts: Iterable[Drift], unchecked: Iterable[Unchecked]) -> tuple[list[Drift], list[Unchecked]]:
    """*drifts* and *unchecked* less what the headers of bytecode say, which is outdone once the code itself was judged."""
    return (
        [drift for drift in drifts if drift.code is not Code.BYTECODE_UNCHECKED],
        [item for item in unchecked if item.code != "bytecode" or item.in_scope],
    )
