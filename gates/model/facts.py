"""The model gate judges answers to held-out rows, and figures of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gates.errors import SuiteError
from gates.model.blocks import deal_blocks
from gates.model.measure import Measure
from gates.model.quantile_facts import QuantileFacts
from storage.base.figures import Figure, find_value

if TYPE_CHECKING:
    import numpy as np

STAGE = "model"
CHAMPION = "champion"


@dataclass(frozen=True)
class ModelFacts:
    """The answers of a model to held-out rows, with what they are compared with.

    All arrays have N rows, in the same order.

    Attributes:
        row_id: (N,) uint64.
        truth: (N,) integer classes; (N,) or (N, H, T) numbers in their own unit, NaN where there is
            none; or (N,) 1 or true for an anomalous row.
        answers: (N, K) probabilities of classes; numbers of the truth's shape; or (N,) scores of
            which a higher one is more anomalous.
        rows_held_out: rows of the held-out split: each must have been judged, once.
        predicted: (N,) class that each answer is, where it is not always the most probable one.
        figures: of the answers, computed once, by those who train; the gate computes none again.
        measures: how each of these figures is measured, for comparisons row by row.
        rival_measures: how those of a baseline, by its name, or of the champion, by `CHAMPION`, are
            measured where it decides otherwise, as by a threshold of its own.
        baselines: what baselines answer to the same rows, by name.
        shipping: how each baseline could ship, in words, by its name.
        champion: what the promoted model answers to the same rows; None if there is none.
        labels: names of the declared classes; class i has label i.
        unit: of the truth, for messages; empty if unknown.
        blocks: (N,) numbers of blocks, from 0 on, of rows that are no proof each of its own, as
            `gates.model.blocks` cuts them; None where rows have nothing to do with each other.
        slices: columns of (N,) values, such as an entity, of which each value is a slice.
        columns: names of the T columns of numbers (N, H, T), of which each is a slice.
        unanswered: windows besides those that are judged, of which no step has a truth.
        quantiles: what the model answers beside the median; None where it answers once.
    """

    row_id: "np.ndarray[Any, Any]"
    truth: "np.ndarray[Any, Any]"
    answers: "np.ndarray[Any, Any]"
    rows_held_out: int
    predicted: "np.ndarray[Any, Any] | None" = None
    figures: tuple[Figure, ...] = ()
    measures: tuple[Measure, ...] = ()
    rival_measures: Mapping[str, tuple[Measure, ...]] = field(default_factory=dict)
    baselines: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)
    shipping: Mapping[str, str] = field(default_factory=dict)
    champion: "np.ndarray[Any, Any] | None" = None
    labels: tuple[str, ...] = ()
    unit: str = ""
    blocks: "np.ndarray[Any, Any] | None" = None
    slices: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    unanswered: int = 0
    quantiles: "QuantileFacts | None" = None

    @property
    def drawn(self) -> "np.ndarray[Any, Any]":
        """The block (N,) of each row; of rows without blocks those that they are dealt to."""
        return deal_blocks(self.rows) if self.blocks is None else self.blocks

    @property
    def rows(self) -> int:
        """Number of rows that were answered."""
        return len(self.row_id)

    def find_figure(self, name: str) -> float:
        """Return the value of a figure; NaN, which never passes, if it is missing or undefined."""
        value = find_value(self.figures, name)
        return math.nan if value is None else value


def find_measure(facts: ModelFacts, name: str, rival: str = "") -> Measure:
    """Return how a figure is measured.

    Args:
        facts: of the model.
        name: of the figure.
        rival: name of a baseline, or `CHAMPION`, whose answers are measured; empty for the model's.

    Raises:
        SuiteError: It is no figure of the objective.
    """
    for measure in facts.rival_measures.get(rival, facts.measures):
        if measure.name == name:
            return measure
    known = ", ".join(measure.name for measure in facts.measures) or "none"
    raise SuiteError(
        f"figure ({name}) must be one that the objective measures; got only {known}; write another "
        "in gates.model.skill_by"
    )
