"""Chooses from which probability on the positive of two classes is answered."""

import numpy as np
from numpy.typing import NDArray

from lightning_modules.errors import SpecError
from lightning_modules.specs.threshold import ThresholdSpec


def choose_threshold(
    scores: NDArray[np.float64], positive: NDArray[np.bool_], wanted: ThresholdSpec
) -> float:
    """Returns a threshold that lies between two scores, as far from both as float32 allows.

    A network answers and compares in float32: of two scores that are neighbours there it is the
    upper one, which a rounded middle might leave for the lower.

    Args:
        scores: Probability (N,) of the positive class.
        positive: Which rows (N,) are of it.
        wanted: What is to be least, or enough.

    Raises:
        SpecError: There is no positive row, or no other.
    """
    if positive.all() or not positive.any():
        raise SpecError(
            "validation split must hold rows of both classes to choose model.threshold on; got "
            f"{int(positive.sum())} positive ones of {len(positive)}; give it more rows by "
            "data.split.validation, or leave the threshold out"
        )
    levels = np.unique(scores)
    # Below the lowest all are called positive, above the highest none.
    above = float(np.float32(min(1.0, levels[-1] + 1e-6)))
    middles = ((levels[1:] + levels[:-1]) / 2).astype(np.float32).astype(np.float64)
    apart = (levels[:-1] < middles) & (middles <= levels[1:])
    cuts = np.concatenate([[0.0], np.where(apart, middles, levels[1:]), [above]])
    found = _count_from(scores[positive], cuts)
    if wanted.recall is not None:
        enough = np.flatnonzero(found >= np.ceil(wanted.recall * positive.sum() - 1e-9))
        return float(cuts[enough[-1]])
    if wanted.cost is None:
        raise TypeError("threshold must be chosen by cost or by recall")
    alarms = _count_from(scores[~positive], cuts)
    cost = wanted.cost.missed * (positive.sum() - found) + wanted.cost.false_alarm * alarms
    # Of equal costs the middle: the ends are each one row from another cost.
    best = np.flatnonzero(cost <= cost.min() + 1e-9)
    return float(cuts[best[len(best) // 2]])


def _count_from(scores: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns how many scores are at or above each cut."""
    return np.asarray(len(scores) - np.searchsorted(np.sort(scores), cuts, side="left"))
