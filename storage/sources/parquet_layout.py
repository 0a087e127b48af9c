"""What the footer of a Parquet file says, held against the file's size before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.base.errors import SourceError
from storage.forms.base import RowsSpec
from storage.sources.ranges import Range, merge_ranges
from storage.sources.unpacking import MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO, limit_unpacked

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_TAIL_BYTES = 8
_MARK = b"PAR1"
_PADDING_BYTES = 100
"""A writer of old understated its columns' lengths by up to so much (PARQUET-816)."""
_FREE_ROWS, _ROWS_A_BYTE = 1_000_000, 32
"""Rows of less than a quarter of a bit each say nothing that could be learned."""
_FREE_CELLS, _CELLS_A_BYTE = 8_000_000, 250
_TEXT_RATIO = 50


@dataclass(frozen=True)
class RowGroups:
    """Consecutive row groups of a file that become one part.

    Attributes:
        first: Number of the first one.
        stop: Number after the last one.
        rows: Their rows.
        ranges: The bytes of the columns that are read, and of the footer.
    """

    first: int
    stop: int
    rows: int
    ranges: tuple[Range, ...]


def plan_groups(
    file: "pq.ParquetFile",
    footer: Range,
    columns: Sequence[str],
    display: str,
    target_bytes: int,
) -> list[RowGroups]:
    """Cuts a file into runs of row groups that come close to a decoded size.

    Args:
        file: The file, of which only the footer was read.
        footer: Where that is; its end is the file's size.
        columns: Columns that are read.
        display: The file's name for messages.
        target_bytes: Decoded size of a run.

    Raises:
        SourceError: Columns lie outside the file, or rows stand in no proportion to its bytes.
    """
    groups: list[RowGroups] = []
    first = rows = cells = stored = 0
    ranges: list[Range] = []
    for number in range(file.num_row_groups):
        found, unpacked = _list_columns(file.metadata.row_group(number), columns)
        count = int(file.metadata.row_group(number).num_rows)
        size = sum(stop - start for start, stop in found)
        _require_inside(found, footer, display)
        _require_proportion(unpacked, size, display)
        rows, cells, stored = rows + count, cells + count * len(columns), stored + size
        ranges += found
        if rows * 9 * len(columns) >= target_bytes or number == file.num_row_groups - 1:
            wide = [(start, min(stop + _PADDING_BYTES, footer[0])) for start, stop in ranges]
            if rows:
                merged = merge_ranges([*wide, footer])
                groups.append(RowGroups(first, number + 1, rows, merged))
            first, rows, ranges = number + 1, 0, []
    _require_content(sum(group.rows for group in groups), cells, stored, display)
    return groups


def find_footer(tail: bytes, size_bytes: int, display: str) -> Range:
    """Return where a file's footer is, if it is a Parquet file at all, which pyarrow will say.

    Args:
        tail: Its last 8 bytes.
        size_bytes: Its size.
        display: Its name for messages.

    Raises:
        SourceError: The footer would be longer than the file.
    """
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] == _MARK and length > size_bytes - _TAIL_BYTES - len(_MARK):
        raise SourceError(
            f"file ({display}) must hold a footer of {length} bytes, as its end states; got "
            f"{size_bytes} bytes in all; it is cut off or damaged: fetch it again"
        )
    return size_bytes - _TAIL_BYTES - length, size_bytes


def require_types(
    schema: "pa.Schema", columns: Sequence[str], spec: RowsSpec, display: str
) -> None:
    """Refuses columns of a type that has no value to read: lists, maps, and the like.

    Args:
        schema: The file's columns and their types.
        columns: Those that are read.
        spec: What each column is.
        display: The file's name for messages.

    Raises:
        SourceError: A column is of such a type.
    """
    import pyarrow.types as kinds

    answer = () if spec.target_column is None else (spec.target_column,)
    for name in dict.fromkeys(columns):
        kind = schema.field(name).type
        kind = kind.value_type if kinds.is_dictionary(kind) else kind
        is_number = name in (*spec.numbers, *answer) and name not in spec.dates
        plain = (
            kinds.is_integer(kind)
            or kinds.is_floating(kind)
            or kinds.is_boolean(kind)
            or kinds.is_decimal(kind)
            or kinds.is_string(kind)
            or kinds.is_large_string(kind)
            or kinds.is_null(kind)
        )
        if not plain and (is_number or not kinds.is_temporal(kind)):
            wanted = "numbers" if is_number else "texts, numbers or times"
            raise SourceError(
                f"file ({display}) must hold {wanted} in the column {name}; got the type {kind}; "
                "write it as another type, or leave it out of the data section"
            )


def require_short_texts(table: "pa.Table", size_bytes: int, display: str) -> None:
    """Refuses texts that a dictionary of few makes many times longer than what is stored.

    Raises:
        SourceError: They are.
    """
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    total = 0
    for column in table.columns:
        for chunk in column.chunks if kinds.is_dictionary(column.type) else ():
            counts = pc.value_counts(chunk.indices)
            lengths = pc.binary_length(chunk.dictionary).take(counts.field("values"))
            total += pc.sum(pc.multiply(lengths.cast("int64"), counts.field("counts"))).as_py() or 0
    most = MOST_UNPACKED_BYTES + _TEXT_RATIO * size_bytes
    if total > most:
        raise SourceError(
            f"file ({display}) must hold texts of at most {most} bytes in a part of {size_bytes} "
            f"stored bytes; got {total}; shorten them, or write smaller row groups"
        )


def _list_columns(group: "pq.RowGroupMetaData", columns: Sequence[str]) -> tuple[list[Range], int]:
    """Return where the columns of a row group lie, and the size of what they unpack to."""
    found: list[Range] = []
    unpacked = 0
    for number in range(group.num_columns):
        column = group.column(number)
        path = column.path_in_schema
        if not any(path == name or path.startswith(f"{name}.") for name in columns):
            continue
        first = column.data_page_offset
        # An offset of 0 is that of the file's own mark: some writers state it for none.
        if column.dictionary_page_offset:
            first = min(first, column.dictionary_page_offset)
        found.append((first, first + column.total_compressed_size))
        unpacked += column.total_uncompressed_size
    return found, unpacked


def _require_inside(ranges: Sequence[Range], footer: Range, display: str) -> None:
    if any(not 4 <= start <= stop <= footer[0] for start, stop in ranges):
        raise SourceError(
            f"file ({display}) must hold the columns that its footer states before byte "
            f"{footer[0]}; got one outside; it is damaged: fetch it again"
        )


def _require_proportion(unpacked: int, size_bytes: int, display: str) -> None:
    if unpacked < 0 or unpacked > limit_unpacked(size_bytes):
        raise SourceError(
            f"file ({display}) must unpack to at most {MOST_UNPACKED_RATIO} times its size; got "
            f"{unpacked} bytes of {size_bytes} in a row group; write it anew if it is right"
        )


def _require_content(rows: int, cells: int, size_bytes: int, display: str) -> None:
    few = rows > _FREE_ROWS and rows > _ROWS_A_BYTE * size_bytes
    if few or (cells > _FREE_CELLS and cells > _CELLS_A_BYTE * size_bytes):
        raise SourceError(
            f"file ({display}) must hold rows that differ; got {rows} rows of which the columns "
            f"that are read take {size_bytes} bytes; leave out rows that repeat"
        )
