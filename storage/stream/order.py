"""The order in which a stream yields samples: arithmetic only, nothing is read here.

An epoch is a shuffled line of shards, each with its samples shuffled inside. The line is cut into a
fixed number of equal *canonical streams*, whatever the number of ranks; every global batch takes
the same share from each, and a rank serves a consecutive run of them. So the global batches are the
same for any number of ranks that divides the number of streams, and every rank works on whole
shards of its own.

A stream is consumed in *windows* of a whole number of steps; inside a window its samples are
shuffled once more. All streams change windows at the same step, so that the shards of one window
can be loaded while the last is consumed.

Only a shard on the border of two streams is shared by both. Every other stream runs backwards:
neighbours reach their common border in the same window, and a rank that serves both reads that
shard once.

Shuffling sorts the raw output of Philox, which numpy keeps stable for good, unlike its
`permutation` (NEP 19): the order survives an upgrade, and so does a run that resumes after one.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.random import Philox
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Piece(NamedTuple):
    """A run of samples of one shard, counted in the shard's own order of this epoch."""

    shard: int
    start: int
    stop: int


@dataclass(frozen=True)
class Order:
    """One epoch's order over all ranks; a pure function of its fields.

    Attributes:
        samples: Samples of each shard, in the order of the manifest.
        identity: What is streamed, such as the digest of the version: two data sets never share an
            order.
        seed: The user's seed.
        epoch: Number of the epoch, from 0.
        batch_size: Samples of a global batch, over all ranks; a multiple of `streams`.
        streams: Canonical streams; the number of ranks divides it.
        window_steps: Steps of one window.
        shuffle: False keeps the stored order, stream by stream.
        drop_last: True ends with the last full global batch; False fills the last one up with
            padding.
    """

    samples: tuple[int, ...]
    identity: str
    seed: int
    epoch: int
    batch_size: int
    streams: int
    window_steps: int = 1
    shuffle: bool = True
    drop_last: bool = True

    @cached_property
    def total(self) -> int:
        """Samples of all shards."""
        return sum(self.samples)

    @cached_property
    def steps(self) -> int:
        """Global batches of the epoch."""
        return (
            self.total // self.batch_size
            if self.drop_last
            else math.ceil(self.total / self.batch_size)
        )

    @property
    def windows(self) -> int:
        """Windows of the epoch; the last may be shorter."""
        return math.ceil(self.steps / self.window_steps)

    @property
    def share(self) -> int:
        """Samples that each stream gives to a global batch."""
        return self.batch_size // self.streams

    @cached_property
    def _line(self) -> Indices:
        """Shard numbers, shape (shards,), in the order of the epoch."""
        count = len(self.samples)
        return self._permute(count, "shards") if self.shuffle else np.arange(count)

    @cached_property
    def _ends(self) -> Indices:
        """Position after the last sample of each shard of the line, shape (shards,)."""
        return np.cumsum(np.asarray(self.samples, dtype=np.int64)[self._line])

    @cached_property
    def _offsets(self) -> Indices:
        """Number of the first sample of each shard in stored order, shape (shards,)."""
        sizes = np.asarray(self.samples, dtype=np.int64)
        return np.cumsum(sizes) - sizes

    def pieces(self, stream: int, window: int) -> list[Piece]:
        """Return the runs of samples that a stream serves in a window; empty if only padding."""
        start, stop = self._span(stream, window)
        pieces = []
        position = start
        slot = int(np.searchsorted(self._ends, start, side="right"))
        while position < stop:
            shard, end = int(self._line[slot]), int(self._ends[slot])
            begin = end - self.samples[shard]
            if end > position:
                pieces.append(Piece(shard, position - begin, min(end, stop) - begin))
            position, slot = end, slot + 1
        return pieces

    def shards(self, streams: range, window: int) -> list[int]:
        """Return the shards that a run of streams needs in a window, in the order of first use."""
        return list(
            dict.fromkeys(
                piece.shard for stream in streams for piece in self.pieces(stream, window)
            )
        )

    def batches(self, streams: range, window: int, offsets: Indices | None = None) -> Indices:
        """Return the samples of a window, batch by batch.

        Args:
            streams: The consecutive canonical streams of one rank.
            window: Number of the window.
            offsets: Number of the first sample of each shard, shape (shards,); None numbers them in
                stored order.

        Returns:
            Sample numbers, shape (steps of the window, share x streams); -1 stands for padding.
        """
        offsets = self._offsets if offsets is None else offsets
        steps = min(self.window_steps, self.steps - window * self.window_steps)
        columns = np.full((steps, len(streams), self.share), -1, dtype=np.int64)
        for column, stream in enumerate(streams):
            line = np.full(steps * self.share, -1, dtype=np.int64)
            found = self._window_samples(stream, window, offsets)
            line[: len(found)] = found
            columns[:, column] = line.reshape(steps, self.share)
        return columns.reshape(steps, -1)

    def _window_samples(self, stream: int, window: int, offsets: Indices) -> Indices:
        parts = [
            offsets[piece.shard] + self._shard_samples(piece)
            for piece in self.pieces(stream, window)
        ]
        joined = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
        return (
            joined[self._permute(len(joined), f"window {stream} {window}")]
            if self.shuffle
            else joined
        )

    def _shard_samples(self, piece: Piece) -> Indices:
        whole = piece.stop - piece.start == self.samples[piece.shard]
        # A shard that is used in one piece is shuffled by its window: only a cut must be random by
        # itself.
        if whole or not self.shuffle:
            return np.arange(piece.start, piece.stop)
        return self._permute(self.samples[piece.shard], f"shard {piece.shard}")[
            piece.start : piece.stop
        ]

    def _span(self, stream: int, window: int) -> tuple[int, int]:
        """Return the positions on the line that a stream serves in a window: [start, stop)."""
        if self.drop_last:
            first, last = (number * self.steps * self.share for number in (stream, stream + 1))
        else:
            first, last = (self.total * number // self.streams for number in (stream, stream + 1))
        size = self.window_steps * self.share
        low = min(first + window * size, last)
        high = min(low + size, last)
        backwards = self.shuffle and stream % 2 == 1
        return (first + last - high, first + last - low) if backwards else (low, high)

    def _permute(self, count: int, purpose: str) -> Indices:
        """Return a permutation of range(count), shape (count,), drawn for this purpose alone."""
        text = f"{self.identity}\n{self.seed}\n{self.epoch}\n{purpose}"
        key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
        # Each number carries its place in its low bits: sorting values is several times faster than
        # sorting places, and no two are equal, so that the outcome does not hang on the algorithm.
        low_bits = np.uint64((1 << count.bit_length()) - 1)
        keys = Philox(key=key).random_raw(count) & ~low_bits | np.arange(count, dtype=np.uint64)
        keys.sort()
        return (keys & low_bits).astype(np.int64)


@dataclass(frozen=True)
class MemoryPlan:
    """How much memory the windows of any epoch can need: a bound that no order exceeds.

    Attributes:
        samples: Samples of each shard, as in the order.
        pages: Pages of memory that the samples of each shard need.
        batch_size: Samples of a global batch.
        streams: Canonical streams.
    """

    samples: tuple[int, ...]
    pages: tuple[int, ...]
    batch_size: int
    streams: int

    @cached_property
    def total(self) -> int:
        """Pages of all shards."""
        return sum(self.pages)

    @cached_property
    def _heaviest(self) -> tuple[Indices, Indices]:
        """Samples and pages summed over the shards, those with the most pages a sample first."""
        samples, pages = (
            np.asarray(values, dtype=np.int64) for values in (self.samples, self.pages)
        )
        used = samples > 0
        ranked = np.argsort(-pages[used] / samples[used], kind="stable")
        return np.cumsum(samples[used][ranked]), np.cumsum(pages[used][ranked])

    def pages_needed(self, window_steps: int, streams: int) -> int:
        """Return the pages that so many streams need, at most, for two successive windows each."""
        return min(self.total, streams * self._stream_pages(window_steps))

    @property
    def least_pages(self) -> int:
        """Pages without which no stream can start."""
        return self.streams * self._stream_pages(1)

    def window_steps(self, pages: int, most: int) -> int:
        """Return the longest window, up to `most` steps, of which two fit into so many pages.

        0 where not even one step does.

        Every stream is counted by itself, so that what fits one rank fits any number of ranks
        together.
        """
        low, high = 0, max(1, most)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.streams * self._stream_pages(middle) <= pages
            low, high = (middle, high) if fits else (low, middle - 1)
        return low

    def _stream_pages(self, window_steps: int) -> int:
        """Return the pages that two windows of a stream need.

        They are one run of samples on the line: whole shards, and one cut shard at each end.
        """
        samples, pages = self._heaviest
        run = -(-min(2 * window_steps * self.batch_size, int(samples[-1])) // self.streams)
        inside = int(pages[min(int(np.searchsorted(samples, run)), len(pages) - 1)])
        return min(self.total, inside + 2 * max(self.pages))
