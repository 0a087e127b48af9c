"""Finds the bad rows of a failed raw check, shard by shard, to be named and set aside."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gates.engine.on_fail import BadRows
from gates.engine.report import Check
from gates.raw.check_names import DUPLICATES, REPEATED, UNSORTED
from gates.specs.raw import RawGate
from storage.base.parallel import TaskClient, map_in_order
from storage.base.store import Store
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.entry import ShardEntry
from storage.shards.reading import read_shard
from storage.shards.row_ids import ROW_ID, VALID_SUFFIX
from storage.upkeep.duplicates import iter_duplicates, iter_equal_rows
from tasks.data.row_names import name_rows
from tasks.forms.base import Mask, RowMarker
from tasks.forms.columns import find_present
from tasks.forms.registry import find_task_form


def count_bad_rows(
    check: Check,
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    client: TaskClient | None = None,
) -> BadRows:
    """Count the rows that a failed check is about, and name the first of them."""
    return name_rows(version, iter_bad_rows(check, version, data, limits, client))


def explain_bad_rows(
    checks: Iterable[Check],
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    client: TaskClient | None = None,
) -> dict[int, str]:
    """Explain what is wrong with each row that these failed checks are about, by its id."""
    reasons: dict[int, list[str]] = {}
    for check in checks:
        for number, places in iter_bad_rows(check, version, data, limits, client):
            entry = version.shards[number]
            ids = (
                version.read_shard(entry, (ROW_ID,), verify=False)[ROW_ID]
                if len(places)
                else np.zeros(0)
            )
            for row in ids[places].tolist() if len(places) else ():
                reasons.setdefault(row, []).append(f"{check.rule} on {check.about}")
    return {row: "; ".join(dict.fromkeys(why)) for row, why in reasons.items()}


def iter_bad_rows(
    check: Check,
    version: Version,
    data: RowsSpec,
    limits: RawGate,
    client: TaskClient | None = None,
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Find numbers of shards, with the places of their rows that a failed check is about."""
    about = check.about
    if about == DUPLICATES:
        yield from iter_duplicates(version)
    elif about == REPEATED:
        yield from iter_equal_rows(version, (SERIES_ID, TIME))
    elif about == UNSORTED:
        yield from iter_unsorted(version)
    else:
        marker = find_task_form(data).find_marker(about, version, data, limits)
        if marker is not None:
            work = partial(mark_shard, shards=version.dataset.shards, marker=marker)
            yield from enumerate(map_in_order(work, version.shards, client))


def mark_shard(entry: ShardEntry, shards: Store, marker: RowMarker) -> NDArray[np.intp]:
    """Find the places of one shard's rows that a marker marks; runs on a worker."""
    known = {field.name for field in entry.fields}
    masked = [field for name in marker.fields for field in (name, name + VALID_SUFFIX)]
    needed = [name for name in masked if name in known]
    rows = read_shard(shards, entry, (ROW_ID, *needed), verify=False)
    return np.flatnonzero(marker.mark(rows))


def iter_unsorted(version: Version) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Find, by shard, the rows of series that lie in time before an earlier row of their entity.

    Rows without a time are passed over. One shard is read at a time; the latest time of each entity
    is carried on.
    """
    known = {field.name for field in version.fields}
    wanted = [name for name in (SERIES_ID, TIME, TIME + VALID_SUFFIX) if name in known]
    latest: tuple[NDArray[np.int64], NDArray[np.int64]] = (
        np.zeros(0, np.int64),
        np.zeros(0, np.int64),
    )
    for number, entry in enumerate(version.shards):
        rows = version.read_shard(entry, wanted, verify=False)
        dated = find_present(rows, TIME)
        entities = np.concatenate([latest[0], rows[SERIES_ID][dated]])
        times = np.concatenate([latest[1], rows[TIME][dated]])
        late, latest = _find_late(entities, times)
        yield number, np.flatnonzero(dated)[late[len(late) - int(dated.sum()) :]]


def _find_late(
    entities: NDArray[np.int64], times: NDArray[np.int64]
) -> tuple[Mask, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Find rows that lie before an earlier one of their entity, and the latest time of each."""
    order = np.argsort(entities, kind="stable")
    moments, rank = np.unique(times, return_inverse=True)
    names, number = np.unique(entities[order], return_inverse=True)
    place = number * len(moments) + rank[order]
    furthest = np.maximum.accumulate(place) if len(place) else place
    late = np.zeros(len(times), np.bool_)
    late[order] = place < furthest
    last = np.flatnonzero(np.diff(number, append=len(names)))
    return late, (names, moments[furthest[last] % max(1, len(moments))])
