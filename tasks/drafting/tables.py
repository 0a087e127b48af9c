"""Reads the first rows of a table as its source reads them: each value as the text that it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from storage.base.errors import SourceError, StorageError
from storage.base.path_patterns import list_names, match_path
from storage.base.redaction import redact
from storage.forms.table import TableSpec
from storage.sources.addresses import join_url
from storage.sources.base import Part
from storage.sources.choosing import add_columns
from storage.sources.csv import CsvSource
from storage.sources.csv_blocks import Block
from storage.sources.faults import translated
from tasks.drafting.dialect import find_dialect
from tasks.drafting.finding import Material, find_split_files
from tasks.drafting.guesses import LIKELY, SURE, DraftError, Notes
from tasks.drafting.marks import write_table
from tasks.drafting.paths import find_pattern

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS, MOST_BYTES = 200_000, 256 << 20
PART_BYTES = 8 << 20


@dataclass(frozen=True)
class Looked:
    """The first rows of a table.

    Attributes:
        source: The recipe's source section.
        table: The rows; of CSV all columns are texts.
        rows_by_file: How many of them are of which file, in order.
        splits: File of each split, where the files' names say it.
        complete: Whether these are all rows.
        path_columns: Pattern of the files' names, whose parts are columns of the table, too; None
            where there is one file, or the names say splits.
    """

    source: dict[str, Any]
    table: "pa.Table"
    rows_by_file: Mapping[str, int]
    splits: Mapping[str, str]
    complete: bool
    path_columns: str | None = None

    def use_path(self, used: Iterable[str]) -> "Looked":
        """Return the same with a source that says the files' names, if one of these is used."""
        if not set(used) & set(list_names(self.path_columns)):
            return self
        return replace(self, source={**self.source, "path_columns": self.path_columns})


def look_at_table(material: Material, notes: Notes) -> Looked:
    """Read the first rows of each file.

    Raises:
        DraftError: They are no tables, or not of the same columns.
    """
    splits = find_split_files(material.names)
    if splits:
        shown = ", ".join(f"{split}: {name}" for split, name in splits.items())
        notes.add("source.splits", shown, LIKELY, "the files' names say so")
    source: dict[str, Any] = {"type": material.type, "url": material.url}
    if material.type == "csv":
        dialect = find_dialect(material, notes)
        source |= dialect.section
        names = [name for name in dialect.names if dialect.names.count(name) == 1 and name]
    source |= {"splits": splits} if splits else {}
    tables: dict[str, list[pa.Table]] = {}
    most_rows = max(1000, MOST_ROWS // len(material.names))
    complete = True
    try:
        given = {**source, "options": dict(material.options)}
        pieces = _read_csv(given, names) if material.type == "csv" else _read_parquet(material)
        for name, table in _bound(pieces, most_rows, material.names[-1]):
            complete = complete and table is not None
            if table is not None:
                tables.setdefault(name, []).append(table)
    except StorageError as error:
        raise DraftError(str(error)) from error
    return _gather(source, tables, splits, complete, notes)


def _gather(
    source: dict[str, Any],
    tables: "Mapping[str, list[pa.Table]]",
    splits: Mapping[str, str],
    complete: bool,
    notes: Notes,
) -> Looked:
    import pyarrow as pa

    every = [table for parts in tables.values() for table in parts]
    if not sum(table.num_rows for table in every):
        raise DraftError(f"source ({redact(str(source['url']))}) must hold rows; got none")
    counts = {name: sum(table.num_rows for table in parts) for name, parts in tables.items()}
    pattern = None if splits else find_pattern(list(tables), every[0].column_names)
    if pattern is not None:
        every = [
            add_columns(table, match_path(pattern, name) or {})
            for name, parts in tables.items()
            for table in parts
        ]
    table = pa.concat_tables(every, promote_options="permissive")
    if not complete:
        why = "the first rows of each file were looked at, and no more: what comes later may differ"
        notes.add("data", f"{table.num_rows} rows", LIKELY, why)
    else:
        notes.add("data", f"{table.num_rows} rows", SURE, f"{table.num_columns} columns, all read")
    return Looked(source, table, counts, splits, complete, pattern)


def _bound(
    pieces: "Iterator[tuple[str, pa.Table]]", most_rows: int, last: str
) -> "Iterator[tuple[str, pa.Table | None]]":
    """Yield tables up to so many rows a file and so many bytes; None where there is more.

    Of the last file nothing is read beyond these rows.
    """
    counts: dict[str, int] = {}
    left = MOST_BYTES
    for name, table in pieces:
        room = most_rows - counts.get(name, 0)
        if room <= 0 or left <= 0:
            yield name, None
            if left <= 0 or name == last:
                return
            continue
        if table.num_rows > room:
            yield name, None
        kept = table.slice(0, room)
        counts[name] = counts.get(name, 0) + kept.num_rows
        left -= kept.nbytes
        yield name, kept


def _read_csv(section: Mapping[str, Any], names: list[str]) -> "Iterator[tuple[str, pa.Table]]":
    source = CsvSource.model_validate(section)
    spec = TableSpec(texts=tuple(names), missing=("",))
    for part in source.scan(spec, PART_BYTES):
        if not isinstance(part, Part):
            continue
        table, faults = Block(part, source.delimiter).parse(spec)
        if faults:
            number, reason = next(iter(sorted(faults.items())))
            place = Block(part, source.delimiter).name_place(number)
            raise SourceError(
                f"file ({redact(part.name)}) must hold records that can be read; got {len(faults)} "
                f"that cannot: {place}: {reason}; mend them there"
            )
        yield part.name, write_table(table, source.file_style.marks)


def _read_parquet(material: Material) -> "Iterator[tuple[str, pa.Table]]":
    import fsspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in material.names:
        address = join_url(material.root, name)
        with translated(redact(address)), fsspec.open(address, "rb", **material.options) as opened:
            file = pq.ParquetFile(opened)
            for batch in file.iter_batches(batch_size=50_000):
                yield name, pa.Table.from_batches([batch])
