"""Series: rows of a table with a time, of one entity or many, kept in order."""

from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from storage.base.errors import SourceError
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME, parse_entities
from storage.forms.form import Columns
from storage.forms.table import TableForm, TableSpec
from storage.shards.row_ids import VALID_SUFFIX, Rows, hash_contents

if TYPE_CHECKING:
    import pyarrow as pa

STEP_NS = 10**9
"""Time between two steps of a window of an array, which tells none: so `%s` reads their numbers."""
_STEP_BYTES = 41
"""Bytes of a row beside its numbers: entity, time and its mask, row id, content hash."""


class SeriesSpec(TableSpec):
    """Series: rows with a time, of one entity or many, kept in order.

    Windows are cut while streaming. Of a source `arrays` a window (L, C) is an entity of its own:
    name what it is called and its steps, as `entity: window` and `time: step`.
    """

    kind: Literal["series"] = "series"
    """What the rows are."""
    entity: str | None = None
    """Column that tells the entities apart; None where there is one. Kept as `series_id`, int64."""

    @model_validator(mode="after")
    def _check_time(self) -> "SeriesSpec":
        if self.time is None:
            raise ValueError("name the column of the time with kind: series; write as time: date")
        if self.texts:
            raise ValueError(
                f"texts ({', '.join(self.texts)}) must be empty for series; leave them out, or "
                "give them as numbers"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (*super().columns, *((self.entity,) if self.entity is not None else ()))


class SeriesForm(TableForm):
    """Tables whose rows are kept in the order of entity and time."""

    name = "series"
    spec = SeriesSpec
    ordered = True

    def read_table(self, table: "pa.Table", data: RowsSpec) -> tuple[Rows, Columns]:
        """Makes the fields of a table, and `series_id` of the entity."""
        rows, columns = super().read_table(table, data)
        return {**rows, SERIES_ID: parse_entities(table, data)}, columns

    def read_arrays(
        self, values: NDArray[Any], targets: NDArray[Any], data: RowsSpec | None, where: str
    ) -> tuple[Rows, Columns]:
        """Makes rows of windows (N, L, C), or (N, L) of one column: N entities of L steps each.

        An entity is known by what its window holds, so that equal windows are found to be equal,
        and lie on the same side of a split. Steps are numbered from 0, a second apart.
        """
        names = data.numbers if data is not None else ()
        values = values[..., None] if values.ndim == 2 and len(names) == 1 else values
        if data is None or data.entity is None:
            raise SourceError(
                f"source ({where}) holds windows, each an entity of its own; write data.entity: "
                "window, data.time: step and split: {by: entity, held_out: 0.2}"
            )
        if values.ndim != 3 or values.shape[2] != len(names):
            raise SourceError(
                f"source ({where}) must hold windows of steps of {len(names)} columns, (N, L, "
                f"{len(names)}), as data.numbers names them; got shape {values.shape[1:]} a "
                "window; name each column, and put steps before columns"
            )
        count, steps, width = values.shape
        rows, columns = super().read_arrays(
            values.reshape(count * steps, width), np.repeat(targets, steps), data, where
        )
        series = hash_contents({"window": values})[:, 0] >> np.uint64(1)
        return {
            **rows,
            TIME: np.tile(np.arange(steps, dtype=np.int64) * STEP_NS, count),
            TIME + VALID_SUFFIX: np.ones(count * steps, dtype=np.bool_),
            SERIES_ID: np.repeat(series.astype(np.int64), steps),
        }, columns

    def count_array_bytes(self, shape: tuple[int, ...], item_bytes: int) -> int:
        """Return the decoded bytes of a window."""
        steps = shape[0] if shape else 1
        return steps * (prod(shape[1:]) * 9 + _STEP_BYTES)


def find_step(entities: NDArray[np.generic], times: NDArray[np.int64]) -> int:
    """Return the most frequent time between two rows of an entity, in nanoseconds.

    0 where no entity has two rows.
    """
    order = np.lexsort((times, entities))
    steps = np.diff(times[order])
    same = entities[order][1:] == entities[order][:-1]
    values, counts = np.unique(steps[same & (steps > 0)], return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0
