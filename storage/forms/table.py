"""Tables: the data section of a recipe whose rows are named columns of numbers and text."""

from typing import Literal

from pydantic import model_validator

from storage.forms.base import RowsSpec


class TableSpec(RowsSpec):
    """Rows of a table: named columns of numbers and text.

    The columns of numbers become one field `numbers`, float64 (N, D), with a mask `numbers__valid`
    of what is missing or does not parse; each column of text becomes a text field of its own.

    Attributes:
        kind: What the rows are.
        numbers: Columns of numbers.
        texts: Columns of text, such as categories.
        label: Column of the class; its text is looked up in `labels`.
        labels: Names of the classes; class i has label i, anything else -1. Of anomaly detection
            two, what is normal first.
        target: Column of the number to be predicted.
        time: Column of the time, kept as `time`, int64 nanoseconds since 1970 (UTC).
        time_format: Format of the time after C's strptime, as `%d/%m/%Y %H:%M`; None for ISO 8601.
        missing: Texts that mean that there is no value.
    """

    kind: Literal["table", "series"] = "table"
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    label: str | None = None
    labels: tuple[str, ...] = ()
    target: str | None = None
    time: str | None = None
    time_format: str | None = None
    missing: tuple[str, ...] = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")

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

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        single = (self.label, self.target, self.time)
        return (*self.numbers, *self.texts, *(name for name in single if name is not None))
