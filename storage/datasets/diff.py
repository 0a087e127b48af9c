"""What changed between two versions. Shards that both have are not read."""

from collections.abc import Iterable
from dataclasses import dataclass

from storage.datasets.version import Version
from storage.shards.entry import FieldSpec, ShardEntry
from storage.shards.row_ids import CONTENT_HASH, ROW_ID


@dataclass(frozen=True)
class VersionDiff:
    """What changed from one version to another.

    Attributes:
        old: `name@number` of the first.
        new: `name@number` of the second.
        shards_added: Shards that only the second has.
        shards_removed: Shards that only the first has.
        shards_kept: Shards of both.
        rows_added: Ids of rows that only the second has, ascending.
        rows_removed: Ids of rows that only the first has, ascending.
        rows_changed: Ids of rows whose content, split or label changed.
        fields_added: Fields that only the second has, or has with another type or shape.
        fields_removed: Fields that only the first has, or has with another type or shape.
    """

    old: str
    new: str
    shards_added: tuple[str, ...]
    shards_removed: tuple[str, ...]
    shards_kept: int
    rows_added: tuple[int, ...]
    rows_removed: tuple[int, ...]
    rows_changed: tuple[int, ...]
    fields_added: tuple[FieldSpec, ...]
    fields_removed: tuple[FieldSpec, ...]


def compare_versions(old: Version, new: Version) -> VersionDiff:
    """Compares two versions of a dataset, or of two datasets of a workspace.

    Rows are told apart by `row_id`; without this field only shards and fields are compared.

    Raises:
        Corrupt: A shard that only one of them has is damaged.
    """
    first = {(shard.split, shard.digest): shard for shard in old.shards}
    second = {(shard.split, shard.digest): shard for shard in new.shards}
    removed = [shard for key, shard in first.items() if key not in second]
    added = [shard for key, shard in second.items() if key not in first]
    before, after = _read_rows(old, removed), _read_rows(new, added)
    return VersionDiff(
        old=old.ref,
        new=new.ref,
        shards_added=tuple(shard.digest for shard in added),
        shards_removed=tuple(shard.digest for shard in removed),
        shards_kept=len(first) - len(removed),
        rows_added=tuple(sorted(after.keys() - before.keys())),
        rows_removed=tuple(sorted(before.keys() - after.keys())),
        rows_changed=tuple(
            sorted(row for row in after.keys() & before.keys() if after[row] != before[row])
        ),
        fields_added=tuple(field for field in new.fields if field not in old.fields),
        fields_removed=tuple(field for field in old.fields if field not in new.fields),
    )


def _read_rows(version: Version, shards: Iterable[ShardEntry]) -> dict[int, tuple[str, ...]]:
    """Return what tells whether a row changed, by its id."""
    rows: dict[int, tuple[str, ...]] = {}
    for shard in shards:
        names = [
            field.name for field in shard.fields if field.name in (ROW_ID, CONTENT_HASH, "label")
        ]
        if ROW_ID not in names:
            continue
        read = version.read_shard(shard, names)
        others = [read[name].tolist() for name in names if name != ROW_ID]
        for number, row in enumerate(read[ROW_ID].tolist()):
            rows[row] = (shard.split, *(str(values[number]) for values in others))
    return rows
