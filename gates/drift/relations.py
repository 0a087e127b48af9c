"""Compares how columns go together in two versions, by their correlations."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def measure_relations(products: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return the correlation of each pair of columns, (C, C); 0 where a column does not vary."""
    import numpy as np

    rows = max(1.0, products[-1, -1])
    means = products[:-1, -1] / rows
    covariance = products[:-1, :-1] / rows - np.outer(means, means)
    spread = np.sqrt(np.clip(np.diag(covariance), 0, None))
    scale = np.outer(spread, spread)
    safe = np.where(scale > 1e-9, scale, 1.0)
    related: np.ndarray[Any, Any] = np.where(scale > 1e-9, covariance / safe, 0.0)
    bounded: np.ndarray[Any, Any] = np.clip(related, -1, 1)
    return bounded


def find_largest_change(
    accepted: "np.ndarray[Any, Any]", current: "np.ndarray[Any, Any]", names: Sequence[str]
) -> tuple[float, str]:
    """Return the largest certain change of a correlation, and the names of the pair.

    A change is the difference of two correlations, or a third of that of their Fisher's z (1915)
    where this is greater: 0.99 and 0.9 are worlds apart. Certain is a difference of z above 5
    standard errors.
    """
    import numpy as np

    before, after = measure_relations(accepted), measure_relations(current)
    rows = [max(4.0, float(products[-1, -1])) for products in (accepted, current)]
    error = math.sqrt(sum(1 / (count - 3) for count in rows))
    z = np.arctanh(np.clip(after, -0.999, 0.999)) - np.arctanh(np.clip(before, -0.999, 0.999))
    # A column that does not vary goes with none, itself included: what became of it is for its own
    # distribution to say.
    varies = (np.diag(before) > 0) & (np.diag(after) > 0)
    judged = np.outer(varies, varies) & ~np.eye(len(before), dtype=np.bool_)
    size = np.maximum(np.abs(after - before), np.abs(z) / 3)
    change = np.where(judged & (np.abs(z) > 5 * error), size, 0.0)
    if not change.any():
        return 0.0, ""
    row, column = np.unravel_index(int(np.argmax(change)), change.shape)
    return float(change[row, column]), f"{names[int(row)]} with {names[int(column)]}"
