"""Walks entity and time of all rows of series in order, in bounded memory.

One stretch comes after the other, whatever order the rows have.

A reading of the shards keeps the first moments that fit, in order, and lets go of later ones; the
next reading begins where the last one ended, and passes over shards that end before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.shards.entry import ShardEntry

MOST_BYTES = 256 << 20
# Entity, time and counts, as they are kept, joined and ordered; and a step, as it is counted.
_MOMENT_BYTES = 256

Moment = tuple[int, int]
"""Entity and time."""
Numbers = NDArray[np.int64]
ReadMoments = Callable[[ShardEntry], tuple[Numbers, Numbers, Numbers]]
"""Gives entity, time and group, from 0, of the rows of a shard that have a time."""


@dataclass(frozen=True)
class Stretch:
    """Moments in order, each once.

    Attributes:
        entities: Shape (M,), ascending.
        times: Shape (M,), nanoseconds since 1970, ascending inside an entity.
        counts: Rows of each group at the moment, shape (M, groups).
    """

    entities: Numbers
    times: Numbers
    counts: Numbers

    def __len__(self) -> int:
        return len(self.times)

    def take(self, places: NDArray[np.intp] | slice) -> "Stretch":
        """Return some of the moments."""
        return Stretch(self.entities[places], self.times[places], self.counts[places])

    def is_after(self, moment: Moment) -> NDArray[np.bool_]:
        """Return which moments come after one."""
        same, later = self.entities == moment[0], self.times > moment[1]
        found: NDArray[np.bool_] = (self.entities > moment[0]) | (same & later)
        return found

    @property
    def last(self) -> Moment:
        """The last moment."""
        return int(self.entities[-1]), int(self.times[-1])


class Timeline:
    """The moments of all rows of some shards.

    Args:
        entries: The shards.
        read: Reads what is needed of one.
        groups: Number of groups that rows are counted by.
        most_bytes: Memory to take, beside one shard.
    """

    def __init__(
        self,
        entries: Sequence[ShardEntry],
        read: ReadMoments,
        groups: int = 1,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._entries, self._read, self._groups = entries, read, groups
        self._most = max(2, most_bytes // _MOMENT_BYTES)
        self._ends: dict[int, Moment] = {}
        self._whole: Stretch | None = None

    @property
    def most(self) -> int:
        """Moments that a stretch may have."""
        return self._most

    def __iter__(self) -> Iterator[Stretch]:
        """Yield the stretches, in order. If there is one only, it is read once."""
        if self._whole is not None:
            yield from [self._whole] if len(self._whole) else []
            return
        after: Moment | None = None
        more = True
        while more:
            stretch, more = self._read_stretch(after)
            if after is None and not more:
                self._whole = stretch
            if len(stretch):
                yield stretch
                after = stretch.last

    def _read_stretch(self, after: Moment | None) -> tuple[Stretch, bool]:
        """Return the next moments, and whether there are later ones."""
        kept = [_count_rows(*(np.zeros(0, np.int64),) * 3, self._groups)]
        until: Moment | None = None
        for number, entry in enumerate(self._entries):
            if after is not None and number in self._ends and self._ends[number] <= after:
                continue
            found = _count_rows(*self._read(entry), self._groups)
            if len(found):
                self._ends[number] = found.last
            if after is not None:
                found = found.take(np.flatnonzero(found.is_after(after)))
            if until is not None:
                found = found.take(np.flatnonzero(~found.is_after(until)))
            kept.append(found)
            if sum(map(len, kept[1:])) > len(kept[0]):
                kept = [_join(kept)]
            if len(kept[0]) > self._most:
                kept = [kept[0].take(slice(self._most // 2))]
                until = kept[0].last
        return _join(kept), until is not None


def _count_rows(entities: Numbers, times: Numbers, groups: Numbers, count: int) -> Stretch:
    counts = np.zeros((len(times), count), np.int64)
    counts[np.arange(len(times)), groups] = 1
    return _order(Stretch(entities, times, counts))


def _join(parts: Sequence[Stretch]) -> Stretch:
    if len(parts) == 1:
        return parts[0]
    arrays = [[getattr(part, name) for part in parts] for name in ("entities", "times", "counts")]
    return _order(Stretch(*(np.concatenate(found) for found in arrays)))


def _order(moments: Stretch) -> Stretch:
    """Return moments in order, those that are there several times added up."""
    if not len(moments):
        return moments
    same = moments.entities[1:] == moments.entities[:-1]
    rises = moments.entities[1:] > moments.entities[:-1]
    if bool((rises | (same & (moments.times[1:] > moments.times[:-1]))).all()):
        return moments
    ordered = moments.take(np.lexsort((moments.times, moments.entities)))
    new = np.ones(len(ordered), np.bool_)
    new[1:] = (ordered.entities[1:] != ordered.entities[:-1]) | (
        ordered.times[1:] != ordered.times[:-1]
    )
    starts = np.flatnonzero(new)
    return Stretch(
        ordered.entities[starts],
        ordered.times[starts],
        np.add.reduceat(ordered.counts, starts, axis=0),
    )
