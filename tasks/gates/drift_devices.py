"""Judges devices of series by what a season does not change: clock, grain, and whose rows they are.

Of the current version clock and grain are those of rows that are new, or others than accepted.
"""

from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray

from gates.drift.clocks import Days, LateClock, find_late_clock, write_days
from gates.drift.copies import Copies, DayPrints, find_copies, print_days
from gates.drift.drift_gate import DriftFigure
from gates.drift.grains import Grains, find_grain_change, write_grains
from gates.drift.profile import DAY_NS, count_slots
from gates.specs.drift import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import mix_keys
from tasks.forms.columns import Column, find_present, read_column
from tasks.gates.drift_columns import find_usual_step
from tasks.gates.drift_entities import MOST_ENTITIES, STEPS_A_BLOCK, name_entity, show_block
from tasks.gates.drift_keys import SAME
from tasks.gates.drift_new import NewRows, choose_blocks, cut_version

HOURS, FINE = 24, 1000
LATE, GRAIN, COPIED = (
    "entity: clock, shift of the day of its new rows in minutes",
    "entity: smallest change between rows, over its own or its own over it",
    "entities: rise of the share of days that are another entity's as well",
)


@dataclass(frozen=True)
class Reading:
    """Says how shards are read; it travels to workers.

    Attributes:
        columns: Of numbers.
        block_ns: Length of a block of time.
        slots: Of a day; 0 where rows come too seldom to tell one hour from another.
    """

    columns: tuple[Column, ...]
    block_ns: int
    slots: int


Books = tuple[Days, Grains, DayPrints]


def measure_devices(
    accepted: Version,
    current: Version,
    data: RowsSpec,
    columns: tuple[Column, ...],
    limits: DriftGate,
    new: NewRows,
    client: TaskClient | None,
) -> list[DriftFigure]:
    """Measure the latest clock, the grain that changed most, and days under two names.

    Args:
        accepted: The accepted version.
        current: The version that is judged.
        data: What the recipe says of the rows.
        columns: Columns that are compared; those of other roles are passed over.
        limits: The recipe's.
        new: What is new.
        client: Where the work on rows is done; None for here.
    """
    numbers = tuple(column for column in columns if column.role in ("number", "target"))
    step_ns = find_usual_step(accepted)
    if not numbers or not step_ns:
        return []
    slots = min(HOURS, count_slots(step_ns)) if step_ns <= DAY_NS // 8 else 0
    reading = Reading(numbers, max(DAY_NS, STEPS_A_BLOCK * step_ns), slots)
    parts = cut_version(accepted, choose_blocks(accepted, new.others), data)
    before = _read(accepted, parts, reading, client)
    if len(np.unique(before[2].keys[:, 0])) > MOST_ENTITIES:
        return []
    after = _read(current, _halve_others(current, new, data), reading, client)
    names = [column.name for column in numbers]
    copies = find_copies(before[2]), find_copies(after[2])
    figures = [_measure_copies(*copies, accepted, reading, limits)]
    if new.others < limits.min_rows or not len(after[1].keys):
        return figures
    if slots:
        late = find_late_clock(before[0], after[0])
        minutes = DAY_NS // slots / (60 * 10**9)
        since = show_block(int(after[1].keys[:, 1].min()), reading.block_ns)
        figures.append(_make_clock(late, minutes, since, accepted, names, limits))
    figures.append(_measure_grain(before[1], after[1], accepted, names, reading, limits))
    return figures


def _halve_others(current: Version, new: NewRows, data: RowsSpec) -> list[NDArray[np.int64]]:
    """Return 0 or 1 for the earlier and later half of what is not as it was accepted, else -1."""
    fine = cut_version(current, FINE, data)
    others = [state != SAME for state in new.known.states]
    counts = np.zeros(FINE, np.int64)
    for place, chosen in zip(fine, others, strict=True):
        counts += np.bincount(place[chosen], minlength=FINE)
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return [
        np.where(chosen, (place > middle).astype(np.int64), -1)
        for place, chosen in zip(fine, others, strict=True)
    ]


