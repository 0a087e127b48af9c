"""A raw version against the last accepted one: what of both is measured, and where."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.divergence import Histogram
from gates.drift import Distribution, Figure, judge_drift
from gates.probe import count_agreed, learn_probe, measure_loss, shrink_images, sum_rows
from gates.profile import Grid, Profile, find_clock_shift, find_largest_change, make_grid, measure_profile
from gates.report import GateReport
from gates.specs import DriftGate
from storage.derived import PREFIX
from storage.files import Store
from storage.parallel import TaskClient, map_in_order
from storage.rows import LABEL, VALID_SUFFIX, Rows
from storage.series import find_step
from storage.shards import ShardEntry, read_shard
from storage.snapshot import Version
from storage.sources.tables import NUMBERS, SERIES_ID, TARGET, TIME, name_field
from storage.specs import DataSpec, RowsSpec, SeriesSpec, TableSpec
from storage.statistics import FieldStatistics
from tasks.accepted import Accepted
from tasks.survey import code_texts, list_columns

PROBE_ROWS = 100_000
"""Rows of each version, spread over its shards, that the label probe is learned from and asked about."""


def gate_drift(
    current: Version, accepted: Accepted, data: RowsSpec, limits: DriftGate, client: TaskClient | None = None
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
    if isinstance(data, TableSpec):
        pairs, found = _compare_columns(accepted.version, current, data, limits, client)
        compared |= pairs
        figures += found
    figures += _measure_labels(accepted.version, current, data, limits, client)
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
        whole: whether columns and pixels come too, as coarse as their stored histograms are: enough for a picture.
    """
    compared: dict[str, Pair] = {}
    names = {LABEL: LABEL} | {name_field(name): name for name in (data.texts if isinstance(data, TableSpec) else ())}
    for field, name in names.items():
        old, new = before.get(field), after.get(field)
        if old is not None and new is not None and old.distinct is not None:
            compared[_name_label(name, data)] = (old.distinct, new.distinct or {"more than 1000 values": new.count})
    for name, old in before.items():
        fresh = after.get(name)
        if not name.startswith(PREFIX) or fresh is None or old.histogram is None or fresh.histogram is None:
            continue
        compared[_name_derived(name, data)] = align_histograms(old, fresh)
    columns = [(name, key) for name, key, _ in list_columns(data)] if isinstance(data, TableSpec) else [("image",) * 2]
    for name, key in columns if whole else ():
        old, new = before.get(key), after.get(key)
        if name not in compared and old is not None and new is not None and old.histogram and new.histogram:
            compared[name] = align_histograms(old, new)
    return compared


def _name_label(name: str, data: RowsSpec) -> str:
    return data.label if isinstance(data, TableSpec) and name == LABEL and data.label is not None else name


def _name_derived(name: str, data: RowsSpec) -> str:
    figure = name.removeprefix(PREFIX)
    return f"image.{figure}" if isinstance(data, DataSpec) else figure


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
    rise = current.duplicates / max(1, current.rows) - accepted.duplicates / max(1, accepted.rows)
    yield Figure("duplicates: rise of their share", rise, most=limits.max_duplicate_rise)


def _measure_missing(
    before: Mapping[str, FieldStatistics], after: Mapping[str, FieldStatistics], data: RowsSpec, limits: DriftGate
) -> list[Figure]:
    """How much more is missing of each column."""
    names = [(name, key) for name, key, _ in list_columns(data)] if isinstance(data, TableSpec) else [("label", LABEL)]
    figures = []
    for name, key in names:
        shares = []
        for statistics in (before, after):
            found = statistics.get(key, FieldStatistics())
            shares.append((found.null + found.nan) / max(1, found.count))
        about = f"{name}: rise of the share of missing values"
        figures.append(Figure(about, shares[1] - shares[0], most=limits.max_missing_rise))
    return figures


def _compare_columns(
    accepted: Version, current: Version, data: TableSpec, limits: DriftGate, client: TaskClient | None
) -> tuple[dict[str, Pair], list[Figure]]:
    """One pass over both versions: where values lie, how columns go together, and with the time of day."""
    grids = {name: grid for name, grid in _make_grids(accepted, data).items() if not _is_ignored(name, limits)}
    if not grids:
        return {}, []
    step_ns = _find_step(accepted) if isinstance(data, SeriesSpec) else 0
    work = partial(profile_shard, data=data, grids=grids, step_ns=step_ns)
    before, after = (
        reduce(Profile.merge, map_in_order(partial(work, shards=version.dataset.shards), version.shards, client))
        for version in (accepted, current)
    )
    old, new = before.list_histograms(grids), after.list_histograms(grids)
    pairs: dict[str, Pair] = {name: (old[name], new[name]) for name in grids}
    if before.phases and after.phases:
        pairs["time of a row between two steps"] = (dict(before.phases), dict(after.phases))
    return pairs, _measure_profiles(before, after, list(grids), limits)


def _measure_profiles(before: Profile, after: Profile, names: list[str], limits: DriftGate) -> list[Figure]:
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


def _make_grids(accepted: Version, data: TableSpec) -> dict[str, Grid]:
    statistics = accepted.statistics()
    grids = {}
    for name, key, role in list_columns(data):
        figures = statistics.get(key)
        if role not in ("number", "target") or figures is None or figures.histogram is None or figures.min is None:
            continue
        quantiles = [figures.histogram.find_quantile(share) for share in (0.001, 0.999)]
        least, greatest = float(figures.min), float(figures.max or 0)
        low, high = (min(max(value, least), greatest) for value in quantiles)
        grids[name] = make_grid((least, low, high, greatest), figures.mean or 0.0, figures.std or 0.0)
    return grids


