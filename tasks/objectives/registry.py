"""The objectives that tasks know, in a table that plug-ins can add to."""

from typing import Any

from lightning_modules.specs.samples import Sample
from storage.base.registry import Registry
from tasks.objectives.base import TaskObjective
from tasks.objectives.classes import Classes
from tasks.objectives.forecast import Forecast
from tasks.objectives.reconstruction import Reconstruction
from tasks.objectives.values import Values

OBJECTIVES: Registry[TaskObjective[Any]] = Registry("objective", "tasks")
for _objective in (Classes(), Values(), Forecast(), Reconstruction()):
    OBJECTIVES.register(_objective.name, _objective)


def find_objective(sample: Sample) -> TaskObjective[Any]:
    """Return what is done with the answers to a sample.

    Raises:
        UnknownName: Its objective is in no table.
    """
    return OBJECTIVES.find(sample.objective)
