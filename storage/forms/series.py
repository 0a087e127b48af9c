"""Series: rows of a table with a time, of one entity or many, kept in order."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, parse_entities
from storage.forms.form import Columns
from storage.forms.table import TableForm, TableSpec
from storage.shards.row_ids import Rows

if TYPE_CHECKING:
    import pyarrow as pa


class SeriesSpec(TableSpec):
    """Series: rows with a time, of one entity or many, kept in order.

    Windows are cut while streaming.
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


def find_step(entities: NDArray[np.generic], times: NDArray[np.int64]) -> int:
    """Return the most frequent time between two rows of an entity, in nanoseconds.

    0 where no entity has two rows.
    """
    order = np.lexsort((times, entities))
    steps = np.diff(times[order])
    same = entities[order][1:] == entities[order][:-1]
    values, counts = np.unique(steps[same & (steps > 0)], return_counts=True)
    return int(values[counts.argmax()]) if len(values) else 0
