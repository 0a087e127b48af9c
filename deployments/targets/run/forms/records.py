"""Rows as texts by column, whatever they came as: a CSV file with a header, or JSON objects.

Both end in the same record, so that one reader makes values of them and none can disagree.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deployments.targets.errors import BadInput
from storage.base.store import redact

Cell = str | None
"""A value as text; None where JSON says null, which is a missing value in any column."""
MAX_QUOTED = 40


@dataclass(frozen=True)
class Records:
    """Rows whose values are still texts.

    Attributes:
        header: Names of the columns.
        rows: One list of cells a row, in the order of the header.
        unit: What a message calls a row, such as "line".
        first: The number of the first row in messages.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    unit: str
    first: int

    def name_row(self, number: int) -> str:
        """Return how a message calls a row, counted from 0."""
        return f"{self.unit} {self.first + number}"

    def take_last(self, count: int) -> "Records":
        """Return the last rows."""
        skipped = max(len(self.rows) - count, 0)
        return Records(self.header, self.rows[skipped:], self.unit, self.first + skipped)


def split_csv(data: bytes, where: str) -> Records:
    """Split a CSV file into the names of its columns and its rows.

    Args:
        data: The file, UTF-8, its first record the names of the columns.
        where: Its name, for messages.

    Raises:
        BadInput: It is no CSV file in UTF-8 with commas.
    """
    try:
        records = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(
            f"input ({where}) must be a CSV file in UTF-8; got {error}; save it again"
        ) from error
    records = [record for record in records if record]
    header = [name.strip() for name in records[0]] if records else []
    wrong = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
    if wrong is not None:
        raise BadInput(
            f"input ({where}) must have commas between its values, whatever stood between those "
            f"that were learned from; got {wrong!r} in its first line; save it with commas, and "
            "points in its numbers"
        )
    return Records(header, records[1:], "line", 2)


def tabulate_objects(
    values: Sequence[object], names: Sequence[str], numbers: frozenset[str], where: str
) -> Records:
    """Tabulate JSON objects, each one row as `{column: value}`.

    Args:
        values: The objects.
        names: The columns that are asked for; others are passed over.
        numbers: Those of them that hold numbers, in which true is 1 and false is 0.
        where: What they came as, for messages.

    Raises:
        BadInput: A value is no object, lacks a column that another has, or holds a list or an
            object.
    """
    objects = [_require_object(value, number, where) for number, value in enumerate(values)]
    header = [name for name in names if any(name in row for row in objects)]
    rows = [
        [_write_cell(row, name, name in numbers, f"{where}, row {number}") for name in header]
        for number, row in enumerate(objects)
    ]
    return Records(header, rows, "row", 0)


def _require_object(value: object, number: int, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadInput(
            f"input ({where}, row {number}) must be an object of column and value; got a "
            f"{type(value).__name__}; write each row as {{column: value}}"
        )
    return value


def _write_cell(row: Mapping[str, object], name: str, is_number: bool, where: str) -> Cell:
    """Write a JSON value as the text that stands for it in a CSV file."""
    if name not in row:
        raise BadInput(
            f"input ({where}) must name every column that other rows name; got no {name}; write "
            "null where a value is missing"
        )
    value = row[name]
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        # As a Parquet file's true becomes a number or a text.
        return str(int(value)) if is_number else str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    raise BadInput(
        f"input ({where}) must hold a number, a text, true, false or null in {name}; got a "
        f"{type(value).__name__}; give one value"
    )


def quote(text: str) -> str:
    """Quote a value that was given: without secrets, and not at any length."""
    return repr(redact(text)[:MAX_QUOTED])
