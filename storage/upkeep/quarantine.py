"""Sets bad rows aside as a dataset of their own, and releases them again.

They keep a reason, their source and where they were.

A released row is remembered by its content, so that it is not set aside a second time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.base.errors import InvalidInput, NotFound
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.files import list_datasets
from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import CONTENT_HASH, ROW_ID, Rows
from storage.shards.writing import write_shard
from storage.upkeep.edits import delete_rows

SUFFIX = "-quarantine"
RELEASED = "-released"
REASON, SOURCE, ORIGIN = "quarantine_reason", "quarantine_source", "quarantine_origin"
_EXTRA = (REASON, SOURCE, ORIGIN)
_WITHOUT = "without quarantined rows of"


def name_quarantine(raw: str) -> str:
    """Return the name of the dataset that the bad rows of a raw dataset go to."""
    return raw.removesuffix("-raw") + SUFFIX


def set_aside(raw: Version, reasons: Mapping[int, str]) -> Version:
    """Copies rows of a raw version to its quarantine, and publishes a version without them.

    Args:
        raw: The raw version; the latest one of its dataset.
        reasons: What is wrong, by row id; at least one.

    Returns:
        The raw version without these rows.

    Raises:
        NotFound: A row is not in the latest version of the dataset.
    """
    source = Dataset(raw.dataset.workspace, raw.name)
    quarantine = Dataset(raw.dataset.workspace, name_quarantine(raw.name))
    ids = np.array(sorted(reasons), np.uint64)
    latest = quarantine.latest()
    held = (
        latest.read(fields=[ROW_ID])[ROW_ID]
        if latest is not None and latest.rows
        else np.zeros(0, np.uint64)
    )
    entries = [
        _copy_rows(raw, entry, np.setdiff1d(ids, held), reasons, quarantine) for entry in raw.shards
    ]
    found = [entry for entry in entries if entry is not None]
    info = {"raw": {"name": raw.name, "number": raw.number, "digest": raw.digest}}
    if not found:
        pass  # an earlier version of the same rows was here before
    elif latest is not None and latest.fields and latest.fields != found[0].fields:
        # The recipe's columns have changed: what lies there stays in the older versions.
        quarantine.replace(found, kind="quarantine", info=info)
    else:
        quarantine.append(found, info=info)
    return delete_rows(source, ids, message=f"{_WITHOUT} {raw.digest}")


def find_cleaned(raw: Version) -> Version:
    """Return the version without the quarantined rows of a raw version.

    The version itself if none were.
    """
    if Dataset(raw.dataset.workspace, name_quarantine(raw.name)).latest() is None:
        return raw
    for version in Dataset(raw.dataset.workspace, raw.name).iter_versions():
        if version.entry.message == f"{_WITHOUT} {raw.digest}":
            return version
    return raw


def list_quarantines(workspace: Store) -> dict[str, int]:
    """Counts the rows in quarantine now, by the raw dataset that they were taken from."""
    found = {}
    for name in list_datasets(workspace):
        if not name.endswith(SUFFIX):
            continue
        latest = Dataset(workspace, name).latest()
        if latest is not None:
            found[f"{name.removesuffix(SUFFIX)}-raw"] = latest.rows
    return found


def read_quarantine(workspace: Store, raw: str) -> Rows:
    """Reads all rows in the quarantine of a raw dataset.

    They have their fields, reason, source and origin.

    Raises:
        NotFound: Nothing was ever set aside.
    """
    latest = Dataset(workspace, name_quarantine(raw)).latest()
    if latest is None:
        raise NotFound(
            f"dataset {raw} must have a quarantine; got none in {workspace.display}; a recipe sets "
            "rows aside with on_fail: {quarantine: {max_fraction: 0.01}}"
        )
    return latest.read() if latest.rows else {ROW_ID: np.zeros(0, np.uint64)}


def release_rows(workspace: Store, raw: str, row_ids: Sequence[int]) -> int:
    """Takes rows out of the quarantine; returns how many there were.

    The next version that holds them keeps them.

    Raises:
        NotFound: A row is not in the quarantine.
    """
    if not row_ids:
        raise InvalidInput(
            "rows to release must be named, at least one; got none; `lepton quarantine list` "
            "lists them"
        )
    rows = read_quarantine(workspace, raw)
    wanted = np.isin(rows[ROW_ID], np.array(row_ids, np.uint64))
    missing = sorted(set(row_ids) - set(rows[ROW_ID][wanted].tolist()))
    if missing:
        raise NotFound(
            f"rows {missing[:20]} must be in the quarantine of {raw}; they are not; list what is"
        )
    kept = {name: rows[name][wanted] for name in (ROW_ID, CONTENT_HASH, REASON)}
    released = Dataset(workspace, raw.removesuffix("-raw") + RELEASED)
    released.append(
        [write_shard(released.shards, kept)], message=f"released {int(wanted.sum())} rows"
    )
    quarantine = Dataset(workspace, name_quarantine(raw))
    delete_rows(quarantine, sorted(set(row_ids)), message="released")
    return int(wanted.sum())


def find_released(raw: Version, row_ids: Sequence[int]) -> set[int]:
    """Return those of the rows of a version that were released before, by what they hold."""
    latest = Dataset(raw.dataset.workspace, raw.name.removesuffix("-raw") + RELEASED).latest()
    if latest is None or not row_ids:
        return set()
    known = {tuple(pair) for pair in latest.read(fields=[CONTENT_HASH])[CONTENT_HASH].tolist()}
    found: set[int] = set()
    ids = np.array(list(row_ids), np.uint64)
    for entry in raw.shards:
        rows = raw.read_shard(entry, (ROW_ID, CONTENT_HASH))
        here = np.isin(rows[ROW_ID], ids)
        pairs = zip(rows[ROW_ID][here].tolist(), rows[CONTENT_HASH][here].tolist(), strict=True)
        found |= {row for row, content in pairs if tuple(content) in known}
    return found


def _copy_rows(
    raw: Version,
    entry: ShardEntry,
    ids: NDArray[np.uint64],
    reasons: Mapping[int, str],
    quarantine: Dataset,
) -> ShardEntry | None:
    """Writes the bad rows of one shard to the quarantine; None if it has none."""
    here = np.isin(raw.read_shard(entry, (ROW_ID,))[ROW_ID], ids)
    if not here.any():
        return None
    rows = {name: values[here] for name, values in read_shard(raw.dataset.shards, entry).items()}
    text = np.dtypes.StringDType()
    rows[REASON] = np.array([reasons[row] for row in rows[ROW_ID].tolist()], text)
    rows[SOURCE] = np.array(
        [name_source(entry, place) for place in np.flatnonzero(here).tolist()], text
    )
    rows[ORIGIN] = np.array([raw.ref] * len(rows[ROW_ID]), text)
    columns = {field.name: field.columns for field in entry.fields if field.columns}
    return write_shard(
        quarantine.shards, rows, split=entry.split, source=entry.source, columns=columns
    )


def name_source(entry: ShardEntry, place: int) -> str:
    """Return the file, and the record if known, that the row at a place of a shard is from."""
    names = sorted({span.name for span in entry.source})
    if len(entry.source) == 1 and entry.source[0].stop - entry.source[0].start == entry.rows:
        return f"{names[0]}:{entry.source[0].start + place}"
    return ", ".join(names)


def describe_rows(rows: Mapping[str, NDArray[Any]]) -> list[dict[str, str]]:
    """Return one record a row in quarantine: row_id, reason, source, origin."""
    listed = zip(rows[ROW_ID].tolist(), *(rows.get(name, []) for name in _EXTRA), strict=False)
    return [
        {
            "row_id": f"0x{row:016x}",
            "reason": str(reason),
            "source": str(source),
            "origin": str(origin),
        }
        for row, reason, source, origin in listed
    ]
