"""Small MLPs for tables side by side, over features that may be read in waves."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """One linear layer a member, all in one product; initialised as torch does its own."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, rows: Tensor) -> Tensor:
        """Turns (members, N, inputs) into (members, N, outputs)."""
        return torch.matmul(rows, self.weight) + self.bias


class Waves(nn.Module):
    """Reads each feature through sines and cosines of learned frequencies, then a layer.

    After Gorishniy et al. (2022).

    Args:
        features: D.
        waves: Frequencies of a feature.
        sigma: Standard deviation of the first frequencies, in turns a unit of the feature.
        width: Outputs of a feature.
    """

    def __init__(self, features: int, waves: int, sigma: float, width: int = 8) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(sigma * torch.randn(features, waves))
        self.weight = nn.Parameter(torch.randn(features, 2 * waves, width) / math.sqrt(2 * waves))
        self.bias = nn.Parameter(torch.zeros(features, 1, width))

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, D) into (N, D * width)."""
        angle = 2.0 * math.pi * sample.unsqueeze(-1) * self.frequencies
        waves = torch.cat([torch.sin(angle), torch.cos(angle)], -1).transpose(0, 1)
        return torch.relu(torch.matmul(waves, self.weight) + self.bias).transpose(0, 1).flatten(1)


class TableMLP(nn.Module):
    """Small networks side by side, whose mean is the answer.

    Args:
        input_shape: (D,).
        outputs: K.
        widths: Units of each hidden layer of a member.
        dropout: Probability after each hidden layer, in [0, 1).
        members: Networks side by side, each drawn by itself.
        waves: Frequencies through which each feature is read; 0 reads features as they are.
        sigma: Spread of those frequencies.

    Raises:
        ValueError: The input is no row.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int,
        widths: Sequence[int] = (128, 128),
        dropout: float = 0.1,
        members: int = 1,
        waves: int = 0,
        sigma: float = 0.1,
    ) -> None:
        super().__init__()
        if len(input_shape) != 1:
            raise ValueError(f"the input must be a row (D,); got the shape {input_shape}")
        self.waves = Waves(input_shape[0], waves, sigma) if waves else None
        inputs = input_shape[0] * (8 if waves else 1)
        layers: list[nn.Module] = []
        for width in widths:
            layers += [MemberLinear(members, inputs, width), nn.ReLU(), nn.Dropout(dropout)]
            inputs = width
        self.hidden = nn.Sequential(*layers)
        self.last = MemberLinear(members, inputs, outputs)

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, D) float32 into (N, K) float32.

        In training it gives (members * N, K), so that each member learns by itself.
        """
        features = self.waves(sample) if self.waves is not None else sample
        answers: Tensor = self.last(self.hidden(features.unsqueeze(0)))
        return answers.flatten(0, 1) if self.training else answers.mean(0)
