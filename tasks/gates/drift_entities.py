"""Judges single devices of series against themselves in the accepted version."""

from functools import partial, reduce

import numpy as np

from gates.drift.drift_gate import DriftFigure
from gates.drift.entities import Book, EntityChange, find_changes, find_gone, write_book
from gates.drift.profile import DAY_NS
from gates.specs.drift import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.upkeep.quarantine import name_source
from tasks.forms.columns import Column, find_present, read_column

STEPS_A_BLOCK = 24
MOST_ENTITIES = 4096
_NAMED = 3
_WORDS = {
    "rows": ("fall of its rows a block", "max_entity_rows_fall"),
    "level": ("jump where new rows begin, over its own", "max_entity_jump"),
    "roughness": ("change from row to row outside its own, in spans", "max_entity_roughness"),
    "still": ("rise of the share of rows that stand still", "max_entity_still_rise"),
}


def measure_entities(
    accepted: Version,
    current: Version,
    columns: tuple[Column, ...],
    step_ns: int,
    limits: DriftGate,
    client: TaskClient | None,
) -> list[DriftFigure]:
    """Measure which entities are gone, and the largest change of one.

    Args:
        accepted: The accepted version.
        current: The version that is judged.
        columns: Of numbers.
        step_ns: Usual time between rows.
        limits: The recipe's.
        client: Where the work on rows is done; None for here.
    """
    block_ns = max(DAY_NS, STEPS_A_BLOCK * step_ns)
    before, after = (_write(each, columns, block_ns, client) for each in (accepted, current))
    about = "entities: share of those that are gone"
    entities = len(np.unique(before.keys[:, 0]))
    if entities > MOST_ENTITIES:
        why = f"{entities:,} are more than the {MOST_ENTITIES:,} that are judged one by one"
        return [DriftFigure(about, 0.0, why_not=why)]
    if not np.isin(after.keys[:, 0], before.keys[:, 0]).any():
        return [DriftFigure(about, 0.0, why_not="no entity of this version was accepted before")]
    gone = find_gone(before, after)
    named = [name_entity(accepted, entity) for entity in gone[:_NAMED].tolist()]
    hint = f"{len(gone)} of {entities}: {', '.join(named)}" if named else ""
    share, key = len(gone) / max(1, entities), "max_entities_gone_fraction"
    figures = [
        DriftFigure(about, share, most=limits.max_entities_gone_fraction, key=key, hint=hint)
    ]
    for name, change in find_changes(before, after).items():
        when = f" on {show_block(change.block, block_ns)}" if change.block >= 0 else ""
        figures.append(_make_figure(name, change, when, accepted, columns, limits))
    return figures


def _make_figure(
    name: str,
    change: EntityChange,
    when: str,
    accepted: Version,
    columns: tuple[Column, ...],
    limits: DriftGate,
) -> DriftFigure:
    about, key = _WORDS[name]
    column = columns[change.column].name if change.column >= 0 else ""
    most, hint = getattr(limits, key), ""
    if change.size > most and change.entity is not None:
        where = name_entity(accepted, change.entity) + when
        hint = (
            f"{column + ' ' if column else ''}{change.before:.4g} -> {change.after:.4g} of {where}"
        )
    return DriftFigure(f"entity: {about}", change.size, most=most, key=key, hint=hint, field=column)


def _write(
    version: Version, columns: tuple[Column, ...], block_ns: int, client: TaskClient | None
) -> Book:
    work = partial(write_shard, shards=version.dataset.shards, columns=columns, block_ns=block_ns)
    return reduce(Book.merge, map_in_order(work, version.shards, client))


def write_shard(
    entry: ShardEntry, shards: Store, columns: tuple[Column, ...], block_ns: int
) -> Book:
    """Write the book of one shard; runs on a worker."""
    rows = read_shard(shards, entry, verify=False)
    dated = find_present(rows, TIME)
    values = np.stack([read_column(rows, column)[dated] for column in columns], axis=1)
    times = rows[TIME][dated]
    return write_book(rows[SERIES_ID][dated], times // block_ns, times, values)


def show_block(block: int, block_ns: int) -> str:
    """Show the day on which a block of time begins to people."""
    return str(np.datetime64(block * block_ns, "ns").astype("datetime64[D]"))


def name_entity(version: Version, entity: int) -> str:
    """Name an entity by the first row of it, since of its own name only a hash is kept."""
    for entry in version.shards:
        ids = version.read_shard(entry, [SERIES_ID], verify=False)[SERIES_ID]
        places = np.flatnonzero(ids == entity)
        if len(places):
            return f"the entity of {name_source(entry, int(places[0]))}"
    return f"entity {entity & (1 << 64) - 1:016x}"
