"""Profiles rows column by column: what is missing, how values lie, and how by class."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.cells import LARGEST
from storage.forms.base import RowsSpec
from storage.forms.columns import TIME, name_text_fields
from storage.shards.row_ids import LABEL, Rows, count_rows, find_valid
from tasks.forms.columns import Column, read_column
from tasks.forms.registry import find_task_form
from tasks.rendering.profile import ColumnProfile, DataProfile, show_number

BARS, TEXTS, MOST_CLASSES, FEWEST = 24, 8, 4, 5
MOST_COLUMNS = 200
Array = NDArray[Any]
Groups = Mapping[str, NDArray[np.bool_]]


def profile_rows(rows: Rows, data: RowsSpec) -> DataProfile:
    """Profile some rows.

    Args:
        rows: Fields as a source or a version gives them.
        data: What the recipe says of them.

    Returns:
        The profile; by class where two to four classes have some rows each.
    """
    if not rows or not count_rows(rows):
        return DataProfile()
    labels = rows[LABEL][find_valid(rows, LABEL)] if LABEL in rows and data.labels else None
    counts = Counter(labels.tolist()) if labels is not None else {}
    groups = _group_rows(rows, data)
    return DataProfile(
        columns=tuple(islice(_list_profiles(rows, data, groups), MOST_COLUMNS)),
        classes={name: counts.get(number, 0) for number, name in enumerate(data.labels)}
        if labels is not None
        else {},
        seen=count_rows(rows),
    )


def _group_rows(rows: Rows, data: RowsSpec) -> Groups:
    """Return the rows of each class that is drawn apart; all together where that says nothing."""
    every = {"": np.ones(count_rows(rows), np.bool_)}
    if LABEL not in rows or not 2 <= len(data.labels) <= MOST_CLASSES:
        return every
    valid = find_valid(rows, LABEL)
    found = {name: valid & (rows[LABEL] == number) for number, name in enumerate(data.labels)}
    return found if all(mask.sum() >= FEWEST for mask in found.values()) else every


def _list_profiles(rows: Rows, data: RowsSpec, groups: Groups) -> Iterator[ColumnProfile]:
    for column in find_task_form(data).list_columns(data):
        if column.field not in rows or column.role == "label":
            continue
        if column.role == "text":
            yield _profile_texts(column.name, read_column(rows, column), groups)
        elif column.role == "array":
            yield _profile_arrays(rows[column.field], column, groups)
        else:
            yield profile_numbers(column.name, read_column(rows, column), groups)
    for name, field in name_text_fields(data).items() if data.columns else ():
        if name in data.metadata and field in rows:
            yield _profile_texts(
                name, read_column(rows, Column(name, field, "text", field)), groups
            )
    if data.time is not None and TIME in rows:
        name, valid = data.time_name or TIME, find_valid(rows, TIME)
        if counts_steps(data):
            steps = np.where(valid, rows[TIME] // data.time_style.step_ns, np.nan)
            yield profile_numbers(name, steps, groups, "count")
        else:
            yield _profile_times(name, rows[TIME], valid, groups)


def counts_steps(data: RowsSpec) -> bool:
    """Return whether the time of rows only counts steps, such as cycles, and has no date."""
    return data.time is not None and bool(data.time_style.step_ns) and not data.time_style.start_ns


def profile_numbers(
    name: str, values: Array, groups: Groups, kind: str = "number"
) -> ColumnProfile:
    """Profile numbers (N,), NaN where there is none; outliers count in the outermost bars."""
    values = values.astype(np.float64)
    given = np.isfinite(values)
    missing = round(1 - float(given.mean()), 4)
    if not given.any():
        return ColumnProfile(name=name, type=kind, missing=missing, values="none")
    kept = values[given]
    # Between numbers beyond what a row may hold there is no width that a float could say.
    near = np.clip(kept, -LARGEST, LARGEST)
    low, high = (
        np.quantile(near, (0.005, 0.995))
        if len(np.unique(near)) > BARS
        else (near.min(), near.max())
    )
    with np.errstate(over="ignore", invalid="ignore"):
        mean = kept.mean()
    edges = np.linspace(low, high if high > low else low + 1, BARS + 1)
    shown = f"{_show(kept.min())} to {_show(kept.max())}, mean {_show(mean)}"
    return ColumnProfile(
        name=name,
        type=kind,
        missing=missing,
        values=shown,
        ends=(_show(low), _show(high)) if high > low else (_show(low),),
        bars=_count_bars(np.clip(values, edges[0], edges[-1]), given, edges, groups),
    )


def _show(value: float) -> str:
    return show_number(float(value))


def _count_bars(
    values: Array, given: NDArray[np.bool_], edges: Array, groups: Groups
) -> dict[str, tuple[float, ...]]:
    found = {}
    for name, mask in groups.items():
        counts, _ = np.histogram(values[given & mask], edges)
        found[name] = tuple((counts / max(1, counts.sum())).round(4).tolist())
    return found


def _profile_texts(name: str, values: Array, groups: Groups) -> ColumnProfile:
    given = np.array([value is not None for value in values.tolist()])
    counts = Counter(values[given].tolist())
    common = sorted(counts, key=lambda text: (-counts[text], str(text)))[:TEXTS]
    more = f" and {len(counts) - len(common)} more" if len(counts) > len(common) else ""
    bars = {group: _count_texts(values[given & mask], common) for group, mask in groups.items()}
    return ColumnProfile(
        name=name,
        type="text",
        missing=round(1 - float(given.mean()), 4),
        values=", ".join(f"{text} ({counts[text]:,})" for text in common) + more,
        ends=tuple(map(str, common)),
        bars=bars if common else {},
    )


def _count_texts(values: Array, common: Sequence[Any]) -> tuple[float, ...]:
    counts = Counter(values.tolist())
    return tuple(round(counts[text] / max(1, len(values)), 4) for text in common)


def _profile_arrays(values: Array, column: Column, groups: Groups) -> ColumnProfile:
    """Profile the mean of the values of each row, such as a picture's brightness."""
    shape = " x ".join(map(str, values.shape[1:]))
    means = values.reshape(len(values), -1).mean(axis=1)
    shown = f"{_show(values.min())} to {_show(values.max())}, mean {_show(values.mean())}"
    found = profile_numbers(column.name, means, groups, f"{values.dtype.name} {shape}")
    return found.model_copy(update={"values": shown})


def _profile_times(
    name: str, values: Array, valid: NDArray[np.bool_], groups: Groups
) -> ColumnProfile:
    found = profile_numbers(name, np.where(valid, values, np.nan), groups, "time")
    if not valid.any():
        return found
    ends = [
        str(np.datetime64(int(moment), "ns").astype("datetime64[s]")).replace("T", " ")
        for moment in (values[valid].min(), values[valid].max())
    ]
    return found.model_copy(update={"values": " to ".join(ends), "ends": tuple(ends)})
