"""Publishing: scratch space for the work, and one commit of its outcome."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_hex

from storage.base.errors import Conflict
from storage.base.store import Store
from storage.datasets.dataset import Dataset, Version
from storage.shards.shard import ShardEntry
from storage.upkeep.gc import SCRATCH, sweep_scratch

ATTEMPTS = 20
STALE = timedelta(days=1)


@contextmanager
def open_scratch(dataset: Dataset) -> Iterator[Store]:
    """A folder for this run's temporary files, on the store that all workers reach. Emptied at the end.

    What killed runs left there more than a day ago goes as well, and so does the half file of a
    worker that was killed.
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


def publish_version(
    dataset: Dataset, entries: Sequence[ShardEntry], *, kind: str, info: Mapping[str, object]
) -> Version:
    """Commits shards as the dataset's next version, unless the latest one is that already.

    Of two runs that publish the same, both get the same version; of two that differ, both versions
    stand in the log.

    Raises:
        Conflict: Other writers were first, twenty times in a row.
    """
    for _ in range(ATTEMPTS - 1):
        latest = dataset.latest()
        if latest is not None and _is_same(latest, entries, info):
            return latest
        try:
            return dataset.commit(
                entries, kind=kind, parent=latest.number if latest else None, info=info
            )
        except Conflict:
            continue
    latest = dataset.latest()
    return dataset.commit(entries, kind=kind, parent=latest.number if latest else None, info=info)


def _is_same(version: Version, entries: Sequence[ShardEntry], info: Mapping[str, object]) -> bool:
    return tuple(version.shards) == tuple(entries) and dict(version.info) == dict(info)
