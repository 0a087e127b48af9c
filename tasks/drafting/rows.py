"""Reads the rows that were looked at as a run will, and splits them as preparing will."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from storage.forms.base import RowsSpec
from storage.forms.columns import TIME
from storage.forms.registry import FORMS
from storage.forms.rules import SplitSpec
from storage.pipeline.carving import find_shares, is_grouped
from storage.pipeline.splits import (
    HELD_OUT,
    TRAIN,
    VALIDATION,
    find_cutoffs,
    find_keys,
    split_by_hash,
    split_by_time,
)
from storage.shards.row_ids import CONTENT_HASH, LABEL, Rows, hash_contents
from storage.sources.counting import add_counted_times
from tasks.drafting.composed import COUNT_STEP
from tasks.drafting.guesses import LIKELY, UNSURE, Notes
from tasks.drafting.inputs import Roles
from tasks.drafting.limits import choose_shares
from tasks.drafting.tables import Looked

if TYPE_CHECKING:
    import pyarrow as pa


def describe_columns(roles: Roles, missing: Sequence[str]) -> dict[str, Any]:
    """Return the data section's columns."""
    section: dict[str, Any] = {"kind": "table", "numbers": [c.name for c in roles.numbers]}
    if roles.texts:
        section["texts"] = [column.name for column in roles.texts]
    if roles.group is not None:
        section["metadata"] = [roles.group.name]
    section |= describe_time(roles)
    if missing:
        section["missing"] = list(missing)
    return {key: value for key, value in section.items() if value}


def describe_time(roles: Roles) -> dict[str, Any]:
    """Return what the data section says of the time; nothing where there is none."""
    time = roles.time
    if time is None:
        return {}
    if time.count is not None:
        counted = {"count": time.count} if time.count else {}
        return {"time": counted | {"step": COUNT_STEP}}
    style = {} if time.time_format is None else {"time_format": time.time_format}
    return {"time": list(time.parts) or time.name} | style


def read_rows(table: "pa.Table", section: Mapping[str, Any]) -> tuple[RowsSpec, Rows]:
    """Read rows as a run will, by the data section; with the hash of each one's content."""
    form = FORMS.find(str(section["kind"]))
    spec = form.spec.model_validate(section)
    given = add_counted_times(_blank(table, spec), spec, {}, {}, range(table.num_rows))
    rows, _ = form.read_table(given, spec)
    rows = form.settle(rows, spec)
    return spec, {CONTENT_HASH: hash_contents(rows), **rows}


def _blank(table: "pa.Table", spec: RowsSpec) -> "pa.Table":
    """Return the columns that are read, without the texts that mean that there is no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    gone = pa.array(list(spec.missing), pa.string())
    columns = {}
    for name in spec.columns:
        column = table.column(name)
        if pa.types.is_string(column.type):
            absent = pc.is_in(pc.utf8_trim_whitespace(column), value_set=gone)
            column = pc.if_else(absent, pa.scalar(None, pa.string()), column)
        columns[name] = column
    return pa.table(columns)


def choose_split(
    looked: Looked, roles: Roles, spec: RowsSpec, rows: Rows, notes: Notes
) -> tuple[NDArray[np.int8], dict[str, Any]]:
    """Return the split of each row, and how the recipe says it."""
    held_out, validation = choose_shares(looked.table.num_rows)
    shares = {"held_out": held_out, "validation": validation}
    choices: list[tuple[dict[str, Any], str, str]] = []
    if {"train", "held_out"} <= looked.splits.keys():
        ours = {"by": "source"} | (
            {} if "validation" in looked.splits else {"validation": validation}
        )
        choices.append((ours, LIKELY, "the source's files say which rows are held out"))
    if roles.time is not None:
        why = "rows have a time: what was learned is judged on later rows, as it will be used"
        choices.append(({"by": "time", **shares}, LIKELY, why))
    if roles.group is not None:
        ours = {"by": "group", "field": roles.group.name, **shares}
        why = f"rows of one {roles.group.name} resemble each other and must stay together"
        choices.append((ours, LIKELY, why))
    why = "rows seem to be independent of each other: their order and columns tell nothing else"
    choices.append(({"by": "hash", **shares}, LIKELY if roles.time is None else UNSURE, why))
    for split, sure, why in choices:
        splits = split_rows(looked, spec, split, rows)
        if _holds_all_classes(rows, splits):
            notes.add("data.split", f"by {split['by']}", sure, why)
            break
    return splits, split


def split_rows(
    looked: Looked, spec: RowsSpec, split: Mapping[str, Any], rows: Rows
) -> NDArray[np.int8]:
    """Return the split of each row that was looked at, as preparing will choose it."""
    spec = spec.model_copy(update={"split": SplitSpec.model_validate(split)})
    if spec.split.by == "time":
        return split_by_time(rows[TIME], find_cutoffs(rows[TIME], spec.split))
    keys, _ = find_keys(rows, spec, {})
    given = "validation" in looked.splits
    if spec.split.by != "source":
        shares = find_shares([(keys, None)], spec.split) if is_grouped(spec) else None
        return split_by_hash(keys, "", spec.split, validation_given=given, shares=shares)
    names = {name: split for split, name in looked.splits.items()}
    parts, start = [], 0
    for name, count in looked.rows_by_file.items():
        some = keys[start : start + count]
        parts.append(split_by_hash(some, names[name], spec.split, validation_given=given))
        start += count
    return np.concatenate(parts)


def _holds_all_classes(rows: Rows, splits: NDArray[np.int8]) -> bool:
    if LABEL not in rows:
        return True
    every = set(np.unique(rows[LABEL][rows[LABEL] >= 0]).tolist())
    return all(
        every <= set(np.unique(rows[LABEL][splits == number]).tolist())
        for number in (TRAIN, VALIDATION, HELD_OUT)
    )
