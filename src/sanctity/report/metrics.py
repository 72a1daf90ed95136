"""The verdict as a Prometheus text file, for node_exporter's textfile collector or whatever else reads the format.

The text is of the Prometheus exposition format 0.0.4 and of OpenMetrics 1.0 alike. Every sample has the label ``prefix``, since the
collector joins the files of one host, and refuses the whole of them where two samples have the same name and labels. A look
that failed says so, and says nothing of the environment; a number that is not known is left out and never 0. How often a label
changes is bounded by how often the environment, the seal or the code does: no clock, path of a file or message is a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sanctity.model.drift import ReferenceKind, Verdict
from sanctity.report.words import plain, waivers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sanctity.model.drift import Comparison

__all__ = ["Kept", "failure_metrics", "metrics_text"]

#: Every metric that there is, in the order of the file, and what it says.
_HELP: Final = {
    "sanctity_info": "The version of sanctity that looked.",
    "sanctity_up": "Whether the last look came to a verdict (1) or failed (0).",
    "sanctity_failure": "The code of the error that the last look failed with.",
    "sanctity_verdict": "The verdict of the last look: one of these is 1. A look that failed is undecided.",
    "sanctity_env_info": "The fingerprint of the environment, and the digest of what it was compared with.",
    "sanctity_drifts": "Differences found, by code; a difference that speaks of several files counts each of them.",
    "sanctity_unchecked": "What was not compared, by code; in scope it makes the verdict undecided.",
    "sanctity_waivers_used": "Differences that a waiver let pass, by its id.",
    "sanctity_checked_distributions": "Distributions compared.",
    "sanctity_checked_files": "Files compared.",
    "sanctity_checked_bytes": "Bytes read and hashed.",
    "sanctity_cached_files": "Files that were not read, since nothing the file system tells of them moved since an earlier look.",
    "sanctity_receipts": "Processes whose receipts are kept, by their state; of an unread one nothing is known.",
    "sanctity_receipts_failure": "The code of the error that the receipts could not be read with.",
    "sanctity_relaxations": "Blocks in which a control was switched off on purpose, by the waiver that let them.",
    "sanctity_reference_changed": "Whether the seal or lock on disk is not the one that `watch` compares with (1).",
    "sanctity_last_look_timestamp_seconds": "When the last look ended, in seconds since 1970.",
    "sanctity_look_duration_seconds": "How long the last look took.",
}


def _label(value: str) -> str:
    """*value* as the inside of a quoted label."""
    return plain(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class _File:
    """A metrics file while it is put together; every sample gets the label ``prefix``."""

    def __init__(self, prefix: str, version: str) -> None:
        self.prefix = prefix
        self.samples: dict[str, list[str]] = {}
        self.add("sanctity_info", 1, version=version)

    def add(self, name: str, value: float, **labels: str) -> None:
        inside = ",".join(f'{key}="{_label(text)}"' for key, text in {"prefix": self.prefix, **labels}.items())
        self.samples.setdefault(name, []).append(f"{name}{{{inside}}} {value!r}")

    def verdict(self, verdict: Verdict) -> None:
        for each in Verdict:
            self.add("sanctity_verdict", int(each is verdict), verdict=str(each))

    def text(self) -> str:
        lines: list[str] = []
        for name, words in _HELP.items():
            if name in self.samples:
                lines += [f"# HELP {name} {words}", f"# TYPE {name} gauge", *self.samples[name]]
        return "\n".join([*lines, "# EOF"]) + "\n"


def _counted(items: Iterable[tuple[tuple[str, bool], int]]) -> Mapping[tuple[str, bool], int]:
    found: dict[tuple[str, bool], int] = {}
    for key, number in items:
        found[key] = found.get(key, 0) + max(number, 1)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a folder of receipts says: its processes by *states*, what was relaxed, by (control, waiver), or why it was not read."""

    states: tuple[tuple[str, int], ...] = ()
    relaxations: tuple[tuple[str, str, int], ...] = ()
    failure: str = ""


def metrics_text(
    comparison: Comparison,
    *,
    prefix: str,
    now: float,
    version: str,
    reference_changed: bool | None = None,
    kept: Kept | None = None,
) -> str:
    """What *comparison* says as metrics.

    *prefix* is the environment's place as the label names it, *now* the time in seconds since 1970, *version* the tool's own.
    *reference_changed* says whether the reference on disk is another by now; None where nobody asked. *kept* is what the receipts
    of programs say; None where none were named.
    """
    file = _File(prefix, version)
    file.add("sanctity_up", 1)
    file.verdict(comparison.verdict)
    if comparison.fingerprint is not None:
        reference = comparison.reference
        kind = {ReferenceKind.SEAL: "seal", ReferenceKind.LOCK: "lock"}.get(reference.kind)
        against = {kind: reference.digest} if kind and reference.digest else {}
        file.add("sanctity_env_info", 1, digest=str(comparison.fingerprint.digest), **against)
    drifts = _counted(((str(drift.code), drift.gating), drift.count) for drift in comparison.drifts)
    for (code, gating), number in drifts.items():
        file.add("sanctity_drifts", number, code=code, gating=str(gating).lower())
    unchecked = _counted(((item.code, item.in_scope), item.count) for item in comparison.unchecked)
    for (code, in_scope), number in unchecked.items():
        file.add("sanctity_unchecked", number, code=code, in_scope=str(in_scope).lower())
    # Two ids that differ in what can not be shown are one label.
    used: dict[str, int] = {}
    for name, number in waivers(comparison).items():
        used[plain(name)] = used.get(plain(name), 0) + number
    for name, number in used.items():
        file.add("sanctity_waivers_used", number, id=name)
    if kept is not None:
        _receipts(file, kept)
    checked = comparison.checked
    file.add("sanctity_checked_distributions", checked.distributions)
    file.add("sanctity_checked_files", checked.files)
    file.add("sanctity_checked_bytes", checked.bytes)
    file.add("sanctity_cached_files", checked.cached)
    if reference_changed is not None:
        file.add("sanctity_reference_changed", int(reference_changed))
    file.add("sanctity_last_look_timestamp_seconds", round(now, 3))
    file.add("sanctity_look_duration_seconds", round(comparison.seconds, 6))
    return file.text()


def _receipts(file: _File, kept: Kept) -> None:
    if kept.failure:
        file.add("sanctity_receipts_failure", 1, code=kept.failure)
        return
    for state, number in kept.states:
        file.add("sanctity_receipts", number, state=state)
    used: dict[tuple[str, str], int] = {}
    for control, waiver, number in kept.relaxations:
        used[plain(control), plain(waiver)] = used.get((plain(control), plain(waiver)), 0) + number
    for (control, waiver), number in used.items():
        file.add("sanctity_relaxations", number, control=control, waiver=waiver)


def failure_metrics(code: str, *, prefix: str, now: float, version: str, kept: Kept | None = None) -> str:
    """A look that failed with the error *code*, as metrics. The other arguments are those of `metrics_text`."""
    file = _File(prefix, version)
    file.add("sanctity_up", 0)
    file.add("sanctity_failure", 1, code=code)
    file.verdict(Verdict.UNDECIDED)
    if kept is not None:
        _receipts(file, kept)
    file.add("sanctity_last_look_timestamp_seconds", round(now, 3))
    return file.text()
