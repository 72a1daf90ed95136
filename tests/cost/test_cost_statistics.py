"""The statistics of a cost against counting and simulation: intervals hold as often as they say, and few pairs claim nothing."""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanctity.model.cost import Estimate, Pair
from sanctity.plan import cost as plan
from sanctity.plan.cost import estimate, fewest_pairs, needed_pairs, schedule, share

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    Noise = Callable[[Generator, tuple[int, ...]], np.ndarray]

#: Noise of wall time, as factors: hardly any, as of a quiet machine; skewed, as it always is; with bursts, as of a busy machine,
#: where one run in five takes up to four times as long; and with a tail that has no variance.
NOISES: dict[str, Noise] = {
    "quiet": lambda random, shape: np.exp(random.normal(0, 0.01, shape)),
    "skewed": lambda random, shape: 1 + random.exponential(0.1, shape),
    "bursts": lambda random, shape: 1 + random.exponential(0.02, shape) + (random.random(shape) < 0.2) * 3 * random.random(shape),
    "heavy": lambda random, shape: 1 + 0.05 * random.pareto(1.5, shape),
}


def paired(with_control: np.ndarray, without: np.ndarray) -> list[Pair]:
    return [
        Pair(with_control=float(one), without=float(other), first=number % 2 == 1)
        for number, (one, other) in enumerate(zip(with_control, without, strict=True))
    ]


def measured(random: Generator, noise: Noise, *, pairs: int, effect: float, confidence: float, constant: float = 0.0) -> Estimate:
    """The estimate of one simulated measurement; *constant* is a time that the control adds to the unit of the command's own."""
    with_control, without = noise(random, (2, pairs))
    return estimate(paired(effect * with_control + constant, without), confidence)


@given(st.integers(6, 9), st.sampled_from([0.9, 0.95, 0.975]), st.randoms(use_true_random=False))
@settings(max_examples=12)
def test_the_confidence_is_exact_where_all_signs_are_counted(pairs: int, confidence: float, random: object) -> None:
    """Each way to give signs to some differences is as likely, where there is no cost: so often does the interval leave 0 out."""
    if pairs < fewest_pairs(confidence):
        return
    # By chance no two sums of some of them are the same, so no Walsh average is 0.
    sizes = [math.log(1.01 + 0.1 * random.random()) * (1 + rank) for rank in range(pairs)]  # type: ignore[attr-defined]
    found = [
        estimate(
            [Pair(with_control=math.exp(sign * size), without=1.0, first=False) for sign, size in zip(signs, sizes, strict=True)],
            confidence,
        )
        for signs in product((-1, 1), repeat=pairs)
    ]
    missed = sum(each.distinguishable for each in found)
    assert missed / 2**pairs == pytest.approx(1 - found[0].confidence)
    assert found[0].confidence >= confidence


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("pairs", [6, 10, 24])
def test_intervals_hold_as_often_as_they_say(noise: str, pairs: int) -> None:
    """With the sampling error of so many measurements, at three standard errors; a cost of 10 %, by a factor."""
    random, repeats, confidence = np.random.default_rng(7), 800, 0.95
    found = [measured(random, NOISES[noise], pairs=pairs, effect=1.1, confidence=confidence) for _ in range(repeats)]
    held = sum(each.low <= 1.1 <= each.high for each in found) / repeats
    assert held >= confidence - 3 * math.sqrt(confidence * (1 - confidence) / repeats)
    assert sum(each.low <= each.ratio <= each.high for each in found) == repeats


@pytest.mark.parametrize("noise", NOISES)
def test_a_cost_that_is_added_is_held_too(noise: str) -> None:
    """Such as a library that is imported: pairs are then not quite symmetric, and the median of their ratios is what is meant."""
    random, repeats, confidence = np.random.default_rng(11), 800, 0.95
    with_control, without = NOISES[noise](random, (2, 400_000))
    truth = float(np.median((with_control + 0.1) / without))
    found = [measured(random, NOISES[noise], pairs=10, effect=1.0, confidence=confidence, constant=0.1) for _ in range(repeats)]
    held = sum(each.low <= truth <= each.high for each in found) / repeats
    assert held >= confidence - 3 * math.sqrt(confidence * (1 - confidence) / repeats)


@pytest.mark.parametrize("noise", NOISES)
def test_several_controls_together_raise_no_more_false_alarms_than_one(noise: str) -> None:
    random, repeats, controls = np.random.default_rng(13), 500, 5
    each = share(0.95, controls)
    alarms = sum(
        any(measured(random, NOISES[noise], pairs=10, effect=1.0, confidence=each).distinguishable for _ in range(controls))
        for _ in range(repeats)
    )
    assert alarms / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)


