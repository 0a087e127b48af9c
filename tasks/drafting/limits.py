"""Rounds figures to limits that a person would write, and sizes splits to the rows."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

HELD_OUT, VALIDATION = 0.2, 0.15
MARGIN = -0.05
"""Skill over itself that a baseline which ships must have."""
_LEAST = {"min_train_rows": 100, "min_validation_rows": 20, "min_held_out_rows": 50}


def round_down(value: float, digits: int = 2) -> float:
    """Return a figure rounded to its first digits, towards zero."""
    return _round(value, digits, math.floor)


def round_up(value: float, digits: int = 2) -> float:
    """Return a figure rounded to its first digits, away from zero."""
    return _round(value, digits, math.ceil)


def _round(value: float, digits: int, towards: Any) -> float:
    if not value or not math.isfinite(value):
        return 0.0
    scale = 10.0 ** (digits - 1 - math.floor(math.log10(abs(value))))
    return float(f"{towards(value * scale) / scale:.{digits}g}")


def choose_shares(rows: int) -> tuple[float, float]:
    """Return which shares of the rows are held out, and validate among the others."""
    if rows < 600:
        return 0.3, 0.2
    return HELD_OUT, VALIDATION


def limit_small_splits(counts: tuple[int, int, int]) -> dict[str, int]:
    """Return limits of the prepared gate for splits that hold less than it asks by default.

    Args:
        counts: Rows that train, validate and are held out.
    """
    return {
        name: max(1, int(count * 0.6))
        for (name, least), count in zip(_LEAST.items(), counts, strict=True)
        if count * 0.8 < least
    }


def floor_share(share: float, seen: int, judged: int) -> float:
    """Return a share that a model as good as the one that was seen falls below by rare chance.

    Two rows right and two wrong are added (Agresti and Coull, 1998): few rows never show 1.

    Args:
        share: Share of rows that were right.
        seen: How many rows that was seen on.
        judged: How many it will be held against.
    """
    likely = (share * seen + 2) / (seen + 4)
    error = math.sqrt(likely * (1 - likely) * (1 / max(1, seen) + 1 / max(1, judged)))
    return max(0.0, math.floor((likely - 2.5 * error) * 100) / 100)


def allow_baseline(blocks: int) -> dict[str, float]:
    """Return by how much a network that is one of the baselines may seem worse than itself.

    It is fitted on the same rows, but a head may tell it more of them: what that changes is
    chance, which few rows show as much.

    Args:
        blocks: Held-out rows, or blocks of them, that stand for themselves.
    """
    end = -round_up(-MARGIN + 0.5 / math.sqrt(max(1, blocks)), 1)
    return {"min_skill": MARGIN, "min_skill_lower_bound": end}


def allow_classifier(share: float, seen: int, judged: int) -> dict[str, float]:
    """Do the same where rows are right or wrong: two or three that change sides are chance.

    Args:
        share: Share of rows that were right.
        seen: How many rows that was seen on.
        judged: How many are held out.
    """
    wrong = max(1.0, judged * (1 - (share * seen + 2) / (seen + 4)))
    least = max(-MARGIN, 2.5 / wrong)
    return {
        "min_skill": -round_up(least, 1),
        "min_skill_lower_bound": -round_up(least + 4 / wrong, 1),
    }


def count_splits(splits: NDArray[np.int8]) -> tuple[int, int, int]:
    """Return how many rows train, validate and are held out."""
    return tuple(int((splits == number).sum()) for number in range(3))  # type: ignore[return-value]
