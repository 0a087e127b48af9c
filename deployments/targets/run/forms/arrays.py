"""Reading a stranger's .npy file of numbers: its header is believed no further than its size."""

import io
import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from deployments.targets.errors import BadInput

MAGIC = b"\x93NUMPY"
MAX_KEPT_HEADER_BYTES = 512
Raw = NDArray[np.number[Any]]


@dataclass(frozen=True)
class Samples:
    """Raw samples of one file or request.

    Attributes:
        raw: (N, *shape), the card's dtype.
        times: (N, L) seconds since 1970 of the rows of N windows; None where nothing tells them.
        notes: What a person should know of single samples before trusting their answers: the
            number of the sample, and words, such as of a category that no training row had.
        names: Whose each sample is, where a file holds samples of several; empty where it does not.
    """

    raw: Raw
    times: NDArray[np.float64] | None = None
    notes: tuple[tuple[int, str], ...] = ()
    names: tuple[str, ...] = ()


def read_npy(data: bytes, where: str) -> Raw:
    """Read the array of a .npy file.

    Args:
        data: The file.
        where: Its name, for messages.

    Raises:
        BadInput: It is damaged, or holds anything but numbers.
    """
    try:
        return _parse_npy(data)
    except Exception as error:
        # numpy parses a header with Python's own parser, which raises whatever it does not expect.
        raise BadInput(
            f"input ({where}) must be a .npy file of numbers; got {error}; save it with numpy.save"
        ) from error


def _parse_npy(data: bytes) -> Raw:
    start = _find_data(data)
    # The same few headers come again and again to a server; parsing one costs more than the rest.
    parse = _parse_header if start <= MAX_KEPT_HEADER_BYTES else _parse_header.__wrapped__
    shape, fortran, dtype = parse(data[:start])
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ValueError(f"dtype {dtype}")
    # The header is checked against the file before anything of the size that it claims is made.
    if (held := len(data) - start) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"shape {shape} of {dtype} with {held} bytes of data")
    values = np.frombuffer(data, dtype=dtype, offset=start)
    return values.reshape(shape, order="F" if fortran else "C")


def _find_data(data: bytes) -> int:
    """Find where the data begin, by the length that the header states."""
    wide = data[6:7] != b"\x01"
    (length,) = struct.unpack("<I" if wide else "<H", data[8 : 12 if wide else 10])
    return (12 if wide else 10) + int(length)


@lru_cache(maxsize=64)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    stream = io.BytesIO(header)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, fortran, dtype = readers[npy.read_magic(stream)](stream)
    return shape, fortran, dtype


def read_numbers(values: object, where: str) -> NDArray[Any]:
    """Read nested lists of numbers, or of true and false, as an array; null is NaN.

    Args:
        values: The lists, as JSON has them.
        where: What they came as, for messages.

    Raises:
        BadInput: They are ragged, too deep, or hold anything else.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O" and _are_numbers(array):
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(
            f"input ({where}) must be nested lists of numbers of one shape; got {error}; give as "
            "many values in each"
        ) from error
    if array.dtype.kind not in "biuf":
        raise BadInput(
            f"input ({where}) must be nested lists of numbers; got other values; give numbers, or "
            "null where one is missing"
        )
    return array


def write_npy(array: NDArray[Any]) -> bytes:
    """Write an array as the .npy file that holds it."""
    return _write_header(array.shape, array.dtype) + array.tobytes()


@lru_cache(maxsize=64)
def _write_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    stream = io.BytesIO()
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_2_0(stream, header)
    return stream.getvalue()


def _are_numbers(array: NDArray[Any]) -> bool:
    """Tells whether objects are numbers or missing."""
    return all(value is None or isinstance(value, int | float) for value in array.flat)
