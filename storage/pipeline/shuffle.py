"""The global shuffle, in two passes and bounded memory.

Pass one takes groups of raw shards: it selects rows, draws each row's split and bucket, and writes
the group's rows, ordered by bucket, as one scratch file. Pass two takes buckets: it reads the
bucket's run of rows from every scratch file, drops duplicates, orders what is left, and writes one
shard.

A row's bucket is drawn from its content hash (from its id where duplicates stay), and its place in
the bucket from its id. So equal rows meet in one bucket and are found there, and the outcome is a
pure function of the rows and the seed: the number of workers, the grouping and the order of arrival
leave no trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from storage.base.store import Store
from storage.forms.base import RowsSpec
from storage.forms.columns import TIME
from storage.forms.measures import Measured
from storage.forms.registry import find_form
from storage.pipeline.carving import Shares
from storage.pipeline.packing import Column, pack_rows, unpack_rows
from storage.pipeline.selection import (
    NO_KEY,
    REASONS,
    apply_transform,
    keep_first,
    select_rows,
    take_rows,
)
from storage.pipeline.sorting import SeriesPlan, sort_series
from storage.pipeline.splits import (
    LEFT_OUT,
    TRAIN,
    VALIDATION,
    Cutoffs,
    find_keys,
    find_times,
    split_by_hash,
    split_by_time,
)
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import (
    CONTENT_HASH,
    LABEL,
    ROW_ID,
    Rows,
    count_rows,
    draw_uniform,
    mix_keys,
)
from storage.shards.writing import write_shard
from storage.sources.base import SPLITS


@dataclass(frozen=True)
class ShufflePlan:
    """What both passes need to know.

    Attributes:
        spec: The recipe's data section.
        buckets: Number of buckets of each split, in the order of `SPLITS`; a bucket becomes a
            shard.
        validation_given: Whether the source gives validation rows.
        raw: Store of the raw shards.
        scratch: Store of the files between the passes.
        shards: Store of the shards to write.
        codec: Codec of the shards to write.
        columns: Names of the columns of two-dimensional fields.
        cutoffs: Where the splits of a split by time begin and end.
        shares: Below which draws rows are held out, or validate; None for those of the recipe.
        series: Where the buckets begin, for series, which are kept in order; None for rows that are
            shuffled.
    """

    spec: RowsSpec
    buckets: tuple[int, ...]
    validation_given: bool
    raw: Store
    scratch: Store
    shards: Store
    codec: str
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cutoffs: Cutoffs | None = None
    shares: Shares | None = None
    series: SeriesPlan | None = None

    @property
    def first_buckets(self) -> tuple[int, ...]:
        """Number of the first bucket of each split, and then the number of all buckets."""
        return tuple(accumulate(self.buckets, initial=0))

    def split_of(self, bucket: int) -> int:
        """Return the split that a bucket belongs to."""
        return next(split for split, end in enumerate(self.first_buckets[1:]) if bucket < end)


@dataclass(frozen=True)
class Scattered:
    """What pass one made of a group.

    Attributes:
        path: The scratch file: packed rows, ordered by bucket.
        columns: The fields of a packed row.
        bounds: First row of each bucket, and then the number of rows; shape (buckets + 1,).
        dropped: Rows dropped, by reason.
        label_conflicts: Rows of the group whose label is not that of the first row that they equal,
            whether they were dropped or stayed.
    """

    path: str
    columns: tuple[Column, ...]
    bounds: tuple[int, ...]
    dropped: Mapping[str, int]
    label_conflicts: int

    def find_run(self, bucket: int) -> "Run":
        """Return where the rows of a bucket lie."""
        row_bytes = sum(column.size_bytes for column in self.columns)
        return Run(
            self.path,
            self.columns,
            self.bounds[bucket] * row_bytes,
            self.bounds[bucket + 1] * row_bytes,
        )


@dataclass(frozen=True)
class Run:
    """Bytes of a scratch file: the packed rows of one bucket from one group."""

    path: str
    columns: tuple[Column, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Gathered:
    """What pass two made of a bucket; no shard where no row is left."""

    entry: ShardEntry | None
    measured: Measured | None
    duplicates: int
    label_conflicts: int


def scatter_group(group: tuple[int, Sequence[ShardEntry]], plan: ShufflePlan) -> Scattered:
    """Runs pass one over one group of raw shards.

    Raises:
        Corrupt: A shard is not what was written.
        InvalidInput: The rows are not what the recipe declares.
    """
    number, entries = group
    dropped = dict.fromkeys((*REASONS, NO_KEY), 0)
    kept: list[Rows] = []
    drawn: list[NDArray[np.int64]] = []
    sides: list[NDArray[np.int8]] = []
    for entry in entries:
        rows, counts = select_rows(read_shard(plan.raw, entry), plan.spec, plan.columns)
        splits, keyed = assign_splits(rows, entry.split, plan)
        counts["left_out"] = int((keyed & (splits == LEFT_OUT)).sum())
        counts[NO_KEY] = int((~keyed).sum())
        rows, splits = take_rows(rows, splits != LEFT_OUT), splits[splits != LEFT_OUT]
        kept.append(rows)
        drawn.append(draw_buckets(rows, splits, plan))
        sides.append(splits)
        dropped = {reason: dropped[reason] + counts[reason] for reason in dropped}
    rows = {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
    buckets = np.concatenate(drawn)
    # Rows that stay although they are equal are shared out by their ids, and meet in no bucket.
    together = buckets if plan.spec.deduplicate else np.concatenate(sides)
    first, conflicts = keep_first(rows[CONTENT_HASH], rows.get(LABEL), together)
    if plan.spec.deduplicate:
        dropped["duplicate"] = int((~first).sum())
        rows, buckets = take_rows(rows, first), buckets[first]
    order = np.argsort(buckets, kind="stable")
    columns, packed = pack_rows(rows, order)
    path = f"{number:08d}.rows"
    plan.scratch.write_scratch(path, packed.tobytes())
    bounds = np.searchsorted(buckets[order], np.arange(plan.first_buckets[-1] + 1))
    return Scattered(path, columns, tuple(bounds.tolist()), dropped, conflicts)


def assign_splits(
    rows: Rows, source_split: str, plan: ShufflePlan
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Return the splits of the rows of a raw shard, and which have what they are split by.

    Each (N,); rows that lack it are of no split.
    """
    if plan.spec.split.by == "time":
        times, keyed = find_times(rows, plan.spec, plan.columns)
        splits = split_by_time(times, plan.cutoffs)
    else:
        keys, keyed = find_keys(rows, plan.spec, plan.columns)
        splits = split_by_hash(
            keys,
            source_split,
            plan.spec.split,
            validation_given=plan.validation_given,
            shares=plan.shares,
        )
        if plan.shares is not None and (first := plan.shares.validation_from) is not None:
            splits[(splits == TRAIN) & (rows[TIME] >= first)] = VALIDATION
    splits[~keyed] = LEFT_OUT
    return splits, keyed


