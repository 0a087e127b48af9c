"""Series: rows of a table with a time, of one entity or many, kept in order."""

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from storage.base.errors import SourceError
from storage.base.redaction import show_name
from storage.forms.base import RowsSpec
from storage.forms.columns import NUMBERS, SERIES_ID, TARGET, TIME, name_field, parse_entities
from storage.forms.form import Columns
from storage.forms.measures import Measured, measure_entities
from storage.forms.remaining import Ends, RemainingSpec, count_down, find_ends
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
    target: str | None = None
    """Column of the number to be predicted. Or what is left of a count until an entity's last row,
    as `{remaining: cycle, cap: 125}` of machines that ran to failure; `beyond` names a column of
    what entities had left whose rows stop before."""
    _remaining: RemainingSpec | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _refuse_dates(self) -> "SeriesSpec":
        if self.dates:
            raise ValueError(
                f"dates ({', '.join(self.dates)}) must be left out of series; got some; write "
                "model.head.calendar: [day, week, year], which is told by the time of each row"
            )
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _read_remaining(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Reads a target that is worked out."""
        target = value.get("target") if isinstance(value, Mapping) else None
        if not isinstance(target, Mapping | RemainingSpec):
            return handler(value)
        try:
            remaining = RemainingSpec.model_validate(target)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(["target", *map(show_name, fault["loc"])])
            raise ValueError(
                f"{where} must suit; got: {fault['msg']}; write as target: {{remaining: cycle, "
                "cap: 125}"
            ) from None
        spec = handler({**value, "target": remaining.name})
        spec._remaining = remaining
        spec._check_remaining()
        return spec

    @model_serializer(mode="wrap")
    def _write_remaining(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Writes the target as it is read."""
        document: dict[str, Any] = handler(self)
        if self._remaining is not None and "target" in document:
            document["target"] = self._remaining.model_dump(exclude_defaults=True)
        return document

    @model_validator(mode="after")
    def _check_time(self) -> "SeriesSpec":
        if self.time is None:
            raise ValueError("name the column of the time with kind: series; write as time: date")
        grouped = self.split.by == "group" and self.split.field == self.entity
        if self.entity in self.texts and (self.split.by == "entity" or grouped):
            raise ValueError(
                f"texts ({', '.join(self.texts)}) must not hold {self.entity} where entities are "
                "held out: a model would be judged by those that it does not know alone; write "
                "split: {by: time, held_out: 0.2}, or leave it out of texts"
            )
        return self

    def _check_remaining(self) -> None:
        if self.entity is None:
            raise ValueError(
                "name the column of the entities whose lives are counted; write as entity: engine"
            )
        if self.split.by in ("hash", "time"):
            raise ValueError(
                f"split (by: {self.split.by}) must keep the rows of an entity together, of which "
                "one tells what remains of all; write split: {by: entity, held_out: 0.2}"
            )

    @property
    def remaining(self) -> RemainingSpec | None:
        """How the target is worked out; None where a column holds it."""
        return self._remaining

    @property
    def target_column(self) -> str | None:
        """Column of numbers that the target is read from."""
        return self.target if self._remaining is None else self._remaining.remaining

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, the entity once, even where it is learned from, too."""
        found = super().columns
        if self.entity is not None and self.entity not in self.texts:
            found = (*found, self.entity)
        if self._remaining is None:
            return found
        # What counts may be what the rows are ordered by, or learned from, too.
        others = list(found)
        others.remove(self._remaining.remaining)
        return found if self._remaining.remaining not in others else tuple(others)


class SeriesForm(TableForm):
    """Tables whose rows are kept in the order of entity and time."""

    name = "series"
    spec = SeriesSpec
    ordered = True

    def read_table(self, table: "pa.Table", data: RowsSpec) -> tuple[Rows, Columns]:
        """Makes the fields of a table, and `series_id` of the entity."""
        rows, columns = super().read_table(table, data)
        return {**rows, SERIES_ID: parse_entities(table, data)}, columns

    def measure(self, rows: Rows, data: RowsSpec) -> Measured:
        """Measures what a shard contributes, by entity too where texts tell them apart."""
        found = super().measure(rows, data)
        if data.entity is None or data.entity not in data.texts or NUMBERS not in rows:
            return found
        texts = rows[name_field(data.entity, data.texts)].tolist()
        entities = measure_entities(texts, rows[NUMBERS], rows[NUMBERS + VALID_SUFFIX])
        return found.model_copy(update={"entities": entities})

    def describe_survey(self, data: RowsSpec) -> RowsSpec | None:
        """Return the columns that tell the end of an entity's life; None where none is asked."""
        if not isinstance(data, SeriesSpec) or data.remaining is None:
            return None
        counted = (data.remaining.remaining, data.remaining.beyond)
        return SeriesSpec.model_construct(
            **{
                **{name: getattr(data, name) for name in SeriesSpec.model_fields},
                **{"numbers": tuple(filter(None, counted)), "metadata": ()},
                **{"label": None, "labels": (), "target": None, "time": None},
            }
        )

    def survey(self, rows: Rows, data: RowsSpec) -> Ends:
        """Return the last count of each entity."""
        remaining = data.remaining if isinstance(data, SeriesSpec) else None
        told = remaining is not None and remaining.beyond is not None
        return find_ends(rows, told=told)

    def complete(self, rows: Rows, data: RowsSpec, ends: Ends) -> Rows:
        """Return rows whose target is what remains."""
        if not isinstance(data, SeriesSpec) or data.remaining is None:
            return rows
        return count_down(rows, data.remaining, ends)

    def settle(self, rows: Rows, data: RowsSpec) -> Rows:
        """Return rows with what remains until the last of them."""
        if not isinstance(data, SeriesSpec) or data.remaining is None:
            return rows
        counts = {
            NUMBERS: rows[TARGET][:, None],
            NUMBERS + VALID_SUFFIX: rows[TARGET + VALID_SUFFIX][:, None],
            SERIES_ID: rows[SERIES_ID],
        }
        return count_down(rows, data.remaining, find_ends(counts, told=False))

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
        if data.texts:
            raise SourceError(
                f"source ({where}) holds windows of numbers; got texts ({', '.join(data.texts)}), "
                "of which arrays have none; take them out of data.texts"
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
