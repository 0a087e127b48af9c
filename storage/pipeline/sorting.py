"""Sorts series by entity and time, and cuts them into shards in that order.

What is missing or doubled is reported.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.forms.columns import SERIES_ID, TIME
from storage.pipeline.timeline import Moment, Stretch, Timeline
from storage.shards.row_ids import Rows, mix_keys

LISTED_GAPS = 100


class Gap(BaseModel):
    """Times that are missing between two rows, in nanoseconds since 1970.

    The last time before them and the first one after.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    series_id: int
    after: int
    before: int


class SeriesReport(BaseModel):
    """What was found about the order of series.

    Attributes:
        entities: Number of entities.
        step_ns: The most frequent time between two rows of an entity, in nanoseconds; 0 where there
            are no two.
        gap_count: Places where the next row comes later than that.
        gaps: The first 100 of them.
        duplicate_count: Rows with the entity and time of another one; only the first of these is
            kept.
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
    """Where each bucket of each split begins, as (entity, time).

    The first bucket of a split begins anywhere.
    """

    starts: tuple[tuple[tuple[int, int], ...], ...]

    def find_buckets(
        self, rows: Rows, splits: NDArray[np.int8], first_buckets: Sequence[int]
    ) -> NDArray[np.int64]:
        """Return the number of the bucket of each row, shape (N,)."""
        buckets = np.asarray(first_buckets, dtype=np.int64)[splits]
        entities, times = rows[SERIES_ID], rows[TIME]
        for split, starts in enumerate(self.starts):
            here = splits == split
            for entity, time in starts:
                buckets += here & ((entities > entity) | ((entities == entity) & (times >= time)))
        return buckets


def plan_series(
    timeline: Timeline, rows: Sequence[int], buckets: Sequence[int], *, whole_entities: bool
) -> SeriesPlan:
    """Cuts each split into runs of nearly equal length.

    Args:
        timeline: Of all rows, counted by split.
        rows: Number of rows of each split.
        buckets: Number of runs of each split; there may be fewer.
        whole_entities: Whether a run may only begin where an entity begins.
    """
    runs = [
        _Runs(length, count, whole_entities) for length, count in zip(rows, buckets, strict=True)
    ]
    for stretch in timeline:
        for split, found in enumerate(runs):
            found.add(stretch.take(np.flatnonzero(stretch.counts[:, split])), split)
    return SeriesPlan(tuple(tuple(found.starts) for found in runs))


class _Runs:
    """Where the runs of one split begin, at certain places of its rows.

    The moments come in order.
    """

    def __init__(self, rows: int, runs: int, whole_entities: bool) -> None:
        self.starts: dict[Moment, None] = {}
        self._places = np.array(
            sorted({rows * run // runs for run in range(1, runs)} - {0, rows}), np.int64
        )
        self._whole = whole_entities
        self._passed = 0
        self._first: Moment | None = None
        self._begin: Moment | None = None

    def add(self, moments: Stretch, split: int) -> None:
        """Adds the next moments of the split."""
        if not len(moments):
            return
        names = moments.entities
        news = np.flatnonzero(
            np.concatenate(
                [[self._begin is None or self._begin[0] != names[0]], names[1:] != names[:-1]]
            )
        )
        ends = self._passed + np.cumsum(moments.counts[:, split])
        inside = self._places[(self._places >= self._passed) & (self._places < ends[-1])]
        self._first = self._first or _name_moment(moments, 0)
        for at in np.searchsorted(ends, inside, side="right").tolist():
            start = (
                self._find_begin(moments, news, at) if self._whole else _name_moment(moments, at)
            )
            if not self._whole or start != self._first:
                self.starts[start] = None
        self._begin = self._find_begin(moments, news, len(moments) - 1)
        self._passed = int(ends[-1])

    def _find_begin(self, moments: Stretch, news: NDArray[np.intp], at: int) -> Moment:
        """Return where the entity of a moment begins."""
        before = int(np.searchsorted(news, at, side="right"))
        if before == 0 and self._begin is not None:
            return self._begin
        return _name_moment(moments, int(news[before - 1]))


def _name_moment(moments: Stretch, at: int) -> Moment:
    return int(moments.entities[at]), int(moments.times[at])


def sort_series(rows: Rows) -> tuple[Rows, int]:
    """Sorts rows by entity and time; keeps the first of equal ones and counts the others."""
    order = np.lexsort((np.arange(len(rows[TIME])), rows[TIME], rows[SERIES_ID]))
    entities, times = rows[SERIES_ID][order], rows[TIME][order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (entities[1:] != entities[:-1]) | (times[1:] != times[:-1])
    return {name: values[order[new]] for name, values in rows.items()}, int((~new).sum())


def inspect_series(timeline: Timeline, unsorted_count: int) -> SeriesReport:
    """Looks for gaps and duplicates.

    Args:
        timeline: Of all rows.
        unsorted_count: What is known of their order in the source, by `count_unsorted`.
    """
    entities, duplicates = 0, 0
    last: int | None = None
    for stretch in timeline:
        entities += len(np.unique(stretch.entities)) - (stretch.entities[0] == last)
        duplicates += int(stretch.counts.sum()) - len(stretch)
        last = stretch.last[0]
    step = _find_usual_step(timeline)
    gaps: list[Gap] = []
    gap_count = 0
    for before, names, steps in _iter_steps(timeline) if step else ():
        places = np.flatnonzero(steps > step)
        gap_count += len(places)
        for at in places[: LISTED_GAPS - len(gaps)].tolist():
            after = int(before[at])
            gaps.append(Gap(series_id=int(names[at]), after=after, before=after + int(steps[at])))
    return SeriesReport(
        entities=int(entities),
        step_ns=step,
        gap_count=gap_count,
        gaps=tuple(gaps),
        duplicate_count=duplicates,
        unsorted_count=unsorted_count,
    )


def count_unsorted(shards: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> int:
    """Return the rows that come before their predecessor in time, which is of the same entity.

    Args:
        shards: Entity and time of the rows of each shard, in the order of the source.
    """
    count = 0
    last: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    for shard in shards:
        if not len(shard[0]):
            continue
        entities, times = (
            shard
            if last is None
            else (np.concatenate(both) for both in zip(last, shard, strict=True))
        )
        count += int(((entities[1:] == entities[:-1]) & (times[1:] < times[:-1])).sum())
        last = entities[-1:], times[-1:]
    return count


def _iter_steps(
    timeline: Timeline,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield time, entity and time to the next moment of each moment that has a next one."""
    last: Moment | None = None
    for stretch in timeline:
        names, times = stretch.entities, stretch.times
        if last is not None:
            names, times = np.concatenate([[last[0]], names]), np.concatenate([[last[1]], times])
        places = np.flatnonzero(names[1:] == names[:-1])
        yield times[places], names[places], np.diff(times)[places]
        last = stretch.last


