"""Protocol Buffers on the wire, read as a stranger wrote them: fields and where they lie, no more.

Nothing is built of what a message claims, so what a file costs is bounded by its own bytes. The
encoding is that of https://protobuf.dev/programming-guides/encoding/.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from deployments.targets.errors import BadArtifact

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_FIELDS: Final = 2**18
_MOST_VARINT_BYTES: Final = 10
_MOST_TAG: Final = 2**32 - 1
_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_SHORT_TEXT: Final = b"|".join(re.escape(bytes([n])) + b".{%d}" % n for n in range(64))
_AFTER_TAG: Final = {
    VARINT: rb"[\x80-\xff]{0,9}+[\x00-\x7f]",
    FIXED32: rb".{4}",
    BYTES: rb"(?:" + _SHORT_TEXT + rb")",
}


class Field(NamedTuple):
    """One field of a message, or a run of fields of one number.

    Attributes:
        number: Its number in the message's schema.
        wire: Its wire type.
        value: The number, of a varint; 0 otherwise.
        start: Where its bytes begin, without tag and length.
        end: Where they end.
    """

    number: int
    wire: int
    value: int
    start: int
    end: int


class Wire:
    """The bytes of a file of messages.

    Args:
        data: The file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = MOST_FIELDS

    def read_fields(
        self, start: int, end: int, runs: frozenset[int] = frozenset()
    ) -> Iterator[Field]:
        """Yields the fields of the message that lies between two places.

        Args:
            start: Where the message begins.
            end: Where it ends.
            runs: Tags, below 128, of fields that come as one, all that follow each other: a list
                that is not packed is one field a number or short text, and a tree has them by the
                million.

        Raises:
            BadArtifact: They are no message, or the file has too many of them.
        """
        place = start
        while place < end:
            field = self._read_field(place, end)
            place = field.end
            if field.number << 3 | field.wire in runs:
                place = self._skip_run(field, end)
                field = field._replace(end=place)
            yield field

    def read_numbers(self, field: Field) -> list[int]:
        """Returns the varints of a field, of a run, or packed, as signed 64-bit numbers."""
        found, place = [], field.start
        while place < field.end:
            value, place = self._read_varint(place, field.end)
            found.append(_to_signed(value))
            if field.wire == VARINT:
                place += 1  # The tag of the next one.
        return found

    def read_reals(self, field: Field) -> list[float]:
        """Returns the 32-bit real numbers of a field, of a run, or packed."""
        step = 4 if field.wire == BYTES else 5  # The tag of the next one.
        places = range(field.start, field.end - 3, step)
        return [struct.unpack_from("<f", self.data, place)[0] for place in places]

    def read_text(self, field: Field) -> str:
        """Returns a text; what is not UTF-8 is replaced."""
        return self.data[field.start : field.end].decode("utf-8", errors="replace")

    def _read_field(self, place: int, end: int) -> Field:
        self._left -= 1
        if self._left < 0:
            raise refuse(f"at most {MOST_FIELDS} fields", "more")
        tag, begin = self._read_varint(place, end)
        if tag > _MOST_TAG:
            # Who keeps 32 bits of it reads another field than is seen here.
            raise refuse("fields of 32-bit tags", f"a longer one at byte {place}")
        number, wire = tag >> 3, tag & 7
        value = 0
        if wire == BYTES:
            length, begin = self._read_varint(begin, end)
            after = begin + length
        elif wire == VARINT:
            value, after = self._read_varint(begin, end)
        elif wire in _FIXED:
            after = begin + _FIXED[wire]
        else:
            raise refuse("fields of a known wire type", f"type {wire} at byte {place}")
        if number == 0 or after > end:
            raise refuse("fields within their message", f"field {number} at byte {place}")
        return Field(number, wire, value, begin, after)

    def _skip_run(self, field: Field, end: int) -> int:
        """Returns where the fields end that follow a field and have its tag."""
        tag = re.escape(bytes([field.number << 3 | field.wire]))
        run = re.compile(b"(?:" + tag + _AFTER_TAG[field.wire] + b")*+", re.DOTALL)
        found = run.match(self.data, field.end, end)
        return found.end() if found is not None else field.end

    def _read_varint(self, place: int, end: int) -> tuple[int, int]:
        if place < end and (first := self.data[place]) < 0x80:
            return first, place + 1
        value = 0
        for step in range(min(_MOST_VARINT_BYTES, end - place)):
            byte = self.data[place + step]
            value |= (byte & 0x7F) << (7 * step)
            if byte < 0x80:
                return value, place + step + 1
        raise refuse("whole numbers that end", f"another at byte {place}")


def refuse(rule: str, got: str) -> BadArtifact:
    """Says which rule an artifact's file breaks."""
    return BadArtifact(f"artifact must be an ONNX model with {rule}; got {got}; export it again")


def _to_signed(value: int) -> int:
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
