"""The metrics file, read by the Prometheus client's own parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from factories import a_comparison, a_digest, a_drift
from reports import CASES, COMPARISONS, HOSTILE, TEXT
from sanctity.model.drift import Checked, Code, Reference, ReferenceKind, Unchecked, Verdict
from sanctity.model.environment import Fingerprint
from sanctity.report.metrics import Kept, failure_metrics, metrics_text
from sanctity.report.words import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric

    from sanctity.model.drift import Comparison

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
FINGERPRINT = Fingerprint(digest=a_digest("whole"), parts=(("distributions", a_digest("d")),))
PARSERS = {"prometheus": families, "openmetrics": open_families}


def _samples(text: str, parse: Callable[[str], Iterable[Metric]] = families) -> Samples:
    found: Samples = {}
    for family in parse(text):
        assert family.documentation
        assert family.type == "gauge"
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, "the collector refuses two samples with the same name and labels"
            assert "prefix" in sample.labels
            found[key] = sample.value
    return found


def _text(comparison: Comparison, prefix: str = "/srv/app/.venv", now: float = 1_800_000_000.25) -> str:
    return metrics_text(comparison, prefix=prefix, now=now, version="1.2.3")


def _get(samples: Samples, name: str, **labels: str) -> float | None:
    """The value of the one sample that has *labels* beside the prefix."""
    found = [
        value
        for (other, having), value in samples.items()
        if other == name and {key: text for key, text in having if key != "prefix"} == labels
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("name", CASES)
def test_both_parsers_read_what_the_comparison_says(name: str, parse: Callable[[str], Iterable[Metric]]) -> None:
    comparison = CASES[name]
    samples = _samples(_text(comparison), parse)
    for verdict in Verdict:
        assert _get(samples, "sanctity_verdict", verdict=str(verdict)) == (comparison.verdict is verdict)
    assert _get(samples, "sanctity_up") == 1
    assert _get(samples, "sanctity_info", version="1.2.3") == 1
    assert _get(samples, "sanctity_checked_files") == comparison.checked.files
    assert _get(samples, "sanctity_checked_bytes") == comparison.checked.bytes
    assert _get(samples, "sanctity_last_look_timestamp_seconds") == 1_800_000_000.25
    assert _get(samples, "sanctity_look_duration_seconds") == comparison.seconds
    for code in {drift.code for drift in comparison.drifts}:
        for gating in (True, False):
            number = sum(drift.count for drift in comparison.drifts if drift.code is code and drift.gating is gating)
            found = _get(samples, "sanctity_drifts", code=str(code), gating=str(gating).lower())
            assert found == (number or None)


def test_what_it_is_and_what_it_was_compared_with() -> None:
    seal = Reference(kind=ReferenceKind.SEAL, path="env.seal.json", digest=str(a_digest("seal")))
    samples = _samples(_text(a_comparison(reference=seal, fingerprint=FINGERPRINT)))
    assert _get(samples, "sanctity_env_info", digest=str(FINGERPRINT.digest), seal=seal.digest) == 1
    samples = _samples(_text(a_comparison(fingerprint=FINGERPRINT)))
    assert _get(samples, "sanctity_env_info", digest=str(FINGERPRINT.digest), lock=str(a_digest("uv.lock"))) == 1
    samples = _samples(_text(a_comparison(reference=Reference(), fingerprint=FINGERPRINT)))
    assert _get(samples, "sanctity_env_info", digest=str(FINGERPRINT.digest)) == 1


def test_a_fingerprint_that_is_not_known_is_none_at_all() -> None:
    """With an empty digest the hosts that could not look would count as one more environment."""
    assert not any(name == "sanctity_env_info" for name, _ in _samples(_text(a_comparison())))


def test_hosts_of_one_digest_are_one_and_of_two_are_two() -> None:
    """What ``count(count by(digest)(sanctity_env_info))`` counts, whatever the prefixes and seals."""
    other = Fingerprint(digest=a_digest("other"), parts=())

    def digests(*fingerprints: Fingerprint) -> int:
        hosts = [_samples(_text(a_comparison(fingerprint=each), prefix=f"/{n}")) for n, each in enumerate(fingerprints)]
        return len({dict(labels)["digest"] for host in hosts for name, labels in host if name == "sanctity_env_info"})

    assert digests(FINGERPRINT, FINGERPRINT) == 1
    assert digests(FINGERPRINT, other, FINGERPRINT) == 2


def test_two_files_of_one_host_can_be_read_together() -> None:
    both = [_samples(_text(CASES["drifted"], prefix=f"/srv/{name}/.venv")) for name in "ab"]
    both.append(_samples(failure_metrics("no-environment", prefix="/srv/c", now=1.0, version="1.2.3")))
    assert not set.intersection(*(set(each) for each in both))
    assert not (set(both[0]) & set(both[1])) | (set(both[1]) & set(both[2]))


def test_waivers_unchecked_and_cached() -> None:
    comparison = a_comparison(
        a_drift(gating=False, waiver="W-7", count=3),
        a_drift(gating=False, waiver="W-7", path="b.py"),
        a_drift(Code.DATA_ALTERED, gating=False, waiver="W-9"),
        unchecked=(
            Unchecked(code="unreadable", what="a", reason="b", count=2, in_scope=True),
            Unchecked(code="bytecode", what="a", reason="b", count=8102),
            Unchecked(code="bytecode", what="c", reason="d"),
        ),
        checked=Checked(distributions=1, files=2, bytes=3, cached=2),
    )
    samples = _samples(_text(comparison))
    assert _get(samples, "sanctity_waivers_used", id="W-7") == 4
    assert _get(samples, "sanctity_waivers_used", id="W-9") == 1
    assert _get(samples, "sanctity_unchecked", code="unreadable", in_scope="true") == 2
    assert _get(samples, "sanctity_unchecked", code="bytecode", in_scope="false") == 8103
    assert _get(samples, "sanctity_cached_files") == 2


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_what_receipts_say_was_relaxed(parse: Callable[[str], Iterable[Metric]]) -> None:
    hostile = 'W"9\n'
    used = (("cudnn", "W-1", 3), ("torch-algorithms", "W-1", 1), ("cudnn", hostile, 2), ("cudnn", plain(hostile), 5))
    kept = Kept(states=(("ended", 2), ("running", 0), ("unread", 1)), relaxations=used)
    texts = (
        metrics_text(a_comparison(), prefix="/p", now=1.0, version="v", kept=kept),
        failure_metrics("no-environment", prefix="/p", now=1.0, version="v", kept=kept),
    )
    for text in texts:
        samples = _samples(text, parse)
        assert _get(samples, "sanctity_relaxations", control="cudnn", waiver="W-1") == 3
        assert _get(samples, "sanctity_relaxations", control="torch-algorithms", waiver="W-1") == 1
        assert _get(samples, "sanctity_relaxations", control="cudnn", waiver=plain(hostile)) == 7
        assert [_get(samples, "sanctity_receipts", state=state) for state in ("ended", "running", "unread")] == [2, 0, 1]


def test_receipts_that_can_not_be_read_are_no_zero_and_none_that_nobody_named() -> None:
    text = metrics_text(a_comparison(), prefix="/p", now=1.0, version="v", kept=Kept(failure="receipts-not-found"))
    samples = _samples(text)
    assert _get(samples, "sanctity_receipts_failure", code="receipts-not-found") == 1
    assert not {name for name, _ in samples} & {"sanctity_receipts", "sanctity_relaxations"}
    assert "receipts" not in _text(a_comparison())


@pytest.mark.parametrize("changed", [True, False, None])
def test_whether_the_reference_changed_is_said_by_who_watches(changed: bool | None) -> None:
    text = metrics_text(a_comparison(), prefix="p", now=1.0, version="v", reference_changed=changed)
    assert _get(_samples(text), "sanctity_reference_changed") == changed


def test_a_look_that_failed_is_undecided_and_says_nothing_of_the_environment() -> None:
    samples = _samples(failure_metrics("no-environment", prefix="/p", now=5.0, version="1.2.3"))
    assert _get(samples, "sanctity_up") == 0
    assert _get(samples, "sanctity_failure", code="no-environment") == 1
    assert _get(samples, "sanctity_verdict", verdict="undecided") == 1
    assert _get(samples, "sanctity_verdict", verdict="clean") == 0
    assert _get(samples, "sanctity_last_look_timestamp_seconds") == 5.0
    assert not {name for name, _ in samples} & {"sanctity_env_info", "sanctity_checked_files", "sanctity_drifts"}


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_label_is_a_label(text: str, parse: Callable[[str], Iterable[Metric]]) -> None:
    written = metrics_text(a_comparison(a_drift(gating=False, waiver=text)), prefix=text, now=1.0, version="1.2.3")
    written.encode("utf-8")
    samples = _samples(written, parse)
    assert {dict(labels)["prefix"] for _, labels in samples} == {plain(text)}
    assert _get(samples, "sanctity_waivers_used", id=plain(text)) == 1


@given(COMPARISONS, TEXT, st.floats(0, 4e9))
def test_any_comparison_is_a_file_that_both_parsers_read_alike(comparison: Comparison, prefix: str, now: float) -> None:
    written = _text(comparison, prefix, now)
    assert _samples(written) == _samples(written, open_families)
    assert written.endswith("# EOF\n")
