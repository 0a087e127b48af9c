"""What a recipe says of pairs, and of the objective to name the larger side of each: no torch."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lightning_modules.specs.families import LinearParams
from lightning_modules.specs.forms import FORMS, SampleForm
from lightning_modules.specs.objectives import OBJECTIVES, FigureSpec, ObjectiveSpec, Outputs
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


def compute_ordered(answers: NDArray[Any], truth: NDArray[Any], sample: Sample) -> float:
    """Returns the share of pairs of which the larger side is named."""
    return float(np.mean((answers > 0) == truth))


ORDERED = FigureSpec("ordered", compute_ordered)


class OrderSpec(ObjectiveSpec):
    """To name the larger side of a pair."""

    name = "order"
    losses = ("margin",)
    headline = "ordered"
    watched = ORDERED
    watched_as = select_by = "ordered"
    asks = "label"
    outputs: Mapping[str, str] = {"label": "int64", "margin": "float32"}

    def list_figures(self, classes: int) -> tuple[FigureSpec, ...]:
        """Returns the share of pairs in the right order."""
        return (ORDERED,)

    def shape_output(self, sample: Sample) -> Outputs | None:
        """Returns 1, the margin."""
        return 1


FORMS.register("pairs", SampleForm("pairs", PairSample, "pair", {"linear": LinearParams}))
OBJECTIVES.register("order", OrderSpec())
