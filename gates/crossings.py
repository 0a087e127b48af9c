"""Series split in time: does any row of one split lie among the rows of another, so that a window would cross?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gates.tables import Table

if TYPE_CHECKING:
    import numpy as np

Span = tuple[int, int]


def tabulate_crossings(splits: "Mapping[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]") -> Table:
    """Return one row an entity that is in several splits: entity, held_out, validation.

    `held_out` counts rows of other splits at or after the entity's first held-out time and up to its last; `validation`
    the same of training rows among validation rows.

    Args:
        splits: entity (N,) and time (N,) of the rows of each split, by its name.
    """
    import numpy as np
    import pandas as pd

    bounds = {name: _bound(*rows) for name, rows in splits.items()}
    records: dict[int, dict[str, int]] = {}
    for inner, others in (("held_out", ("train", "validation")), ("validation", ("train",))):
        spans = bounds.get(inner, {})
        for other in others:
            if other not in splits:
                continue
            entities, times = splits[other]
            for entity in set(spans) & set(bounds[other]):
                first, last = spans[entity]
                here = times[entities == entity] if len(bounds[other]) > 1 else times
                count = int(np.count_nonzero((here >= first) & (here <= last)))
                record = records.setdefault(entity, {"held_out": 0, "validation": 0})
                record[inner] += count
    rows = [{"entity": f"{entity:016x}", **record} for entity, record in records.items()]
    rows = rows or [{"entity": "none is in two splits", "held_out": 0, "validation": 0}]
    return Table(pd.DataFrame(rows), identity=("entity",))


def _bound(entities: "np.ndarray[Any, Any]", times: "np.ndarray[Any, Any]") -> dict[int, Span]:
    """Return the first and last time of each entity."""
    import numpy as np

    if not len(entities):
        return {}
    order = np.lexsort((times, entities))
    found, starts = np.unique(entities[order], return_index=True)
    stops = [*starts[1:], len(order)]
    moments = times[order]
    spans = zip(found, starts, stops, strict=True)
    return {int(entity): (int(moments[start]), int(moments[stop - 1])) for entity, start, stop in spans}
