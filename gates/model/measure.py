"""A figure as those measure it who train: by it a model is held against others, row by row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.base.figures import Direction

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MOST_MEASURED = 25


@dataclass(frozen=True)
class Measure:
    """One figure of an objective, and how it is measured.

    Attributes:
        name: of the figure, such as `accuracy`.
        compute: `(answers, truth) -> float`, NaN where it is not defined.
        direction: which way is better; one that is better when higher is at most 1.
        per_row: `(answers, truth) -> (sums, counts)`, what each row (N,) adds where the figure is a
            mean; None where only all rows together have it, as a ranking.
        root: whether the figure is the square root of that mean.
    """

    name: str
    compute: "Callable[[Array, Array], float]"
    direction: Direction
    per_row: "Callable[[Array, Array], tuple[Array, Array]] | None" = None
    root: bool = False

    def find_least(self, rows: int) -> float:
        """Return the least error that is told from none: of rates, that of half a row."""
        return 0.5 / max(1, rows) if self.direction == "higher" else 0.0

    def to_error(self, values: "Array | float") -> "Array":
        """Return figures as errors, 0 at best: 1 less those that are better when higher."""
        import numpy as np

        errors: Array = np.asarray(values if self.direction == "lower" else 1 - values)
        return errors


def measure_errors(measure: Measure, answers: "Array", truth: "Array", blocks: "Array") -> "Array":
    """Return the error over all rows, and over all but those of each block: (1 + B,).

    Args:
        measure: what is measured.
        answers: of one model to N rows.
        truth: of the rows.
        blocks: (N,) numbers of blocks, from 0 to B - 1, none of them empty. Where each costs a
            measurement, neighbours are joined.
    """
    import numpy as np

    if measure.per_row is not None:
        return add_errors(measure, *measure.per_row(answers, truth), blocks)
    found = [measure.compute(answers, truth)]
    blocks, count = _merge(blocks)
    for block in range(count):
        kept = blocks != block
        found.append(measure.compute(answers[kept], truth[kept]))
    return measure.to_error(np.array(found, dtype=np.float64))


def measure_error(measure: Measure, answers: "Array", truth: "Array") -> float:
    """Return the error over all rows; NaN where it is not defined."""
    import numpy as np

    if measure.per_row is not None:
        none = np.zeros(len(truth), dtype=np.int64)
        return float(measure_errors(measure, answers, truth, none)[0])
    return float(measure.to_error(measure.compute(answers, truth)))


def add_errors(measure: Measure, sums: "Array", counts: "Array", blocks: "Array") -> "Array":
    """Return the same as `measure_errors` from what each row adds."""
    import numpy as np

    totals, sizes = (leave_out(values, blocks) for values in (sums, counts))
    means = np.divide(totals, sizes, out=np.full_like(totals, np.nan), where=sizes > 0)
    return measure.to_error(np.sqrt(means) if measure.root else means)


def _merge(blocks: "Array") -> "tuple[Array, int]":
    """Return at most `MOST_MEASURED` blocks, and how many."""
    count = int(blocks.max()) + 1 if len(blocks) else 0
    if count <= MOST_MEASURED:
        return blocks, count
    return blocks * MOST_MEASURED // count, MOST_MEASURED


def leave_out(values: "Array", blocks: "Array") -> "Array":
    """Return the sum of all values, and of all but those of each block."""
    import numpy as np

    of_block = np.bincount(blocks, weights=values)
    total = of_block.sum()
    if not np.isfinite(total):
        return np.full(len(of_block) + 1, np.nan)
    left: Array = np.concatenate([[total], total - of_block])
    # What is left of equal numbers can end a rounding below 0.
    return np.maximum(left, 0.0)
