"""Histograms that merge: log-linear buckets, the same for all data.

As in HdrHistogram: the sign, exponent and upper five bits of the fraction of a float32. So two
histograms merge by adding counts, a quantile is off by at most 1/64 of its value, and whole numbers
up to 64 have a bucket of their own.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

_SHIFT = 23 - 5
BUCKETS = 1 << (32 - _SHIFT)
_SIGN = BUCKETS >> 1


class Histogram(BaseModel):
    """Counts of values in log-linear buckets; empty buckets are left out.

    Attributes:
        keys: Bucket numbers, ascending by value.
        counts: Values in each bucket.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()

    def merge(self, other: "Histogram") -> "Histogram":
        """Return the histogram of both."""
        dense = np.zeros(BUCKETS, np.int64)
        for histogram in (self, other):
            dense[list(histogram.keys)] += np.array(histogram.counts, np.int64)
        return pack_histogram(dense)

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Lower and upper bound of each bucket."""
        return tuple(_bound_bucket(key) for key in self.keys)

    def find_quantile(self, q: float) -> float:
        """Return the value below which a fraction `q` (0 to 1) of the values lies; NaN if empty.

        It is within 1/64 of itself.
        """
        if not self.counts:
            return math.nan
        ranks = np.cumsum(self.counts)
        low, high = self.edges[int(np.searchsorted(ranks, q * ranks[-1]).clip(0, len(ranks) - 1))]
        # Up to 64 a bucket starts, seen from zero, at a whole number, which is likelier than the
        # middle.
        start = low if low >= 0 else high
        return start if start.is_integer() and high - low <= 1 else (low + high) / 2


def pack_histogram(dense: NDArray[np.int64]) -> Histogram:
    """Return a histogram from the counts of all buckets, shape (16384,)."""
    keys = np.flatnonzero(dense)
    negative, positive = keys[keys >= _SIGN][::-1], keys[keys < _SIGN]
    ordered = np.concatenate([negative, positive])
    return Histogram(keys=tuple(ordered.tolist()), counts=tuple(dense[ordered].tolist()))


def find_buckets(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bucket of each finite value; those past float32's range count as its largest."""
    largest = np.finfo(np.float32).max
    narrow = np.clip(values, -largest, largest) if values.dtype == np.float64 else values
    single = narrow.astype(np.float32)
    # Adding zero turns -0.0 into 0.0.
    single += np.float32(0)
    return (single.view(np.uint32) >> _SHIFT).astype(np.int64)


def _bound_bucket(key: int) -> tuple[float, float]:
    size = np.array([key & (_SIGN - 1), (key & (_SIGN - 1)) + 1], np.uint32)
    near, far = (float(bound) for bound in (size << _SHIFT).view(np.float32))
    far = far if math.isfinite(far) else float(np.finfo(np.float32).max)
    return (-far, -near) if key & _SIGN else (near, far)
