"""Finds out whether the clock of series has been shifted, by their pattern of the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_STRONG = 0.7  # of a column's standard deviation, which its pattern of the day then mostly is


@dataclass(frozen=True)
class ClockShift:
    """How far the pattern of the day has moved.

    Attributes:
        minutes: of the block that moved most, less than a day; 0 if none did more than the accepted
            version's own.
        column: of which the pattern is the strongest; empty if there is no daily pattern to go by.
        accepted_minutes: the most that the accepted version's own blocks moved.
    """

    minutes: float
    column: str
    accepted_minutes: float


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
    pattern = total[:-1] / np.maximum(total[-1], 1)
    scale = pattern.std(axis=1)
    if (total[-1] == 0).any() or not len(scale) or scale.max() < 0.3:
        return ClockShift(0.0, "", 0.0)
    best = int(np.argmax(scale))
    minutes = 24 * 60 / slots
    # Single weeks of a weak pattern wander by themselves; those of a strong one do not.
    for weeks in (4, 1) if scale[best] >= _STRONG else (4,):
        own = _find_furthest(pattern[best], _join_blocks(accepted, weeks), best)
        moved = _find_furthest(pattern[best], _join_blocks(current, weeks), best)
        if moved > own:
            return ClockShift(moved * minutes, names[best], own * minutes)
    return ClockShift(0.0, names[best], 0.0)


def _find_furthest(
    pattern: "np.ndarray[Any, Any]", blocks: "Sequence[np.ndarray[Any, Any]]", column: int
) -> int:
    """Return the furthest, in slots, that two blocks in a row moved alike.

    A clock that has jumped stays where it is.
    """
    shifts = [_find_shift(pattern, block, column) for block in blocks]
    if len(shifts) == 1:
        return abs(shifts[0])
    pairs = [(left, right) for left, right in pairwise(shifts) if abs(left - right) <= 1]
    return max((min(abs(left), abs(right)) for left, right in pairs), default=0)


def _join_blocks(hours: "np.ndarray[Any, Any]", weeks: int) -> "list[np.ndarray[Any, Any]]":
    """Return sums over about so many weeks each."""
    import numpy as np

    groups = max(1, len(hours) // weeks)
    return [hours[index].sum(axis=0) for index in np.array_split(np.arange(len(hours)), groups)]


def _find_shift(pattern: "np.ndarray[Any, Any]", block: "np.ndarray[Any, Any]", column: int) -> int:
    """Return the shift, in slots, at which a block's day fits the pattern better; else 0."""
    import numpy as np

    rows = block[-1]
    if (rows < 2).any():
        return 0
    day = block[column] / rows
    if day.std() < 0.1:
        return 0
    fits = np.array(
        [np.corrcoef(np.roll(pattern, shift), day)[0, 1] for shift in range(len(pattern))]
    )
    best = int(np.argmax(fits))
    if fits[best] < 0.8 or fits[best] - fits[0] < 0.02:
        return 0
    return best if best <= len(pattern) // 2 else best - len(pattern)
