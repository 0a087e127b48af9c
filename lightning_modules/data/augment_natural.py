"""Changes natural images at random, as a pure function of (seed, epoch, row id).

The changes are crop, light and colour, and cutout.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.data.augment import UINT64, AffineAugmentation, draw_uniform
from lightning_modules.errors import SpecError
from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.samples import ImageSample

# Another stream of draws than that of the affine map, whose columns these would repeat.
SALT = 0x5EED


class ImageAugmentation:
    """Changes images by what the recipe asks for, in a fixed order.

    The affine map, crop, saturation, contrast, brightness, cutout, and a smaller size.

    Args:
        spec: Ranges.
        seed: Of the run.
        sample: What an image is.
        epochs: Of the whole training.

    Raises:
        SpecError: A crop is as large as the image.
    """

    def __init__(self, spec: AugmentationSpec, seed: int, sample: ImageSample, epochs: int) -> None:
        if spec.crop >= min(sample.shape[1:]):
            raise SpecError(
                f"train.augmentation.crop ({spec.crop}) must be below the image's shorter edge; "
                f"got an image of {sample.shape[1]} x {sample.shape[2]} pixels; choose a smaller "
                "one"
            )
        self.spec = spec
        self.seed = seed
        self.epochs = epochs
        self.size = (sample.shape[1], sample.shape[2])
        self.span = sample.value_range[1] - sample.value_range[0]
        self.move = AffineAugmentation(spec, seed)

    def __call__(self, sample: Tensor, row_ids: UINT64, *, epoch: int) -> Tensor:
        """Turns (N, C, H, W) raw values into float32, of the epoch's smaller shape perhaps."""
        spec = self.spec
        image = self.move(sample, row_ids, epoch=epoch)
        uniform = draw_uniform(self.seed ^ SALT, epoch, row_ids, 7)
        signed = 2.0 * uniform - 1.0
        if spec.crop:
            image = shift_pixels(
                image, np.rint(signed[:, :2] * (spec.crop + 0.499)).astype(np.int64)
            )
        if spec.saturation:
            image = scale_around(image, image.mean(1, keepdim=True), spec.saturation * signed[:, 2])
        if spec.contrast:
            image = scale_around(
                image, image.mean((1, 2, 3), keepdim=True), spec.contrast * signed[:, 3]
            )
        if spec.brightness:
            image = image + _per_row(spec.brightness * self.span * signed[:, 4], image)
        if spec.cutout:
            image = cut_out(image, uniform[:, 5:7], spec.cutout)
        size = self.choose_size(epoch)
        if size == image.shape[2:]:
            return image
        return torch.nn.functional.interpolate(
            image, size, mode="bilinear", align_corners=False, antialias=True
        )

    def choose_size(self, epoch: int) -> tuple[int, int]:
        """Returns height and width of an epoch's images."""
        grown_at = self.spec.small_until * self.epochs
        if epoch >= grown_at:
            return self.size
        share = self.spec.small_from + (1.0 - self.spec.small_from) * epoch / grown_at
        height, width = (min(edge, max(2, 2 * round(share * edge / 2))) for edge in self.size)
        return height, width


def _per_row(values: NDArray[np.float64], image: Tensor) -> Tensor:
    """Returns (N,) numbers as (N, 1, 1, 1) float32, where the images are."""
    return torch.from_numpy(values.astype(np.float32)).to(image.device).reshape(-1, 1, 1, 1)


def shift_pixels(image: Tensor, shifts: NDArray[np.int64]) -> Tensor:
    """Moves each image by whole pixels; its edges are mirrored into what comes free.

    Args:
        image: (N, C, H, W).
        shifts: (N, 2), rows and columns, each smaller than the edge.
    """
    channels, height, width = image.shape[1:]
    places = torch.from_numpy(shifts).to(image.device)
    rows = _reflect(torch.arange(height, device=image.device) + places[:, :1], height)
    columns = _reflect(torch.arange(width, device=image.device) + places[:, 1:], width)
    sources = (
        (rows[:, :, None] * width + columns[:, None, :])
        .flatten(1)[:, None]
        .expand(-1, channels, -1)
    )
    return image.flatten(2).gather(2, sources).reshape(image.shape)


def _reflect(places: Tensor, size: int) -> Tensor:
    """Mirrors places outside 0..size-1 at the edge's middle, which is not repeated."""
    places = places.abs()
    return torch.where(places >= size, 2 * (size - 1) - places, places)


def scale_around(image: Tensor, centre: Tensor, change: NDArray[np.float64]) -> Tensor:
    """Multiplies the distance from a centre by 1 + change, a number for each image."""
    return centre + (image - centre) * (1.0 + _per_row(change, image))


def cut_out(image: Tensor, uniform: NDArray[np.float64], share: float) -> Tensor:
    """Paints a square over with each image's mean.

    Args:
        image: (N, C, H, W).
        uniform: (N, 2) in [0, 1): where its middle lies; the square may reach over the edge.
        share: Its edge as a fraction of the image's shorter edge.
    """
    height, width = image.shape[2:]
    half = share * min(height, width) / 2
    middle = torch.from_numpy(uniform.astype(np.float32)).to(image.device) * torch.tensor(
        [height, width], dtype=torch.float32, device=image.device
    )
    in_rows = (torch.arange(height, device=image.device) + 0.5 - middle[:, :1]).abs() < half
    in_columns = (torch.arange(width, device=image.device) + 0.5 - middle[:, 1:]).abs() < half
    covered = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    return torch.where(covered, image.mean((1, 2, 3), keepdim=True), image)
