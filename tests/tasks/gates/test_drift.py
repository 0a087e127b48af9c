"""A version against the accepted one, from files to what stops it: what changed inside its range,
and what did not.
"""

import numpy as np
import pytest

from gates.specs.drift import DriftGate
from gates.specs.sections import GatesSpec
from storage.forms.rules import SplitSpec
from storage.forms.series import SeriesSpec
from tasks.gates.accepted import Accepted
from tasks.gates.raw import judge_version
from tests.tasks.gates.mills import TABLE, collect, find_red, make_table

SERIES = SeriesSpec(
    numbers=("flow",), target="level", time="time", split=SplitSpec(by="time", held_out=0.2)
)


def make_walk(rows=3000):
    """A year that grows warmer: no part of it is spread like another."""
    rng = np.random.default_rng(0)
    hours = np.arange(rows)
    level = 10 + 8 * hours / rows + 3 * np.sin(hours * np.pi / 12) + rng.normal(0, 0.5, rows)
    times = np.datetime64("2024-01-01T00") + hours.astype("timedelta64[h]")
    return {
        "flow": (level * 2 + rng.normal(0, 1, rows)).round(3),
        "level": level.round(3),
        "time": times,
    }


def judge(tmp_path, before, after, spec):
    versions = [
        collect(tmp_path / name, {key: values.astype(str) for key, values in columns.items()}, spec)
        for name, columns in (("before", before), ("after", after))
    ]
    return judge_version(versions[1], spec, GatesSpec(), Accepted(versions[0]))


def take(columns, rows):
    return {name: values[rows].copy() for name, values in columns.items()}


@pytest.mark.parametrize("part", [slice(0, 2100), slice(900, 3000), slice(300, 2700)], ids=str)
def test_a_part_of_a_series_that_moves_is_like_that_part(tmp_path, part):
    walk = make_walk()
    assert not find_red(judge(tmp_path, walk, take(walk, part), SERIES))


def _stick(columns):
    for start in (500, 1400, 2300):
        columns["level"][start : start + 45] = columns["level"][start]
    return columns


def _lift(columns):
    columns["level"] = columns["level"] * 1.15
    return columns


def _lose(columns):
    return take(columns, np.r_[0:1000, 1100:2700])


def _thin(columns):
    return take(columns, np.r_[0:1000, 1000:2700:2])


def _set_back(columns):
    columns["time"][1400:] -= np.timedelta64(3, "h")
    return columns


def _stretch(columns):
    columns["time"] = columns["time"][0] + np.arange(2700) * np.timedelta64(2, "h")
    return columns


@pytest.mark.parametrize(
    ("spoil", "about"),
    [
        (_stick, "level.flat share of a narrow range that was rare"),
        (_lift, "level Kolmogorov-Smirnov distance"),
        (_lose, "time: longest gap, over 1:00:00"),
        (_thin, "time: rise of the share that gaps are"),
        (_set_back, "time: rise of the share of rows that go back or stand still"),
        (_stretch, "time: change of the usual step, from 1:00:00"),
    ],
)
def test_faults_of_a_series_are_named(tmp_path, spoil, about):
    walk = make_walk()
    red = find_red(judge(tmp_path, walk, spoil(take(walk, slice(300, 3000))), SERIES))
    assert any(found.startswith(about) for found in red), red


def _judge_grown(tmp_path, spoil):
    """A walk that has grown by a tenth, of which the new rows are spoiled."""
    walk = make_walk()
    after = take(walk, slice(0, 3000))
    spoil(after)
    return judge(tmp_path, take(walk, slice(0, 2700)), after, SERIES)


def test_what_is_wrong_with_new_rows_stops_though_the_whole_hardly_changes(tmp_path):
    def lower(columns):
        columns["flow"][2700:] -= 6

    assert not find_red(_judge_grown(tmp_path / "a", lambda columns: None))
    red = find_red(_judge_grown(tmp_path / "b", lower))
    assert any(found.startswith("entity: jump") for found in red), red


def test_values_that_changed_at_times_already_accepted_are_told(tmp_path):
    def rewrite(columns):
        columns["level"][1000:1060] += 0.01

    report = _judge_grown(tmp_path, rewrite)
    assert find_red(report) == {"accepted rows: share whose values or label are changed"}
    assert "60 of 2,700 rows" in report.reasons[0]
    assert report.reasons[0].endswith("limited by gates.drift.max_changed_fraction")


