"""Guesses how a file writes its numbers: what stands before decimals and between thousands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storage.base.cells import find_missing, read_number
from storage.base.marks import Marks, NumberWriter
from storage.base.text_style import is_units_row
from storage.base.times import is_moment
from storage.forms.base import MISSING
from tasks.drafting.guesses import LIKELY, UNSURE, Notes

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = Marks()
CANDIDATES = (
    Marks(","),
    Marks(".", ","),
    Marks(",", "."),
    Marks(",", " "),
    Marks(",", "'"),
    Marks(".", " "),
    Marks(".", "'"),
)
_MOSTLY = 0.7
_KNOWN_MISSING = find_missing(MISSING)
Rows = Sequence[Sequence[str]]


def find_marks(rows: Rows, delimiter: str, notes: Notes) -> Marks:
    """Return the marks by which most columns hold numbers.

    Args:
        rows: The first records, without a header.
        delimiter: What stands between two values.
        notes: Takes what was guessed.
    """
    columns = [[cell.strip() for cell in column] for column in zip(*rows, strict=True)]
    given = [[cell for cell in column if cell not in MISSING] for column in columns]
    given = [column for column in given if column and not all(map(is_moment, column))]
    plain = _count(given, PLAIN)
    counts = {marks: _count(given, marks) for marks in CANDIDATES if marks.thousands != delimiter}
    best = max(counts.values(), default=plain)
    if best <= plain:
        return PLAIN
    good = [marks for marks, count in counts.items() if count == best]
    # 1,234 is either; where a comma parts the values, it hardly stands before decimals as well.
    found = Marks(".", ",") if delimiter == "," and Marks(".", ",") in good else good[0]
    both = {Marks(","), Marks(".", ",")} <= set(good)
    sure, why = LIKELY, "most columns hold numbers only by it"
    if both:
        sure, why = UNSURE, "each has three digits behind it: it may be the other of both"
    if found.decimal != PLAIN.decimal:
        notes.add("source.decimal", repr(found.decimal), sure, why)
    if found.thousands is not None:
        notes.add("source.thousands", repr(found.thousands), sure, why)
    return found


def has_units(rows: Rows, marks: Marks) -> bool:
    """Return whether the first record holds no value, in columns that hold numbers below it."""
    if len(rows) < 4 or not is_units_row(rows[0], marks):
        return False
    below = [
        place
        for place, column in enumerate(zip(*rows[1:], strict=True))
        if _are_numbers([cell.strip() for cell in column if cell.strip() not in MISSING], marks)
    ]
    units = [rows[0][place].strip() for place in below]
    return any(unit and unit not in MISSING for unit in units)


def write_table(table: "pa.Table", marks: Marks) -> "pa.Table":
    """Return a table of texts whose numbers are written as everywhere else."""
    import pyarrow as pa

    if marks.is_plain:
        return table
    writer = NumberWriter(marks, _KNOWN_MISSING)
    for place, name in enumerate(table.column_names):
        given = table.column(name).to_pylist()
        known = {text: writer.write(text) for text in set(given) if text is not None}
        read = [read_number(text.strip()) is not None for text in known.values()]
        if sum(read) >= _MOSTLY / 2 * len(read):
            written = [None if text is None else known[text] for text in given]
            table = table.set_column(place, name, pa.array(written, pa.string()))
    return table


def _count(columns: Rows, marks: Marks) -> tuple[int, int]:
    """Return how many columns are numbers by some marks, and how many of their values."""
    shares = [_count_numbers(column, marks) for column in columns]
    good = [n for n, column in zip(shares, columns, strict=True) if n >= _MOSTLY * len(column)]
    return len(good), sum(good)


def _are_numbers(cells: Sequence[str], marks: Marks) -> bool:
    return bool(cells) and _count_numbers(cells, marks) >= _MOSTLY * len(cells)


def _count_numbers(cells: Sequence[str], marks: Marks) -> int:
    writer = NumberWriter(marks, _KNOWN_MISSING)
    return sum(read_number(writer.write(cell).strip()) is not None for cell in cells)
