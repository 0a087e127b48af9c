"""The model gate judges answers to held-out rows, and figures of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from storage.base.figures import Figure, find_value

if TYPE_CHECKING:
    import numpy as np

STAGE = "model"


@dataclass(frozen=True)
class ModelFacts:
    """The answers of a model to held-out rows, with what they are compared with.

    All arrays have N rows, in the same order.

    Attributes:
        row_id: (N,) uint64.
        truth: (N,) integer classes; (N,) or (N, ...) numbers in their own unit; or (N,) 1 or true
            for an anomalous row.
        answers: (N, K) probabilities of classes; numbers of the truth's shape; or (N,) scores of
            which a higher one is more anomalous.
        rows_held_out: rows of the held-out split: each must have been judged, once.
        figures: of the answers, computed once, by those who train; the gate computes none again.
        baselines: what baselines answer to the same rows, by name.
        champion: what the promoted model answers to the same rows; None if there is none.
        champion_figures: the champion's figures on the same rows.
        labels: names of the declared classes; class i has label i.
        unit: of the truth, for messages; empty if unknown.
        slices: metadata columns of (N,) values, of which each value is a slice.
    """

    row_id: "np.ndarray[Any, Any]"
    truth: "np.ndarray[Any, Any]"
    answers: "np.ndarray[Any, Any]"
    rows_held_out: int
    figures: tuple[Figure, ...] = ()
    baselines: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)
    champion: "np.ndarray[Any, Any] | None" = None
    champion_figures: tuple[Figure, ...] = ()
    labels: tuple[str, ...] = ()
    unit: str = ""
    slices: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows that were answered."""
        return len(self.row_id)

    def find_figure(self, name: str) -> float:
        """Return the value of a figure; NaN, which never passes, if it is missing or undefined."""
        return _to_number(find_value(self.figures, name))

    def find_champion_figure(self, name: str) -> float:
        """Return the value of a figure of the champion; NaN if it is missing or undefined."""
        return _to_number(find_value(self.champion_figures, name))


def _to_number(value: float | None) -> float:
    return math.nan if value is None else value