def _find_step(version: Version) -> int:
    """The usual time between rows; of the first shard, which is enough for it."""
    rows = version.read_shard(version.shards[0], (TIME, SERIES_ID), verify=False)
    return find_step(rows[SERIES_ID], rows[TIME])


def profile_shard(
    entry: ShardEntry, shards: Store, data: TableSpec, grids: Mapping[str, Grid], step_ns: int
) -> Profile:
    """What one shard adds; runs on a worker."""
    rows = read_shard(shards, entry, verify=False)
    columns = {name: read_column(rows, name, data) for name in grids}
    return measure_profile(columns, grids, rows.get(TIME), step_ns)


def read_column(rows: Rows, name: str, data: TableSpec) -> NDArray[np.float64]:
    """A column of numbers or the target, (N,), NaN where it is missing."""
    if name == data.target:
        valid = rows.get(TARGET + VALID_SUFFIX)
        return rows[TARGET] if valid is None else np.where(valid, rows[TARGET], np.nan)
    number = data.numbers.index(name)
    return np.where(rows[NUMBERS + VALID_SUFFIX][:, number], rows[NUMBERS][:, number], np.nan)


def _measure_labels(
    accepted: Version, current: Version, data: RowsSpec, limits: DriftGate, client: TaskClient | None
) -> list[Figure]:
    """How many labels a probe of the accepted version no longer agrees with."""
    classes = len(data.labels) if isinstance(data, DataSpec | TableSpec) else 0
    if not classes or min(accepted.rows, current.rows) < limits.min_rows:
        return []
    scales = _read_scales(accepted, data)
    odd, even = (_pick_shards(accepted, half) for half in (0, 1))
    work = partial(sum_shard, shards=accepted.dataset.shards, data=data, scales=scales)
    # Learned from one half and asked about the other, so that it knows neither version by heart.
    weights = learn_probe(map_in_order(work, odd, client))
    counts = []
    for version, entries in ((accepted, even), (current, _pick_shards(current, None))):
        ask = partial(ask_shard, shards=version.dataset.shards, data=data, scales=scales, weights=weights)
        found = list(map_in_order(ask, entries, client))
        counts.append((sum(agreed for agreed, _ in found), sum(rows for _, rows in found)))
    loss = measure_loss(counts[0], counts[1], limits.max_p_value)
    about = f"label: fall of their agreement with a linear probe, from {counts[0][0] / max(1, counts[0][1]):.4g}"
    return [Figure(about, loss, most=limits.max_agreement_loss)]


Half = tuple[ShardEntry, int | None]


def _pick_shards(version: Version, half: int | None) -> list[Half]:
    """Shards spread over the version, about `PROBE_ROWS` rows of them, and which half of their rows is meant."""
    wanted = max(1, round(len(version.shards) * min(1.0, PROBE_ROWS / max(1, version.rows))))
    places = np.unique(np.linspace(0, len(version.shards) - 1, wanted).round().astype(int))
    return [(version.shards[place], half) for place in places]


def sum_shard(item: Half, shards: Store, data: RowsSpec, scales: NDArray[np.float64]) -> Any:
    """The probe's sums over half a shard; runs on a worker."""
    features, label = _read_features(item, shards, data, scales)
    return sum_rows(features, label, len(data.labels) if isinstance(data, DataSpec | TableSpec) else 0)


def ask_shard(
    item: Half, shards: Store, data: RowsSpec, scales: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[int, int]:
    """On how many labels of a shard the probe agrees, and of how many; runs on a worker."""
    return count_agreed(weights, *_read_features(item, shards, data, scales))


def _read_features(
    item: Half, shards: Store, data: RowsSpec, scales: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    entry, half = item
    rows = read_shard(shards, entry, verify=False)
    if half is not None:
        rows = {name: values[half::2] for name, values in rows.items()}
    valid = rows.get(LABEL + VALID_SUFFIX)
    label = rows[LABEL].astype(np.int64) if valid is None else np.where(valid, rows[LABEL], -1)
    if isinstance(data, DataSpec):
        return shrink_images(rows["image"], data.image.value_range), label
    return _build_features(rows, data, scales), label


def _build_features(rows: Rows, data: RowsSpec, scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised numbers and texts by category, (N, F)."""
    parts = []
    if isinstance(data, TableSpec) and NUMBERS in rows:
        usable = rows[NUMBERS + VALID_SUFFIX] & np.isfinite(rows[NUMBERS])
        scaled = np.where(usable, (rows[NUMBERS] - scales[0]) / scales[1], 0.0)
        parts += [np.clip(scaled, -8, 8), np.square(np.clip(scaled, -3, 3))]
    for name in data.texts if isinstance(data, TableSpec) else ():
        codes = code_texts(rows[name_field(name)]).astype(np.int64)
        parts.append(np.eye(64)[codes])
    return np.concatenate(parts, axis=1)


def _read_scales(accepted: Version, data: RowsSpec) -> NDArray[np.float64]:
    """Mean and standard deviation of each column of numbers, (2, D)."""
    statistics = accepted.statistics()
    names = data.numbers if isinstance(data, TableSpec) else ()
    found = [statistics[f"{NUMBERS}.{name}"] for name in names]
    return np.array([[figures.mean or 0.0 for figures in found], [figures.std or 1.0 for figures in found]])
