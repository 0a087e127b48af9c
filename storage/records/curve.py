"""The curve of a training, as `reports/<run>/curve.json` holds it: one point an epoch."""

from storage.base.figures import Figure, find_value
from storage.records.receipts import Record


class CurvePoint(Record):
    """One epoch of training.

    Attributes:
        epoch: Counted from 0.
        figures: What was measured in it, on the rows that each figure names; `cpu_s` is the
            processor time of the epoch and its validation, over all ranks, in seconds.
    """

    epoch: int
    figures: tuple[Figure, ...] = ()

    def find(self, name: str, split: str) -> float | None:
        """Return the value of a figure; None where it was not measured."""
        return find_value(self.figures, name, split)