def draw_buckets(rows: Rows, splits: NDArray[np.int8], plan: ShufflePlan) -> NDArray[np.int64]:
    """Return the number of the bucket of each row, shape (N,)."""
    if plan.series is not None:
        return plan.series.find_buckets(rows, splits, plan.first_buckets)
    keys = rows[CONTENT_HASH if plan.spec.deduplicate else ROW_ID]
    draws = draw_uniform(keys, f"bucket:{plan.spec.split.seed}")
    sizes, firsts = np.array(plan.buckets), np.array(plan.first_buckets)
    buckets: NDArray[np.int64] = firsts[splits] + (draws * sizes[splits]).astype(np.int64)
    return buckets


def gather_bucket(task: tuple[int, Sequence[Run]], plan: ShufflePlan) -> Gathered:
    """Runs pass two over the runs of one bucket: one whole shard, written once.

    Raises:
        NotFound: A scratch file is gone; another process deleted it.
    """
    bucket, runs = task
    split = plan.split_of(bucket)
    parts = [
        unpack_rows(run.columns, plan.scratch.read_range(run.path, run.start, run.stop))
        for run in runs
    ]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    conflicts = duplicates = 0
    if plan.spec.deduplicate:
        first, conflicts = keep_first(rows[CONTENT_HASH], rows.get(LABEL))
        duplicates = int((~first).sum())
        rows = take_rows(rows, first)
    if not count_rows(rows):
        return Gathered(None, None, duplicates, conflicts)
    if plan.series is not None:
        rows, repeated = sort_series(rows)
        duplicates += repeated
        rows = rows if plan.spec.transform is None else apply_transform(rows, plan.spec.transform)
    else:
        ids = rows[ROW_ID]
        order = np.lexsort((ids, mix_keys(ids, f"order:{plan.spec.split.seed}")))
        rows = {name: values[order] for name, values in rows.items()}
    measured = find_form(plan.spec).measure(rows, plan.spec) if split == TRAIN else None
    entry = write_shard(
        plan.shards, rows, split=SPLITS[split], codec=plan.codec, columns=_keep_columns(plan, rows)
    )
    return Gathered(entry, measured, duplicates, conflicts)


def _keep_columns(plan: ShufflePlan, rows: Rows) -> dict[str, tuple[str, ...]]:
    """Return the names of columns that a transform left as they were."""
    return {
        name: names
        for name, names in plan.columns.items()
        if name in rows and rows[name].shape[1:] == (len(names),)
    }
