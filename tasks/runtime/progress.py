"""Where a run tells how far it is: a sink that the caller chooses, the log by default."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Hears of every stage of a run, in order."""

    def begin(self, stage: str) -> None:
        """Hears that a stage starts."""

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Hears that `done` of `total` steps are done; None where nobody knows yet."""

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        """Hears that a stage is over; outcome is "done", "green", "red" or "failed"."""


class LogProgress:
    """One log line a stage: for schedules and scripts."""

    def __init__(self) -> None:
        self._log = logging.getLogger("lepton")

    def begin(self, stage: str) -> None:
        """Says nothing: the end of the stage does."""

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Says nothing: steps are for the eye, not for a log."""

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        """Logs one line for the stage."""
        self._log.info("%s %s in %.1f s: %s", stage, outcome, duration_s, note)


PROGRESS: ContextVar[Progress | None] = ContextVar("lepton_progress", default=None)


def current_progress() -> Progress:
    """Return the sink that the caller chose; the log if none."""
    return PROGRESS.get() or LogProgress()


def report_steps(stage: str) -> Callable[[int, int | None], None]:
    """Return a callback that tells how many steps of a stage are done, of how many if known."""

    def report(done: int, total: int | None) -> None:
        current_progress().advance(stage, done, total, "")

    return report
