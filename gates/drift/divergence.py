"""How far two distributions are apart, and how likely chance alone is to put them there."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    import numpy as np

_BUCKETS = 10
_FEWEST_FAR = 3
_NOVEL_FACTOR = 4
_EMPTY_SHARE = 1e-4  # stands for an empty bucket, of which the logarithm does not exist


class Histogram(BaseModel):
    """How the finite values of a numeric field are spread.

    Attributes:
        edges: ascending, one more than counts.
        counts: values in each bin; the last bin includes its right edge.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @model_validator(mode="after")
    def _edges_must_enclose(self) -> Self:
        ascending = all(left < right for left, right in pairwise(self.edges))
        if (
            len(self.edges) != len(self.counts) + 1
            or not ascending
            or min(self.counts, default=0) < 0
        ):
            raise ValueError(
                f"histogram ({len(self.edges)} edges, {len(self.counts)} counts) must have "
                f"ascending edges, one more than counts of at least 0; got {self.edges[:3]}...; "
                "measure it again"
            )
        return self

    @property
    def total(self) -> int:
        """Number of values."""
        return sum(self.counts)

    def find_shares(self, values: Sequence[float]) -> "np.ndarray[Any, Any]":
        """Return the share of values below each one, spread evenly inside a bin."""
        import numpy as np

        below = np.concatenate([[0], np.cumsum(self.counts)]) / max(1, self.total)
        return np.interp(values, self.edges, below, left=0.0, right=1.0)

    def find_quantile(self, share: float) -> float:
        """Return the value below which a share of the values lies."""
        wanted, below = share * self.total, 0.0
        for (left, right), count in zip(pairwise(self.edges), self.counts, strict=True):
            if count and below + count >= wanted:
                return left + (right - left) * (wanted - below) / count
            below += count
        return self.edges[-1]


def bucket_numbers(accepted: Histogram, current: Histogram) -> tuple[list[float], list[float]]:
    """Return counts of both in the accepted version's tenths, the outer ones open."""
    cuts = sorted({accepted.find_quantile(share / _BUCKETS) for share in range(1, _BUCKETS)})
    result: list[list[float]] = []
    for histogram in (accepted, current):
        shares = [0.0, *histogram.find_shares(cuts).tolist(), 1.0]
        result.append([(high - low) * histogram.total for low, high in pairwise(shares)])
    return result[0], result[1]


def measure_ks(accepted: Histogram, current: Histogram) -> tuple[float, float]:
    """Return the two-sample Kolmogorov-Smirnov distance of histograms and its p-value.

    The p-value is the asymptotic one (Smirnov, 1948).
    """
    from scipy.stats import kstwobign

    points = sorted({*accepted.edges, *current.edges})
    distance = float(abs(accepted.find_shares(points) - current.find_shares(points)).max())
    rows = accepted.total * current.total / max(1, accepted.total + current.total)
    scaled = distance * (math.sqrt(rows) + 0.12 + 0.11 / math.sqrt(max(rows, 1)))
    return distance, float(kstwobign.sf(scaled))


def measure_chi_square(
    accepted: Mapping[str, int], current: Mapping[str, int]
) -> tuple[float, float]:
    """Return Cramer's V (1946) of two counts by value, and a p-value.

    The p-value is that of Pearson's chi-square test of homogeneity.
    """
    values = [
        value for value in {**accepted, **current} if accepted.get(value, 0) + current.get(value, 0)
    ]
    left, right = sum(accepted.values()), sum(current.values())
    total, statistic = left + right, 0.0
    for value in values:
        both = accepted.get(value, 0) + current.get(value, 0)
        for count, rows in ((accepted.get(value, 0), left), (current.get(value, 0), right)):
            if expected := both * rows / total:
                statistic += (count - expected) ** 2 / expected
    degrees = max(1, len(values) - 1)
    return math.sqrt(statistic / total) if total else 0.0, _find_chi_square_tail(statistic, degrees)


def measure_psi(expected: Sequence[float], got: Sequence[float]) -> float:
    """Return the population stability index of counts in the same buckets.

    It is Jeffreys' divergence of their shares.
    """
    before = [max(count / sum(expected), _EMPTY_SHARE) for count in expected]
    after = [max(count / sum(got), _EMPTY_SHARE) for count in got]
    return sum((new - old) * math.log(new / old) for old, new in zip(before, after, strict=True))


