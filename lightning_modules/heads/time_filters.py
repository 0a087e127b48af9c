"""Filters over time inside the head.

The ends of a window are held, since nothing beyond them is known.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.specs.model import DenoiseSpec


class Denoiser(nn.Module):
    """Takes a moving weighted mean or median of each channel.

    Args:
        spec: Which one.

    Attributes:
        weights: Buffer (steps,) float32 of the weighted mean; empty for the median.
    """

    weights: Tensor

    def __init__(self, spec: DenoiseSpec) -> None:
        super().__init__()
        self.steps = spec.steps
        self.median = spec.name == "median"
        self.register_buffer("weights", torch.tensor(compute_weights(spec), dtype=torch.float32))

    def forward(self, values: Tensor) -> Tensor:
        """Filters (N, L, C) float32."""
        reach, length = self.steps // 2, values.shape[1]
        first, last = values[:, :1].expand(-1, reach, -1), values[:, -1:].expand(-1, reach, -1)
        padded = torch.cat([first, values, last], 1)
        shifted = torch.stack(
            [padded[:, start : start + length] for start in range(self.steps)], -1
        )
        if self.median:
            return torch.sort(shifted, -1).values[..., reach]
        return (shifted * self.weights).sum(-1)


def compute_weights(spec: DenoiseSpec) -> NDArray[np.float64]:
    """Returns the weights of a neighbourhood, (steps,), that sum to 1; none for the median."""
    if spec.name == "median":
        return np.empty(0)
    places = np.arange(spec.steps) - spec.steps // 2
    if spec.name == "gaussian":
        weights = np.exp(-0.5 * (places / spec.sigma) ** 2)
        return np.asarray(weights / weights.sum())
    # Value at the centre of the polynomial of least squares through the neighbourhood.
    powers = places[:, None] ** np.arange(spec.degree + 1)
    return np.asarray(np.linalg.pinv(powers)[0])
