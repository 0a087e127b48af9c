"""The catalogue's faults of images."""

from dataclasses import replace

import numpy as np

from benchmarks.fault_case import (
    Rng,
    fault,
    images_of,
    labels_of,
    some,
)
from benchmarks.fault_data import Feed


@fault("all-black camera, 10 % of the images", "MNIST", "image.brightness", "image.contrast")
def black_camera(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[some(feed, rng, 0.1)] = 0
    return feed


@fault("inverted images", "MNIST", "image.brightness")
def invert(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, images=255 - images_of(feed))


@fault("unit change: 0 to 1 instead of 0 to 255", "MNIST", "image.brightness", "image.contrast")
def rescale(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, images=(images_of(feed) / 255).round().astype(np.uint8))


@fault("a class missing", "MNIST", "classes", "class share", "label")
def lose_class(feed: Feed, rng: Rng) -> Feed:
    return feed.take(np.flatnonzero(labels_of(feed) != 7))


@fault("5 % of the labels flipped", "MNIST", "probe")
def flip_digits(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.05)
    labels_of(feed)[rows] = (labels_of(feed)[rows] + rng.integers(1, 10, len(rows))) % 10
    return feed


@fault("labels off by one", "MNIST", "probe")
def shift_labels(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, labels=((labels_of(feed) + 1) % 10).astype(np.uint8))


@fault("labels one row late", "MNIST", "probe")
def delay_labels(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, labels=np.roll(labels_of(feed), 1))


@fault("images transposed", "MNIST", "probe")
def transpose(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, images=images_of(feed).transpose(0, 2, 1).copy())


@fault("15 % of the rows twice", "MNIST", "duplicate")
def repeat_images(feed: Feed, rng: Rng) -> Feed:
    return feed.take(np.sort(np.concatenate([np.arange(feed.rows), some(feed, rng, 0.15)])))


@fault(
    "held-out images among those for training",
    "MNIST",
    "content hash between splits",
    "look like a training row",
)
def leak_held_out(feed: Feed, rng: Rng) -> Feed:
    held = np.arange(feed.rows - feed.held_out, feed.rows)
    return feed.take(np.concatenate([held[:200], np.arange(feed.rows)]))


@fault("held-out photos saved again, a level brighter", "MNIST", "look like a training row")
def leak_near_duplicates(feed: Feed, rng: Rng) -> Feed:
    held = np.arange(feed.rows - feed.held_out, feed.rows)[:300]
    copies = feed.take(np.concatenate([held, np.arange(feed.rows)]))
    images_of(copies)[:300] = np.where(images_of(copies)[:300] > 1, images_of(copies)[:300] - 1, 0)
    return copies


@fault("truncated file", "MNIST", "train-images-idx3-ubyte")
def cut_images(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, cut=0.6)


@fault("a tenth of the images is noise", "MNIST", "image.")
def add_noise(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.1)
    images_of(feed)[rows] = rng.integers(0, 256, (len(rows), 28, 28))
    return feed


@fault("a lens out of focus", "MNIST", "image.sharpness")
def blur(feed: Feed, rng: Rng) -> Feed:
    wide = images_of(feed).astype(np.float32)
    soft = (
        sum(np.roll(wide, (down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)) / 9
    )
    return replace(feed, images=soft.astype(np.uint8))
