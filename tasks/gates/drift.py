"""Judges a raw version against the last accepted one."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from gates.drift.drift_gate import Distribution, DriftFigure, judge_drift
from gates.engine.report import GateReport
from gates.specs.drift import DriftGate
from storage.base.parallel import TaskClient
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.shards.statistics import FieldStatistics
from storage.upkeep.duplicates import count_duplicates
from tasks.forms.registry import find_task_form
from tasks.gates.accepted import Accepted
from tasks.gates.drift_columns import compare_columns
from tasks.gates.drift_devices import measure_devices
from tasks.gates.drift_labels import measure_labels
from tasks.gates.drift_new import compare_rows, find_new, measure_changed, tell_new
from tasks.gates.drift_statistics import compare_statistics, measure_missing, measure_runs


def gate_drift(
    current: Version,
    accepted: Accepted,
    data: RowsSpec,
    limits: DriftGate,
    client: TaskClient | None = None,
    *,
    labelled: bool = True,
) -> GateReport:
    """Judge a raw version against the last accepted one; with none, say so and pass.

    Args:
        current: The version that is judged.
        accepted: The one that was accepted last.
        data: What the recipe says of the rows.
        limits: The recipe's.
        client: Where the work on rows is done; None for here.
        labelled: Whether the rows have their labels, so that these can be compared.
    """
    after = current.statistics()
    if accepted.version is None or not limits.enabled:
        reason = accepted.reason if limits.enabled else "the recipe leaves it out"
        return judge_drift(limits, None, _list_known(after), why_not=reason)
    before, form = accepted.version.statistics(), find_task_form(data)
    compared = compare_statistics(before, after, data)
    figures = list(_measure_versions(accepted.version, current, limits))
    figures += measure_missing(before, after, data, limits)
    listed = form.list_columns(data)
    columns = tuple(column for column in listed if not _is_ignored(column.name, limits))
    pairs, found = compare_columns(accepted.version, current, data, columns, limits, client)
    compared |= pairs
    figures += found
    new = find_new(accepted.version, current, limits, ordered=form.ordered)
    pairs, found = compare_rows(accepted.version, current, data, limits, new, client)
    compared |= pairs
    if form.ordered:
        figures += measure_devices(accepted.version, current, data, columns, limits, new, client)
    else:
        figures += measure_runs(before, after, data, limits)
    softened = {each.field for each in found if each.warns}
    figures += [*found, measure_changed(new, limits), tell_new(new)]
    if labelled:
        figures += measure_labels(accepted.version, current, data, limits, client)
    kept = {name: pair for name, pair in compared.items() if not _is_ignored(name, limits)}
    sides = [{name: pair[side] for name, pair in kept.items()} for side in (0, 1)]
    judged = [each for each in figures if not _is_ignored(each.subject, limits)]
    return judge_drift(limits, sides[0], sides[1], judged, softened=softened)


def _is_ignored(name: str, limits: DriftGate) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in limits.ignore)


def _list_known(statistics: Mapping[str, FieldStatistics]) -> dict[str, Distribution]:
    return {name: {"rows": figures.count} for name, figures in statistics.items()}


def _measure_versions(
    accepted: Version, current: Version, limits: DriftGate
) -> Iterator[DriftFigure]:
    ratio = current.rows / max(1, accepted.rows)
    yield DriftFigure(
        f"rows over those of {accepted.ref}",
        ratio,
        least=limits.min_rows_ratio,
        key="min_rows_ratio",
        hint=f"{accepted.rows:,} -> {current.rows:,} rows",
    )
    now, then = (count_duplicates(each) / max(1, each.rows) for each in (current, accepted))
    yield DriftFigure(
        "duplicates: rise of their share",
        now - then,
        most=limits.max_duplicate_rise,
        key="max_duplicate_rise",
        hint=f"{then:.2%} -> {now:.2%} of the rows repeat another",
    )
