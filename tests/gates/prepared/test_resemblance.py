import numpy as np
import pytest

from gates.prepared.resemblance import ALIKE, coarsen_pictures, find_looks, measure_likeness


def make_pictures(rows=60, seed=0):
    """Soft blotches, as photos are at 24 pixels a side."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, 3, 26, 26))
    for axis in (2, 3):
        noise = sum(np.roll(noise, shift, axis) for shift in range(-2, 3)) / 5
    scaled = (noise - noise.min()) / np.ptp(noise)
    return (scaled[:, :, 1:-1, 1:-1] * 255).astype(np.uint8)


def find(asked, known):
    places, _ = find_looks(coarsen_pictures(asked), coarsen_pictures(known))
    likeness = [measure_likeness(asked, known[places[:, look]]) for look in range(places.shape[1])]
    return np.max(likeness, axis=0) > ALIKE


@pytest.mark.parametrize(
    "copy",
    [
        lambda images, rng: (images * 0.6).astype(np.uint8),
        lambda images, rng: np.roll(images, 1, axis=3),
        lambda images, rng: np.clip(images + rng.normal(0, 2, images.shape), 0, 255).astype(
            np.uint8
        ),
    ],
    ids=["darker", "a pixel aside", "noisy"],
)
def test_a_copy_that_is_not_quite_one_is_found_and_another_picture_is_not(copy):
    known = make_pictures()
    asked = np.concatenate([copy(known[:10], np.random.default_rng(1)), make_pictures(10, 9)])
    assert find(asked, known).tolist() == [True] * 10 + [False] * 10


def test_cells_of_uneven_width_make_no_two_pictures_alike():
    # 24 pixels are three a cell; of 28 every second cell is four wide, and brighter as a sum.
    faint = np.pad(make_pictures() // 12 + 180, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    fits = find_looks(coarsen_pictures(faint), coarsen_pictures(faint))[1]
    assert np.sort(fits, axis=1)[:, -2].max() < 0.85


def test_flat_pictures_are_like_none():
    flat = np.full((3, 1, 24, 24), 7, np.uint8)
    assert not find(flat, flat).any()
