"""Arrays and types inside an ONNX file: of numbers, and no larger than the bytes that give them."""

import math
from typing import Final, NamedTuple

import numpy as np

from deployments.targets.run.onnx_wire import BYTES, Field, Wire, refuse

_KINDS: Final = {
    4: (21, 22, 23),
    8: (2, 3, 9, 17, 18, 19, 20),
    16: (4, 5, 10, 16),
    32: (1, 6, 12),
    64: (7, 11, 13),
}
"""Bits of a number -> TensorProto.DataType; texts and complex numbers are none of them."""
_BITS: Final = {kind: bits for bits, kinds in _KINDS.items() for kind in kinds}
_READ_AS: Final = {1: "<f4", 6: "<i4", 7: "<i8", 11: "<f8"}
"""DataType -> dtype of the constants that say how large something gets."""
_TYPED: Final = {4: 4, 5: None, 7: None, 10: 8, 11: None}
"""Fields of numbers that are not raw -> bytes of one; None for varints."""
_MOST_AXES: Final = 16
_MOST_CONSTANT: Final = 64
_MOST_DECLARED: Final = 2**31


class Tensor(NamedTuple):
    """What is known of an array of a file.

    Attributes:
        name: Its name; "" without one.
        numbers: Its values, where they are few and of a kind that a shape can be; None otherwise.
    """

    name: str
    numbers: tuple[float, ...] | None


def check_tensor(wire: Wire, place: Field) -> Tensor:
    """Checks one TensorProto.

    Raises:
        BadArtifact: It holds texts, lies in another file, or claims more numbers than it gives.
    """
    name, kind = "", 0
    dims: list[int] = []
    given: list[Field] = []
    for field in wire.read_fields(place.start, place.end):
        if field.number == 1:
            dims += wire.read_numbers(field)
        elif field.number == 2:
            kind = field.value
        elif field.number == 8:
            name = wire.read_text(field)
        elif field.number in _TYPED or field.number == 9:
            given.append(field)
        elif field.number == 13 or (field.number == 14 and field.value != 0):
            raise refuse("all of its weights inside", "weights that lie in another file")
        elif field.number == 6:
            raise refuse("numbers", "an array of texts")
    if kind not in _BITS:
        raise refuse("numbers", f"an array {name[:64]!r} of type {kind}")
    if len(dims) > _MOST_AXES or min(dims, default=0) < 0:
        raise refuse(f"arrays of at most {_MOST_AXES} axes, none below 0", f"{dims[:20]}")
    _check_count(wire, kind, dims, given, name)
    return Tensor(name, _read_constant(wire, kind, math.prod(dims), given))


def check_type(wire: Wire, place: Field) -> None:
    """Checks one TypeProto: an array of numbers whose stated axes are no larger than any can be.

    Raises:
        BadArtifact: It is another type, or larger.
    """
    for field in wire.read_fields(place.start, place.end):
        if field.number == 6:
            continue
        if field.number != 1 or field.wire != BYTES:
            raise refuse("values that are arrays", f"a type of another sort ({field.number})")
        for part in wire.read_fields(field.start, field.end):
            if part.number == 1 and part.value and part.value not in _BITS:
                raise refuse("values that are arrays of numbers", f"type {part.value}")
            if part.number == 2:
                _check_axes(wire, part)


def _check_axes(wire: Wire, place: Field) -> None:
    elements = 1
    for axis in wire.read_fields(place.start, place.end):
        if axis.number != 1 or axis.wire != BYTES:
            continue
        for part in wire.read_fields(axis.start, axis.end):
            if part.number == 1:
                elements *= max(1, part.value)
    if elements > _MOST_DECLARED:
        raise refuse(f"values of at most {_MOST_DECLARED} numbers", str(elements))


def _check_count(wire: Wire, kind: int, dims: list[int], given: list[Field], name: str) -> None:
    """Holds the shape that an array states against the numbers that it gives."""
    bits, elements = _BITS[kind], math.prod(dims)
    raw = [field for field in given if field.number == 9]
    if len(raw) > 1 or (raw and len(given) > 1):
        raise refuse("arrays that are given once", f"array {name[:64]!r} given twice")
    if raw:
        wanted, got = -(-elements * bits // 8), raw[0].end - raw[0].start
    else:
        wanted = -(-elements * min(bits, 8) // 8)
        got = sum(_count_numbers(wire, field) for field in given)
    if wanted != got:
        raise refuse(
            f"{elements} numbers in array {name[:64]!r}, as its shape {dims} says",
            f"{got} where {wanted} must stand",
        )


def _count_numbers(wire: Wire, field: Field) -> int:
    if field.wire != BYTES:
        return 1
    size = _TYPED[field.number]
    if size is not None:
        return (field.end - field.start) // size
    packed = np.frombuffer(wire.data, np.uint8, field.end - field.start, field.start)
    return int(np.count_nonzero(packed < 0x80))


def _read_constant(
    wire: Wire, kind: int, elements: int, given: list[Field]
) -> tuple[float, ...] | None:
    if kind not in _READ_AS or elements > _MOST_CONSTANT:
        return None
    numbers: list[float] = []
    for field in given:
        if field.number in (5, 7):
            numbers += wire.read_numbers(field)
        elif field.wire == BYTES:
            content = wire.data[field.start : field.end]
            numbers += np.frombuffer(content, _READ_AS[kind]).tolist()
        else:
            return None
    return tuple(numbers)
