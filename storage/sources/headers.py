"""The names of a source's columns, where it can tell them without reading its rows."""

from typing import Protocol, runtime_checkable

from storage.sources.base import Source


@runtime_checkable
class HasColumns(Protocol):
    """A source whose rows have columns with names: it has this method."""

    def list_columns(self) -> tuple[str, ...] | None:
        """Lists the columns of the first file; None where it cannot tell.

        Raises:
            SourceError: There is no file, or it cannot be read.
        """
        ...


def list_header(source: Source) -> tuple[str, ...] | None:
    """Return the names of a source's columns; None where it cannot tell.

    Raises:
        SourceError: There is no file, or it cannot be read.
    """
    return source.list_columns() if isinstance(source, HasColumns) else None
