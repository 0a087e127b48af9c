"""Pairs as samples of networks, and the objective to name the larger side of each."""

from collections.abc import Mapping
from typing import Literal

from lightning_modules.specs.families import LinearParams
from lightning_modules.specs.forms import FORMS, SampleForm
from lightning_modules.specs.objectives import (
    OBJECTIVES,
    FigureSpec,
    ObjectiveSpec,
    Outputs,
)
from lightning_modules.specs.samples import Sample


class PairSample(Sample):
    """A pair of vectors, (2, size)."""

    form: Literal["pairs"] = "pairs"
    size: int
    """Numbers of a vector."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Two vectors."""
        return (2, self.size)

    @property
    def dtype(self) -> str:
        """Type of the raw values."""
        return "float32"


ORDERED = FigureSpec("ordered")


class Order(ObjectiveSpec):
    """To name the larger side of a pair."""

    name = "order"
    losses = ("margin",)
    headline = "ordered"
    watched = ORDERED
    asks = "label"
    outputs: Mapping[str, str] = {"larger": "int64", "margin": "float32"}

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        """Returns the share of pairs in the right order."""
        return (ORDERED,)

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns 1, the margin."""
        return 1


FORMS.register(
    "pairs",
    SampleForm("pairs", PairSample, input_name="pair", families={"linear": LinearParams}),
)
OBJECTIVES.register("order", Order())
