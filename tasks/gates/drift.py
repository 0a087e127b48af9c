"""A raw version against the last accepted one: what of both is measured, and where; its labels in `tasks.gates.drift_labels`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray

from gates.drift.divergence import Histogram
from gates.drift.drift_gate import Distribution, Figure, judge_drift
from gates.drift.profile import (
    Grid,
    Profile,
    find_clock_shift,
    find_largest_change,
    make_grid,
    measure_profile,
)
from gates.drift.time_steps import compare_gaps, measure_steps
from gates.engine.report import GateReport
from gates.specs import DriftGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME, name_field
from storage.forms.image import ImageSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.derived import LONGEST_FLAT, PREFIX
from storage.pipeline.sorting import find_step
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows
from storage.shards.shard import ShardEntry, read_shard
from storage.shards.statistics import FieldStatistics
from storage.upkeep.duplicates import count_duplicates
from tasks.gates.accepted import Accepted
from tasks.gates.drift_labels import measure_labels
from tasks.gates.survey import list_columns


def gate_drift(
    current: Version,
    accepted: Accepted,
    data: RowsSpec,
    limits: DriftGate,
    client: TaskClient | None = None,
) -> GateReport:
    """Judges a raw version against the last accepted one; with none, says so and passes."""
    statistics = current.statistics()
    if accepted.version is None or not limits.enabled:
        reason = accepted.reason if limits.enabled else "the recipe leaves it out"
        return judge_drift(limits, None, _list_known(statistics), why_not=reason)
    before, after = accepted.version.statistics(), statistics
    compared = compare_statistics(before, after, data)
    figures = list(_measure_versions(accepted.version, current, limits))
    figures += _measure_missing(before, after, data, limits)
    if isinstance(data, TableSpec) and not isinstance(data, SeriesSpec):
        figures += _measure_runs(before, after, data, limits)
    if isinstance(data, TableSpec):
        pairs, found = _compare_columns(accepted.version, current, data, limits, client)
        compared |= pairs
        figures += found
    figures += measure_labels(accepted.version, current, data, limits, client)
    kept = {name: pair for name, pair in compared.items() if not _is_ignored(name, limits)}
    figures = [figure for figure in figures if not _is_ignored(figure.about.split(":")[0], limits)]
    return judge_drift(
        limits,
        {name: pair[0] for name, pair in kept.items()},
        {name: pair[1] for name, pair in kept.items()},
        figures,
    )


Pair = tuple[Distribution, Distribution]


def _is_ignored(name: str, limits: DriftGate) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in limits.ignore)


def _list_known(statistics: Mapping[str, FieldStatistics]) -> dict[str, Distribution]:
    return {name: {"rows": figures.count} for name, figures in statistics.items()}


def compare_statistics(
    before: Mapping[str, FieldStatistics],
    after: Mapping[str, FieldStatistics],
    data: RowsSpec,
    *,
    whole: bool = False,
) -> dict[str, Pair]:
    """Both distributions of what the manifests alone tell: labels, texts, and derived figures; no row is read.

    Args:
        before: statistics of the accepted version.
        after: those of the current one.
        data: what the recipe says of the rows.
        whole: whether columns and pixels come too, as coarse as their stored histograms are: enough
            for a picture.
    """
    compared: dict[str, Pair] = {}
    names = {LABEL: LABEL} | {
        name_field(name): name for name in (data.texts if isinstance(data, TableSpec) else ())
    }
    for field, name in names.items():
        old, new = before.get(field), after.get(field)
        if old is not None and new is not None and old.distinct is not None:
            compared[_name_label(name, data)] = (
                old.distinct,
                new.distinct or {"more than 1000 values": new.count},
            )
    for name, old in before.items():
        fresh = after.get(name)
        if (
            not name.startswith(PREFIX)
            or fresh is None
            or old.histogram is None
            or fresh.histogram is None
        ):
            continue
        if not name.endswith(".flat") or isinstance(
            data, ImageSpec | SeriesSpec
        ):  # rows of a table come in any order
            compared[_name_derived(name, data)] = align_histograms(old, fresh)
    columns = (
        [(name, key) for name, key, _ in list_columns(data)]
        if isinstance(data, TableSpec)
        else [("image",) * 2]
    )
    for name, key in columns if whole else ():
        old, new = before.get(key), after.get(key)
        if (
            name not in compared
            and old is not None
            and new is not None
            and old.histogram
            and new.histogram
        ):
            compared[name] = align_histograms(old, new)
    return compared


def _name_label(name: str, data: RowsSpec) -> str:
    return (
        data.label
        if isinstance(data, TableSpec) and name == LABEL and data.label is not None
        else name
    )


def _name_derived(name: str, data: RowsSpec) -> str:
    figure = name.removeprefix(PREFIX)
    if isinstance(data, TableSpec) and data.target is not None and TARGET not in data.numbers:
        column, _, kind = figure.rpartition(".")
        figure = f"{data.target}.{kind}" if column == TARGET else figure
    return f"image.{figure}" if isinstance(data, ImageSpec) else figure


def align_histograms(before: FieldStatistics, after: FieldStatistics) -> Pair:
    """Two stored histograms over the same edges."""
    found = [figures.histogram for figures in (before, after) if figures.histogram is not None]
    edges = sorted({edge for histogram in found for bounds in histogram.edges for edge in bounds})
    if len(edges) < 2:
        edges = [edges[0] if edges else 0.0, (edges[0] if edges else 0.0) + 1.0]
    place = {edge: number for number, edge in enumerate(edges)}
    aligned = []
    for histogram in found:
        counts = [0] * (len(edges) - 1)
        for bounds, count in zip(histogram.edges, histogram.counts, strict=True):
            counts[place[bounds[0]]] += count
        aligned.append(Histogram(edges=tuple(edges), counts=tuple(counts)))
    return aligned[0], aligned[1]


def _measure_versions(accepted: Version, current: Version, limits: DriftGate) -> Iterator[Figure]:
    ratio = current.rows / max(1, accepted.rows)
    yield Figure(f"rows over those of {accepted.ref}", ratio, least=limits.min_rows_ratio)
    rise = count_duplicates(current) / max(1, current.rows) - count_duplicates(accepted) / max(
        1, accepted.rows
    )
    yield Figure("duplicates: rise of their share", rise, most=limits.max_duplicate_rise)


def _measure_missing(
    before: Mapping[str, FieldStatistics],
    after: Mapping[str, FieldStatistics],
    data: RowsSpec,
    limits: DriftGate,
) -> list[Figure]:
    """How much more is missing of each column."""
    names = (
        [(name, key) for name, key, _ in list_columns(data)]
        if isinstance(data, TableSpec)
        else [("label", LABEL)]
    )
    figures = []
    for name, key in names:
        shares = []
        for statistics in (before, after):
            found = statistics.get(key, FieldStatistics())
            shares.append((found.null + found.nan) / max(1, found.count))
        about = f"{name}: rise of the share of missing values"
        figures.append(Figure(about, shares[1] - shares[0], most=limits.max_missing_rise))
    return figures


def _measure_runs(
    before: Mapping[str, FieldStatistics],
    after: Mapping[str, FieldStatistics],
    data: TableSpec,
    limits: DriftGate,
) -> list[Figure]:
    """How many more rows of a table stand in a long run of one value: what a stuck sensor leaves, and no reordering does."""
    figures = []
    for name, old in before.items():
        fresh = after.get(name)
        if name.startswith(PREFIX) and name.endswith(".flat") and fresh is not None:
            rise = _share_stuck(fresh) - _share_stuck(old)
            about = f"{_name_derived(name, data)}: rise of the share of rows that repeat {LONGEST_FLAT} before them"
            figures.append(Figure(about, rise, most=limits.max_stuck_rise))
    return figures


def _share_stuck(figures: FieldStatistics) -> float:
    histogram = figures.histogram
    if histogram is None:
        return 0.0
    stuck = sum(
        count
        for (low, _), count in zip(histogram.edges, histogram.counts, strict=True)
        if low >= LONGEST_FLAT
    )
    return stuck / max(1, figures.count)


def _compare_columns(
    accepted: Version,
    current: Version,
    data: TableSpec,
    limits: DriftGate,
    client: TaskClient | None,
) -> tuple[dict[str, Pair], list[Figure]]:
    """One pass over both versions: where values lie, how columns go together, and with the time of day."""
    grids = {
        name: grid
        for name, grid in _make_grids(accepted, data).items()
        if not _is_ignored(name, limits)
    }
    if not grids:
        return {}, []
    step_ns = _find_step(accepted) if isinstance(data, SeriesSpec) else 0
    work = partial(profile_shard, data=data, grids=grids, step_ns=step_ns)
    spans = (_find_span(current) if step_ns else None, None)
    before, after = (
        reduce(
            Profile.merge,
            map_in_order(
                partial(work, shards=version.dataset.shards, span=span), version.shards, client
            ),
        )
        for version, span in zip((accepted, current), spans, strict=True)
    )
    if spans[0] is not None and before.rows < limits.min_rows:
        before = reduce(
            Profile.merge,
            map_in_order(partial(work, shards=accepted.dataset.shards), accepted.shards, client),
        )
    old, new = before.list_histograms(grids), after.list_histograms(grids)
    pairs: dict[str, Pair] = {name: (old[name], new[name]) for name in grids}
    if before.phases and after.phases:
        pairs["time of a row between two steps"] = (dict(before.phases), dict(after.phases))
    figures = _measure_profiles(before, after, list(grids), limits)
    if step_ns:
        figures += _measure_time(before, after, _find_step(current), limits)
    return pairs, figures


def _measure_profiles(
    before: Profile, after: Profile, names: list[str], limits: DriftGate
) -> list[Figure]:
    figures = []
    if before.products is not None and after.products is not None:
        related = names[: len(before.products) - 1]
        change, pair = find_largest_change(before.products, after.products, related)
        about = f"correlation: largest change{', ' + pair if pair else ''}"
        figures.append(Figure(about, change, most=limits.max_relation_change))
    if before.hours is not None and after.hours is not None:
        shift = find_clock_shift(before.hours, after.hours, names)
        about = f"clock: shift of the pattern of the day in minutes{', by ' + shift.column if shift.column else ''}"
        figures.append(Figure(about, shift.minutes, most=limits.max_clock_shift_minutes))
    return figures


def _measure_time(before: Profile, after: Profile, step_ns: int, limits: DriftGate) -> list[Figure]:
    """Whether rows follow each other in time as those of the accepted version do."""
    old, new, usual = before.steps, after.steps, before.step_ns
    if old is None or new is None:
        return []
    gaps = new.missing_share - old.missing_share
    back = new.back / max(1, new.rows) - old.back / max(1, old.rows)
    change = abs(step_ns / usual - 1)
    gap = f"time: longest gap, over {show_time(max(old.longest_ns, usual))}"
    return [
        Figure(
            f"time: change of the usual step, from {show_time(usual)}",
            change,
            most=limits.max_step_change,
        ),
        Figure(gap, compare_gaps(old, new, usual), most=limits.max_longest_gap_ratio),
        Figure("time: rise of the share that gaps are", gaps, most=limits.max_gap_rise),
        Figure(
            "time: rise of the share of rows that go back or stand still",
            back,
            most=limits.max_disorder_rise,
        ),
    ]


def show_time(time_ns: int) -> str:
    """A length of time for people."""
    return str(timedelta(microseconds=time_ns / 1000))


def _make_grids(accepted: Version, data: TableSpec) -> dict[str, Grid]:
    statistics = accepted.statistics()
    grids = {}
    for name, key, role in list_columns(data):
        figures = statistics.get(key)
        if (
            role not in ("number", "target")
            or figures is None
            or figures.histogram is None
            or figures.min is None
        ):
            continue
        quantiles = [figures.histogram.find_quantile(share) for share in (0.001, 0.999)]
        least, greatest = float(figures.min), float(figures.max or 0)
        low, high = (min(max(value, least), greatest) for value in quantiles)
        grids[name] = make_grid(
            (least, low, high, greatest), figures.mean or 0.0, figures.std or 0.0
        )
    return grids


def _find_step(version: Version) -> int:
    """The usual time between rows; of the first shard, which is enough for it."""
    rows = version.read_shard(version.shards[0], (TIME, SERIES_ID), verify=False)
    return find_step(rows[SERIES_ID], rows[TIME])


def _find_span(version: Version) -> tuple[int, int] | None:
    """First and last time of a version, to which the accepted one is cut: a season that it lacks is no change of it."""
    figures = version.statistics().get(TIME)
    return (
        (int(figures.min), int(figures.max))
        if figures and figures.min is not None and figures.max is not None
        else None
    )


def profile_shard(
    entry: ShardEntry,
    shards: Store,
    data: TableSpec,
    grids: Mapping[str, Grid],
    step_ns: int,
    span: tuple[int, int] | None = None,
) -> Profile:
    """What one shard adds; of rows outside a span of time, only their time counts. Runs on a worker."""
    rows = read_shard(shards, entry, verify=False)
    columns = {name: read_column(rows, name, data) for name in grids}
    profile = measure_profile(columns, grids, rows.get(TIME), step_ns)
    if span is not None:
        inside = (rows[TIME] >= span[0]) & (rows[TIME] <= span[1])
        if not inside.all():
            part = measure_profile(
                {name: values[inside] for name, values in columns.items()}, grids
            )
            profile = replace(profile, counts=part.counts, products=part.products)
    if not step_ns or TIME not in rows:
        return profile
    dated = rows.get(TIME + VALID_SUFFIX, np.ones(entry.rows, np.bool_))
    return replace(
        profile,
        steps=measure_steps(rows[SERIES_ID][dated], rows[TIME][dated], step_ns),
        step_ns=step_ns,
    )


def read_column(rows: Rows, name: str, data: TableSpec) -> NDArray[np.float64]:
    """A column of numbers or the target, (N,), NaN where it is missing."""
    if name == data.target:
        valid = rows.get(TARGET + VALID_SUFFIX)
        return rows[TARGET] if valid is None else np.where(valid, rows[TARGET], np.nan)
    number = data.numbers.index(name)
    return np.where(rows[NUMBERS + VALID_SUFFIX][:, number], rows[NUMBERS][:, number], np.nan)
