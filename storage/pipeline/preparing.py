"""Preparing: which raw rows are used, for what, and in which order. Values are never changed here.

Invalid rows, rows that fail a condition and duplicates are dropped and counted; the rest is split
and shuffled globally (`storage.pipeline.shuffle`), each split into shards of its own. Statistics
are fitted on the training split alone. A row that the source puts in two splits is left in both:
that is for the prepared gate to see, not for us to hide.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.scratch import open_scratch
from storage.datasets.version import Version
from storage.forms.base import DEFAULT_SHARD_BYTES, RowsSpec
from storage.forms.columns import SERIES_ID, TIME, list_meant
from storage.forms.registry import find_form
from storage.pipeline.carving import Part, find_shares, is_grouped
from storage.pipeline.collecting import Progress
from storage.pipeline.fitted import Fitted, fit_statistics
from storage.pipeline.publishing import publish_version
from storage.pipeline.selection import NO_KEY, REASONS
from storage.pipeline.shuffle import (
    Gathered,
    Run,
    Scattered,
    ShufflePlan,
    assign_splits,
    gather_bucket,
    scatter_group,
)
from storage.pipeline.sorting import SeriesReport, count_unsorted, inspect_series, plan_series
from storage.pipeline.splits import (
    check_source_splits,
    estimate_rows,
    find_cutoffs,
    find_keys,
    find_times,
)
from storage.pipeline.timeline import Timeline
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import CONTENT_HASH, VALID_SUFFIX, Rows, count_rows
from storage.sources.base import SPLITS

GROUP_BYTES = 64 * 2**20
FEWEST_SHARDS = 8
FEWEST_SHARD_ROWS = 256
_LATER = ("metadata", "time_zone", "dates", "date_format")


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

    The outcome is a pure function of the raw version, `spec`, `target_shard_bytes` and `codec`. If
    the latest version holds the same already, it is given back and nothing is committed.

    Args:
        raw: The raw version.
        spec: The recipe's data section.
        dataset: Where the prepared rows go to.
        client: Client of a Dask cluster; None does all work in this process.
        target_shard_bytes: Decoded size of a shard. A split that is smaller than 8 of them still
            gets 8 shards, as long as each has 256 rows, so that a stream has something to shuffle
            and share out.
        codec: Codec of the shards; `auto` chooses by a sample of each.
        on_progress: Told how many steps of how many are done.

    Returns:
        The version, with the splits train, validation and held_out. Its `info` holds `raw` (name,
        number, digest), `data` (the data section), `fitted` (a `Fitted`) and for series `series` (a
        `SeriesReport`).

    Raises:
        InvalidInput: The rows are not what `spec` declares, or no training row is left.
        Corrupt: A raw shard is not what was written.
    """
    check_source_splits(raw.splits, spec.split)
    groups = list(group_shards(raw.shards, count_row_bytes(raw)))
    with open_scratch(dataset) as scratch:
        stores = {"raw_shards": raw.dataset.shards, "scratch": scratch, "shards": dataset.shards}
        plan, report = make_plan(raw, spec, target_shard_bytes, codec=codec, **stores)
        steps = len(groups) + sum(plan.buckets)
        scattered: list[Scattered] = []
        for piece in map_in_order(partial(scatter_group, plan=plan), enumerate(groups), client):
            scattered.append(piece)
            _tell(on_progress, len(scattered), steps)
        gathered: list[Gathered] = []
        for bucket in map_in_order(
            partial(gather_bucket, plan=plan), _list_runs(scattered, plan), client
        ):
            gathered.append(bucket)
            _tell(on_progress, len(scattered) + len(gathered), steps)
    fitted = _fit(scattered, gathered, spec)
    if not fitted.rows:
        raise InvalidInput(
            f"prepared rows of {raw.ref} must hold rows to train on; got none; dropped were "
            f"{fitted.dropped}; see the raw gate's report"
        )
    entries = [bucket.entry for bucket in gathered if bucket.entry is not None]
    info = _describe_version(raw, spec, fitted, report)
    return publish_version(dataset, entries, kind="prepared", info=info)


def _describe_version(
    raw: Version, spec: RowsSpec, fitted: Fitted, report: SeriesReport | None
) -> dict[str, Any]:
    info: dict[str, Any] = {
        "raw": {"name": raw.name, "number": raw.number, "digest": raw.digest},
        "data": _describe_data(spec),
        "fitted": fitted.model_dump(mode="json"),
    }
    return info | ({} if report is None else {"series": report.model_dump(mode="json")})


def _describe_data(spec: RowsSpec) -> dict[str, Any]:
    """Return the data section, without keys of later Leptons that say nothing.

    So the same rows of the same recipe keep their digest.
    """
    document = spec.model_dump(mode="json")
    return {name: value for name, value in document.items() if name not in _LATER or value}


