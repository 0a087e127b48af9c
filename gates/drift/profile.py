"""Measures what one shard adds to the comparison of two versions; everything merges.

Three things are measured on a grid that the accepted version sets: where each column's values lie,
how columns go together, and how they go with the time of day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gates.drift.cells import count_cells
from gates.drift.divergence import Histogram
from gates.drift.time_steps import Steps

if TYPE_CHECKING:
    import numpy as np

CELLS = 512
_NEAR_CELLS = 26
MOST_RELATED = 64
DAY_NS = 86_400 * 10**9
_CLIP = 8.0  # standard deviations: one absurd value does not make or break a correlation


@dataclass(frozen=True)
class Grid:
    """How a column is measured.

    Attributes:
        edges: ascending; the first and last cell reach far beyond the accepted range.
        mean: of the accepted version.
        std: of the accepted version, above 0.
    """

    edges: tuple[float, ...]
    mean: float
    std: float


def make_grid(limits: Sequence[float], mean: float, std: float) -> Grid:
    """Return a grid of 512 equal cells between the outer quantiles, and a few outside them.

    Args:
        limits: least value, low quantile, high quantile, greatest value of the accepted version.
        mean: of the accepted version.
        std: of the accepted version.
    """
    import numpy as np

    least, low, high, greatest = limits
    width = (high - low) or abs(low) * 1e-3 or 1.0
    inner = np.linspace(low - width / CELLS, high + width / CELLS, CELLS)
    reach = max(greatest - least, width)
    # What a longer time of the same brings lies close by, and spreads; a code for missing values
    # does not.
    near = np.linspace(0, 0.05 * reach, _NEAR_CELLS)
    outer = [*(least - near), *(greatest + near), least - reach, greatest + reach]
    edges = sorted(
        {*inner.tolist(), *map(float, outer), least - 1e6 * reach, greatest + 1e6 * reach}
    )
    return Grid(tuple(edges), mean, std if std > 0 else 1.0)


@dataclass(frozen=True)
class Profile:
    """Sums over rows.

    Attributes:
        counts: (cells,) values in each cell, by column.
        products: (C + 1, C + 1) sums of products of standardised columns, the last being 1; missing
            values count as 0.
        hours: (blocks, C, slots) sums of standardised columns by slot of the day, and rows beside
            them in the last column.
        steps: how time goes on from row to row; None where rows are no series.
        step_ns: usual time between rows of the accepted version; 0 if unknown.
        phases: rows by their distance from the grid of times, as `phase in 60ths of a step`.
        clock_hours: the same as hours by the clocks of the rows' zone; None where they have none.
    """

    counts: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)
    products: "np.ndarray[Any, Any] | None" = None
    hours: "np.ndarray[Any, Any] | None" = None
    phases: Mapping[str, int] = field(default_factory=dict)
    steps: Steps | None = None
    step_ns: int = 0
    clock_hours: "np.ndarray[Any, Any] | None" = None

    def merge(self, other: "Profile") -> "Profile":
        """Return the sums of both; blocks of hours follow each other."""
        import numpy as np

        phases = dict(self.phases)
        for name, count in other.phases.items():
            phases[name] = phases.get(name, 0) + count
        hours, clock_hours = (
            [part for part in pair if part is not None]
            for pair in ((self.hours, other.hours), (self.clock_hours, other.clock_hours))
        )
        products = [part for part in (self.products, other.products) if part is not None]
        return Profile(
            {name: values + other.counts[name] for name, values in self.counts.items()},
            np.sum(products, axis=0) if products else None,
            np.concatenate(hours) if hours else None,
            phases,
            self.steps.merge(other.steps, self.step_ns)
            if self.steps and other.steps
            else self.steps or other.steps,
            self.step_ns,
            np.concatenate(clock_hours) if clock_hours else None,
        )

    @property
    def rows(self) -> int:
        """Rows whose columns were measured."""
        return int(self.products[-1, -1]) if self.products is not None else 0

    def list_histograms(self, grids: Mapping[str, Grid]) -> dict[str, Histogram]:
        """Return where each column's values lie."""
        return {
            name: Histogram(edges=grids[name].edges, counts=tuple(int(count) for count in values))
            for name, values in self.counts.items()
        }


def measure_profile(
    columns: "Mapping[str, np.ndarray[Any, Any]]",
    grids: Mapping[str, Grid],
    times: "np.ndarray[Any, Any] | None" = None,
    step_ns: int = 0,
    clocks: "np.ndarray[Any, Any] | None" = None,
) -> Profile:
    """Return what some rows add.

    Args:
        columns: (N,) float of each column; NaN where missing.
        grids: of the accepted version, by column.
        times: (N,) nanoseconds since 1970; None where rows have no time.
        step_ns: usual time between rows of the accepted version; 0 if unknown.
        clocks: (N,) the times as the clocks of the rows' zone count them; None without a zone.
    """
    import numpy as np

    counts: dict[str, np.ndarray[Any, Any]] = {}
    related: list[np.ndarray[Any, Any]] = []
    for name, grid in grids.items():
        values = columns[name]
        counts[name] = count_cells(values[np.isfinite(values)], np.array(grid.edges))
        if len(related) < MOST_RELATED:
            scaled = np.clip((values - grid.mean) / grid.std, -_CLIP, _CLIP)
            related.append(np.nan_to_num(scaled))
    if not related:
        return Profile(counts)
    matrix = np.stack([*related, np.ones(len(related[0]))], axis=1)
    profile = Profile(counts, matrix.T @ matrix)
    if times is None or not step_ns or step_ns > DAY_NS // 8 or not len(times):
        return profile
    return Profile(
        counts,
        profile.products,
        _measure_days(matrix, times, step_ns),
        _count_phases(times, step_ns),
        clock_hours=None if clocks is None else _measure_days(matrix, clocks, step_ns),
    )


def count_slots(step_ns: int) -> int:
    """Return the number of slots of a day: hours, or quarters of one if rows are that frequent."""
    return 96 if step_ns <= DAY_NS // 96 else 24 if step_ns <= DAY_NS // 24 else 8


def _measure_days(
    matrix: "np.ndarray[Any, Any]", times: "np.ndarray[Any, Any]", step_ns: int
) -> "np.ndarray[Any, Any]":
    """Return sums by slot of the day in blocks of about a week, (blocks, C + 1, slots)."""
    import numpy as np

    slots = count_slots(step_ns)
    slot = (times % DAY_NS) * slots // DAY_NS
    rows_a_block = max(1, 7 * DAY_NS // step_ns)
    starts = range(0, len(matrix), rows_a_block)
    sums = np.zeros((len(starts), matrix.shape[1], slots))
    for block, start in enumerate(starts):
        inside = slice(start, start + rows_a_block)
        for column in range(matrix.shape[1]):
            sums[block, column] = np.bincount(
                slot[inside], weights=matrix[inside, column], minlength=slots
            )
    return sums


def _count_phases(times: "np.ndarray[Any, Any]", step_ns: int) -> dict[str, int]:
    """Return rows by how far their time is from a whole number of steps, in 60ths of a step."""
    import numpy as np

    found, counts = np.unique((times % step_ns) * 60 // step_ns, return_counts=True)
    return {f"{int(phase):02d}/60": int(count) for phase, count in zip(found, counts, strict=True)}
