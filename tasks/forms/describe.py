"""From a recipe's data section and what preparing fitted to what one sample is and is asked for."""

from deployments.targets.trust.card import NORMAL_OR_NOT, OutputSpec
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import Sample
from storage.forms.base import RowsSpec
from storage.pipeline.fitted import Fitted
from tasks.forms.registry import FORMS, find_task_form
from tasks.runtime.errors import StageStopped


def describe_sample(objective: str, data: RowsSpec, model: ModelSpec, fitted: Fitted) -> Sample:
    """Describe what one sample is, with what was fitted on the training rows.

    Args:
        objective: What is asked of the rows, as `classes`.
        data: The recipe's data section.
        model: The recipe's model section.
        fitted: Statistics of the training split.

    Raises:
        StageStopped: The training rows lack what the objective needs.
    """
    if OBJECTIVES.find(objective).asks == "label":
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


def describe_outputs(sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
    """Describe what an artifact answers with, as a device's card tells it."""
    return _OUTPUTS[sample.objective](sample, data)


def _describe_classes(sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
    labels, shape = data.labels, (sample.classes,)
    return (
        OutputSpec(name="label", dtype="int64", meaning="label", labels=labels),
        OutputSpec(name="probabilities", shape=shape, meaning="probabilities", labels=labels),
    )


def _describe_value(sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
    del sample, data
    return (OutputSpec(name="values", meaning="values", unit=""),)


def _describe_forecast(sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
    del data
    names = FORMS.find(sample.form).name_asked(sample)
    horizon = sample.window.horizon if sample.window is not None else 1
    shape = (horizon, len(names))
    return (OutputSpec(name="values", shape=shape, meaning="values", unit="", labels=names),)


def _describe_anomaly(sample: Sample, data: RowsSpec) -> tuple[OutputSpec, ...]:
    del sample
    labels = data.labels or NORMAL_OR_NOT
    return (
        OutputSpec(name="label", dtype="int64", meaning="label", labels=labels),
        OutputSpec(name="score", meaning="score"),
    )


_OUTPUTS = {
    "classes": _describe_classes,
    "values": _describe_value,
    "forecast": _describe_forecast,
    "reconstruction": _describe_anomaly,
}
