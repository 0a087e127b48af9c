"""Streams rows of a version as shuffled batches.

The order is one for any number of ranks and threads.

Shards are read whole and decoded in threads, one window ahead of the batches; a batch is one numpy
index into the memory that holds them (`storage/stream/resident.py`). The order is arithmetic
(`storage/stream/order.py`), so that a stream resumes in the middle of an epoch at once: it reads
the shards of that window, and nothing that comes before it.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence

from storage.base.errors import InvalidInput
from storage.datasets.version import Version
from storage.forms.columns import SERIES_ID, TIME
from storage.forms.series import find_step
from storage.shards.entry import ShardEntry
from storage.stream.loader import ShardLoader
from storage.stream.order import Order
from storage.stream.plan import plan_stream
from storage.stream.resident import Indices, ResidentShards
from storage.stream.row_samples import Batch, RowSamples, StreamSamples, pad_batch
from storage.stream.shard_fields import ShardFields
from storage.stream.windows import SeriesRows, Window, WindowSamples

DEFAULT_MEMORY_BYTES = 512 * 2**20
_SKIPPED_FIELDS = ("content_hash",)
_REMOTE_FACTOR = 8


class Stream:
    """Batches of one split of a version, for one rank.

    Iterating serves one epoch: dicts of contiguous, writable arrays, a row of the batch each along
    axis 0, which belong to the caller. With `drop_last=False` they also have `padding`, bool of
    shape (rows,): True marks the rows of zeros that fill up the last batch. A finished epoch moves
    the stream on to the next one; iterating again after an unfinished one starts that epoch again,
    unless `load_state_dict` says where to go on.

    With `window`, a sample is a window of a series: fields have shape (rows, lookback, ...), and
    `<field>__future` of shape (rows, lead + horizon, ...) is what comes after. `row_id`,
    `series_id` and `content_hash` are those of the last row of the lookback. No window crosses an
    entity or a gap in time. What is asked for (the horizon; without one the last row) lies in the
    split, so that each row is judged once. With `context`, the lookback may reach into the rows of
    other splits that come before: the usual way to validate forecasts, since at that time the past
    is known. The training split needs no context.

    Args:
        version: The version to read.
        split: Name of the split; None for all rows.
        batch_size: Rows of a global batch, over all ranks.
        seed: Seed of the order.
        epoch: First epoch.
        rank: This rank, from 0.
        world_size: Number of ranks; must divide the canonical streams.
        shuffle: False keeps the stored order: with one rank, row by row; with more, each has a run
            of its own.
        drop_last: True for training: full batches only. False for evaluation: every row once.
        fields: Names of the fields to read; None for all of a fixed size but `content_hash`.
        threads: Reading threads, eight times as many for a remote store; 0 reads in the caller's
            thread, when a window is reached.
        memory_bytes: Bound on the decoded rows in memory, over all ranks together. The order
            depends on it.
        canonical_streams: Into how many streams the order is cut; must divide `batch_size`. The
            order depends on it. None: when shuffled, the most of 8, 4, 2, 1 that `batch_size` and
            `memory_bytes` allow; else `world_size`.
        window: Serve windows of series instead of rows.
        context: Splits that a window's lookback may reach back into, as `("train",)` for validation
            and `("train", "validation")` for held-out rows; those that the version does not have
            are passed over.

    Raises:
        NotFound: There is no such split.
        InvalidInput: An argument is impossible, by itself or for this split.
    """

    def __init__(
        self,
        version: Version,
        split: str | None,
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
        context: Sequence[str] = (),
    ) -> None:
        _check_numbers(
            batch_size=batch_size, epoch=epoch, rank=rank, world_size=world_size, threads=threads
        )
        self._source, self._samples = _open_samples(version, split, fields, window, context)
        self._plan = plan_stream(
            self._source,
            self._samples,
            batch_size=batch_size,
            world_size=world_size,
            shuffle=shuffle,
            drop_last=drop_last,
            memory_bytes=memory_bytes,
            canonical_streams=canonical_streams,
        )
        self._batch_size, self._seed = batch_size, seed
        self._shuffle, self._drop_last = shuffle, drop_last
        self._threads, self._world_size = threads, world_size
        share = self._plan.streams // world_size
        self._streams = range(rank * share, (rank + 1) * share)
        self._epoch, self._step, self._resumes = epoch, 0, False
        self._memory: ResidentShards | None = None

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return self._make_order().steps

    def __iter__(self) -> Iterator[Batch]:
        """Serves the epoch, from where `load_state_dict` has set it."""
        if not self._resumes:
            self._step = 0
        self._resumes = False
        return self._serve_epoch(self._make_order(), self._step)

    def take_all(self) -> "Stream":
        """Return a stream of every row once, with those that full batches leave out."""
        whole = copy.copy(self)
        whole._drop_last, whole._memory = False, None
        whole.set_epoch(self._epoch)
        return whole

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        self._epoch, self._step, self._resumes = epoch, 0, False

    def state_dict(self) -> dict[str, int]:
        """Return the epoch, and how many of its batches have been served."""
        return {"epoch": self._epoch, "step": self._step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Sets where the next iteration goes on: where `state_dict` was taken."""
        self._epoch, self._step, self._resumes = int(state["epoch"]), int(state["step"]), True

    def _serve_epoch(self, order: Order, step: int) -> Iterator[Batch]:
        memory, self._memory = self._memory or self._allocate(), None
        try:
            # Leaving the block, at the end or because the caller drops the iterator, ends the
            # threads.
            with ShardLoader(memory, self._source.read_into, self._count_threads()) as loader:
                for window in range(step // order.window_steps, order.windows):
                    self._load_window(loader, order, window)
                    for places in self._locate_window(memory, order, window)[
                        step % order.window_steps :
                    ]:
                        step += 1
                        self._step = step
                        yield self._gather(memory, places)
        finally:
            self._memory = memory
        self.set_epoch(order.epoch + 1)

    def _load_window(self, loader: ShardLoader, order: Order, window: int) -> None:
        """Waits for a window's shards, with those of the next one on their way."""
        current = self._list_shards(order, window)
        loader.request(current, keep=set(current))
        if self._threads and window + 1 < order.windows:
            upcoming = self._list_shards(order, window + 1)
            loader.request(upcoming, keep={*current, *upcoming})
        loader.wait(current)

    def _list_shards(self, order: Order, window: int) -> list[int]:
        needs = (self._samples.needs[shard] for shard in order.shards(self._streams, window))
        return list(dict.fromkeys(shard for group in needs for shard in group))

    def _locate_window(self, memory: ResidentShards, order: Order, window: int) -> Indices:
        numbers = order.batches(self._streams, window, self._samples.offsets(memory))
        return self._samples.locate(memory, numbers)

    def _gather(self, memory: ResidentShards, places: Indices) -> Batch:
        if self._drop_last:
            return self._samples.gather(memory, places)
        padding = places < 0
        return pad_batch(self._samples.gather(memory, places[~padding]), padding)

    def _make_order(self) -> Order:
        return Order(
            samples=self._samples.counts,
            identity=self._source.identity,
            seed=self._seed,
            epoch=self._epoch,
            batch_size=self._batch_size,
            streams=self._plan.streams,
            window_steps=self._plan.window_steps,
            shuffle=self._shuffle,
            drop_last=self._drop_last,
        )

    def _count_threads(self) -> int:
        """Return reading threads: more for a remote store, where they wait most of the time."""
        return self._threads if self._source.is_local else self._threads * _REMOTE_FACTOR

    def _allocate(self) -> ResidentShards:
        pages = self._plan.count_rank_pages(self._world_size)
        return ResidentShards(self._source.fields, self._source.rows, self._plan.page_rows, pages)


def _open_samples(
    version: Version,
    split: str | None,
    fields: Sequence[str] | None,
    window: Window | None,
    context: Sequence[str],
) -> tuple[ShardFields, StreamSamples]:
    """Opens the shards of a split and its context, and says what a sample of them is."""
    name = f"the split {split!r} of {version.ref}" if split is not None else version.ref
    own = tuple(version.iter_shards(split))
    past = _list_context(version, split, window, context)
    shards = version.dataset.shards
    source = ShardFields(shards, (*own, *past), name, fields, skip=_SKIPPED_FIELDS)
    if window is None:
        return source, RowSamples(source.rows)
    series = _read_series(version, source, len(own))
    return source, WindowSamples(series, source.rows, window, name)


def _list_context(
    version: Version, split: str | None, window: Window | None, context: Sequence[str]
) -> list[ShardEntry]:
    """Return the shards of the splits that windows may look back into."""
    if not context:
        return []
    if window is None or split is None or split in context:
        raise InvalidInput(
            f"context ({', '.join(context)}) must be other splits than the one that is streamed as "
            f"windows; got split {split!r} {'without' if window is None else 'with'} a window; "
            "leave context out"
        )
    return [shard for shard in version.shards if shard.split in context]


def _read_series(version: Version, source: ShardFields, own_shards: int) -> SeriesRows:
    """Reads entities and times of all rows, and the usual step of the time.

    The step is known from when the rows were prepared, or else found here.
    """
    series = source.read_column(SERIES_ID)
    if not source.has_field(TIME):
        return SeriesRows(series, None, 0, own_shards)
    times = source.read_column(TIME)
    step_ns = version.info.get("series", {}).get("step_ns")
    return SeriesRows(
        series, times, find_step(series, times) if step_ns is None else step_ns, own_shards
    )


def _check_numbers(
    *, batch_size: int, epoch: int, rank: int, world_size: int, threads: int
) -> None:
    if world_size < 1 or not 0 <= rank < world_size:
        raise InvalidInput(
            f"a stream's rank ({rank}) must be at least 0 and below world_size; got {world_size} "
            "ranks"
        )
    if batch_size < 1 or epoch < 0 or threads < 0:
        raise InvalidInput(
            f"a stream must have batch_size >= 1, epoch >= 0 and threads >= 0; got {batch_size}, "
            f"{epoch}, {threads}"
        )
