"""The head: everything that changes a value, trained with the network and exported with it.

There is one implementation, so that training, evaluation, edge and cloud cannot differ (DESIGN
section 3).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lightning_modules.errors import SpecError


class ImageHead(nn.Module):
    """Raw images to normalised ones: `(x - offset) * gain`, channel by channel.

    Attributes:
        offset: Buffer (C, 1, 1) float32, in units of the raw values.
        gain: Buffer (C, 1, 1) float32, 1 / unit of the raw values.
    """

    offset: Tensor
    gain: Tensor

    def __init__(self, offset: Sequence[float], gain: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32).reshape(-1, 1, 1))
        self.register_buffer("gain", torch.tensor(gain, dtype=torch.float32).reshape(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Normalises a batch.

        Args:
            image: (N, C, H, W), uint8 or float32, raw values.

        Returns:
            (N, C, H, W) float32.
        """
        return (image.to(torch.float32) - self.offset) * self.gain


def fit_image_head(
    normalise: str,
    channels: int,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    value_range: tuple[float, float],
) -> ImageHead:
    """The head that a recipe asks for, from statistics of the training split.

    Args:
        normalise: "standard", "range" or "none", as in `HeadSpec`.
        channels: C.
        mean: Of each channel, or one for all, in units of the raw values.
        std: Standard deviations, likewise. A channel that never varies is only centred.
        value_range: Smallest and largest raw value.

    Raises:
        SpecError: The statistics do not fit the channels, or the value range is empty.
    """
    if normalise == "none":
        return ImageHead([0.0] * channels, [1.0] * channels)
    if normalise == "range":
        low, high = value_range
        if not high > low:
            raise SpecError(
                f"value range ([{low}, {high}]) must have its end above its start; got {high} <= "
                f"{low}; "
                "correct data.image.value_range"
            )
        return ImageHead([low] * channels, [1.0 / (high - low)] * channels)
    means, stds = _spread(mean, channels), _spread(std, channels)
    return ImageHead(means, [1.0 / value if value > 0 else 1.0 for value in stds])


def _spread(values: Sequence[float], channels: int) -> list[float]:
    if len(values) not in (1, channels):
        raise SpecError(
            f"fitted statistics must be one value, or one a channel ({channels}); got "
            f"{len(values)}; prepare the data "
            "set again"
        )
    return list(values) * (channels // len(values))
