"""Rows of series from windows that were asked: each moment of a series once, in order.

The windows that a device asks for overlap. What a forecast was asked becomes true by itself: the
rows of later windows tell it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.uplink import UplinkBatch
from storage.base.buckets import find_bucket
from storage.base.errors import InvalidInput
from storage.base.shown import list_names
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME, hash_entity, name_field
from storage.shards.row_ids import (
    CONTENT_HASH,
    ROW_ID,
    VALID_SUFFIX,
    Rows,
    count_rows,
    hash_contents,
    hash_member_ids,
)
from tasks.feedback.models import KnownModel
from tasks.feedback.rows import AT, Columns, count_times, list_answers
from tasks.forms.registry import find_task_form
from tasks.forms.table.inputs import count_nanoseconds

SHARD_ROWS = 65_536


def make_series_rows(batch: UplinkBatch, model: KnownModel, data: RowsSpec) -> tuple[Rows, Columns]:
    """Make rows of the windows of a batch.

    Where the recipe has an entity, a device tells rows of the one that it is named after, or of
    those that its record names.

    Raises:
        InvalidInput: The windows lack their times or name another entity, or rows of the recipe
            have a label or a target, of which windows tell nothing.
    """
    told = _require_times(batch, model, data)
    found, columns = find_task_form(data).read_inputs(batch.inputs, model.input, data)
    times, valid = count_nanoseconds(told.reshape(-1))
    series = _find_entities(found, len(times), batch, model, data)
    features: Rows = {
        **found,
        TIME: times,
        TIME + VALID_SUFFIX: valid,
        SERIES_ID: series,
    }
    length = told.shape[1]
    at = np.repeat(count_times([record.at for record in list_answers(batch)]), length)
    # Rows of steps to come hold what was known before: they are told when they have come.
    seen = np.arange(len(times)) % length < length - model.input.ahead
    kept = np.flatnonzero(valid & seen)
    rows: Rows = {
        ROW_ID: hash_member_ids(
            f"{entity}:{time}" for entity, time in zip(series.tolist(), times.tolist(), strict=True)
        ),
        CONTENT_HASH: hash_contents(features),
        **features,
        AT: at,
    }
    return {name: values[kept] for name, values in rows.items()}, columns


def _require_times(batch: UplinkBatch, model: KnownModel, data: RowsSpec) -> NDArray[np.float64]:
    """Return the times of a batch's windows, (N, L), if rows can be made of them."""
    if data.labels or data.target is not None:
        raise InvalidInput(
            "series with a label or a target must get their truth with their rows; got windows "
            "without; collect them from their source"
        )
    if batch.times is None:
        raise InvalidInput(
            "windows must come with the times of their rows; got none; give the model files with "
            f"the column {data.time_name}"
        )
    if batch.times.shape[1:] != model.input.shape[:1]:
        raise InvalidInput(
            f"windows must come with {model.input.shape[0]} times each; got {batch.times.shape[1]}"
        )
    return batch.times


def _find_entities(
    rows: Rows, count: int, batch: UplinkBatch, model: KnownModel, data: RowsSpec
) -> NDArray[np.int64]:
    """Find the series of each row, (N,): that of its entity, or the device's where none is told.

    Whose a row is, the device's record says: what a window says of it is held against that.

    Raises:
        InvalidInput: A window names an entity of which the device may not tell.
    """
    own = batch.entities[0] if len(batch.entities) == 1 else batch.device
    series = np.full(count, hash_entity("" if data.entity is None else own), np.int64)
    if data.entity is None or data.entity not in data.texts:
        return series
    allowed = {batch.device, *batch.entities}
    column = next(each for each in model.input.columns if each.name == data.entity)
    size = len(column.vocabulary)
    # Of a hashed name only the bucket comes back, which several entities may share.
    buckets = {column.vocabulary[find_bucket(name, size)] for name in allowed}
    field = name_field(data.entity, data.texts)
    texts, valid = rows[field], rows[field + VALID_SUFFIX]
    named = set(texts[valid].tolist())
    if foreign := sorted(named - (buckets if column.hashed else allowed)):
        raise InvalidInput(
            f"windows of device {batch.device} must be of {data.entity} "
            f"{list_names(sorted(allowed))}; got {list_names(foreign)}; let the device tell of it "
            "with `lepton devices add CODE --class CLASS --entity NAME`"
        )
    for name in () if column.hashed else named:
        series[valid & (texts == name)] = hash_entity(name)
    return series


def merge_rows(parts: Sequence[Rows]) -> tuple[Rows, int]:
    """Put rows of series in order, each moment once: the first that came stays.

    Args:
        parts: Rows, those that came first before the others; one at least.

    Returns:
        The rows by series and time, and how many moments were told again with other values.
    """
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((rows[TIME], rows[SERIES_ID]))  # Equal ones stay as they came.
    first = np.ones(len(order), np.bool_)
    same = (rows[TIME][order][1:] == rows[TIME][order][:-1]) & (
        rows[SERIES_ID][order][1:] == rows[SERIES_ID][order][:-1]
    )
    first[1:] = ~same
    hashes = rows[CONTENT_HASH][order]
    firsts = np.flatnonzero(first)[np.cumsum(first) - 1]
    others = int((hashes != hashes[firsts]).any(axis=1).sum())
    kept = order[first]
    return {name: values[kept] for name, values in rows.items()}, others


def cut_rows(rows: Rows) -> Iterator[Rows]:
    """Yield rows in runs that make a shard each."""
    for start in range(0, count_rows(rows), SHARD_ROWS):
        yield {name: values[start : start + SHARD_ROWS] for name, values in rows.items()}


def find_last(series: NDArray[np.int64], times: NDArray[np.int64]) -> dict[int, int]:
    """Return the last time of each series."""
    order = np.lexsort((times, series))
    ends = np.flatnonzero(np.append(series[order][1:] != series[order][:-1], True))
    chosen = order[ends] if len(order) else order
    return dict(zip(series[chosen].tolist(), times[chosen].tolist(), strict=True))
