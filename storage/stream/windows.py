"""Windows of series: which runs of rows are samples. They are cut while streaming and never stored.

A window lies inside one entity and does not bridge a gap in time. Its *asked* rows, those of the
horizon (or the last of the lookback where there is no horizon), always lie in the split that is
streamed. Its lookback does as well, unless the stream is given other splits as context: then it may
reach into rows of theirs that come before, never after.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from storage.base.errors import InvalidInput
from storage.stream.resident import Indices, ResidentShards
from storage.stream.row_samples import Batch

# Fields that name a row: a window carries those of the last row that its model sees.
LABELS_OF_A_ROW = frozenset({"row_id", "series_id", "content_hash"})
WINDOW_ROWS = "row_id__window"
"""Field of the ids of all rows of a window, (samples, lookback + lead + horizon)."""


class Window(BaseModel):
    """The shape of a sample of a series.

    Attributes:
        lookback: Rows of the past that a model sees.
        horizon: Rows after them that it is asked for; 0 where only the past is wanted.
        lead: Rows between the past and those that a model is asked for.
        stride: Rows between the starts of two samples of one entity.
        max_gap_steps: Longest time between two neighbouring rows of a window, in steps of the
            series; None for any. A step is the most frequent time between two rows. 1.5 forgives
            clocks that jitter and months that differ, and lets no missing row through.
        last_only: Whether the last window of each entity is the only one; strides do not count
            then.
        names_rows: Whether `row_id__window` is given, too: the ids of all rows of each window.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lookback: int = Field(ge=1)
    horizon: int = Field(default=0, ge=0)
    lead: int = Field(default=0, ge=0)
    stride: int = Field(default=1, ge=1)
    max_gap_steps: float | None = Field(default=1.5, ge=1)
    last_only: bool = False
    names_rows: bool = False

    @property
    def length(self) -> int:
        """Rows of a sample."""
        return self.lookback + self.lead + self.horizon

    @property
    def asked(self) -> int:
        """Rows at the end of a sample that a model answers for."""
        return max(1, self.horizon)


@dataclass(frozen=True)
class SeriesRows:
    """What windows are cut by.

    Attributes:
        series: The entity of each row, shape (N,).
        times: The time of each row in nanoseconds, shape (N,); None where rows have none.
        step_ns: The usual time between two rows; 0 where it is not known.
        own_shards: How many of the shards, the first ones, are of the split that is streamed; the
            others are context.
    """

    series: NDArray[np.generic]
    times: NDArray[np.int64] | None
    step_ns: int
    own_shards: int


def number_runs(
    series: NDArray[np.generic], times: NDArray[np.int64] | None, longest_ns: float | None
) -> Indices:
    """Numbers the runs of rows that a window may lie in, shape (N,).

    Args:
        series: The entity of each row, shape (N,); an entity is a run of equal values, sorted by
            time.
        times: The time of each row, shape (N,); None where only entities count.
        longest_ns: Longest time between two rows of a run, in nanoseconds; None for any.
    """
    breaks = series[1:] != series[:-1]
    if times is not None and longest_ns is not None:
        passed = np.diff(times)
        breaks = breaks | (passed > longest_ns) | (passed <= 0)
    return np.concatenate(([0], np.cumsum(breaks))) if len(series) else np.empty(0, dtype=np.int64)


def find_windows(runs: Indices, window: Window, own: NDArray[np.bool_] | None = None) -> Indices:
    """Return the first rows of all windows that lie inside one run.

    Args:
        runs: Number of the run of each row, shape (N,), as `number_runs` gives them.
        window: Shape of the windows.
        own: Rows that a model may be asked for, shape (N,); None for all.

    Returns:
        Row numbers in ascending order, shape (samples,). Strides count from the first possible
        window on: of a run, or of each stretch of own rows in it.
    """
    if len(runs) < window.length:
        return np.empty(0, dtype=np.int64)
    first, last = runs[: len(runs) - window.length + 1], runs[window.length - 1 :]
    possible = first == last
    if own is not None:
        before = np.concatenate(([0], np.cumsum(own)))
        ends = np.arange(window.length, len(runs) + 1)
        possible &= before[ends] - before[ends - window.asked] == window.asked
    starts = np.flatnonzero(possible)
    fresh = np.ones(len(starts), dtype=np.bool_)
    fresh[1:] = (np.diff(starts) != 1) | (runs[starts[1:]] != runs[starts[:-1]])
    origins = starts[fresh][np.cumsum(fresh) - 1] if len(starts) else starts
    stride = 1 if window.last_only else window.stride
    strided: Indices = starts[(starts - origins) % stride == 0]
    return strided


def keep_last(starts: Indices, series: NDArray[np.generic]) -> Indices:
    """Return the last first row of each entity.

    Args:
        starts: First rows of windows, ascending, shape (K,).
        series: The entity of each row, shape (N,).
    """
    entities = series[starts]
    last = np.ones(len(starts), dtype=np.bool_)
    last[:-1] = entities[1:] != entities[:-1]
    return starts[last]


def count_by_shard(rows: Indices, shard_rows: Sequence[int]) -> list[int]:
    """Counts how many of some rows lie in each shard.

    Args:
        rows: Numbers of rows, ascending, shape (K,).
        shard_rows: Rows of each shard, in stored order.
    """
    before = np.searchsorted(rows, np.cumsum(shard_rows), side="left")
    return [int(count) for count in np.diff(before, prepend=0)]


