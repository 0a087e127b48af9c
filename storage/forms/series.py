"""Series: the data section of a recipe whose rows have a time, and are kept in order."""

from typing import Literal

from pydantic import model_validator

from storage.forms.table import TableSpec


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
