"""The stream: a version's rows as shuffled batches, in one order for any number of ranks and threads.

Shards are read whole and decoded in threads, one window ahead of the batches; a batch is one numpy index into the
memory that holds them (`storage/resident.py`). The order is arithmetic (`storage/order.py`), so that a stream resumes
in the middle of an epoch at once: it loads the shards of that window and nothing before it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from storage.errors import InvalidInput
from storage.loader import ShardLoader
from storage.order import MemoryPlan, Order
from storage.resident import Indices, ResidentShards, count_pages
from storage.samples import Batch, RowSamples, Samples, pad_batch
from storage.shard_fields import ShardFields
from storage.versions import Version
from storage.windows import Window, WindowSamples

DEFAULT_MEMORY_BYTES = 512 * 2**20
DEFAULT_STREAMS = 8
# Small enough to waste little of a shard's end, large enough to decode a whole block at once.
_PAGE_BYTES = 64 * 2**10
# A window is at least this large, if memory allows, and an epoch has about this many: the first batch comes early and
# the next window is decoded meanwhile.
_WINDOW_BYTES = 16 * 2**20
_WINDOWS_PER_EPOCH = 8
_NOT_STREAMED = ("content_hash",)


class Stream:
    """Batches of one split of a version, for one rank.

    Iterating yields one epoch: dicts of contiguous, writable arrays, one row of the batch each along axis 0. With
    `drop_last=False` a batch also has `padding`, bool (rows,): True marks rows of zeros that only fill up the last one.
    A finished epoch moves the stream on to the next; a new iteration of an unfinished one starts it again, unless
    `load_state_dict` has set where to go on.

    With `window`, a sample is a window of a series: each field has shape (rows, lookback, ...), and `<field>__future`
    (rows, horizon, ...) holds what comes after. `row_id`, `series_id` and `content_hash` are those of the last row
    of the lookback.

    Args:
        version: The version to read.
        split: Name of the split.
        batch_size: Rows of a global batch, over all ranks.
        seed: Seed of the order.
        epoch: First epoch.
        rank: This rank, from 0.
        world_size: Number of ranks; must divide `canonical_streams`.
        shuffle: False keeps the stored order: with one rank, row by row; with more, each has a run of rows of its own.
        drop_last: True for training: full batches only. False for evaluation: every row once.
        fields: Names of the fields to read; None for all but `content_hash`.
        threads: Decoding threads; 0 decodes in the caller's thread, when a window is reached.
        memory_bytes: Bound on the decoded rows in memory, over all ranks together. Part of the order.
        canonical_streams: Into how many streams the order is cut; must divide `batch_size`. Part of the order.
            None: shuffled, the most of 8, 4, 2, 1 that `batch_size` and `memory_bytes` allow; else `world_size`.
        window: Cut windows of series instead of rows.

    Raises:
        InvalidInput: An argument is impossible, alone or for this split.
    """

    def __init__(
        self,
        version: Version,
        split: str,
        *,
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        drop_last: bool = True,
        fields: Sequence[str] | None = None,
        threads: int = 2,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        canonical_streams: int | None = None,
        window: Window | None = None,
    ) -> None:
        self._source = ShardFields(version, split, fields, skip=_NOT_STREAMED)
        self._rank, self._world_size = rank, world_size
        self._shuffle, self._drop_last = shuffle, drop_last
        self._threads = threads
        self._batch_size, self._seed = batch_size, seed
        self._epoch, self._step, self._resume = epoch, 0, False
        self._check_numbers()
        rows = self._source.rows
        self._samples: Samples = RowSamples(rows) if window is None else WindowSamples(self._source.read_series(), rows, window)
        self._page_rows = max(1, _PAGE_BYTES // self._source.row_bytes)
        self._plan = self._plan_memory(memory_bytes, canonical_streams)
        self._pages = memory_bytes // (self._page_rows * self._source.row_bytes)
        self._window_steps = self._plan.window_steps(self._pages, self._most_window_steps())
        self._check_plan(memory_bytes)
        self._memory: ResidentShards | None = None

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._order().steps

    def __iter__(self) -> Iterator[Batch]:
        """Serves the epoch, from the step that `load_state_dict` has set."""
        self._step = self._step if self._resume else 0
        self._resume = False
        return self._iterate(self._order(), self._step)

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        self._epoch, self._step, self._resume = epoch, 0, False

    def state_dict(self) -> dict[str, int]:
        """The epoch, and the batches of it that have been served."""
        return {"epoch": self._epoch, "step": self._step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """The next iteration goes on where `state_dict` was taken."""
        self._epoch, self._step, self._resume = int(state["epoch"]), int(state["step"]), True

    def _iterate(self, order: Order, step: int) -> Iterator[Batch]:
        local = order.streams // self._world_size
        streams = range(self._rank * local, (self._rank + 1) * local)
        memory, self._memory = self._memory or self._allocate(local), None
        try:
            yield from self._serve(order, streams, memory, step)
        finally:
            self._memory = memory
        self._epoch, self._step = order.epoch + 1, 0

    def _serve(self, order: Order, streams: range, memory: ResidentShards, step: int) -> Iterator[Batch]:
        with ShardLoader(memory, self._source.read_into, self._threads) as loader:
            for window in range(step // order.window_steps, order.windows):
                self._load(loader, order, streams, window)
                numbers = order.batches(streams, window, self._samples.offsets(memory))
                places = self._samples.locate(memory, numbers)
                for row in range(step - window * order.window_steps, len(places)):
                    step += 1
                    self._step = step
                    yield self._gather(memory, places[row])

    def _load(self, loader: ShardLoader, order: Order, streams: range, window: int) -> None:
        """Waits for a window's shards, with those of the next one on their way."""
        current = self._shards(order, streams, window)
        loader.request(current, keep=set(current))
        if self._threads and window + 1 < order.windows:
            upcoming = self._shards(order, streams, window + 1)
            loader.request(upcoming, keep={*current, *upcoming})
        loader.wait(current)

    def _shards(self, order: Order, streams: range, window: int) -> list[int]:
        needs = (self._samples.needs[shard] for shard in order.shards(streams, window))
        return list(dict.fromkeys(shard for group in needs for shard in group))

    def _gather(self, memory: ResidentShards, places: Indices) -> Batch:
        if self._drop_last:
            return self._samples.gather(memory, places)
        padding = places < 0
        return pad_batch(self._samples.gather(memory, places[~padding]), padding)

    def _order(self) -> Order:
        return Order(
            samples=self._samples.counts,
            identity=self._source.identity,
            seed=self._seed,
            epoch=self._epoch,
            batch_size=self._batch_size,
            streams=self._plan.streams,
            window_steps=self._window_steps,
            shuffle=self._shuffle,
            drop_last=self._drop_last,
        )

    def _allocate(self, streams: int) -> ResidentShards:
        """Memory for the windows of this rank; for all of its shards where the budget allows that."""
        share = self._pages // self._world_size
        needed = self._plan.pages_needed(self._window_steps, streams)
        shard_pages = [count_pages(rows, self._page_rows) for rows in self._source.rows]
        pages = max(needed, min(share, sum(shard_pages)))
        return ResidentShards(self._source.fields, self._source.rows, self._page_rows, pages)

    def _plan_memory(self, memory_bytes: int, canonical_streams: int | None) -> MemoryPlan:
        shard_pages = [count_pages(rows, self._page_rows) for rows in self._source.rows]
        pages = tuple(sum(shard_pages[shard] for shard in needs) for needs in self._samples.needs)
        budget = memory_bytes // (self._page_rows * self._source.row_bytes)
        if canonical_streams is not None:
            choices = [canonical_streams]
        elif self._shuffle:
            common = math.gcd(self._batch_size, DEFAULT_STREAMS)
            choices = [common >> shift for shift in range(common.bit_length())]
        else:
            choices = [self._world_size]
        plans = [MemoryPlan(self._samples.counts, pages, self._batch_size, streams) for streams in choices]
        return next((plan for plan in plans if plan.pages_needed(1, plan.streams) <= budget), plans[-1])

    def _check_numbers(self) -> None:
        """Refuses numbers that are impossible whatever the data."""
        if self._world_size < 1 or not 0 <= self._rank < self._world_size:
            raise InvalidInput(
                f"a stream's rank ({self._rank}) must be at least 0 and below world_size; got {self._world_size} ranks"
            )
        if self._batch_size < 1 or self._threads < 0 or self._epoch < 0:
            raise InvalidInput(
                "a stream must have batch_size >= 1, threads >= 0 and epoch >= 0; "
                f"got {self._batch_size}, {self._threads}, {self._epoch}"
            )

    def _check_plan(self, memory_bytes: int) -> None:
        """Refuses what this split cannot give."""
        name, streams, total = self._source.name, self._plan.streams, sum(self._samples.counts)
        if streams < 1 or self._batch_size % streams:
            raise InvalidInput(
                f"batch_size ({self._batch_size}) must be a multiple of canonical_streams; got {streams}; "
                "change one of them"
            )
        if streams % self._world_size:
            raise InvalidInput(
                f"world_size ({self._world_size}) must divide canonical_streams; got {streams}; use a number of ranks "
                f"that divides {streams}, or set canonical_streams to a multiple of the ranks"
            )
        if len(self._source.rows) < self._world_size:
            raise InvalidInput(
                f"{name} must have a shard for each of {self._world_size} ranks; got {len(self._source.rows)}; use fewer "
                "ranks, or write the data set with a smaller target_shard_bytes"
            )
        if not total or (self._drop_last and total < self._batch_size):
            raise InvalidInput(
                f"{name} must hold samples for a batch of {self._batch_size}; got {total}; use a smaller batch_size, or "
                "drop_last=False"
            )
        if not self._window_steps:
            needed = self._plan.pages_needed(1, streams) * self._page_rows * self._source.row_bytes
            raise InvalidInput(
                f"memory_bytes ({memory_bytes}) must hold two shards of each of {streams} canonical streams of {name}: "
                f"{needed} bytes; raise it, use fewer canonical_streams, or write smaller shards"
            )

    def _most_window_steps(self) -> int:
        total = sum(self._samples.counts)
        least = _WINDOW_BYTES // (self._batch_size * self._source.row_bytes)
        return max(1, least, math.ceil(total / self._batch_size / _WINDOWS_PER_EPOCH))
