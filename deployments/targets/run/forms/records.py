"""Rows as texts by column, whatever they came as: a CSV file with a header, or JSON objects.

Both end in the same record, so that one reader makes values of them and none can disagree; and a
CSV file falls into records by the rules of `storage.base.records`, as it does where it is learned
from.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from deployments.targets.errors import BadInput
from storage.base import records
from storage.base.cells import MAX_QUOTED, Missing, match_number
from storage.base.marks import Marks, NumberWriter
from storage.base.path_patterns import match_end
from storage.base.text_style import TextStyle, find_encoding, is_units_row
from storage.base.urls import redact

Cell = str | None
"""A value as text; None where JSON says null, which is a missing value in any column."""
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Records:
    """Rows whose values are still texts.

    Attributes:
        header: Names of the columns.
        rows: One list of cells a row, in the order of the header.
        unit: What a message calls a row, such as "line".
        first: The number of the first row in messages.
        places: The number of each row in messages, where they do not follow each other.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    unit: str
    first: int
    places: Sequence[int] = ()

    def name_row(self, number: int) -> str:
        """Return how a message calls a row, counted from 0."""
        place = self.places[number] if self.places else self.first + number
        return f"{self.unit} {place}"

    def take_last(self, count: int) -> "Records":
        """Return the last rows."""
        skipped = max(len(self.rows) - count, 0)
        return Records(
            self.header,
            self.rows[skipped:],
            self.unit,
            self.first + skipped,
            self.places[skipped:],
        )


def split_csv(
    data: bytes, where: str, wanted: Collection[str] = (), style: TextStyle | None = None
) -> Records:
    """Split a CSV file into the names of its columns and its rows.

    Args:
        data: The file, in the encoding of the style unless a byte order mark tells another; its
            first record the names of the columns, unless the style names them.
        where: Its name, for messages.
        wanted: Columns that are asked for. Where the sign of the style does not part them, and a
            comma, a semicolon, a tab or a bar does, that one stands between the values.
        style: How files look that were learned from; None: in UTF-8, with commas and a header.

    Raises:
        BadInput: It is no CSV file in that encoding, or a record is not as wide as the header.
    """
    style = style or TextStyle()
    text, line, delimiter, header = _find_table(_decode(data, where, style.encoding), wanted, style)
    rows: list[list[str]] = []
    places: list[int] = []
    units_due = style.units_row
    for record in records.split_records(text, delimiter, line):
        if record.is_blank:
            continue
        fault = records.check_width(record, len(header) or len(record.cells))
        if header and records.repeats_header(record.cells, header):
            fault = records.REPEATED_HEADER
        if fault:
            raise BadInput(
                f"input ({where}, line {record.line}) must be a record of "
                f"{len(header) or 'named'} columns; got one that {fault}; mend it, and put quotes "
                "around a value that holds the sign between values"
            )
        if not header:
            header = [name.strip() for name in record.cells]
            continue
        is_units = units_due and is_units_row(record.cells, style.marks)
        units_due = False
        if not is_units:
            rows.append(record.cells)
            places.append(record.line)
    return Records(header, rows, "line", 2, places)


def add_path_columns(found: Records, pattern: str | None, path: str) -> Records:
    """Return rows with the columns that the name of their file says, if they lack these.

    Args:
        found: The rows as they stand in the file.
        pattern: Pattern of the files that were learned from; None where their names say nothing.
        path: Where the file lies; "" where it lies nowhere.
    """
    said = (match_end(pattern, path) if pattern is not None else None) or {}
    given = {name: text for name, text in said.items() if name not in found.header}
    if not given:
        return found
    rows = [[*row, *given.values()] for row in found.rows]
    return replace(found, header=[*found.header, *given], rows=rows)


def write_numbers(
    found: Records, names: Collection[str], marks: Marks, missing: Missing
) -> Records:
    """Return rows with the numbers of a file as they are read everywhere.

    Args:
        found: The rows as they stand in the file.
        names: Columns of numbers.
        marks: How the file writes numbers.
        missing: The texts that mean that there is no value.
    """
    writer = NumberWriter(marks, missing)
    places = {place for place, name in enumerate(found.header) if name in names}
    rows = [
        [
            writer.write(cell) if cell is not None and place in places else cell
            for place, cell in enumerate(row)
        ]
        for row in found.rows
    ]
    return replace(found, rows=rows)


def _decode(data: bytes, where: str, encoding: str) -> str:
    found, size = find_encoding(data, encoding)
    try:
        return data[size:].decode(found)
    except UnicodeError as error:
        raise BadInput(
            f"input ({where}) must be a CSV file in {found.upper()}, unless it begins with the "
            f"mark of another encoding; got {error}; save it in {found.upper()}"
        ) from error


def _find_table(
    text: str, wanted: Collection[str], style: TextStyle
) -> tuple[str, int, str, list[str]]:
    """Find the header that holds all columns that are asked for.

    It is looked for behind the lines that the style skips, and at the start, where somebody left
    these out; each time the sign of the style is tried first. Where none holds them, the table is
    as the style says: with its header, where the file has none.

    Returns:
        The text of the table, the number of its first line, the sign between its values, and names
        of its columns that the text itself does not hold.
    """
    rest = _skip_lines(text, style.skip_rows)
    starts = [(rest, 1 + style.skip_rows), (text, 1)]
    for start, line in starts[: 1 if rest == text else 2]:
        for delimiter in dict.fromkeys((style.delimiter, *DELIMITERS)):
            first = next(
                (r for r in records.split_records(start, delimiter) if not r.is_blank), None
            )
            if first is None or set(wanted) <= {name.strip() for name in first.cells}:
                return start, line, delimiter, []
    return *starts[0], style.delimiter, list(style.header)


def _skip_lines(text: str, count: int) -> str:
    """Return a text without its first lines; the whole text where it has no more than these."""
    rest = re.sub(rf"\A(?:[^\r\n]*+(?:\r\n|\r|\n)){{{count}}}", "", text, count=1)
    return rest or text


def tabulate_objects(
    values: Sequence[object], columns: Mapping[str, Sequence[str] | None], where: str
) -> Records:
    """Tabulate JSON objects, each one row as `{column: value}`.

    Args:
        values: The objects.
        columns: The columns that are asked for, each with the texts that it may hold; None for
            numbers, in which true is 1 and false is 0. Others are passed over.
        where: What they came as, for messages.

    Raises:
        BadInput: A value is no object, lacks a column that another has, or holds a list or an
            object.
    """
    objects = [_require_object(value, number, where) for number, value in enumerate(values)]
    header = [name for name in columns if any(name in row for row in objects)]
    rows = [
        [_write_cell(row, name, columns[name], f"{where}, row {number}") for name in header]
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


def _write_cell(
    row: Mapping[str, object], name: str, texts: Sequence[str] | None, where: str
) -> Cell:
    """Write a JSON value as the text that stands for it in a file."""
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
        return str(int(value)) if texts is None else str(value).lower()
    if isinstance(value, int | float):
        return repr(value) if texts is None else match_number(value, texts)
    raise BadInput(
        f"input ({where}) must hold a number, a text, true, false or null in {name}; got a "
        f"{type(value).__name__}; give one value"
    )


def quote(text: str) -> str:
    """Quote a value that was given: without secrets, and not at any length."""
    return repr(redact(text)[:MAX_QUOTED])
