"""Reads CSV files (RFC 4180), one or many, of any size.

They are cut into blocks at record ends, and parsed block by block: by pyarrow where every quote
stands where any parser understands it alike, else by the rules of `storage.base.records`, by which
a model is asked as well.
"""

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from storage.base.errors import SourceError
from storage.base.marks import Decimal, Thousands
from storage.base.melting import MeltSpec
from storage.base.path_patterns import PathColumns
from storage.base.text_style import (
    MOST_MARK_BYTES,
    Delimiter,
    Encoding,
    SkippedRows,
    TextStyle,
    check_marks,
    find_encoding,
)
from storage.forms.base import RowsSpec
from storage.forms.columns import check_columns, find_undeclared, require_columns
from storage.forms.registry import find_form
from storage.forms.table import TableSpec
from storage.forms.unreadable import find_unreadable
from storage.sources.addresses import join_url
from storage.sources.base import (
    Decoded,
    Part,
    PassedOver,
    SourceFile,
    Undecodable,
    UrlSource,
)
from storage.sources.choosing import Splits, check_given, choose_files, list_given, read_path
from storage.sources.counting import RowCounter, add_counted_times
from storage.sources.csv_blocks import Block, Cut, Layout, cut_blocks
from storage.sources.csv_lines import drop_units, skip_lines, take_header
from storage.sources.faults import translated
from storage.sources.listing import PACKED, Listing, find_files
from storage.sources.melting import DECODED_BYTES, Melt, name_long
from storage.sources.opening import SourceStream, open_stream

HEADER_BYTES = 1 << 16
SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".csv.xz", ".csv.bz2", ".csv.zst")


