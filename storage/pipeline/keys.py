"""Finds one value a row by the name that a recipe has for it, and which rows have one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, hash_entity, list_meant
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows, find_valid

Values = tuple[NDArray[Any], NDArray[np.bool_]]


def find_values(
    rows: Rows, name: str, spec: RowsSpec, columns: Mapping[str, Sequence[str]]
) -> Values:
    """Finds a field with one value a row, or a column of a field of columns.

    Args:
        rows: The fields.
        name: A field, or a column by the recipe's name.
        spec: The recipe's data section.
        columns: Names of the columns of two-dimensional fields.

    Returns:
        The values, and which of them are there; both of shape (N,).

    Raises:
        InvalidInput: There is no such field or column.
    """
    for field in list_meant(name, spec):
        if field in rows and rows[field].ndim == 1:
            return rows[field], _find_present(rows[field], find_valid(rows, field), field, spec)
    for field, names in columns.items():
        if name in names and field in rows and not field.endswith(VALID_SUFFIX):
            place = list(names).index(name)
            mask = rows.get(field + VALID_SUFFIX)
            valid = np.ones(len(rows[field]), np.bool_) if mask is None else mask[:, place]
            values = rows[field][:, place]
            return values, _find_present(values, valid, field, spec)
    single = {field for field, values in rows.items() if values.ndim == 1}
    known = sorted(single.union(*columns.values()))
    raise InvalidInput(
        f"field ({name}) must hold one value a row; got no such field; choose one of: "
        f"{', '.join(known)}"
    )


def is_label(name: str, spec: RowsSpec) -> bool:
    """Return whether a name means the class of a row."""
    return bool(spec.labels) and (name == LABEL or name == spec.label)


def _find_present(
    values: NDArray[Any], valid: NDArray[np.bool_], field: str, spec: RowsSpec
) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        valid = np.logical_and(valid, ~np.isnan(values))
    elif field == SERIES_ID and spec.entity is not None:
        # Rows without an entity are told by their id alone.
        valid = np.logical_and(valid, values != hash_entity(""))
    return valid
