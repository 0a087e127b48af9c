"""A thread that asks a channel again and again, and can be stopped."""

import logging
import random
import threading
from typing import Protocol

logger = logging.getLogger(__name__)
JITTER = 0.2
"""Largest part of the interval by which a wait is shorter or longer."""


class Refreshable(Protocol):
    """What can be brought up to date, as a runtime."""

    def refresh(self) -> object:
        """Ask for something newer, and take it."""


class Follower:
    """Refreshes a runtime at an interval, in a daemon thread.

    Waits differ by up to a fifth, so that devices that started together do not ask together.

    Args:
        runtime: What is refreshed.
        interval_s: Mean seconds between two refreshes.
    """

    def __init__(self, runtime: Refreshable, interval_s: float) -> None:
        if not interval_s > 0:
            raise ValueError(f"interval_s ({interval_s}) must be above 0; give the seconds")
        self._runtime = runtime
        self._interval_s = interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lepton-follower", daemon=True)

    def start(self) -> "Follower":
        """Start to refresh, the first time after one interval."""
        self._thread.start()
        return self

    def stop(self, timeout_s: float | None = None) -> bool:
        """Stop, after the refresh that is under way.

        Args:
            timeout_s: Longest wait for it, in seconds; None: as long as it takes.

        Returns:
            Whether it has ended.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._draw_wait_s()):
            try:
                self._runtime.refresh()
            except Exception:
                # An answer must never depend on this thread, and the next try may work.
                logger.exception("The channel could not be followed; trying again")

    def _draw_wait_s(self) -> float:
        return self._interval_s * random.SystemRandom().uniform(1 - JITTER, 1 + JITTER)
