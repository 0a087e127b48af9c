"""Compares two models' answers to the same rows, with what chance may have done.

Rows near each other in time are alike, so whole blocks of them are left out, not rows: the spread
of a comparison is that of the comparisons without each block (the jackknife; Kuensch, 1989, for
blocks in time order), and its interval is Student's with as many degrees of freedom as there are
blocks, less one. That is honest with few blocks too, where percentiles of a bootstrap are too
narrow.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SEED = 20260101  # the interval of the same answers is the same in every run
_ACCURACY_RESAMPLES = 2000


@dataclass(frozen=True)
class Comparison:
    """How far a model is ahead of another.

    Attributes:
        value: over all rows.
        low: lower end of its interval; NaN where there are too few blocks to know.
        high: upper end.
        p_no_worse: one-sided p-value that it is not behind; NaN likewise.
        blocks: of rows that it was found from.
    """

    value: float
    low: float
    high: float
    p_no_worse: float
    blocks: int


def bootstrap_accuracy(correct: "Array") -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of an accuracy.

    Resampling n answers that are right or wrong with replacement is one binomial draw, so no row is
    copied (Efron and Tibshirani, 1993, chapter 13).

    Args:
        correct: (N,) 0 or 1, with N >= 1.
    """
    import numpy as np

    rows, share = len(correct), float(correct.mean())
    draws = np.random.default_rng(SEED).binomial(rows, share, _ACCURACY_RESAMPLES) / rows
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def compare_skill(
    own: "Array", other: "Array", level: float = 0.95, least: float = 0.0
) -> Comparison:
    """Return the skill, (the other's error - own error) / the other's, with its interval.

    Args:
        own: errors over all rows, and over all but those of each block, (1 + B,).
        other: the same of what it is held against.
        level: share of cases in which the interval holds the truth.
        least: what the other's error is taken for where it is smaller.
    """
    import numpy as np

    return _jackknife(divide_gain(other - own, np.maximum(other, least)), level)


def compare_difference(own: "Array", other: "Array", level: float = 0.95) -> Comparison:
    """Return by how much the error is smaller than the other's, with its interval."""
    return _jackknife(other - own, level)


def divide_gain(gain: "Array | float", base: "Array | float") -> "Array":
    """Return gains in units of an error; of no error, no gain is 0 and a loss has no end."""
    import numpy as np

    gain, base = np.asarray(gain, dtype=np.float64), np.asarray(base, dtype=np.float64)
    perfect = np.where(gain == 0, 0.0, np.where(np.isnan(gain), np.nan, np.copysign(np.inf, gain)))
    ratios: Array = np.divide(gain, base, out=perfect, where=base != 0)
    return ratios


def _jackknife(found: "Array", level: float) -> Comparison:
    """Return a comparison over all rows, which comes first, and its spread over the others."""
    import numpy as np
    from scipy.stats import t as student

    value, without = float(found[0]), found[1:]
    blocks = len(without)
    if blocks < 2 or not np.isfinite(found).all():
        return make_unknown(value, blocks)
    spread = float(np.sqrt((blocks - 1) * np.square(without - without.mean()).mean()))
    reach = float(student.ppf((1 + level) / 2, blocks - 1)) * spread
    ahead = value / spread if spread > 0 else np.sign(value) * np.inf if value else 0.0
    p_no_worse = float(student.cdf(ahead, blocks - 1))
    return Comparison(value, value - reach, value + reach, p_no_worse, blocks)


def make_unknown(value: float = float("nan"), blocks: int = 0) -> Comparison:
    """Return a comparison of which nobody can say what chance has done."""
    nothing = float("nan")
    return Comparison(value, nothing, nothing, nothing, blocks)
