"""Decoded shards in memory: the one block of memory a field that batches are gathered from.

Memory is cut into pages of a few rows, so that shards of any length come and go without leaving
holes, and is allocated
once: on a fresh allocation the kernel's page faults cost more than the decoding. A shard's rows are
numbered as if all shards lay one after the other, each from a page of its own; `locate` turns such
numbers into places in memory.
"""

import heapq
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Run(NamedTuple):
    """Rows `start` to `stop` (exclusive) of a shard, that lie in memory from `place` on."""

    start: int
    stop: int
    place: int


class ResidentShards:
    """Pages of memory that hold whole shards.

    Args:
        fields: Type and shape of a row of each field.
        shard_rows: Rows of each shard.
        page_rows: Rows of a page.
        pages: Pages to allocate. Memory is taken from the system only as it is first used.
    """

    def __init__(
        self,
        fields: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]],
        shard_rows: Sequence[int],
        page_rows: int,
        pages: int,
    ) -> None:
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.empty((pages * page_rows, *shape), dtype)
            for name, (dtype, shape) in fields.items()
        }
        self._page_rows = page_rows
        self._shard_rows = tuple(shard_rows)
        counts = np.array([count_pages(rows, page_rows) for rows in shard_rows], dtype=np.int64)
        self._first_page = np.cumsum(counts) - counts
        self._counts = counts
        self._places = np.full(int(counts.sum()), -1, dtype=np.int64)
        self._free = list(range(pages))
        self._shards: dict[int, None] = {}

    @property
    def offsets(self) -> Indices:
        """Number of the first row of each shard, shape (shards,)."""
        return self._first_page * self._page_rows

    def __contains__(self, shard: int) -> bool:
        return shard in self._shards

    def admit(self, shard: int, keep: Collection[int]) -> None:
        """Gives a shard its pages.

        Drops other shards where none are free, those used longest ago first.

        Args:
            shard: The shard; nothing happens if it is there already.
            keep: Shards that must stay.
        """
        if shard in self._shards:
            self._shards[shard] = self._shards.pop(shard)
            return
        needed = int(self._counts[shard])
        for old in list(self._shards):
            if len(self._free) >= needed:
                break
            if old not in keep:
                self.drop(old)
        if len(self._free) < needed:
            raise MemoryError(
                f"the shards of two windows must fit into memory; {needed - len(self._free)} pages "
                "short"
            )
        # The lowest pages first: they are neighbours more often, and untouched memory stays with
        # the system.
        self._pages_of(shard)[:] = [heapq.heappop(self._free) for _ in range(needed)]
        self._shards[shard] = None

    def drop(self, shard: int) -> None:
        """Takes a shard's pages back."""
        pages = self._pages_of(shard)
        for page in pages.tolist():
            heapq.heappush(self._free, page)
        pages[:] = -1
        del self._shards[shard]

    def runs(self, shard: int) -> list[Run]:
        """Return where the rows of a resident shard lie in memory: runs of neighbours, in order."""
        size, total = self._page_rows, self._shard_rows[shard]
        pages = self._pages_of(shard)
        begins = [0, *(np.flatnonzero(np.diff(pages) != 1) + 1).tolist()]
        stops = [begin * size for begin in begins[1:]] + [total]
        return [
            Run(begin * size, stop, int(pages[begin]) * size)
            for begin, stop in zip(begins, stops, strict=True)
        ]

    def locate(self, rows: Indices) -> Indices:
        """Return the places in memory of rows, given by number; of any shape.

        Rows that are not resident are out of range.
        """
        pages = rows // self._page_rows
        return rows + (self._places[pages] - pages) * self._page_rows

    def _pages_of(self, shard: int) -> Indices:
        first = int(self._first_page[shard])
        return self._places[first : first + int(self._counts[shard])]


def count_pages(rows: int, page_rows: int) -> int:
    """Return the pages that so many rows take."""
    return -(-rows // page_rows)
