"""Locks of this machine, which the kernel gives back when their process ends, however it ends."""

import fcntl
import os
import time
from pathlib import Path

_LOOK_S = 0.02


def take_lock(path: Path, timeout_s: float = 0.0, *, shared: bool = False) -> int | None:
    """Takes the lock of a file, which is made, mode 0600, if it is not there.

    Args:
        path: The file, in a folder that is there.
        timeout_s: How long to wait for another holder, in seconds.
        shared: Whether others may hold it too that share it.

    Returns:
        A descriptor: `os.close` gives the lock back. None if another one holds it still.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline_s = time.monotonic() + timeout_s
    try:
        while not _try(descriptor, shared):
            if time.monotonic() >= deadline_s:
                os.close(descriptor)
                return None
            time.sleep(_LOOK_S)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _try(descriptor: int, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