def make_plan(
    raw: Version,
    spec: RowsSpec,
    target_bytes: int,
    *,
    codec: str,
    raw_shards: Store,
    scratch: Store,
    shards: Store,
) -> tuple[ShufflePlan, SeriesReport | None]:
    """Decides how many shards each split gets, and where splits by time and series begin."""
    columns = {field.name: field.columns for field in raw.fields if field.columns}
    counts = estimate_rows(raw.splits, spec.split)
    row_bytes = count_row_bytes(raw)
    plan = ShufflePlan(
        spec=spec,
        buckets=tuple(count_buckets(counts[split], row_bytes, target_bytes) for split in SPLITS),
        validation_given=bool(raw.splits.get("validation")),
        raw=raw_shards,
        scratch=scratch,
        shards=shards,
        codec=codec,
        columns=columns,
    )
    if spec.split.by == "time":
        times = [
            times[keyed & find_dated(rows)]
            for rows in (_read_key(raw, spec, entry) for entry in raw.shards)
            for times, keyed in [find_times(rows, spec, columns)]
        ]
        plan = replace(plan, cutoffs=find_cutoffs(np.concatenate(times), spec.split))
    elif is_grouped(spec) and not (spec.split.by == "source" and plan.validation_given):
        plan = replace(plan, shares=find_shares(_list_drawn(raw, spec, columns), spec.split))
    if not find_form(spec).ordered:
        return plan, None
    return _plan_series(raw, spec, plan)


def _list_drawn(
    raw: Version, spec: RowsSpec, columns: Mapping[str, tuple[str, ...]]
) -> Iterator[Part]:
    """Yield what keeps the rows together that splits are drawn for, and their times."""
    for entry in raw.shards:
        if entry.split not in ("", "train"):
            continue
        rows = _read_key(raw, spec, entry)
        keys, keyed = find_keys(rows, spec, columns)
        kept = keyed & find_dated(rows)
        yield keys[kept], rows[TIME][kept] if TIME in rows else None


def _plan_series(
    raw: Version, spec: RowsSpec, plan: ShufflePlan
) -> tuple[ShufflePlan, SeriesReport]:
    groups = len(SPLITS) + 1  # the last one is of the rows that are left out
    counts = np.zeros(groups, np.int64)

    def read(entry: ShardEntry) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        rows = _read_key(raw, spec, entry)
        dated = find_dated(rows)
        splits, _ = assign_splits(rows, entry.split, plan)
        return rows[SERIES_ID][dated], rows[TIME][dated], splits[dated].astype(np.int64) % groups

    def count(
        entries: Iterable[ShardEntry],
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        for entities, times, splits in map(read, entries):
            counts[:] += np.bincount(splits, minlength=groups)
            yield entities, times

    unsorted = count_unsorted(count(raw.shards))
    timeline = Timeline(raw.shards, read, groups)
    whole = spec.transform is not None
    series = plan_series(
        timeline, counts[: len(SPLITS)].tolist(), plan.buckets, whole_entities=whole
    )
    return replace(plan, series=series), inspect_series(timeline, unsorted)


def _read_key(raw: Version, spec: RowsSpec, entry: ShardEntry) -> Rows:
    """Return only the fields of a shard that splits and order go by."""
    asked = spec.split.field
    wanted = {TIME, TIME + VALID_SUFFIX, SERIES_ID, CONTENT_HASH}
    fields = [
        field.name
        for field in raw.fields
        if field.name in wanted
        or (
            asked is not None
            and (
                field.name.removesuffix(VALID_SUFFIX) in list_meant(asked, spec)
                or asked in field.columns
            )
        )
    ]
    return raw.read_shard(entry, fields)


def find_dated(rows: Rows) -> NDArray[np.bool_]:
    """Return the rows that have a time, shape (N,)."""
    valid = rows.get(TIME + VALID_SUFFIX)
    return np.ones(count_rows(rows), dtype=np.bool_) if valid is None else valid


def count_row_bytes(raw: Version) -> int:
    """Return decoded bytes of a row; a text is taken for 32."""
    sizes = [
        32 if field.dtype == "string" else np.dtype(field.dtype).itemsize * prod(field.shape)
        for field in raw.fields
    ]
    return max(1, sum(sizes))


def count_buckets(rows: int, row_bytes: int, target_bytes: int) -> int:
    """Return the number of shards for a split of about so many rows."""
    return max(
        1, ceil(rows * row_bytes / target_bytes), min(FEWEST_SHARDS, rows // FEWEST_SHARD_ROWS)
    )


def group_shards(shards: Sequence[ShardEntry], row_bytes: int) -> Iterator[list[ShardEntry]]:
    """Yield consecutive shards of at most 64 MiB decoded; one at least."""
    group: list[ShardEntry] = []
    for shard in shards:
        if group and sum(entry.rows for entry in [*group, shard]) * row_bytes > GROUP_BYTES:
            yield group
            group = []
        group.append(shard)
    if group:
        yield group


def _list_runs(
    scattered: Sequence[Scattered], plan: ShufflePlan
) -> Iterator[tuple[int, list[Run]]]:
    for bucket in range(plan.first_buckets[-1]):
        yield bucket, [piece.find_run(bucket) for piece in scattered]


def _fit(scattered: Sequence[Scattered], gathered: Sequence[Gathered], spec: RowsSpec) -> Fitted:
    counted = (*REASONS, NO_KEY)
    dropped = {reason: sum(piece.dropped[reason] for piece in scattered) for reason in counted}
    if not dropped[NO_KEY]:
        del dropped[NO_KEY]
    dropped["duplicate"] += sum(bucket.duplicates for bucket in gathered)
    conflicts = sum(piece.label_conflicts for piece in scattered) + sum(
        bucket.label_conflicts for bucket in gathered
    )
    measured = [bucket.measured for bucket in gathered if bucket.measured is not None]
    return fit_statistics(measured, spec.labels, dropped, conflicts)


def _tell(on_progress: Progress | None, done: int, steps: int) -> None:
    if on_progress is not None:
        on_progress(done, steps)
