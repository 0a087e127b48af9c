"""Quantiles that a network answers with: which there may be, and what they are called."""

from collections.abc import Sequence
from itertools import pairwise

MEDIAN = 0.5
MOST = 31
"""Most quantiles, which with the median are as many outputs as a card holds."""


def check_levels(levels: Sequence[float]) -> None:
    """Checks that quantiles ascend, lie between 0 and 1, and have the median among them.

    Raises:
        ValueError: They do not; the sentence begins with the key that must say otherwise.
    """
    ascending = all(low < high for low, high in pairwise(levels))
    inside = all(0 < level < 1 for level in levels)
    if levels and not (ascending and inside and MEDIAN in levels and 2 <= len(levels) <= MOST):
        raise ValueError(
            f"quantiles ({list(levels)}) must ascend between 0 and 1, 0.5 and 1 to {MOST - 1} "
            "more; write them as [0.1, 0.5, 0.9]"
        )
    names = [name_quantile(level) for level in levels]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(
            f"quantiles ({list(levels)}) must differ in their first six digits, which outputs are "
            f"named by; got {twice[0]} twice; round them"
        )


def name_quantile(level: float) -> str:
    """Returns the name of an exported network's output."""
    return f"quantile_{level:g}"


def list_bands(levels: Sequence[float]) -> tuple[float, ...]:
    """Returns the quantiles beside the median, ascending."""
    return tuple(level for level in levels if level != MEDIAN)