def test_rows_of_a_table_may_come_in_any_order_and_a_stuck_sensor_is_seen_in_any(tmp_path):
    table = make_table(rows=2400)
    table["heat"] = np.repeat(table["heat"][::8], 8)  # as slow things are: eight alike in a row
    order = np.random.default_rng(0).permutation(2400)
    assert not find_red(judge(tmp_path / "a", table, take(table, order), TABLE))
    assert not find_red(judge(tmp_path / "b", take(table, order), take(table, order[:1500]), TABLE))
    stuck = take(table, order)
    stuck["heat"][900:1100] = np.repeat(stuck["heat"][[900, 950, 1000, 1050]], 50)
    red = find_red(judge(tmp_path / "c", take(table, order), stuck, TABLE))
    assert "heat.flat: rise of the share of rows that repeat 32 before them" in red


def test_a_change_since_the_accepted_version_stops_and_may_be_allowed(tmp_path):
    accepted = Accepted(collect(tmp_path / "a", make_table(), TABLE))
    current = collect(tmp_path / "b", make_table(1), TABLE)
    assert not find_red(judge_version(current, TABLE, GatesSpec(), accepted))
    warm = make_table(2)
    warm["heat"] = (warm["heat"].astype(float) * 1.8 + 32).round(2).astype(str)
    changed = collect(tmp_path / "c", warm, TABLE)
    report = judge_version(changed, TABLE, GatesSpec(), accepted)
    assert all(about.startswith("heat") or "correlation" in about for about in find_red(report))
    assert any("Kolmogorov-Smirnov" in reason for reason in report.reasons)
    for drift in (
        DriftGate(enabled=False),
        DriftGate(ignore=("heat*",)),
        DriftGate(on_fail={"*": "warn"}),
    ):
        assert judge_version(changed, TABLE, GatesSpec(drift=drift), accepted).passed


ZONED = SERIES.model_copy(update={"time_format": "%Y-%m-%dT%H:%M", "time_zone": "Europe/Berlin"})
COUNTED = SeriesSpec.model_validate(
    {**SERIES.model_dump(), "time": {"count": "cycle", "step": "1h", "start": "2024-01-01"}}
)


def make_loads(clock):
    """Loads of four months by the clocks of Berlin, or by the sun, in the spring that changes
    them: what people do jumps by an hour then, and what the sun does jumps on their clocks.
    """
    rng = np.random.default_rng(0)
    utc = np.datetime64("2024-01-08T00", "m") + np.arange(16 * 7 * 24) * np.timedelta64(60, "m")
    summer = utc >= np.datetime64("2024-03-31T01")
    local = utc + np.where(summer, 2, 1) * np.timedelta64(60, "m")
    told = local if clock else utc
    hour = (told - told.astype("datetime64[D]")).astype(int) / 60
    level = 20 + 5 * np.sin(hour * np.pi / 12) + 2 * np.sin(hour * np.pi / 4)
    level = level + rng.normal(0, 0.3, len(level))
    flow = level * 2 + rng.normal(0, 1, len(level))
    return {"flow": flow.round(3), "level": level.round(3), "time": local}


@pytest.mark.parametrize("clock", [True, False], ids=["clocks", "sun"])
def test_clocks_that_are_put_forward_are_no_shift_of_the_day(tmp_path, clock):
    loads = make_loads(clock)
    red = find_red(judge(tmp_path, take(loads, slice(0, 11 * 7 * 24)), loads, ZONED))
    assert not [found for found in red if "clock" in found], red


def test_a_clock_that_is_late_is_found_in_a_zone_too(tmp_path):
    loads = make_loads(clock=True)
    late = take(loads, slice(0, None))
    late["time"][11 * 7 * 24 :] -= np.timedelta64(180, "m")
    red = find_red(judge(tmp_path, take(loads, slice(0, 11 * 7 * 24)), late, ZONED))
    assert any("clock" in found for found in red), red


def make_cycles():
    """The walk, whose rows are numbered instead of dated."""
    walk = make_walk()
    del walk["time"]
    return {**walk, "cycle": np.arange(len(walk["level"]))}


def test_a_part_of_a_counted_series_is_like_that_part(tmp_path):
    cycles = make_cycles()
    assert not find_red(judge(tmp_path, cycles, take(cycles, slice(300, 2700)), COUNTED))


def _restart(columns):
    columns["cycle"][1400:] = columns["cycle"][900:2200]


def _skip(columns):
    columns["cycle"][1400:] += 40


@pytest.mark.parametrize(
    ("spoil", "about"),
    [
        (_restart, "time: rise of the share of rows that go back or stand still"),
        (_skip, "time: longest gap, over 1:00:00"),
    ],
)
def test_faults_of_a_count_are_named(tmp_path, spoil, about):
    cycles = make_cycles()
    after = take(cycles, slice(300, 3000))
    spoil(after)
    red = find_red(judge(tmp_path, cycles, after, COUNTED))
    assert any(found.startswith(about) for found in red), red
