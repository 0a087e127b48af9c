"""The rows that candidates are tried on, and how sure what they lose there is.

A gate judges the chosen artifact on held-out rows. What a candidate lost on the rows of a trial is
an estimate of that, so it is taken for as bad as chance may hide: by the upper end of an interval
over blocks of rows in their stored order, since neighbours err alike. Few rows promise little.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.readers import SampleBatch
from tasks.objectives.sheets import AnswerSheet

Places = NDArray[np.int64]
Measure = Callable[[Places], float]
CERTAINTY = 0.95
BLOCKS = 20
LEAST_BLOCKS = 5
LEAST_ROWS = 1000
"""Rows of a trial; where validation has fewer, shuffled training rows are added: how far an
artifact is from its float model is the same question on any row."""
MOST_VALUES = 2_000_000
"""Answers that an interval is computed over; of more, rows are taken evenly."""
EXACT = 1e-4
"""Most that two answers may be apart in standard deviations to be one: such a candidate is the
float model itself, and needs no interval."""


@dataclass(frozen=True)
class Loss:
    """What a candidate lost to the float model.

    Attributes:
        seen: On the rows of the trial.
        most: The upper end of its interval: with a certainty of 95 %, it lost no more.
        rows: How many rows that is of.
    """

    seen: float
    most: float
    rows: int


@dataclass(frozen=True)
class TrialRows:
    """The rows of a trial: validation rows, then training rows where those are few.

    Attributes:
        reference: The float model's answers to all of them.
        places: Place of each validation row in its stored order.
        extra: The training rows; None where validation has enough.
        reach: Neighbours that share values, such as the steps of a window.
    """

    reference: AnswerSheet
    places: Places
    extra: SampleBatch | None = None
    reach: int = 1

    @cached_property
    def blocks(self) -> list[Places]:
        """Places of the rows of each block, of rows taken evenly where there are too many."""
        count = len(self.reference.row_id)
        one = max(1, self.reference.values[:1].size)
        step = -(-count * one // MOST_VALUES)
        added = np.arange(len(self.places), count)
        order = np.concatenate([np.argsort(self.places), added])[::step]
        most = max(LEAST_BLOCKS, count // self.reach)
        return np.array_split(order, min(BLOCKS, most, len(order)))

    def extend(
        self, sheet: AnswerSheet, answer: Callable[[NDArray[np.generic]], NDArray[np.generic]]
    ) -> AnswerSheet:
        """Return answers to the validation rows together with those to the added rows."""
        if self.extra is None:
            return sheet
        return join_answers(sheet, self.extra, answer)

    def is_exact(self, sheet: AnswerSheet, scale: NDArray[np.float64] | float) -> bool:
        """Tell whether answers are the float model's, but for the last digits."""
        return bool((np.abs(sheet.values - self.reference.values) <= EXACT * scale).all())

    def bound(self, measure: Measure, *, exact: bool) -> Loss:
        """Measure a loss, and the most that it may be.

        Args:
            measure: From places of rows to the loss over them.
            exact: Whether there is no chance in it.
        """
        return bound_loss(self.blocks, measure, exact=exact)

    def bound_share(self, differing: Measure, *, exact: bool) -> Loss:
        """Measure the share of answers that differ, and the most that it may be.

        Where no row differs an interval over blocks has no width: what so many rows can show at
        best bounds it, too (Clopper and Pearson, 1934).
        """
        from scipy.stats import beta

        loss = self.bound(differing, exact=exact)
        if exact:
            return loss
        hits = min(round(loss.seen * loss.rows), loss.rows - 1)
        least = float(beta.ppf(CERTAINTY, hits + 1, loss.rows - hits))
        return Loss(loss.seen, max(loss.most, least), loss.rows)


def join_answers(
    sheet: AnswerSheet,
    extra: SampleBatch,
    answer: Callable[[NDArray[np.generic]], NDArray[np.generic]],
) -> AnswerSheet:
    """Return a sheet with the answers to some more rows behind its own."""
    return AnswerSheet(
        np.concatenate([sheet.row_id, extra.row_id]),
        np.concatenate([sheet.truth, extra.truth]),
        np.concatenate([sheet.values, answer(extra.sample)]),
    )


def take_rows(sheet: AnswerSheet, places: Places) -> AnswerSheet:
    """Return some rows of a sheet."""
    return AnswerSheet(sheet.row_id[places], sheet.truth[places], sheet.values[places])


def bound_loss(blocks: list[Places], measure: Measure, *, exact: bool = False) -> Loss:
    """Measure a loss over blocks of rows, with the upper end of its interval.

    The interval is the jackknife's, by leaving out one block after the other (Tukey, 1958), and
    Student's. It holds for means and for what is nearly one, such as an average precision.

    Args:
        blocks: Places of the rows of each block.
        measure: From places to the loss; NaN where it is not defined.
        exact: Whether there is no chance in it: then the most is what was seen.
    """
    from scipy.stats import t

    every = np.concatenate(blocks)
    seen = measure(every)
    if exact or not np.isfinite(seen):
        return Loss(seen, seen, len(every))
    count = len(blocks)
    if count < 2:
        return Loss(seen, float("inf"), len(every))
    left = np.array([measure(np.concatenate(blocks[:k] + blocks[k + 1 :])) for k in range(count)])
    spread = np.sqrt((count - 1) / count * np.square(left - left.mean()).sum())
    return Loss(seen, float(seen + t.ppf(CERTAINTY, count - 1) * spread), len(every))
