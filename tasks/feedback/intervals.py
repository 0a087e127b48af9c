"""The 95 % interval of any figure, by resampling rows, the same for the same answers."""

import math
from collections.abc import Callable

import numpy as np

from lightning_modules.specs.metrics import Floats
from tasks.objectives.sheets import AnswerSheet

SEED = 20260101
MOST_DRAWS, FEWEST_DRAWS = 400, 100
MOST_VALUES = 100_000_000
"""Values that all draws of a figure may go over, so that it takes seconds and not minutes."""
FEWEST_BLOCKS = 5
"""Fewest stretches of rows from which chance can be told."""
SHARE = 0.95


def bootstrap_interval(
    sheet: AnswerSheet, measure: Callable[[Floats, Floats], float], block: int = 1
) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of a figure (Efron and Tibshirani, 1993).

    Args:
        sheet: Answers and truths, in the order of time where rows have one.
        measure: Returns the figure of answers and truths; NaN where it is not defined.
        block: Rows that are drawn together, since neighbours in time tell nearly the same (Kuensch,
            1989).

    Returns:
        Lower and upper end; None where there are too few rows, or the figure is not defined for
        most of the draws.
    """
    rows = len(sheet.row_id)
    blocks = rows // block
    if blocks < FEWEST_BLOCKS:
        return None
    generator = np.random.default_rng(SEED)
    draws = max(FEWEST_DRAWS, min(MOST_DRAWS, MOST_VALUES // max(1, sheet.values.size)))
    found = []
    for _ in range(draws):
        starts = generator.integers(0, rows - block + 1, blocks)
        places = (starts[:, np.newaxis] + np.arange(block)).reshape(-1)
        found.append(measure(sheet.values[places], sheet.truth[places]))
    defined = [value for value in found if math.isfinite(value)]
    if len(defined) < SHARE * draws:
        return None
    low, high = np.quantile(defined, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
