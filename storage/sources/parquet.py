"""Parquet files (Apache Parquet format 2), one or many, read row group by row group.

A file is hashed once, and with it the bytes of each part; a part is decoded from exactly these
bytes, or not at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from storage.base.errors import SourceError
from storage.base.melting import MeltSpec
from storage.base.path_patterns import PathColumns
from storage.base.store import redact
from storage.base.text_style import TextStyle
from storage.forms.base import RowsSpec
from storage.forms.columns import check_columns, find_undeclared, require_columns
from storage.forms.registry import find_form
from storage.forms.unreadable import find_unreadable
from storage.sources.addresses import join_url
from storage.sources.base import Decoded, Part, PassedOver, SourceFile, UrlSource
from storage.sources.choosing import (
    Splits,
    add_columns,
    check_given,
    choose_files,
    list_given,
    read_path,
)
from storage.sources.counting import RowCounter, Starts, add_counted_times
from storage.sources.faults import translated
from storage.sources.listing import find_files
from storage.sources.melting import DECODED_BYTES, Melt, name_long
from storage.sources.opening import open_stream
from storage.sources.parquet_layout import (
    RowGroups,
    find_footer,
    plan_groups,
    require_short_texts,
    require_types,
)
from storage.sources.plain_files import look_at_file
from storage.sources.ranges import HashedRanges, Range, RangeHasher, read_ranges
from storage.sources.unpacking import CHUNK_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class _Groups:
    """Row groups of a part, and the bytes that they are decoded from; it travels to workers."""

    first: int
    stop: int
    bytes: HashedRanges
    given: Mapping[str, str]
    starts: Starts
    names: tuple[str, ...] = ()


class ParquetSource(UrlSource):
    """Rows of Parquet files."""

    type: Literal["parquet"] = "parquet"
    """Which source it is."""
    path_columns: PathColumns | None = None
    """What the files' paths below the url say, as `"{site}/{year}.parquet"`: the parts in braces
    are columns of texts like any other. `*` stands for any text, `**` for any folders. Of
    several parts all together are one more column, as `site/year`, which no pattern means."""
    splits: Splits = Field(default={})
    """Files of each split below the url, as `{train: "20*.parquet", held_out: [a.parquet]}`; empty
    where the files say nothing of splits."""
    melt: MeltSpec | None = None
    """Wide to long: `{columns: ["store_*"], name: store, value: sales}` makes a row of each value
    of these columns, so that `store` can be the entity and `sales` a number. A model is asked with
    such a file, and answers each entity's last window, or with long rows."""
    max_files: int = Field(default=100_000, ge=1)
    """Most files of the source."""

    @property
    def file_style(self) -> TextStyle | None:
        """How a file is called or laid out that a model is asked with; None where that is plain."""
        if self.path_columns is None and self.melt is None:
            return None
        return TextStyle(path_columns=self.path_columns, melt=self.melt)

    def scan(
        self, spec: RowsSpec | None, target_bytes: int
    ) -> Iterator[Part | SourceFile | PassedOver]:
        """Reads what each file says about its row groups, and hashes both."""
        table = require_columns(spec, self.display)
        found = find_files(self.url, self.options, SUFFIXES, self.max_files)
        chosen = choose_files([*found.names, *found.unnamed], self.splits, self.display)
        if unread := found.count_unread(name for name, _ in chosen):
            yield PassedOver(unread)
        counter = RowCounter(table)
        for name, split in chosen:
            address = join_url(found.root, name)
            given = read_path(self.path_columns, name, self.display)
            groups, size_bytes, names = self._plan_file(address, table, target_bytes, given)
            hasher = RangeHasher([group.ranges for group in groups])
            with open_stream(address, self.options, name) as stream:
                while data := stream.read(CHUNK_BYTES):
                    hasher.feed(data)
                whole = stream.finish()
            start = 0
            for group, digest in zip(groups, hasher.list_digests(), strict=True):
                hashed = HashedRanges(address, size_bytes, group.ranges, digest)
                starts = self._count_rows(group, hashed, given, counter)
                detail = _Groups(group.first, group.stop, hashed, given, starts, names)
                yield Part(name, start, start + group.rows, split=split, detail=detail)
                start += group.rows
            yield whole

    def list_columns(self) -> tuple[str, ...]:
        """Lists the columns of the first file, and those that its path tells."""
        found = find_files(self.url, self.options, SUFFIXES, self.max_files)
        chosen = choose_files([*found.names, *found.unnamed], self.splits, self.display)
        name = chosen[0][0]
        with _open_file(join_url(found.root, name), self.options) as (file, _):
            names = file.schema_arrow.names
        given = list_given(self.path_columns, name, self.display)
        return name_long(self.melt, (*names, *given), self.display)

    def _melt(self, names: Sequence[str], spec: RowsSpec, where: str) -> Melt | None:
        return None if self.melt is None else Melt(self.melt, names, spec, where)

    def _count_rows(
        self, group: RowGroups, hashed: HashedRanges, given: Mapping[str, str], counter: RowCounter
    ) -> Starts:
        """Return at which number of their entity the rows of a part begin."""
        entity = counter.entity
        if entity is None or entity in given:
            return counter.count_all(group.rows, None if entity is None else given[entity])
        found = _read_groups(
            _Groups(group.first, group.stop, hashed, {}, {}), [entity], self.options
        )
        return counter.count_each(found.column(entity))

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes fields as the form of the data section reads a table."""
        table = require_columns(spec, self.display)
        detail: _Groups = part.detail
        melt = self._melt((*detail.names, *detail.given), table, part.name)
        wide = table if melt is None else melt.describe_wide(table)
        groups = _read_groups(detail, wide.columns, self.options)
        places = range(groups.num_rows)
        groups = add_counted_times(groups, table, detail.starts, detail.given, places)
        count = part.stop - part.start
        if groups.num_rows != count:
            raise SourceError(
                f"part ({part.label}) must hold as many rows as the file's footer states; got "
                f"{groups.num_rows}; the file is damaged: fetch it again"
            )
        if melt is not None:
            groups = melt.melt(groups)
        with translated(redact(part.detail.bytes.address)):
            rows, columns = find_form(table).read_table(groups, table)
            strange = find_undeclared(groups, table)
            odd = find_unreadable(
                groups, rows, table, lambda row: f"{part.name} row {part.start + row % count + 1}"
            )
        numbers = None if melt is None else tuple(melt.number_rows(part.start, range(count)))
        return Decoded(rows, records=numbers, columns=columns, undeclared=strange, unreadable=odd)

    def _plan_file(
        self, address: str, table: RowsSpec, target_bytes: int, given: Mapping[str, str]
    ) -> tuple[list[RowGroups], int, tuple[str, ...]]:
        """Reads a file's footer; return its row groups in parts, its size in bytes, its columns."""
        display = redact(address)
        with _open_file(address, self.options) as (file, footer):
            names = tuple(file.schema_arrow.names)
            check_given(names, given, display)
            melt = self._melt((*names, *given), table, display)
            wide = table if melt is None else melt.describe_wide(table)
            check_columns([*names, *given], wide.columns, display)
            own = [name for name in wide.columns if name not in given]
            require_types(file.schema_arrow, own, wide, display)
            part_bytes = target_bytes if melt is None else target_bytes // DECODED_BYTES
            groups = plan_groups(file, footer, own, display, max(1, part_bytes))
            return groups, footer[1], names


