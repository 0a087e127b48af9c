"""Counts rows of one split of series that lie in time among those of another."""

from collections.abc import Iterator
from heapq import merge

import numpy as np
from numpy.typing import NDArray

from gates.engine.on_fail import BadRows
from gates.engine.report import MAX_ROWS_NAMED
from gates.engine.tables import Table, tabulate_counts
from gates.prepared.leakage import Spans, bound_rows, merge_spans
from storage.datasets.version import Version
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.row_ids import mix_keys
from storage.upkeep.duplicates import MOST_BYTES

AMONG = {"held_out": ("train", "validation"), "validation": ("train",)}
"""Of which splits no row may lie among those of a split."""
_SPAN_BYTES = 96  # entity, first and last time, as they are kept, joined and sorted
_WORDS = 1 << 64


def tabulate_time_leakage(version: Version, most_bytes: int = MOST_BYTES) -> Table:
    """Count the rows among `held_out` and among `validation` rows of their entity; name entities.

    Args:
        version: Prepared series.
        most_bytes: Memory that the spans of entities may take, beside one shard; more entities take
            further readings.
    """
    counts = dict.fromkeys(AMONG, 0)
    first: dict[str, list[int]] = {name: [] for name in AMONG}
    ranges = [(0, _WORDS - 1)]
    while ranges:
        low, high = ranges.pop()
        spans = _bound_splits(version, low, high, most_bytes)
        if spans is None:
            middle = (low + high) // 2
            ranges += [(low, middle), (middle + 1, high)]
            continue
        for inner, others in AMONG.items():
            leaked = _count_leaked(version, spans, inner, others, (low, high))
            counts[inner] += int(leaked.sum())
            if len(leaked):
                places = np.flatnonzero(leaked)[:MAX_ROWS_NAMED]
                entities = spans[inner].entities[places].tolist()
                first[inner] = list(merge(first[inner], entities))[:MAX_ROWS_NAMED]
    named = {name: [f"entity {entity:016x}" for entity in first[name]] for name in AMONG}
    found = {name: BadRows(counts[name], version.rows, named[name]) for name in AMONG}
    return tabulate_counts(**found)


def _bound_splits(
    version: Version, low: int, high: int, most_bytes: int
) -> dict[str, Spans] | None:
    """Find the spans of the entities of a range, by split; None where they are too many to hold."""
    found: dict[str, Spans] = {}
    for split in version.splits:
        kept: list[Spans] = []
        for entities, times in _iter_range(version, split, low, high):
            kept.append(bound_rows(entities, times))
            if sum(map(len, kept[1:])) > len(kept[0]):
                kept = [merge_spans(kept)]
            held = sum(map(len, found.values())) + len(kept[0])
            if held * _SPAN_BYTES > most_bytes and low < high:
                return None
        found[split] = merge_spans(kept)
    return found


def _count_leaked(
    version: Version,
    spans: dict[str, Spans],
    inner: str,
    others: tuple[str, ...],
    bounds: tuple[int, int],
) -> NDArray[np.int64]:
    """Count rows of other splits inside spans of one; without overlap nothing is read."""
    leaked = np.zeros(len(spans[inner]) if inner in spans else 0, np.int64)
    for other in others:
        if inner in spans and other in spans and spans[inner].has_leakage(spans[other]):
            for entities, times in _iter_range(version, other, *bounds):
                leaked += spans[inner].count_inside(entities, times)
    return leaked


def _iter_range(
    version: Version, split: str, low: int, high: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Read entities and times of rows whose entity's word lies between two bounds, inclusive."""
    for entry in version.iter_shards(split):
        rows = version.read_shard(entry, (SERIES_ID, TIME), verify=False)
        entities, times = rows[SERIES_ID], rows[TIME]
        if low or high < _WORDS - 1:
            words = mix_keys(entities.view(np.uint64), "entities")
            inside = (words >= np.uint64(low)) & (words <= np.uint64(high))
            entities, times = entities[inside], times[inside]
        yield entities, times
