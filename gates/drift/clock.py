"""Finds out whether the clock of series has been shifted, by their pattern of the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_WEAK = 0.3
_STRONG = 0.7  # of a column's standard deviation, which its pattern of the day then mostly is
_FEWEST_SLOTS = 6
_FEWEST_ROWS = 2
_FIT = 0.8


@dataclass(frozen=True)
class ClockShift:
    """How far the pattern of the day has moved.

    Attributes:
        minutes: of the block that moved most, less than a day; 0 if none did more than the accepted
            version's own.
        column: of which the pattern is the strongest; empty if there is no daily pattern to go by.
        accepted_minutes: the most that the accepted version's own blocks moved.
        why_not: why it could not be measured; empty if it was.
    """

    minutes: float
    column: str
    accepted_minutes: float
    why_not: str = ""


def find_clock_shift(
    accepted: "np.ndarray[Any, Any]", current: "np.ndarray[Any, Any]", names: Sequence[str]
) -> ClockShift:
    """Return how far the day's pattern moved: the shift that correlates best with the accepted one.

    Blocks of about four weeks are compared, and single weeks of a strong pattern, each with what
    the accepted version's own blocks of that length do, so that a clock that jumps on the way is
    found.
    """
    import numpy as np

    slots = accepted.shape[2]
    total = accepted.sum(axis=0)
    known = total[-1] > 0
    if known.sum() < _FEWEST_SLOTS:
        return ClockShift(0.0, "", 0.0, "rows fall into too few hours of the day")
    pattern = np.where(known, total[:-1] / np.maximum(total[-1], 1), np.nan)
    scale = np.nanstd(pattern, axis=1)
    if not len(scale) or scale.max() < _WEAK:
        return ClockShift(0.0, "", 0.0, "no column has a pattern of the day")
    best = int(np.argmax(scale))
    minutes = 24 * 60 / slots
    measured = False
    # Single weeks of a weak pattern wander by themselves; those of a strong one do not.
    for weeks in (4, 1) if scale[best] >= _STRONG else (4,):
        own, moved = (
            _find_furthest(pattern[best], _join_blocks(hours, weeks), best)
            for hours in (accepted, current)
        )
        if own is None or moved is None:
            continue
        measured = True
        if moved > own:
            return ClockShift(moved * minutes, names[best], own * minutes)
    why_not = "" if measured else f"no weeks of {names[best]} show the pattern of its day"
    return ClockShift(0.0, names[best], 0.0, why_not)


def _find_furthest(
    pattern: "np.ndarray[Any, Any]", blocks: "Sequence[np.ndarray[Any, Any]]", column: int
) -> int | None:
    """Return the furthest, in slots, that two blocks in a row moved alike; None if none shows it.

    A clock that has jumped stays where it is.
    """
    found = [_find_shift(pattern, block, column) for block in blocks]
    shifts = [shift for shift in found if shift is not None]
    if not shifts:
        return None
    if len(shifts) == 1:
        return abs(shifts[0])
    pairs = [(left, right) for left, right in pairwise(shifts) if abs(left - right) <= 1]
    return max((min(abs(left), abs(right)) for left, right in pairs), default=0)


def _join_blocks(hours: "np.ndarray[Any, Any]", weeks: int) -> "list[np.ndarray[Any, Any]]":
    """Return sums over about so many weeks each."""
    import numpy as np

    groups = max(1, len(hours) // weeks)
    return [hours[index].sum(axis=0) for index in np.array_split(np.arange(len(hours)), groups)]


def _find_shift(
    pattern: "np.ndarray[Any, Any]", block: "np.ndarray[Any, Any]", column: int
) -> int | None:
    """Return the shift, in slots, at which a block's day fits the pattern better; else 0.

    None where the block has rows in too few slots, or no pattern, to tell.
    """
    import numpy as np

    filled = block[-1] >= _FEWEST_ROWS
    day = np.where(filled, block[column] / np.maximum(block[-1], 1), np.nan)
    if filled.sum() < max(_FEWEST_SLOTS, np.isfinite(pattern).sum() / 2) or np.nanstd(day) < 0.1:
        return None
    fits = np.array([_correlate(np.roll(pattern, shift), day) for shift in range(len(pattern))])
    if fits.max() < _FIT:
        return None
    best = int(np.argmax(fits))
    if fits[best] - fits[0] < 0.02:
        return 0
    return best if best <= len(pattern) // 2 else best - len(pattern)


def _correlate(left: "np.ndarray[Any, Any]", right: "np.ndarray[Any, Any]") -> float:
    """Return the correlation of two days over the slots that both have; -1 where they are few."""
    import numpy as np

    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < max(_FEWEST_SLOTS, np.isfinite(right).sum() / 2):
        return -1.0
    if left[both].std() == 0 or right[both].std() == 0:
        return -1.0
    return float(np.corrcoef(left[both], right[both])[0, 1])
