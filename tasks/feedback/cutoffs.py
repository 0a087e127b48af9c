"""Where a split by time cuts once newer rows have come: the last of these are held out."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SHARE, VALIDATION_SHARE = 0.5, 0.2
"""Shares of the fresh rows that are held out, and that validate."""
LEAST_SHARE = 0.02
"""Least share of all rows that either gets, if there are as many fresh rows."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class NewCutoffs:
    """First times that validate and that are held out, ISO 8601."""

    validation_from: str
    held_out_from: str


def find_new_cutoffs(
    learned: NDArray[np.int64], fresh: NDArray[np.int64], fewest: int = 1
) -> NewCutoffs:
    """Find where to cut, so that the newer half of the fresh rows is held out.

    No row that the champion has learned from is held out. Rows before the held-out ones validate,
    older ones among them where the fresh ones are few.

    Args:
        learned: Times of the rows that the champion learned from, nanoseconds since 1970, (N,).
        fresh: Times of the rows that it did not, one at least, (M,).
        fewest: Fewest rows that validate, as a window's horizon asks for.
    """
    newer = np.sort(fresh)
    rows = np.unique(np.concatenate([learned, newer]))
    least = ceil(LEAST_SHARE * len(rows))
    held_out = min(len(newer), max(ceil(HELD_OUT_SHARE * len(newer)), least))
    first = newer[len(newer) - held_out]
    place = int(np.searchsorted(rows, first))
    validation = max(ceil(VALIDATION_SHARE * len(newer)), least, fewest)
    return NewCutoffs(_show(rows[max(0, place - validation)]), _show(first))


def _show(time_ns: np.int64) -> str:
    moment = _EPOCH + timedelta(microseconds=int(time_ns) // 1000)
    return moment.replace(tzinfo=None).isoformat()
