"""A safetensors file from a stranger: its layout is read, and believed no further than its size.

A signature over what lies inside can be looked at only after the parts were told from each other.
So the layout (8 bytes of length, a JSON header, the tensors' bytes) is matched, not parsed: nothing
is built from it but one text a name and one view a tensor. A length beyond the file, an overlap or
a gap, a shape that does not fill its bytes are refused before anything of the claimed size is made.
"""

import hashlib
import json
import math
import re
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
REMEDY: Final = "the device keeps its records and sends them again"
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
_MOST_PARTS = 16

Array = NDArray[Any]

_COUNT = rb"(?:0|[1-9][0-9]{0,11})"
_TEXT = re.compile(rb',?"(?P<name>[a-z_]{1,32})":(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_TENSOR = re.compile(
    rb',"(?P<name>[a-z_]{1,32})":\{"data_offsets":\[(?P<first>%(count)s),(?P<last>%(count)s)\],'
    rb'"dtype":"(?P<dtype>[A-Z0-9]{1,8})",'
    rb'"shape":\[(?P<shape>(?:%(count)s(?:,%(count)s){0,8})?)\]\}' % {b"count": _COUNT}
)
_LAYOUT = re.compile(
    rb'\{"__metadata__":\{(?P<texts>(?:%(text)s){0,%(most)d})\}'
    rb"(?P<tensors>(?:%(tensor)s){0,%(most)d})\} *+"
    % {
        b"text": re.sub(rb"\?P<[a-z]+>", b"?:", _TEXT.pattern),
        b"tensor": re.sub(rb"\?P<[a-z]+>", b"?:", _TENSOR.pattern),
        b"most": _MOST_PARTS,
    },
    re.DOTALL,
)
"""The one way to write a header: what it matches costs no more to read than to copy."""


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
    header = _make_header(metadata, tensors)
    parts = (_to_bytes(tensors[name]) for name in sorted(tensors))
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
    layout = _LAYOUT.fullmatch(data, 8, 8 + size)
    if layout is None:
        raise _refuse("a header of texts and tensors, as canonical JSON", "another")
    texts = {found["name"]: found["text"] for found in _TEXT.finditer(layout["texts"])}
    tensors: dict[str, Array] = {}
    end = 8 + size
    for entry in _TENSOR.finditer(layout["tensors"]):
        tensors[entry["name"].decode()], end = _view_tensor(data, entry, end, 8 + size)
    if end != len(data):
        raise _refuse(f"its tensors as its last {len(data) - 8 - size} bytes", "others")
    file = BatchFile({name.decode(): _read_text(text) for name, text in texts.items()}, tensors)
    # One way to write it, so that no two readers read it differently.
    try:
        same = data[8 : 8 + size] == _make_header(file.metadata, file.tensors)
    except StorageError as error:
        raise _refuse("texts in UTF-8", "others") from error
    if not same:
        raise _refuse("a header of canonical JSON", "another")
    return file


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


def _make_header(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> bytes:
    layout: dict[str, Any] = {_METADATA: dict(metadata)}
    end = 0
    for name in sorted(tensors):
        array = tensors[name]
        start, end = end, end + array.nbytes
        layout[name] = {
            "data_offsets": [start, end],
            "dtype": _name_dtype(array),
            "shape": list(array.shape),
        }
    header = canonical_json(layout)
    return header + b" " * (-len(header) % 8)  # The tensors start at a multiple of 8 bytes.


def _read_text(token: bytes) -> str:
    try:
        return str(json.loads(token))
    except ValueError as error:
        raise _refuse("texts in UTF-8", type(error).__name__) from error


def _view_tensor(data: bytes, entry: re.Match[bytes], start: int, origin: int) -> tuple[Array, int]:
    """Return one array, and where it ends; it has to begin where the one before it ended."""
    dtype = _DTYPES.get(entry["dtype"].decode())
    shape = [int(length) for length in entry["shape"].split(b",") if length]
    if dtype is None:
        raise _refuse(f"tensors of {', '.join(_DTYPES)}", "others")
    length = math.prod(shape) * np.dtype(dtype).itemsize
    if [origin + int(entry["first"]), origin + int(entry["last"])] != [start, start + length]:
        raise _refuse("tensors that follow each other", f"one of {length} bytes elsewhere")
    if start + length > len(data):
        raise _refuse("tensors within the file", f"{length} bytes beyond")
    # Of nothing numpy makes no view.
    array = np.frombuffer(data, dtype, math.prod(shape), start) if length else np.empty(0, dtype)
    return array.reshape(shape), start + length


def _name_dtype(array: Array) -> str:
    name = _NAMES.get(array.dtype.newbyteorder("<").str)
    if name is None:
        raise _refuse(f"arrays of {', '.join(_DTYPES)}", str(array.dtype))
    return name


def _to_bytes(array: Array) -> bytes:
    return np.ascontiguousarray(array, _DTYPES[_name_dtype(array)]).tobytes()


def _refuse(rule: str, got: str) -> UplinkRefused:
    return UplinkRefused(f"uplink must have {rule}; got {got}; {REMEDY}")
