"""What happens to one device of a fleet in its new rows, from files to the stop that names it."""

import numpy as np
import pytest

from gates.specs.sections import GatesSpec
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from tasks.gates.accepted import Accepted
from tasks.gates.raw import judge_version
from tests.tasks.gates.mills import collect

DEVICES = ("north", "south", "west")
SPEC = SeriesSpec(
    numbers=("load",), time="time", entity="device", split=SplitSpec(by="time", held_out=0.2)
)


def make_fleet(days):
    """Loads in whole steps of a sensor, with a day's shape, hour by hour."""
    hours = np.arange(days * 24)
    draw = np.random.default_rng(0)
    loads = [
        900
        + (place + 2) * 12 * np.sin(hours * np.pi / 12 + place)
        + 8 * np.sin(hours * np.pi / 6)
        + draw.normal(0, 5, len(hours))
        for place in range(len(DEVICES))
    ]
    times = np.datetime64("2024-01-01T00") + hours.astype("timedelta64[h]")
    return {
        "device": np.tile(np.array(DEVICES), len(hours)),
        "time": np.repeat(times, len(DEVICES)),
        "load": (np.stack(loads, axis=1).round() * 0.25).reshape(-1),
    }


def find_reasons(tmp_path, spoil=None):
    """Reasons against 12 new days after 48, of which one device's are spoiled."""
    whole = make_fleet(60)
    fresh = np.arange(len(whole["load"])) >= 48 * 24 * len(DEVICES)
    accepted = {name: values[~fresh] for name, values in whole.items()}
    if spoil is not None:
        spoil(whole, fresh & (whole["device"] == "south"))
    versions = [
        collect(tmp_path / name, {key: part.astype(str) for key, part in columns.items()}, SPEC)
        for name, columns in (("before", accepted), ("after", whole))
    ]
    return judge_version(versions[1], SPEC, GatesSpec(), Accepted(versions[0])).reasons


def _double(columns, chosen):
    columns["load"][chosen] *= 2


def _delay(columns, chosen):
    columns["time"][chosen] += np.timedelta64(5, "h")


def _copy(columns, chosen):
    columns["load"][chosen] = columns["load"][np.flatnonzero(chosen) - 1]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            _double,
            (
                "smallest change between rows",
                "0.25 -> 0.5 of the entity of rows.csv:1 from 2024-02-18",
            ),
        ),
        (_delay, ("clock, shift of the day", "load of the entity of rows.csv:1, since 2024-02-18")),
        (_copy, ("another entity's as well", "on 2024-02-18", "rows.csv:0", "rows.csv:1")),
    ],
)
def test_a_stop_names_the_device_and_the_day(tmp_path, spoil, told):
    reasons = find_reasons(tmp_path, spoil)
    named = [reason for reason in reasons if told[0] in reason]
    assert named, reasons
    assert all(part in named[0] for part in told), named


def test_more_of_the_same_fleet_passes(tmp_path):
    assert not find_reasons(tmp_path)
