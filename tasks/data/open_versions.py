"""Opens the versions that stages hand on by record: the one that was recorded, or none."""

from collections.abc import Iterator

from storage.base.errors import Corrupt
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.records.receipts import DatasetRecord
from storage.shards.row_ids import Rows


def open_version(workspace: Store, record: DatasetRecord) -> Version:
    """Open the version that a record names, if it still is the one that was recorded.

    Raises:
        Corrupt: The log now holds another version under that number.
    """
    version = Dataset(workspace, record.name).open(record.number)
    if version.digest != record.digest:
        raise Corrupt(
            f"dataset {record.ref} must have digest {record.digest}; got {version.digest}; the log "
            "was replaced: run again"
        )
    return version


def iter_rows(version: Version, split: str) -> Iterator[Rows]:
    """Yield the rows of a split, one shard in memory at a time."""
    for entry in version.iter_shards(split):
        yield version.read_shard(entry)
