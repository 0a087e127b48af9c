"""Pairs as samples of networks, and the objective to name the larger side of each."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.heads.base import FormHead
from lightning_modules.heads.registry import HEADS
from lightning_modules.networks.linear import Linear
from lightning_modules.networks.registry import NETWORKS
from lightning_modules.objectives.base import Answer, Baseline, Batches, Judged, Objective
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.families import LinearParams
from lightning_modules.specs.forms import FORMS, SampleForm
from lightning_modules.specs.model import HeadSpec, ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES as SPECS
from lightning_modules.specs.objectives import FigureSpec, ObjectiveSpec, Outputs
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import LossSpec


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


class OrderAnswer(Answer):
    """Turns margins (N, 1) into the larger side and the margin."""

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns the side (N,) int64 and the margin (N,) float32."""
        margin = output.squeeze(1)
        return (margin > 0).to(torch.int64), margin

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns the loss, the pairs in the right order, and the pairs."""
        margin = output.squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(margin, truth.float())
        return loss, ((margin.detach() > 0) == truth).sum(), len(truth)

    def find_agreeing(self, found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> Tensor:
        """Returns where the sides are the same."""
        return found[0] == wanted[0]


class OrderObjective(Objective):
    """Names the larger side, better than always the right one does."""

    name = "order"

    def build_answer(self, model: ModelSpec, sample: Sample, loss: LossSpec) -> Answer:
        """Returns side and margin."""
        return OrderAnswer(self.spec)

    def make_truth(self, sample: Sample, rows: int, draw: np.random.Generator) -> Tensor:
        """Returns both sides in turn."""
        return torch.arange(rows) % 2

    def fit_baselines(self, sample: Sample, train: Callable[[], Batches]) -> dict[str, Baseline]:
        """Returns what always names the right side."""
        return {"right": Baseline(lambda batch: np.ones(len(batch.row_id)), reads=False)}


class Difference(nn.Module):
    """The right side less the left one."""

    def forward(self, pairs: Tensor) -> Tensor:
        """(N, 2, size) to (N, size)."""
        return pairs[:, 1] - pairs[:, 0]


class PairHead(FormHead[PairSample]):
    """Builds heads of pairs."""

    has_features = False

    def build_head(self, spec: HeadSpec, sample: PairSample) -> nn.Module:
        """Returns the difference of both sides."""
        return Difference()

    def measure_features(
        self, head: nn.Module, spec: HeadSpec, sample: PairSample
    ) -> tuple[int, ...]:
        """Returns the size of a vector."""
        return (sample.size,)

    def make_raw(self, sample: PairSample, rows: int, draw: np.random.Generator) -> NDArray[Any]:
        """Returns pairs of noise."""
        return draw.standard_normal((rows, *sample.shape)).astype(np.float32)


FORMS.register("pairs", SampleForm("pairs", PairSample, "pair", {"linear": LinearParams}))
SPECS.register("order", OrderSpec())
HEADS.register("pairs", PairHead())
NETWORKS.register("pairs", {"linear": Linear})
OBJECTIVES.register("order", OrderObjective())
