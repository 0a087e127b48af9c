"""What one sample of a batch is: a row. Windows of series are in `storage/stream/windows.py`."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from storage.stream.resident import Indices, ResidentShards

Batch = dict[str, NDArray[Any]]


class StreamSamples(Protocol):
    """What a stream serves, and how to gather it.

    Attributes:
        counts: Samples that begin in each shard.
        needs: For each shard, the shards that its samples reach into; itself first.
    """

    counts: tuple[int, ...]
    needs: tuple[tuple[int, ...], ...]

    def offsets(self, memory: ResidentShards) -> Indices:
        """Return the number of the first sample of each shard, shape (shards,)."""

    def locate(self, memory: ResidentShards, numbers: Indices) -> Indices:
        """Turns numbers of samples into what `gather` takes, in the same shape.

        Padding (-1) stays what it is.
        """

    def gather(self, memory: ResidentShards, places: Indices) -> Batch:
        """Return the samples at places, one index a field."""


class RowSamples:
    """Every row is a sample.

    Args:
        shard_rows: Rows of each shard.
    """

    def __init__(self, shard_rows: Sequence[int]) -> None:
        self.counts = tuple(shard_rows)
        self.needs: tuple[tuple[int, ...], ...] = tuple(
            (shard,) for shard in range(len(self.counts))
        )

    def offsets(self, memory: ResidentShards) -> Indices:
        """Return the numbers that memory gives to rows."""
        return memory.offsets

    def locate(self, memory: ResidentShards, numbers: Indices) -> Indices:
        """Return the places in memory, of the same shape."""
        return np.where(numbers < 0, -1, memory.locate(np.maximum(numbers, 0)))

    def gather(self, memory: ResidentShards, places: Indices) -> Batch:
        """Return the samples at places, one index a field."""
        return {name: array.take(places, axis=0) for name, array in memory.arrays.items()}


def pad_batch(batch: Batch, padding: NDArray[np.bool_]) -> Batch:
    """Spreads the samples of a batch over its rows, zeros where it is padded.

    Args:
        batch: The samples, shape (samples, ...) each.
        padding: True for the rows to fill up, shape (rows,).

    Returns:
        The fields, shape (rows, ...) each, and `padding`.
    """
    if not padding.any():
        return batch | {"padding": padding}
    padded: Batch = {}
    for name, array in batch.items():
        padded[name] = np.zeros((len(padding), *array.shape[1:]), array.dtype)
        padded[name][~padding] = array
    return padded | {"padding": padding}
