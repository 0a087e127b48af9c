"""The rows that failed checks of the raw gate are about: found shard by shard, so that they can be named and set aside."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.engine.on_fail import (
    DUPLICATES,
    FUTURE,
    IMAGE_INF,
    IMAGE_MAX,
    IMAGE_MIN,
    IMAGE_MISSING,
    INFINITE,
    LABEL,
    MISSING,
    REPEATED,
    UNANSWERED,
    UNDATED,
    UNDECLARED,
    UNSORTED,
    BadRows,
)
from gates.engine.report import MAX_ROWS_NAMED, Check
from gates.specs import RawGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME, name_field
from storage.forms.image import ImageSpec
from storage.forms.table import TableSpec
from storage.shards import row_ids as fields
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX, Rows
from storage.shards.shard import ShardEntry, read_shard
from storage.upkeep.duplicates import iter_duplicates, iter_repeats
from storage.upkeep.quarantine import name_source
from tasks.gates.survey import find_latest, list_columns

IMAGE = "image"
Mask = NDArray[np.bool_]


def count_bad_rows(
    check: Check,
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    client: TaskClient | None = None,
) -> BadRows:
    """How many rows a failed check is about, and the names of the first of them."""
    return name_rows(version, iter_bad_rows(check, version, data, limits, client))


def name_rows(version: Version, found: Iterable[tuple[int, NDArray[np.intp]]]) -> BadRows:
    """How many rows these are, and the names of the first ones.

    Args:
        version: That they are of.
        found: Numbers of shards and places in them, in any order of the shards.
    """
    count = 0
    first: list[tuple[int, int]] = []
    for number, places in found:
        count += len(places)
        first = sorted([*first, *((number, place) for place in places[:MAX_ROWS_NAMED].tolist())])[
            :MAX_ROWS_NAMED
        ]
    names = []
    for number, group in groupby(first, key=itemgetter(0)):
        entry = version.shards[number]
        ids = version.read_shard(entry, (ROW_ID,), verify=False)[ROW_ID]
        for _, place in group:
            split = f"split {entry.split} " if entry.split else ""
            source = f" source {name_source(entry, place)}" if entry.source else ""
            names.append(
                f"shard {entry.digest[:12]} row {place} {split}row_id {ids[place]}{source}"
            )
    return BadRows(count, version.rows, names)


def explain_bad_rows(
    checks: Iterable[Check],
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    client: TaskClient | None = None,
) -> dict[int, str]:
    """What is wrong with each row that these failed checks are about, by its id."""
    reasons: dict[int, list[str]] = {}
    for check in checks:
        for number, places in iter_bad_rows(check, version, data, limits, client):
            entry = version.shards[number]
            ids = (
                version.read_shard(entry, (ROW_ID,), verify=False)[ROW_ID]
                if len(places)
                else np.zeros(0)
            )
            for row in ids[places].tolist() if len(places) else ():
                reasons.setdefault(row, []).append(f"{check.rule} on {check.about}")
    return {row: "; ".join(dict.fromkeys(why)) for row, why in reasons.items()}


def iter_bad_rows(
    check: Check,
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    client: TaskClient | None = None,
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Numbers of shards, with the places of their rows that a failed check is about."""
    about = check.about
    if about == DUPLICATES:
        yield from iter_duplicates(version)
        return
    if about == REPEATED:
        yield from iter_repeats(version, (SERIES_ID, TIME))
        return
    if about == UNSORTED:
        yield from iter_unsorted(version)
        return
    columns = _list_bad_columns(about, version, data, limits)
    work = partial(
        mark_shard, shards=version.dataset.shards, about=about, data=data, columns=columns
    )
    yield from enumerate(map_in_order(work, version.shards, client))


def mark_shard(
    entry: ShardEntry,
    shards: Store,
    about: str,
    data: RowsSpec,
    columns: Sequence[str],
) -> NDArray[np.intp]:
    """Places of the rows of one shard that a check is about; runs on a worker."""
    known = {field.name for field in entry.fields}
    needed = [name for name in _list_fields(about, data) if name in known]
    rows = read_shard(shards, entry, (ROW_ID, *needed), verify=False)
    mark = _MARKS.get(about)
    if isinstance(data, ImageSpec) and mark is not None:
        return np.flatnonzero(mark(rows, data))
    if isinstance(data, TableSpec):
        return np.flatnonzero(_mark_columns(about, rows, data, columns))
    return np.zeros(0, np.intp)


def iter_unsorted(version: Version) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Rows of series that lie in time before an earlier row of their entity, by shard; the others are in order.

    Rows without a time are passed over. One shard is read at a time; the latest time of each entity
    is carried on.
    """
    known = {field.name for field in version.fields}
    wanted = [name for name in (SERIES_ID, TIME, TIME + VALID_SUFFIX) if name in known]
    latest: tuple[NDArray[np.int64], NDArray[np.int64]] = (
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    for number, entry in enumerate(version.shards):
        rows = version.read_shard(entry, wanted, verify=False)
        dated = _get_mask(rows, TIME)
        entities = np.concatenate([latest[0], rows[SERIES_ID][dated]])
        times = np.concatenate([latest[1], rows[TIME][dated]])
        late, latest = _find_late(entities, times)
        yield number, np.flatnonzero(dated)[late[len(late) - int(dated.sum()) :]]


def _find_late(
    entities: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[Mask, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Which rows lie before an earlier one of their entity, and the latest time of each entity."""
    order = np.argsort(entities, kind="stable")
    moments, rank = np.unique(times, return_inverse=True)
    names, number = np.unique(entities[order], return_inverse=True)
    place = number * len(moments) + rank[order]
    furthest = np.maximum.accumulate(place) if len(place) else place
    late = np.zeros(len(times), np.bool_)
    late[order] = place < furthest
    last = np.flatnonzero(np.diff(number, append=len(names)))
    return late, (names, moments[furthest[last] % max(1, len(moments))])


