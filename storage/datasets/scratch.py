"""Scratch space of a dataset: files that a run's workers share, and that are never to stay."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from secrets import token_hex

from storage.base.errors import NotFound
from storage.base.store import Store
from storage.datasets.files import DatasetFiles

SCRATCH = "scratch"
STALE = timedelta(days=1)


@contextmanager
def open_scratch(dataset: DatasetFiles) -> Iterator[Store]:
    """Opens a folder for this run's temporary files, on the store that all workers reach.

    It is emptied at the end. What killed runs left there more than a day ago goes as well, and so
    does the half file of a worker that was killed.
    """
    stale = datetime.now(UTC) - STALE
    sweep_scratch(dataset, stale)
    dataset.files.child(SCRATCH).sweep(stale, folders=True)
    scratch = dataset.files.child(SCRATCH, token_hex(8))
    try:
        yield scratch
    finally:
        for path in scratch.list():
            scratch.delete(path)
        scratch.sweep(datetime.now(UTC), folders=True)


def sweep_scratch(dataset: DatasetFiles, before: datetime, *, dry_run: bool = False) -> int:
    """Deletes scratch files last written before a time; returns how many."""
    scratch, swept = dataset.files.child(SCRATCH), 0
    for path in scratch.list():
        # Another run may sweep at the same time.
        with suppress(NotFound):
            if scratch.modified(path) < before:
                swept += 1
                if not dry_run:
                    scratch.delete(path)
    return swept
