"""Head and networks of pairs, and the objective to name the larger side of each, with torch."""

from collections.abc import Callable
from typing import Any

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
from lightning_modules.specs.model import HeadSpec, ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import LossSpec
from tests.toy_form.specs import PairSample


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


HEADS.register("pairs", PairHead())
NETWORKS.register("pairs", {"linear": Linear})
OBJECTIVES.register("order", OrderObjective())
