"""Describes a sample, from a recipe's data section and what preparing fitted."""

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import Sample
from storage.datasets.version import Version
from storage.forms.base import RowsSpec
from storage.pipeline.fitted import Fitted
from tasks.forms.registry import find_task_form
from tasks.runtime.errors import StageStopped


def describe_sample(
    objective: str,
    data: RowsSpec,
    model: ModelSpec,
    fitted: Fitted,
    version: Version | None = None,
) -> Sample:
    """Describe what one sample is, with what was fitted on the training rows.

    Args:
        objective: What is asked of the rows, as `classes`.
        data: The recipe's data section.
        model: The recipe's model section.
        fitted: Statistics of the training split.
        version: The prepared rows; None where nothing is learned.

    Raises:
        StageStopped: The training rows lack what the objective needs.
    """
    if OBJECTIVES.find(objective).asks == "label":
        _check_classes(fitted)
    form = find_task_form(data)
    sample: Sample = form.describe_sample(objective, data, model, fitted)
    if version is not None:
        sample = form.fit_sample(sample, version)
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