def test_a_real_cost_is_told_from_none_and_a_noisy_one_says_that_it_can_not() -> None:
    """Of 200 measurements by 10 pairs with noise of 1 % all find 10 %; with noise of 30 % most say how many pairs would."""
    random = np.random.default_rng(17)
    quiet = [measured(random, NOISES["quiet"], pairs=10, effect=1.1, confidence=0.95) for _ in range(200)]
    assert all(each.distinguishable and not each.needed for each in quiet)
    none = [measured(random, NOISES["quiet"], pairs=10, effect=1.0, confidence=0.95) for _ in range(200)]
    assert sum(each.distinguishable for each in none) <= 20
    assert all(each.high < 1.1 and not each.needed for each in none)
    rough: Noise = lambda random, shape: np.exp(random.normal(0, 0.3, shape))  # noqa: E731
    noisy = [measured(random, rough, pairs=10, effect=1.1, confidence=0.95) for _ in range(200)]
    assert sum(each.needed > 10 for each in noisy) > 100
    assert all((each.needed > 0) is (each.low <= 1.0 and each.high >= 1.1) for each in noisy)


@pytest.mark.parametrize("spread", [0.06, 0.1, 0.2])
def test_so_many_pairs_as_are_named_would_tell(spread: float) -> None:
    """Nine in ten of such measurements find a cost of 10 %, as far as the number can be known from the width of one interval."""
    random = np.random.default_rng(19)
    noise: Noise = lambda random, shape: np.exp(random.normal(0, spread, shape))  # noqa: E731
    named: list[int] = []
    while len(named) < 60:
        pilot = measured(random, noise, pairs=10, effect=1.0, confidence=0.95)
        named += [pilot.needed] if pilot.needed else []
    pairs = sorted(named)[len(named) // 2]
    found = sum(measured(random, noise, pairs=pairs, effect=1.1, confidence=0.95).low > 1.0 for _ in range(200))
    assert found / 200 >= 0.75
    assert pairs > 10


@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=6, max_size=14),
    st.floats(0.5, 2),
)
def test_a_factor_moves_the_whole_interval_and_swapping_turns_it_round(times: list[tuple[float, float]], factor: float) -> None:
    plain = estimate([Pair(with_control=one, without=other, first=False) for one, other in times], 0.95)
    moved = estimate([Pair(with_control=one * factor, without=other, first=False) for one, other in times], 0.95)
    turned = estimate([Pair(with_control=other, without=one, first=False) for one, other in times], 0.95)
    assert (moved.ratio, moved.low, moved.high) == pytest.approx(
        tuple(factor * each for each in (plain.ratio, plain.low, plain.high))
    )
    assert (turned.ratio, turned.low, turned.high) == pytest.approx((1 / plain.ratio, 1 / plain.high, 1 / plain.low))


@given(st.floats(0.5, 0.9999))
def test_fewer_pairs_than_the_fewest_have_no_interval(confidence: float) -> None:
    fewest = fewest_pairs(confidence)
    pair = Pair(with_control=1.2, without=1.0, first=False)
    assert estimate([pair] * fewest, confidence).distinguishable
    with pytest.raises(ValueError, match="no interval"):
        estimate([pair] * (fewest - 1), confidence)
    assert 2 / 2**fewest <= (1 - confidence) * (1 + 1e-9)
    assert fewest == 1 or 2 / 2 ** (fewest - 1) > (1 - confidence) * (1 - 1e-9)


def test_counting_and_the_normal_law_agree_where_one_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(23)
    pairs = paired(*NOISES["heavy"](random, (2, 120)))
    counted = [estimate(pairs, confidence) for confidence in (0.9, 0.95, 0.99)]
    monkeypatch.setattr(plan, "_COUNTED", 0)
    normal = [estimate(pairs, confidence) for confidence in (0.9, 0.95, 0.99)]
    for one, other in zip(counted, normal, strict=True):
        assert (one.low, one.high, one.confidence) == pytest.approx((other.low, other.high, other.confidence), rel=1e-3)


def test_each_control_has_its_pairs_the_other_way_round_each_time() -> None:
    order = list(schedule(5, 3))
    assert [control for control, _ in order] == [0, 1, 2] * 5
    for control in range(3):
        assert [first for each, first in order if each == control] == [False, True, False, True, False]


@pytest.mark.parametrize("controls", [1, 3])
def test_what_drifts_is_not_taken_for_a_cost(controls: int) -> None:
    """A machine that gets 5 % slower from each run to the next, and controls that cost nothing."""
    clock, pairs = 1.0, [list[Pair]() for _ in range(controls)]
    for control, first in schedule(10, controls):
        one, other = clock, clock * 1.05
        clock = other * 1.05
        with_control, without = (one, other) if first else (other, one)
        pairs[control].append(Pair(with_control=with_control, without=without, first=first))
    for each in pairs:
        found = estimate(each, 0.95)
        assert not found.distinguishable
        assert found.ratio == pytest.approx(1.0)


def test_a_wider_interval_needs_more_pairs() -> None:
    needed = [needed_pairs(10, width, 0.95, 0.951) for width in (0.1, 0.2, 0.4, 0.8)]
    assert needed == sorted(set(needed))
    assert needed[0] > 10
