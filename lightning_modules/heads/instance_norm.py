"""Networks that see each window by its own mean and deviation."""

import torch
from torch import Tensor, nn


class InstanceNormalised(nn.Module):
    """Normalises each window of numbers by itself, and gives its level back to what is forecast.

    Reversible instance normalisation (Kim et al., 2022), without its learned scale.

    Args:
        network: (N, L, C) to (N, H, T), or to anything else where nothing is forecast.
        numbers: Channels, from the first on, that are normalised.
        forecast: Channels, from the first on, that are given back their level and scale; 0 for
            none.
        lookback: Steps, from the first on, by which a window is measured; None for all.
    """

    EPSILON = 1e-5

    def __init__(
        self, network: nn.Module, numbers: int, forecast: int, lookback: int | None = None
    ) -> None:
        super().__init__()
        self.lookback = lookback
        self.network = network
        self.numbers = numbers
        self.forecast = forecast

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, L, C) float32 into what the network gives."""
        normalised, level, scale = self.normalise(features)
        answer: Tensor = self.network(normalised)
        if not self.forecast:
            return answer
        given = answer[..., : self.forecast]
        restored = given * scale[..., : self.forecast] + level[..., : self.forecast]
        # What gives its input back has other features behind, such as the time of day.
        others = answer[..., self.forecast :]
        return torch.cat([restored, others], -1) if others.shape[-1] else restored

    def normalise(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns windows by their own measure, and the level and scale (N, 1, numbers) of each."""
        values = features[..., : self.numbers]
        past = values[:, : self.lookback]
        level = past.mean(1, keepdim=True)
        scale = torch.sqrt((past - level).square().mean(1, keepdim=True) + self.EPSILON)
        normalised = torch.cat([(values - level) / scale, features[..., self.numbers :]], -1)
        return normalised, level, scale
