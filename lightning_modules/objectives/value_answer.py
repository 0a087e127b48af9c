"""Answers that are numbers in the source's units."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_modules.objectives.base import Answer, Judged
from lightning_modules.objectives.losses import Loss
from lightning_modules.specs.objectives import ObjectiveSpec


class ValueAnswer(Answer):
    """Turns standardised values into values in the source's units.

    Args:
        spec: The objective.
        loss: What is minimised, on standardised values.
        mean: Of each value over the training rows.
        std: Its standard deviation.
        standard: Whether the watched error stays in standard deviations.
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self,
        spec: ObjectiveSpec,
        loss: Loss,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        standard: bool,
    ) -> None:
        super().__init__(spec)
        self.loss = loss
        self.standard = standard
        self.register_buffer("offset", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(std, dtype=torch.float64))

    def forward(self, output: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Returns values (N,) or (N, H, T) float32."""
        del features
        values = (output.to(torch.float64) * self.scale + self.offset).to(torch.float32)
        return (values if values.ndim == 3 else values.squeeze(1),)

    def aim(self, truth: Tensor) -> Tensor:
        """Returns values in standard deviations of the training rows, NaN where there is none."""
        return ((truth - self.offset) / self.scale).to(torch.float32)

    def judge(self, output: Tensor, features: Tensor, truth: Tensor) -> Judged:
        """Returns the loss over the values that there are, their absolute error, and the rows."""
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
        """Returns the difference in standard deviations of the training rows."""
        return (found - wanted).abs() / self.scale

    def measure_loss(self, found: Tensor, truth: Tensor) -> float | None:
        """Returns the mean absolute error of what has a truth, in standard deviations.

        None where nothing has.
        """
        known = ~torch.isnan(truth)
        error = self.compute_difference(found.double(), truth)[known]
        return float(error.mean()) if len(error) else None
