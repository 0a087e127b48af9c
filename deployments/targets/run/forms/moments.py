"""Reading the times and dates of rows that are still texts, as seconds since 1970."""

import math

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.records import Cell, quote
from deployments.targets.trust.card_columns import ColumnSpec
from storage.base.cells import Missing, read_text_cell

NANOSECONDS = 1e9


def read_date(cell: Cell, column: ColumnSpec, missing: Missing, where: str) -> float:
    """Read a date of a table, which may be missing, as the time of a row may not.

    Raises:
        BadInput: There is one that cannot be read.
    """
    if read_text_cell(cell, missing) is None:
        return math.nan
    return read_time(cell, column, missing, where)


def read_time(cell: Cell, column: ColumnSpec, missing: Missing, where: str) -> float:
    """Read a time as seconds since 1970; UTC unless the text says otherwise.

    Raises:
        BadInput: It is none.
    """
    text = read_text_cell(cell, missing)
    style = column.time_style
    try:
        nanoseconds = style.read(text) if text is not None else None
        why = style.explain(text) if text is not None and nanoseconds is None else ""
    except (ValueError, KeyError, OSError) as error:
        raise BadInput(f"input ({where}) must have a time that can be read: {error}") from error
    if nanoseconds is None:
        raise BadInput(
            f"input ({where}) must hold a time as {style.words} in {column.name}; got "
            f"{quote((cell or '').strip())}{f', {why}' if why else ''}"
        )
    return nanoseconds / NANOSECONDS
