"""What a recipe says about its rows: which fields there are, which labels, and how rows are chosen and split."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ImageDtype = Literal["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]
DEFAULT_SHARD_BYTES = 8 * 2**20
IMPORT_PATH = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class ImageField(BaseModel):
    """Images as they are stored: raw values in their native dtype.

    Attributes:
        shape: Channels, height, width.
        dtype: Type of a value.
        value_range: Smallest and largest value that can occur, in the source's own unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: tuple[int, int, int]
    dtype: ImageDtype = "uint8"
    value_range: tuple[float, float] = (0, 255)

    @field_validator("shape")
    @classmethod
    def _reject_empty(cls, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(shape) < 1:
            raise ValueError(
                "be three positive numbers: channels, height, width; write as [1, 28, 28]"
            )
        return shape

    @field_validator("value_range")
    @classmethod
    def _reject_backwards(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if not limits[0] < limits[1]:
            raise ValueError("be the smallest and then the largest value; write as [0, 255]")
        return limits


class SplitSpec(BaseModel):
    """How rows come to be for training, for choosing, and for the one final measurement.

    Attributes:
        by: `hash`: by the row's content, so that equal rows are always on the same side; `source`:
            as the source gives it; `group`: all rows of one value of `field` on the same side;
            `entity`: the same for the entities of series; `time`: the last rows by `field` are held
            out, those before them validate.
        held_out: Fraction of all rows that is held out; None where the source gives it, or
            `held_out_from` does.
        validation: Fraction of the rows that are not held out on which candidates are chosen. Not
            carved where the source gives validation rows, or `validation_from` does.
        field: Field that `group` and `time` go by.
        validation_from: First time that validates (ISO 8601, or a number), for `time`.
        held_out_from: First time that is held out.
        end: First time that is left out altogether.
        seed: Another seed, another split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: Literal["hash", "source", "group", "entity", "time"] = "hash"
    held_out: float | None = Field(default=None, gt=0, lt=1)
    validation: float = Field(default=0.1, ge=0, lt=1)
    field: str | None = None
    validation_from: str | float | None = None
    held_out_from: str | float | None = None
    end: str | float | None = None
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_rule(self) -> "SplitSpec":
        given = self.held_out is not None
        timed = {
            name
            for name in ("validation_from", "held_out_from", "end")
            if getattr(self, name) is not None
        }
        if self.by == "source" and given:
            raise ValueError(
                "leave held_out out where the source gives it; remove held_out, or write by: hash"
            )
        if self.by != "time" and timed:
            raise ValueError(
                f"have {', '.join(sorted(timed))} only with by: time; remove them, or write by: "
                "time"
            )
        if self.by != "source" and given == (self.held_out_from is not None):
            raise ValueError(
                f"say once how much is held out with by: {self.by}; write held_out: 0.2, or by: "
                "source"
            )
        if self.by == "group" and self.field is None:
            raise ValueError("name a field with by: group; write as field: patient")
        return self


class Condition(BaseModel):
    """A rule that a row must meet to be kept, as `{field: speed, at_least: 0}`.

    Attributes:
        field: A field of one number or text a row.
        at_least: Smallest value that is kept.
        at_most: Largest value that is kept.
        one_of: The only values that are kept.
        none_of: Values that are dropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    field: str
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str | float, ...] | None = None
    none_of: tuple[str | float, ...] | None = None

    @model_validator(mode="after")
    def _reject_empty(self) -> "Condition":
        if all(
            getattr(self, rule) is None for rule in ("at_least", "at_most", "one_of", "none_of")
        ):
            raise ValueError("state a limit; write at_least, at_most, one_of or none_of")
        return self


class RowsSpec(BaseModel):
    """What the data sections of all kinds have in common.

    Attributes:
        split: How rows are split.
        deduplicate: Keep only the first of rows with equal content inside a split.
        filter: Conditions that every kept row meets.
        transform: A function of your own, `package.module:function`, from rows to rows. It gets and
            gives a dict of arrays that share axis 0, and is applied once, when rows are prepared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    split: SplitSpec = SplitSpec(by="hash", held_out=0.2)
    deduplicate: bool = True
    filter: tuple[Condition, ...] = ()
    transform: str | None = Field(default=None, pattern=IMPORT_PATH)


class DataSpec(RowsSpec):
    """Labelled images.

    Attributes:
        kind: What the rows are.
        image: What an image is.
        labels: Names of the classes; class i has label i. Of folders of pictures their own names.
    """

    kind: Literal["image"] = "image"
    image: ImageField
    labels: tuple[str, ...] = Field(min_length=2)

    @field_validator("labels")
    @classmethod
    def _reject_repeated(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) != len(labels):
            raise ValueError("be names that differ; remove the repeated one")
        return labels


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


class SeriesSpec(TableSpec):
    """Series: rows with a time, of one entity or many, kept in order; windows are cut while streaming.

    Attributes:
        entity: Column that tells the entities apart; None where there is one. Kept as `series_id`,
            int64.
    """

    kind: Literal["series"] = "series"
    entity: str | None = None

    @model_validator(mode="after")
    def _check_time(self) -> "SeriesSpec":
        if self.time is None:
            raise ValueError("name the column of the time with kind: series; write as time: date")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read."""
        return (*super().columns, *((self.entity,) if self.entity is not None else ()))
