"""Finds rows of series that lie in time among the rows of another split.

For each entity the first and last time of its rows in a split is kept, and nothing of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Spans:
    """From when to when the rows of each entity reach.

    Attributes:
        entities: (E,) ascending.
        first: (E,) time of the first row of each.
        last: (E,) of the last one.
    """

    entities: "np.ndarray[Any, Any]"
    first: "np.ndarray[Any, Any]"
    last: "np.ndarray[Any, Any]"

    def __len__(self) -> int:
        return len(self.entities)

    def has_leakage(self, other: "Spans") -> bool:
        """Return whether any entity of both has a time that both reach over."""
        slots, places = _match(self.entities, other.entities)
        reaches = (other.first[places] <= self.last[slots]) & (
            other.last[places] >= self.first[slots]
        )
        return bool(reaches.any())

    def count_inside(
        self, entities: "np.ndarray[Any, Any]", times: "np.ndarray[Any, Any]"
    ) -> "np.ndarray[Any, Any]":
        """Return how many of some rows (N,) lie inside the span of their entity, (E,)."""
        import numpy as np

        slots, places = _match(self.entities, entities)
        inside = (times[places] >= self.first[slots]) & (times[places] <= self.last[slots])
        counts: np.ndarray[Any, Any] = np.bincount(slots[inside], minlength=len(self.entities))
        return counts


def bound_rows(entities: "np.ndarray[Any, Any]", times: "np.ndarray[Any, Any]") -> Spans:
    """Return the spans of some rows (N,)."""
    return _bound(entities, times, times)


def merge_spans(parts: Sequence[Spans]) -> Spans:
    """Return the spans of the rows of all parts, of which there is at least one."""
    import numpy as np

    joined = ([getattr(part, name) for part in parts] for name in ("entities", "first", "last"))
    return _bound(*(np.concatenate(arrays) for arrays in joined))


def _bound(
    entities: "np.ndarray[Any, Any]", first: "np.ndarray[Any, Any]", last: "np.ndarray[Any, Any]"
) -> Spans:
    import numpy as np

    if not len(entities):
        return Spans(entities, first, last)
    order = np.argsort(entities, kind="stable")
    ordered = entities[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return Spans(
        ordered[starts],
        np.minimum.reduceat(first[order], starts),
        np.maximum.reduceat(last[order], starts),
    )


def _match(
    known: "np.ndarray[Any, Any]", asked: "np.ndarray[Any, Any]"
) -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """Return places of known entities: among the known ones, and among the asked ones."""
    import numpy as np

    slots = np.searchsorted(known, asked)
    places = np.flatnonzero(slots < len(known))
    places = places[known[slots[places]] == asked[places]]
    return slots[places], places
