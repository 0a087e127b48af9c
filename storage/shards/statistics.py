"""Statistics of a field that merge: those of a data set are those of its shards, added up.

Mean and sum of squared deviations: the pairwise algorithm of Chan, Golub and LeVeque (1983,
"Algorithms for computing the sample variance").
"""

import math
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.shards.histogram import BUCKETS, Histogram, find_buckets, pack_histogram

_MAX_DISTINCT = 1000
_BLOCK_VALUES = 1 << 16
_BLOCK_PAIRS = 1 << 18
_LARGEST = float(np.finfo(np.float64).max)
_SUMMABLE = 1e290


class FieldStatistics(BaseModel):
    """Statistics of one field, over all elements of its rows.

    Attributes:
        count: Elements, missing ones included.
        null: Elements that are missing by the field's validity mask; the other figures leave them
            out.
        nan: Elements that are not a number.
        inf: Infinite elements.
        min: Smallest finite element; None if there is none. An int for whole numbers.
        max: Largest finite element.
        mean: Mean of the finite elements.
        m2: Sum of their squared deviations from the mean.
        histogram: Where the finite elements lie.
        distinct: Rows with each value, for whole numbers, truth values and text with one value a
            row; None if there are more than 1000 values, or another type.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = 0
    null: int = 0
    nan: int = 0
    inf: int = 0
    min: int | float | None = None
    max: int | float | None = None
    mean: float | None = None
    m2: float | None = None
    histogram: Histogram | None = None
    distinct: dict[str, int] | None = None

    @property
    def finite(self) -> int:
        """Elements that mean and deviation stand for."""
        return self.count - self.null - self.nan - self.inf if self.mean is not None else 0

    @property
    def std(self) -> float | None:
        """Standard deviation of the population; None without finite elements."""
        return math.sqrt(self.m2 / self.finite) if self.m2 is not None and self.finite else None

    def merge(self, other: Self) -> "FieldStatistics":
        """Merges both: counts, extremes, histogram exactly, mean and deviation to rounding."""
        if not (self.count and other.count):
            return self if self.count else other
        mean, m2 = _merge_moments(self, other)
        return FieldStatistics(
            count=self.count + other.count,
            null=self.null + other.null,
            nan=self.nan + other.nan,
            inf=self.inf + other.inf,
            min=min((value for value in (self.min, other.min) if value is not None), default=None),
            max=max((value for value in (self.max, other.max) if value is not None), default=None),
            mean=mean,
            m2=m2,
            histogram=self.histogram.merge(other.histogram)
            if self.histogram and other.histogram
            else None,
            distinct=_merge_distinct(self.distinct, other.distinct),
        )


def merge_statistics(parts: Iterable[FieldStatistics]) -> FieldStatistics:
    """Merges the statistics of all parts."""
    return reduce(FieldStatistics.merge, parts, FieldStatistics())


def count_values(values: NDArray[Any]) -> FieldStatistics:
    """Counts the values of a field that mean nothing as numbers, such as ids."""
    return FieldStatistics(count=values.size)


def compute_statistics(
    values: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> FieldStatistics:
    """Computes the statistics of the rows of one field.

    Args:
        values: Rows, shape (N, ...), of a boolean, integer, float or text dtype.
        valid: Which rows (N,) or elements (N, ...) are present; None if all are.
    """
    kept = values
    if valid is not None:
        kept = values[
            np.broadcast_to(
                valid.reshape(valid.shape + (1,) * (values.ndim - valid.ndim)), values.shape
            )
        ]
    null = values.size - kept.size
    counted = values.ndim == 1 and values.dtype.kind != "f"
    distinct = _count_distinct(kept) if counted else None
    if values.dtype.kind not in "biuf":
        return FieldStatistics(count=values.size, null=null, distinct=distinct)
    moments = _compute_bytes(kept) if values.dtype.itemsize == 1 else _compute_blocks(kept)
    return moments.model_copy(update={"count": values.size, "null": null, "distinct": distinct})


def _compute_bytes(values: NDArray[Any]) -> FieldStatistics:
    """Computes statistics of one-byte integers, exactly, from the count of each of 256 values."""
    flat = values.reshape(-1).view(np.uint8)
    even = len(flat) & ~1
    pairs = np.zeros(1 << 16, np.int64)
    # Two values at a time: counting costs the same for a pair as for one.
    for start in range(0, even, _BLOCK_PAIRS):
        pairs += np.bincount(
            flat[start : min(start + _BLOCK_PAIRS, even)].view(np.uint16), minlength=1 << 16
        )
    square = pairs.reshape(256, 256)
    counts = square.sum(axis=0) + square.sum(axis=1) + np.bincount(flat[even:], minlength=256)
    levels = (
        np.arange(256, dtype=np.uint8)
        .view(np.int8 if values.dtype == np.int8 else np.uint8)
        .astype(np.int64)
    )
    present = levels[counts > 0]
    if not len(present):
        return FieldStatistics(histogram=Histogram())
    total, size = int(counts @ levels), values.size
    squares = int(counts @ levels**2)
    dense = np.bincount(find_buckets(levels), weights=counts, minlength=BUCKETS).astype(np.int64)
    return FieldStatistics(
        min=int(present.min()),
        max=int(present.max()),
        mean=total / size,
        m2=(squares * size - total * total) / size,
        histogram=pack_histogram(dense),
    )


def _compute_blocks(values: NDArray[Any]) -> FieldStatistics:
    """Computes statistics of wider numbers, block by block, so that these stay in the cache."""
    merged = _Moments()
    dense = np.zeros(BUCKETS, np.int64)
    for block in _iter_blocks(values):
        finite = block
        low, high = block.min(), block.max()
        if not (np.isfinite(low) and np.isfinite(high)):
            finite = block[np.isfinite(block)]
            merged.nan += int(np.isnan(block).sum())
            merged.inf += block.size - finite.size - int(np.isnan(block).sum())
            if not finite.size:
                continue
            low, high = finite.min(), finite.max()
        dense += np.bincount(find_buckets(finite), minlength=BUCKETS)
        merged.add(finite, low.item(), high.item())
    return merged.finish(values.size, pack_histogram(dense))


class _Moments:
    """Adds up the figures of blocks."""

    def __init__(self) -> None:
        self.nan = self.inf = self._count = 0
        self._mean = self._m2 = 0.0
        self._low: int | float | None = None
        self._high: int | float | None = None

    def add(self, finite: NDArray[Any], low: float, high: float) -> None:
        """Adds finite values, of which these are the smallest and the largest."""
        wide = finite.astype(np.float64)
        # Divided first where a sum could overflow.
        mean = (
            float((wide / wide.size).sum()) if max(-low, high) > _SUMMABLE else float(wide.mean())
        )
        with np.errstate(over="ignore"):
            wide -= mean
            wide *= wide
            # Not a dot product: its library would start threads beside those of the workers.
            m2 = float(wide.sum())
        left = (self._count, self._mean, self._m2)
        self._count, self._mean, self._m2 = _add_moments(
            left, (finite.size, mean, min(m2, _LARGEST))
        )
        self._low = low if self._low is None else min(low, self._low)
        self._high = high if self._high is None else max(high, self._high)

    def finish(self, count: int, histogram: Histogram) -> FieldStatistics:
        """Return the statistics of all blocks, with `count` elements."""
        return FieldStatistics(
            count=count,
            nan=self.nan,
            inf=self.inf,
            min=self._low,
            max=self._high,
            mean=self._mean if self._count else None,
            m2=self._m2 if self._count else None,
            histogram=histogram,
        )


def _iter_blocks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    flat = values.reshape(-1)
    for start in range(0, len(flat), _BLOCK_VALUES):
        yield flat[start : start + _BLOCK_VALUES]


def _merge_moments(
    left: FieldStatistics, right: FieldStatistics
) -> tuple[float | None, float | None]:
    if left.mean is None or left.m2 is None:
        return right.mean, right.m2
    if right.mean is None or right.m2 is None:
        return left.mean, left.m2
    return _add_moments((left.finite, left.mean, left.m2), (right.finite, right.mean, right.m2))[1:]


def _add_moments(
    left: tuple[int, float, float], right: tuple[int, float, float]
) -> tuple[int, float, float]:
    """Adds count, mean and sum of squared deviations of two sets (Chan, Golub, LeVeque 1983)."""
    total = left[0] + right[0]
    delta, share = right[1] - left[1], right[0] / total
    m2 = left[2] + right[2] + delta * (delta * left[0] * share)
    return total, left[1] + delta * share, min(m2, _LARGEST)


def _count_distinct(values: NDArray[Any]) -> dict[str, int] | None:
    found, counts = np.unique(values, return_counts=True)
    if len(found) > _MAX_DISTINCT:
        return None
    return {str(value): int(count) for value, count in zip(found.tolist(), counts, strict=True)}


def _merge_distinct(
    left: dict[str, int] | None, right: dict[str, int] | None
) -> dict[str, int] | None:
    if left is None or right is None:
        return None
    merged = dict(left)
    for value, count in right.items():
        merged[value] = merged.get(value, 0) + count
    return merged if len(merged) <= _MAX_DISTINCT else None
