"""Measures how nearly a single column gives the answer away, in sums that merge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BINS = 64
LEADS = (0, 1, 2, 3, 6, 12, 24)


@dataclass(frozen=True)
class Bins:
    """Sums in equal bins of a column, for each lead.

    Attributes:
        counts: (leads, bins) rows, or (leads, bins, classes) where the answer is a class.
        sums: (leads, bins) of the answer; zero where it is a class.
        squares: (leads, bins) of its square.
    """

    counts: "np.ndarray[Any, Any]"
    sums: "np.ndarray[Any, Any]"
    squares: "np.ndarray[Any, Any]"

    def merge(self, other: "Bins") -> "Bins":
        """Return the sums of both."""
        return Bins(
            self.counts + other.counts, self.sums + other.sums, self.squares + other.squares
        )


def bin_column(
    values: "np.ndarray[Any, Any]",
    answer: "np.ndarray[Any, Any]",
    limits: tuple[float, float],
    *,
    classes: int = 0,
    leads: Sequence[int] = (0,),
    entities: "np.ndarray[Any, Any] | None" = None,
) -> Bins:
    """Return a shard's sums.

    Args:
        values: (N,) of the column; NaN where missing.
        answer: (N,) the target, standardised, NaN where missing; or classes, below 0 where missing.
        limits: least and greatest value of the column over all shards.
        classes: number of classes; 0 for a target of numbers.
        leads: rows that the answer lies ahead of the value.
        entities: (N,) whose rows are not led across.
    """
    import numpy as np

    places = _place_values(values, limits)
    shape = (len(leads), BINS)
    counts = np.zeros((*shape, classes) if classes else shape)
    sums, squares = np.zeros(shape), np.zeros(shape)
    for row, lead in enumerate(leads):
        kept = len(values) - lead
        if kept <= 0:
            continue
        known = np.isfinite(values[:kept]) & _is_known(answer[lead:], classes)
        if entities is not None and lead:
            known &= entities[lead:] == entities[:kept]
        here, later = places[:kept][known], answer[lead:][known]
        if classes:
            flat = np.bincount(here * classes + later.astype(np.int64), minlength=BINS * classes)
            counts[row] = flat.reshape(BINS, classes)
        else:
            counts[row] = np.bincount(here, minlength=BINS)
            sums[row] = np.bincount(here, weights=later, minlength=BINS)
            squares[row] = np.bincount(here, weights=np.square(later), minlength=BINS)
    return Bins(counts, sums, squares)


def _is_known(answer: "np.ndarray[Any, Any]", classes: int) -> "np.ndarray[Any, Any]":
    """Return which answers are there, (N,) bool."""
    import numpy as np

    known: np.ndarray[Any, Any] = answer >= 0 if classes else np.isfinite(answer)
    return known


def _place_values(
    values: "np.ndarray[Any, Any]", limits: tuple[float, float]
) -> "np.ndarray[Any, Any]":
    """Return the bin of each value, (N,) int64; the first one where it is missing."""
    import numpy as np

    low, high = limits
    scaled = (values - low) / (high - low) if high > low else np.zeros(len(values))
    places = np.nan_to_num(scaled, posinf=1.0, neginf=0.0) * BINS
    return np.clip(places, 0, BINS - 1).astype(np.int64)


def measure_strength(bins: Bins) -> float:
    """Return how nearly the column alone gives the answer, 0 to 1, at its strongest lead.

    Classes: the balanced accuracy of answering each bin with the class that is densest there.
    Numbers: the correlation ratio (Pearson, 1905), the share of the answer's variance that lies
    between bins, freed of what bins as coarse as these lose of a straight copy.
    """
    import numpy as np

    if bins.counts.ndim == 3:
        return max(measure_balance(counts) for counts in bins.counts)
    strengths = [0.0]
    for counts, sums, squares in zip(bins.counts, bins.sums, bins.squares, strict=True):
        rows, total = counts.sum(), sums.sum()
        spread = squares.sum() - total**2 / rows if rows > 2 * BINS else 0.0
        if spread <= 0:
            continue
        full = counts > 0
        between = (sums[full] ** 2 / counts[full]).sum() - total**2 / rows
        centers = np.arange(BINS)[full]
        lost = counts[full].sum() / 12  # variance inside bins of width 1
        mean = (centers * counts[full]).sum() / rows
        wide = (np.square(centers - mean) * counts[full]).sum()
        floor = wide / (wide + lost) if wide > 0 else 0.0
        strengths.append(min(1.0, float(between / spread / floor)) if floor > 0 else 0.0)
    return max(strengths)


def measure_balance(counts: "np.ndarray[Any, Any]") -> float:
    """Return the balanced accuracy of the densest class of each bin, (bins, classes).

    Chance is 1 / classes.
    """
    import numpy as np

    rows = counts.sum(axis=0)
    present = rows > 0
    if present.sum() < 2 or rows[present].min() < 20:
        return 0.0
    density = counts[:, present] / rows[present]
    return float(np.max(density, axis=1).sum() / present.sum())
