"""Rows of series from windows that were asked: each moment of a series once, in order.

The windows that a device asks for overlap. What a forecast was asked becomes true by itself: the
rows of later windows tell it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.uplink import UplinkBatch
from storage.base.errors import InvalidInput
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

    Where the recipe has an entity, a device sends rows of the entity that it is named after, unless
    the model is told by a column whose each row is.

    Raises:
        InvalidInput: The windows lack their times, or rows of the recipe have a label or a target,
            of which windows tell nothing.
    """
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
    answers = list_answers(batch)
    found, columns = find_task_form(data).read_inputs(batch.inputs, model.input, data)
    times, valid = count_nanoseconds(batch.times.reshape(-1))
    # Of a hashed name only the bucket comes back, which several entities may share.
    hashed = {column.name for column in model.input.columns if column.hashed}
    named = data.entity in data.texts and data.entity not in hashed
    series = _find_entities(found, len(times), batch.device, data, named=named)
    features: Rows = {
        **found,
        TIME: times,
        TIME + VALID_SUFFIX: valid,
        SERIES_ID: series,
    }
    length = batch.times.shape[1]
    at = np.repeat(count_times([record.at for record in answers]), length)
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


def _find_entities(
    rows: Rows, count: int, device: str, data: RowsSpec, *, named: bool
) -> NDArray[np.int64]:
    """Find the series of each row, (N,): that of its entity, or the device's where none is told."""
    own = hash_entity(device if data.entity is not None else "")
    if not named or data.entity is None:
        return np.full(count, own, np.int64)
    field = name_field(data.entity, data.texts)
    texts, valid = rows[field].tolist(), rows[field + VALID_SUFFIX].tolist()
    known = {text: hash_entity(text) for text in set(texts)}
    told = [known[text] if there else own for text, there in zip(texts, valid, strict=True)]
    return np.array(told, np.int64)


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
