"""How files of texts look: what stands between values, the encoding, the names of the columns.

Learning and asking share it, so that a model can be asked with the file that it learned from.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from storage.base.cells import find_missing, read_number
from storage.base.documents import leave_out_defaults
from storage.base.marks import Decimal, Marks, NumberWriter, Thousands
from storage.base.melting import MeltSpec
from storage.base.path_patterns import PathColumns

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
MOST_MARK_BYTES = 3
_NO_FILES = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})
"""Codecs of single names, of which a file would take hours, and of Python's own literals."""


def check_delimiter(delimiter: str) -> str:
    """Return what stands between two values.

    Raises:
        ValueError: It may be a part of a number, a quote or a line end.
    """
    if not delimiter.isascii() or delimiter.isalnum() or delimiter in '"\r\n.+-':
        raise ValueError("be one sign that stands in no number, as a comma; write as ';'")
    return delimiter


def check_encoding(encoding: str) -> str:
    """Return the name of an encoding.

    Raises:
        ValueError: It is not known here, or none of texts.
    """
    # Python knows codecs that are none of texts, such as rot13, and says so by a private name.
    try:
        found = codecs.lookup(encoding)
        is_text = getattr(found, "_is_text_encoding", True)
        is_text = is_text and found.name.replace("-", "_") not in _NO_FILES
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError("be an encoding of texts that is known here; write as latin-1")
    return encoding


Delimiter = Annotated[str, Field(min_length=1, max_length=1), AfterValidator(check_delimiter)]
Encoding = Annotated[str, AfterValidator(check_encoding)]
SkippedRows = Annotated[int, Field(ge=0, le=10_000)]
_NONE_MISSING = find_missing(())
_VALUE = re.compile(r"(n/?a|null|none|missing)$|\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{1,2}:\d\d", re.I)
"""What stands where a value is missing, dates and clocks: no unit is written so."""
_FIRST_KEYS = frozenset({"delimiter", "encoding", "header"})
"""What every card says of its files; what came later stands there only where it says something."""


class TextStyle(BaseModel):
    """How the files of a source look, and what they are called.

    Attributes:
        delimiter: What stands between two values.
        encoding: Encoding of files without a byte order mark.
        header: Names of the columns of files without a header of their own; empty where the first
            record names them.
        decimal: What stands before decimals.
        thousands: What stands between thousands; None for nothing.
        skip_rows: Lines before the header, or before the first record of files without one.
        units_row: Whether a record of units may follow the header: texts, none of them a number, a
            date, or what says that a value is missing.
        path_columns: Pattern of the files' paths, whose named parts are columns.
        melt: Columns that become rows, where files are wide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"
    header: tuple[str, ...] = ()
    decimal: Decimal = "."
    thousands: Thousands | None = None
    skip_rows: SkippedRows = 0
    units_row: bool = False
    path_columns: PathColumns | None = None
    melt: MeltSpec | None = None

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later keys that say nothing, so that older devices read the card."""
        return leave_out_defaults(self, handler(self), _FIRST_KEYS)

    @classmethod
    def of_source(cls, source: Mapping[str, Any]) -> Self:
        """Return the style that a recipe's source section states, with defaults for the rest."""
        known = {name: source.get(name) for name in cls.model_fields}
        return cls.model_validate({k: value for k, value in known.items() if value is not None})

    @property
    def marks(self) -> Marks:
        """How numbers are written."""
        return Marks(self.decimal, self.thousands)


def is_units_row(cells: Sequence[str], marks: Marks) -> bool:
    """Return whether a record names units: no number, date or missing value, but some text.

    A record whose numbers are all missing is a row, and must not be left out for units.
    """
    writer = NumberWriter(marks, _NONE_MISSING)
    told = [cell.strip() for cell in cells if cell.strip()]
    return bool(told) and not any(
        _VALUE.match(cell) or read_number(writer.write(cell).strip()) is not None for cell in told
    )


def check_marks(decimal: str, thousands: str | None) -> None:
    """Checks that decimals and thousands can be told apart.

    Raises:
        ValueError: They have the same mark.
    """
    if decimal == thousands:
        raise ValueError(
            f"decimal ({decimal}) must be another mark than thousands; write one of them as the "
            "file has it"
        )


def find_encoding(head: bytes, encoding: str) -> tuple[str, int]:
    """Return the encoding of a file, and how many bytes its byte order mark has.

    Args:
        head: The first bytes of the file.
        encoding: Its encoding where it has no mark.
    """
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    return _MARKS.get(mark, encoding), len(mark)
