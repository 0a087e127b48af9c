"""`lepton`, killed at a moment: `python -m ... ARGUMENTS` with LEPTON_DEADLY=MOMENT:COUNT.

The process kills itself with SIGKILL when it gets to the moment for the COUNTth time.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from deployments.targets.edge.sender import Sender
from deployments.targets.edge.spool import Spool
from deployments.targets.edge.spool_file import SpoolFile
from deployments.targets.edge.uplinks import StoreUplink
from storage.base import local

VARIABLE = "LEPTON_DEADLY"
MOMENTS: dict[str, tuple[Any, str, bool]] = {
    "before rows are committed": (SpoolFile, "insert", True),
    "after rows are committed": (SpoolFile, "insert", False),
    "before a range is begun": (SpoolFile, "begin_range", True),
    "after a range was begun": (SpoolFile, "begin_range", False),
    "before a batch is put": (StoreUplink, "send", True),
    "while a batch is put": (local, "_link", True),
    "after a batch was put": (StoreUplink, "send", False),
    "before sent rows are deleted": (SpoolFile, "end_range", True),
    "after sent rows were deleted": (SpoolFile, "end_range", False),
    "while it stops": (Spool, "close", True),
}


def arm(moment: str, count: int) -> None:
    """Lets the process die at a moment."""
    owner, name, before = MOMENTS[moment]
    call: Callable[..., Any] = getattr(owner, name)
    left = [count]

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if left[0] > 0 and Sender._thread_started:  # type: ignore[attr-defined]
            left[0] -= 1
        dies = left[0] == 0 and Sender._thread_started  # type: ignore[attr-defined]
        if dies and before:
            die()
        found = call(*args, **kwargs)
        if dies:
            die()
        return found

    setattr(owner, name, deadly)


def die() -> None:
    """Gives the other threads time to tell what they should not, and ends all."""
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


def note_start() -> None:
    """Counts moments only from when the agent is ready: links are made while it opens, too."""
    start = Sender.start
    Sender._thread_started = False  # type: ignore[attr-defined]

    def noting(self: Sender) -> None:
        Sender._thread_started = True  # type: ignore[attr-defined]
        start(self)

    Sender.start = noting  # type: ignore[method-assign]


if __name__ == "__main__":
    from lepton_ai.cli import main

    note_start()
    wanted, _, nth = os.environ[VARIABLE].rpartition(":")
    arm(wanted, int(nth))
    main()
