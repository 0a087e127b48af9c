"""From which probability on the positive of two classes is answered, as a recipe says it."""

from pydantic import Field, model_validator

from lightning_modules.specs.base import Spec


class CostSpec(Spec):
    """What wrong answers cost, in any one unit."""

    missed: float = Field(gt=0)
    """Of a positive row that is not found."""
    false_alarm: float = Field(gt=0)
    """Of another row that is taken for a positive one."""


class ThresholdSpec(Spec):
    """How the threshold is chosen on the validation rows: by one of these."""

    cost: CostSpec | None = None
    """The threshold whose wrong answers cost least."""
    recall: float | None = Field(default=None, gt=0, le=1)
    """The highest threshold by which at least this share of the positive rows is found."""

    @model_validator(mode="after")
    def _check_choice(self) -> "ThresholdSpec":
        if (self.cost is None) == (self.recall is None):
            got = "neither" if self.cost is None else "both"
            raise ValueError(
                f"threshold ({got}) must be chosen by cost or by recall; got {got}; write cost: "
                "{missed: 10, false_alarm: 1}, or recall: 0.9"
            )
        return self

    def __str__(self) -> str:
        if self.cost is None:
            return f"recall {self.recall:g}"
        return f"cost {self.cost.missed:g} to {self.cost.false_alarm:g}"
