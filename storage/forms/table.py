"""Tables: rows of named columns of numbers and text."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from storage.base.cells import find_missing
from storage.base.errors import SourceError
from storage.forms.base import MISSING, RowsSpec
from storage.forms.columns import NUMBERS, TARGET, TIME, name_text_fields
from storage.forms.form import Columns, Form, Mask, place_targets
from storage.forms.measures import Moments, measure_columns
from storage.forms.parsing import mask_numbers
from storage.forms.time_field import TimeField, describe_style, list_time_columns
from storage.shards.row_ids import LABEL, VALID_SUFFIX, Rows, find_valid


class TableSpec(RowsSpec):
    """Rows of a table: named columns of numbers and text.

    The columns of numbers become one field `numbers`, float64 (N, D), with a mask `numbers__valid`
    of what is missing or does not parse; each column of text becomes a text field of its own.
    """

    kind: Literal["table", "series"] = "table"
    """What the rows are."""
    numbers: tuple[str, ...] = ()
    """Columns of numbers. `"sensor_*"` stands for all columns of the first file that it fits and
    that nothing else is said of, in the file's order; so it does in `texts` and `metadata`."""
    dates: tuple[str, ...] = ()
    """Columns of dates or times, as numbers of seconds since 1970 among `numbers`, which need not
    name them: how old a row is, and where its date lies in the day, the week and the year, are
    features then; for tables."""
    date_format: str | None = None
    """Format of them all, as `time_format` has it; None for ISO 8601."""
    texts: tuple[str, ...] = ()
    """Columns of text, such as categories; of series also `entity`, where each shall be told apart
    from the others."""
    metadata: tuple[str, ...] = ()
    """Columns of text that nothing is learned from, such as the phone that measured, or the person
    that `split: {by: group, field: person}` keeps together: the model gate judges the rows of each
    of their values by themselves."""
    label: str | None = None
    """Column of the class; its text is looked up in `labels`."""
    labels: tuple[str, ...] = ()
    """Names of the classes; class i has label i, anything else -1. Of anomaly detection two, what
    is normal first."""
    target: str | None = None
    """Column of the number to be predicted."""
    time: TimeField = None
    """Column of the time, kept as `time`, int64 nanoseconds since 1970 (UTC). Several columns tell
    it together: `[date, clock]`, or `[year, month, day, hour]`; `{count: cycle, step: 1h}` takes a
    column that counts; `{start: 2024-05-01, step: 10min}` the order of the rows of each entity."""
    time_format: str | None = None
    """Format of the time after C's strptime, as `%d/%m/%Y %H:%M`; None for ISO 8601, and for three
    columns and more for their numbers. It may hold %Y %y %m %b %B %d %e %j %H %I %p %M %S %f %z %s
    %a %A, and in short %F %T %D %R %r; names are English. Of several columns it is that of their
    texts with a blank between. `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` and `epoch_d` are
    numbers since 1970, with decimals or without."""
    time_zone: str | None = None
    """Zone whose clocks say the time, as `Europe/Berlin`; None for UTC. What they say twice, or
    never, is no time, unless it says its offset. Cut-off times of `split` are UTC, unless
    `split.time_zone` says otherwise."""
    missing: tuple[str, ...] = MISSING
    """Texts that mean that there is no value, of any source; in numbers also the same number
    written otherwise. White space around a value does not count; an empty number is missing."""

    @model_validator(mode="before")
    @classmethod
    def _add_dates(cls, found: Any) -> Any:
        """Makes numbers of the dates."""
        if not isinstance(found, Mapping) or not isinstance(found.get("dates"), list | tuple):
            return found
        numbers = found.get("numbers", ())
        if not isinstance(numbers, list | tuple):
            return found
        more = [name for name in found["dates"] if name not in numbers]
        return {**found, "numbers": [*numbers, *more]}

    @model_validator(mode="after")
    def _check_dates(self) -> "TableSpec":
        if self.date_format is not None and not self.dates:
            raise ValueError(
                f"date_format ({self.date_format}) must go with dates; write dates: [...]"
            )
        describe_style(None, self.date_format, None)
        return self

    @model_validator(mode="after")
    def _check_columns(self) -> "TableSpec":
        used = self.columns
        if not self.numbers and not self.texts:
            raise ValueError("name the columns to learn from; write numbers: [...] or texts: [...]")
        repeated = sorted({name for name in used if used.count(name) > 1})
        if repeated:
            raise ValueError(
                f"use each column once; {', '.join(repeated)} stands there twice, which would leak "
                "it"
            )
        if (self.label is None) != (not self.labels):
            raise ValueError("give label and labels together; name the column and its classes")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(
                f"labels ({', '.join(self.labels)}) must be names that differ; remove the repeated "
                "one"
            )
        return self

    @model_validator(mode="after")
    def _check_names(self) -> "TableSpec":
        describe_style(self.time, self.time_format, self.time_zone)
        fields = name_text_fields(self)
        used = list(fields.values())
        repeated = [name for name, field in fields.items() if used.count(field) > 1]
        if repeated:
            raise ValueError(
                f"texts ({', '.join(repeated)}) must become fields of different names; got "
                f"{', '.join(sorted(set(used)))}; rename a column"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        single = (self.label, self.target_column)
        return (
            *self.numbers,
            *self.texts,
            *self.metadata,
            *(name for name in single if name is not None),
            *list_time_columns(self.time),
        )


class TableForm(Form):
    """Rows of columns; a value may be missing, a label or a target may not."""

    name = "table"
    spec: ClassVar[type[RowsSpec]] = TableSpec

    def read_arrays(
        self, values: NDArray[Any], targets: NDArray[Any], data: RowsSpec | None, where: str
    ) -> tuple[Rows, Columns]:
        """Makes `numbers` of values (N, columns), in the order of the data section."""
        names = data.numbers if data is not None else ()
        if values.shape[1:] != (len(names),):
            raise SourceError(
                f"source ({where}) must hold rows of {len(names)} numbers, as the data section "
                f"names them; got shape {values.shape[1:]}; name each column in data.numbers"
            )
        missing = find_missing(data.missing if data is not None else ())
        given = values.astype(np.float64)
        numbers, valid = mask_numbers(given, ~np.isnan(given), missing)
        rows: Rows = {NUMBERS: numbers, NUMBERS + VALID_SUFFIX: valid}
        asked = data is not None and (data.label is not None or data.target is not None)
        rows |= place_targets(targets, data) if asked else {}
        return rows, {NUMBERS: names, NUMBERS + VALID_SUFFIX: names}

    def find_invalid(self, rows: Rows, data: RowsSpec) -> tuple[Mask, Mask]:
        """Marks rows without a time, and rows without a label or target to learn from.

        Missing features stay: the head fills them in.
        """
        invalid = ~find_valid(rows, LABEL) | ~find_valid(rows, TARGET)
        if data.label is not None:
            invalid |= (rows[LABEL] < 0) | (rows[LABEL] >= len(data.labels))
        if data.target is not None:
            invalid |= ~np.isfinite(rows[TARGET])
        return ~find_valid(rows, TIME), invalid

    def measure_features(self, rows: Rows) -> Moments:
        """Measures the valid values of each column of numbers."""
        if NUMBERS not in rows:
            return Moments()
        return measure_columns(rows[NUMBERS], rows[NUMBERS + VALID_SUFFIX])
