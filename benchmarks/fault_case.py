"""What a fault of the catalogue is, and what several of them need."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fault_data import Feed

Rng = np.random.Generator
FLOW, DATE = "Lane 1 Flow (Veh/5 Minutes)", "5 Minutes"
AIR, SPEED, TORQUE, WEAR = (
    "Air temperature [K]",
    "Rotational speed [rpm]",
    "Torque [Nm]",
    "Tool wear [min]",
)


@dataclass(frozen=True)
class FaultCase:
    """One fault.

    Attributes:
        name: In words.
        feed: The data set that it happens to.
        spoil: Makes the faulty version of a clean one.
        reasons: Parts of messages; one of them must stand in a reason for the verdict to be right.
        grown: Whether only the rows that are new since the accepted version are spoiled.
    """

    name: str
    feed: str
    spoil: Callable[[Feed, Rng], Feed]
    reasons: tuple[str, ...]
    grown: bool = False


CASES: list[FaultCase] = []


def fault(
    name: str, feed: str, *reasons: str, grown: bool = False
) -> Callable[[Callable[[Feed, Rng], Feed]], Callable[[Feed, Rng], Feed]]:
    """Adds a fault to the catalogue."""

    def add(spoil: Callable[[Feed, Rng], Feed]) -> Callable[[Feed, Rng], Feed]:
        CASES.append(FaultCase(name, feed, spoil, reasons, grown))
        return spoil

    return add


def some(feed: Feed, rng: Rng, share: float) -> np.ndarray[Any, Any]:
    """Places of a random share of the rows, in order."""
    return np.sort(rng.choice(feed.rows, int(feed.rows * share), replace=False))


def images_of(feed: Feed) -> np.ndarray[Any, Any]:
    return np.asarray(feed.images)


def labels_of(feed: Feed) -> np.ndarray[Any, Any]:
    return np.asarray(feed.labels)


def times_of(feed: Feed) -> np.ndarray[Any, Any]:
    """Times of the traffic, whose days come first."""
    texts = [text.split() for text in feed.columns[DATE]]
    iso = [f"{day[6:]}-{day[3:5]}-{day[:2]}T{clock.zfill(5)}" for day, clock in texts]
    return np.array(iso, "datetime64[m]")


def put_times(feed: Feed, times: np.ndarray[Any, Any], style: str = "%d/%m/%Y %H:%M") -> Feed:
    feed.columns[DATE] = np.array([moment.item().strftime(style) for moment in times])
    return feed


def put_dates(feed: Feed, dates: np.ndarray[Any, Any]) -> Feed:
    feed.columns["date"] = np.array(
        [moment.item().strftime("%Y-%m-%d %H:%M:%S") for moment in dates]
    )
    return feed


def dates_of(feed: Feed) -> np.ndarray[Any, Any]:
    return feed.columns["date"].astype("datetime64[s]")
