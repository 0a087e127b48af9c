"""Measures how time goes on from row to row of series, in sums over shards that merge."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_LATE = 1.5
_SHORT_GAP = 8


@dataclass(frozen=True)
class Steps:
    """Figures of the time between the rows of an entity.

    Attributes:
        rows: number of rows.
        back: rows that lie before the row before them, or at the time of another.
        missing_ns: time without rows: what gaps are longer than the usual step.
        longest_ns: the longest time between two rows.
        bounds: first and last time of each entity.
    """

    rows: int = 0
    back: int = 0
    missing_ns: int = 0
    longest_ns: int = 0
    bounds: "Mapping[int, tuple[int, int]]" = field(default_factory=dict)

    @property
    def missing_share(self) -> float:
        """Share of the time from first to last row in which there are none."""
        span = sum(last - first for first, last in self.bounds.values())
        return self.missing_ns / span if span else 0.0

    def merge(self, other: "Steps", step_ns: int) -> "Steps":
        """Return the figures of both; the gap between them counts, whichever comes first."""
        bounds = dict(self.bounds)
        missing, longest = (
            self.missing_ns + other.missing_ns,
            max(self.longest_ns, other.longest_ns),
        )
        for entity, (first, last) in other.bounds.items():
            begin, end = bounds.get(entity, (first, last))
            gap = max(first - end, begin - last)
            missing += gap - step_ns if gap > _LATE * step_ns else 0
            longest = max(longest, gap)
            bounds[entity] = (min(begin, first), max(end, last))
        return Steps(self.rows + other.rows, self.back + other.back, missing, longest, bounds)


def measure_steps(
    entities: "np.ndarray[Any, Any]", times: "np.ndarray[Any, Any]", step_ns: int
) -> Steps:
    """Return the figures of some rows.

    Args:
        entities: (N,) of each row.
        times: (N,) nanoseconds since 1970, as the source gives them.
        step_ns: usual time between rows.
    """
    import numpy as np

    if not len(times):
        return Steps()
    back = int(((entities[1:] == entities[:-1]) & (times[1:] < times[:-1])).sum())
    order = np.lexsort((times, entities))
    ids, moments = entities[order], times[order]
    gaps = np.diff(moments)[ids[1:] == ids[:-1]]
    back += int((gaps == 0).sum())
    known, starts = np.unique(ids, return_index=True)
    stops = [*(starts[1:] - 1), len(ids) - 1]
    spans = zip(known.tolist(), moments[starts].tolist(), moments[stops].tolist(), strict=True)
    bounds = {entity: (first, last) for entity, first, last in spans}
    missing = int((gaps[gaps > _LATE * step_ns] - step_ns).sum())
    return Steps(len(times), back, missing, int(gaps.max(initial=0)), bounds)


def compare_gaps(accepted: Steps, current: Steps, step_ns: int) -> float:
    """Return the longest gap over the accepted one's; one of up to eight steps counts as eight."""
    return current.longest_ns / max(accepted.longest_ns, _SHORT_GAP * step_ns, 1)
