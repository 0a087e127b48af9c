"""Where a run tells how far it is: a sink that the caller chooses, the log by default."""

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol


class Progress(Protocol):
    """Hears of every stage of a run, in order."""

    def begin(self, stage: str) -> None:
        """A stage starts."""

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Part of a stage is done: `done` of `total` steps, None where nobody knows yet."""

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        """A stage is over; outcome is "done", "green", "red" or "failed"."""


class LogProgress:
    """One log line a stage: for schedules and scripts."""

    def __init__(self) -> None:
        self._log = logging.getLogger("lepton")

    def begin(self, stage: str) -> None:
        """Says nothing: the end of the stage does."""

    def advance(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Steps are for the eye, not for a log."""

    def end(self, stage: str, outcome: str, note: str, duration_s: float) -> None:
        """One line for the stage."""
        self._log.info("%s %s in %.1f s: %s", stage, outcome, duration_s, note)


PROGRESS: ContextVar[Progress | None] = ContextVar("lepton_progress", default=None)


def current_progress() -> Progress:
    """The sink that the caller chose; the log if none."""
    return PROGRESS.get() or LogProgress()


def report_steps(stage: str) -> Callable[[int, int | None], None]:
    """A callback that tells whoever watches the run how many steps of a stage are done, of how many where known."""

    def report(done: int, total: int | None) -> None:
        current_progress().advance(stage, done, total, "")

    return report
