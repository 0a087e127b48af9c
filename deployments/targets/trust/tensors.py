"""A safetensors file from a stranger: its layout is read, and believed no further than its size.

The layout (8 bytes of length, a JSON header, the tensors' bytes) is checked by hand, because a
signature over what lies inside can be looked at only after the parts were told from each other: a
length beyond the file, an overlap or a gap, a shape that does not fill its bytes are refused before
anything of the claimed size is made. Arrays are views of the file's bytes.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deployments.targets.errors import UplinkRefused
from storage.base.errors import StorageError
from storage.base.store import canonical_json

MAX_FILE_BYTES = 64 * 2**20
MAX_HEADER_BYTES = 32 * 2**20
_DOMAIN: Final = b"lepton uplink 1\n"
_METADATA: Final = "__metadata__"
_REMEDY: Final = "the device keeps its records and sends them again"
_DTYPES: Final = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "F32": "<f4",
    "F64": "<f8",
}
_NAMES: Final = {dtype: name for name, dtype in _DTYPES.items()}
_MOST_AXES, _MOST_TENSORS = 9, 16

Array = NDArray[Any]


@dataclass(frozen=True)
class BatchFile:
    """The parts of a safetensors file: its texts and its arrays, nothing of which is trusted."""

    metadata: dict[str, str]
    tensors: dict[str, Array]


def pack_tensors(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> bytes:
    """Return a safetensors file; the same content makes the same bytes.

    Args:
        metadata: Its texts.
        tensors: Its arrays, of the dtypes that a card's input may have.

    Raises:
        UplinkRefused: An array has another dtype.
    """
    layout: dict[str, Any] = {_METADATA: dict(metadata)}
    parts: list[bytes] = []
    end = 0
    for name in sorted(tensors):
        array = tensors[name]
        data = _to_bytes(array)
        layout[name] = {
            "data_offsets": [end, end + len(data)],
            "dtype": _name_dtype(array),
            "shape": list(array.shape),
        }
        parts.append(data)
        end += len(data)
    header = canonical_json(layout)
    header += b" " * (-len(header) % 8)  # The tensors start at a multiple of 8 bytes.
    return b"".join((len(header).to_bytes(8, "little"), header, *parts))


def unpack_tensors(data: bytes) -> BatchFile:
    """Tells the parts of a safetensors file from each other.

    Raises:
        UplinkRefused: It is too long, or not exactly what its header lays out.
    """
    if not 8 <= len(data) <= MAX_FILE_BYTES:
        raise _refuse(f"a file of 8 to {MAX_FILE_BYTES} bytes", f"{len(data)}")
    size = int.from_bytes(data[:8], "little")
    if size > min(len(data) - 8, MAX_HEADER_BYTES):
        raise _refuse("a header within the file", f"one of {size} bytes in {len(data)}")
    layout = _parse_layout(data[8 : 8 + size])
    metadata = layout.pop(_METADATA, None)
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _refuse("texts as its metadata", "others")
    if len(layout) > _MOST_TENSORS:
        raise _refuse(f"at most {_MOST_TENSORS} tensors", str(len(layout)))
    tensors: dict[str, Array] = {}
    end = 8 + size
    for name in sorted(layout):
        tensors[name], end = _view_tensor(data, layout[name], end, 8 + size)
    if end != len(data):
        raise _refuse(f"its tensors as its last {len(data) - 8 - size} bytes", "others")
    return BatchFile(metadata, tensors)


def digest_tensors(header: bytes, tensors: Mapping[str, Array]) -> bytes:
    """Return what a device signs: sha256 of a header and of each array with what it is."""
    digest = hashlib.sha256(_DOMAIN)
    digest.update(len(header).to_bytes(8, "little") + header)
    for name in sorted(tensors):
        array = tensors[name]
        stated = canonical_json([name, _name_dtype(array), list(array.shape)])
        digest.update(len(stated).to_bytes(8, "little") + stated)
        digest.update(_to_bytes(array))
    return digest.digest()


def _parse_layout(header: bytes) -> dict[str, Any]:
    try:
        layout = json.loads(header)
        # One way to write it, so that no two parsers read it differently.
        canonical = canonical_json(layout) == header.rstrip(b" ")
    except (ValueError, RecursionError, StorageError) as error:
        raise _refuse("a header of canonical JSON", type(error).__name__) from error
    if not canonical or not isinstance(layout, dict):
        raise _refuse("a header of canonical JSON", "another")
    return layout


def _view_tensor(data: bytes, entry: object, start: int, origin: int) -> tuple[Array, int]:
    """Return one array, and where it ends; it has to begin where the one before it ended."""
    if not isinstance(entry, dict) or set(entry) != {"data_offsets", "dtype", "shape"}:
        raise _refuse("a dtype, a shape and offsets of each tensor", "others")
    dtype, shape, offsets = _DTYPES.get(str(entry["dtype"])), entry["shape"], entry["data_offsets"]
    if dtype is None or not _is_counts(shape, _MOST_AXES) or not _is_counts(offsets, 2):
        raise _refuse("tensors of numbers", "others")
    length = math.prod(shape) * np.dtype(dtype).itemsize
    if [origin + offset for offset in offsets] != [start, start + length]:
        raise _refuse("tensors that follow each other", f"offsets {offsets}")
    if start + length > len(data):
        raise _refuse("tensors within the file", f"{length} bytes beyond")
    # Of nothing numpy makes no view.
    array = np.frombuffer(data, dtype, math.prod(shape), start) if length else np.empty(0, dtype)
    return array.reshape(shape), start + length


def _is_counts(value: object, most: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(item) is int and 0 <= item < 2**40 for item in value)
    )


def _name_dtype(array: Array) -> str:
    name = _NAMES.get(array.dtype.newbyteorder("<").str)
    if name is None:
        raise _refuse(f"arrays of {', '.join(_DTYPES)}", str(array.dtype))
    return name


def _to_bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array, _DTYPES[_name_dtype(array)]).tobytes()


def _refuse(rule: str, got: str) -> UplinkRefused:
    return UplinkRefused(f"uplink must have {rule}; got {got}; {_REMEDY}")
