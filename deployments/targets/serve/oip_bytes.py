"""The protocol's extension for tensors as bytes, which stand behind the JSON of a body.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
Bytes are little-endian and row-major. A header says where the JSON ends; each tensor says how many
bytes are its own.
"""

import math
from typing import Final

import numpy as np

from deployments.targets.run.runtime import Array
from deployments.targets.serve.replies import Refusal, Reply

EXTENSION: Final = "binary_tensor_data"
LENGTH_HEADER: Final = b"inference-header-content-length"
"""Says how many bytes of a body are JSON, where there are others behind it."""
_BINARY_TYPE: Final = (b"content-type", b"application/octet-stream")


def split_body(data: bytes, stated: bytes | None) -> tuple[bytes, bytes]:
    """Return the JSON of a body, and the bytes behind it.

    Args:
        data: The body.
        stated: What the header says of the JSON's length; None: it is not there.

    Raises:
        Refusal: 400, it says no length of a part of the body.
    """
    if stated is None:
        return data, b""
    length = int(stated) if stated.isdigit() and len(stated) < 20 else -1
    if not 0 < length <= len(data):
        raise Refusal(
            400,
            f"Inference-Header-Content-Length must be the length of the JSON, 1..{len(data)}; got "
            f"{stated[:20].decode('latin-1')}; send it right, or without bytes behind the JSON",
        )
    return data[:length], data[length:]


def read_bytes(tail: bytes, dtype: str, shape: tuple[int, ...], what: str) -> Array:
    """Return the array that bytes hold.

    Args:
        tail: The bytes.
        dtype: numpy name of their dtype.
        shape: Its shape.
        what: Which tensor it is, for messages.

    Raises:
        Refusal: 400, they are more or fewer, or no truth values where such are asked for.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    if len(tail) != (wanted := math.prod(shape) * kind.itemsize):
        raise Refusal(
            400,
            f"data of {what} must be {wanted} bytes; got {len(tail)}; send as many as its shape "
            "and datatype take",
        )
    if kind.kind == "b" and tail.strip(b"\x00\x01"):
        raise Refusal(400, f"data of {what} must be bytes of 0 and 1; got others; send those")
    return np.frombuffer(tail, kind).astype(dtype, copy=False).reshape(shape)


def pack_body(text: bytes, tail: bytes) -> Reply:
    """Return an answer of JSON and bytes behind it."""
    length = (LENGTH_HEADER, str(len(text)).encode())
    return Reply(text + tail, _BINARY_TYPE, (length,))
