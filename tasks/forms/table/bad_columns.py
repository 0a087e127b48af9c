"""Marks bad rows of tables and series: by their columns, labels and times."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gates.raw.check_names import FUTURE, INFINITE, MISSING, UNANSWERED, UNDATED, UNDECLARED
from gates.raw.forms import FORMS
from gates.specs.raw import RawGate
from storage.base.cells import LARGEST
from storage.datasets.version import Version
from storage.forms.columns import TARGET, TIME
from storage.forms.table import TableSpec
from storage.shards.row_ids import LABEL, ROW_ID, Rows
from storage.shards.statistics import FieldStatistics
from tasks.forms.base import Mask, RowMarker
from tasks.forms.columns import Column, find_present, read_column, read_presence
from tasks.forms.table.columns import list_columns
from tasks.forms.table.survey import find_latest, is_vast


def find_marker(about: str, version: Version, data: TableSpec, limits: RawGate) -> RowMarker | None:
    """Find what marks the bad rows of a failed check; None where no row can be told."""
    if about in (MISSING, INFINITE):
        columns = _list_bad_columns(about, version, data, limits)
        mark = partial(_MARKS_OF_COLUMNS[about], columns=columns)
        return RowMarker(tuple({column.field: None for column in columns}), mark)
    if about in _MARKS:
        return RowMarker(*_MARKS[about])
    return None


def _list_bad_columns(
    about: str, version: Version, data: TableSpec, limits: RawGate
) -> list[Column]:
    """List the columns whose share of missing or infinite values is beyond the limit."""
    chosen = FORMS.find(data.kind).fill_limits(limits)
    statistics, found = version.statistics(), []
    most = chosen.max_missing_fraction if about == MISSING else chosen.max_infinite_fraction
    for column in list_columns(data):
        figures = statistics.get(column.key)
        if figures is None or (about == MISSING and column.role in ("label", "target")):
            continue
        if _count_bad(about, figures) > (most or 0.0) * version.rows:
            found.append(column)
    return found


def _count_bad(about: str, figures: FieldStatistics) -> int:
    return figures.null + figures.nan if about == MISSING else figures.inf + is_vast(figures)


def mark_missing(rows: Rows, columns: Sequence[Column]) -> Mask:
    """Mark rows of which a column is missing, or NaN."""
    bad = _mark_none(rows)
    for column in columns:
        bad |= ~read_presence(rows, column) | _is_nan(read_column(rows, column))
    return bad


def mark_infinite(rows: Rows, columns: Sequence[Column]) -> Mask:
    """Mark rows of which a column is infinite, or so in the numbers of a model."""
    bad = _mark_none(rows)
    for column in columns:
        bad |= read_presence(rows, column) & (np.abs(read_column(rows, column)) > LARGEST)
    return bad


def mark_unanswered(rows: Rows) -> Mask:
    """Mark rows without the label or target that is to be learned."""
    bad = _mark_none(rows)
    for name in (LABEL, TARGET):
        if name in rows:
            bad |= ~find_present(rows, name) | _is_nan(rows[name])
    return bad


def mark_undeclared(rows: Rows) -> Mask:
    """Mark rows with a label that the recipe does not declare."""
    if LABEL not in rows:
        return _mark_none(rows)
    bad: Mask = find_present(rows, LABEL) & (rows[LABEL] < 0)
    return bad


def mark_undated(rows: Rows) -> Mask:
    """Mark rows without a time."""
    return ~find_present(rows, TIME) if TIME in rows else _mark_none(rows)


def mark_future(rows: Rows) -> Mask:
    """Mark rows with a time in the future."""
    if TIME not in rows:
        return _mark_none(rows)
    bad: Mask = find_present(rows, TIME) & (rows[TIME] > find_latest())
    return bad


def _mark_none(rows: Rows) -> Mask:
    return np.zeros(len(rows[ROW_ID]), np.bool_)


def _is_nan(values: NDArray[Any]) -> Mask:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), np.bool_)


_MARKS_OF_COLUMNS: dict[str, Callable[..., Mask]] = {
    MISSING: mark_missing,
    INFINITE: mark_infinite,
}
_MARKS: dict[str, tuple[tuple[str, ...], Callable[[Rows], Mask]]] = {
    UNANSWERED: ((LABEL, TARGET), mark_unanswered),
    UNDECLARED: ((LABEL,), mark_undeclared),
    UNDATED: ((TIME,), mark_undated),
    FUTURE: ((TIME,), mark_future),
}
