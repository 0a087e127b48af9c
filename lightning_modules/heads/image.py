"""The head of images: everything that changes a value, trained and exported with the network.

There is one implementation, so that training, evaluation, edge and cloud cannot differ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from lightning_modules.errors import SpecError
from lightning_modules.heads.base import FormHead
from lightning_modules.heads.mirror import MirrorMean
from lightning_modules.specs.model import HeadSpec
from lightning_modules.specs.samples import ImageSample, drop_rounding

MOST_SIDE = 16
"""Pixels of an edge of what baselines look at."""


class ImageFormHead(FormHead[ImageSample]):
    """Builds heads of images, (C, H, W)."""

    compares_neighbours = True

    def build_head(self, spec: HeadSpec, sample: ImageSample) -> nn.Module:
        """Returns the head that normalises each channel."""
        return fit_image_head(
            spec.normalise,
            sample.shape[0],
            mean=sample.mean,
            std=sample.std,
            value_range=sample.value_range,
        )

    def measure_features(
        self, head: nn.Module, spec: HeadSpec, sample: ImageSample
    ) -> tuple[int, ...]:
        """Returns (C, H, W): the head changes no shape."""
        del head, spec
        return sample.shape

    def wrap_network(
        self,
        network: nn.Module,
        spec: HeadSpec,
        sample: ImageSample,
        *,
        restores: bool,
        once: bool = False,
    ) -> nn.Module:
        """Returns the network, asked about the mirror image too if the recipe says so."""
        del sample, restores, once
        return MirrorMean(network) if spec.mirror else network

    def make_raw(self, sample: ImageSample, rows: int, draw: np.random.Generator) -> NDArray[Any]:
        """Returns images of noise within the value range."""
        low, high = sample.value_range
        pixels = low + (high - low) * draw.random((rows, *sample.shape))
        return np.asarray(pixels.astype(sample.dtype))

    def flatten_features(self, sample: ImageSample, raw: NDArray[Any]) -> NDArray[np.float64]:
        """Returns pixels (N, features), in standard deviations: means of at most 16 x 16 areas."""
        head = self.build_head(HeadSpec(), sample)
        height, width = (-(-side // -(-side // MOST_SIDE)) for side in raw.shape[2:])
        with torch.inference_mode():
            pixels = torch.nan_to_num(head(torch.tensor(raw)))
            return adaptive_avg_pool2d(pixels, (height, width)).flatten(1).double().numpy()


class ImageHead(nn.Module):
    """Normalises raw images: `(x - offset) * gain`, channel by channel.

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
    """Returns the head that a recipe asks for, from statistics of the training split.

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
                f"{low}; correct data.image.value_range"
            )
        return ImageHead([low] * channels, [1.0 / (high - low)] * channels)
    means, stds = _spread(mean, channels), _spread(std, channels)
    spreads = map(drop_rounding, means, stds)
    return ImageHead(means, [1.0 / (spread or 1.0) for spread in spreads])


def _spread(values: Sequence[float], channels: int) -> list[float]:
    if len(values) not in (1, channels):
        raise SpecError(
            f"fitted statistics must be one value, or one a channel ({channels}); got "
            f"{len(values)}; prepare the data set again"
        )
    return list(values) * (channels // len(values))
