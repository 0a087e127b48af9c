"""Reads CSV files (RFC 4180), one or many, of any size.

They are cut into blocks at record ends, and parsed block by block.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from storage.base.errors import SourceError, SourceUnavailable
from storage.forms.base import RowsSpec
from storage.forms.columns import check_columns, find_undeclared, require_columns
from storage.forms.registry import find_form
from storage.sources.addresses import join_url
from storage.sources.base import Decoded, Part, SourceFile, Undecodable, UrlSource
from storage.sources.listing import list_files
from storage.sources.opening import SourceStream, open_stream, translated

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".csv.xz", ".csv.bz2")
LONGEST_RECORD_BYTES = 64 * 2**20
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class CsvSource(UrlSource):
    """Rows of CSV files, compressed or not."""

    type: Literal["csv"] = "csv"
    """Which source it is."""
    header: tuple[str, ...] | None = None
    """Names of the columns, for files without a header of their own; None where the first record
    names them."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two values, as `";"`. The decimal mark is a point; a model is asked with
    commas."""
    encoding: str = "utf-8"
    """Encoding of files without a byte order mark."""
    splits: dict[Literal["train", "validation", "held_out"], str] = Field(default={})
    """File of each split below the url, as `{train: train.csv, held_out: test.csv}`; empty where
    there is none."""
    max_files: int = Field(default=100_000, ge=1)
    """Most files of the source."""

    def scan(self, spec: RowsSpec | None, target_bytes: int) -> Iterator[Part | SourceFile]:
        """Reads each file once, from its start, and cuts it at ends of records."""
        table = require_columns(spec, self.display)
        root, names = list_files(self.url, self.options, SUFFIXES, self.max_files)
        for name, split in self._choose_files(names):
            with open_stream(join_url(root, name), self.options, name) as stream:
                blocks = _cut_blocks(
                    _decode_text(stream, self.encoding), target_bytes, stream.display
                )
                yield from self._list_parts(blocks, stream, split, table)
                yield stream.finish()

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes fields as the form of the data section reads a table."""
        table, faults = _parse_block(part, require_columns(spec, self.display), self.delimiter)
        bad = {number for number, _ in faults}
        blank = _find_blank(part.payload)
        kept = [number for number in range(table.num_rows + len(bad)) if number not in bad]
        filled = np.array([number not in blank for number in kept], dtype=np.bool_)
        declared, table = require_columns(spec, self.display), table.filter(filled)
        rows, columns = find_form(declared).read_table(table, declared)
        strange = find_undeclared(table, declared)
        named = tuple(
            Undecodable(f"{part.name}:{part.start + number}", reason) for number, reason in faults
        )
        records = tuple(number for number in kept if number not in blank)
        return Decoded(rows, records=records, columns=columns, faults=named, undeclared=strange)

    def _choose_files(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return the names of the files that are read, each with its split."""
        absent = sorted(set(self.splits.values()) - set(names))
        if absent:
            raise SourceUnavailable(
                f"source ({self.display}) must hold each file of source.splits; got no "
                f"{', '.join(absent)} among {len(names)} files; correct the names, or the url"
            )
        if self.splits:
            return sorted((name, split) for split, name in self.splits.items())
        # Texts beside files that call themselves tables tell of these.
        tables = [name for name in names if not name.lower().endswith(".txt")]
        return [(name, "") for name in tables or names]

    def _list_parts(
        self, blocks: Iterator[tuple[bytes, int]], stream: SourceStream, split: str, spec: RowsSpec
    ) -> Iterator[Part]:
        names: list[str] | None = list(self.header) if self.header is not None else None
        start = 0
        for block, records in blocks:
            first = block.split(b"\n", 1)[0].decode().rstrip("\r")
            rest, count = block, records
            if names is None:
                names = [
                    name.strip() for name in next(csv.reader([first], delimiter=self.delimiter), [])
                ]
                rest, count = block[len(first.encode()) :].lstrip(b"\r")[1:], records - 1
            if start == 0:
                check_columns(names, spec.columns, stream.display)
            if rest.strip():
                yield Part(
                    stream.name,
                    start,
                    start + count,
                    split=split,
                    detail=tuple(names),
                    payload=rest,
                )
            start += count


def _decode_text(stream: SourceStream, encoding: str) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8, without a byte order mark."""
    head = stream.read(4)
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    found = _MARKS.get(mark, encoding)
    with translated(stream.display):
        decoder = codecs.getincrementaldecoder(found)()
    data, first = head[len(mark) :], True
    while data or first:
        first = False
        try:
            yield decoder.decode(data).encode()
            data = stream.read(1 << 20)
            if not data:
                yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise SourceError(
                f"file ({stream.display}) must be text in {found}; got: {error}; write "
                "source.encoding, as latin-1"
            ) from None


def _cut_blocks(
    texts: Iterator[bytes], target_bytes: int, display: str
) -> Iterator[tuple[bytes, int]]:
    """Yield blocks of whole records, and how many each holds.

    A line break inside quotes ends none.
    """
    held = b""
    for text in texts:
        held += text
        if len(held) < target_bytes:
            continue
        ends = _find_ends(held)
        while len(ends) and len(held) >= target_bytes:
            # The last record that still fits, or the first one where none does.
            last = max(0, int(np.searchsorted(ends, target_bytes)) - 1)
            yield held[: ends[last] + 1], last + 1
            held, ends = held[ends[last] + 1 :], ends[last + 1 :] - (ends[last] + 1)
        if len(held) > max(LONGEST_RECORD_BYTES, target_bytes):
            raise SourceError(
                f"file ({display}) must hold records of at most {LONGEST_RECORD_BYTES} bytes; got "
                "a longer one; look for a quote that is never closed"
            )
    if held:
        ends = _find_ends(held)
        open_end = not len(ends) or ends[-1] + 1 < len(held)
        yield held, len(ends) + int(open_end)


def _find_ends(text: bytes) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """Return the positions of the line breaks that end a record."""
    data = np.frombuffer(text, dtype=np.uint8)
    quoted = np.cumsum(data == ord('"'), dtype=np.int64) & 1
    return np.flatnonzero((data == ord("\n")) & (quoted == 0))


def _find_blank(text: bytes) -> set[int]:
    """Return the numbers of the records that are empty lines."""
    ends = _find_ends(text)
    short = np.flatnonzero(np.diff(ends, prepend=-1) <= 2)
    starts = np.concatenate(([0], ends + 1))
    return {int(number) for number in short if not text[starts[number] : ends[number]].strip()}


def _parse_block(
    part: Part, spec: RowsSpec, delimiter: str
) -> "tuple[pa.Table, list[tuple[int, str]]]":
    """Return a block as a table, and number and reason of each record that is no row."""
    import pyarrow as pa

    # A value that is no number: read as text, and let the value alone be invalid.
    for numbers in (pa.float64(), pa.string()):
        faults: list[tuple[int, str]] = []
        try:
            return _read_block(part, spec, delimiter, numbers, faults), faults
        except pa.ArrowInvalid as error:
            reason = str(error)
    raise SourceError(
        f"file ({part.name}) must be CSV; got: {reason} in {part.label}; mend it there"
    )


def _read_block(
    part: Part,
    spec: RowsSpec,
    delimiter: str,
    numbers: "pa.DataType",
    faults: list[tuple[int, str]],
) -> "pa.Table":
    """Reads a block with its numbers as one type; adds the records that are no rows to `faults`."""
    import pyarrow as pa
    import pyarrow.csv as arrow

    def leave_out(row: Any) -> str:
        values = f"has {row.actual_columns} values, not {row.expected_columns}"
        faults.append((row.number - 1, values))
        return "skip"

    types = dict.fromkeys(spec.columns, pa.string())
    types |= dict.fromkeys((*spec.numbers, *filter(None, [spec.target])), numbers)
    return arrow.read_csv(
        pa.BufferReader(part.payload),
        read_options=arrow.ReadOptions(
            use_threads=False, column_names=part.detail, block_size=len(part.payload) + 1
        ),
        parse_options=arrow.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=leave_out,
        ),
        convert_options=arrow.ConvertOptions(
            column_types=types,
            include_columns=list(dict.fromkeys(spec.columns)),
            null_values=list(spec.missing),
            strings_can_be_null=True,
        ),
    )
