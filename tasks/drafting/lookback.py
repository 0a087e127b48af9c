"""Chooses how many steps a window has, where windows are asked for a class or a number."""

import numpy as np
from numpy.typing import NDArray

from storage.forms.columns import SERIES_ID, TIME
from storage.shards.row_ids import LABEL, Rows
from tasks.drafting.guesses import UNSURE, Notes

MOST_LOOKBACK, LIFE_LOOKBACK = 512, 30
FEW_WINDOWS, SHORT_LOOKBACK = 200, 16
"""Windows below which entities are cut into parts, of at least so many steps."""


def choose_lookback(rows: Rows, notes: Notes) -> int:
    """Return the steps of a window: a whole entity where it has one class, else a part of it."""
    order = np.lexsort((rows[TIME], rows[SERIES_ID]))
    entities = rows[SERIES_ID][order]
    lengths = np.diff(np.flatnonzero(np.diff(entities, prepend=entities[0] - 1, append=-1)))
    shortest = max(2, int(np.quantile(lengths, 0.02)))
    if LABEL in rows:
        labels = rows[LABEL][order]
        new = (np.diff(entities) != 0) | (np.diff(labels) != 0)
        stretches = np.diff([0, *(np.flatnonzero(new) + 1), len(labels)])
        whole = len(stretches) <= 1.02 * len(lengths)
        lookback = min(shortest, MOST_LOOKBACK)
        why = "whole entities, of which each has one class: the length of the shortest"
        while (
            whole
            and lookback >= 2 * SHORT_LOOKBACK
            and count_windows(lengths, lookback) < FEW_WINDOWS
        ):
            lookback //= 2
            why = f"a part of an entity: {len(lengths)} whole ones are too few to learn from"
        if not whole:
            lookback = int(np.clip(np.median(stretches) // 2, 4, min(128, shortest)))
            why = f"a class lasts {np.median(stretches):g} rows, about; the last row's is asked"
    else:
        lookback = max(2, min(LIFE_LOOKBACK, shortest // 2))
        why = f"the shortest entities have {shortest} rows; set lookback to what tells enough"
    notes.add("model.window", f"lookback {lookback}", UNSURE, why)
    return lookback


def choose_stride(lookback: int) -> int:
    """Return the steps between two windows that are looked at: of nearer ones little is new."""
    return max(1, lookback // 8)


def count_windows(lengths: NDArray[np.int64], lookback: int) -> int:
    """Return how many windows there are of entities of so many rows."""
    stride = choose_stride(lookback)
    return int((np.maximum(0, lengths - lookback + stride) // stride).sum())
