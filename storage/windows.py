"""Windows of series: which runs of rows are samples. They are cut while streaming and never stored."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from storage.resident import Indices, ResidentShards
from storage.samples import Batch

# Fields that name a row: a window carries those of the last row that its model sees.
LABELS_OF_A_ROW = frozenset({"row_id", "series_id", "content_hash"})


class Window(BaseModel):
    """The shape of a sample of a series.

    Attributes:
        lookback: Rows of the past that a model sees.
        horizon: Rows after them that it is asked for; 0 where only the past is wanted.
        stride: Rows between the starts of two samples of one entity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lookback: int = Field(ge=1)
    horizon: int = Field(default=0, ge=0)
    stride: int = Field(default=1, ge=1)

    @property
    def length(self) -> int:
        """Rows of a sample."""
        return self.lookback + self.horizon


def find_windows(series: NDArray[np.generic], window: Window) -> Indices:
    """First rows of all windows that lie inside one entity.

    Args:
        series: The entity of each row, shape (N,); an entity is a run of equal values, sorted by time.
        window: Shape of the windows.

    Returns:
        Row numbers in ascending order, shape (samples,). The first window of an entity starts at its first row.
    """
    if len(series) < window.length:
        return np.empty(0, dtype=np.int64)
    changes = np.flatnonzero(series[1:] != series[:-1]) + 1
    starts = np.concatenate(([0], changes))
    stops = np.concatenate((changes, [len(series)]))
    return np.concatenate(
        [
            np.arange(start, stop - window.length + 1, window.stride, dtype=np.int64)
            for start, stop in zip(starts, stops, strict=True)
        ]
    )


def split_by_shard(starts: Indices, shard_rows: Sequence[int]) -> list[int]:
    """Counts the windows that begin in each shard.

    Args:
        starts: First rows of the windows, ascending, shape (samples,).
        shard_rows: Rows of each shard, in stored order.

    Returns:
        The number of windows of each shard; 0 where every row is too close to its entity's end.
    """
    ends = np.cumsum(shard_rows)
    before = np.searchsorted(starts, ends, side="left")
    return [int(count) for count in np.diff(before, prepend=0)]


class WindowSamples:
    """Every window is a sample; it may reach over the end of its shard into the next ones.

    Args:
        series: The entity of each row of the split, in stored order, shape (N,).
        shard_rows: Rows of each shard.
        window: Shape of the windows.
    """

    def __init__(self, series: NDArray[np.generic], shard_rows: Sequence[int], window: Window) -> None:
        self._window = window
        self._starts = find_windows(series, window)
        sizes = np.asarray(shard_rows, dtype=np.int64)
        self._ends = np.cumsum(sizes)
        self._first_rows: Indices = self._ends - sizes
        self.counts = tuple(split_by_shard(self._starts, shard_rows))
        self.needs = tuple(self._find_needs())

    def offsets(self, memory: ResidentShards) -> Indices:
        """Windows are numbered in stored order."""
        counts = np.asarray(self.counts, dtype=np.int64)
        return np.cumsum(counts) - counts

    def locate(self, memory: ResidentShards, numbers: Indices) -> Indices:
        """First rows of the windows, in stored order."""
        return np.where(numbers < 0, -1, self._starts[np.maximum(numbers, 0)])

    def gather(self, memory: ResidentShards, places: Indices) -> Batch:
        """One index a field: shape (samples, lookback, ...), and `<field>__future` (samples, horizon, ...)."""
        rows = places[:, None] + np.arange(self._window.length)
        shards = np.searchsorted(self._ends, rows, side="right")
        found = memory.locate(rows - self._first_rows[shards] + memory.offsets[shards])
        past, future = found[:, : self._window.lookback], found[:, self._window.lookback :]
        batch: Batch = {}
        for name, array in memory.arrays.items():
            if name in LABELS_OF_A_ROW:
                batch[name] = array.take(past[:, -1], axis=0)
                continue
            batch[name] = array.take(past, axis=0)
            if self._window.horizon:
                batch[f"{name}__future"] = array.take(future, axis=0)
        return batch

    def _find_needs(self) -> list[tuple[int, ...]]:
        last_starts = np.cumsum(self.counts) - 1
        needs = []
        for shard, count in enumerate(self.counts):
            last_row = self._starts[last_starts[shard]] + self._window.length - 1 if count else 0
            last = int(np.searchsorted(self._ends, last_row, side="right")) if count else shard
            needs.append(tuple(range(shard, last + 1)))
        return needs
