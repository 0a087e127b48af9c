"""Looks up what is known of held-out rows besides what a model sees: times, entities, metadata.

By it their answers are cut into blocks and slices.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.model.blocks import FEW_BLOCKS, count_blocks, cut_time, group_blocks
from lightning_modules.specs.samples import Sample
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME, name_text_fields
from storage.forms.series import find_step
from storage.shards.row_ids import ROW_ID, Rows
from tasks.forms.streams import CONTEXT, HELD_OUT

Array = NDArray[Any]


def read_known(
    version: Version, row_id: NDArray[np.uint64], data: RowsSpec, sample: Sample
) -> Rows:
    """Read the fields of some held-out rows that say when they were and whose they are.

    Args:
        version: The prepared version.
        row_id: (N,) ids: of a window that of the last row that its model sees, which may lie in the
            split before.
        data: What the recipe says of the rows.
        sample: What a sample is.

    Returns:
        Fields of N rows in that order; those that the version has.
    """
    stored = {field.name for field in version.fields}
    names = [name for name in _list_fields(data) if name in stored]
    if not names or not len(row_id):
        return {}
    splits = (HELD_OUT, *(CONTEXT[HELD_OUT] if sample.window is not None else ()))
    parts: list[Rows] = []
    for split in splits:
        for entry in version.iter_shards(split):
            rows = version.read_shard(entry, (ROW_ID, *names))
            asked = np.isin(rows[ROW_ID], row_id)
            parts.append({name: values[asked] for name, values in rows.items()})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in (ROW_ID, *names)}
    order = np.argsort(joined[ROW_ID], kind="stable")
    places = order[np.searchsorted(joined[ROW_ID], row_id, sorter=order)]
    return {name: joined[name][places] for name in names}


def _list_fields(data: RowsSpec) -> tuple[str, ...]:
    """List the fields that tell rows apart by when they were and whose they are."""
    grouped = (data.split.field,) if data.split.field is not None else ()
    texts = name_text_fields(data).values()
    return tuple(dict.fromkeys((TIME, SERIES_ID, *texts, *grouped)))


def cut_blocks(known: Rows, data: RowsSpec, sample: Sample) -> NDArray[np.int64] | None:
    """Cut rows into blocks of what belongs together; None where each stands for itself.

    It is what the split keeps together, an entity or a group; else the time, in pieces of lookback
    + horizon steps at least. Where that leaves less than a handful, entities.
    """
    apart = {"entity": SERIES_ID, "group": data.split.field or ""}.get(data.split.by, "")
    if apart in known:
        return np.asarray(group_blocks(known[apart]))
    if TIME not in known:
        return None
    times = known[TIME]
    entities = known.get(SERIES_ID, np.zeros(len(times), dtype=np.int64))
    window = sample.window
    length = 1 if window is None else window.lookback + window.lead + window.horizon
    blocks = cut_time(times, float(find_step(entities, times)), length)
    if count_blocks(blocks) < min(FEW_BLOCKS, len(np.unique(entities))):
        blocks = group_blocks(entities)
    return np.asarray(blocks)


def list_slices(known: Rows, data: RowsSpec) -> dict[str, Array]:
    """List the columns of which each value is a slice: texts, metadata, and the entity."""
    found: dict[str, Array] = {}
    for name, field in name_text_fields(data).items():
        if field in known:
            found[name] = np.array(known[field].tolist(), dtype=np.str_)
    if data.entity is not None and SERIES_ID in known:
        names = {entity: f"{entity:016x}" for entity in np.unique(known[SERIES_ID]).tolist()}
        found[data.entity] = np.array([names[entity] for entity in known[SERIES_ID].tolist()])
    return {name: values for name, values in found.items() if len(np.unique(values)) > 1}
