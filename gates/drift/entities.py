"""Judges single devices of series: which are gone, come less often, or are not what they were.

What happens to one of a hundred devices hardly shows in all of their rows. So rows are summed by
entity and block of time, and each entity is compared with its own blocks before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

FEWEST_BLOCKS = 8
_LATE_BLOCKS = 2
_SUMS = ("rows", "sums", "values", "moves", "pairs", "still")


@dataclass(frozen=True)
class Book:
    """Sums of rows by entity and block of time.

    Attributes:
        keys: (G, 2) entity and block, ascending.
        rows: (G, 1) rows.
        sums: (G, C) sums of each column.
        values: (G, C) values that are present.
        moves: (G, C) sums of changes from one row of the entity to the next, without their sign.
        pairs: (G, C) such changes.
        still: (G, C) those that are 0.
    """

    keys: "np.ndarray[Any, Any]"
    rows: "np.ndarray[Any, Any]"
    sums: "np.ndarray[Any, Any]"
    values: "np.ndarray[Any, Any]"
    moves: "np.ndarray[Any, Any]"
    pairs: "np.ndarray[Any, Any]"
    still: "np.ndarray[Any, Any]"

    def merge(self, other: "Book") -> "Book":
        """Return the sums of both."""
        import numpy as np

        keys = np.concatenate([self.keys, other.keys])
        parts = {
            name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in _SUMS
        }
        return _group(keys, parts)


def write_book(
    entities: "np.ndarray[Any, Any]",
    blocks: "np.ndarray[Any, Any]",
    times: "np.ndarray[Any, Any]",
    values: "np.ndarray[Any, Any]",
) -> Book:
    """Return the book of some rows.

    Args:
        entities: (N,) of each row.
        blocks: (N,) block of time of each row.
        times: (N,) by which the rows of an entity follow each other.
        values: (N, C) numbers; NaN where missing.
    """
    import numpy as np

    order = np.lexsort((times, entities))
    entities, blocks, values = entities[order], blocks[order], values[order]
    known = np.isfinite(values)
    steps = np.zeros_like(values)
    steps[1:] = np.abs(np.diff(values, axis=0))
    paired = np.zeros(values.shape, np.bool_)
    same = entities[1:] == entities[:-1]
    paired[1:] = known[1:] & known[:-1] & same[:, np.newaxis]
    parts = {
        "rows": np.ones((len(values), 1)),
        "sums": np.where(known, values, 0.0),
        "values": known.astype(np.float64),
        "moves": np.where(paired, steps, 0.0),
        "pairs": paired.astype(np.float64),
        "still": (paired & (steps == 0)).astype(np.float64),
    }
    return _group(np.stack([entities, blocks], axis=1), parts)


def _group(keys: "np.ndarray[Any, Any]", parts: "dict[str, np.ndarray[Any, Any]]") -> Book:
    import numpy as np

    unique, place = np.unique(keys, axis=0, return_inverse=True)
    found = {}
    for name, values in parts.items():
        found[name] = np.zeros((len(unique), values.shape[1]))
        np.add.at(found[name], place.reshape(-1), values)
    return Book(unique, **found)


def find_gone(accepted: Book, current: Book) -> "np.ndarray[Any, Any]":
    """Return entities that were there at the end of the accepted version and are not any more.

    At the end is within two blocks of its last one; an accepted version that reaches further than
    the current one is cut to its time first.
    """
    import numpy as np

    if not len(current.keys):
        return np.zeros(0, np.int64)
    end = current.keys[:, 1].max()
    before = accepted.keys[accepted.keys[:, 1] <= end]
    if not len(before):
        return np.zeros(0, np.int64)
    alive = before[before[:, 1] >= before[:, 1].max() - _LATE_BLOCKS, 0]
    now = current.keys[current.keys[:, 1] >= end - _LATE_BLOCKS, 0]
    gone: np.ndarray[Any, Any] = np.setdiff1d(alive, now)
    return gone


@dataclass(frozen=True)
class EntityChange:
    """The entity of which a figure changed most.

    Attributes:
        size: of the change, in units that the figure's limit has.
        entity: the entity; None where none changed.
        column: number of the column; -1 where it is of none.
        before: what the figure was.
        after: what it is.
        block: block of time in which it was seen first; -1 where it is of no single one.
    """

    size: float = 0.0
    entity: int | None = None
    column: int = -1
    before: float = 0.0
    after: float = 0.0
    block: int = -1


def find_changes(accepted: Book, current: Book) -> dict[str, EntityChange]:
    """Return the largest change of each figure over all entities.

    `rows`: the fall of the usual number of rows of a block, as a fraction; `level`: how far the
    mean of new blocks has jumped from the blocks before them, and `roughness`: how far their usual
    change from row to row lies outside what it was, each over the most that the entity's own
    blocks do; `still`: the rise of the share of rows that repeat the one before. Blocks that are
    as they were are not judged.
    """
    import numpy as np

    found = dict.fromkeys(("rows", "level", "roughness", "still"), EntityChange())
    # One that was never there has no blocks to be held against.
    shared = np.intersect1d(accepted.keys[:, 0], current.keys[:, 0])
    books = zip(shared.tolist(), _cut(accepted, shared), _cut(current, shared), strict=True)
    for entity, old, new in books:
        judged = _find_judged(old, new)
        if len(old.keys) < FEWEST_BLOCKS or not judged.any():
            continue
        for name, change in _compare_entity(old, new, judged).items():
            if change.size > found[name].size:
                found[name] = replace(change, entity=entity)
    return found


def _cut(book: Book, entities: "np.ndarray[Any, Any]") -> Iterator[Book]:
    """Yield the rows of each of these entities: keys ascend, so they follow each other."""
    import numpy as np

    firsts = np.searchsorted(book.keys[:, 0], entities, "left")
    stops = np.searchsorted(book.keys[:, 0], entities, "right")
    for first, stop in zip(firsts.tolist(), stops.tolist(), strict=True):
        rows = slice(first, stop)
        yield Book(book.keys[rows], **{name: getattr(book, name)[rows] for name in _SUMS})


def _find_judged(old: Book, new: Book) -> "np.ndarray[Any, Any]":
    """Return which blocks are new or changed; the first and the last one may be cut."""
    import numpy as np

    judged = np.ones(len(new.keys), np.bool_)
    slots = np.searchsorted(old.keys[:, 1], new.keys[:, 1]).clip(0, max(0, len(old.keys) - 1))
    if len(old.keys):
        met = old.keys[slots, 1] == new.keys[:, 1]
        alike = (old.rows[slots] == new.rows).all(axis=1)
        alike &= np.isclose(old.sums[slots], new.sums, rtol=1e-9, atol=1e-9).all(axis=1)
        judged &= ~(met & alike)
    judged[[0, -1]] = False
    return judged


def _compare_entity(
    old: Book, new: Book, judged: "np.ndarray[Any, Any]"
) -> dict[str, EntityChange]:
    import numpy as np

    usual, now = float(np.median(old.rows)), float(np.median(new.rows[judged]))
    found = {"rows": EntityChange(1 - now / max(usual, 1), before=usual, after=now)}
    full = (old.rows[:, 0] >= usual / 2, judged & (new.rows[:, 0] >= now / 2))
    later = judged & (new.keys[:, 1] > old.keys[:, 1].max())
    for column in range(old.sums.shape[1]):
        means = [_share(book.sums, book.values, column) for book in (old, new)]
        rough = [_share(book.moves, book.pairs, column) for book in (old, new)]
        still = [_share(book.still, book.pairs, column) for book in (old, new)]
        changes = {
            "level": _measure_jump(means[0][full[0]], means[1], later & full[1]),
            "roughness": _measure_beyond(rough[0][full[0]], rough[1], full[1]),
            "still": _measure_still(still[0][full[0]], still[1], full[1]),
        }
        for name, change in changes.items():
            if change.size > found.get(name, EntityChange()).size:
                block = int(new.keys[change.block, 1])
                found[name] = replace(change, column=column, block=block)
    return found


def _share(
    sums: "np.ndarray[Any, Any]", counts: "np.ndarray[Any, Any]", column: int
) -> "np.ndarray[Any, Any]":
    import numpy as np

    shares: np.ndarray[Any, Any] = np.where(
        counts[:, column] > 0, sums[:, column] / np.maximum(counts[:, column], 1), np.nan
    )
    return shares


def _measure_jump(
    old: "np.ndarray[Any, Any]", new: "np.ndarray[Any, Any]", chosen: "np.ndarray[Any, Any]"
) -> EntityChange:
    """Return how far the first new blocks lie from the last old ones, over the most seen before.

    Seven blocks on each side, or as many as there are.
    """
    import numpy as np

    places = np.flatnonzero(chosen & np.isfinite(new))
    old, new = old[np.isfinite(old)], new[places]
    width = min(7, len(new), len(old) // 3)
    if width < 2:
        return EntityChange()
    smooth = np.convolve(old, np.ones(width) / width, "valid")
    own = np.abs(smooth[width:] - smooth[:-width]).max(initial=0.0)
    before, after = float(smooth[-1]), float(new[:width].mean())
    size = abs(after - before) / max(own, 1e-12)
    return EntityChange(size, before=before, after=after, block=int(places[0]))


def _measure_beyond(
    old: "np.ndarray[Any, Any]", new: "np.ndarray[Any, Any]", chosen: "np.ndarray[Any, Any]"
) -> EntityChange:
    """Return how far a block's roughness lies outside all old ones, over what these span."""
    import numpy as np

    places = np.flatnonzero(chosen & np.isfinite(new))
    old, new = old[np.isfinite(old) & (old > 0)], new[places]
    if len(old) < FEWEST_BLOCKS or not len(new):
        return EntityChange()
    logs, values = np.log(old), np.log(np.maximum(new, old.min() * 1e-3))
    span = max(float(np.ptp(logs)), 0.05)
    beyond = np.maximum(values - logs.max(), logs.min() - values) / span
    place = int(np.argmax(beyond))
    before, after = float(np.median(old)), float(new[place])
    size = max(0.0, float(beyond[place]))
    return EntityChange(size, before=before, after=after, block=int(places[place]))


def _measure_still(
    old: "np.ndarray[Any, Any]", new: "np.ndarray[Any, Any]", chosen: "np.ndarray[Any, Any]"
) -> EntityChange:
    """Return the rise of the largest share of a block's rows that repeat the one before."""
    import numpy as np

    places = np.flatnonzero(chosen & np.isfinite(new))
    old, new = old[np.isfinite(old)], new[places]
    if not len(old) or not len(new):
        return EntityChange()
    before, after = float(old.max()), float(new.max())
    block = int(places[np.argmax(new)])
    return EntityChange(max(0.0, after - before), before=before, after=after, block=block)
