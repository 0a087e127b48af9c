"""Count, sum and squared deviations of a column, which merge exactly over shards.

Merging follows Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
sample variances" (1979), which does not lose digits as a difference of squares does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Moments:
    """Figures of the values that are not missing.

    Attributes:
        count: number of values.
        total: their sum.
        m2: sum of squared deviations from their mean.
    """

    count: int
    total: float
    m2: float

    @property
    def mean(self) -> float:
        """Mean of the values; NaN if there is none."""
        return self.total / self.count if self.count else math.nan

    @property
    def deviation(self) -> float:
        """Sample standard deviation (n - 1), as pandas; NaN with fewer than two values."""
        return math.sqrt(self.m2 / (self.count - 1)) if self.count > 1 else math.nan


def measure_moments(values: "pd.Series[Any]") -> Moments:
    """Return the moments of a numeric column; infinities give NaN, as in pandas."""
    import numpy as np

    numbers = values.dropna().to_numpy(dtype=np.float64)
    total = float(numbers.sum())
    if not len(numbers):
        return Moments(0, 0.0, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        return Moments(len(numbers), total, float(np.square(numbers - total / len(numbers)).sum()))


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all values together."""
    filled = [part for part in parts if part.count]
    if not filled:
        return Moments(0, 0.0, 0.0)
    count = sum(part.count for part in filled)
    finite = all(math.isfinite(part.total) for part in filled)
    total = (
        math.fsum(part.total for part in filled) if finite else sum(part.total for part in filled)
    )
    mean = total / count
    between = [part.count * (part.mean - mean) ** 2 for part in filled]
    return Moments(count, total, sum(part.m2 for part in filled) + sum(between))
