"""How much is left of an entity's life, worked out from rows that run to its end."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from storage.forms.columns import NUMBERS, SERIES_ID, TARGET
from storage.shards.row_ids import VALID_SUFFIX, Rows

Ends = Mapping[int, float]
"""Last count of each entity's life, by its `series_id`."""


class RemainingSpec(BaseModel):
    """Says that the target is what remains of a count until an entity's last row."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    remaining: str
    """Column of numbers that grow with an entity's age, as cycles or hours."""
    cap: float | None = Field(default=None, gt=0)
    """Most that is asked for: of what is new nobody can tell how long it will last (Heimes,
    2008)."""
    beyond: str | None = None
    """Column that says how much an entity had left at its last row, for entities whose rows stop
    before their end; missing where rows run to it."""

    @property
    def name(self) -> str:
        """What the target is called."""
        return f"remaining {self.remaining}"


def find_ends(rows: Rows, *, told: bool) -> Ends:
    """Return the last count of each entity among some rows.

    Args:
        rows: With the field `numbers` of the count, and of what lies beyond it where that is told.
        told: Whether it is.
    """
    counts = np.where(rows[NUMBERS + VALID_SUFFIX], rows[NUMBERS], np.nan)
    beyond = np.nan_to_num(counts[:, 1]) if told else np.zeros(len(counts))
    known = np.isfinite(counts[:, 0])
    entities, places = np.unique(rows[SERIES_ID][known], return_inverse=True)
    last, more = np.full(len(entities), -np.inf), np.zeros(len(entities))
    np.maximum.at(last, places, counts[known, 0])
    np.maximum.at(more, places, beyond[known])
    return dict(zip(entities.tolist(), (last + more).tolist(), strict=True))


def count_down(rows: Rows, spec: RemainingSpec, ends: Ends) -> Rows:
    """Return rows whose target, so far the count itself, is what remains of it."""
    entities, places = np.unique(rows[SERIES_ID], return_inverse=True)
    last = np.array([ends.get(entity, np.nan) for entity in entities.tolist()], np.float64)
    left: NDArray[np.float64] = last[places] - rows[TARGET]
    valid = rows[TARGET + VALID_SUFFIX] & (left >= 0)
    left = np.where(valid, left, np.nan)
    if spec.cap is not None:
        left = np.minimum(left, spec.cap)
    return {**rows, TARGET: left, TARGET + VALID_SUFFIX: valid}
