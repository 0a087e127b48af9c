"""What baselines read of training rows: features in their head's units, all rows or an even sample.

Linear maps in closed form add up over every row; what cannot is fitted on rows drawn evenly from
all of them, whatever order they are stored in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.heads.registry import HEADS
from lightning_modules.networks.fitted import solve_ridge
from lightning_modules.objectives.base import Batches, Floats
from lightning_modules.specs.samples import Sample

MOST_ROWS = 20_000
MOST_NUMBERS = 20_000_000
LEAST_ROWS_A_CLASS = 200
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, 1973, 6.4)


@dataclass(frozen=True)
class Drawn:
    """Some training rows, drawn evenly.

    Attributes:
        features: (N, features).
        truth: (N,) labels.
        weight: (N,) rows of its class that each stands for.
    """

    features: Floats
    truth: NDArray[Any]
    weight: Floats


def read_features(sample: Sample, batches: Batches) -> tuple[Floats, NDArray[Any]]:
    """Returns normalised features (N, features) of rows, and their truth (N,)."""
    head = HEADS.find(sample.form)
    parts, truths = [], []
    for batch in batches:
        parts.append(head.flatten_features(sample, batch.sample))
        truths.append(batch.truth)
    return np.concatenate(parts), np.concatenate(truths)


def draw_rows(sample: Sample, batches: Batches, most_rows: int = MOST_ROWS) -> Drawn:
    """Draws rows evenly from all batches, at least `LEAST_ROWS_A_CLASS` of each class there is.

    The draw hangs on row ids alone, so that the same rows are drawn in any order.

    Args:
        sample: What a sample is.
        batches: All training rows, of which there is at least one.
        most_rows: Rows to draw, besides those of rare classes; fewer where features are so many
            that these would hold more than `MOST_NUMBERS` numbers.
    """
    head = HEADS.find(sample.form)
    kept: dict[int, _Class] = {}
    for batch in batches:
        draws, features = _draw(batch.row_id), head.flatten_features(sample, batch.sample)
        most_rows = min(most_rows, max(1000, MOST_NUMBERS // max(1, features.shape[1])))
        for label in np.unique(batch.truth).tolist():
            here = np.flatnonzero(batch.truth == label)
            kept.setdefault(label, _Class()).add(features[here], draws[here])
        if sum(found.size for found in kept.values()) > 2 * most_rows:
            _let_go(kept.values(), most_rows)
    _let_go(kept.values(), most_rows)
    ordered = sorted(kept.items())
    sizes = [len(found.draws) for _, found in ordered]
    return Drawn(
        np.concatenate([found.rows for _, found in ordered]),
        np.repeat([label for label, _ in ordered], sizes),
        np.repeat([found.seen / len(found.draws) for _, found in ordered], sizes),
    )


class _Class:
    """The rows of one class with the lowest draws so far."""

    def __init__(self) -> None:
        self.seen = self.size = 0
        self.bound = np.inf
        self._parts: list[tuple[NDArray[Any], NDArray[np.float64]]] = []

    def add(self, rows: NDArray[Any], draws: NDArray[np.float64]) -> None:
        """Takes more rows, of which those that would be let go of are not kept at all."""
        low = draws <= self.bound
        self.seen += len(rows)
        self.size += int(low.sum())
        self._parts.append((rows[low], draws[low]))

    @property
    def rows(self) -> NDArray[Any]:
        """The rows."""
        self._join()
        return self._parts[0][0]

    @property
    def draws(self) -> NDArray[np.float64]:
        """Their draws."""
        self._join()
        return self._parts[0][1]

    def keep(self, bound: float) -> None:
        """Lets go of the rows above a bound, except so many as each class is promised."""
        count = max(int((self.draws <= bound).sum()), LEAST_ROWS_A_CLASS)
        lowest = np.argsort(self.draws, kind="stable")[:count]
        if len(lowest) >= LEAST_ROWS_A_CLASS:
            self.bound = max(bound, float(self.draws[lowest[-1]]))
        self._parts, self.size = [(self.rows[lowest], self.draws[lowest])], len(lowest)

    def _join(self) -> None:
        # Joined when they are asked for: to join at each batch would copy all rows each time.
        if len(self._parts) > 1:
            rows, draws = zip(*self._parts, strict=True)
            self._parts = [(np.concatenate(rows), np.concatenate(draws))]


def _let_go(kept: Iterable[_Class], most: int) -> None:
    """Keeps the rows with the lowest draws of all classes together."""
    found = list(kept)
    draws = np.sort(np.concatenate([each.draws for each in found]))
    for each in found:
        each.keep(float(draws[min(most, len(draws)) - 1]))


def _draw(row_id: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Returns a number from 0 to 1 for each row id."""
    mixed = row_id.astype(np.uint64) * _SPREAD
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _SPREAD
    return np.asarray((mixed ^ (mixed >> np.uint64(32))) / 2.0**64)


def add_one(values: Floats) -> Floats:
    """Returns the values with a last column of ones, for an offset."""
    return np.concatenate([values, np.ones((*values.shape[:-1], 1))], axis=-1)


def fit_ridge(sample: Sample, batches: Batches) -> Floats:
    """Fits least squares of the truth on features and one, over all rows: (features + 1,)."""
    square, cross = np.zeros(()), np.zeros(())
    for batch in batches:
        features, truth = read_features(sample, [batch])
        known = ~np.isnan(truth)
        rows = add_one(features[known])
        square, cross = square + rows.T @ rows, cross + rows.T @ truth[known]
    return solve_ridge(square, cross)
