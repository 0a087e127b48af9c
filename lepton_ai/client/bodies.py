"""What is asked of `/predict`, as bytes with their type: files as they are, rows as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.run.forms.arrays import write_npy

JSON, NPY, BYTES = "application/json", "application/x-npy", "application/octet-stream"
Row = Mapping[str, Any]
Asked = str | Path | bytes | Row | Sequence[Row] | NDArray[Any]
"""A path, a file's bytes, a row, several rows, or an array."""


def encode_asked(data: Asked) -> tuple[bytes, str]:
    """Return the body of a request and its content type.

    Raises:
        OSError: The path cannot be read.
        TypeError: It is none of what can be asked.
        ValueError: A number is infinite.
    """
    match data:
        case str() | Path():
            return Path(data).read_bytes(), BYTES  # The server tells by the first bytes.
        case bytes():
            return data, BYTES
        case np.ndarray():
            return write_npy(np.ascontiguousarray(data)), NPY
        case Mapping() | [*_]:
            return encode_json(data), JSON
    raise TypeError(
        f"data must be a path, bytes, rows or an array; got {type(data).__name__}; give a row as "
        "{column: value}"
    )


def encode_json(value: object) -> bytes:
    """Return JSON; a missing number, NaN, is null.

    Raises:
        TypeError: It holds what JSON cannot say.
        ValueError: A number is infinite.
    """
    return json.dumps(_make_plain(value), separators=(",", ":"), allow_nan=False).encode()


def _make_plain(value: object) -> object:
    match value:
        case Mapping():
            return {str(name): _make_plain(each) for name, each in value.items()}
        case np.generic() | np.ndarray():
            return _make_plain(value.tolist())
        case list() | tuple():
            return [_make_plain(each) for each in value]
        case float() if value != value:
            return None
    return value
