"""Tells rows of a version that the accepted one does not have, or has with other values."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from storage.datasets.version import Version
from storage.forms.columns import SERIES_ID, TIME
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import CONTENT_HASH, LABEL, ROW_ID, VALID_SUFFIX, mix_keys
from storage.upkeep.duplicates import MOST_BYTES
from tasks.forms.columns import find_present

NEW, SAME, CHANGED = 0, 1, 2
_HELD_BYTES = 48  # identity and content of a row, as they are joined and ordered
_WORDS = 1 << 64
_IN_PLACE = 0.5
"""Which share of known rows must be the same for the places of a source to mean anything."""
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class KnownRows:
    """Holds what each row of a version is to the accepted one.

    Attributes:
        states: (N,) `NEW`, `SAME` or `CHANGED` of each row, by shard.
        accepted: Rows of the accepted version.
        moved: Whether the places of the source mean nothing, so that no row is called changed.
    """

    states: tuple[NDArray[np.int8], ...]
    accepted: int
    moved: bool

    def count(self, state: int) -> int:
        """Count the rows of a state."""
        return sum(int((found == state).sum()) for found in self.states)


def find_known(
    accepted: Version, current: Version, *, ordered: bool, most_bytes: int = MOST_BYTES
) -> KnownRows:
    """Find which rows are new, the same or changed.

    A row of series is known by its entity and time, another one by its place in the source. Where
    most places hold other rows than before, rows are known by what they hold.

    Args:
        accepted: The accepted version.
        current: The version that is judged.
        ordered: Whether the rows are series.
        most_bytes: Memory that the accepted version's keys may take; more of them take further
            readings.
    """
    states = _compare(accepted, current, "time" if ordered else "place", most_bytes)
    found = KnownRows(states, accepted.rows, moved=False)
    known = found.count(SAME) + found.count(CHANGED)
    if ordered or not known or found.count(SAME) >= _IN_PLACE * known:
        return found
    return KnownRows(_compare(accepted, current, "content", most_bytes), accepted.rows, moved=True)


def _compare(
    accepted: Version, current: Version, by: str, most_bytes: int
) -> tuple[NDArray[np.int8], ...]:
    states = [np.zeros(entry.rows, np.int8) for entry in current.shards]
    ranges = max(1, -(-accepted.rows * _HELD_BYTES // most_bytes))
    bounds = [number * _WORDS // ranges for number in range(ranges)] + [_WORDS]
    for low, high in pairwise(bounds):
        names, contents = _gather(accepted, by, low, high)
        for number, entry in enumerate(current.shards):
            asked, held = _read_keys(current, entry, by)
            inside = _is_inside(asked, low, high)
            if not len(names) or not inside.any():
                continue
            slots = np.searchsorted(names, asked).clip(0, len(names) - 1)
            hit = inside & (names[slots] == asked)
            states[number][hit] = np.where(contents[slots[hit]] == held[hit], SAME, CHANGED)
    return tuple(states)


def _gather(version: Version, by: str, low: int, high: int) -> tuple[Words, Words]:
    """Gather identities in a range, ascending, and contents beside them."""
    names, contents = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for entry in version.shards:
        found, held = _read_keys(version, entry, by)
        inside = _is_inside(found, low, high)
        names.append(found[inside])
        contents.append(held[inside])
    joined, beside = np.concatenate(names), np.concatenate(contents)
    order = np.argsort(joined, kind="stable")
    return joined[order], beside[order]


def _is_inside(words: Words, low: int, high: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (words >= np.uint64(low)) & (words <= np.uint64(high - 1))
    return inside


def _read_keys(version: Version, entry: ShardEntry, by: str) -> tuple[Words, Words]:
    """Read what rows are known by, and what they hold, their label included."""
    known = {field.name for field in version.fields}
    named = [name for name in (SERIES_ID, TIME) if name in known] if by == "time" else [ROW_ID]
    beside = (CONTENT_HASH, LABEL, LABEL + VALID_SUFFIX, TIME + VALID_SUFFIX)
    asked = {*named, *beside} & known
    rows = version.read_shard(entry, sorted(asked), verify=False)
    held = rows[CONTENT_HASH][:, 0].astype(np.uint64)
    if by == "content":
        return held, held
    if LABEL in rows:
        label = np.where(find_present(rows, LABEL), rows[LABEL].astype(np.int64), -(1 << 40))
        held = held ^ mix_keys(label.view(np.uint64), "label")
    words = np.zeros(entry.rows, np.uint64)
    for name in named:
        words = mix_keys(words ^ rows[name].view(np.uint64), name)
    if by == "time":
        # Without a time a row is known by what it holds.
        words = np.where(find_present(rows, TIME), words, mix_keys(held, "undated"))
    return words, held
