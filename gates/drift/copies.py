"""Finds whole days of one entity that stand under another entity's name as well."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FEWEST_ROWS = 6


@dataclass(frozen=True)
class DayPrints:
    """What each day of each entity holds, as one number; everything merges.

    Attributes:
        keys: (G, 2) entity and block of time, ascending.
        prints: (G,) uint64 sums of the rows' hashes, of time and measurements.
        rows: (G,) rows.
        low: (G,) uint64 lowest hash of a row's measurements.
        high: (G,) the highest; the same where the entity stands still.
    """

    keys: "np.ndarray[Any, Any]"
    prints: "np.ndarray[Any, Any]"
    rows: "np.ndarray[Any, Any]"
    low: "np.ndarray[Any, Any]"
    high: "np.ndarray[Any, Any]"

    def merge(self, other: "DayPrints") -> "DayPrints":
        """Return what both hold."""
        import numpy as np

        def join(name: str) -> "np.ndarray[Any, Any]":
            return np.concatenate([getattr(self, name), getattr(other, name)])

        return _group(join("keys"), join("prints"), join("rows"), join("low"), join("high"))


def print_days(
    entities: "np.ndarray[Any, Any]",
    blocks: "np.ndarray[Any, Any]",
    prints: "np.ndarray[Any, Any]",
    measured: "np.ndarray[Any, Any]",
) -> DayPrints:
    """Return what the days of some rows hold.

    Args:
        entities: (N,) of each row.
        blocks: (N,) block of time of each row.
        prints: (N,) uint64 hashes of time and measurements.
        measured: (N,) uint64 hashes of measurements alone.
    """
    import numpy as np

    keys = np.stack([entities, blocks], axis=1)
    return _group(keys, prints, np.ones(len(keys), np.int64), measured, measured)


def _group(
    keys: "np.ndarray[Any, Any]",
    prints: "np.ndarray[Any, Any]",
    rows: "np.ndarray[Any, Any]",
    low: "np.ndarray[Any, Any]",
    high: "np.ndarray[Any, Any]",
) -> DayPrints:
    import numpy as np

    unique, place = np.unique(keys, axis=0, return_inverse=True)
    place = place.reshape(-1)
    total, counts = np.zeros(len(unique), np.uint64), np.zeros(len(unique), np.int64)
    lowest = np.full(len(unique), np.iinfo(np.uint64).max, np.uint64)
    highest = np.zeros(len(unique), np.uint64)
    np.add.at(total, place, prints)
    np.add.at(counts, place, rows)
    np.minimum.at(lowest, place, low)
    np.maximum.at(highest, place, high)
    return DayPrints(unique, total, counts, lowest, highest)


@dataclass(frozen=True)
class Copies:
    """Days that stand under two names.

    Attributes:
        days: of all entities together that another entity has as well.
        judged: days that were looked at.
        pair: one entity and the other, and the block of time; None where there are none.
    """

    days: int
    judged: int
    pair: tuple[int, int, int] | None = None

    @property
    def share(self) -> float:
        """Share of the days that stand under two names."""
        return self.days / max(1, self.judged)


def find_copies(found: DayPrints) -> Copies:
    """Return the days that two entities have alike, row by row; days that stand still are none."""
    import numpy as np

    judged = np.flatnonzero((found.rows >= FEWEST_ROWS) & (found.low != found.high))
    blocks, prints = found.keys[judged, 1], found.prints[judged]
    order = np.lexsort((found.keys[judged, 0], prints, blocks))
    same = (np.diff(blocks[order]) == 0) & (prints[order][1:] == prints[order][:-1])
    alike = np.zeros(len(judged), np.bool_)
    alike[1:] |= same
    alike[:-1] |= same
    if not same.any():
        return Copies(0, len(judged))
    first = int(np.flatnonzero(same)[0])
    one, other = (int(found.keys[judged[order[place]], 0]) for place in (first, first + 1))
    return Copies(int(alike.sum()), len(judged), (one, other, int(blocks[order[first]])))
