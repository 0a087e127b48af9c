"""The objectives that the model gate knows, by name; a plug-in's module `gates` adds its own."""

from functools import cache

from pydantic import Field, create_model

from gates.engine.report import GateReport
from gates.model import classes, forecast, reconstruction, values
from gates.model.facts import ModelFacts
from gates.model.objective import ModelGateOfObjective
from gates.specs.model import ModelLimits
from gates.specs.sections import GatesSpec
from storage.base.registry import Registry

OBJECTIVES: Registry[ModelGateOfObjective] = Registry("objective", "gates")
for _row in (classes.GATE, values.GATE, forecast.GATE, reconstruction.GATE):
    OBJECTIVES.register(_row.name, _row)


@cache
def gates_for_objective(objective: str) -> type[GatesSpec]:
    """Return the gates section of recipes with an objective, such as `classes`.

    Raises:
        UnknownName: there is no such objective.
    """
    limits = OBJECTIVES.find(objective).limits
    description = "What a trained model must show on held-out rows before artifacts are made."
    section: type[GatesSpec] = create_model(
        f"{objective.title()}Gates",
        __base__=GatesSpec,
        __doc__=f"The gates of a recipe with the objective `{objective}`.",
        model=(limits, Field(default=limits(), description=description)),
    )
    return section


def judge_model(objective: str, limits: ModelLimits, facts: ModelFacts) -> GateReport:
    """Judge a model's answers to held-out rows by the limits of its objective.

    Raises:
        UnknownName: there is no such objective.
        SuiteError: the facts are torn: lengths differ, or what the objective needs is missing.
    """
    return OBJECTIVES.find(objective).judge(limits, facts)
