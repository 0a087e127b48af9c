"""Checks that rows can be stored, and brings them to the one layout that is stored."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput
from storage.shards.codecs import TEXT
from storage.shards.entry import FieldSpec
from storage.shards.row_ids import VALID_SUFFIX, Rows

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


def check_rows(rows: Mapping[str, NDArray[Any]]) -> Rows:
    """Return rows as they are stored: by field, contiguous, little-endian, text as StringDType.

    Raises:
        InvalidInput: There is no row, lengths differ, a name or a type is not allowed, or text is
            missing.
    """
    lengths = {name: len(array) if np.ndim(array) else -1 for name, array in rows.items()}
    if len(set(lengths.values())) != 1 or min(lengths.values()) < 1:
        raise InvalidInput(
            "the fields of a shard must have one length, of at least 1; got "
            f"{lengths or 'no field'}; leave empty shards out"
        )
    arrays = {name: _normalize_array(name, np.asarray(rows[name])) for name in sorted(rows)}
    for name in arrays:
        if name.endswith(VALID_SUFFIX):
            _check_mask(name, arrays)
    return arrays


def specify_field(name: str, array: NDArray[Any], columns: Sequence[str]) -> FieldSpec:
    """Describe a checked array as a field.

    Raises:
        InvalidInput: The names of its columns are not as many as its columns.
    """
    if columns and (
        array.ndim != 2 or array.shape[1] != len(columns) or len(set(columns)) != len(columns)
    ):
        raise InvalidInput(
            f"a field with columns ({name}) must have shape (N, {len(columns)}) and different "
            f"names; got {array.shape} and {list(columns)}; correct the names"
        )
    dtype = TEXT if array.dtype.kind == "T" else array.dtype.name
    return FieldSpec(name=name, dtype=dtype, shape=array.shape[1:], columns=tuple(columns))


def _normalize_array(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if not _FIELD_NAME.fullmatch(name):
        raise InvalidInput(
            f"the name of a field ({name!r}) must be a letter, then letters, digits, '_', '-' or "
            "'.', at most 128; rename the field"
        )
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if array.dtype.kind in "UT" or (
        array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat)
    ):
        if array.ndim == 1:
            return array.astype(np.dtypes.StringDType())
        raise InvalidInput(
            f"a text field ({name}) must have one text a row; got shape {array.shape}; use several "
            "fields"
        )
    raise InvalidInput(
        f"the type of a field ({name}) must be bool, an integer, a float of at most 8 bytes, or "
        f"text; got {array.dtype}; convert it (a time to int64 nanoseconds), and put missing "
        f"values into {name}{VALID_SUFFIX}"
    )


def _check_mask(name: str, arrays: Rows) -> None:
    field = arrays.get(name.removesuffix(VALID_SUFFIX))
    mask = arrays[name]
    if field is None or mask.dtype != np.bool_ or mask.shape not in (field.shape, field.shape[:1]):
        wanted = (
            "a field of its own"
            if field is None
            else f"bool of shape {field.shape[:1]} or {field.shape}"
        )
        raise InvalidInput(
            f"a validity mask ({name}) must have {wanted}; got {mask.dtype} {mask.shape}; correct "
            "the mask"
        )
