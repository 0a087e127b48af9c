"""A column of a model card: how a file's values become numbers of a sample."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from storage.base.documents import leave_out_defaults
from storage.base.time_styles import TimeStyle

_FIRST_KEYS = frozenset({"name", "vocabulary", "is_time", "time_format"})
"""What every card says of a column; what came later stands there only where it says something."""


class ColumnSpec(BaseModel):
    """A column of a row or of a window's rows.

    Attributes:
        name: Its name in files.
        vocabulary: Texts of a column of categories, which stand in a sample as their places here;
            empty for numbers.
        hashed: Whether the vocabulary names buckets, of which each text has the one that its hash
            says.
        is_time: Whether it is the time, which stands in a sample in seconds since 1970 (UTC).
        time_format: Format of the time in files after C's strptime, or a unit since 1970, as
            `epoch_ms`; None for ISO 8601.
        time_zone: Zone whose clocks say the time in files; None for UTC.
        time_step_ns: Nanoseconds of a step where the time is a count of steps; 0 where it is none.
        time_start_ns: When step 0 was, in nanoseconds since 1970.
        parts: Columns of files that tell the time together; empty where one does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    vocabulary: tuple[str, ...] = ()
    is_time: bool = False
    time_format: str | None = None
    time_zone: str | None = None
    time_step_ns: Annotated[int, Field(ge=0)] = 0
    time_start_ns: int = 0
    parts: tuple[str, ...] = ()
    hashed: bool = False

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later keys that say nothing, so that older devices read the card."""
        return leave_out_defaults(self, handler(self), _FIRST_KEYS)

    @property
    def time_style(self) -> TimeStyle:
        """How the time is told in files."""
        return TimeStyle(self.time_format, self.time_zone, self.time_step_ns, self.time_start_ns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of files that it is read of."""
        return self.parts or (self.name,)
