"""Cuts the text of CSV files into blocks of whole records, and parses a block."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from storage.base import records
from storage.base.cells import find_missing
from storage.base.errors import SourceError
from storage.base.marks import Marks, NumberWriter
from storage.forms.base import RowsSpec
from storage.forms.columns import list_marked_columns, list_number_columns
from storage.forms.parsing import holds_nan, is_text_column
from storage.sources.base import Part
from storage.sources.choosing import add_columns
from storage.sources.counting import Starts

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = Marks()
Faults = dict[int, str]
"""Why a record of a block is no row, by its number in the block."""


class Cut(NamedTuple):
    """Whole records of a file: their text, how many they are, the line that they begin on."""

    text: bytes
    records: int
    line: int


def cut_blocks(
    texts: Iterator[bytes], delimiter: bytes, target_bytes: int, display: str, line: int = 1
) -> Iterator[Cut]:
    """Yield blocks of whole records; a line break inside quotes ends none.

    Args:
        texts: The file's text as UTF-8, in pieces.
        delimiter: What stands between two values.
        target_bytes: Size that a block should come close to.
        display: The file's address, for messages.
        line: Number of the line that the text begins on.

    Raises:
        SourceError: A record is too long.
    """
    held = b""
    for text in texts:
        held += text
        if len(held) < target_bytes:
            continue
        ends = records.find_ends(held, delimiter, final=False)
        while len(ends) and len(held) >= target_bytes:
            # The last record that still fits, or the first one where none does.
            last = max(0, int(np.searchsorted(ends, target_bytes)) - 1)
            block = held[: ends[last] + 1]
            _require_short(block, ends[: last + 1], line, display)
            yield Cut(block, last + 1, line)
            line += len(records.find_breaks(block))
            held, ends = held[ends[last] + 1 :], ends[last + 1 :] - (ends[last] + 1)
        # What may still be its line end does not count.
        _require_short(held.removesuffix(b"\r"), ends, line, display)
    if held:
        ends = records.find_ends(held, delimiter)
        _require_short(held, ends, line, display)
        yield Cut(held, records.count_records(held, ends), line)


def _require_short(text: bytes, ends: NDArray[np.intp], line: int, display: str) -> None:
    """Refuses a text that holds a record which is too long.

    Raises:
        SourceError: It does.
    """
    number = records.find_too_long(text, ends)
    if number is None:
        return
    before = text[: int(ends[number - 1]) + 1] if number else b""
    raise SourceError(
        f"file ({display}) must hold records of at most {records.LONGEST_RECORD_BYTES} bytes; got "
        f"a longer one from line {line + len(records.find_breaks(before))} on; look for a quote "
        "that is never closed"
    )


class Layout(NamedTuple):
    """What a part of a CSV file is decoded by; it travels to workers.

    Attributes:
        names: Names of the columns.
        line: The line that the first record begins on.
        given: Columns that are the same in all rows.
        starts: The number of the first row of each entity, where rows are counted.
    """

    names: tuple[str, ...]
    line: int
    given: Mapping[str, str]
    starts: Starts


class Block:
    """Records of one part of a CSV file.

    Args:
        part: Its payload is whole records, its detail their layout.
        delimiter: What stands between two values.
        marks: How its numbers are written.
    """

    def __init__(self, part: Part, delimiter: str, marks: Marks = PLAIN) -> None:
        self.part = part
        self.delimiter = delimiter
        self.marks = marks
        layout: Layout = part.detail
        self.names, self._line, self._given = layout.names, layout.line, layout.given

    def parse(self, spec: RowsSpec) -> "tuple[pa.Table, Faults]":
        """Return the rows as a table, and the records that are none.

        Raises:
            SourceError: The parser found another number of records than were cut.
        """
        regular = records.is_regular(self.part.payload, self.delimiter.encode())
        table, faults = self._parse_fast(spec) if regular else self._parse_plainly(spec)
        faults = {number: why for number, why in faults.items() if number not in self._blanks}
        kept = self.list_rows(faults)
        if table.num_rows != len(kept):
            raise SourceError(
                f"file ({self.part.name}) must be CSV; got {table.num_rows} rows of "
                f"{len(kept)} records in {self.part.label}; mend it there"
            )
        again = _find_repeated_header(table)
        if again.any():
            faults |= {kept[int(row)]: records.REPEATED_HEADER for row in np.flatnonzero(again)}
            table = table.filter(~again)
        return add_columns(self._write_numbers(table, spec), self._given), faults

    def _write_numbers(self, table: "pa.Table", spec: RowsSpec) -> "pa.Table":
        """Return the rows with the numbers that are still texts as they are read everywhere."""
        import pyarrow as pa

        if self.marks.is_plain:
            return table
        writer = NumberWriter(self.marks, find_missing(spec.missing))
        for name in self._keep_own(list_marked_columns(spec)):
            column = table.column(name)
            if not is_text_column(column):
                continue
            given = column.to_pylist()
            known = {text: writer.write(text) for text in set(given) if text is not None}
            written = [None if text is None else known[text] for text in given]
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array(written, pa.string()))
        return table

    def list_rows(self, faults: Faults) -> list[int]:
        """List the numbers of the records that are rows."""
        count = self.part.stop - self.part.start
        if not faults and not self._blanks:
            return list(range(count))
        return [n for n in range(count) if n not in faults and n not in self._blanks]

    def name_place(self, number: int) -> str:
        """Name the file and the line of a record, as an editor counts lines."""
        start = int(self._ends[number - 1]) + 1 if number else 0
        return f"{self.part.name} line {self._line + int(np.searchsorted(self._breaks, start))}"

    def _keep_own(self, names: Iterable[str]) -> list[str]:
        """Return those of the columns that the records themselves hold, each once."""
        return [name for name in dict.fromkeys(names) if name not in self._given]

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        return records.find_ends(self.part.payload, self.delimiter.encode())

    @cached_property
    def _breaks(self) -> NDArray[np.intp]:
        return records.find_breaks(self.part.payload)

    @cached_property
    def _blanks(self) -> set[int]:
        return records.find_blanks(self.part.payload, self._ends, self.delimiter.encode())

    def _parse_fast(self, spec: RowsSpec) -> "tuple[pa.Table, Faults]":
        import pyarrow as pa

        # A value that is no number: read as text, and let the value alone be invalid.
        slow = NumberWriter(self.marks, find_missing(spec.missing)).must_see_texts
        for numbers in (pa.string(),) if slow else (pa.float64(), pa.string()):
            faults: Faults = {}
            try:
                table = self._read(spec, numbers, faults)
            except pa.ArrowInvalid as error:
                reason = str(error)
                continue
            if _holds_nan(table):
                continue
            blanks = self._blanks - faults.keys()
            if blanks:
                count = table.num_rows + len(faults)
                there = [number not in blanks for number in range(count) if number not in faults]
                table = table.filter(np.array(there, dtype=np.bool_))
            return table, faults
        raise SourceError(
            f"file ({self.part.name}) must be CSV; got: {reason} in {self.part.label}; mend it "
            "there"
        )

    def _read(self, spec: RowsSpec, numbers: "pa.DataType", faults: Faults) -> "pa.Table":
        """Reads with numbers as one type; adds the records that are no rows to `faults`."""
        import pyarrow as pa
        import pyarrow.csv as arrow

        def leave_out(row: Any) -> str:
            found = records.describe_width(row.actual_columns, row.expected_columns)
            faults[row.number - 1] = found
            return "skip"

        types = dict.fromkeys(self._keep_own(spec.columns), pa.string())
        types |= dict.fromkeys(self._keep_own(list_number_columns(spec)), numbers)
        payload = self.part.payload
        return arrow.read_csv(
            pa.BufferReader(payload),
            read_options=arrow.ReadOptions(
                use_threads=False, column_names=self.names, block_size=len(payload) + 1
            ),
            parse_options=arrow.ParseOptions(
                delimiter=self.delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=leave_out,
            ),
            convert_options=arrow.ConvertOptions(
                column_types=types,
                include_columns=self._keep_own(spec.columns),
                null_values=list(spec.missing),
                strings_can_be_null=True,
                decimal_point=self.marks.decimal,
            ),
        )

    def _parse_plainly(self, spec: RowsSpec) -> "tuple[pa.Table, Faults]":
        """Parses records one by one, of a block with quotes that a parser may take otherwise."""
        import pyarrow as pa

        faults: Faults = {}
        wanted = self._keep_own(spec.columns)
        places = [self.names.index(name) for name in wanted]
        kept: list[list[str]] = []
        text = self.part.payload.decode()
        for number, record in enumerate(records.split_records(text, self.delimiter)):
            fault = records.check_width(record, len(self.names))
            if record.is_blank:
                continue
            if fault:
                faults[number] = fault
            else:
                kept.append([record.cells[place] for place in places])
        columns = [[row[place] for row in kept] for place in range(len(places))]
        return pa.table(
            {
                name: pa.array(cells, pa.string())
                for name, cells in zip(wanted, columns, strict=True)
            }
        ), faults


def _holds_nan(table: "pa.Table") -> bool:
    import pyarrow as pa

    return any(pa.types.is_floating(c.type) and holds_nan(c) for c in table.columns)


def _find_repeated_header(table: "pa.Table") -> NDArray[np.bool_]:
    """Return which rows hold the names of their columns, as where files were joined."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = np.ones(table.num_rows, dtype=np.bool_)
    texts = [name for name in table.column_names if pa.types.is_string(table.column(name).type)]
    if len(texts) < max(2, table.num_columns):
        return ~found
    for name in texts:
        same = pc.equal(pc.utf8_trim_whitespace(table.column(name)), name).fill_null(False)
        found &= same.to_numpy().astype(np.bool_)
    return found
