"""A Dask client whose workers are killed in the middle of their work."""

import os
import signal
from itertools import count
from pathlib import Path

from storage.base import local as local_files

MOMENTS = (
    "before it begins",
    "with half of a file written",
    "when all is written and nobody knows",
)


class DeadlyClient:
    """Passes tasks on; of each function, the first try of the first three tasks kills its worker,
    each at another moment.

    Args:
        client: Client of a cluster that starts workers anew.
        folder: Where the tasks that have killed leave a mark.
    """

    def __init__(self, client, folder):
        self._client = client
        self._folder = Path(folder)
        self._folder.mkdir()
        self._numbers = {}

    @property
    def deaths(self):
        """The function and the moment of each kill."""
        return sorted(tuple(path.name.split("@")) for path in self._folder.iterdir())

    def submit(self, function, item, /, **options):
        name = function.func.__name__
        number = next(self._numbers.setdefault(name, count()))
        if number >= len(MOMENTS):
            return self._client.submit(function, item, **options)
        mark = self._folder / f"{name}@{MOMENTS[number]}"
        return self._client.submit(run_deadly, function, item, mark, MOMENTS[number], **options)

    def cancel(self, futures, /, *, force):
        self._client.cancel(futures, force=force)

    def nthreads(self):
        return self._client.nthreads()


def run_deadly(function, item, mark, moment):
    """Runs a task; the first try does not survive the moment."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return function(item)
    if moment == MOMENTS[1]:
        local_files._write_bytes = write_half
    if moment != MOMENTS[0]:
        function(item)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def write_half(path, data, mode):
    del mode
    Path(path).write_bytes(data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
