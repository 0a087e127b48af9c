"""Changes of natural images: a pure function of (seed, epoch, row id), each within its range."""

from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.data.augment_natural import ImageAugmentation, shift_pixels
from lightning_modules.errors import SpecError
from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner

NOTHING: dict[str, Any] = {"shift": 0, "rotate_deg": 0, "scale": 0, "shear_deg": 0}
ALL = {
    "flip": True,
    "crop": 3,
    "brightness": 0.2,
    "contrast": 0.3,
    "saturation": 0.4,
    "cutout": 0.4,
}
SAMPLE = ImageSample(shape=(3, 12, 16), classes=2, value_range=(0, 255))
IDS = np.arange(300, dtype=np.uint64) * np.uint64(2**57 + 11)


EPOCHS = 10


def build(**changes: Any) -> ImageAugmentation:
    return ImageAugmentation(AugmentationSpec(**{**NOTHING, **changes}), 3, SAMPLE, EPOCHS)


def make_images(count: int = 300) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (count, 3, 12, 16)).astype(np.uint8)
    )


def test_a_row_is_changed_alike_in_any_batch_and_differently_elsewhere() -> None:
    augment, images = build(**ALL), make_images()
    whole = augment(images, IDS, epoch=5)
    assert whole.dtype == torch.float32
    order = np.array([7, 2, 211])
    torch.testing.assert_close(
        augment(images[order], IDS[order], epoch=5), whole[order], atol=0, rtol=0
    )
    same = images[:1].expand(300, 3, 12, 16)
    changed = augment(same, IDS, epoch=5)
    assert len({tuple(row.flatten().tolist()) for row in changed}) == 300
    assert not torch.equal(changed, augment(same, IDS, epoch=6))


def test_without_ranges_nothing_changes() -> None:
    assert torch.equal(build()(make_images(), IDS, epoch=0), make_images().float())


def test_shift_moves_whole_pixels_and_mirrors_the_edge() -> None:
    image = torch.arange(6.0).reshape(1, 1, 1, 6).expand(3, 2, 2, 6)
    moved = shift_pixels(image, np.array([[0, 2], [0, -2], [1, 0]]))
    assert moved[0, 0, 0].tolist() == [2, 3, 4, 5, 4, 3]
    assert moved[1, 1, 1].tolist() == [2, 1, 0, 1, 2, 3]
    assert torch.equal(moved[2], image[2])


def test_crop_takes_every_shift_within_its_range_alike() -> None:
    image = torch.zeros(1, 3, 12, 16, dtype=torch.uint8)
    image[0, :, 6, 8] = 200
    moved = build(crop=2)(image.expand(300, 3, 12, 16), IDS, epoch=0)
    places = [divmod(int(row[0].argmax()), 16) for row in moved]
    assert (
        {row - 6 for row, _ in places} == {column - 8 for _, column in places} == {-2, -1, 0, 1, 2}
    )
    counts = np.bincount([row - 4 for row, _ in places])
    assert counts.min() > 35
    assert counts.max() < 90


@pytest.mark.parametrize(
    ("name", "largest"), [("brightness", 0.2 * 255), ("contrast", 0.2), ("saturation", 0.2)]
)
def test_light_and_colour_stay_within_their_range(name: str, largest: float) -> None:
    images = make_images().float()
    changed = build(**{name: 0.2})(images, IDS, epoch=0)
    if name == "brightness":
        change = (changed - images).flatten(1)
        torch.testing.assert_close(change.std(1), torch.zeros(300), atol=1e-3, rtol=0)
        found = change.mean(1)
    else:
        around = (1,) if name == "saturation" else (1, 2, 3)
        spread, before = (value - value.mean(around, keepdim=True) for value in (changed, images))
        found = (spread * before).sum((1, 2, 3)) / before.square().sum((1, 2, 3)) - 1
        torch.testing.assert_close(changed.mean(around), images.mean(around), atol=1e-3, rtol=0)
    assert 0.9 * largest < float(found.abs().max()) <= largest * 1.0001


def test_cutout_paints_one_square_with_the_mean() -> None:
    images = make_images()
    changed = build(cutout=0.5)(images, IDS, epoch=0)
    altered = (changed != images.float()).any(1)
    assert int(altered.sum((1, 2)).max()) == 36
    assert int(altered.sum((1, 2)).min()) >= 9
    row = int(altered.sum((1, 2)).argmax())
    painted = changed[row].permute(1, 2, 0)[altered[row]]
    torch.testing.assert_close(painted, images[row].float().mean().expand_as(painted))


def test_a_crop_as_large_as_the_image_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"train.augmentation.crop \(12\) must be below the image's shorter edge"
    ):
        build(crop=12)


def test_images_grow_to_their_full_size() -> None:
    augment, images = build(small_from=0.5, small_until=0.6), make_images(4)
    sizes = [tuple(augment(images, IDS[:4], epoch=epoch).shape[2:]) for epoch in range(EPOCHS)]
    assert sizes[0] == (6, 8)
    assert sizes == sorted(sizes)
    assert [size == (12, 16) for size in sizes] == [False] * 6 + [True] * 4
    assert all(edge % 2 == 0 for size in sizes for edge in size)


def test_a_small_image_shows_what_the_whole_one_does() -> None:
    image = torch.zeros(1, 3, 12, 16, dtype=torch.uint8)
    image[:, 0, :, 8:], image[:, 1, :6] = 200, 100
    small = build(small_from=0.5)(image, IDS[:1], epoch=0)
    torch.testing.assert_close(small.mean((2, 3)), image.float().mean((2, 3)), atol=2.0, rtol=0)
    assert small[0, 0, :, 0].abs().max() < 1e-3
    assert (small[0, 0, :, -1] - 200).abs().max() < 1e-3


def test_small_images_that_a_network_does_not_take_are_refused_before_training() -> None:
    train = TrainSpec(augmentation=AugmentationSpec(small_from=0.5))
    build_learner(ModelSpec(network=NetworkSpec(family="cnn")), SAMPLE, train=train)
    with pytest.raises(
        SpecError, match=r"small_from must leave images that the network takes; got 6 x 8 pixels"
    ):
        build_learner(ModelSpec(network=NetworkSpec(family="mlp")), SAMPLE, train=train)
