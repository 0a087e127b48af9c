"""Gives rows a time by their order, where no column tells one.

The rows of each entity are counted through all files while these are walked, in one process; so
each part knows at which number its rows begin, wherever it is decoded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.base.cells import find_missing
from storage.base.errors import SourceError
from storage.forms.base import RowsSpec
from storage.forms.parsing import list_texts
from storage.forms.time_field import is_counted_by_rows

if TYPE_CHECKING:
    import pyarrow as pa

MOST_NS = (1 << 63) - 1
Starts = Mapping[str | None, int]
"""The number of the first row of each entity in a part."""


class RowCounter:
    """Counts the rows of each entity through the parts of a source.

    Args:
        spec: What the recipe says of the rows.
    """

    def __init__(self, spec: RowsSpec) -> None:
        self.is_needed = is_counted_by_rows(spec.time)
        self.entity = spec.entity if self.is_needed else None
        self._missing = find_missing(spec.missing)
        self._counts: Counter[str | None] = Counter()

    def count_all(self, rows: int, entity: str | None = None) -> Starts:
        """Count the rows of a part that are all of one entity; return where they begin."""
        return self._count({entity: rows})

    def count_each(self, column: "pa.ChunkedArray") -> Starts:
        """Count the rows of a part by the column of their entity; return where each begins."""
        return self._count(Counter(list_texts(column, self._missing)))

    def _count(self, found: Mapping[str | None, int]) -> Starts:
        if not self.is_needed:
            return {}
        starts = {entity: self._counts[entity] for entity in found}
        self._counts.update(found)
        return starts


def add_counted_times(
    table: "pa.Table",
    spec: RowsSpec,
    starts: Starts,
    given: Mapping[str, str],
    places: Sequence[int],
) -> "pa.Table":
    """Return a table with a column of times by the order of its rows, if the recipe asks for it.

    Args:
        table: The rows of a part, with all columns of `spec`.
        spec: What the recipe says of the rows.
        starts: The number of the first row of each entity.
        given: Columns that are the same in all rows.
        places: The number of each row in the part: where all are of one entity, a record that is
            no row took its step, too.

    Raises:
        SourceError: A time is farther away than can be kept.
    """
    import pyarrow as pa

    if not is_counted_by_rows(spec.time) or spec.time_name is None:
        return table
    style = spec.time_style
    if spec.entity is None or spec.entity in given:
        numbers = next(iter(starts.values()), 0) + np.array(places, dtype=np.int64)
    else:
        entities = list_texts(table.column(spec.entity), find_missing(spec.missing))
        numbers = _number_rows(entities, starts)
    last = (MOST_NS - style.start_ns) // style.step_ns
    if len(numbers) and numbers.max() > last:
        raise SourceError(
            f"{spec.time_name} must be before 2262 in all rows; got row {last + 1} of one entity, "
            "counted from 0, beyond it; write a shorter data.time.step, or an earlier start"
        )
    times = style.start_ns + numbers * style.step_ns
    return table.append_column(spec.time_name, pa.array(times, pa.timestamp("ns")))


def _number_rows(entities: Sequence[str | None], starts: Starts) -> NDArray[np.int64]:
    seen: Counter[str | None] = Counter()
    numbers = []
    for entity in entities:
        numbers.append(starts.get(entity, 0) + seen[entity])
        seen[entity] += 1
    return np.array(numbers, dtype=np.int64)
