"""Random changes of training images, as a pure function of (seed, epoch, row id).

Nothing is drawn from a shared generator: the same row in the same epoch is changed in the same way
on any rank, in any batch, before and after a resume.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.specs.augmentation import AugmentationSpec

UINT64 = NDArray[np.uint64]
# Another stream of draws than that of the affine map.
MIRROR_SALT = 0xF11B


class Augmentation(Protocol):
    """Any change of a training batch that is a function of its arguments alone."""

    def __call__(self, sample: Tensor, row_ids: UINT64, *, epoch: int) -> Tensor:
        """Changes raw values (N, ...) into values of the same shape that the head takes.

        Images may become smaller.
        """
        ...


def mix_bits(value: UINT64) -> UINT64:
    """Scrambles 64-bit integers of any shape.

    This is the finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
    """
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def draw_uniform(seed: int, epoch: int, row_ids: UINT64, draws: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), (N, draws), each a function of (seed, epoch, row id, its column) only."""
    key = mix_bits(mix_bits(np.array([seed], np.uint64)) + np.uint64(epoch))
    rows = mix_bits(row_ids.astype(np.uint64) ^ key)
    bits = mix_bits(rows[:, None] + np.arange(1, draws + 1, dtype=np.uint64)[None, :])
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def choose_mirrored(seed: int, epoch: int, row_ids: UINT64) -> NDArray[np.bool_]:
    """Returns which rows are mirrored, (N,): half of them, and the other half in the next epoch.

    So each image is seen either way equally often, which learns more than chance does (Jordan,
    2024).
    """
    return np.asarray(
        (draw_uniform(seed ^ MIRROR_SALT, 0, row_ids, 1)[:, 0] < 0.5) ^ bool(epoch % 2)
    )


class AffineAugmentation:
    """Shifts, turns, scales, shears and mirrors in one bilinear resampling.

    What comes in from outside is zero.

    Without any but the mirror, nothing is resampled and every value stays exact.

    Args:
        spec: Ranges.
        seed: Of the run.
    """

    def __init__(self, spec: AugmentationSpec, seed: int) -> None:
        self.spec = spec
        self.seed = seed
        self.resamples = any((spec.shift, spec.rotate_deg, spec.scale, spec.shear_deg))

    def __call__(self, sample: Tensor, row_ids: UINT64, *, epoch: int) -> Tensor:
        """Turns (N, C, H, W) raw values into float32 of the same shape; uint8 keeps its scale."""
        uniform = draw_uniform(self.seed, epoch, row_ids, 5)
        mirrored = choose_mirrored(self.seed, epoch, row_ids) & self.spec.flip
        pixels = sample.to(torch.float32)
        if not self.resamples:
            turned = torch.from_numpy(mirrored).to(sample.device)
            return (
                torch.where(turned[:, None, None, None], pixels.flip(3), pixels)
                if self.spec.flip
                else pixels
            )
        maps = torch.from_numpy(self._draw_maps(uniform, mirrored)).to(sample.device)
        grid = torch.nn.functional.affine_grid(maps, list(pixels.shape), align_corners=False)
        return torch.nn.functional.grid_sample(
            pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )

    def _draw_maps(
        self, uniform: NDArray[np.float64], mirrored: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Draws one 2x3 matrix a row, from output to input coordinates in [-1, 1]."""
        spec = self.spec
        signed = 2.0 * uniform - 1.0
        angle = signed[:, 0] * math.radians(spec.rotate_deg)
        shear = np.tan(signed[:, 1] * math.radians(spec.shear_deg))
        scale = 1.0 + signed[:, 2] * spec.scale
        mirror = np.where(mirrored, -1.0, 1.0)
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        maps = np.empty((len(uniform), 2, 3), np.float32)
        maps[:, 0, 0], maps[:, 0, 1] = cos * mirror, (shear * cos - sin)
        maps[:, 1, 0], maps[:, 1, 1] = sin * mirror, (shear * sin + cos)
        # The image spans 2 units, so that a shift of one image's edge is a shift by 2.
        maps[:, :, 2] = 2.0 * spec.shift * signed[:, 3:5]
        return maps


class JitterAugmentation:
    """Adds Gaussian noise to the numbers of tables and series.

    Args:
        spec: How much.
        seed: Of the run.
        std: Standard deviation of each column of numbers over the training rows.
    """

    def __init__(self, spec: AugmentationSpec, seed: int, std: Sequence[float]) -> None:
        self.seed = seed
        self.noise = spec.noise * np.array(std)

    def __call__(self, sample: Tensor, row_ids: UINT64, *, epoch: int) -> Tensor:
        """Adds noise to raw values (N, D) or (N, L, D).

        Columns behind the numbers are left alone.
        """
        columns = len(self.noise)
        steps = sample.shape[1] if sample.ndim == 3 else 1
        drawn = draw_uniform(self.seed, epoch, row_ids, 2 * steps * columns)
        uniform = drawn.reshape(len(row_ids), 2, steps, columns)
        # Box and Muller (1958): two uniform draws to a normal one.
        normal = np.sqrt(-2.0 * np.log1p(-uniform[:, 0])) * np.cos(2.0 * np.pi * uniform[:, 1])
        shift = torch.from_numpy(normal * self.noise).to(sample.device)
        noisy = sample.clone()
        noisy[..., :columns] += shift if sample.ndim == 3 else shift.squeeze(1)
        return noisy
