"""Compares columns of two versions by their rows: values, relations, and time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial, reduce

from gates.drift.clock import find_clock_shift
from gates.drift.drift_gate import DriftFigure
from gates.drift.profile import Grid, Profile, measure_profile
from gates.drift.relations import find_largest_change
from gates.drift.time_steps import compare_gaps, measure_steps
from gates.specs.drift import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.base.time_styles import TimeStyle
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.forms.series import find_step
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from tasks.forms.columns import Column, find_present, read_column
from tasks.forms.registry import find_task_form
from tasks.gates.drift_entities import measure_entities
from tasks.gates.drift_statistics import Pair, Span, find_span
from tasks.gates.row_figures import make_column_grid

HOUR = "hour of the day of a row"


@dataclass(frozen=True)
class Profiling:
    """Says how rows are profiled; it travels to workers.

    Attributes:
        columns: Columns of numbers, each of which has a grid.
        grids: Grids of their values, by name.
        step_ns: Usual time between the rows of series; 0 where rows are in no order of time.
        span: First and last time of the rows that count; None for all.
        zone: Zone whose clocks the rows' times were told by; None for UTC.
    """

    columns: tuple[Column, ...]
    grids: Mapping[str, Grid]
    step_ns: int
    span: Span | None = None
    zone: str | None = None


def compare_columns(
    accepted: Version,
    current: Version,
    data: RowsSpec,
    columns: Sequence[Column],
    limits: DriftGate,
    client: TaskClient | None,
) -> tuple[dict[str, Pair], list[DriftFigure]]:
    """Compare columns of numbers: where values lie, how they go together, and with the time of day.

    Args:
        accepted: The accepted version.
        current: The version that is judged.
        data: What the recipe says of the rows.
        columns: Columns that are compared; those of other roles are passed over.
        limits: The recipe's.
        client: Where the work on rows is done; None for here.
    """
    grids = _make_grids(accepted, columns)
    if not grids:
        return {}, []
    ordered = find_task_form(data).ordered
    step_ns = find_usual_step(accepted) if ordered else 0
    # To this the accepted version is cut: a season that the current one lacks is no change of it.
    span = find_span(current) if step_ns else None
    profiled = tuple(column for column in columns if column.name in grids)
    profiling = Profiling(profiled, grids, step_ns, zone=data.time_zone)
    before = _profile(accepted, replace(profiling, span=span), client)
    after = _profile(current, profiling, client)
    if span is not None and before.rows < limits.min_rows:
        before = _profile(accepted, profiling, client)
    old, new = before.list_histograms(grids), after.list_histograms(grids)
    pairs: dict[str, Pair] = {name: (old[name], new[name]) for name in grids}
    if before.phases and after.phases:
        pairs["time of a row between two steps"] = (dict(before.phases), dict(after.phases))
    if before.hours is not None and after.hours is not None:
        # What part of the day rows come from: sensors that sleep, uploads that fail at night.
        pairs[HOUR] = (_count_hours(before), _count_hours(after))
    figures = _measure_profiles(before, after, list(grids), limits)
    if ordered:
        figures.append(_measure_clock(before, after, list(grids), limits))
    if step_ns:
        figures += _measure_time(before, after, find_usual_step(current), limits)
        figures += measure_entities(accepted, current, profiled, step_ns, limits, client)
    return pairs, figures


def _profile(version: Version, profiling: Profiling, client: TaskClient | None) -> Profile:
    work = partial(profile_shard, shards=version.dataset.shards, profiling=profiling)
    return reduce(Profile.merge, map_in_order(work, version.shards, client))


def _measure_profiles(
    before: Profile, after: Profile, names: list[str], limits: DriftGate
) -> list[DriftFigure]:
    figures = []
    if before.products is not None and after.products is not None:
        related = names[: len(before.products) - 1]
        change, pair = find_largest_change(before.products, after.products, related)
        about = f"correlation: largest change{', ' + pair if pair else ''}"
        limit = limits.max_relation_change
        figures.append(DriftFigure(about, change, most=limit, key="max_relation_change"))
    return figures


def _measure_clock(
    before: Profile, after: Profile, names: list[str], limits: DriftGate
) -> DriftFigure:
    """Measure how far the day has moved; where that cannot be told, say why."""
    about, most = (
        "clock: shift of the pattern of the day in minutes",
        limits.max_clock_shift_minutes,
    )
    if before.hours is None or after.hours is None:
        return DriftFigure(about, 0.0, why_not="rows come less often than eight times a day")
    shift = find_clock_shift(before.hours, after.hours, names)
    if shift.minutes and before.clock_hours is not None and after.clock_hours is not None:
        # People live by clocks that are changed twice a year, the sun does not: either may be why.
        told = find_clock_shift(before.clock_hours, after.clock_hours, names)
        shift = min((shift, told), key=lambda each: math.inf if each.why_not else each.minutes)
    return DriftFigure(
        about + (f", by {shift.column}" if shift.column else ""),
        shift.minutes,
        most=most,
        key="max_clock_shift_minutes",
        why_not=shift.why_not,
        hint=f"its own blocks moved by {shift.accepted_minutes:g} minutes before",
    )


def _measure_time(
    before: Profile, after: Profile, step_ns: int, limits: DriftGate
) -> list[DriftFigure]:
    """Measure whether rows follow each other in time as those of the accepted version do."""
    old, new, usual = before.steps, after.steps, before.step_ns
    if old is None or new is None:
        return []
    gaps = new.missing_share - old.missing_share
    back = new.back / max(1, new.rows) - old.back / max(1, old.rows)
    change = abs(step_ns / usual - 1)
    gap = f"time: longest gap, over {show_time(max(old.longest_ns, usual))}"
    return [
        DriftFigure(
            f"time: change of the usual step, from {show_time(usual)}",
            change,
            most=limits.max_step_change,
            key="max_step_change",
            hint=f"{show_time(usual)} -> {show_time(step_ns)}",
        ),
        DriftFigure(
            gap,
            compare_gaps(old, new, usual),
            most=limits.max_longest_gap_ratio,
            key="max_longest_gap_ratio",
            hint=f"{show_time(old.longest_ns)} -> {show_time(new.longest_ns)}",
        ),
        DriftFigure(
            "time: rise of the share that gaps are",
            gaps,
            most=limits.max_gap_rise,
            key="max_gap_rise",
            hint=f"{old.missing_share:.2%} -> {new.missing_share:.2%} of the time",
        ),
        DriftFigure(
            "time: rise of the share of rows that go back or stand still",
            back,
            most=limits.max_disorder_rise,
            key="max_disorder_rise",
            hint=f"{old.back} -> {new.back} rows",
        ),
    ]


def _count_hours(profile: Profile) -> dict[str, int]:
    """Count the rows of each hour of the day, or of each part of it that has a slot."""
    if profile.hours is None:
        return {}
    slots = profile.hours.sum(axis=0)[-1]
    parts = slots.reshape(min(24, len(slots)), -1).sum(axis=1)
    hours = 24 // len(parts)
    return {f"{hours * place:02d}:00": int(count) for place, count in enumerate(parts)}


def show_time(time_ns: int) -> str:
    """Show a length of time to people."""
    return str(timedelta(microseconds=time_ns / 1000))


def _make_grids(accepted: Version, columns: Sequence[Column]) -> dict[str, Grid]:
    statistics = accepted.statistics()
    grids = {}
    for column in columns:
        figures = statistics.get(column.key)
        if column.role in ("number", "target") and figures is not None:
            grid = make_column_grid(figures)
            if grid is not None:
                grids[column.name] = grid
    return grids


def find_usual_step(version: Version) -> int:
    """Find the usual time between rows; the first shard is enough for it."""
    rows = version.read_shard(version.shards[0], (TIME, SERIES_ID), verify=False)
    return find_step(rows[SERIES_ID], rows[TIME])


def profile_shard(entry: ShardEntry, shards: Store, profiling: Profiling) -> Profile:
    """Profile one shard; of rows outside the span only their time counts. Runs on a worker."""
    rows, grids = read_shard(shards, entry, verify=False), profiling.grids
    step_ns, span = profiling.step_ns, profiling.span
    columns = {column.name: read_column(rows, column) for column in profiling.columns}
    times, clocks = rows.get(TIME), None
    if times is not None and profiling.zone is not None:
        clocks = TimeStyle(None, profiling.zone).show_clocks(times)
    profile = measure_profile(columns, grids, times, step_ns, clocks)
    if span is not None:
        inside = (rows[TIME] >= span[0]) & (rows[TIME] <= span[1])
        if not inside.all():
            part = {name: values[inside] for name, values in columns.items()}
            cut = measure_profile(part, grids)
            profile = replace(profile, counts=cut.counts, products=cut.products)
    if not step_ns or TIME not in rows:
        return profile
    dated = find_present(rows, TIME)
    steps = measure_steps(rows[SERIES_ID][dated], rows[TIME][dated], step_ns)
    return replace(profile, steps=steps, step_ns=step_ns)
