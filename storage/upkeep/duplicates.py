"""Rows that share a key with others, found in bounded memory however many rows there are.

Keys are compared one range of them after the other. A range is read for its keys' words, eight
bytes a row, and only for words that occur twice is it read again: most data cost one reading, and
what stays in memory is a word a row of a range.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import count

import numpy as np
from numpy.typing import NDArray

from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import CONTENT_HASH, VALID_SUFFIX, mix_keys

MOST_BYTES = 256 << 20
# A word, as read and joined; or a word that occurs twice, its key, and what is noted of it.
_ROW_BYTES = 48

Keys = NDArray[np.uint64]
Places = NDArray[np.intp]
Numbered = Sequence[tuple[int, ShardEntry]]
"""Shards with their numbers in the version."""
ReadKeys = Callable[[ShardEntry], tuple[Keys, Places]]
"""Gives the keys, (M, 2), of the rows of a shard that have one, and their places, ascending."""


def read_keys(entry: ShardEntry, version: Version, fields: Sequence[str]) -> tuple[Keys, Places]:
    """Reads the keys of the rows of a shard that lack none of the fields.

    These have eight bytes each, or sixteen in all.
    """
    known = {field.name for field in entry.fields}
    masks = [name + VALID_SUFFIX for name in fields if name + VALID_SUFFIX in known]
    rows = version.read_shard(entry, (*fields, *masks), verify=False)
    words = [
        np.ascontiguousarray(rows[name]).reshape(entry.rows, -1).view(np.uint64) for name in fields
    ]
    keys = words[0] if len(words) == 1 else np.concatenate(words, axis=1)
    if tuple(fields) != (CONTENT_HASH,):
        # With one of two columns a mixture of both tells the other; the mixture of one column tells
        # it.
        keys = np.stack([mix_keys(keys, "repeats"), keys[:, 0]], axis=1)
    if not masks:
        return keys, np.arange(entry.rows)
    places = np.flatnonzero(np.logical_and.reduce([rows[mask] for mask in masks]))
    return keys[places], places


def iter_equal_rows(
    version: Version, fields: Sequence[str], split: str | None = None, most_bytes: int = MOST_BYTES
) -> Iterator[tuple[int, Places]]:
    """Yield rows with the values of an earlier row.

    Rows that lack one of the values are no duplicates.

    Args:
        version: Of any dataset.
        fields: Of eight-byte values, two in all.
        split: The rows to compare; None for all of them together.
        most_bytes: Memory to take, beside one shard.

    Yields:
        Number of a shard and places in it, ascending; a shard comes once for every range of keys
        with duplicates in it.
    """
    entries = _list_shards(version, split)
    for part in _cut_ranges(
        entries, partial(read_keys, version=version, fields=fields), most_bytes
    ):
        table = part.find_table()
        seen = np.zeros(len(table.words), np.bool_)
        for number, places, slots in part.iter_slots(table):
            later = seen[slots]
            later |= _mark_later(slots)
            seen[slots] = True
            yield number, places[later]


def count_duplicates(version: Version) -> int:
    """Counts the rows with the content of an earlier row of their split.

    Their hashes are read for it, once for a version.
    """
    return _count_duplicates(version, version.manifest_digest)


# By the manifest too: a purge changes what stands in for a version's rows.
@lru_cache(maxsize=4)
def _count_duplicates(version: Version, manifest_digest: str) -> int:
    del manifest_digest
    return sum(len(places) for _, places in iter_duplicates(version))


def iter_duplicates(version: Version, most_bytes: int = MOST_BYTES) -> Iterator[tuple[int, Places]]:
    """Yield rows with the content of an earlier row of their split.

    As `iter_equal_rows` gives them.
    """
    for split in version.splits:
        yield from iter_equal_rows(version, (CONTENT_HASH,), split, most_bytes)


def iter_alike(
    version: Version, fields: Sequence[str], most_bytes: int = MOST_BYTES
) -> Iterator[tuple[int, Places]]:
    """Yield all rows, the first ones too, with the values of another row.

    As `iter_equal_rows` gives them.
    """
    for part in _cut_ranges(
        _list_shards(version, None), partial(read_keys, version=version, fields=fields), most_bytes
    ):
        for number, places, _ in part.iter_slots(part.find_table()):
            yield number, places


def iter_shared(
    version: Version,
    read: ReadKeys | None = None,
    splits: Sequence[str] | None = None,
    most_bytes: int = MOST_BYTES,
) -> Iterator[tuple[int, Places, Keys]]:
    """Yield, of the rows with a key that several splits have, the first one of each split.

    Args:
        version: Of any dataset.
        read: What makes the keys; None for the contents.
        splits: The splits to compare, at most 64; None for all.
        most_bytes: Memory to take, beside one shard.

    Yields:
        Number of a shard, places in it, ascending, and numbers that are equal where the keys are,
        and ascend with them.
    """
    names = list(version.splits if splits is None else splits)
    entries = [
        (number, entry) for number, entry in enumerate(version.shards) if entry.split in names
    ]
    bits = {number: np.uint64(1 << names.index(entry.split)) for number, entry in entries}
    read = read or partial(read_keys, version=version, fields=(CONTENT_HASH,))
    for part in _cut_ranges(entries, read, most_bytes):
        table = part.find_table()
        held, told = np.zeros(len(table.words), np.uint64), np.zeros(len(table.words), np.uint64)
        for number, _, slots in part.iter_slots(table):
            held[slots] |= bits[number]
        shared = (held & (held - np.uint64(1))) != 0
        for number, places, slots in part.iter_slots(table) if shared.any() else ():
            first = shared[slots] & ((told[slots] & bits[number]) == 0) & ~_mark_later(slots)
            told[slots] |= bits[number]
            yield number, places[first], table.words[slots[first]]


def _list_shards(version: Version, split: str | None) -> list[tuple[int, ShardEntry]]:
    return [
        (number, entry)
        for number, entry in enumerate(version.shards)
        if split in (None, entry.split)
    ]


def _cut_ranges(entries: Numbered, read: ReadKeys, most_bytes: int) -> Iterator["_Range"]:
    rows = sum(entry.rows for _, entry in entries)
    parts = max(1, -(-rows * _ROW_BYTES // most_bytes))
    for number in range(parts):
        low, high = ((1 << 64) * bound // parts for bound in (number, number + 1))
        yield _Range(entries, read, low, high - 1, rows // parts * 5 // 4)


def _mark_later(slots: Places) -> NDArray[np.bool_]:
    """Return which rows of a shard are not the first of their slot."""
    later = np.ones(len(slots), np.bool_)
    later[np.unique(slots, return_index=True)[1]] = False
    return later


@dataclass(frozen=True)
class _Table:
    """Keys that several rows of a range have, by their words, which ascend."""

    words: Keys
    keys: Keys
    attempt: int


@dataclass(frozen=True)
class _Range:
    """The rows of which the first half of the key lies between two bounds, both inclusive."""

    entries: Numbered
    read: ReadKeys
    low: int
    high: int
    usual_rows: int

    def find_table(self) -> _Table:
        """Finds the keys that several rows have.

        Different keys with one word are told apart by other words.
        """
        for attempt in count():
            words = self._find_words(attempt)
            table = _Table(words, np.zeros((len(words), 2), np.uint64), attempt)
            if self._fill(table):
                return table
        raise AssertionError

    def iter_slots(self, table: _Table) -> Iterator[tuple[int, Places, Places]]:
        """Yield each shard's number, its places with a key of the table, and that key's place."""
        for number, _, places, slots in self._iter_found(table):
            yield number, places, slots

    def _iter_found(self, table: _Table) -> Iterator[tuple[int, Keys, Places, Places]]:
        for number, keys, places in self._iter_keys() if len(table.words) else ():
            words = _make_words(keys, table.attempt)
            slots = np.minimum(np.searchsorted(table.words, words), len(table.words) - 1)
            found = table.words[slots] == words
            if found.any():
                yield number, keys[found], places[found], slots[found]

    def _iter_keys(self) -> Iterator[tuple[int, Keys, Places]]:
        for number, entry in self.entries:
            keys, places = self.read(entry)
            if self.low or self.high < (1 << 64) - 1:
                inside = (keys[:, 0] >= np.uint64(self.low)) & (keys[:, 0] <= np.uint64(self.high))
                keys, places = keys[inside], places[inside]
            yield number, keys, places

    def _find_words(self, attempt: int) -> Keys:
        """Return the words that occur twice, ascending."""
        once = twice = np.zeros(0, np.uint64)
        fresh: list[Keys] = []
        for _, keys, _ in self._iter_keys():
            fresh.append(_make_words(keys, attempt))
            # More rows than usual have the same few words.
            if sum(map(len, fresh)) > max(self.usual_rows, len(once)):
                once, twice = _count_words(once, twice, fresh)
                fresh = []
        return _count_words(once, twice, fresh)[1]

    def _fill(self, table: _Table) -> bool:
        """Notes the key of each word; false where two keys have one."""
        known = np.zeros(len(table.words), np.bool_)
        for _, keys, _, slots in self._iter_found(table):
            fresh = ~known[slots]
            table.keys[slots[fresh]] = keys[fresh]
            known[slots] = True
            if not np.array_equal(table.keys[slots], keys):
                return False
        return True


def _count_words(once: Keys, twice: Keys, fresh: list[Keys]) -> tuple[Keys, Keys]:
    """Return all words, and those that occurred twice, ascending."""
    words = np.concatenate([once, *fresh])
    fresh.clear()
    words.sort()
    again = words[1:] == words[:-1]
    if not again.any():
        return words, twice
    return np.unique(words), np.union1d(twice, words[1:][again])


def _make_words(keys: Keys, attempt: int) -> Keys:
    return np.ascontiguousarray(keys[:, 0]) if not attempt else mix_keys(keys, f"repeats:{attempt}")
