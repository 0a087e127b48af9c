"""Linear networks: one layer over the flattened sample, and trend and remainder by themselves."""

from math import prod

import torch
from torch import Tensor, nn

from lightning_modules.networks.channels import check_series, per_channel


class Linear(nn.Module):
    """One linear layer; of a forecast, each channel by itself with the same weights.

    Args:
        input_shape: (D,) or (L, C).
        outputs: K, or (H, T).
    """

    def __init__(self, *, input_shape: tuple[int, ...], outputs: int | tuple[int, ...]) -> None:
        super().__init__()
        self.channels = outputs[1] if isinstance(outputs, tuple) else 0
        if isinstance(outputs, tuple):
            self.layer = nn.Linear(input_shape[0], outputs[0])
        else:
            self.layer = nn.Linear(prod(input_shape), outputs)

    def forward(self, sample: Tensor) -> Tensor:
        """Turns (N, D) or (N, L, C) float32 into (N, K) or (N, H, T) float32."""
        if self.channels:
            return per_channel(self.follow, sample, self.channels)
        answer: Tensor = self.layer(sample.flatten(1))
        return answer

    def follow(self, past: Tensor) -> Tensor:
        """Turns a channel's past (..., L) into its future (..., H)."""
        future: Tensor = self.layer(past)
        return future


class DLinear(nn.Module):
    """Maps a moving average and what remains linearly, each channel by itself.

    After Zeng et al. (2023).

    Args:
        input_shape: (L, C).
        outputs: K, or (H, T).
        kernel: Steps of the moving average, odd.

    Raises:
        ValueError: The input is no window, or the moving average is longer than it.
    """

    averager: Tensor

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        outputs: int | tuple[int, ...],
        kernel: int | None = None,
    ) -> None:
        super().__init__()
        lookback, channels = check_series(input_shape)
        kernel = kernel if kernel is not None else 25
        if kernel > lookback:
            raise ValueError(
                f"kernel must be at most the lookback of {lookback} steps; got {kernel}"
            )
        self.forecasts = isinstance(outputs, tuple)
        self.channels = outputs[1] if isinstance(outputs, tuple) else channels
        inputs = lookback if self.forecasts else lookback * channels
        answers = outputs[0] if isinstance(outputs, tuple) else outputs
        self.register_buffer("averager", make_averager(lookback, kernel))
        self.trend, self.remainder = nn.Linear(inputs, answers), nn.Linear(inputs, answers)

    def forward(self, window: Tensor) -> Tensor:
        """Turns (N, L, C) float32 into (N, H, T), or (N, K)."""
        values = window[..., : self.channels].transpose(1, 2)
        trend = values @ self.averager
        remainder = values - trend
        if self.forecasts:
            forecast: Tensor = self.trend(trend) + self.remainder(remainder)
            return forecast.transpose(1, 2)
        answer: Tensor = self.trend(trend.flatten(1)) + self.remainder(remainder.flatten(1))
        return answer


def make_averager(lookback: int, kernel: int) -> Tensor:
    """Returns the (L, L) matrix that a window (N, C, L) is multiplied with from the right.

    The ends are held.
    """
    places = torch.arange(lookback)[:, None] + torch.arange(kernel)[None, :] - kernel // 2
    matrix = torch.zeros(lookback, lookback)
    for column, sources in enumerate(places.clamp(0, lookback - 1)):
        matrix[:, column] = torch.bincount(sources, minlength=lookback) / kernel
    return matrix
