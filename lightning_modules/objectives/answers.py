"""What a network's output means: its loss, its figure, and the answer in the user's units that is exported with it.

One module a task; fitted values (units, thresholds) are its buffers.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.objectives.losses import Loss, build_loss, build_value_loss
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import RowSample
from lightning_modules.specs.training import LossSpec

LABEL, PROBABILITIES, VALUES, SCORE = "label", "probabilities", "values", "score"
Judged = tuple[Tensor, Tensor, int]


class Answer(nn.Module, ABC):
    """Base of all answers.

    Attributes:
        names: Of the exported outputs, in order; the last is the one that figures are computed
            from.
        figure: What is watched beside the loss: "accuracy" or "error".
        metric: The metric that this figure is.
    """

    names: tuple[str, ...] = ()
    figure = "error"
    metric = "mae"

    @abstractmethod
    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """The exported outputs of a batch.

        Args:
            output: What the network gives.
            features: What the head gives.
        """

    @abstractmethod
    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Mean loss of a batch, its figure summed over the rows, and the number of rows."""

    def compute_difference(self, found: Tensor, wanted: Tensor) -> Tensor:
        """How far two last outputs of the same rows are apart, value by value, on a scale on which 1 is much."""
        return (found - wanted).abs()


class ClassAnswer(Answer):
    """Logits (N, K) to the label and the probabilities.

    Args:
        loss: What is minimised.
    """

    names = (LABEL, PROBABILITIES)
    figure = metric = "accuracy"

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Label (N,) int64 and probabilities (N, K) float32."""
        del features
        return output.argmax(1), torch.softmax(output, 1)

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Loss, rows answered right, rows."""
        del features
        return self.loss(output, truth), (output.detach().argmax(1) == truth).sum(), len(truth)


class ValueAnswer(Answer):
    """Standardised values to values in the source's units.

    Args:
        loss: What is minimised, on standardised values.
        mean: Of each value over the training rows.
        std: Its standard deviation.
        standard: Whether the watched error stays in standard deviations.
    """

    names = (VALUES,)
    offset: Tensor
    scale: Tensor

    def __init__(
        self, loss: Loss, mean: Sequence[float], std: Sequence[float], *, standard: bool
    ) -> None:
        super().__init__()
        self.loss = loss
        self.standard = standard
        self.register_buffer("offset", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(std, dtype=torch.float64))

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Values (N,) or (N, H, T) float32."""
        del features
        values = (output.to(torch.float64) * self.scale + self.offset).to(torch.float32)
        return (values if values.ndim == 3 else values.squeeze(1),)

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Loss over the values that there are, their absolute error, rows."""
        del features
        wanted = truth if truth.ndim == output.ndim else truth.unsqueeze(1)
        standard = ((wanted - self.offset) / self.scale).to(output.dtype)
        known = ~torch.isnan(standard)
        # A value that is missing is taken for answered right: it costs nothing and teaches nothing.
        standard = torch.where(known, standard, output.detach())
        error = (output.detach() - standard).abs()
        if not self.standard:
            error = error * self.scale
        share = error.sum() / known.sum().clamp(min=1)
        return self.loss(output, standard), share * len(truth), len(truth)

    def compute_difference(self, found: Tensor, wanted: Tensor) -> Tensor:
        """In standard deviations of the training rows."""
        return (found - wanted).abs() / self.scale


class ReconstructionAnswer(Answer):
    """How badly a sample was given back, and whether that is more than normal rows show.

    Attributes:
        threshold: Buffer () float32: scores above it are anomalies; fitted on normal validation
            rows.
    """

    names = (LABEL, SCORE)
    threshold: Tensor

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("threshold", torch.tensor(float("inf")))

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Label (N,) int64, 1 for an anomaly, and score (N,) float32, the mean squared error."""
        score = (output - features).square().flatten(1).mean(1)
        return (score > self.threshold).to(torch.int64), score

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Loss and absolute error over the normal rows, which alone are learned from."""
        normal = (truth == 0).reshape(-1, *[1] * (output.ndim - 1))
        wanted = torch.where(normal, features, output.detach())
        count = normal.sum().clamp(min=1)
        error = (output.detach() - wanted).abs().flatten(1).mean(1).sum() / count
        return self.loss(output, wanted) * (len(truth) / count), error * len(truth), len(truth)


def build_answer(model: ModelSpec, sample: AnySample, loss: LossSpec) -> Answer:
    """The answer that a sample's task asks for.

    Raises:
        SpecError: The loss does not suit it, or cannot be built.
    """
    if not isinstance(sample, RowSample) or sample.objective == "classes":
        return ClassAnswer(build_loss(loss, sample.class_weights))
    if sample.objective == "reconstruction":
        return ReconstructionAnswer(build_value_loss(loss))
    return ValueAnswer(
        build_value_loss(loss), *sample.scales, standard=model.figures_in == "standard"
    )
