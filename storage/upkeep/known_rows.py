"""Counts the rows of one version that are known from others, in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from storage.datasets.version import Version
from storage.shards.entry import ShardEntry
from storage.shards.row_ids import CONTENT_HASH, ROW_ID
from storage.upkeep.duplicates import MOST_BYTES, Keys, ReadKeys, read_keys

_HELD_BYTES = 112  # a key, as it is joined, ordered and counted


@dataclass(frozen=True)
class Keyed:
    """Shards of one version, and what makes the keys of their rows."""

    shards: Sequence[ShardEntry]
    read: ReadKeys


def key_contents(version: Version, splits: Sequence[str]) -> Keyed:
    """Return the rows of some splits by their contents."""
    return _key_field(version, splits, CONTENT_HASH)


def key_places(version: Version, splits: Sequence[str]) -> Keyed:
    """Return the rows of some splits by where in their source they came from."""
    return _key_field(version, splits, ROW_ID)


def _key_field(version: Version, splits: Sequence[str], field: str) -> Keyed:
    read = partial(read_keys, version=version, fields=(field,))
    return Keyed([entry for entry in version.shards if entry.split in splits], read)


def count_known(asked: Keyed, among: Sequence[Keyed], most_bytes: int = MOST_BYTES) -> int:
    """Counts the rows that have the key of a row among others, of any version.

    The keys of as many shards as fit are held at a time, and the others are read once for them.
    """
    total = 0
    held: list[Keys] = []
    for number, entry in enumerate(asked.shards):
        held.append(asked.read(entry)[0])
        size = sum(len(keys) for keys in held) * _HELD_BYTES
        following = asked.shards[number + 1 :][:1]
        if not following or size + following[0].rows * _HELD_BYTES > most_bytes:
            others = (part.read(other)[0] for part in among for other in part.shards)
            total += _count_hits(np.concatenate(held), others)
            held = []
    return total


def _count_hits(asked: Keys, others: Iterator[Keys]) -> int:
    """Return how many keys are among others."""
    ordered = asked[np.lexsort((asked[:, 1], asked[:, 0]))]
    new = np.ones(len(ordered), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    unique, counts = ordered[new], np.diff([*np.flatnonzero(new), len(ordered)])
    hit = np.zeros(len(unique), np.bool_)
    longest = int(np.unique(unique[:, 0], return_counts=True)[1].max(initial=0))
    for keys in others:
        start = np.searchsorted(unique[:, 0], keys[:, 0])
        for step in range(longest):
            slots = np.minimum(start + step, len(unique) - 1)
            hit[slots[(unique[slots] == keys).all(axis=1)]] = True
    return int(counts[hit].sum())
