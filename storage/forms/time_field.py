"""How a data section names the time: a column, several that tell it together, or a count."""

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from storage.base.time_styles import TimeStyle, check_style, choose_format, read_step
from storage.base.times import read_time
from storage.base.urls import redact

COUNTED = "time"
"""What the time is called that no column tells."""


class CountedTime(BaseModel):
    """Times at even steps: of a column that counts them, or of rows as they follow each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    count: str | None = None
    """Column of numbers that count steps, such as a cycle; None where there is none: then the rows
    of each entity are counted from 0, in the order of the files."""
    step: str | float = "1s"
    """Time from one step to the next, as `10min`, `1h`, `1d`, or a number of seconds."""
    start: str = "1970-01-01"
    """Time of step 0 (ISO 8601)."""

    @field_validator("step")
    @classmethod
    def _check_step(cls, step: str | float) -> str | float:
        read_step(step)
        return step

    @field_validator("start")
    @classmethod
    def _check_start(cls, start: str) -> str:
        if read_time(start) is None:
            raise ValueError(
                f"start ({redact(start)}) must be a time as ISO 8601; write as 2024-05-01 13:00"
            )
        return start

    @model_validator(mode="after")
    def _check_given(self) -> "CountedTime":
        if not self.model_fields_set:
            raise ValueError("give count, a column; or step, where the order of the rows is all")
        return self

    @property
    def style(self) -> TimeStyle:
        """How its numbers are read."""
        return TimeStyle(step_ns=read_step(self.step), start_ns=read_time(self.start) or 0)


TimeField = str | tuple[str, ...] | CountedTime | None
"""A column, several columns, or a count."""


def list_time_columns(time: TimeField) -> tuple[str, ...]:
    """List the columns that tell the time."""
    if isinstance(time, CountedTime):
        return () if time.count is None else (time.count,)
    return (time,) if isinstance(time, str) else time or ()


def name_time(time: TimeField) -> str | None:
    """Return what the time is called: its column; its columns, joined; `time` where none tells it.

    None where rows have no time.
    """
    if time is None:
        return None
    return "+".join(list_time_columns(time)) or COUNTED


def describe_style(time: TimeField, format_: str | None, zone: str | None) -> TimeStyle:
    """Return how the times of a data section are told.

    Raises:
        ValueError: The format or the zone is not known, or says what a count does not.
    """
    check_style(format_, zone)
    if isinstance(time, CountedTime):
        if format_ is not None or zone is not None:
            raise ValueError(
                "have no time_format and no time_zone where the time is counted; remove them"
            )
        return time.style
    if isinstance(time, tuple):
        if not 2 <= len(time) <= 6:
            raise ValueError(
                "name one column of the time, or 2 to 6; write as time: [year, month, day, hour]"
            )
        format_ = format_ or choose_format(len(time))
    return TimeStyle(format_, zone)


def is_counted_by_rows(time: TimeField) -> bool:
    """Return whether nothing tells the time but the order of the rows."""
    return isinstance(time, CountedTime) and time.count is None
