"""The thread that follows: it goes on over faults, waits unevenly, and ends when told."""

import threading
import time

import pytest

from deployments.targets.follow.follower import JITTER, Follower


class Counted:
    """Counts refreshes, of which every second fails."""

    def __init__(self, wanted: int = 4) -> None:
        self.calls = 0
        self.wanted = wanted
        self.enough = threading.Event()

    def refresh(self) -> str:
        self.calls += 1
        if self.calls >= self.wanted:
            self.enough.set()
        if self.calls % 2:
            raise RuntimeError("out of order")
        return "current"


def test_it_goes_on_over_faults_and_stops_cleanly() -> None:
    counted = Counted()
    follower = Follower(counted, 0.005).start()
    assert counted.enough.wait(10)
    assert follower.stop()
    calls = counted.calls
    time.sleep(0.03)
    assert counted.calls == calls


def test_it_stops_at_once_between_two_refreshes() -> None:
    follower = Follower(Counted(), 3600).start()
    started = time.monotonic()
    assert follower.stop(timeout_s=5)
    assert time.monotonic() - started < 5


def test_a_stop_waits_no_longer_than_asked_for_a_refresh_under_way() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        def refresh(self) -> None:
            entered.set()
            leave.wait()

    follower = Follower(Slow(), 0.001).start()
    assert entered.wait(10)
    assert not follower.stop(timeout_s=0.01)
    leave.set()
    assert follower.stop()


def test_a_follower_that_never_started_is_stopped() -> None:
    assert Follower(Counted(), 1).stop()


def test_waits_differ_within_bounds() -> None:
    follower = Follower(Counted(), 10)
    waits = [follower._draw_wait_s() for _ in range(100)]
    assert 10 * (1 - JITTER) <= min(waits) < max(waits) <= 10 * (1 + JITTER)


@pytest.mark.parametrize("interval_s", [0, -1, float("nan")])
def test_an_interval_must_be_above_zero(interval_s: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Follower(Counted(), interval_s)
