"""Guesses how a text file writes its table: encoding, lines before it, delimiter, header, marks."""

import codecs
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from storage.base import records
from storage.base.cells import explain_unreadable, find_missing, read_number
from storage.base.errors import StorageError
from storage.base.marks import Marks, NumberWriter
from storage.base.redaction import redact
from storage.base.text_style import TextStyle
from storage.base.times import is_moment
from storage.forms.base import MISSING
from storage.sources.addresses import join_url
from storage.sources.opening import open_stream
from tasks.drafting.finding import Material
from tasks.drafting.guesses import LIKELY, SURE, UNSURE, DraftError, Notes
from tasks.drafting.marks import PLAIN, find_marks, has_units

HEAD_BYTES = 1 << 18
MOST_RECORDS = 400
MOST_SKIPPED = 60
DELIMITERS = (",", ";", "\t", "|", " ")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LATIN = re.compile("[\x80-\x9f]")
_ALIKE = 0.98
_NONE_MISSING = find_missing(())


@dataclass(frozen=True)
class Dialect:
    """How a file writes its table.

    Attributes:
        delimiter: What stands between two values.
        encoding: Its encoding, as Python names it.
        header: Names of the columns where the file has none of its own; None where the first
            record names them.
        names: Names of the columns, either way.
        marks: How its numbers are written.
        skip_rows: Lines before the header, or the first record.
        units_row: Whether a record of units follows the header.
    """

    delimiter: str
    encoding: str
    header: tuple[str, ...] | None
    names: tuple[str, ...]
    marks: Marks = PLAIN
    skip_rows: int = 0
    units_row: bool = False

    @property
    def section(self) -> dict[str, Any]:
        """What a recipe's source section says of it; what is as usual is left out."""
        header = None if self.header is None else list(self.header)
        said: dict[str, Any] = {
            "header": header,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
        }
        said |= {"decimal": self.marks.decimal, "thousands": self.marks.thousands}
        said |= {"skip_rows": self.skip_rows, "units_row": self.units_row}
        plain = {name: TextStyle.model_fields[name].default for name in said}
        return {name: value for name, value in said.items() if value not in (None, plain[name])}


def find_dialect(material: Material, notes: Notes) -> Dialect:
    """Guess the dialect of the first file, which the others must share.

    Raises:
        DraftError: It is no table, or one that a recipe cannot say.
    """
    name = material.names[0]
    data, whole = read_head(material, name)
    encoding, text = _decode(data, notes)
    # Only whole lines: the last one of a part may be cut off.
    end = len(text) if whole else text.rfind("\n") + 1
    delimiter, skip_rows, table = _find_delimiter(text[: end or len(text)], name, notes)
    rows = [record.cells for record in table]
    marks = find_marks(rows[1:], delimiter, notes)
    units = has_units(rows[1:], marks)
    if units:
        why = "in columns of numbers it holds none"
        notes.add("source.units_row", "the record behind the header", LIKELY, why)
        rows = [rows[0], *rows[2:]]
    header = _find_header(rows, notes)
    names = header or tuple(cell.strip() for cell in rows[0])
    if header is None and (renamed := _rename(names, rows[1:], notes)):
        # The names of a recipe stand for those of the file, whose line is passed over then.
        first = table[1 + units].line - 1
        return Dialect(delimiter, encoding, renamed, renamed, marks, first)
    return Dialect(delimiter, encoding, header, names, marks, skip_rows, units)


def _rename(
    names: Sequence[str], rows: Sequence[Sequence[str]], notes: Notes
) -> tuple[str, ...] | None:
    """Return names that differ, where a column with values has none, or that of another one."""
    counts = Counter(names)
    odd = [
        number
        for number, name in enumerate(names)
        if (not name or counts[name] > 1) and any(row[number].strip() for row in rows)
    ]
    if not odd or not rows:
        return None
    kept = {name for name in names if name and counts[name] == 1}
    made: list[str] = []
    for number, name in enumerate(names, 1):
        plain = name if name and name not in made else f"{name or 'column'}_{number}"
        while plain in made or (plain in kept and plain != name):
            plain += "_"
        made.append(plain)
    shown = [f"{names[number]!r}: {made[number]}" for number in odd]
    why = "the first line has no name for them, or one for several; these names are made up"
    notes.add("source.header", shown[:8], LIKELY, why)
    return tuple(made)


def read_head(material: Material, name: str, size: int = HEAD_BYTES) -> tuple[bytes, bool]:
    """Return the first bytes of a file, unpacked, and whether they are all of it.

    Raises:
        DraftError: It cannot be read.
    """
    try:
        with open_stream(join_url(material.root, name), material.options, name) as stream:
            data = stream.read(size)
            return data, not stream.read(1)
    except StorageError as error:
        raise DraftError(str(error)) from error


def _decode(data: bytes, notes: Notes) -> tuple[str, str]:
    """Return the encoding that a recipe must name, and the text."""
    if data.startswith(_MARKS):
        found = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-16"
        return "utf-8", data.decode(found, errors="replace")
    try:
        return "utf-8", codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    encoding = "cp1252" if _LATIN.search(text) else "latin-1"
    why = "its bytes are no UTF-8; of the old encodings this one is the commonest"
    notes.add("source.encoding", encoding, UNSURE, why)
    return encoding, data.decode(encoding, errors="replace")


