"""The statistics of a cost: how many pairs there have to be, in which order their runs are made, and what they show.

A pair gives the logarithm of a ratio, so that what slows both of its runs cancels. Noise of wall time is never normal: it is one-
sided and has rare, large values. So nothing here rests on means or variances, only on ranks.

The interval is that of the signed-rank test (Wilcoxon, Biometrics Bulletin 1945), turned into one by Tukey: between two order
statistics of the Walsh averages, the means of each two of the n values and of each with itself (Walsh, Annals of Mathematical
Statistics 1949; Hollander and Wolfe, Nonparametric Statistical Methods, 3.3). Its confidence is exact for every n, and at least
what is asked for, where the values are independent and symmetric about their median. They are symmetric where a control multiplies
the time, since the two runs of a pair differ in nothing else, and every other pair has them the other way round. The estimate is
the median of the Walsh averages (Hodges and Lehmann, Annals of Mathematical Statistics 1963).

The number of pairs is fixed before the first: whoever looks at intervals until one pleases has none.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import accumulate
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from sanctity.model.cost import Estimate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sanctity.model.cost import Pair

__all__ = ["MOST_PAIRS", "estimate", "fewest_pairs", "needed_pairs", "schedule", "share"]

#: The cost that a measurement should be able to tell, and how often it is to find it where it is there.
TOLD: Final = 0.10
POWER: Final = 0.90
MOST_PAIRS: Final = 1000
#: Up to so many pairs the distribution of the signed-rank statistic is counted; beyond, it is as good as normal.
_COUNTED: Final = 120


def share(confidence: float, intervals: int) -> float:
    """The confidence that each of *intervals* has to have, so that all hold together with *confidence*: Bonferroni's."""
    return 1.0 - (1.0 - confidence) / max(1, intervals)


def schedule(pairs: int, controls: int) -> Iterator[tuple[int, bool]]:
    """The order of the pairs, as (control, whether the run with it comes first).

    One pair of each control after the other, and every other time the other way round: ABBA for each, and a drift meets all alike.
    """
    for number in range(pairs):
        for control in range(controls):
            yield control, number % 2 == 1


@cache
def _signed_rank_tail(pairs: int) -> tuple[int, ...]:
    """For 0, 1, 2, …: how many of the ``2 ** pairs`` ways to give signs to the ranks 1 .. *pairs* have no greater positive sum."""
    # The coefficients of the product of (1 + x**rank), each in a field of one integer that is wide enough for their sum.
    width = pairs + 1
    product = 1
    for rank in range(1, pairs + 1):
        product += product << (rank * width)
    mask, most = (1 << width) - 1, pairs * (pairs + 1) // 4
    ways = []
    for _ in range(most + 1):
        ways.append(product & mask)
        product >>= width
    return tuple(accumulate(ways))


def _left_out(pairs: int, confidence: float) -> tuple[int, float] | None:
    """How many Walsh averages the interval leaves out at each end, and its real confidence; None where there is no such interval.

    An interval that leaves out k has P(T <= k - 1) beyond each end, T the sum of positive ranks.
    """
    beyond = (1.0 - confidence) / 2.0
    if pairs <= _COUNTED:
        tail, ways = _signed_rank_tail(pairs), 2**pairs
        number = sum(each / ways <= beyond for each in tail)
        return (number, 1.0 - 2.0 * tail[number - 1] / ways) if number else None
    middle = pairs * (pairs + 1) / 4.0
    spread = math.sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24.0)
    number = math.floor(middle + NormalDist().inv_cdf(beyond) * spread - 0.5) + 1
    return number, 1.0 - 2.0 * NormalDist().cdf((number - 0.5 - middle) / spread)


def fewest_pairs(confidence: float) -> int:
    """The fewest pairs that have an interval of this *confidence* at all: all signs alike must be rarer than what it leaves out."""
    number = 1
    while _left_out(number, confidence) is None:
        number += 1
    return number


def estimate(pairs: Sequence[Pair], confidence: float) -> Estimate:
    """What *pairs* show, with an interval of *confidence*.

    Raises:
        ValueError: there are fewer than `fewest_pairs`.
    """
    logs = [math.log(pair.with_control / pair.without) for pair in pairs]
    found = _left_out(len(logs), confidence)
    if found is None:
        raise ValueError(f"{len(logs)} pairs have no interval of {confidence}")
    number, real = found
    walsh = sorted((one + other) / 2.0 for place, one in enumerate(logs) for other in logs[place:])
    middle = len(walsh) // 2
    centre = walsh[middle] if len(walsh) % 2 else (walsh[middle - 1] + walsh[middle]) / 2.0
    low, high = walsh[number - 1], walsh[-number]
    told = low > 0.0 or high < math.log1p(TOLD)
    return Estimate(
        ratio=math.exp(centre),
        low=math.exp(low),
        high=math.exp(high),
        confidence=real,
        needed=0 if told else needed_pairs(len(logs), high - low, confidence, real),
    )


def needed_pairs(pairs: int, width: float, confidence: float, real: float) -> int:
    """About how many pairs would find a cost of 10 %, where *pairs* gave an interval of *width* (of logarithms).

    An interval is about two normal quantiles of its *real* confidence wide, in standard errors, and these shrink by the root of the
    number. A cost is found nine times in ten where it lies a quantile of *confidence* and one of 0.9 away from none.
    """
    normal = NormalDist()
    error = width / (2.0 * normal.inv_cdf((1.0 + real) / 2.0))
    quantiles = normal.inv_cdf((1.0 + confidence) / 2.0) + normal.inv_cdf(POWER)
    number = math.ceil(pairs * (quantiles * error / math.log1p(TOLD)) ** 2)
    number = max(number, pairs + 1, fewest_pairs(confidence))
    unit = 1 if number < 20 else 5 if number < 100 else 10 ** (len(str(number)) - 2)
    return math.ceil(number / unit) * unit
