"""The memory that work takes."""

import gc
import os
import pickle
import select
import signal
import tracemalloc
import warnings
from collections.abc import Callable

MOST_S = 300


def measure_peak(work: Callable[[], object]) -> int:
    """The most that Python and numpy hold at once while work is done, in bytes.

    A fork does it: none of the other threads are there, such as those of Dask and Prefect, whose
    memory would be counted, too, and once came to 15 MB. What work changes is lost.
    """
    gc.collect()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        _report(work, writing)
    os.close(writing)
    try:
        if not select.select([reading], [], [], MOST_S)[0]:
            os.kill(child, signal.SIGKILL)
            raise TimeoutError(f"work must be done within {MOST_S} s")
        with os.fdopen(os.dup(reading), "rb") as answers:
            came_to = pickle.loads(answers.read())
    finally:
        os.close(reading)
        os.waitpid(child, 0)
    if isinstance(came_to, BaseException):
        raise came_to
    return int(came_to)


def _report(work: Callable[[], object], writing: int) -> None:
    """Does the work, writes what it came to, and ends the process."""
    tracemalloc.start()
    try:
        work()
        came_to: object = tracemalloc.get_traced_memory()[1]
    except BaseException as error:
        came_to = error
    tracemalloc.stop()
    try:
        os.write(writing, pickle.dumps(came_to))
    finally:
        os._exit(0)
