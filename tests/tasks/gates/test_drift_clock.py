"""The day's pattern is looked at by both clocks: that of the zone, and that of the sun."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from gates.specs.drift import DriftGate
from tasks.gates.drift_columns import _measure_clock

DAY = np.sin(np.arange(24) * 2 * np.pi / 24) + 0.3 * np.cos(np.arange(24) * 4 * np.pi / 24)


def make_hours(shift: int | None) -> Any:
    """Eight weeks of a column whose day has moved by so many hours; None: it has no pattern."""
    day = np.zeros(24) if shift is None else np.roll(DAY, shift)
    return np.stack([np.stack([day * 70, np.full(24, 70.0)])] * 8)


def measure(sun: int | None, clock: int | None) -> Any:
    before, after = (
        SimpleNamespace(hours=make_hours(first), clock_hours=make_hours(second))
        for first, second in ((0, 0), (sun, clock))
    )
    return _measure_clock(cast(Any, before), cast(Any, after), ["load"], DriftGate())


@pytest.mark.parametrize(
    ("sun", "clock", "minutes"),
    # Either clock may be why; what neither explains is as late as the nearer one says.
    [(1, 0, 0), (0, 1, 0), (3, 2, 120), (2, 3, 120), (-1, 2, 60), (2, None, 120)],
)
def test_a_clock_is_late_by_the_smaller_of_both_shifts(
    sun: int | None, clock: int | None, minutes: int
) -> None:
    assert measure(sun, clock).value == minutes


def test_a_day_without_a_pattern_is_told_and_not_green() -> None:
    assert "show the pattern" in measure(None, 0).why_not
    assert not measure(2, None).why_not
