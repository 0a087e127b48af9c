"""Deletes and replaces rows of a dataset by rewriting the shards that hold them, and no others.

To find these, the `row_id` of every shard is read (8 bytes a row), and nothing else of it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput, NotFound
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.pipeline.derived import PREFIX, measure_derived
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_checks import check_rows
from storage.shards.row_ids import ROW_ID, Rows
from storage.shards.writing import write_shard

_THREADS = 16


def replace_rows(dataset: Dataset, rows: Rows, *, message: str = "") -> Version:
    """Replaces the rows that have the `row_id` of given ones; writes only the shards they lie in.

    Raises:
        NotFound: A row id is not in the latest version.
    """
    edit = RowEdit(dataset, rows[ROW_ID], rows)
    return dataset.publish(edit.apply, kind="replace-rows", message=message)


def delete_rows(
    dataset: Dataset, row_ids: Sequence[int] | NDArray[np.uint64], *, message: str = ""
) -> Version:
    """Deletes rows from the latest version; writes only the shards that held them.

    Older versions keep the rows.

    Raises:
        NotFound: A row id is not in the latest version.
    """
    edit = RowEdit(dataset, np.asarray(row_ids, np.uint64), None)
    return dataset.publish(edit.apply, kind="delete-rows", message=message)


class RowEdit:
    """Deletes or replaces rows; can be applied again when another writer was faster.

    Args:
        dataset: The dataset.
        row_ids: Ids of the rows, shape (K,).
        rows: What replaces them, in the same order; None to delete them.

    Raises:
        InvalidInput: An id is given twice, or the rows cannot be stored.
    """

    def __init__(self, dataset: Dataset, row_ids: NDArray[np.uint64], rows: Rows | None) -> None:
        self._dataset = dataset
        self._ids = np.asarray(row_ids, np.uint64)
        self._rows = check_rows(rows) if rows is not None else None
        self._done: dict[str, ShardEntry | None] = {}
        self._found: dict[str, NDArray[np.uint64]] = {}
        if not len(self._ids) or len(np.unique(self._ids)) != len(self._ids):
            raise InvalidInput(
                f"row ids to change must be given once each, at least one; got {len(self._ids)} "
                f"with {len(np.unique(self._ids))} different; leave the others out"
            )

    def apply(self, base: Version | None) -> list[ShardEntry]:
        """Return the shards of the next version.

        Raises:
            NotFound: A row is not in the version.
        """
        shards: list[ShardEntry] = []
        missing = set(self._ids.tolist())
        find_row_ids(self._dataset, base.shards if base else (), self._ids, self._found)
        for shard in base.shards if base else ():
            found = self._found[shard.digest]
            missing -= set(found.tolist())
            if not found.size:
                shards.append(shard)
                continue
            key = f"{shard.split}/{shard.digest}"
            if key not in self._done:
                self._done[key] = self._rewrite(shard)
            rewritten = self._done[key]
            shards += [rewritten] if rewritten else []
        if missing:
            raise NotFound(
                f"row ids {sorted(missing)[:20]} must be in the latest version of dataset "
                f"{self._dataset.name}; they are not; check the ids, or whether they were deleted "
                "before"
            )
        return shards

    def _rewrite(self, shard: ShardEntry) -> ShardEntry | None:
        if self._rows is None:
            return drop_rows(self._dataset, shard, self._ids)
        rows = read_shard(self._dataset.shards, shard)
        _check_fields(shard, self._rows)
        order = np.argsort(self._ids)
        held = np.isin(rows[ROW_ID], self._ids)
        replacing = order[np.searchsorted(self._ids[order], rows[ROW_ID][held])]
        for name, array in rows.items():
            array[held] = self._rows[name][replacing]
        return rewrite_shard(self._dataset, shard, rows)


def find_row_ids(
    dataset: Dataset,
    shards: Sequence[ShardEntry],
    row_ids: NDArray[np.uint64],
    known: dict[str, NDArray[np.uint64]],
) -> None:
    """Adds to what is known which of the ids each shard holds, by the shard's digest.

    Many shards are read at once.
    """
    unread = {shard.digest: shard for shard in shards if shard.digest not in known}
    with ThreadPoolExecutor(_THREADS, "lepton-edit") as threads:
        found = threads.map(lambda shard: count_row_ids(dataset, shard, row_ids), unread.values())
        known |= zip(unread, found, strict=True)


def count_row_ids(
    dataset: Dataset, shard: ShardEntry, row_ids: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Return those of the ids that a shard holds, ascending.

    Raises:
        InvalidInput: The shard has no row ids.
    """
    if not any(field.name == ROW_ID for field in shard.fields):
        raise InvalidInput(
            f"dataset {dataset.name} must have a field {ROW_ID} for rows to be changed; it has "
            "none; replace it as a whole"
        )
    return np.intersect1d(read_shard(dataset.shards, shard, [ROW_ID])[ROW_ID], row_ids)


def drop_rows(
    dataset: Dataset, shard: ShardEntry, row_ids: NDArray[np.uint64]
) -> ShardEntry | None:
    """Writes a shard without some rows; None if none is left."""
    rows = read_shard(dataset.shards, shard)
    kept = ~np.isin(rows[ROW_ID], row_ids)
    if not kept.any():
        return None
    return rewrite_shard(dataset, shard, {name: array[kept] for name, array in rows.items()})


def rewrite_shard(
    dataset: Dataset, shard: ShardEntry, rows: Mapping[str, NDArray[Any]]
) -> ShardEntry:
    """Writes rows in place of a shard, with its split, codecs, columns and source.

    What was derived of its rows is derived anew.
    """
    columns = {field.name: field.columns for field in shard.fields if field.columns}
    derived = any(name.startswith(PREFIX) for name in shard.statistics)
    return write_shard(
        dataset.shards,
        rows,
        split=shard.split,
        codec={name: encoding.codec for name, encoding in shard.encodings.items()},
        source=shard.source,
        columns=columns,
        statistics=measure_derived(dict(rows), columns) if derived else None,
    )


def _check_fields(shard: ShardEntry, rows: Rows) -> None:
    expected = {field.name: (field.dtype, field.shape) for field in shard.fields}
    got = {
        name: ("string" if array.dtype.kind == "T" else array.dtype.name, array.shape[1:])
        for name, array in rows.items()
    }
    if expected != got:
        raise InvalidInput(
            f"rows that replace others must have their fields, types and shapes: {expected}; got "
            f"{got}; convert them"
        )
