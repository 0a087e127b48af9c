"""How far a stage is, in the Prefect UI: at most two calls a second, for each costs 35 ms."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext

from tasks.runtime.teller import open_teller

INTERVAL_S = 0.5


class ProgressArtifact:
    """The progress of the Prefect task that it is used in; outside of one it shows nothing.

    Args:
        key: The artifact's key, as `lepton-train-progress`.
        clock: Seconds, rising.
        tell: Has a call to the server made, as `Teller.tell` does.
    """

    def __init__(
        self,
        key: str,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str, Callable[[], object]], None] | None = None,
    ) -> None:
        self.key = key
        self._tell = tell or open_teller().tell
        self._clock = clock
        self._shown_at: float | None = None
        self._id: UUID | None = None

    def show(self, done: int, total: int, note: str) -> None:
        """Shows that `done` of `total` steps are done: the last always, others when it is time.

        Args:
            done: Steps so far.
            total: All steps, at least 1.
            note: A few words beside it.
        """
        now = self._clock()
        due = self._shown_at is None or now - self._shown_at >= INTERVAL_S or done >= total
        if not due or TaskRunContext.get() is None:
            return
        self._shown_at = now
        percent = min(100.0, 100.0 * done / total)
        self._tell(self.key, partial(self._leave, percent, note))

    def _leave(self, percent: float, note: str) -> None:
        if self._id is None:
            created: Any = create_progress_artifact(
                progress=percent, key=self.key, description=note
            )
            self._id = created
        else:
            update_progress_artifact(artifact_id=self._id, progress=percent, description=note)
