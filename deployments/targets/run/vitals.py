"""How a model does that answers: whether it fails where the one before does not, and how fast.

An input may have no answer, such as one out of all bounds, and whoever asks may send it on purpose.
So a model is held against the one before it on the very samples that it failed on.
"""

import statistics
from collections import deque
from collections.abc import Callable

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.runtime import Array, Predictor

MIN_FAULTS = 5
"""As few failures that the model before does not have are no reason to go back."""
FAULT_SHARE = 0.01
"""Share of runs that fail so, from which on the model before is the better one."""
KEPT = 64
"""Runs whose time is kept, and after how many the time is looked at."""
FEW_ROWS = 4
"""Runs of more rows say little of how long one takes."""
SLOWER = 10.0
SLOWER_BY_S = 0.05
"""A model is too slow that takes so many times what the one before took, and so much longer."""

Watcher = Callable[[Array | None], None]
"""Is told samples that a model failed on, or nothing where its times are to be looked at."""


class Vitals:
    """What a loaded model did so far; told from any thread.

    Attributes:
        runs: Its runs.
        faults: Runs that failed, for whatever reason.
        worse: Those of them that the model before it answered.
        watcher: Is told of faults and times; None: nobody watches.
    """

    def __init__(self) -> None:
        self.runs = self.faults = self.worse = 0
        self.watcher: Watcher | None = None
        self._times: deque[float] = deque(maxlen=KEPT)

    @property
    def middle_s(self) -> float | None:
        """Median time of its last short runs, in seconds; None of fewer than are kept."""
        times = list(self._times)
        return statistics.median(times) if len(times) == KEPT else None

    def note_run(self, rows: int, took_s: float) -> None:
        """Notes a run that gave an answer."""
        self.runs += 1
        if rows <= FEW_ROWS:
            self._times.append(took_s)
        if self.watcher is not None and self.runs % KEPT == 0:
            self.watcher(None)

    def note_fault(self, raw: Array) -> None:
        """Notes a run that failed."""
        self.runs += 1
        self.faults += 1
        if self.watcher is not None:
            self.watcher(raw)


def find_fall(own: Vitals, before: Vitals, predictor: Predictor, raw: Array | None) -> str | None:
    """Say why the model before should answer again; None: it should not.

    Args:
        own: Of the model that answers.
        before: Of the model before it.
        predictor: That model.
        raw: Samples that the model failed on; None: its times are looked at.
    """
    if raw is None:
        now_s, then_s = own.middle_s, before.middle_s
        if now_s is None or then_s is None:
            return None
        if now_s <= max(SLOWER * then_s, then_s + SLOWER_BY_S):
            return None
        return (
            f"it takes {1e3 * now_s:.0f} ms an answer, and the model before it took "
            f"{1e3 * then_s:.1f} ms"
        )
    try:
        predictor.predict(raw)
    except (BadArtifact, BadInput):
        return None
    own.worse += 1
    if own.worse < max(MIN_FAULTS, FAULT_SHARE * own.runs):
        return None
    return f"it failed {own.worse} times in {own.runs} runs where the model before it answers"
