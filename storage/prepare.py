"""Preparing: which raw rows are used, for what, and in which order. Values are never changed here.

Invalid rows, rows that fail a condition and duplicates are dropped and counted; the rest is split and shuffled
globally (`storage.shuffle`), each split into shards of its own. Statistics are fitted on the training split alone.
A row that the source puts in two splits is left in both: that is for the prepared gate to see, not for us to hide.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil, prod

import numpy as np

from storage.collect import Progress
from storage.errors import InvalidInput
from storage.fitted import Fitted, fit_statistics
from storage.parallel import TaskClient, map_in_order
from storage.publish import open_scratch, publish_version
from storage.selection import REASONS
from storage.shards import ShardEntry
from storage.shuffle import Gathered, Run, Scattered, ShufflePlan, gather_bucket, scatter_group
from storage.sources.base import SPLITS
from storage.specs import DEFAULT_SHARD_BYTES, DataSpec, ImageField, RowsSpec, SplitSpec
from storage.splits import check_source_splits, estimate_rows
from storage.versions import Dataset, Version

__all__ = ["DataSpec", "Fitted", "ImageField", "RowsSpec", "SplitSpec", "prepare_rows"]

GROUP_BYTES = 64 * 2**20
FEWEST_SHARDS = 8
FEWEST_SHARD_ROWS = 256


def prepare_rows(
    raw: Version,
    spec: RowsSpec,
    dataset: Dataset,
    client: TaskClient | None = None,
    *,
    target_shard_bytes: int = DEFAULT_SHARD_BYTES,
    codec: str = "auto",
    on_progress: Progress | None = None,
) -> Version:
    """Prepares a raw version for training.

    The outcome is a pure function of the raw version, `spec`, `target_shard_bytes` and `codec`. If the latest version
    holds the same already, it is given back and nothing is committed.

    Args:
        raw: The raw version.
        spec: The recipe's data section.
        dataset: Where the prepared rows go to.
        client: Client of a Dask cluster; None does all work in this process.
        target_shard_bytes: Decoded size of a shard. A split that is smaller than 8 of them still gets 8 shards, as long
            as each has 256 rows, so that a stream has something to shuffle and share out.
        codec: Codec of the shards; `auto` chooses by a sample of each.
        on_progress: Told how many steps of how many are done.

    Returns:
        The version, with the splits train, validation and held_out. Its `info` holds `raw` (name, number, digest),
        `data` (the data section) and `fitted` (a `Fitted`).

    Raises:
        InvalidInput: The rows are not what `spec` declares, or no training row is left.
        Corrupt: A raw shard is not what was written.
    """
    check_source_splits(raw.splits, spec.split)
    row_bytes = sum(np.dtype(field.dtype).itemsize * prod(field.shape) for field in raw.fields)
    counts = estimate_rows(raw.splits, spec.split)
    buckets = tuple(count_buckets(counts[split], row_bytes, target_shard_bytes) for split in SPLITS)
    groups = list(group_shards(raw.shards, row_bytes))
    steps = len(groups) + sum(buckets)
    with open_scratch(dataset) as scratch:
        plan = ShufflePlan(
            spec=spec,
            buckets=buckets,
            validation_given=bool(raw.splits.get("validation")),
            raw=raw.dataset.shards,
            scratch=scratch,
            shards=dataset.shards,
            codec=codec,
        )
        scattered: list[Scattered] = []
        for piece in map_in_order(partial(scatter_group, plan=plan), enumerate(groups), client):
            scattered.append(piece)
            _tell(on_progress, len(scattered), steps)
        gathered: list[Gathered] = []
        for bucket in map_in_order(partial(gather_bucket, plan=plan), _list_runs(scattered, plan), client):
            gathered.append(bucket)
            _tell(on_progress, len(scattered) + len(gathered), steps)
    fitted = _fit(scattered, gathered, spec)
    if not fitted.rows:
        raise InvalidInput(
            f"prepared rows of {raw.ref} must hold rows to train on; got none; dropped were {fitted.dropped}; see the "
            "raw gate's report"
        )
    info = {
        "raw": {"name": raw.name, "number": raw.number, "digest": raw.digest},
        "data": spec.model_dump(mode="json"),
        "fitted": fitted.model_dump(mode="json"),
    }
    entries = [bucket.entry for bucket in gathered if bucket.entry is not None]
    return publish_version(dataset, entries, kind="prepared", info=info)


def count_buckets(rows: int, row_bytes: int, target_bytes: int) -> int:
    """Number of shards for a split of about so many rows."""
    return max(1, ceil(rows * row_bytes / target_bytes), min(FEWEST_SHARDS, rows // FEWEST_SHARD_ROWS))


def group_shards(shards: Sequence[ShardEntry], row_bytes: int) -> Iterator[list[ShardEntry]]:
    """Consecutive shards of at most 64 MiB decoded; one at least."""
    group: list[ShardEntry] = []
    for shard in shards:
        if group and sum(entry.rows for entry in [*group, shard]) * row_bytes > GROUP_BYTES:
            yield group
            group = []
        group.append(shard)
    if group:
        yield group


def _list_runs(scattered: Sequence[Scattered], plan: ShufflePlan) -> Iterator[tuple[int, list[Run]]]:
    for bucket in range(plan.first_buckets[-1]):
        yield bucket, [piece.find_run(bucket) for piece in scattered]


def _fit(scattered: Sequence[Scattered], gathered: Sequence[Gathered], spec: RowsSpec) -> Fitted:
    dropped = {reason: sum(piece.dropped[reason] for piece in scattered) for reason in REASONS}
    dropped["duplicate"] += sum(bucket.duplicates for bucket in gathered)
    conflicts = sum(piece.label_conflicts for piece in scattered) + sum(bucket.label_conflicts for bucket in gathered)
    train = [bucket for bucket in gathered if bucket.entry is not None and bucket.entry.split == "train"]
    rows = sum(bucket.entry.rows for bucket in train if bucket.entry is not None)
    return fit_statistics([bucket.figures for bucket in train], spec, rows, dropped, conflicts)


def _tell(on_progress: Progress | None, done: int, steps: int) -> None:
    if on_progress is not None:
        on_progress(done, steps)
