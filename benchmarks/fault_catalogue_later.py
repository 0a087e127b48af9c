"""More faults, written against suites that stopped all of the first 47, each with its reason,
before any of them was run.

These are 24 of 141. Of all, the suites as they stood stopped 108 for the right reason; of these 24
they stopped 8, most of them being from among the 33 that were missed. Checks were then added and
mended for the kinds of what was missed: values that were rare, targets that stand still, gaps,
steps and disorder in time, columns that give the label away, labels that a better probe tells. Near
copies with noise between splits and stretches of a series that are copied still pass.
"""

from dataclasses import replace

import numpy as np

from benchmarks.fault_case import (
    FLOW,
    SPEED,
    TORQUE,
    WEAR,
    Rng,
    fault,
    images_of,
    labels_of,
    put_times,
    some,
    times_of,
)
from benchmarks.fault_catalogue import CASES
from benchmarks.fault_data import Feed

FAILED = "Machine_failure"
FIRST = len(CASES)
"""Number of the first of these faults."""


@fault("a quarter of the 4s and 9s exchanged", "MNIST", "label")
def exchange_labels(feed: Feed, rng: Rng) -> Feed:
    labels = labels_of(feed)
    chosen = np.isin(labels, (4, 9)) & (rng.random(len(labels)) < 0.25)
    labels[chosen] = 13 - labels[chosen]
    return feed


@fault("a tenth mirrored", "MNIST", "label")
def mirror(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.1)
    images_of(feed)[rows] = images_of(feed)[rows][:, :, ::-1]
    return feed


@fault("salt and pepper on 2 % of the pixels", "MNIST", "image.")
def salt(feed: Feed, rng: Rng) -> Feed:
    noise = rng.random(images_of(feed).shape)
    images_of(feed)[noise < 0.01], images_of(feed)[noise > 0.99] = 0, 255
    return feed


@fault("the camera saturates at 160", "MNIST", "image.")
def saturate_camera(feed: Feed, rng: Rng) -> Feed:
    return replace(feed, images=np.minimum(images_of(feed), 160))


@fault("a frozen camera, 6 % of the frames", "MNIST", "duplicate")
def freeze_camera(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[3000 : 3000 + feed.rows * 6 // 100] = images_of(feed)[3000]
    return feed


@fault("the label burnt into a corner", "MNIST", "predict")
def burn_label(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[:, 0, 0] = labels_of(feed) * 25
    return feed


@fault("held-out images among those for training, with noise", "MNIST", "look like a training row")
def leak_noisy(feed: Feed, rng: Rng) -> Feed:
    held = np.arange(feed.rows - feed.held_out, feed.rows)[:400]
    copies = feed.take(np.concatenate([held, np.arange(feed.rows)]))
    noise = rng.normal(0, 6, (400, 28, 28))
    images_of(copies)[:400] = np.clip(images_of(copies)[:400] + noise, 0, 255).astype(np.uint8)
    return copies


@fault("missing wear written as -1, 2 %", "AI4I 2020", WEAR)
def code_missing(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.02)
    feed.put(WEAR, [-1] * len(rows), rows)
    return feed


@fault("torque raised when failing: a leak with noise", "AI4I 2020", "predict", TORQUE)
def leak_softly(feed: Feed, rng: Rng) -> Feed:
    feed.put(TORQUE, (feed.floats(TORQUE) + 25 * (feed.columns[FAILED] == "1")).round(1))
    return feed


@fault("half of the failures not recorded", "AI4I 2020", FAILED, "label")
def lose_half(feed: Feed, rng: Rng) -> Feed:
    lost = (feed.columns[FAILED] == "1") & (rng.random(feed.rows) < 0.5)
    feed.columns[FAILED][lost] = "0"
    return feed


@fault("labels one row late", "AI4I 2020", FAILED, "label", "predict")
def delay_failures(feed: Feed, rng: Rng) -> Feed:
    feed.columns[FAILED] = np.roll(feed.columns[FAILED], 1)
    return feed


@fault("15 % of the types fell back to L", "AI4I 2020", "Type")
def default_type(feed: Feed, rng: Rng) -> Feed:
    feed.columns["Type"][some(feed, rng, 0.15)] = "L"
    return feed


@fault("integer overflow: 11 bits", "AI4I 2020", SPEED)
def overflow_rarely(feed: Feed, rng: Rng) -> Feed:
    feed.put(SPEED, (feed.floats(SPEED).astype(np.int64) % 2048).tolist())
    return feed


@fault("decimal point lost in 1 % of the torques", "AI4I 2020", TORQUE)
def lose_point(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.01)
    feed.put(TORQUE, (feed.floats(TORQUE)[rows] * 10).round(), rows)
    return feed


@fault("stuck two hours of each day", "PeMS traffic", FLOW)
def stick_daily(feed: Feed, rng: Rng) -> Feed:
    flow = feed.floats(FLOW)
    for start in range(100, feed.rows - 30, 288):
        flow[start : start + 24] = flow[start]
    feed.put(FLOW, flow)
    return feed


@fault("summer time ends half way: an hour twice", "PeMS traffic", "clock", "entity and time")
def end_summer(feed: Feed, rng: Rng) -> Feed:
    late = np.arange(feed.rows) >= feed.rows // 2
    return put_times(feed, times_of(feed) - np.where(late, 60, 0).astype("timedelta64[m]"))


@fault("a week missing", "PeMS traffic", "gap")
def lose_week(feed: Feed, rng: Rng) -> Feed:
    return feed.take(np.r_[0:2500, 2500 + 5 * 288 : feed.rows])


@fault("interval doubled", "PeMS traffic", "step")
def double_interval(feed: Feed, rng: Rng) -> Feed:
    return put_times(feed, times_of(feed)[0] + np.arange(feed.rows) * np.timedelta64(10, "m"))


@fault("smoothed over an hour", "PeMS traffic", FLOW)
def smooth(feed: Feed, rng: Rng) -> Feed:
    feed.put(FLOW, np.convolve(feed.floats(FLOW), np.ones(12) / 12, "same").round())
    return feed


@fault("one day in place of the next three", "PeMS traffic", "copied", "repeat", FLOW)
def copy_day(feed: Feed, rng: Rng) -> Feed:
    flow = feed.floats(FLOW)
    flow[2592:3456] = np.tile(flow[2304:2592], 3)
    feed.put(FLOW, flow)
    return feed


@fault("stuck three times, 1.5 % of the time each", "ETTh1", "OT")
def stick_thrice(feed: Feed, rng: Rng) -> Feed:
    oil, length = feed.floats("OT"), feed.rows * 15 // 1000
    for start in (2000, 7000, 12000):
        oil[start : start + length] = oil[start]
    feed.put("OT", oil)
    return feed


@fault("missing written as 0, 2 %", "ETTh1", "OT")
def code_zero(feed: Feed, rng: Rng) -> Feed:
    rows = some(feed, rng, 0.02)
    feed.put("OT", [0] * len(rows), rows)
    return feed


@fault("a week missing", "ETTh1", "gap")
def lose_hours(feed: Feed, rng: Rng) -> Feed:
    return feed.take(np.r_[0:7000, 7168 : feed.rows])


@fault("a load a day late", "ETTh1", "correlation", "HUFL")
def delay_load(feed: Feed, rng: Rng) -> Feed:
    feed.columns["HUFL"] = np.roll(feed.columns["HUFL"], 24)
    return feed
