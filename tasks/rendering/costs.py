"""What the wrong answers of a page cost together, where a recipe prices them."""

from tasks.rendering.answers import Confusion
from tasks.rendering.base import Part, Text


class ErrorCosts(Part):
    """Wrong answers of one of two classes, and what one of each kind costs.

    Attributes:
        positive: Name of the class that is sought.
        missed: Rows of it that were not found, and what one costs.
        false_alarms: Other rows that were taken for it, and what one costs.
        rows: How many rows were answered.
        found: How many of them are of that class.
    """

    positive: Text
    missed: tuple[int, float]
    false_alarms: tuple[int, float]
    rows: int
    found: int

    @property
    def total(self) -> float:
        """Cost of all wrong answers."""
        return sum(count * price for count, price in (self.missed, self.false_alarms))

    @property
    def plain(self) -> float:
        """What always the same answer would cost, the cheaper one."""
        others = self.rows - self.found
        return min(self.found * self.missed[1], others * self.false_alarms[1])


def price_errors(
    confusion: Confusion, positive: int, missed: float, false_alarm: float
) -> ErrorCosts:
    """Return what the wrong answers cost.

    Args:
        confusion: Rows by truth and answer, (2, 2).
        positive: Place of the class that is sought.
        missed: Cost of a row of it that is not found.
        false_alarm: Cost of another row that is taken for one.
    """
    counts, other = confusion.counts, 1 - positive
    return ErrorCosts(
        positive=confusion.labels[positive],
        missed=(counts[positive][other], missed),
        false_alarms=(counts[other][positive], false_alarm),
        rows=sum(map(sum, counts)),
        found=sum(counts[positive]),
    )


def show_sum(value: float) -> str:
    """Return a sum as people write it: thousands apart, and cents where there are some."""
    return f"{value:,.2f}".removesuffix(".00")
