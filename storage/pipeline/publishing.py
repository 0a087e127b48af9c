"""Publishing: one commit of the outcome of collecting or preparing."""

from collections.abc import Mapping, Sequence

from storage.base.errors import Conflict
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry

ATTEMPTS = 20


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
