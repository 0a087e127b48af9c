"""Names rows for people: by shard, place in it, the row's id and the file it came from."""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from gates.engine.on_fail import BadRows
from gates.engine.report import MAX_ROWS_NAMED
from storage.datasets.version import Version
from storage.shards.row_ids import ROW_ID
from storage.upkeep.quarantine import name_source


def name_rows(version: Version, found: Iterable[tuple[int, NDArray[np.intp]]]) -> BadRows:
    """Count rows of a version and name the first ones.

    Args:
        version: The version that they are of.
        found: Numbers of shards and places in them, in any order of the shards.
    """
    count = 0
    first: list[tuple[int, int]] = []
    for number, places in found:
        count += len(places)
        more = [(number, place) for place in places[:MAX_ROWS_NAMED].tolist()]
        first = sorted([*first, *more])[:MAX_ROWS_NAMED]
    names: list[str] = []
    for number, group in groupby(first, key=itemgetter(0)):
        names += _name_places(version, number, [place for _, place in group])
    return BadRows(count, version.rows, names)


def _name_places(version: Version, number: int, places: list[int]) -> list[str]:
    entry = version.shards[number]
    ids = version.read_shard(entry, (ROW_ID,), verify=False)[ROW_ID]
    split = f"split {entry.split} " if entry.split else ""
    names = []
    for place in places:
        source = f" source {name_source(entry, place)}" if entry.source else ""
        names.append(f"shard {entry.digest[:12]} row {place} {split}row_id {ids[place]}{source}")
    return names


def name_unread(version: Version) -> BadRows:
    """Count records of the source that could not be read, and say why for the first."""
    count = int(version.info.get("fault_count", 0))
    first = version.info.get("faults", [])[:MAX_ROWS_NAMED]
    names = tuple(f"{fault['name']} {fault['reason']}" for fault in first)
    return BadRows(count, version.rows + count, names)