class CsvSource(UrlSource):
    """Rows of CSV files, compressed or not."""

    type: Literal["csv"] = "csv"
    """Which source it is."""
    header: tuple[str, ...] | None = None
    """Names of the columns, for files without a header of their own; None where the first record
    names them."""
    delimiter: Delimiter = ","
    """What stands between two values, as `";"`."""
    encoding: Encoding = "utf-8"
    """Encoding of files without a byte order mark."""
    decimal: Decimal = "."
    """What stands before decimals: `","` where one and a half is `1,5`."""
    thousands: Thousands | None = None
    """What stands between thousands, as `"."` of `1.234,5`; a blank is one of any width. None where
    nothing does."""
    skip_rows: SkippedRows = 0
    """Lines before the header, or before the first row of files without one."""
    units_row: bool = False
    """Whether the record behind the header names units: it is left out, if it holds texts and none
    of them is a number, a date, or says that a value is missing."""
    path_columns: PathColumns | None = None
    """What the files' paths below the url say, as `"{site}/{year}.csv"`: the parts in braces are
    columns of texts like any other. `*` stands for any text, `**` for any folders. Of
    several parts all together are one more column, as `site/year`, which no pattern means."""
    splits: Splits = Field(default={})
    """Files of each split below the url, as `{train: [a.csv, b.csv], held_out: "2024/*.csv"}`;
    empty where the files say nothing of splits."""
    melt: MeltSpec | None = None
    """Wide to long: `{columns: ["store_*"], name: store, value: sales}` makes a row of each value
    of these columns, so that `store` can be the entity and `sales` a number. A model is asked with
    such a file, and answers each entity's last window, or with long rows."""
    max_files: int = Field(default=100_000, ge=1)
    """Most files of the source."""

    @property
    def file_style(self) -> TextStyle:
        """How its files look, for whoever asks with one."""
        return TextStyle.of_source({name: getattr(self, name) for name in TextStyle.model_fields})

    @model_validator(mode="after")
    def _check_marks(self) -> Self:
        check_marks(self.decimal, self.thousands)
        return self

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Reads each file once, from its start, and cuts it at ends of records."""
        table = require_columns(spec, self.display)
        found, chosen = self._choose_files()
        if unread := found.count_unread(name for name, _ in chosen):
            yield PassedOver(unread)
        counter = RowCounter(table)
        for name, split in chosen:
            given = read_path(self.path_columns, name, self.display)
            with open_stream(join_url(found.root, name), self.options, name) as stream:
                cut_bytes = target_bytes if self.melt is None else target_bytes // DECODED_BYTES
                blocks = self._cut_blocks(stream, max(1, cut_bytes))
                for part in self._list_parts(blocks, stream, split, table, given):
                    yield self._count_rows(part, table, counter)
                yield stream.finish()

    def list_columns(self) -> tuple[str, ...]:
        """Lists the columns of the first file, and those that its path tells."""
        found, chosen = self._choose_files()
        name = chosen[0][0]
        given = list_given(self.path_columns, name, self.display)
        if self.header is not None:
            return name_long(self.melt, (*self.header, *given), self.display)
        with open_stream(join_url(found.root, name), self.options, name) as stream:
            first = next(self._cut_blocks(stream, HEADER_BYTES), None)
        names = take_header(first, self.delimiter)[0] if first is not None else []
        return name_long(self.melt, (*names, *given), self.display)

    def _choose_files(self) -> tuple[Listing, list[tuple[str, str]]]:
        """Return the files that there are, and those that are read, each with its split."""
        found = find_files(self.url, self.options, SUFFIXES, self.max_files)
        found.require_text(self.display)
        names = found.names
        if not self.splits:
            # Texts beside files that call themselves tables tell of these.
            names = [name for name in names if not _is_plain_text(name)] or names
        return found, choose_files(names, self.splits, self.display)

    def _cut_blocks(self, stream: SourceStream, target_bytes: int) -> Iterator[Cut]:
        text = _decode_text(stream, self.encoding)
        return cut_blocks(
            skip_lines(text, self.skip_rows, stream.display),
            self.delimiter.encode(),
            target_bytes,
            stream.display,
            1 + self.skip_rows,
        )

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes fields as the form of the data section reads a table."""
        declared = require_columns(spec, self.display)
        block = Block(part, self.delimiter, self.file_style.marks)
        layout: Layout = part.detail
        melt = self._melt((*layout.names, *layout.given), declared, part.name)
        table, faults = block.parse(declared if melt is None else melt.describe_wide(declared))
        # Rows keep the numbers of their records, which blank lines and faults have, too.
        numbers = records = block.list_rows(faults)
        if melt is not None:
            table, numbers = melt.melt(table), list(melt.number_rows(part.start, records))
        table = add_counted_times(table, declared, layout.starts, layout.given, numbers)
        rows, columns = find_form(declared).read_table(table, declared)
        odd = find_unreadable(
            table, rows, declared, lambda row: block.name_place(records[row % len(records)])
        )
        return Decoded(
            rows,
            records=tuple(numbers),
            columns=columns,
            faults=tuple(
                Undecodable(block.name_place(number), reason)
                for number, reason in sorted(faults.items())
            ),
            undeclared=find_undeclared(table, declared),
            unreadable=odd,
        )

    def _melt(self, names: Sequence[str], spec: RowsSpec, where: str) -> Melt | None:
        return None if self.melt is None else Melt(self.melt, names, spec, where)

    def _count_rows(self, part: Part, spec: RowsSpec, counter: RowCounter) -> Part:
        """Return a part that knows at which number of their entity its rows begin."""
        if not counter.is_needed:
            return part
        entity = counter.entity
        if entity is None or entity in part.detail.given:
            given = None if entity is None else part.detail.given[entity]
            starts = counter.count_all(part.stop - part.start, given)
        else:
            block = Block(part, self.delimiter)
            table, _ = block.parse(TableSpec(texts=(entity,), missing=spec.missing))
            starts = counter.count_each(table.column(entity))
        return replace(part, detail=part.detail._replace(starts=starts))

    def _list_parts(
        self,
        blocks: Iterator[Cut],
        stream: SourceStream,
        split: str,
        spec: RowsSpec,
        given: Mapping[str, str],
    ) -> Iterator[Part]:
        names: list[str] | None = list(self.header) if self.header is not None else None
        start, units_due = 0, self.units_row
        for cut in blocks:
            if names is None:
                names, cut = take_header(cut, self.delimiter)
            if start == 0:
                check_given(names, given, stream.display)
                melt = self._melt((*names, *given), spec, stream.display)
                wide = spec if melt is None else melt.describe_wide(spec)
                check_columns([*names, *given], wide.columns, stream.display)
            if units_due and cut.text:
                cut, units_due = drop_units(cut, self.delimiter, self.file_style.marks), False
            if cut.text.strip():
                detail = Layout(tuple(names), cut.line, given, {})
                stop = start + cut.records
                yield Part(stream.name, start, stop, split=split, detail=detail, payload=cut.text)
            start += cut.records


def _is_plain_text(name: str) -> bool:
    """Tell whether a file is a text, packed or not, that does not call itself a table."""
    plain, _, last = name.lower().rpartition(".")
    return last == "txt" or (f".{last}" in PACKED and plain.endswith(".txt"))


def _decode_text(stream: SourceStream, encoding: str) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8, without a byte order mark."""
    head = stream.read(MOST_MARK_BYTES)
    found, size = find_encoding(head, encoding)
    with translated(stream.display):
        decoder = codecs.getincrementaldecoder(found)()
    data, first = head[size:], True
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
