"""Compares the new part of a version with the accepted one, as blocks of that one compare.

Whatever a part of a data set is like, other parts differ from it: a month of a year is not spread
like the year. So a figure of new rows is held against its limit and against what it is of blocks of
the accepted version, as many rows each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.drift.divergence import Histogram
from gates.drift.explain import explain_change
from gates.drift.fields import Distribution, list_limits, measure_categories, measure_numbers
from gates.specs.drift import DriftGate

if TYPE_CHECKING:
    import numpy as np

MARGIN = 1.5
"""How much further than the furthest block of the accepted version new rows may be."""
WIDE_MARGIN = 2.0
"""The same for figures that are derived from rows that follow each other: they scatter more."""
ROUGH = frozenset({"effect", "psi", "far"})
"""Figures that are judged of those."""
LEVEL = frozenset({"effect", "psi"})
"""Figures that a season changes, too."""


@dataclass(frozen=True)
class PartFigure:
    """A figure of the new rows of one field.

    Attributes:
        field: its name.
        about: the figure's name.
        key: the limit's name in the recipe.
        value: what was seen; 0 where it is not certain.
        limit: the limit, or what blocks of the accepted version reach.
        hint: before -> after, and where.
        seasonal: whether a season alone may do this.
    """

    field: str
    about: str
    key: str
    value: float
    limit: float
    hint: str
    seasonal: bool


def compare_part(
    gate: DriftGate,
    field: str,
    blocks: "Sequence[np.ndarray[Any, Any]]",
    part: "np.ndarray[Any, Any]",
    names: Sequence[float] | Sequence[str],
    *,
    rough: bool = False,
) -> list[PartFigure]:
    """Return the figures of one field of the new rows, with what blocks reach themselves.

    Args:
        gate: the limits.
        field: the field's name.
        blocks: counts of the accepted version's rows in each cell or category, by block.
        part: the same of the new rows.
        names: edges of the cells, one more than there are, or the categories.
        rough: whether the field is derived from rows that follow each other.
    """
    total = sum(blocks[1:], blocks[0])
    if min(int(part.sum()), int(total.sum())) < gate.min_rows:
        return []
    whole, fresh = _name(total, names), _name(part, names)
    figures = _measure(gate, whole, fresh)
    own: dict[str, float] = {}
    for block in blocks:
        if len(blocks) > 1 and int(block.sum()) >= gate.min_rows // 2:
            # Of each block against the others: what a block is in itself makes no difference.
            for name, value in _measure(
                gate, _name(total - block, names), _name(block, names)
            ).items():
                own[name] = max(own.get(name, 0.0), value)
    hints, margin = explain_change(whole, fresh), WIDE_MARGIN if rough else MARGIN
    found = []
    for name, limit in list_limits(whole).items():
        if name not in figures or (rough and name not in ROUGH):
            continue
        chance = figures["chance"] if name == "psi" else 0.0
        least = 1.0 if name == "ratio" else 0.0
        reached = least + (own.get(name, least) - least) * margin
        most = max(getattr(gate, limit.key), chance, reached)
        seasonal, hint = name in LEVEL, hints.get(name, "")
        found.append(PartFigure(field, limit.about, limit.key, figures[name], most, hint, seasonal))
    return found


def _name(counts: "np.ndarray[Any, Any]", names: Sequence[float] | Sequence[str]) -> Distribution:
    if len(names) == len(counts) + 1:
        edges = tuple(float(edge) for edge in names)
        return Histogram(edges=edges, counts=tuple(int(count) for count in counts))
    return {str(name): int(count) for name, count in zip(names, counts, strict=True) if count}


def _measure(gate: DriftGate, accepted: Distribution, current: Distribution) -> Mapping[str, float]:
    if isinstance(accepted, Histogram):
        return measure_numbers(gate, accepted, current, narrow_only=True)
    return measure_categories(gate, accepted, current) if isinstance(current, dict) else {}
