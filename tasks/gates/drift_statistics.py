"""Compares two versions by what their manifests tell: no row is read."""

from collections.abc import Mapping

from gates.drift.divergence import Histogram
from gates.drift.drift_gate import Distribution, DriftFigure
from gates.specs.drift import DriftGate
from storage.forms.base import RowsSpec
from storage.pipeline.derived import LONGEST_FLAT, PREFIX
from storage.shards.statistics import FieldStatistics
from tasks.forms.registry import find_task_form

Pair = tuple[Distribution, Distribution]
Statistics = Mapping[str, FieldStatistics]
_FLAT = ".flat"


def compare_statistics(
    before: Statistics, after: Statistics, data: RowsSpec, *, whole: bool = False
) -> dict[str, Pair]:
    """Pair both distributions of labels, texts and derived figures.

    Args:
        before: Statistics of the accepted version.
        after: Those of the current one.
        data: What the recipe says of the rows.
        whole: Whether columns and pixels come too, as coarse as their stored histograms are: enough
            for a picture.
    """
    columns = find_task_form(data).list_columns(data)
    named = [column for column in columns if column.role in ("label", "text")]
    compared: dict[str, Pair] = {}
    for column in sorted(named, key=lambda column: column.role != "label"):
        old, new = before.get(column.key), after.get(column.key)
        if old is not None and new is not None and old.distinct is not None:
            many = {"more than 1000 values": new.count}
            compared[column.name] = (old.distinct, new.distinct or many)
    compared |= _compare_derived(before, after, data)
    for column in columns if whole else ():
        pair = _pair_histograms(before, after, column.key)
        if column.name not in compared and pair is not None:
            compared[column.name] = pair
    return compared


def _compare_derived(before: Statistics, after: Statistics, data: RowsSpec) -> dict[str, Pair]:
    """Pair the distributions of derived figures that mean something for the form of the rows."""
    form = find_task_form(data)
    compared = {}
    for key in before:
        pair = _pair_histograms(before, after, key) if key.startswith(PREFIX) else None
        # Rows that are in no order of time may come in any order.
        if pair is not None and (form.ordered or not key.endswith(_FLAT)):
            compared[form.name_derived(key.removeprefix(PREFIX), data)] = pair
    return compared


def _pair_histograms(before: Statistics, after: Statistics, key: str) -> Pair | None:
    old, new = before.get(key), after.get(key)
    if old is None or new is None or old.histogram is None or new.histogram is None:
        return None
    return align_histograms(old, new)


def align_histograms(before: FieldStatistics, after: FieldStatistics) -> Pair:
    """Bring two stored histograms to the same edges."""
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


def measure_missing(
    before: Statistics, after: Statistics, data: RowsSpec, limits: DriftGate
) -> list[DriftFigure]:
    """Measure how much more is missing of each column."""
    figures = []
    for column in find_task_form(data).list_columns(data):
        if column.role == "array":
            continue
        shares = []
        for statistics in (before, after):
            found = statistics.get(column.key, FieldStatistics())
            shares.append((found.null + found.nan) / max(1, found.count))
        about = f"{column.name}: rise of the share of missing values"
        figures.append(DriftFigure(about, shares[1] - shares[0], most=limits.max_missing_rise))
    return figures


def measure_runs(
    before: Statistics, after: Statistics, data: RowsSpec, limits: DriftGate
) -> list[DriftFigure]:
    """Measure how many more rows stand in a long run of one value, as stuck sensors do."""
    form, figures = find_task_form(data), []
    for key, old in before.items():
        fresh = after.get(key)
        if key.startswith(PREFIX) and key.endswith(_FLAT) and fresh is not None:
            name = form.name_derived(key.removeprefix(PREFIX), data)
            about = f"{name}: rise of the share of rows that repeat {LONGEST_FLAT} before them"
            rise = _share_stuck(fresh) - _share_stuck(old)
            figures.append(DriftFigure(about, rise, most=limits.max_stuck_rise))
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
