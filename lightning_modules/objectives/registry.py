"""The table of objectives that networks are trained for, with torch."""

from lightning_modules.objectives.base import Objective
from lightning_modules.objectives.classes import ClassObjective
from lightning_modules.objectives.forecast import ForecastObjective
from lightning_modules.objectives.reconstruction import ReconstructionObjective
from lightning_modules.objectives.values import ValueObjective
from storage.base.registry import Registry

OBJECTIVES: Registry[Objective] = Registry("objective", "lightning_modules")
for _objective in (
    ClassObjective(),
    ValueObjective(),
    ForecastObjective(),
    ReconstructionObjective(),
):
    OBJECTIVES.register(_objective.name, _objective)
