"""Names of columns by pattern: `sensor_*` stands for every column of a file that it fits."""

from collections.abc import Sequence

from storage.base.melting import ANY, expand_names
from storage.forms.base import RowsSpec

FIELDS = ("numbers", "texts", "metadata")


def list_patterns(data: RowsSpec) -> tuple[str, ...]:
    """List the names of a data section that stand for several columns, or may do so."""
    return tuple(name for field in FIELDS for name in getattr(data, field) if ANY in name)


def expand_columns(data: RowsSpec, header: Sequence[str]) -> RowsSpec:
    """Return the data section with the columns of a file in place of patterns.

    They stand in the file's order. A column that the section names itself is no other's; a name
    that a column has is that column, whatever signs are in it.

    Args:
        data: The section.
        header: Names of the file's columns.

    Raises:
        ValueError: No column fits a pattern; the sentence begins with the key.
    """
    taken = set(data.columns) - set(list_patterns(data))
    found: dict[str, tuple[str, ...]] = {}
    for field in FIELDS:
        names = getattr(data, field)
        if any(ANY in name for name in names):
            try:
                found[field] = tuple(expand_names(names, header, taken))
            except ValueError as error:
                raise ValueError(f"{field} {error}") from None
    return type(data).model_validate({**data.model_dump(), **found})
