"""Cuts rows of one size into parts."""

import math
from collections.abc import Iterator
from itertools import pairwise

MOST_ROW_BYTES = 64 << 20
"""Most bytes of one row: no model is asked for more."""


def cut_evenly(rows: int, row_bytes: int, target_bytes: int) -> Iterator[tuple[int, int]]:
    """Cuts rows into runs of nearly equal length, none above the target size.

    A run has one row at least. Nothing is listed ahead: a file may state any number of rows.
    """
    runs = min(max(1, math.ceil(rows * row_bytes / max(1, target_bytes))), max(1, rows))
    ends = (rows * run // runs for run in range(runs + 1))
    return pairwise(ends) if rows else iter(())
