"""What the slices of held-out rows lose by other answers than the model's own."""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from gates.model.facts import ModelFacts, find_measure
from gates.model.slices import list_slices

if TYPE_CHECKING:
    import numpy as np


class Drop(NamedTuple):
    """What one slice loses: a difference, or of an error its relative increase."""

    slice: str
    lost: float


def find_worst_drop(
    facts: ModelFacts, answers: "np.ndarray[Any, Any]", figure: str, min_rows: int
) -> Drop | None:
    """Return the slice that loses most, and how much; None where no slice can be judged.

    Args:
        facts: of the model.
        answers: other answers to the same rows, of the shape of the model's.
        figure: by which they are compared.
        min_rows: fewest rows of a slice that is judged.
    """
    measure = find_measure(facts, figure)
    drops = []
    for here in list_slices(facts):
        if len(here.rows) < min_rows:
            continue
        truth = here.take(facts.truth)
        found, own = (
            measure.compute(here.take(values), truth) for values in (answers, facts.answers)
        )
        if not (math.isfinite(found) and math.isfinite(own)):
            continue  # The slice does not define it, as an average precision without positive rows.
        lost = own - found
        if measure.direction == "lower":
            lost = found / own - 1 if own else math.copysign(math.inf, found) if found else 0.0
        drops.append(Drop(here.name, lost))
    return max(drops, key=lambda drop: drop.lost, default=None)
