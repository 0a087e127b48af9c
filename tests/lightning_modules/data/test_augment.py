"""Augmentation is a pure function of (seed, epoch, row id), and small."""

import numpy as np
import pytest
import torch

from lightning_modules.data.augment import AffineAugmentation, draw_uniform
from lightning_modules.specs.augmentation import AugmentationSpec

IDS = np.arange(12, dtype=np.uint64) * np.uint64(2**60 + 7)
NOTHING = {"shift": 0, "rotate_deg": 0, "scale": 0, "shear_deg": 0}


def make_images(count: int = 12) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 17, (count, 1, 8, 8)).astype(np.uint8)
    )


def test_a_row_is_changed_alike_in_any_batch() -> None:
    augment = AffineAugmentation(AugmentationSpec(), seed=3)
    images = make_images()
    whole = augment(images, IDS, epoch=5)
    order = np.array([7, 2, 11])
    part = augment(images[order], IDS[order], epoch=5)
    assert torch.equal(part, whole[order])
    assert torch.equal(AffineAugmentation(AugmentationSpec(), seed=3)(images, IDS, epoch=5), whole)


def test_another_epoch_seed_or_row_changes_it_differently() -> None:
    images = make_images(1).expand(12, 1, 8, 8)
    changed = AffineAugmentation(AugmentationSpec(), seed=3)(images, IDS, epoch=5)
    assert len({tuple(row.flatten().tolist()) for row in changed}) == 12
    assert not torch.equal(
        changed, AffineAugmentation(AugmentationSpec(), seed=3)(images, IDS, epoch=6)
    )
    assert not torch.equal(
        changed, AffineAugmentation(AugmentationSpec(), seed=4)(images, IDS, epoch=5)
    )


def test_without_ranges_nothing_changes() -> None:
    images = make_images()
    changed = AffineAugmentation(AugmentationSpec(**NOTHING), seed=0)(images, IDS, epoch=0)
    assert changed.dtype == torch.float32
    torch.testing.assert_close(changed, images.float(), atol=1e-4, rtol=0)


def test_shift_moves_by_at_most_its_range() -> None:
    image = torch.zeros(1, 1, 21, 21)
    image[0, 0, 10, 10] = 1
    ids = np.arange(500, dtype=np.uint64)
    spec = AugmentationSpec(**{**NOTHING, "shift": 2 / 21})
    moved = AffineAugmentation(spec, seed=0)(image.expand(500, 1, 21, 21), ids, epoch=0)
    mass = moved.sum((1, 2, 3))
    places = torch.arange(21.0)
    rows = (moved.sum((1, 3)) * places).sum(1) / mass
    assert float((rows - 10).abs().max()) <= 2.001
    assert float((rows - 10).abs().max()) > 1.8
    assert float((rows - 10).mean().abs()) < 0.15


def test_mirror_flips_half_of_the_images() -> None:
    images = make_images(1).expand(400, 1, 8, 8)
    ids = np.arange(400, dtype=np.uint64)
    changed = AffineAugmentation(AugmentationSpec(**{**NOTHING, "flip": True}), seed=0)(
        images, ids, epoch=0
    )
    flipped = (changed - images.float().flip(3)).abs().amax((1, 2, 3)) < 1e-3
    kept = (changed - images.float()).abs().amax((1, 2, 3)) < 1e-3
    assert bool((flipped ^ kept).all())
    assert 140 < int(flipped.sum()) < 260


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_each_image_is_seen_either_way_equally_often(shift: float) -> None:
    images, ids = make_images(1).expand(400, 1, 8, 8), np.arange(400, dtype=np.uint64)
    still = AffineAugmentation(AugmentationSpec(**{**NOTHING, "shift": shift}), seed=0)
    augment = AffineAugmentation(
        AugmentationSpec(**{**NOTHING, "shift": shift, "flip": True}), seed=0
    )
    kept = []
    for epoch in range(4):
        change = augment(images, ids, epoch=epoch) - still(images, ids, epoch=epoch)
        kept.append(change.abs().amax((1, 2, 3)) < 1e-3)
    assert torch.equal(kept[0], ~kept[1])
    assert torch.equal(kept[0], kept[2])
    assert torch.equal(kept[1], kept[3])


@pytest.mark.parametrize("epoch", [0, 1])
def test_draws_are_uniform(epoch: int) -> None:
    draws = draw_uniform(0, epoch, np.arange(20_000, dtype=np.uint64), 3)
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = np.apply_along_axis(lambda column: np.histogram(column, 20, (0, 1))[0], 0, draws)
    # Chi-squared with 19 degrees of freedom: 43.8 is its 0.999 quantile.
    assert float((((counts - 1000) ** 2) / 1000).sum(0).max()) < 43.8
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03