def _read(
    version: Version, parts: list[NDArray[np.int64]], reading: Reading, client: TaskClient | None
) -> Books:
    work = partial(read_books, shards=version.dataset.shards, reading=reading)
    pieces = map_in_order(work, list(zip(version.shards, parts, strict=True)), client)
    return reduce(
        lambda left, right: (
            left[0].merge(right[0]),
            left[1].merge(right[1]),
            left[2].merge(right[2]),
        ),
        pieces,
    )


def read_books(
    piece: tuple[ShardEntry, NDArray[np.int64]], shards: Store, reading: Reading
) -> Books:
    """Write the books of one shard, of rows with a part; runs on a worker."""
    entry, parts = piece
    rows = read_shard(shards, entry, verify=False)
    dated = find_present(rows, TIME)
    values = np.stack([read_column(rows, column)[dated] for column in reading.columns], axis=1)
    entities, times, parts = rows[SERIES_ID][dated], rows[TIME][dated], parts[dated]
    blocks, known = times // reading.block_ns, ~np.isnan(values).all(axis=1)
    # As float32: a copy may have been written with fewer digits.
    digits = np.ascontiguousarray(values + 0.0, np.float32).view(np.uint32).astype(np.uint64)
    measured = mix_keys(digits, "measured")
    prints = mix_keys(measured ^ times.view(np.uint64), "print of a day")
    chosen = parts >= 0
    slots = max(1, reading.slots)
    hours = (times % DAY_NS) * slots // DAY_NS
    return (
        write_days(entities[chosen], parts[chosen], hours[chosen], values[chosen], slots),
        write_grains(entities[chosen], blocks[chosen], times[chosen], values[chosen]),
        print_days(entities[known], blocks[known], prints[known], measured[known]),
    )


def _measure_copies(
    before: Copies, after: Copies, accepted: Version, reading: Reading, limits: DriftGate
) -> DriftFigure:
    hint = f"{before.days} of {before.judged} -> {after.days} of {after.judged} days"
    if after.pair is not None:
        one, other, block = after.pair
        hint += (
            f"; on {show_block(block, reading.block_ns)} {name_entity(accepted, one)} and "
            f"{name_entity(accepted, other)} have the same measurements"
        )
    most, key = limits.max_copied_days_rise, "max_copied_days_rise"
    return DriftFigure(COPIED, after.share - before.share, most=most, key=key, hint=hint)


def _make_clock(
    late: LateClock,
    minutes: float,
    since: str,
    accepted: Version,
    names: list[str],
    limits: DriftGate,
) -> DriftFigure:
    hint, column = f"parts before moved by {late.own * minutes:g} minutes", ""
    if late.entity is not None:
        column = names[late.column]
        hint = f"the day of {column} of {name_entity(accepted, late.entity)}, since {since}; {hint}"
    return DriftFigure(
        LATE,
        late.slots * minutes,
        most=limits.max_clock_shift_minutes,
        key="max_clock_shift_minutes",
        why_not=late.why_not,
        hint=hint,
        field=column,
    )


def _measure_grain(
    before: Grains,
    after: Grains,
    accepted: Version,
    names: list[str],
    reading: Reading,
    limits: DriftGate,
) -> DriftFigure:
    change, hint, column = find_grain_change(before, after), "", ""
    if change.entity is not None and change.ratio > limits.max_grain_ratio:
        column = names[change.column]
        hint = (
            f"{column} {change.before:.4g} -> {change.after:.4g} of "
            f"{name_entity(accepted, change.entity)} from "
            f"{show_block(change.block, reading.block_ns)} on: are its values in another unit?"
        )
    most, key = limits.max_grain_ratio, "max_grain_ratio"
    return DriftFigure(GRAIN, change.ratio, most=most, key=key, hint=hint, field=column)
