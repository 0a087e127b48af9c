"""Packs rows side by side as bytes, as they lie in scratch files between the passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.shards.row_ids import Rows, is_text


@dataclass(frozen=True)
class Column:
    """A field inside the packed rows of a scratch file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


def pack_rows(rows: Rows, order: NDArray[np.int64]) -> tuple[tuple[Column, ...], NDArray[np.uint8]]:
    """Packs rows side by side as bytes, so that a run of them is one read.

    Shape (N, bytes of a row).
    """
    fixed = {name: _fix_width(values) for name, values in sorted(rows.items())}
    columns = []
    for name, values in fixed.items():
        size = values.dtype.itemsize * int(np.prod(values.shape[1:], dtype=np.int64))
        columns.append(Column(name, values.dtype.str, values.shape[1:], size))
    packed = np.empty((len(order), sum(column.size_bytes for column in columns)), dtype=np.uint8)
    offset = 0
    for column in columns:
        values = np.ascontiguousarray(fixed[column.name])
        flat = values.reshape(-1).view(np.uint8).reshape(len(values), column.size_bytes)
        packed[:, offset : offset + column.size_bytes] = flat[order]
        offset += column.size_bytes
    return tuple(columns), packed


def unpack_rows(columns: Sequence[Column], data: bytes) -> Rows:
    """Return the rows that `pack_rows` packed."""
    packed = np.frombuffer(data, dtype=np.uint8).reshape(
        -1, sum(column.size_bytes for column in columns)
    )
    rows: Rows = {}
    offset = 0
    for column in columns:
        part = np.ascontiguousarray(packed[:, offset : offset + column.size_bytes])
        values = part.reshape(-1).view(column.dtype).reshape(len(packed), *column.shape)
        rows[column.name] = (
            values.astype(np.dtypes.StringDType()) if values.dtype.kind == "U" else values
        )
        offset += column.size_bytes
    return rows


def _fix_width(values: NDArray[Any]) -> NDArray[Any]:
    """Return text as numpy's fixed-width type, as wide as the longest of these.

    Anything else stays as it is.
    """
    if not is_text(values):
        return values
    return values.astype(f"U{max(1, int(np.strings.str_len(values).max(initial=1)))}")
