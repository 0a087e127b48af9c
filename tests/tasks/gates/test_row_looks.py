"""Pictures that look alike in two splits."""

import tracemalloc

import numpy as np
import pytest

from gates.prepared.near_duplicates import hash_pictures
from storage.upkeep.known_rows import count_known
from tasks.forms.image import ImageForm
from tasks.gates.row_looks import count_alike, key_looks
from tests.tasks.forms.parts import SEEDS, make_parts, make_version


@SEEDS
def test_held_out_pictures_that_look_like_training_pictures_are_counted(tmp_path, seed):
    parts = list(make_parts(seed, [40, 10, 30, 30]))
    version = make_version(tmp_path, parts)
    held, train = (
        [
            tuple(pair)
            for name, rows in parts
            if name == split
            for pair in hash_pictures(rows["image"]).tolist()
        ]
        for split in ("held_out", "train")
    )
    wanted = sum(pair in set(train) for pair in held)
    assert bool(wanted) == bool(seed % 2)
    held_out, training = (
        key_looks(version, [split], ImageForm()) for split in ("held_out", "train")
    )
    assert count_known(held_out, [training], 500) == wanted


def make_photos(rows, seed, side=32):
    """Soft blotches, of which no two are alike."""
    noise = np.random.default_rng(seed).normal(size=(rows, 1, side, side))
    for axis in (2, 3):
        noise = sum(np.roll(noise, shift, axis) for shift in range(-2, 3)) / 5
    return ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def split_photos(folder, train, held_out):
    return make_version(
        folder,
        [
            (split, {"row_id": np.arange(len(images), dtype=np.uint64), "image": images})
            for split, images in (("train", train), ("held_out", held_out))
        ],
    )


@pytest.mark.parametrize(
    "copy",
    [lambda images: images[:, :, :, ::-1], lambda images: (images * 0.6).astype(np.uint8)],
    ids=["mirrored", "darker"],
)
def test_held_out_photos_that_are_nearly_training_ones_are_counted(tmp_path, copy):
    train = make_photos(60, 0)
    version = split_photos(tmp_path, train, np.concatenate([copy(train[:7]), make_photos(9, 1)]))
    assert count_alike(version, ImageForm()) == 7
    # Every second one of sixteen is looked at, and counts for two: 0, 2, 4 and 6 of the copies.
    assert count_alike(version, ImageForm(), most_pairs=500) == 8
    small = split_photos(tmp_path / "small", train[:, :, :15, :15], train[:, :, :15, :15])
    assert count_alike(small, ImageForm()) == 0


def test_photos_that_are_all_much_alike_are_compared_few_at_a_time(tmp_path):
    one = make_photos(1, 0, 64).astype(np.float64)
    train, held = (
        np.clip(one + np.random.default_rng(seed).normal(0, 12, (400, 1, 64, 64)), 0, 255)
        for seed in (1, 2)
    )
    version = split_photos(tmp_path, train.astype(np.uint8), held.astype(np.uint8))
    tracemalloc.start()
    try:
        assert count_alike(version, ImageForm()) == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 150 << 20, f"{peak >> 20} MiB for {held.nbytes >> 23} MiB of pictures"
