"""What one shard adds to the comparison of two versions, and what follows from all: everything merges, nothing is kept.

Three things are measured on a grid that the accepted version sets: where each column's values lie,
how columns go together, and how they go with the time of day.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
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
_STRONG = 0.7  # of a column's standard deviation, which its pattern of the day then mostly is
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
    """

    counts: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)
    products: "np.ndarray[Any, Any] | None" = None
    hours: "np.ndarray[Any, Any] | None" = None
    phases: Mapping[str, int] = field(default_factory=dict)
    steps: Steps | None = None
    step_ns: int = 0

    def merge(self, other: "Profile") -> "Profile":
        """Return the sums of both; blocks of hours follow each other."""
        import numpy as np

        phases = dict(self.phases)
        for name, count in other.phases.items():
            phases[name] = phases.get(name, 0) + count
        hours = [part for part in (self.hours, other.hours) if part is not None]
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
) -> Profile:
    """Return what some rows add.

    Args:
        columns: (N,) float of each column; NaN where missing.
        grids: of the accepted version, by column.
        times: (N,) nanoseconds since 1970; None where rows have no time.
        step_ns: usual time between rows of the accepted version; 0 if unknown.
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
    )


def count_slots(step_ns: int) -> int:
    """Return the number of slots of a day: hours, or quarters of an hour if rows come at least that often."""
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
    """Return the largest certain change of a correlation, and the pair's names; 0 where chance may have made all.

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
    varies = [np.diag(related) > 0 for related in (before, after)]
    judged = np.outer(varies[0] & varies[1], varies[0] & varies[1]) & ~np.eye(
        len(before), dtype=np.bool_
    )
    size = np.maximum(np.abs(after - before), np.abs(z) / 3)
    change = np.where(judged & (np.abs(z) > 5 * error), size, 0.0)
    if not change.any():
        return 0.0, ""
    row, column = np.unravel_index(int(np.argmax(change)), change.shape)
    return float(change[row, column]), f"{names[int(row)]} with {names[int(column)]}"


@dataclass(frozen=True)
class ClockShift:
    """How far the pattern of the day has moved.

    Attributes:
        minutes: of the block that moved most, less than a day; 0 if none did more than the accepted
            version's own.
        column: of which the pattern is the strongest; empty if there is no daily pattern to go by.
        accepted_minutes: the most that the accepted version's own blocks moved.
    """

    minutes: float
    column: str
    accepted_minutes: float


def find_clock_shift(
    accepted: "np.ndarray[Any, Any]", current: "np.ndarray[Any, Any]", names: Sequence[str]
) -> ClockShift:
    """Return how far the day's pattern moved, by the shift that correlates best with the accepted pattern.

    Blocks of about four weeks are compared, and single weeks of a strong pattern, each with what
    the accepted version's own blocks of that length do, so that a clock that jumps on the way is
    found.
    """
    import numpy as np

    slots = accepted.shape[2]
    total = accepted.sum(axis=0)
    pattern = total[:-1] / np.maximum(total[-1], 1)
    scale = pattern.std(axis=1)
    if (total[-1] == 0).any() or not len(scale) or scale.max() < 0.3:
        return ClockShift(0.0, "", 0.0)
    best = int(np.argmax(scale))
    minutes = 24 * 60 / slots
    # Single weeks of a weak pattern wander by themselves; those of a strong one do not.
    for weeks in (4, 1) if scale[best] >= _STRONG else (4,):
        own = _find_furthest(pattern[best], _join_blocks(accepted, weeks), best)
        moved = _find_furthest(pattern[best], _join_blocks(current, weeks), best)
        if moved > own:
            return ClockShift(moved * minutes, names[best], own * minutes)
    return ClockShift(0.0, names[best], 0.0)


def _find_furthest(
    pattern: "np.ndarray[Any, Any]", blocks: "Sequence[np.ndarray[Any, Any]]", column: int
) -> int:
    """Return the furthest, in slots, that two blocks in a row moved alike; a clock that has jumped stays where it is."""
    shifts = [_find_shift(pattern, block, column) for block in blocks]
    if len(shifts) == 1:
        return abs(shifts[0])
    pairs = [(left, right) for left, right in pairwise(shifts) if abs(left - right) <= 1]
    return max((min(abs(left), abs(right)) for left, right in pairs), default=0)


def _join_blocks(hours: "np.ndarray[Any, Any]", weeks: int) -> "list[np.ndarray[Any, Any]]":
    """Return sums over about so many weeks each."""
    import numpy as np

    groups = max(1, len(hours) // weeks)
    return [hours[index].sum(axis=0) for index in np.array_split(np.arange(len(hours)), groups)]


def _find_shift(pattern: "np.ndarray[Any, Any]", block: "np.ndarray[Any, Any]", column: int) -> int:
    """Return the shift, in slots, at which a block's day fits the pattern clearly better than unshifted; else 0."""
    import numpy as np

    rows = block[-1]
    if (rows < 2).any():
        return 0
    day = block[column] / rows
    if day.std() < 0.1:
        return 0
    fits = np.array(
        [np.corrcoef(np.roll(pattern, shift), day)[0, 1] for shift in range(len(pattern))]
    )
    best = int(np.argmax(fits))
    if fits[best] < 0.8 or fits[best] - fits[0] < 0.02:
        return 0
    return best if best <= len(pattern) // 2 else best - len(pattern)