def measure_spike(accepted: Sequence[int], current: Sequence[int], p_value: float) -> float:
    """Return the largest certain rise of the share of one cell; 0 if chance may have made all."""
    return float(_find_rises(accepted, current, p_value).max(initial=0.0))


def measure_novelty(accepted: Sequence[int], current: Sequence[int], p_value: float) -> float:
    """Return the largest certain rise of the share of one cell to at least four times what it held.

    A cell that was rare and no longer is: a code for missing values, a sensor that stands still, a
    range never seen.
    """
    import numpy as np

    before, after = np.asarray(accepted, np.float64), np.asarray(current, np.float64)
    rare = after * max(1.0, before.sum()) >= _NOVEL_FACTOR * before * max(1.0, after.sum())
    return float(np.where(rare, _find_rises(accepted, current, p_value), 0.0).max(initial=0.0))


def _find_rises(
    accepted: Sequence[int], current: Sequence[int], p_value: float
) -> "np.ndarray[Any, Any]":
    """Return the rise of the share of each cell; 0 where it is not certain.

    Certain is a rise that chance puts beyond the p-value, over all cells (Bonferroni), given how
    many values both versions have in the cell (Przyborowski and Wilenski, 1940): three values where
    one was before are none.
    """
    import numpy as np
    from scipy.stats import binom

    before, after = np.asarray(accepted, np.float64), np.asarray(current, np.float64)
    rows = (max(1.0, before.sum()), max(1.0, after.sum()))
    rise = after / rows[1] - before / rows[0]
    chance = np.ones(len(before))
    risen = rise > 0
    share = rows[1] / sum(rows)
    chance[risen] = binom.sf(after[risen] - 1, (before + after)[risen], share)
    rises: np.ndarray[Any, Any] = np.where(chance < p_value / max(1, len(before)), rise, 0.0)
    return rises


def measure_far(accepted: Histogram, current: Histogram) -> float:
    """Return the share of the current values that lie far outside the accepted range.

    Far is further outside than the range is wide; one or two such values count as none.
    """
    filled = [number for number, count in enumerate(accepted.counts) if count]
    if not filled or not current.total:
        return 0.0
    low, high = accepted.edges[filled[0]], accepted.edges[filled[-1] + 1]
    reach = 0.8 * (high - low)  # the outermost cells reach a little beyond the values in them
    cells = zip(pairwise(current.edges), current.counts, strict=True)
    far = sum(
        count for (left, right), count in cells if right <= low - reach or left >= high + reach
    )
    return far / current.total if far >= _FEWEST_FAR else 0.0


def measure_ratio(accepted: Sequence[int], current: Sequence[int], p_value: float) -> float:
    """Return the largest certain factor, either way, between the shares of one category.

    Half a row is added to each count, so that a category that came or went has a factor as well.
    """
    rows = (max(1, sum(accepted)), max(1, sum(current)))
    deviate = find_normal_deviate(p_value / max(1, len(accepted)))
    largest = 1.0
    for before, after in zip(accepted, current, strict=True):
        shares = (before + 0.5) / rows[0], (after + 0.5) / rows[1]
        both = (before + after) / sum(rows)
        error = math.sqrt(both * (1 - both) * (1 / rows[0] + 1 / rows[1]))
        if abs(shares[1] - shares[0]) > deviate * error:
            largest = max(largest, shares[0] / shares[1], shares[1] / shares[0])
    return largest


def find_psi_chance(buckets: int, accepted_rows: int, current_rows: int, p_value: float) -> float:
    """Return the index that chance alone exceeds with this p-value.

    Source: Yurdakul (2018), (1/n + 1/m) chi-square.
    """
    degrees, deviate = max(1, buckets - 1), find_normal_deviate(p_value)
    spread = 2 / (9 * degrees)
    quantile = degrees * (1 - spread + deviate * math.sqrt(spread)) ** 3
    return (1 / accepted_rows + 1 / current_rows) * quantile


def _find_chi_square_tail(statistic: float, degrees: int) -> float:
    """Return P(chi-square >= statistic) by Wilson and Hilferty's cube root (1931)."""
    spread = 2 / (9 * degrees)
    deviate = ((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return 0.5 * math.erfc(deviate / math.sqrt(2))


def find_normal_deviate(p_value: float) -> float:
    """Return z of which the upper tail of the normal distribution is the p-value."""
    return NormalDist().inv_cdf(1 - p_value)
