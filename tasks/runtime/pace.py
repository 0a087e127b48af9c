"""How long a stage still takes, by the steps that it has taken since it was first looked at."""

import time
from collections.abc import Callable

FEWEST_S = 3.0
"""A shorter look says nothing: first steps are slow."""


class Pace:
    """Estimates the time that is left from steps done over time.

    A training that goes on after it was lost begins in the middle: what was done before is not
    counted as done in no time.

    Args:
        clock: Seconds, rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def estimate_left(self, done: int, total: int) -> float | None:
        """Return about how many seconds are left; None while it is too early to tell.

        Args:
            done: Steps so far, counted from the very beginning.
            total: All steps, at most.
        """
        now = self._clock()
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        since, before = self._first
        if done <= before or now - since < FEWEST_S:
            return None
        return (now - since) / (done - before) * max(0, total - done)

    def tell_left(self, done: int, total: int) -> str:
        """Return the time that is left in words, such as "at most about 2 min left"."""
        left = self.estimate_left(done, total)
        return "" if left is None or done >= total else f"at most about {show_left(left)} left"


def show_left(seconds: float) -> str:
    """Return a duration as roughly as it is known: 20 s, 3 min, 1 h 10 min."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