def _find_usual_step(timeline: Timeline) -> int:
    """Return the most frequent time between two moments of an entity; 0 without any.

    Of equally frequent ones the shortest.

    Times at random have as many steps as rows: these are counted one part of them after the other.
    """
    parts = 1
    while True:
        best = (0, 0)
        for part in range(parts):
            found = _count_steps(timeline, part, parts)
            if found is None:
                break
            values, counts = found
            if len(values):
                at = int(counts.argmax())  # of equal ones the first, which is the shortest
                best = max(best, (int(counts[at]), -int(values[at])))
        else:
            return -best[1]
        parts *= 2


def _count_steps(
    timeline: Timeline, part: int, parts: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Counts the different steps of a part, ascending; None where they are too many to hold."""
    values, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for _, _, steps in _iter_steps(timeline):
        if parts > 1:
            steps = steps[mix_keys(steps.view(np.uint64), "steps") % np.uint64(parts) == part]
        fresh, often = np.unique(steps, return_counts=True)
        joined = np.concatenate([values, fresh])
        values, slots = np.unique(joined, return_inverse=True)
        counts = np.bincount(
            slots, weights=np.concatenate([counts, often]), minlength=len(values)
        ).astype(np.int64)
        if len(values) > timeline.most:
            return None
    return values, counts
