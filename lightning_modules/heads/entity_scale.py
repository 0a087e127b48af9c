"""Numbers by the measure of the entity whose they are (as in DeepAR; Salinas et al., 2020)."""

import torch
from torch import Tensor, nn

from lightning_modules.heads.categories import look_up
from lightning_modules.specs.samples import ROUNDING, RowSample

"""Deviation, as a share of the mean, that equal numbers may have by rounding alone."""


class EntityScale(nn.Module):
    """Brings standardised numbers to the mean and deviation of their entity's training rows.

    Those of an unknown entity stay as they are: by the mean and deviation of all training rows.

    Args:
        sample: What was fitted on the training rows.

    Attributes:
        measures: Buffer (entities, 2 * numbers) float64: how far each entity's mean lies from that
            of all rows, in standard deviations of these, and the logarithm of how many of them its
            own deviation is.
    """

    measures: Tensor

    def __init__(self, sample: RowSample) -> None:
        super().__init__()
        columns = sample.numbers
        self.numbers, self.forecast = len(columns), sample.forecast
        self.place = next(n for n, column in enumerate(sample.categories) if column.entity)
        mean = torch.tensor([column.mean for column in columns], dtype=torch.float64)
        std = torch.tensor([column.spread or 1.0 for column in columns], dtype=torch.float64)
        own = [
            torch.tensor([getattr(column, name) for column in columns], dtype=torch.float64).t()
            for name in ("entity_mean", "entity_std")
        ]
        # What never varies in an entity, but for how its mean is rounded, is only centred.
        varies = own[1] > ROUNDING * own[0].abs()
        spread = torch.where(varies, own[1] / std, torch.ones_like(own[1]))
        self.register_buffer("measures", torch.cat([(own[0] - mean) / std, spread.log()], 1))

    def forward(self, values: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Scales numbers.

        Args:
            values: (N, L, numbers) float64 in standard deviations of all rows.
            codes: (N, L, categories) float64, places in vocabularies.

        Returns:
            (N, L, numbers) float64 in the entity's own, and (N, L, 2 * forecast) float32: level and
            scale of the columns that are forecast.
        """
        found = look_up(codes[..., self.place : self.place + 1], self.measures)
        level, scale = found[..., : self.numbers], torch.exp(found[..., self.numbers :])
        told = torch.cat([level[..., : self.forecast], scale[..., : self.forecast]], -1)
        return (values - level) / scale, told.to(torch.float32)


class EntityScaled(nn.Module):
    """Gives a forecast the level and scale of its entity back.

    Args:
        network: (N, L, C) to (N, Q * H, T), in the entity's own measure.
        last: Number of the last step of the past, whose entity counts.
        start: Place of the first feature that tells level, then scale, of T columns.
        forecast: T.
    """

    def __init__(self, network: nn.Module, last: int, start: int, forecast: int) -> None:
        super().__init__()
        self.network = network
        self.last, self.start, self.forecast = last, start, forecast

    def forward(self, features: Tensor) -> Tensor:
        """Turns (N, L, C) float32 into (N, Q * H, T) float32."""
        level, scale = self.measure(features)
        answer: Tensor = self.network(features)
        return answer * scale + level

    def measure(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Returns level and scale of each window, (N, 1, T)."""
        told = features[:, self.last : self.last + 1, self.start :]
        return told[..., : self.forecast], told[..., self.forecast : 2 * self.forecast]
