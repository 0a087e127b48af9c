"""What a recipe says of rows of any form: how they are split, and which are kept."""

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from storage.base.documents import leave_out_defaults
from storage.base.redaction import redact
from storage.base.time_styles import TimeStyle, check_style

CUTOFFS = ("validation_from", "held_out_from", "end")
"""Keys of a split that may be times."""


class SplitSpec(BaseModel):
    """How rows come to be for training, for choosing, and for the one final measurement."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    by: Literal["hash", "source", "group", "entity", "time"] = "hash"
    """`hash`: by the row's content, so that equal rows are always on the same side; `source`: as
    the source gives it; `group`: all rows of one value of `field` on the same side; `entity`: the
    same for the entities of series; `time`: the last rows by `field` are held out, those before
    them validate."""
    held_out: float | None = Field(default=None, gt=0, lt=1)
    """Fraction of all rows that is held out; None where the source gives it, or `held_out_from`
    does."""
    validation: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the rows that are not held out on which candidates are chosen. Not carved where
    the source gives validation rows, or `validation_from` does."""
    field: str | None = None
    """Field that `group` and `time` go by; of `source`, what stays together where validation rows
    are carved from training: without it entities of series, and rows of all else."""
    validation_from: str | float | None = None
    """First time that validates (ISO 8601, or a number), for `time`."""
    held_out_from: str | float | None = None
    """First time that is held out."""
    end: str | float | None = None
    """First time that is left out altogether."""
    time_zone: str | None = None
    """Zone whose clocks say these times, as `Europe/Berlin`, where they do not say their offset;
    None for UTC."""
    seed: int = Field(default=0, ge=0)
    """Another seed, another split."""

    @model_serializer(mode="wrap")
    def _leave_out_zone(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave a later key out that says nothing: data sets keep their digests."""
        first = type(self).model_fields.keys() - {"time_zone"}
        return leave_out_defaults(self, handler(self), first)

    @model_validator(mode="after")
    def _check_rule(self) -> "SplitSpec":
        given = self.held_out is not None
        timed = {name for name in CUTOFFS if getattr(self, name) is not None}
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
        if self.time_zone is not None:
            self._check_zone()
        return self

    def _check_zone(self) -> None:
        texts = {name: text for name in CUTOFFS if isinstance(text := getattr(self, name), str)}
        if not texts:
            raise ValueError(
                f"time_zone ({redact(str(self.time_zone))}) must go with a time that it says; "
                "write as held_out_from: 2024-03-01, or remove it"
            )
        check_style(None, self.time_zone)
        for name, text in texts.items():
            if why := TimeStyle(None, self.time_zone).explain(text):
                raise ValueError(f"{name} ({redact(text)}) must be one time; it is {why}")


class Condition(BaseModel):
    """A rule that a row must meet to be kept, as `{field: speed, at_least: 0}`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    field: str
    """A field of one number or text a row."""
    at_least: float | None = None
    """Smallest value that is kept."""
    at_most: float | None = None
    """Largest value that is kept."""
    one_of: tuple[str | float, ...] | None = None
    """The only values that are kept."""
    none_of: tuple[str | float, ...] | None = None
    """Values that are dropped."""

    @model_validator(mode="after")
    def _reject_empty(self) -> "Condition":
        if all(
            getattr(self, rule) is None for rule in ("at_least", "at_most", "one_of", "none_of")
        ):
            raise ValueError("state a limit; write at_least, at_most, one_of or none_of")
        if fault := self._find_contradiction():
            raise ValueError(f"be something that a row can meet, not {fault}; mend it")
        return self

    def _find_contradiction(self) -> str | None:
        """Return why no row could meet the condition, or every row would."""
        least, most = self.at_least, self.at_most
        if least is not None and most is not None and least > most:
            return f"at_least {least} above at_most {most}"
        for name in ("one_of", "none_of"):
            if getattr(self, name) == ():
                return f"an empty {name}"
        if self.one_of is None:
            return None
        left = [each for each in self.one_of if each not in (self.none_of or ())]
        if (least, most) != (None, None) and any(isinstance(each, str) for each in left):
            return "texts in one_of beside limits of numbers"
        if not any(
            isinstance(each, str)
            or ((least is None or each >= least) and (most is None or each <= most))
            for each in left
        ):
            return "a one_of of which nothing is left"
        return None
