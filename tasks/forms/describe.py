"""From a recipe's data section and what preparing fitted to what one sample is and is asked for."""

from deployments.targets.trust.card import OutputSpec
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVE_OF_KIND
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from storage.pipeline.fitted import Fitted
from tasks.forms.registry import FORMS, find_task_form
from tasks.runtime.errors import StageStopped


def describe_sample(kind: str, data: RowsSpec, model: ModelSpec, fitted: Fitted) -> Sample:
    """Describe what one sample is, with what was fitted on the training rows.

    Args:
        kind: The recipe's kind.
        data: Its data section.
        model: Its model section.
        fitted: Statistics of the training split.

    Raises:
        StageStopped: The training rows lack what the objective needs.
    """
    objective = OBJECTIVE_OF_KIND[kind]
    if objective == "classes":
        _check_classes(fitted)
    sample: Sample = find_task_form(data).describe_sample(objective, data, model, fitted)
    return sample


def _check_classes(fitted: Fitted) -> None:
    """Refuse a class without a training row: it cannot be learned."""
    absent = [name for name, rows in fitted.class_counts.items() if not rows]
    if absent:
        reason = (
            f"training split must hold rows of every class; got none of {', '.join(absent)}; "
            "change data.split, or take the class out of data.labels"
        )
        raise StageStopped("train", (reason,))


def describe_output(sample: Sample) -> OutputSpec:
    """Describe what an artifact answers, as a device's card tells it."""
    if sample.objective == "classes":
        return OutputSpec(kind="classes", classes=sample.classes)
    if sample.objective == "reconstruction":
        return OutputSpec(kind="score")
    names = FORMS.find(sample.form).name_asked(sample)
    horizon = sample.window.horizon if sample.window is not None else 0
    return OutputSpec(kind="values", columns=names, horizon=horizon if names else 0)
