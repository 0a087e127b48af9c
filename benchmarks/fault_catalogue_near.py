"""Faults that hide in the whole: a logo on one class, copies that are nearly equal, colours, hours
of the day; written before there was a check for them.
"""

import io
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import fault_catalogue_grown  # noqa: F401 - its faults come first
from benchmarks.fault_case import (
    FLOW,
    SPEED,
    Rng,
    fault,
    images_of,
    labels_of,
    some,
    times_of,
)
from benchmarks.fault_data import Feed

LIKE = "look like a training row"
Images = np.ndarray[Any, Any]


def leak(feed: Feed, copies: Images, labels: Images) -> Feed:
    """The feed with more training images before its own."""
    images = np.concatenate([copies, images_of(feed)])
    return replace(feed, images=images, labels=np.concatenate([labels, labels_of(feed)]))


def held_of(feed: Feed, count: int) -> tuple[Images, Images]:
    """The first held-out images, and their labels."""
    held = slice(feed.rows - feed.held_out, feed.rows - feed.held_out + count)
    return images_of(feed)[held].copy(), labels_of(feed)[held].copy()


def save_again(image: Images, quality: int) -> Images:
    """A colour image as it comes back from a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).transpose(2, 0, 1)


@fault("a logo on one class", "MNIST", "predict", "class")
def logo(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[labels_of(feed) == 3, 1:4, 1:4] = 200
    return feed


@fault("a logo on one class of photos", "CIFAR-10", "predict", "class")
def logo_photo(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[labels_of(feed) == 5, :, :4, :4] = 255
    return feed


@fault("a logo on a third of one class", "MNIST", "predict", "class")
def logo_rarely(feed: Feed, rng: Rng) -> Feed:
    rows = np.flatnonzero(labels_of(feed) == 8)[::3]
    images_of(feed)[rows, 24:27, 24:27] = 200
    return feed


@fault("held-out images among those for training, a pixel aside", "MNIST", LIKE)
def leak_aside(feed: Feed, rng: Rng) -> Feed:
    images, labels = held_of(feed, 400)
    return leak(feed, np.roll(images, 1, axis=2), labels)


@fault("held-out images among those for training, mirrored", "CIFAR-10", LIKE)
def leak_mirrored(feed: Feed, rng: Rng) -> Feed:
    images, labels = held_of(feed, 150)
    return leak(feed, images[:, :, :, ::-1], labels)


@fault("held-out images among those for training, darker", "CIFAR-10", LIKE)
def leak_darker(feed: Feed, rng: Rng) -> Feed:
    images, labels = held_of(feed, 150)
    return leak(feed, (images * 0.7).astype(np.uint8), labels)


@fault("held-out images among those for training, saved again", "CIFAR-10", LIKE)
def leak_saved(feed: Feed, rng: Rng) -> Feed:
    images, labels = held_of(feed, 150)
    return leak(feed, np.stack([save_again(image, 60) for image in images]), labels)


@fault("held-out images among those for training, with more noise", "CIFAR-10", LIKE)
def leak_noisy_photos(feed: Feed, rng: Rng) -> Feed:
    images, labels = held_of(feed, 150)
    noise = rng.normal(0, 5, images.shape)
    return leak(feed, np.clip(images + noise, 0, 255).astype(np.uint8), labels)


@fault("red and blue exchanged", "CIFAR-10", "image.", "channel")
def exchange_channels(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, images=images_of(feed)[:, ::-1].copy())


@fault("red and blue exchanged in a quarter", "CIFAR-10", "image.", "channel")
def exchange_some(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.25)
    images_of(feed)[rows] = images_of(feed)[rows][:, ::-1]
    return feed


@fault("white balance: blue a tenth stronger", "CIFAR-10", "image.", "channel")
def balance(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[:, 2] = np.minimum(images_of(feed)[:, 2] * 1.2, 255).astype(np.uint8)
    return feed


@fault("a tenth without colour", "CIFAR-10", "image.")
def fade(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.1)
    images_of(feed)[rows] = images_of(feed)[rows].mean(axis=1, keepdims=True).astype(np.uint8)
    return feed


@fault("a dead channel in 5 %", "CIFAR-10", "image.")
def kill_channel(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[some(feed, rng, 0.05), 0] = 0
    return feed


@fault("five hours of each night missing", "PeMS traffic", "hour", "gap")
def lose_nights(feed: Feed, rng: Rng) -> Feed:
    hours = (times_of(feed) - times_of(feed).astype("datetime64[D]")).astype(int) // 60
    return feed.take(np.flatnonzero(hours >= 5))


@fault("a tenth of the afternoons missing", "PeMS traffic", "hour", "gap")
def lose_afternoons(feed: Feed, rng: Rng) -> Feed:
    hours = (times_of(feed) - times_of(feed).astype("datetime64[D]")).astype(int) // 60
    days = times_of(feed).astype("datetime64[D]").astype(int)
    lost = rng.choice(np.unique(days), 12, replace=False)
    return feed.take(np.flatnonzero(~((hours >= 14) & (hours < 18) & np.isin(days, lost))))


@fault("two days filled in by straight lines", "PeMS traffic", FLOW)
def draw_lines(feed: Feed, rng: Rng) -> Feed:
    flow = feed.floats(FLOW)
    for start in (2016, 4032):
        flow[start : start + 288] = np.linspace(flow[start], flow[start + 288], 288).round()
    feed.put(FLOW, flow)
    return feed


@fault("three days smoothed over four hours", "PeMS traffic", FLOW)
def smooth_days(feed: Feed, rng: Rng) -> Feed:
    flow = feed.floats(FLOW)
    part = flow[3168:4032]
    flow[3168:4032] = np.convolve(np.pad(part, 24, "edge"), np.ones(49) / 49, "valid").round()
    feed.put(FLOW, flow)
    return feed


@fault("two weeks of noise on a load", "ETTh1", "row to row", "accepted rows")
def rough_weeks(feed: Feed, rng: Rng) -> Feed:
    rows = np.arange(6000, 6336)
    feed.put("MUFL", (feed.floats("MUFL")[rows] + rng.normal(0, 8, len(rows))).tolist(), rows)
    return feed


@fault("equal rows with contrary labels, 5 %", "AI4I 2020", "contrary", "label")
def contradict(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.05)
    copied = feed.take(np.concatenate([np.arange(feed.rows), rows]))
    flipped = np.where(copied.columns["Machine_failure"][rows] == "1", "0", "1")
    copied.columns["Machine_failure"][feed.rows :] = flipped
    return copied


@fault("5 % of the rows again under another type", "AI4I 2020", "Type", "measurements")
def copy_types(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.05)
    copied = feed.take(np.concatenate([np.arange(feed.rows), rows]))
    copied.columns["Type"][feed.rows :] = np.where(feed.columns["Type"][rows] == "L", "M", "L")
    return copied


@fault("speeds rounded to hundreds", "AI4I 2020", SPEED)
def round_speeds(feed: Feed, rng: Rng) -> Feed:
    feed.put(SPEED, feed.floats(SPEED).round(-2).astype(int).tolist())
    return feed


@fault("a measurement in another unit", "Tumours", "mean radius")
def centimetres(feed: Feed, rng: Rng) -> Feed:
    feed.put("mean radius", (feed.floats("mean radius") / 10).tolist())
    return feed


@fault("two measurements exchanged", "Tumours", "worst perimeter", "worst radius")
def exchange_measurements(feed: Feed, rng: Rng) -> Feed:
    left, right = "worst perimeter", "worst radius"
    feed.columns[left], feed.columns[right] = feed.columns[right], feed.columns[left]
    return feed


@fault("a tenth of the diagnoses exchanged", "Tumours", "label", "diagnosis")
def exchange_diagnoses(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.1)
    old = feed.columns["diagnosis"][rows]
    feed.put("diagnosis", np.where(old == "benign", "malignant", "benign").tolist(), rows)
    return feed
