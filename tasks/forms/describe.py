"""From a recipe's data section and what preparing fitted to what one sample is, for network, artifact and device."""

from deployments.targets.trust.card import ColumnSpec, InputSpec, OutputSpec
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVE_OF_KIND
from lightning_modules.specs.samples import CategoryColumn, ImageSample, NumberColumn, RowSample
from storage.forms.base import RowsSpec
from storage.forms.columns import name_field
from storage.forms.image import ImageSpec
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.fitted import Fitted
from tasks.runtime.errors import StageStopped


def describe_sample(kind: str, data: RowsSpec, model: ModelSpec, fitted: Fitted) -> AnySample:
    """What one sample is, with what was fitted on the training rows.

    Args:
        kind: The recipe's kind.
        data: Its data section.
        model: Its model section.
        fitted: Statistics of the training split.

    Raises:
        StageStopped: The training rows lack what the task needs.
    """
    objective = OBJECTIVE_OF_KIND[kind]
    _check_classes(objective, fitted)
    if isinstance(data, ImageSpec):
        return ImageSample(
            shape=data.image.shape,
            dtype=data.image.dtype,
            classes=len(data.labels),
            class_weights=fitted.class_weights,
            value_range=data.image.value_range,
            mean=fitted.mean,
            std=fitted.std,
        )
    if not isinstance(data, TableSpec):
        raise TypeError(f"data must be of images, tables or series; got {type(data).__name__}")
    forecast = (
        model.window.targets or data.numbers
        if model.window is not None and objective == "forecast"
        else ()
    )
    order = [*forecast, *(name for name in data.numbers if name not in forecast)]
    return RowSample(
        objective=objective,
        numbers=tuple(_describe_number(name, data, fitted) for name in order),
        categories=tuple(_describe_category(name, fitted) for name in data.texts),
        time=bool(model.head.calendar),
        window=model.window,
        forecast=len(forecast),
        classes=len(data.labels) if objective == "classes" else 0,
        class_weights=fitted.class_weights if objective == "classes" else (),
        labelled=objective == "reconstruction" and data.label is not None,
        target_mean=fitted.target_mean or 0.0,
        target_std=fitted.target_std or 0.0,
    )


def _check_classes(objective: str, fitted: Fitted) -> None:
    """A class without a training row cannot be learned."""
    absent = [name for name, rows in fitted.class_counts.items() if not rows]
    if objective == "classes" and absent:
        raise StageStopped(
            "train",
            (
                f"training split must hold rows of every class; got none of {', '.join(absent)}; "
                "change data.split, or "
                "take the class out of data.labels",
            ),
        )


def _describe_number(name: str, data: TableSpec, fitted: Fitted) -> NumberColumn:
    place = data.numbers.index(name)
    return NumberColumn(name=name, mean=fitted.mean[place], std=fitted.std[place])


def _describe_category(name: str, fitted: Fitted) -> CategoryColumn:
    texts = [text for text in fitted.vocabularies.get(name_field(name), ()) if text]
    if not texts:
        raise StageStopped(
            "train",
            (f"column {name} must hold 1 to 1,000 different texts to be a category; got none or more; take it out of "
             "data.texts",),
        )  # fmt: skip
    return CategoryColumn(name=name, vocabulary=tuple(texts))


def describe_input(sample: AnySample, data: RowsSpec) -> InputSpec:
    """The raw sample that an artifact takes, as a device's card tells it."""
    if isinstance(sample, ImageSample):
        return InputSpec(dtype=sample.dtype, shape=sample.shape, value_range=sample.value_range)
    if not isinstance(data, TableSpec):
        raise TypeError(f"data must be of tables or series; got {type(data).__name__}")
    if not isinstance(sample, RowSample):
        raise TypeError(f"sample must be of tables or series; got {type(sample).__name__}")
    columns = [ColumnSpec(name=column.name) for column in sample.numbers]
    columns += [
        ColumnSpec(name=column.name, vocabulary=column.vocabulary) for column in sample.categories
    ]
    if sample.time:
        columns.append(
            ColumnSpec(name=data.time or "time", is_time=True, time_format=data.time_format)
        )
    return InputSpec(
        name="row" if sample.form == "table" else "window",
        dtype="float64",
        shape=sample.shape,
        columns=tuple(columns),
        missing=data.missing,
        entity=data.entity if isinstance(data, SeriesSpec) else None,
        time=ColumnSpec(name=data.time, is_time=True, time_format=data.time_format)
        if sample.window and data.time
        else None,
        max_gap_steps=sample.window.max_gap_steps if sample.window else None,
    )


def describe_output(sample: AnySample) -> OutputSpec:
    """What an artifact answers, as a device's card tells it."""
    if sample.objective == "classes":
        return OutputSpec(kind="classes", classes=sample.classes)
    if sample.objective == "reconstruction":
        return OutputSpec(kind="score")
    if not isinstance(sample, RowSample):
        raise TypeError(f"sample must be of tables or series; got {type(sample).__name__}")
    names = tuple(column.name for column in sample.numbers[: sample.forecast])
    horizon = sample.window.horizon if sample.window is not None else 0
    return OutputSpec(kind="values", columns=names, horizon=horizon if names else 0)
