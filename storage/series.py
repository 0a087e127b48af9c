"""Series: rows sorted by entity and time, cut into shards in that order; what is missing or doubled is reported."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.rows import Rows
from storage.sources.tables import SERIES_ID, TIME

LISTED_GAPS = 100


class Gap(BaseModel):
    """Times that are missing: the last time before them and the first one after, in nanoseconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    series_id: int
    after: int
    before: int


class SeriesReport(BaseModel):
    """What was found about the order of series.

    Attributes:
        entities: Number of entities.
        step_ns: The most frequent time between two rows of an entity, in nanoseconds; 0 where there are no two.
        gap_count: Places where the next row comes later than that.
        gaps: The first 100 of them.
        duplicate_count: Rows with the entity and time of another one; only the first of these is kept.
        unsorted_count: Rows that came before their predecessor in time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entities: int
    step_ns: int
    gap_count: int
    gaps: tuple[Gap, ...]
    duplicate_count: int
    unsorted_count: int


@dataclass(frozen=True)
class SeriesPlan:
    """Where each bucket of each split begins, as (entity, time); the first bucket of a split begins anywhere."""

    starts: tuple[tuple[tuple[int, int], ...], ...]

    def find_buckets(self, rows: Rows, splits: NDArray[np.int8], first_buckets: Sequence[int]) -> NDArray[np.int64]:
        """Number of the bucket of each row, shape (N,)."""
        buckets = np.asarray(first_buckets, dtype=np.int64)[splits]
        entities, times = rows[SERIES_ID], rows[TIME]
        for split, starts in enumerate(self.starts):
            here = splits == split
            for entity, time in starts:
                buckets += here & ((entities > entity) | ((entities == entity) & (times >= time)))
        return buckets


def plan_series(
    entities: NDArray[np.int64],
    times: NDArray[np.int64],
    splits: NDArray[np.int8],
    buckets: Sequence[int],
    *,
    whole_entities: bool,
) -> SeriesPlan:
    """Cuts each split into runs of nearly equal length.

    Args:
        entities: Entity of each row, shape (N,).
        times: Time of each row, shape (N,).
        splits: Split of each row, shape (N,).
        buckets: Number of runs of each split; there may be fewer.
        whole_entities: Whether a run may only begin where an entity begins.
    """
    found = []
    for split, count in enumerate(buckets):
        here = splits == split
        order = np.lexsort((times[here], entities[here]))
        ids, moments = entities[here][order], times[here][order]
        places = sorted({len(ids) * run // count for run in range(1, count)} - {0, len(ids)})
        if whole_entities:
            places = sorted({int(np.searchsorted(ids, ids[place])) for place in places} - {0})
        found.append(tuple(dict.fromkeys((int(ids[place]), int(moments[place])) for place in places)))
    return SeriesPlan(tuple(found))


def sort_series(rows: Rows) -> tuple[Rows, int]:
    """Rows by entity and time; of rows with the same, the first is kept, and the others are counted."""
    order = np.lexsort((np.arange(len(rows[TIME])), rows[TIME], rows[SERIES_ID]))
    entities, times = rows[SERIES_ID][order], rows[TIME][order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (entities[1:] != entities[:-1]) | (times[1:] != times[:-1])
    return {name: values[order[new]] for name, values in rows.items()}, int((~new).sum())


def inspect_series(entities: NDArray[np.int64], times: NDArray[np.int64]) -> SeriesReport:
    """Looks for gaps, duplicates and disorder in rows as the source gives them."""
    unsorted = int(((entities[1:] == entities[:-1]) & (times[1:] < times[:-1])).sum())
    order = np.lexsort((times, entities))
    entities, times = entities[order], times[order]
    same = entities[1:] == entities[:-1]
    steps = np.diff(times)
    step = _find_most_frequent(steps[same & (steps > 0)])
    places = np.flatnonzero(same & (steps > step)) if step else np.empty(0, dtype=np.int64)
    gaps = [
        Gap(series_id=int(entities[at]), after=int(times[at]), before=int(times[at + 1])) for at in places[:LISTED_GAPS]
    ]
    return SeriesReport(
        entities=len(np.unique(entities)),
        step_ns=step,
        gap_count=len(places),
        gaps=tuple(gaps),
        duplicate_count=int((same & (steps == 0)).sum()),
        unsorted_count=unsorted,
    )


def find_step(entities: NDArray[np.generic], times: NDArray[np.int64]) -> int:
    """The most frequent time between two neighbouring rows of an entity, in nanoseconds; 0 where there are no two."""
    order = np.lexsort((times, entities))
    steps = np.diff(times[order])
    return _find_most_frequent(steps[(entities[order][1:] == entities[order][:-1]) & (steps > 0)])


def _find_most_frequent(steps: NDArray[np.int64]) -> int:
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0
