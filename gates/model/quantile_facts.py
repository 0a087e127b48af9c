"""Quantiles that a model answers with, as the model gate judges them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.model.measure import Measure

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class QuantileFacts:
    """The quantiles of the answers to N held-out rows.

    Attributes:
        levels: Q quantiles, ascending, the median among them.
        answers: (N, Q, ...) what each is of each row.
        shares: (Q,) shares of the truths that are at most what each answers.
        margins: (Q, ...) by a baseline's name: what makes quantiles of its answers.
        measure: how the pinball loss of such answers is measured.
    """

    levels: tuple[float, ...]
    answers: "Array"
    shares: tuple[float, ...]
    margins: "Mapping[str, Array]"
    measure: Measure
