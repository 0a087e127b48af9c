"""Rows that repeat an earlier one, found in bounded memory: keys are compared in as many passes as the budget asks for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.rows import CONTENT_HASH, ROW_ID, VALID_SUFFIX, Rows, mix_keys
from storage.snapshot import Version

MOST_BYTES = 256 << 20
_ROW_BYTES = 64  # two words of key, the id, and what sorting takes


def find_duplicates(version: Version, most_bytes: int = MOST_BYTES) -> NDArray[np.uint64]:
    """Ids of rows with the content of an earlier row of their split, ascending."""
    found = [find_repeats(version, (CONTENT_HASH,), split, most_bytes) for split in version.splits]
    return np.sort(np.concatenate([np.zeros(0, np.uint64), *found]))


def find_repeats(
    version: Version, fields: Sequence[str], split: str | None = None, most_bytes: int = MOST_BYTES
) -> NDArray[np.uint64]:
    """Ids of rows with the values of an earlier row, ascending; rows that lack one of the values repeat nothing.

    Every pass reads the fields of all shards, and holds the rows of one part of the keys.

    Args:
        version: Of any dataset with row ids.
        fields: Of eight-byte values, two in all.
        split: The rows to compare; None for all of them together.
        most_bytes: Memory that a pass may take, beside one shard.
    """
    rows = sum(entry.rows for entry in version.iter_shards(split))
    passes = max(1, -(-rows * _ROW_BYTES // most_bytes))
    found = [_find_part(version, fields, split, number, passes) for number in range(passes)]
    return np.sort(np.concatenate(found))


def _find_part(
    version: Version, fields: Sequence[str], split: str | None, number: int, passes: int
) -> NDArray[np.uint64]:
    """Ids of the repeats among the rows of one part of the keys."""
    known = {field.name for field in version.fields}
    masks = [name + VALID_SUFFIX for name in fields if name + VALID_SUFFIX in known]
    ids: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    keys: list[NDArray[np.uint64]] = [np.zeros((0, 2), np.uint64)]
    for entry in version.iter_shards(split):
        rows = version.read_shard(entry, (ROW_ID, *fields, *masks), verify=False)
        key = _join_fields(rows, fields)
        chosen = np.logical_and.reduce([rows[mask] for mask in masks]) if masks else np.ones(entry.rows, np.bool_)
        if passes > 1:
            chosen = chosen & (mix_keys(key, "repeats") % np.uint64(passes) == number)
        ids.append(rows[ROW_ID][chosen])
        keys.append(key[chosen])
    joined = np.concatenate(keys)
    order = np.lexsort((joined[:, 1], joined[:, 0]))  # stable: of equal keys the first row stays first
    ordered = joined[order]
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    repeated: NDArray[np.uint64] = np.concatenate(ids)[order[1:][same]]
    return repeated


def _join_fields(rows: Rows, fields: Sequence[str]) -> NDArray[np.uint64]:
    columns = [np.ascontiguousarray(rows[name]).reshape(len(rows[name]), -1).view(np.uint64) for name in fields]
    return np.concatenate(columns, axis=1)
