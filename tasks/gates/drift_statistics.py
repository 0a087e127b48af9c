"""Compares two versions by what their manifests tell: no row is read."""

from collections.abc import Mapping

from gates.drift.divergence import Histogram
from gates.drift.drift_gate import Distribution, DriftFigure
from gates.drift.runs import Runs, measure_stuck_rise
from gates.specs.drift import DriftGate
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import TIME
from storage.pipeline.derived import LONGEST_FLAT, PREFIX
from storage.shards.statistics import FieldStatistics
from tasks.forms.registry import find_task_form

Pair = tuple[Distribution, Distribution]
Span = tuple[int, int]
Statistics = Mapping[str, FieldStatistics]
_FLAT = ".flat"
_ENERGY = ".energy"


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
        # Rows that are in no order of time may come in any order, and what a manifest has of energy
        # hangs on the row that a version begins with: `row_figures` measures it anew.
        left_out = key.endswith((_ENERGY,) if form.ordered else (_FLAT, _ENERGY))
        if pair is not None and not left_out:
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


def find_span(version: Version) -> Span | None:
    """Find first and last time of a version; None where its rows have none."""
    figures = version.statistics().get(TIME)
    if figures is None or figures.min is None or figures.max is None:
        return None
    return int(figures.min), int(figures.max)


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
        figures.append(
            DriftFigure(
                about,
                shares[1] - shares[0],
                most=limits.max_missing_rise,
                key="max_missing_rise",
                hint=f"{shares[0]:.2%} -> {shares[1]:.2%} of the values",
            )
        )
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
            runs = _count_runs(old), _count_runs(fresh)
            figures.append(
                DriftFigure(
                    about,
                    measure_stuck_rise(*runs, limits.max_p_value),
                    most=limits.max_stuck_rise,
                    key="max_stuck_rise",
                    hint=f"{runs[0].share:.2%} -> {runs[1].share:.2%} of the rows, "
                    f"{runs[0].long_runs} -> {runs[1].long_runs} such runs",
                )
            )
    return figures


def _count_runs(figures: FieldStatistics) -> Runs:
    """Count runs by how many rows of each length there are, which a histogram keeps exactly."""
    histogram = figures.histogram
    counts: dict[float, int] = {}
    if histogram is not None:
        pairs = zip(histogram.edges, histogram.counts, strict=True)
        counts = {low: count for (low, _), count in pairs}
    rows = sum(counts.values())
    return Runs(
        rows=rows,
        repeats=rows - counts.get(0.0, 0),
        long_runs=counts.get(LONGEST_FLAT - 1.0, 0),
        stuck=counts.get(float(LONGEST_FLAT), 0),
        longest=LONGEST_FLAT,
    )
