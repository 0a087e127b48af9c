"""Says how a baseline that wins can ship: as which network, by which lines of a recipe."""

import json

from lightning_modules.specs.forms import FORMS
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.params import Params
from lightning_modules.specs.samples import Sample

_TREES = "trees"


def describe_shipping(sample: Sample, baseline: str) -> str:
    """Returns what to write into a recipe so that a baseline's like ships; in words.

    Args:
        sample: What a sample is.
        baseline: Its name, as the objective fits it.
    """
    family = OBJECTIVES.find(sample.objective).baseline_families.get(baseline)
    told = []
    if family is not None and _suits(sample, family):
        told.append(f"it can ship: write {_write(sample, baseline, family)}")
    else:
        told.append(f"no family of model.network is {baseline}")
    if _suits(sample, _TREES):
        told.append(f"boosted trees may do better: {_write(sample, '', _TREES)}")
    return "; ".join(told)


def _suits(sample: Sample, family: str) -> bool:
    params: type[Params] | None = FORMS.find(sample.form).families.get(family)
    objective = OBJECTIVES.find(sample.objective)
    return params is not None and params.suits(objective.name, restores=objective.restores)


def _write(sample: Sample, baseline: str, family: str) -> str:
    """Returns the lines as one: YAML that a recipe may hold as it is."""
    params = OBJECTIVES.find(sample.objective).find_params(sample, baseline)
    given = f", params: {json.dumps(params)}".replace('"', "") if params else ""
    needed = max((params.get(name, 0) for name in _list_steps(sample, family)), default=0)
    longer = sample.window is not None and needed > sample.window.lookback
    window = f", window: {{lookback: {needed}}}" if longer else ""
    return f"model: {{network: {{family: {family}{given}}}{window}}}"


def _list_steps(sample: Sample, family: str) -> tuple[str, ...]:
    """Returns the parameters of a family that a window must be as long as."""
    params: type[Params] | None = FORMS.find(sample.form).families.get(family)
    return () if params is None else params.steps
