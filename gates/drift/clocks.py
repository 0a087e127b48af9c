"""Finds the entity whose clock went wrong: its new rows have their day at another hour.

A day's pattern is held against the mean of the others. What parts of the accepted version do
themselves, any of its entities, is no shift: seasons move a day a little.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FEWEST_PARTS = 3
_FEWEST_ROWS = 2
_FIT = 0.7
_GAIN, _SEEN = 0.08, 0.02
_MARGIN = 1.5


@dataclass(frozen=True)
class Days:
    """Sums of rows by entity, part of the version and hour of the day.

    Attributes:
        keys: (G, 2) entity and part, ascending.
        sums: (G, C, slots) sums of each column.
        values: (G, C, slots) values that are present.
    """

    keys: "np.ndarray[Any, Any]"
    sums: "np.ndarray[Any, Any]"
    values: "np.ndarray[Any, Any]"

    def merge(self, other: "Days") -> "Days":
        """Return the sums of both."""
        import numpy as np

        unique, place = np.unique(
            np.concatenate([self.keys, other.keys]), axis=0, return_inverse=True
        )
        parts = []
        for left, right in ((self.sums, other.sums), (self.values, other.values)):
            found = np.zeros((len(unique), *left.shape[1:]))
            np.add.at(found, place.reshape(-1), np.concatenate([left, right]))
            parts.append(found)
        return Days(unique, *parts)


def write_days(
    entities: "np.ndarray[Any, Any]",
    parts: "np.ndarray[Any, Any]",
    hours: "np.ndarray[Any, Any]",
    values: "np.ndarray[Any, Any]",
    slots: int,
) -> Days:
    """Return the sums of some rows.

    Args:
        entities: (N,) of each row.
        parts: (N,) part of the version that each row is of.
        hours: (N,) slot of the day of each row, below `slots`.
        values: (N, C) numbers; NaN where missing.
        slots: of a day.
    """
    import numpy as np

    keys = np.stack([entities, parts], axis=1)
    unique, place = np.unique(keys, axis=0, return_inverse=True)
    cell = place.reshape(-1) * slots + hours
    known = np.isfinite(values)
    shape = (len(unique), values.shape[1], slots)
    sums, counts = np.zeros(shape), np.zeros(shape)
    for column in range(values.shape[1]):
        there = known[:, column]
        for found, weights in ((sums, values[there, column]), (counts, None)):
            added = np.bincount(cell[there], weights, len(unique) * slots)
            found[:, column] = added.reshape(len(unique), slots)
    return Days(unique, sums, counts)


@dataclass(frozen=True)
class LateClock:
    """The entity whose day moved furthest.

    Attributes:
        slots: that it moved, either way; 0 where none moved further than parts before.
        entity: the entity; None where none moved.
        column: number of the column that shows it; -1 where none moved.
        own: the furthest that the accepted version's own parts moved.
        why_not: why nothing could be measured; empty if something was.
    """

    slots: int = 0
    entity: int | None = None
    column: int = -1
    own: int = 0
    why_not: str = ""


def find_late_clock(accepted: Days, current: Days) -> LateClock:
    """Return the entity whose day moved furthest in the new rows.

    Args:
        accepted: by entity and part of the accepted version.
        current: the new rows of each entity, in parts that follow each other: a clock that is wrong
            is so in all of them, and a day that changes its shape is not.
    """
    import numpy as np

    before, after = _shape_days(accepted), _shape_days(current)
    rows = np.flatnonzero(np.isin(accepted.keys[:, 0], current.keys[:, 0]))
    shared, place, counts = np.unique(
        accepted.keys[rows, 0], return_inverse=True, return_counts=True
    )
    # Of each entity and column: how the parts before fit the others, and the new rows fit all.
    total = np.zeros((len(shared), *before.shape[1:]))
    np.add.at(total, place, before[rows])
    shifts, fits, gains = _compare_days(total[place] - before[rows], before[rows])
    told = (counts[place] >= FEWEST_PARTS)[:, np.newaxis] & (fits >= _FIT)
    if not told.any():
        return LateClock(why_not="no part of an entity shows the pattern of its day")
    enough = np.zeros((len(shared), told.shape[1]))
    np.add.at(enough, place, told)
    own = int(np.abs(shifts)[told & (gains >= _SEEN)].max(initial=0))
    least = max(_GAIN, _MARGIN * float(gains[told].max()))
    new = np.flatnonzero(np.isin(current.keys[:, 0], shared))
    place = np.searchsorted(shared, current.keys[new, 0])
    shifts, fits, gains = _compare_days(total[place], after[new])
    sure = (fits >= _FIT) & (gains > least) & (np.abs(shifts) > own)
    # A part that is not sure is as far apart as can be from those that are.
    slots = total.shape[2]
    low, high = np.full(total.shape[:2], slots), np.full(total.shape[:2], -slots)
    np.minimum.at(low, place, np.where(sure, shifts, -slots))
    np.maximum.at(high, place, np.where(sure, shifts, slots))
    agreed = (enough >= FEWEST_PARTS) & (high - low <= 1) & (np.bincount(place) > 1)[:, np.newaxis]
    moved = np.where(agreed, np.minimum(np.abs(low), np.abs(high)), 0)
    if not moved.any():
        return LateClock(own=own)
    entity, column = np.unravel_index(int(np.argmax(moved)), moved.shape)
    return LateClock(int(moved.max()), int(shared[entity]), int(column), own)


def _shape_days(days: Days) -> "np.ndarray[Any, Any]":
    """Return each day (G, C, slots) around 0 with a length of 1; 0 where a slot is empty."""
    import numpy as np

    filled = (days.values >= _FEWEST_ROWS).all(axis=2, keepdims=True)
    means = np.where(filled, days.sums / np.maximum(days.values, 1), 0.0)
    means = means - means.mean(axis=2, keepdims=True)
    length = np.linalg.norm(means, axis=2, keepdims=True)
    shaped: np.ndarray[Any, Any] = np.divide(
        means, length, out=np.zeros_like(means), where=length > 1e-9
    )
    return shaped


def _compare_days(
    usual: "np.ndarray[Any, Any]", days: "np.ndarray[Any, Any]"
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Return by how many slots days are late, their correlation then, and what that gains.

    All shifts are tried at once, as a product of Fourier transforms.
    """
    import numpy as np

    length = np.linalg.norm(usual, axis=2, keepdims=True)
    usual = np.divide(usual, length, out=np.zeros_like(usual), where=length > 1e-9)
    slots = usual.shape[2]
    product = np.conj(np.fft.rfft(usual, axis=2)) * np.fft.rfft(days, axis=2)
    fits = np.fft.irfft(product, slots, axis=2)
    best = fits.argmax(axis=2)
    highest = fits.max(axis=2)
    return np.where(best <= slots // 2, best, best - slots), highest, highest - fits[..., 0]