@contextmanager
def _open_file(
    address: str, options: Mapping[str, object]
) -> Iterator[tuple["pq.ParquetFile", Range]]:
    """Opens a file, whose footer is held against its size before it is parsed.

    Yields:
        The file, of which only the footer was read, and where that is; its end is the file's size.

    Raises:
        SourceError: It is no such file, or cut off.
    """
    display = redact(address)
    with translated(display):
        import fsspec
        import pyarrow.parquet as pq

        filesystem, path = fsspec.core.url_to_fs(address, **options)
        look_at_file(filesystem, path, display)
        with filesystem.open(path, "rb") as opened:
            size_bytes = opened.seek(0, 2)
            opened.seek(max(0, size_bytes - 8))
            footer = find_footer(opened.read(8), size_bytes, display)
            yield pq.ParquetFile(opened), footer


def _read_groups(
    groups: _Groups, columns: Sequence[str], options: Mapping[str, object]
) -> "pa.Table":
    """Reads row groups, with every text as a text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    display = redact(groups.bytes.address)
    sparse = read_ranges(groups.bytes, options)
    names = [name for name in dict.fromkeys(columns) if name not in groups.given]
    size_bytes = sum(stop - start for start, stop in groups.bytes.ranges)
    with translated(display):
        # Texts stay in their dictionary until it is known how long they get without it.
        file = pq.ParquetFile(sparse, read_dictionary=names)
        numbers = list(range(groups.first, groups.stop))
        found = file.read_row_groups(numbers, columns=names, use_threads=False)
        require_short_texts(found, size_bytes, display)
        plain = [
            column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
            for column in found.columns
        ]
        return add_columns(pa.table(plain, names=found.column_names), groups.given)
