"""Parquet files (Apache Parquet format 2), one or many, read row group by row group."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from storage.forms.base import RowsSpec
from storage.forms.columns import check_columns, find_undeclared, require_columns
from storage.forms.registry import find_form
from storage.forms.unreadable import find_unreadable
from storage.sources.base import Decoded, Part, SourceFile, UrlSource
from storage.sources.listing import list_files
from storage.sources.opening import open_stream, translated

if TYPE_CHECKING:
    import pyarrow.parquet as pq


class ParquetSource(UrlSource):
    """Rows of Parquet files."""

    type: Literal["parquet"] = "parquet"
    """Which source it is."""
    splits: dict[Literal["train", "validation", "held_out"], str] = Field(default={})
    """File of each split below the url, as `{train: train.parquet}`; empty where there is none."""
    max_files: int = Field(default=100_000, ge=1)
    """Most files of the source."""

    def scan(self, spec: RowsSpec | None, target_bytes: int) -> Iterator[Part | SourceFile]:
        """Reads what each file says about its row groups, and hashes it."""
        table = require_columns(spec, self.display)
        row_bytes = 9 * len(table.columns)
        root, names = list_files(self.url, self.options, (".parquet", ".pq"), self.max_files)
        for name in names:
            split = next((split for split, file in self.splits.items() if file == name), None)
            if self.splits and split is None:
                continue
            address = posixpath.join(root, name)
            with translated(address):
                file = _open_parquet(address, self.options)
                check_columns(file.schema_arrow.names, table.columns, address)
                sizes = [
                    file.metadata.row_group(number).num_rows
                    for number in range(file.num_row_groups)
                ]
                file.close()
            first = start = rows = 0
            for number, size in enumerate(sizes):
                rows += size
                if rows * row_bytes >= target_bytes or number == len(sizes) - 1:
                    if rows:
                        detail = (address, first, number + 1)
                        yield Part(name, start, start + rows, split=split or "", detail=detail)
                    first, start, rows = number + 1, start + rows, 0
            with open_stream(address, self.options, name) as stream:
                yield stream.finish()

    def decode(self, part: Part, spec: RowsSpec | None) -> Decoded:
        """Decodes fields as the form of the data section reads a table."""
        table = require_columns(spec, self.display)
        address, first, stop = part.detail
        with translated(address):
            file = _open_parquet(address, self.options)
            groups = file.read_row_groups(
                list(range(first, stop)), columns=list(table.columns), use_threads=False
            )
            file.close()
        rows, columns = find_form(table).read_table(groups, table)
        odd = find_unreadable(
            groups, rows, table, lambda row: f"{part.name} row {part.start + row + 1}"
        )
        return Decoded(
            rows, columns=columns, undeclared=find_undeclared(groups, table), unreadable=odd
        )


def _open_parquet(address: str, options: Mapping[str, object]) -> "pq.ParquetFile":
    import fsspec
    import pyarrow.parquet as pq

    filesystem, path = fsspec.core.url_to_fs(address, **options)
    return pq.ParquetFile(filesystem.open(path, "rb"))