class WindowSamples:
    """Every window is a sample, and counts for the shard of the first row that it is asked for.

    Args:
        rows: What windows are cut by: all rows of the shards, in stored order.
        shard_rows: Rows of each shard.
        window: Shape of the windows.
        name: What is streamed, for messages.

    Raises:
        InvalidInput: There is no window, or context is asked for where rows have no time.
    """

    def __init__(
        self, rows: SeriesRows, shard_rows: Sequence[int], window: Window, name: str = "the rows"
    ) -> None:
        self._window = window
        sizes = np.asarray(shard_rows, dtype=np.int64)
        self._ends = np.cumsum(sizes)
        self._first_rows: Indices = self._ends - sizes
        self._line = _sort_line(rows, len(shard_rows))
        limit = window.max_gap_steps
        longest_ns = limit * rows.step_ns if limit is not None and rows.step_ns else None
        times = None if rows.times is None else rows.times[self._line]
        runs = number_runs(rows.series[self._line], times, longest_ns)
        own = self._line < self._ends[rows.own_shards - 1]
        starts = find_windows(runs, window, own)
        if window.last_only:
            starts = keep_last(starts, rows.series[self._line])
        if not len(starts):
            raise InvalidInput(_describe_none(runs, own, window, name))
        homes = self._line[starts + window.length - window.asked]
        ordered = np.argsort(homes, kind="stable")
        self._starts: Indices = starts[ordered]
        self.counts = tuple(count_by_shard(homes[ordered], shard_rows))
        self.needs = tuple(self._find_needs())

    def offsets(self, memory: ResidentShards) -> Indices:
        """Return the numbers of windows: those of the rows that they are first asked for."""
        counts = np.asarray(self.counts, dtype=np.int64)
        return np.cumsum(counts) - counts

    def locate(self, memory: ResidentShards, numbers: Indices) -> Indices:
        """Return the first rows of the windows, on the line of all rows."""
        return np.where(numbers < 0, -1, self._starts[np.maximum(numbers, 0)])

    def gather(self, memory: ResidentShards, places: Indices) -> Batch:
        """Return fields (samples, lookback, ...) and `<field>__future` of the rows behind them.

        These are (samples, lead + horizon, ...).
        """
        rows = self._line[places[:, None] + np.arange(self._window.length)]
        shards = np.searchsorted(self._ends, rows, side="right")
        found = memory.locate(rows - self._first_rows[shards] + memory.offsets[shards])
        past, future = found[:, : self._window.lookback], found[:, self._window.lookback :]
        batch: Batch = {}
        for name, array in memory.arrays.items():
            if name in LABELS_OF_A_ROW:
                batch[name] = array.take(past[:, -1], axis=0)
                if name == "row_id" and self._window.names_rows:
                    batch[WINDOW_ROWS] = array.take(found, axis=0)
                continue
            batch[name] = array.take(past, axis=0)
            if self._window.horizon:
                batch[f"{name}__future"] = array.take(future, axis=0)
        return batch

    def _find_needs(self) -> list[tuple[int, ...]]:
        """Return the shards that the windows of each shard reach into; itself first."""
        shard_of = np.searchsorted(self._ends, self._line, side="right")
        needs: list[tuple[int, ...]] = []
        for shard, (count, stop) in enumerate(
            zip(self.counts, np.cumsum(self.counts).tolist(), strict=True)
        ):
            if not count:
                needs.append((shard,))
                continue
            starts = self._starts[stop - count : stop]
            low, high = int(starts.min()), int(starts.max()) + self._window.length
            # Begun and not yet ended windows at each row, so that what lies between two windows is
            # not loaded for them.
            begun = np.bincount(starts - low, minlength=high - low + 1)
            ended = np.bincount(starts - low + self._window.length, minlength=high - low + 1)
            covered = np.cumsum(begun - ended)[: high - low] > 0
            touched = np.unique(shard_of[low:high][covered]).tolist()
            needs.append((shard, *(other for other in touched if other != shard)))
        return needs


def _sort_line(rows: SeriesRows, shards: int) -> Indices:
    """Return the numbers of all rows as windows run over them.

    As stored, or by entity and time where context comes in between.
    """
    if rows.own_shards == shards:
        return np.arange(len(rows.series))
    if rows.times is None:
        raise InvalidInput(
            "rows whose windows look back into other splits must have a field time; got none; "
            "leave context out"
        )
    return np.lexsort((rows.times, rows.series))


def _describe_none(runs: Indices, own: NDArray[np.bool_], window: Window, name: str) -> str:
    longest = int(np.bincount(runs).max()) if len(runs) else 0
    asked = int(np.bincount(runs[own]).max()) if own.any() else 0
    if longest >= window.length and asked < window.asked:
        return (
            f"the rows that a window is asked for ({window.asked}) must lie in {name}, in one "
            f"entity without a gap; the longest such run has {asked} rows; shorten the horizon, or "
            "give that split more rows"
        )
    ahead = window.length - window.lookback
    return (
        f"a window ({window.lookback} + {ahead} rows) must fit into the rows of one "
        f"entity without a gap; in {name} the longest such run has {longest} rows; choose a "
        "shorter one, or a larger max_gap_steps (null for any gap)"
    )