def _list_fields(about: str, data: RowsSpec) -> list[str]:
    """The stored fields that a check is about, with their masks."""
    names = {
        IMAGE_MIN: [IMAGE],
        IMAGE_MAX: [IMAGE],
        IMAGE_MISSING: [IMAGE],
        IMAGE_INF: [IMAGE],
        LABEL: [fields.LABEL],
        UNDECLARED: [fields.LABEL],
        UNDATED: [TIME],
        FUTURE: [TIME],
        UNANSWERED: [fields.LABEL, TARGET],
        INFINITE: [NUMBERS, TARGET],
        MISSING: [
            NUMBERS,
            *(name_field(name) for name in (data.texts if isinstance(data, TableSpec) else ())),
        ],
    }.get(about, [])
    return [field for name in names for field in (name, name + VALID_SUFFIX)]


def _list_bad_columns(about: str, version: Version, data: RowsSpec, limits: RawGate) -> list[str]:
    """The columns whose share of missing or infinite values is beyond the limit."""
    if about not in (MISSING, INFINITE) or not isinstance(data, TableSpec):
        return []
    chosen = limits.for_kind("table")
    statistics, found = version.statistics(), []
    for name, key, role in list_columns(data):
        figures = statistics.get(key)
        if figures is None or (about == MISSING and role in ("label", "target")):
            continue
        bad = figures.null + figures.nan if about == MISSING else figures.inf
        most = chosen.max_missing_fraction if about == MISSING else chosen.max_infinite_fraction
        if bad > (most or 0.0) * version.rows:
            found.append(name)
    return found


def _get_mask(rows: Rows, name: str) -> Mask:
    """Which rows, or values of rows, are present."""
    present: Mask = rows.get(name + VALID_SUFFIX, np.ones(rows[name].shape, np.bool_))
    return present


def _mark_columns(about: str, rows: Rows, data: TableSpec, columns: Sequence[str]) -> Mask:
    """Rows of a table that a check is about."""
    bad = np.zeros(len(rows[ROW_ID]), np.bool_)
    if about in (MISSING, INFINITE):
        for name in columns:
            bad |= _mark_column(about, rows, data, name)
    elif about == UNANSWERED:
        for name in (fields.LABEL, TARGET):
            if name in rows:
                bad |= ~_get_mask(rows, name) | _is_nan(rows[name])
    elif about == UNDECLARED and fields.LABEL in rows:
        bad = _get_mask(rows, fields.LABEL) & (rows[fields.LABEL] < 0)
    elif TIME in rows:
        dated = _get_mask(rows, TIME)
        bad = ~dated if about == UNDATED else dated & (rows[TIME] > find_latest())
    return bad


def _mark_column(about: str, rows: Rows, data: TableSpec, name: str) -> Mask:
    """Rows of which one column is missing, or infinite."""
    field = TARGET if name == data.target else NUMBERS if name in data.numbers else name_field(name)
    values, present = rows[field], _get_mask(rows, field)
    if field == NUMBERS:
        at = data.numbers.index(name)
        values, present = values[:, at], present[:, at]
    return present & np.isinf(values) if about == INFINITE else ~present | _is_nan(values)


def _is_nan(values: NDArray[Any]) -> Mask:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)


def _flatten(rows: Rows) -> NDArray[Any]:
    """One row of values an image, (N, values)."""
    return rows[IMAGE].reshape(len(rows[IMAGE]), math.prod(rows[IMAGE].shape[1:]))


def _mark_range(rows: Rows, data: ImageSpec, *, lower: bool) -> Mask:
    """Images with a value beyond one end of the declared range, or without any finite value."""
    values = _flatten(rows)
    finite = np.isfinite(values)
    low, high = data.image.value_range
    outside = values < low if lower else values > high
    bad: Mask = np.where(finite, outside, False).any(axis=1) | ~finite.any(axis=1)
    return bad


def _mark_missing(rows: Rows, data: ImageSpec) -> Mask:
    lost: Mask = np.asarray(np.isnan(_flatten(rows)).any(axis=1))
    return lost | ~rows.get(IMAGE + VALID_SUFFIX, np.ones(len(lost), np.bool_))


def _mark_infinite(rows: Rows, data: ImageSpec) -> Mask:
    return np.asarray(np.isinf(_flatten(rows)).any(axis=1))


def _mark_label(rows: Rows, data: ImageSpec) -> Mask:
    """Rows without a label, or with one that is not declared."""
    label = rows[fields.LABEL]
    return ~_get_mask(rows, fields.LABEL) | (label < 0) | (label >= len(data.labels))


_MARKS: dict[str, Callable[[Rows, ImageSpec], Mask]] = {
    IMAGE_MIN: partial(_mark_range, lower=True),
    IMAGE_MAX: partial(_mark_range, lower=False),
    IMAGE_MISSING: _mark_missing,
    IMAGE_INF: _mark_infinite,
    LABEL: _mark_label,
}
