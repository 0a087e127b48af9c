"""Turns a wide table into a long one: a column an entity becomes rows of one column."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from storage.base.errors import SourceError
from storage.base.melting import MeltSpec, expand_names
from storage.base.shown import list_names
from storage.forms.base import RowsSpec
from storage.forms.columns import list_number_columns
from storage.forms.table import TableSpec
from storage.forms.time_field import is_counted_by_rows

if TYPE_CHECKING:
    import pyarrow as pa

DECODED_BYTES = 12
"""Bytes that a value of a wide table grows to, in times of its text's."""


class Melt:
    """How the columns of one file become rows.

    Args:
        spec: The recipe's rule.
        header: Columns of the file.
        data: What the recipe says of the long rows; None where only their names are asked.
        where: The file, for messages.

    Raises:
        SourceError: A column is not there, a name is taken, or rows are to be counted.
    """

    def __init__(
        self, spec: MeltSpec, header: Sequence[str], data: RowsSpec | None, where: str
    ) -> None:
        self.spec, self._where = spec, where
        try:
            self.columns = tuple(dict.fromkeys(expand_names(spec.columns, header, set())))
        except ValueError as error:
            raise SourceError(
                f"file ({where}) must have the columns that source.melt names; {error}"
            ) from None
        kept = [name for name in header if name not in self.columns]
        twice = [name for name in (spec.name, spec.value) if name in kept]
        if twice or (data is not None and is_counted_by_rows(data.time)):
            what = f"no column {list_names(twice)}" if twice else "a column of the time"
            raise SourceError(
                f"file ({where}) must have {what}, beside those that source.melt makes rows of; "
                f"got {list_names(header)}; call the new columns otherwise, or name the time"
            )
        self.header = (*kept, spec.name, spec.value)

    def describe_wide(self, data: RowsSpec) -> RowsSpec:
        """Return what is read of the file itself."""
        numbers = list_number_columns(data)
        made = (self.spec.name, self.spec.value)
        own = [name for name in dict.fromkeys(data.columns) if name not in made]
        wide = {"numbers": [name for name in own if name in numbers]}
        wide["texts"] = [name for name in own if name not in numbers]
        wide["numbers" if self.spec.value in numbers else "texts"] += self.columns
        numbers, texts = tuple(wide["numbers"]), tuple(wide["texts"])
        return TableSpec.model_construct(numbers=numbers, texts=texts, missing=data.missing)

    def melt(self, table: "pa.Table") -> "pa.Table":
        """Return the long rows: all of the first column, then all of the next.

        Raises:
            SourceError: The columns are of types that do not go together.
        """
        import pyarrow as pa

        count = table.num_rows
        kept = [name for name in table.column_names if name not in self.columns]
        parts = [
            pa.table(
                {
                    **{each: table.column(each) for each in kept},
                    self.spec.name: pa.repeat(pa.scalar(name, pa.string()), count),
                    self.spec.value: table.column(name),
                }
            )
            for name in self.columns
        ]
        try:
            return pa.concat_tables(parts, promote_options="permissive")
        except pa.ArrowTypeError:
            types = {str(table.column(name).type): name for name in self.columns}
            raise SourceError(
                f"file ({self._where}) must have one type in the columns that source.melt makes "
                f"rows of; got {list_names([f'{n}: {kind}' for kind, n in types.items()])}; write "
                "them all as numbers, or as texts"
            ) from None

    def number_rows(self, start: int, records: Sequence[int]) -> Iterator[int]:
        """Number long rows inside a part, so that none in the file has the number of another.

        Args:
            start: Number of the part's first record in the file.
            records: Numbers of the records inside the part.
        """
        width = len(self.columns)
        for place in range(width):
            yield from ((start + record) * width + place - start for record in records)


def name_long(spec: MeltSpec | None, header: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the columns of the rows that a file becomes."""
    return tuple(header) if spec is None else Melt(spec, header, None, where).header
