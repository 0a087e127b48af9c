"""Plans a stream: how many canonical streams, how long a window, how much memory."""

import math
from dataclasses import dataclass

from storage.base.errors import InvalidInput
from storage.stream.order import MemoryPlan
from storage.stream.resident import count_pages
from storage.stream.row_samples import StreamSamples
from storage.stream.shard_fields import ShardFields

MOST_STREAMS = 8
# Small enough to waste little at a shard's end, large enough to decode most blocks at once.
_PAGE_BYTES = 64 * 2**10
# An epoch has about so many windows, but none smaller than this: the first batch comes early, and
# each window is read while the one before it is served.
_WINDOWS_PER_EPOCH = 8
_LEAST_WINDOW_BYTES = 16 * 2**20


@dataclass(frozen=True)
class StreamPlan:
    """The part of a stream that all ranks and epochs share.

    Attributes:
        streams: Canonical streams.
        window_steps: Steps of a window.
        page_rows: Rows of a page of memory.
        budget_pages: Pages that all ranks may use together.
        shard_pages: Pages of all shards.
        memory: What windows can need.
    """

    streams: int
    window_steps: int
    page_rows: int
    budget_pages: int
    shard_pages: int
    memory: MemoryPlan

    def count_rank_pages(self, world_size: int) -> int:
        """Counts the pages of one rank.

        Enough for its windows, and to keep all of its shards where its share allows that.
        """
        needed = self.memory.pages_needed(self.window_steps, self.streams // world_size)
        return max(needed, min(self.budget_pages // world_size, self.shard_pages))


def plan_stream(
    source: ShardFields,
    samples: StreamSamples,
    *,
    batch_size: int,
    world_size: int,
    shuffle: bool,
    drop_last: bool,
    memory_bytes: int,
    canonical_streams: int | None,
) -> StreamPlan:
    """Plans the streams of a split; the arguments are those of `storage.stream.stream.Stream`.

    Raises:
        InvalidInput: The split or the budget does not allow what is asked for; says what does.
    """
    total = sum(samples.counts)
    _check_enough(source, samples, batch_size if drop_last else 1, batch_size, world_size)
    page_rows = max(1, _PAGE_BYTES // source.row_bytes)
    page_bytes = page_rows * source.row_bytes
    pages = [count_pages(rows, page_rows) for rows in source.rows]
    reach = tuple(sum(pages[shard] for shard in needs) for needs in samples.needs)
    plans = [
        MemoryPlan(samples.counts, reach, batch_size, streams)
        for streams in _list_choices(batch_size, world_size, shuffle, canonical_streams)
    ]
    budget = memory_bytes // page_bytes
    memory = next((plan for plan in plans if plan.window_steps(budget, most=1)), plans[-1])
    least_steps = _LEAST_WINDOW_BYTES // (batch_size * source.row_bytes)
    most_steps = max(least_steps, math.ceil(total / batch_size / _WINDOWS_PER_EPOCH))
    window_steps = memory.window_steps(budget, most_steps)
    if not window_steps:
        raise InvalidInput(
            f"memory_bytes ({memory_bytes}) must hold two windows of {memory.streams} canonical "
            f"streams of {source.name}: {memory.least_pages * page_bytes} bytes; raise it, use "
            "fewer canonical_streams, or write smaller shards"
        )
    _check_ranks(memory.streams, world_size)
    return StreamPlan(memory.streams, window_steps, page_rows, budget, sum(pages), memory)


def _check_enough(
    source: ShardFields, samples: StreamSamples, least: int, batch_size: int, world_size: int
) -> None:
    total = sum(samples.counts)
    if total < least:
        raise InvalidInput(
            f"{source.name} must hold samples for a batch of {batch_size}; got {total}; use a "
            f"batch_size of at most {total}"
        )
    shards = sum(count > 0 for count in samples.counts)
    if shards < world_size:
        raise InvalidInput(
            f"{source.name} must have a shard for each of {world_size} ranks; got {shards}; use "
            "fewer ranks, or write it with a smaller target_shard_bytes"
        )


def _check_ranks(streams: int, world_size: int) -> None:
    if streams % world_size:
        raise InvalidInput(
            f"world_size ({world_size}) must divide the canonical streams; got {streams}; use a "
            f"number of ranks that divides {streams}, or set canonical_streams to a multiple of "
            "the ranks (and raise memory_bytes)"
        )


def _list_choices(
    batch_size: int, world_size: int, shuffle: bool, canonical_streams: int | None
) -> list[int]:
    """Return the numbers of canonical streams to try, the best first."""
    if canonical_streams is None and shuffle:
        common = math.gcd(batch_size, MOST_STREAMS)
        return [common >> shift for shift in range(common.bit_length())]
    streams = world_size if canonical_streams is None else canonical_streams
    if streams < 1 or batch_size % streams:
        what = "world_size" if canonical_streams is None else "canonical_streams"
        raise InvalidInput(
            f"batch_size ({batch_size}) must be a multiple of {what}; got {streams}; change one of "
            "them"
        )
    return [streams]
