"""Where the standard head of rows puts what: the order of its features."""

from dataclasses import dataclass

from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import RowSample

DATE_PARTS = ("day", "week", "year")
"""Periods in which the place of a date is told."""


@dataclass(frozen=True)
class Layout:
    """Places of the features of a row, each part behind the one before it.

    Attributes:
        numbers: Columns of numbers, those that are forecast first.
        mask: Whether each of them is missing; empty where that is not told.
        combinations: Products, then differences.
        categories: Features of each column of categories.
        dates: Sines and cosines of dates.
        calendar: Sines and cosines of the time.
        scales: Level, then scale, of the entity in each column that is forecast.
    """

    numbers: range
    mask: range
    combinations: range
    categories: tuple[range, ...]
    dates: range
    calendar: range
    scales: range

    @property
    def width(self) -> int:
        """Features of a row."""
        return self.scales.stop

    def list_known(self, sample: RowSample) -> list[int]:
        """Returns the places of what is known of steps to come, the entity and the time too."""
        count = sample.known
        found = [*self.numbers[len(self.numbers) - count :], *self.mask[len(self.mask) - count :]]
        for column, places in zip(sample.categories, self.categories, strict=True):
            found += places if sample.is_known(column) else ()
        return [*found, *self.calendar]


def lay_out(sample: RowSample, spec: HeadSpec) -> Layout:
    """Returns where the features of a row stand."""
    numbers = len(sample.numbers)
    tells_missing = sample.window is None if spec.mask is None else spec.mask
    dates = sum(column.date for column in sample.numbers)
    widths = [
        numbers,
        numbers if tells_missing else 0,
        len(spec.products) + len(spec.differences),
        *(column.count_features(spec.embed) for column in sample.categories),
        2 * len(DATE_PARTS) * dates,
        2 * len(spec.calendar),
        2 * sample.forecast if spec.normalise == "entity" else 0,
    ]
    places, start = [], 0
    for width in widths:
        places.append(range(start, start + width))
        start += width
    return Layout(
        numbers=places[0],
        mask=places[1],
        combinations=places[2],
        categories=tuple(places[3:-3]),
        dates=places[-3],
        calendar=places[-2],
        scales=places[-1],
    )
