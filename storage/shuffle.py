"""The global shuffle, in two passes and bounded memory.

Pass one takes groups of raw shards: it selects rows, draws each row's split and bucket, and writes the group's rows,
ordered by bucket, as one scratch file. Pass two takes buckets: it reads the bucket's run of rows from every scratch
file, drops duplicates, orders what is left, and writes one shard.

A row's bucket is drawn from its content hash (from its id where duplicates stay), and its place in the bucket from its
id. So equal rows meet in one bucket and are found there, and the outcome is a pure function of the rows and the seed:
the number of workers, the grouping and the order of arrival leave no trace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from storage.files import Store
from storage.fitted import Figures, measure_rows
from storage.rows import CONTENT_HASH, LABEL, ROW_ID, Rows, count_rows, draw_uniform, mix_keys
from storage.selection import REASONS, keep_first, select_rows, take_rows
from storage.shards import ShardEntry, read_shard, write_shard
from storage.sources.base import SPLITS
from storage.specs import RowsSpec
from storage.splits import LEFT_OUT, TRAIN, assign_splits


@dataclass(frozen=True)
class ShufflePlan:
    """What both passes need to know.

    Attributes:
        spec: The recipe's data section.
        buckets: Number of buckets of each split, in the order of `SPLITS`; a bucket becomes a shard.
        validation_given: Whether the source gives validation rows.
        raw: Store of the raw shards.
        scratch: Store of the files between the passes.
        shards: Store of the shards to write.
        codec: Codec of the shards to write.
    """

    spec: RowsSpec
    buckets: tuple[int, ...]
    validation_given: bool
    raw: Store
    scratch: Store
    shards: Store
    codec: str

    @property
    def first_buckets(self) -> tuple[int, ...]:
        """Number of the first bucket of each split, and then the number of all buckets."""
        return tuple(accumulate(self.buckets, initial=0))

    def split_of(self, bucket: int) -> int:
        """The split that a bucket belongs to."""
        return next(split for split, end in enumerate(self.first_buckets[1:]) if bucket < end)


@dataclass(frozen=True)
class Column:
    """A field inside the packed rows of a scratch file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True)
class Scattered:
    """What pass one made of a group.

    Attributes:
        path: The scratch file: packed rows, ordered by bucket.
        columns: The fields of a packed row.
        bounds: First row of each bucket, and then the number of rows; shape (buckets + 1,).
        dropped: Rows dropped, by reason.
        label_conflicts: Dropped duplicates that bore another label than the kept row.
    """

    path: str
    columns: tuple[Column, ...]
    bounds: tuple[int, ...]
    dropped: Mapping[str, int]
    label_conflicts: int

    def find_run(self, bucket: int) -> "Run":
        """Where the rows of a bucket lie."""
        row_bytes = sum(column.size_bytes for column in self.columns)
        return Run(self.path, self.columns, self.bounds[bucket] * row_bytes, self.bounds[bucket + 1] * row_bytes)


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
    figures: Figures | None
    duplicates: int
    label_conflicts: int


def scatter_group(group: tuple[int, Sequence[ShardEntry]], plan: ShufflePlan) -> Scattered:
    """Pass one, over one group of raw shards.

    Raises:
        Corrupt: A shard is not what was written.
        InvalidInput: The rows are not what the recipe declares.
    """
    number, entries = group
    dropped = dict.fromkeys(REASONS, 0)
    kept: list[Rows] = []
    drawn: list[NDArray[np.int64]] = []
    conflicts = 0
    for entry in entries:
        rows, counts = select_rows(read_shard(plan.raw, entry), plan.spec)
        splits = assign_splits(rows, entry.split, plan.spec.split, validation_given=plan.validation_given)
        counts["left_out"] = int((splits == LEFT_OUT).sum())
        rows, splits = take_rows(rows, splits != LEFT_OUT), splits[splits != LEFT_OUT]
        kept.append(rows)
        drawn.append(draw_buckets(rows, splits, plan))
        dropped = {reason: dropped[reason] + counts[reason] for reason in REASONS}
    rows = {name: np.concatenate([part[name] for part in kept]) for name in kept[0]}
    buckets = np.concatenate(drawn)
    if plan.spec.deduplicate:
        first, conflicts = keep_first(rows[CONTENT_HASH], rows.get(LABEL), buckets)
        dropped["duplicate"] = int((~first).sum())
        rows, buckets = take_rows(rows, first), buckets[first]
    order = np.argsort(buckets, kind="stable")
    columns, packed = pack_rows(rows, order)
    path = f"{number:08d}.rows"
    plan.scratch.write(path, packed.tobytes())
    bounds = np.searchsorted(buckets[order], np.arange(plan.first_buckets[-1] + 1))
    return Scattered(path, columns, tuple(bounds.tolist()), dropped, conflicts)


