"""A row of the table of objectives says what the model gate's limits are, and how it judges."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gates.engine.report import GateReport
from gates.model.facts import ModelFacts
from gates.specs.model import ModelLimits


@dataclass(frozen=True)
class ModelGateOfObjective:
    """The model gate of one objective.

    Attributes:
        name: of the objective, such as `classes`.
        limits: class of the recipe's `gates.model` section.
        judge: judges facts by limits of that class.
    """

    name: str
    limits: type[ModelLimits]
    judge: Callable[[Any, ModelFacts], GateReport]
