"""Values that are there and cannot be read: how many of a column, and where the first ones stand.

They are not missing. A column of `1,5` or `ERR` that passed as missing would be learned from as a
column of nothing; so they are counted apart, while rows are read, and the raw gate judges them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.base.cells import (
    MAX_QUOTED,
    Missing,
    find_missing,
    read_number_cell,
    read_text_cell,
)
from storage.base.time_styles import TimeStyle
from storage.base.urls import redact
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, TARGET, TIME, take_times
from storage.forms.parsing import is_text_column
from storage.shards.row_ids import VALID_SUFFIX, Rows

if TYPE_CHECKING:
    import pyarrow as pa

NAMED = 3


class Unreadable(BaseModel):
    """Values of one column that are neither missing nor what the column should hold.

    Attributes:
        count: How many.
        values: The first three as they stand there, without secrets.
        places: Where each of them is, as `data.csv line 12`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int
    values: tuple[str, ...]
    places: tuple[str, ...]

    def merge(self, other: "Unreadable") -> "Unreadable":
        """Return both together; the first ones stay named."""
        return Unreadable(
            count=self.count + other.count,
            values=(*self.values, *other.values)[:NAMED],
            places=(*self.places, *other.places)[:NAMED],
        )


def find_unreadable(
    table: "pa.Table", rows: Rows, spec: RowsSpec, name_place: Callable[[int], str]
) -> dict[str, Unreadable]:
    """Finds the values of columns of numbers, target and time that could not be read.

    Args:
        table: What the rows were read from.
        rows: The rows, with their masks.
        spec: What each column is.
        name_place: Names the place of a row of the table, by its number.

    Returns:
        By the recipe's name of the column; columns without any are left out.
    """
    missing = find_missing(spec.missing)
    found: dict[str, Unreadable] = {}
    for name, valid in _list_masks(rows, spec).items():
        style = _find_style(name, spec)
        column = take_times(table, spec) if name == spec.time_name else table.column(name)
        # Times that are no texts are read, whatever they are, unless a zone has none of them.
        zoned = style is not None and style.zone is not None
        if valid.all() or not (is_text_column(column) or zoned):
            continue
        lost = np.flatnonzero(~valid)
        given = column.take(lost).cast("string").to_pylist()
        odd = [
            (int(row), f"{redact(text)[:MAX_QUOTED]}{_explain(text, style)}")
            for row, text in zip(lost, given, strict=True)
            if text is not None and _is_odd(text, missing, style)
        ]
        if odd:
            found[name] = _describe(odd, name_place)
    return found


def _list_masks(rows: Rows, spec: RowsSpec) -> dict[str, NDArray[np.bool_]]:
    """Return which values are there, of each column of numbers, the target and the time."""
    numbers = rows.get(NUMBERS + VALID_SUFFIX)
    masks = {
        name: numbers[:, place] for place, name in enumerate(spec.numbers) if numbers is not None
    }
    for name, field in ((spec.target_column, TARGET), (spec.time_name, TIME)):
        if name is not None and field + VALID_SUFFIX in rows:
            masks[name] = rows[field + VALID_SUFFIX]
    return masks


def _find_style(name: str, spec: RowsSpec) -> TimeStyle | None:
    """Return how a column tells times; None where it holds numbers."""
    if name == spec.time_name:
        return spec.time_style
    return spec.date_style if name in spec.dates else None


def _is_odd(text: str, missing: Missing, style: TimeStyle | None) -> bool:
    """Tell it from what is missing, and from a moment too far away to be kept."""
    if style is not None:
        read = read_text_cell(text, missing)
        return bool(read) and not style.is_moment(read or "")
    return read_number_cell(text, missing) is None


def _explain(text: str, style: TimeStyle | None) -> str:
    why = style.explain(text) if style is not None else ""
    return f" ({why})" if why else ""


def merge_unreadable(
    parts: Iterable[Mapping[str, Unreadable]],
) -> dict[str, Unreadable]:
    """Return the values of all parts together, in their order."""
    merged: dict[str, Unreadable] = {}
    for part in parts:
        for name, values in part.items():
            merged[name] = merged[name].merge(values) if name in merged else values
    return merged


def _describe(odd: list[tuple[int, str]], name_place: Callable[[int], str]) -> Unreadable:
    first = odd[:NAMED]
    return Unreadable(
        count=len(odd),
        values=tuple(text for _, text in first),
        places=tuple(name_place(row) for row, _ in first),
    )