def _find_delimiter(text: str, name: str, notes: Notes) -> tuple[str, int, list[records.Record]]:
    """Return what stands between values, the lines before the table, and its first records."""
    found: dict[str, Sequence[records.Record]] = {}
    skipped: dict[str, int] = {}
    for sign in DELIMITERS:
        if sign == " " and found:
            break
        every = _split(text, sign)
        table = _find_table(every)
        if table:
            found[sign] = table
            skipped[sign] = table[0].line - 1 if table[0] is not every[0] else 0
    if not found or _is_one_column(text):
        delimiter = _find_single(text)
        if delimiter is None:
            raise DraftError(_refuse_text(text, name))
        return delimiter, 0, _split(text, delimiter)
    best = max(found, key=lambda sign: (-skipped[sign], _rate(found[sign], sign, found)))
    table = found[best]
    width = Counter(len(record.cells) for record in table).most_common(1)[0][0]
    if skipped[best]:
        why = f"the table of {width} values a line begins behind these lines"
        notes.add("source.skip_rows", skipped[best], LIKELY, why)
    if best != "," or len(found) > 1:
        shown = "tab" if best == "\t" else repr(best)
        sure = SURE if len(found) == 1 else LIKELY
        notes.add("source.delimiter", shown, sure, f"it parts each line into {width} values")
    return best, skipped[best], [record for record in table if len(record.cells) == width]


def _split(text: str, delimiter: str) -> list[records.Record]:
    kept: list[records.Record] = []
    for record in records.split_records(text, delimiter):
        if not record.is_blank:
            kept.append(record)
        if len(kept) == MOST_RECORDS:
            break
    return kept


def _is_one_column(text: str) -> bool:
    """Return whether a name stands alone above numbers with decimal commas."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:MOST_RECORDS]
    below = NumberWriter(Marks(","), _NONE_MISSING)
    return (
        len(lines) > 2
        and not any(sign in lines[0] for sign in DELIMITERS)
        and all(read_number(below.write(line)) is not None for line in lines[1:])
    )


def _find_single(text: str) -> str | None:
    """Return a sign that stands in no line of a table of one column of numbers; None of others."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:MOST_RECORDS]
    good = sum(_is_value(line) for line in lines[1:])
    if len(lines) < 3 or good < _ALIKE * (len(lines) - 1):
        return None
    return next((sign for sign in DELIMITERS if sign not in text), None)


def _find_table(found: Sequence[records.Record]) -> Sequence[records.Record]:
    """Return the records from the first one on behind which nearly all are as wide; none if none.

    The table is what most records are of; what stands before it is at most so many lines.
    """
    widths = Counter(len(record.cells) for record in found)
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    if width < 2:
        return ()
    for start, record in enumerate(found[: MOST_SKIPPED + 1]):
        rest = len(found) - start
        if len(record.cells) == width and count >= _ALIKE * rest:
            return found[start:] if start == 0 or rest > 2 else ()
        count -= len(record.cells) == width
    return ()


def _rate(table: Sequence[records.Record], sign: str, found: Collection[str]) -> float:
    """Return the share of cells that hold none of the other delimiters, but for decimal commas."""
    cells = [cell for record in table[1:51] or table for cell in record.cells]
    others = [other for other in found if other != sign]
    odd = sum(
        any(other in cell for other in others)
        and not (explain_unreadable(cell) or is_moment(cell.strip()))
        for cell in cells
    )
    return 1 - odd / max(1, len(cells))


def _refuse_text(text: str, name: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()][:MOST_RECORDS]
    counts = {sign: Counter(line.count(sign) for line in lines) for sign in DELIMITERS[:-1]}
    sign = max(counts, key=lambda each: counts[each].most_common(1)[0][0] if counts[each] else 0)
    width, count = counts[sign].most_common(1)[0] if counts[sign] else (0, 0)
    if width and count > len(lines) // 2:
        odd = next(n for n, line in enumerate(lines, 1) if line.count(sign) != width)
        return (
            f"file ({redact(name)}) must hold as many values in each line; got {width + 1} in most,"
            f" and another number in line {odd}; remove the lines before the table and behind it"
        )
    return (
        f"file ({redact(name)}) must be a table of two columns or more, parted by a comma, a "
        "semicolon, a tab, a bar or a single blank; got none of them in each line alike; save it "
        "as CSV"
    )


def _find_header(rows: list[list[str]], notes: Notes) -> tuple[str, ...] | None:
    """Return names for the columns of a file without a header; None where it has one."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    told = sum(_is_value(cell) for cell in first)
    below = sum(_is_value(cell) for row in rest for cell in row) / max(1, len(rest))
    if told == 0 and (below > 0 or not rest):
        return None
    if told == 0:
        # Texts alone: a name is seldom a value of its own column.
        again = sum(any(row[n].strip() == cell for row in rest) for n, cell in enumerate(first))
        why = "all columns are texts; the first line's are found in no other line"
        if not again:
            notes.add("source.header", "first line", LIKELY, why)
            return None
    elif told < below / 2:
        # Years and the like may well be names of columns.
        notes.add("source.header", "first line", UNSURE, f"{told} of its values are numbers")
        return None
    names = tuple(f"column_{number}" for number in range(1, len(first) + 1))
    why = f"{told} of {len(first)} values of the first line are values; these names are made up"
    notes.add("source.header", f"{names[0]} to {names[-1]}", LIKELY, why)
    return names


def _is_value(text: str) -> bool:
    """Whether a cell is a number, a missing one, or a time, as no name of a column is."""
    plain = text.strip()
    number = read_number(plain) is not None or bool(explain_unreadable(plain))
    return number or (plain in MISSING and plain != "") or is_moment(plain)
