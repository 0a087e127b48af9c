"""Names of columns by pattern: `sensor_*` stands for every column of a file that it fits."""

import re
from collections.abc import Iterator, Sequence

from storage.base.shown import list_names
from storage.forms.base import RowsSpec

ANY = "*"
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


def expand_names(names: Sequence[str], header: Sequence[str], taken: set[str]) -> Iterator[str]:
    """Yield the columns that names stand for; those of patterns are added to what is taken.

    Raises:
        ValueError: No column fits a pattern.
    """
    for name in names:
        if ANY not in name or name in header:
            yield name
            continue
        pattern = re.compile(".*".join(map(re.escape, name.split(ANY))), re.S)
        fit = [column for column in header if pattern.fullmatch(column) and column not in taken]
        if not fit:
            raise ValueError(
                f"({name}) must fit a column that the section does not name elsewhere, of "
                f"{list_names(header)}; mend the pattern, or remove it"
            )
        taken.update(fit)
        yield from fit
