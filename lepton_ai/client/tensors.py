"""Open Inference Protocol v2 on the asking side: tensors as JSON, or as raw bytes behind it.

https://github.com/kserve/open-inference-protocol, and its extension `binary_tensor_data`.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lepton_ai.client.errors import BadAnswer
from storage.base.json_keys import load_json

BINARY = "binary_tensor_data"
LENGTH = "inference-header-content-length"
Array = NDArray[Any]
_DTYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "int8",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_NOT_OF_THE_PROTOCOL = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
)
_DATATYPES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Inferred:
    """The answer to tensors.

    Attributes:
        model_name: The name that the model was asked by.
        model_version: Which version answered: of Lepton the model's id; "" where nothing says.
        answer_id: Names the answer for `feedback`; None of servers that number none.
        id: The request's own id.
        outputs: The tensors, by name.
    """

    model_name: str
    model_version: str
    answer_id: str | None
    id: str | None
    outputs: Mapping[str, Array] = field(repr=False)


def encode_request(
    inputs: Mapping[str, Array],
    outputs: Iterable[str] | None = None,
    *,
    id: str | None = None,
    binary: bool = False,
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request.

    Args:
        inputs: Tensors by name; numbers, booleans, texts or bytes.
        outputs: Names of the outputs that are asked for; None for all.
        id: The request's own id.
        binary: Whether tensors go, and are asked for, as raw bytes.

    Raises:
        TypeError: A tensor is of no datatype of the protocol.
        ValueError: A number is infinite, or a half float, which JSON cannot say.
    """
    document: dict[str, Any] = {} if id is None else {"id": id}
    tensors, tail = [], []
    for name, values in inputs.items():
        array = np.asarray(values)
        datatype = _find_datatype(name, array)
        tensor: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": datatype}
        if binary:
            raw = _pack_raw(array, datatype)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            tensor["data"] = _list_values(name, array, datatype)
        tensors.append(tensor)
    document["inputs"] = tensors
    if outputs is not None:
        kept = {"parameters": {"binary_data": True}} if binary else {}
        document["outputs"] = [{"name": name, **kept} for name in outputs]
    elif binary:
        document["parameters"] = {"binary_data_output": True}
    head = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    if not binary:
        return head, {"content-type": "application/json"}
    length = {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
    return b"".join((head, *tail)), length


def decode_answer(body: bytes, length: str | None) -> Inferred:
    """Read the body of an answer.

    Args:
        body: JSON, with raw bytes of tensors behind it where there is a length.
        length: The header that says how long the JSON is; None where all of it is JSON.

    Raises:
        BadAnswer: It is none of the protocol.
    """
    try:
        end = len(body) if length is None else int(length)
        document, tail = load_json(body[:end]), memoryview(body)[end:]
        outputs: dict[str, Array] = {}
        for tensor in document["outputs"]:
            size = (tensor.get("parameters") or {}).get("binary_data_size")
            raw = None if size is None else _take(tail, size)
            tail = tail[len(raw or b"") :]
            outputs[str(tensor["name"])] = _read_tensor(tensor, raw)
        return Inferred(
            model_name=str(document["model_name"]),
            model_version=str(document.get("model_version") or ""),
            answer_id=(document.get("parameters") or {}).get("answer_id"),
            id=document.get("id"),
            outputs=outputs,
        )
    except _NOT_OF_THE_PROTOCOL as error:
        raise BadAnswer(
            f"answer must follow the Open Inference Protocol v2; got {type(error).__name__}: "
            f"{str(error)[:200]}; see that the address is such a server's"
        ) from error


def _take(tail: memoryview, size_bytes: int) -> memoryview:
    if not 0 <= size_bytes <= len(tail):
        raise ValueError(f"{len(tail)} bytes, of {size_bytes}")
    return tail[:size_bytes]


def _find_datatype(name: str, array: Array) -> str:
    if array.dtype.kind in "USO":
        return "BYTES"
    found = _DATATYPES.get(array.dtype.newbyteorder("<"))
    if found is None:
        raise TypeError(
            f"input ({name[:80]}) must be of a datatype of the protocol; got {array.dtype}; "
            f"convert it to one of {', '.join(dict.fromkeys(map(str, _DATATYPES)))}, or texts"
        )
    return found


def _list_values(name: str, array: Array, datatype: str) -> list[Any]:
    """Return the values of a tensor as JSON, flat; a missing number is null."""
    if datatype == "BYTES":
        return [_to_text(value) for value in array.reshape(-1).tolist()]
    if datatype == "FP16":
        raise ValueError(f"input ({name[:80]}) must be of float32 in JSON; got float16; convert it")
    flat = array.reshape(-1)
    if array.dtype.kind != "f":
        return flat.tolist()
    if np.isinf(flat).any():
        raise ValueError(f"input ({name[:80]}) must hold finite numbers; got infinity; correct it")
    missing = np.isnan(flat)
    if not missing.any():
        return flat.tolist()
    return [
        None if gone else value for value, gone in zip(flat.tolist(), missing.tolist(), strict=True)
    ]


def _to_text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pack_raw(array: Array, datatype: str) -> bytes:
    if datatype != "BYTES":
        return np.ascontiguousarray(array, dtype=_DTYPES[datatype]).tobytes()
    elements = [
        value if isinstance(value, bytes) else str(value).encode()
        for value in array.reshape(-1).tolist()
    ]
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def _read_tensor(tensor: Mapping[str, Any], raw: memoryview | None) -> Array:
    """Read a tensor of an answer; a null among numbers is NaN."""
    datatype, shape = tensor["datatype"], tuple(tensor["shape"])
    if datatype == "BYTES":
        values = tensor["data"] if raw is None else _split_raw(raw)
        return np.array(values, dtype=object).reshape(shape)
    dtype = np.dtype(_DTYPES[datatype])
    if raw is not None:
        return np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    return np.array(tensor["data"], dtype=dtype.newbyteorder("=")).reshape(shape)


def _split_raw(raw: memoryview) -> list[bytes]:
    elements, start = [], 0
    while start < len(raw):
        (length,) = struct.unpack_from("<I", raw, start)
        start += 4 + length
        if start > len(raw):
            raise ValueError(f"an element of {length} bytes, beyond its tensor")
        elements.append(bytes(raw[start - length : start]))
    return elements
