"""What a run's raw rows hold: a profile of some of them, exact counts, and what was set aside."""

from typing import Any

import numpy as np

from storage.base.errors import StorageError
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.row_ids import LABEL, ROW_ID, Rows
from storage.upkeep.quarantine import ORIGIN, describe_rows, name_quarantine, read_quarantine
from tasks.data.open_versions import open_version
from tasks.forms.profile import profile_rows
from tasks.forms.registry import find_task_form
from tasks.gates.accepted import parse_data
from tasks.rendering.profile import ColumnProfile, DataProfile
from tasks.runtime.outcomes import Collected
from tasks.runtime.run_record import RunRecord

MOST_ROWS, MOST_BYTES, MOST_SHARDS, MOST_NAMED = 50_000, 64 << 20, 8, 12


def profile_data(workspace: Store, record: RunRecord) -> DataProfile | None:
    """Profile the raw rows of a run; None where it has none that can be read."""
    collected = record.find(Collected)
    if collected is None:
        return None
    document: Any = record.recipe["document"]
    try:
        data = parse_data(document["data"])
        version = open_version(workspace, collected.dataset)
        profile = profile_rows(_read_some(version), data)
        listed, count = _list_set_aside(workspace, version)
    except StorageError:
        return None  # The run may have stopped for that: its page says so.
    return profile.model_copy(
        update={
            "columns": tuple(_count_missing(column, version, data) for column in profile.columns),
            "classes": _count_classes(version, data),
            "rows": version.rows,
            "set_aside": listed,
            "set_aside_count": count,
        }
    )


def _read_some(version: Version) -> Rows:
    """Read rows of shards that lie evenly apart, as many as fit the bounds."""
    shards = version.shards
    places = np.unique(np.linspace(0, len(shards) - 1, min(MOST_SHARDS, len(shards))).astype(int))
    parts: list[Rows] = []
    rows = size = 0
    for place in places.tolist() if shards else ():
        part = version.read_shard(shards[place], verify=False)
        parts.append({name: values[:MOST_ROWS] for name, values in part.items()})
        rows += shards[place].rows
        size += sum(values.nbytes for values in part.values())
        if rows >= MOST_ROWS or size >= MOST_BYTES:
            break
    names = set.intersection(*(set(part) for part in parts)) if parts else set()
    return {name: np.concatenate([part[name] for part in parts]) for name in sorted(names)}


def _count_missing(column: ColumnProfile, version: Version, data: RowsSpec) -> ColumnProfile:
    """Return a column's profile with the share of all rows that have no value."""
    keys = {found.name: found.key for found in find_task_form(data).list_columns(data)}
    figures = version.statistics().get(keys.get(column.name, ""))
    if figures is None or not figures.count:
        return column
    return column.model_copy(update={"missing": (figures.null + figures.nan) / figures.count})


def _count_classes(version: Version, data: RowsSpec) -> dict[str, int]:
    figures = version.statistics().get(LABEL)
    counts = (figures.distinct if figures is not None else None) or {}
    named = {name: counts.get(str(number), 0) for number, name in enumerate(data.labels)}
    return named if counts else {}


def _list_set_aside(
    workspace: Store, version: Version
) -> tuple[tuple[tuple[str, str, str], ...], int]:
    """List the first rows that were set aside from a version, and count them all."""
    name = version.name
    if not workspace.listdir(f"datasets/{name_quarantine(name)}"):
        return (), 0
    rows = read_quarantine(workspace, name)
    if ORIGIN not in rows:
        return (), 0
    here = rows[ORIGIN] == version.ref
    kept = {field: values[here] for field, values in rows.items()}
    found = describe_rows({field: values[:MOST_NAMED] for field, values in kept.items()})
    listed = tuple((row["row_id"], row["reason"], row["source"]) for row in found)
    return listed, len(kept[ROW_ID])
