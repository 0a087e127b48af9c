"""Faults of what is new only, and of some devices only, written before there was a check for them.

A version that grows by a tenth dilutes what happens in that tenth; a fleet dilutes what happens to
one device.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import fault_catalogue_later  # noqa: F401 - its faults come first
from benchmarks.fault_case import (
    AIR,
    FLOW,
    TORQUE,
    WEAR,
    Rng,
    dates_of,
    fault,
    images_of,
    labels_of,
    put_dates,
    put_times,
    times_of,
)
from benchmarks.fault_data import Feed

LINES = "Lines of ETTh1"
FAILED = "Machine_failure"


def of_line(feed: Feed, name: str) -> np.ndarray[Any, Any]:
    """Places of the rows of one line."""
    return np.flatnonzero(feed.columns["line"] == name)


def drop(feed: Feed, rows: np.ndarray[Any, Any]) -> Feed:
    """The feed without some rows."""
    return feed.take(np.setdiff1d(np.arange(feed.rows), rows))


@fault("new rows in vehicles an hour", "PeMS traffic", FLOW, grown=True)
def grow_hourly(feed: Feed, rng: Rng) -> Feed:
    feed.put(FLOW, (feed.floats(FLOW)[feed.fresh] * 12).tolist(), feed.fresh)
    return feed


@fault("new rows stuck for six hours", "PeMS traffic", FLOW, grown=True)
def grow_stuck(feed: Feed, rng: Rng) -> Feed:
    feed.put(FLOW, [57] * 72, feed.fresh[300:372])
    return feed


@fault("new rows two hours late", "PeMS traffic", "clock", "gap", grown=True)
def grow_late(feed: Feed, rng: Rng) -> Feed:
    times = times_of(feed)
    times[feed.fresh] += np.timedelta64(120, "m")
    return put_times(feed, times)


@fault("new rows in degrees Fahrenheit", "ETTh1", "OT", grown=True)
def grow_fahrenheit(feed: Feed, rng: Rng) -> Feed:
    feed.put("OT", (feed.floats("OT")[feed.fresh] * 1.8 + 32).tolist(), feed.fresh)
    return feed


@fault("new rows with two columns swapped", "ETTh1", "HUFL", "LULL", grown=True)
def grow_swapped(feed: Feed, rng: Rng) -> Feed:
    left, right = feed.floats("HUFL")[feed.fresh], feed.floats("LULL")[feed.fresh]
    feed.put("HUFL", right.tolist(), feed.fresh)
    feed.put("LULL", left.tolist(), feed.fresh)
    return feed


@fault("new rows with 10 % silent zeros", "ETTh1", "MUFL", grown=True)
def grow_zeros(feed: Feed, rng: Rng) -> Feed:
    rows = rng.choice(feed.fresh, len(feed.fresh) // 10, replace=False)
    feed.put("MUFL", [0] * len(rows), rows)
    return feed


@fault("new rows with a load of the wrong sign", "ETTh1", "HUFL", grown=True)
def grow_sign(feed: Feed, rng: Rng) -> Feed:
    feed.put("HUFL", (-feed.floats("HUFL")[feed.fresh]).tolist(), feed.fresh)
    return feed


@fault("new rows in degrees Celsius", "AI4I 2020", AIR, grown=True)
def grow_celsius(feed: Feed, rng: Rng) -> Feed:
    feed.put(AIR, (feed.floats(AIR)[feed.fresh] - 273.15).round(2).tolist(), feed.fresh)
    return feed


@fault("new rows with wear that stands still", "AI4I 2020", WEAR, grown=True)
def grow_still(feed: Feed, rng: Rng) -> Feed:
    feed.put(WEAR, [108] * 300, feed.fresh[100:400])
    return feed


@fault("new rows with torque in pound-feet", "AI4I 2020", TORQUE, grown=True)
def grow_pounds(feed: Feed, rng: Rng) -> Feed:
    feed.put(TORQUE, (feed.floats(TORQUE)[feed.fresh] * 0.7376).round(1).tolist(), feed.fresh)
    return feed


@fault("new rows with a fifth of the labels flipped", "AI4I 2020", "label", FAILED, grown=True)
def grow_flipped(feed: Feed, rng: Rng) -> Feed:
    rows = rng.choice(feed.fresh, len(feed.fresh) // 5, replace=False)
    flipped = np.where(feed.columns[FAILED][rows] == "1", "0", "1")
    feed.put(FAILED, flipped.tolist(), rows)
    return feed


@fault("new images inverted", "MNIST", "image.brightness", grown=True)
def grow_inverted(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[feed.fresh] = 255 - images_of(feed)[feed.fresh]
    return feed


@fault("new labels off by one", "MNIST", "label", grown=True)
def grow_shifted(feed: Feed, rng: Rng) -> Feed:
    labels_of(feed)[feed.fresh] = (labels_of(feed)[feed.fresh] + 1) % 10
    return feed


@fault("a fifth of the new images black", "MNIST", "image.", grown=True)
def grow_black(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[rng.choice(feed.fresh, len(feed.fresh) // 5, replace=False)] = 0
    return feed


@fault("new images with red and blue exchanged", "CIFAR-10", "image.", "channel", grown=True)
def grow_exchanged(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[feed.fresh] = images_of(feed)[feed.fresh][:, ::-1]
    return feed


@fault("new images without their blue", "CIFAR-10", "image.", "channel", grown=True)
def grow_colourless(feed: Feed, rng: Rng) -> Feed:
    images_of(feed)[feed.fresh, 2] = 0
    return feed


@fault("values of a day changed at times already accepted", "ETTh1", "accepted rows", grown=True)
def rewrite_days(feed: Feed, rng: Rng) -> Feed:
    rows = np.arange(4000, 4400)
    feed.put("OT", (feed.floats("OT")[rows] + 3).tolist(), rows)
    return feed


@fault("labels of accepted rows changed, 3 %", "AI4I 2020", "accepted rows", grown=True)
def rewrite_labels(feed: Feed, rng: Rng) -> Feed:
    rows = rng.choice(feed.fresh[0], feed.rows * 3 // 100, replace=False)
    flipped = np.where(feed.columns[FAILED][rows] == "1", "0", "1")
    feed.put(FAILED, flipped.tolist(), rows)
    return feed


@fault("one line in watts", LINES, "MUFL", "load")
def one_in_watts(feed: Feed, rng: Rng) -> Feed:
    rows = of_line(feed, "LULL")
    feed.put("load", (feed.floats("load")[rows] * 1000).tolist(), rows)
    return feed


@fault("one line half as large", LINES, "accepted rows")
def one_halved(feed: Feed, rng: Rng) -> Feed:
    rows = of_line(feed, "LUFL")
    feed.put("load", (feed.floats("load")[rows] * 0.5).tolist(), rows)
    return feed


@fault("one line's clock three hours late", LINES, "accepted rows", "clock")
def one_late(feed: Feed, rng: Rng) -> Feed:
    rows, dates = of_line(feed, "MUFL"), dates_of(feed)
    dates[rows] += np.timedelta64(3 * 3600, "s")
    return put_dates(feed, dates)


@fault("one line every second hour", LINES, "entity: fall of its rows")
def one_thinned(feed: Feed, rng: Rng) -> Feed:
    return drop(feed, of_line(feed, "HULL")[1::2])


@fault("one line stuck for a tenth of its time", LINES, "MULL", "load")
def one_stuck(feed: Feed, rng: Rng) -> Feed:
    rows = of_line(feed, "MULL")
    chosen = rows[3000 : 3000 + len(rows) // 10]
    feed.put("load", [2.1] * len(chosen), chosen)
    return feed


@fault("one line gone", LINES, "entities: share of those that are gone")
def one_gone(feed: Feed, rng: Rng) -> Feed:
    return drop(feed, of_line(feed, "HUFL"))


@fault(
    "one line gone from the new rows", LINES, "entities: share of those that are gone", grown=True
)
def grow_gone(feed: Feed, rng: Rng) -> Feed:
    return drop(feed, np.intersect1d(of_line(feed, "HUFL"), feed.fresh))


@fault("one line in watts in the new rows", LINES, "LULL", "load", grown=True)
def grow_watts(feed: Feed, rng: Rng) -> Feed:
    rows = np.intersect1d(of_line(feed, "LULL"), feed.fresh)
    feed.put("load", (feed.floats("load")[rows] * 1000).tolist(), rows)
    return feed


@fault("one line doubled in the new rows", LINES, "entity: jump", "smallest change", grown=True)
def grow_doubled(feed: Feed, rng: Rng) -> Feed:
    rows = np.intersect1d(of_line(feed, "MUFL"), feed.fresh)
    feed.put("load", (feed.floats("load")[rows] * 2).tolist(), rows)
    return feed


@fault("one line's clock four hours late in the new rows", LINES, "clock", grown=True)
def grow_one_late(feed: Feed, rng: Rng) -> Feed:
    rows, dates = np.intersect1d(of_line(feed, "HUFL"), feed.fresh), dates_of(feed)
    dates[rows] += np.timedelta64(4 * 3600, "s")
    return put_dates(feed, dates)


@fault("one line stands still in the new rows", LINES, "stand still", "row to row", grown=True)
def grow_one_still(feed: Feed, rng: Rng) -> Feed:
    rows = np.intersect1d(of_line(feed, "LUFL"), feed.fresh)
    feed.put("load", [float(feed.floats("load")[rows[0]])] * len(rows), rows)
    return feed


@fault("one line doubled for two weeks of the new rows", LINES, "entity:", grown=True)
def grow_doubled_weeks(feed: Feed, rng: Rng) -> Feed:
    rows = np.intersect1d(of_line(feed, "HULL"), feed.fresh)[240:576]
    feed.put("load", (feed.floats("load")[rows] * 2).tolist(), rows)
    return feed


@fault("one column doubled in the new rows", "ETTh1", "MULL", grown=True)
def grow_doubled_column(feed: Feed, rng: Rng) -> Feed:
    feed.put("MULL", (feed.floats("MULL")[feed.fresh] * 2).tolist(), feed.fresh)
    return feed


@fault("new rows three hours early", "PeMS traffic", "clock", "gap", grown=True)
def grow_early(feed: Feed, rng: Rng) -> Feed:
    # What lies before the last accepted row is lost, as in a file that is appended to.
    times = times_of(feed)
    times[feed.fresh] -= np.timedelta64(180, "m")
    return drop(put_times(feed, times), feed.fresh[:36])


@fault("a week of new rows of a line under another name", LINES, "another entity", grown=True)
def grow_copied(feed: Feed, rng: Rng) -> Feed:
    source, goal = (np.intersect1d(of_line(feed, name), feed.fresh) for name in ("LUFL", "LULL"))
    feed.put("load", feed.floats("load")[source[72:240]].tolist(), goal[72:240])
    return feed


@fault("a line's rows under another name as well", LINES, "another entity")
def copy_line(feed: Feed, rng: Rng) -> Feed:
    columns = {name: values.copy() for name, values in feed.columns.items()}
    source, goal = of_line(feed, "HUFL"), of_line(feed, "HULL")
    size = min(len(source), len(goal))
    columns["load"][goal[:size]] = columns["load"][source[:size]]
    return replace(feed, columns=columns)


@fault("some of a line's rows under another name", LINES, "another entity")
def copy_month(feed: Feed, rng: Rng) -> Feed:
    columns = {name: values.copy() for name, values in feed.columns.items()}
    source, goal = of_line(feed, "MUFL"), of_line(feed, "MULL")
    columns["load"][goal[2000:2720]] = columns["load"][source[2000:2720]]
    return replace(feed, columns=columns)
