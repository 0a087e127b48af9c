"""Names columns of rows for gates, and reads their values from stored fields."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows

Role = Literal["number", "text", "label", "target", "array"]
SCALARS: tuple[Role, ...] = ("number", "text", "target")
"""Roles of the columns that hold one value a row, beside the label."""


@dataclass(frozen=True)
class Column:
    """Names one column of the rows of a recipe.

    Attributes:
        name: What the recipe calls it.
        key: Name of its statistics in a manifest.
        role: What it is for; "array" is a field of many values a row, of which only the statistics
            are compared.
        field: Stored field that holds it.
        place: Place in a field that holds several columns.
    """

    name: str
    key: str
    role: Role
    field: str
    place: int = 0


LABEL_COLUMN = Column(LABEL, LABEL, "label", LABEL)


def read_column(rows: Rows, column: Column) -> NDArray[Any]:
    """Return a column's values (N,), with NaN for a missing number and None for a missing text."""
    values, valid = _pick(rows[column.field], column), rows.get(column.field + VALID_SUFFIX)
    missing: Any = np.nan
    if column.role == "text":
        values, missing = values.astype(object), None
    return values if valid is None else np.where(_pick(valid, column), values, missing)


def read_presence(rows: Rows, column: Column) -> NDArray[np.bool_]:
    """Return which values of a column (N,) are present."""
    return _pick(find_present(rows, column.field), column)


def find_present(rows: Rows, field: str) -> NDArray[np.bool_]:
    """Return which values of a field, of its shape, are present."""
    present: NDArray[np.bool_] = rows.get(
        field + VALID_SUFFIX, np.ones(rows[field].shape, np.bool_)
    )
    return present


def _pick(values: NDArray[Any], column: Column) -> NDArray[Any]:
    return values[:, column.place] if values.ndim == 2 else values