def draw_buckets(rows: Rows, splits: NDArray[np.int8], plan: ShufflePlan) -> NDArray[np.int64]:
    """Number of the bucket of each row, shape (N,)."""
    keys = rows[CONTENT_HASH if plan.spec.deduplicate else ROW_ID]
    draws = draw_uniform(keys, f"bucket:{plan.spec.split.seed}")
    sizes, firsts = np.array(plan.buckets), np.array(plan.first_buckets)
    buckets: NDArray[np.int64] = firsts[splits] + (draws * sizes[splits]).astype(np.int64)
    return buckets


def gather_bucket(task: tuple[int, Sequence[Run]], plan: ShufflePlan) -> Gathered:
    """Pass two, over the runs of one bucket: one whole shard, written once.

    Raises:
        NotFound: A scratch file is gone; another process deleted it.
    """
    bucket, runs = task
    split = plan.split_of(bucket)
    parts = [unpack_rows(run.columns, plan.scratch.read_range(run.path, run.start, run.stop)) for run in runs]
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    conflicts = duplicates = 0
    if plan.spec.deduplicate:
        first, conflicts = keep_first(rows[CONTENT_HASH], rows.get(LABEL))
        duplicates = int((~first).sum())
        rows = take_rows(rows, first)
    if not count_rows(rows):
        return Gathered(None, None, duplicates, conflicts)
    ids = rows[ROW_ID]
    order = np.lexsort((ids, mix_keys(ids, f"order:{plan.spec.split.seed}")))
    rows = {name: values[order] for name, values in rows.items()}
    figures = measure_rows(rows, plan.spec) if split == TRAIN else None
    entry = write_shard(plan.shards, rows, split=SPLITS[split], codec=plan.codec)
    return Gathered(entry, figures, duplicates, conflicts)


def pack_rows(rows: Rows, order: NDArray[np.int64]) -> tuple[tuple[Column, ...], NDArray[np.uint8]]:
    """Rows side by side as bytes, so that a run of them is one read; shape (N, bytes of a row)."""
    columns = []
    for name, values in sorted(rows.items()):
        size = values.dtype.itemsize * int(np.prod(values.shape[1:], dtype=np.int64))
        columns.append(Column(name, values.dtype.str, values.shape[1:], size))
    packed = np.empty((len(order), sum(column.size_bytes for column in columns)), dtype=np.uint8)
    offset = 0
    for column in columns:
        values = np.ascontiguousarray(rows[column.name])
        flat = values.reshape(-1).view(np.uint8).reshape(len(values), column.size_bytes)
        packed[:, offset : offset + column.size_bytes] = flat[order]
        offset += column.size_bytes
    return tuple(columns), packed


def unpack_rows(columns: Sequence[Column], data: bytes) -> Rows:
    """The rows that `pack_rows` packed."""
    packed = np.frombuffer(data, dtype=np.uint8).reshape(-1, sum(column.size_bytes for column in columns))
    rows: Rows = {}
    offset = 0
    for column in columns:
        part = np.ascontiguousarray(packed[:, offset : offset + column.size_bytes])
        rows[column.name] = part.reshape(-1).view(column.dtype).reshape(len(packed), *column.shape)
        offset += column.size_bytes
    return rows
