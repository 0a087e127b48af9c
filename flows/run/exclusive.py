"""Keeps others out while one process is at work on something, until it ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows.errors import BusyError
from flows.run.folders import locate_runs
from storage.base.locks import take_lock
from storage.base.store import Store


@contextmanager
def hold_alone(workspace: Store, name: str) -> Iterator[None]:
    """Holds a lock of a workspace for the duration of the block.

    The kernel gives it back when the process ends. Of a remote workspace it is this machine's: on
    two machines at once the same thing must not be started.

    Args:
        workspace: The workspace.
        name: What is held.

    Raises:
        BusyError: Another process holds it.
    """
    folder = locate_runs(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder / f"{name}.lock")
    if lock is None:
        raise BusyError(
            f"{name} ({workspace.display}) must be at work once at a time; got another process "
            "that is; wait for it"
        )
    try:
        yield
    finally:
        os.close(lock)
