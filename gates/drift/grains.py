"""Finds the entity whose values have another grain: the smallest step that its sensor makes.

What a sensor counts in whole steps and a unit turns into numbers keeps its smallest step through
every season. Twice as large a step is a column written twice as large, whatever its level does.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_NEAR = 1.25
_FEWEST_SEEN = 3
_EXPECTED = 12.0
_FINER = 5
_QUARTERS = 4
_FIELDS = ("least", "near", "moves")


@dataclass(frozen=True)
class Grains:
    """Smallest changes from row to row, by entity and block of time.

    Attributes:
        keys: (G, 2) entity and block, ascending.
        least: (G, C) smallest change that is not 0; infinite where there is none.
        near: (G, C) changes of up to a quarter more than that.
        moves: (G, C) changes that are not 0.
    """

    keys: "np.ndarray[Any, Any]"
    least: "np.ndarray[Any, Any]"
    near: "np.ndarray[Any, Any]"
    moves: "np.ndarray[Any, Any]"

    def merge(self, other: "Grains") -> "Grains":
        """Return the grains of both."""
        import numpy as np

        keys = np.concatenate([self.keys, other.keys])
        parts = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in _FIELDS]
        unique, place = np.unique(keys, axis=0, return_inverse=True)
        return Grains(unique, *_join(parts, place.reshape(-1), len(unique)))


def write_grains(
    entities: "np.ndarray[Any, Any]",
    blocks: "np.ndarray[Any, Any]",
    times: "np.ndarray[Any, Any]",
    values: "np.ndarray[Any, Any]",
) -> Grains:
    """Return the grains of some rows.

    Args:
        entities: (N,) of each row.
        blocks: (N,) block of time of each row.
        times: (N,) by which the rows of an entity follow each other.
        values: (N, C) numbers; NaN where missing.
    """
    import numpy as np

    order = np.lexsort((times, entities))
    keys = np.stack([entities, blocks], axis=1)[order]
    steps = np.abs(np.diff(values[order], axis=0))
    same = (keys[1:] == keys[:-1]).all(axis=1)
    there = np.isfinite(steps) & (steps > 0) & same[:, np.newaxis]
    unique, place = np.unique(keys[1:], axis=0, return_inverse=True)
    parts = [np.where(there, steps, np.inf), there.astype(float), there.astype(float)]
    return Grains(unique, *_join(parts, place.reshape(-1), len(unique)))


def _join(
    parts: "list[np.ndarray[Any, Any]]", place: "np.ndarray[Any, Any]", groups: int
) -> "list[np.ndarray[Any, Any]]":
    """Return least, near and moves of each group."""
    import numpy as np

    least, near, moves = parts
    smallest = np.full((groups, least.shape[1]), np.inf)
    np.minimum.at(smallest, place, least)
    close = np.where(least <= _NEAR * smallest[place], near, 0.0)
    found = [smallest]
    for values in (close, moves):
        total = np.zeros_like(smallest)
        np.add.at(total, place, values)
        found.append(total)
    return found


@dataclass(frozen=True)
class GrainChange:
    """The entity whose grain changed most.

    Attributes:
        ratio: of both grains, the larger over the smaller; 1 where none changed for certain.
        entity: the entity; None where none changed.
        column: number of the column; -1 where none changed.
        block: block of time in which it was seen first.
        before: the grain that it had.
        after: the grain that it has.
    """

    ratio: float = 1.0
    entity: int | None = None
    column: int = -1
    block: int = 0
    before: float = 0.0
    after: float = 0.0


def find_grain_change(accepted: Grains, current: Grains) -> GrainChange:
    """Return the largest certain change of a grain, over all entities, columns and stretches.

    Args:
        accepted: of the accepted version.
        current: of the rows that are new or others now.
    """
    import numpy as np

    worst = GrainChange()
    for entity in np.intersect1d(accepted.keys[:, 0], current.keys[:, 0]).tolist():
        old, new = (_cut(grains, entity) for grains in (accepted, current))
        for column in range(accepted.least.shape[1]):
            known = _find_grain(old, column)
            if known is None:
                continue
            for change in _compare(new, column, entity, *known):
                worst = max(worst, change, key=lambda each: each.ratio)
    return worst


def _cut(grains: Grains, entity: int) -> Grains:
    import numpy as np

    first, stop = np.searchsorted(grains.keys[:, 0], [entity, entity + 1])
    rows = slice(int(first), int(stop))
    return Grains(grains.keys[rows], *(getattr(grains, name)[rows] for name in _FIELDS))


def _find_grain(old: Grains, column: int) -> tuple[float, float] | None:
    """Return an entity's grain, and the share of its changes that are near it.

    None where its values have none: then each quarter of its time has a smallest change of its own.
    """
    import numpy as np

    grain, moves = float(old.least[:, column].min()), old.moves[:, column]
    if not np.isfinite(grain):
        return None
    near = np.where(old.least[:, column] <= _NEAR * grain, old.near[:, column], 0.0)
    quarters = np.array_split(near, _QUARTERS)
    if min(float(quarter.sum()) for quarter in quarters) < _FEWEST_SEEN:
        return None
    return grain, float(near.sum() / moves.sum())


def _compare(
    new: Grains, column: int, entity: int, grain: float, share: float
) -> list[GrainChange]:
    """Return how the grain is in each stretch that is long enough to show it."""
    import numpy as np

    passed = np.cumsum(new.moves[:, column]) * share
    stretches = int(passed[-1] // _EXPECTED)
    if not stretches:
        return []
    found = []
    place = np.minimum(passed * stretches // (passed[-1] + 1e-9), stretches - 1)
    for stretch in range(stretches):
        rows = np.flatnonzero(place == stretch)
        if not len(rows) or share * new.moves[rows, column].sum() < _EXPECTED / 2:
            continue
        least = float(new.least[rows, column].min())
        near = new.near[rows, column][new.least[rows, column] <= _NEAR * least].sum()
        # A value between two steps, once or twice, is no other grain.
        if least < grain and near < _FINER:
            continue
        ratio = max(least / grain, grain / least)
        found.append(GrainChange(ratio, entity, column, int(new.keys[rows[0], 1]), grain, least))
    return found
