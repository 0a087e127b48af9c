"""Measures answers: the one definition of every figure that gates, pages and receipts go by."""

import math
from collections.abc import Callable, Sequence

from lightning_modules.specs.components import load_component
from lightning_modules.specs.figures import FIRST, FigureSpec
from lightning_modules.specs.metrics import Floats
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import Sample
from storage.base.figures import Direction, Figure


def measure_figures(
    answers: Floats, truth: Floats, sample: Sample, *, split: str = "", unit: str = ""
) -> tuple[Figure, ...]:
    """Returns every figure of an objective; the one definition that all pages and gates go by.

    Args:
        answers: (N, K) probabilities, (N,) scores, or values of the truth's shape.
        truth: (N,) labels, or values, NaN where there is none.
        sample: What a sample is, with its objective, its classes and the positive one.
        split: The rows that they are of.
        unit: Unit of the truth; "" where it is the source's own.
    """
    wanted = OBJECTIVES.find(sample.objective).list_sample_figures(sample)
    return tuple(_measure(figure, answers, truth, sample, split, unit) for figure in wanted)


def _measure(
    figure: FigureSpec, answers: Floats, truth: Floats, sample: Sample, split: str, unit: str
) -> Figure:
    value = figure.compute(answers, truth, sample)
    return Figure(
        name=figure.name,
        value=value if math.isfinite(value) else None,
        unit=figure.name_unit(unit),
        direction=figure.direction,
        split=split,
    )


def find_direction(name: str) -> Direction:
    """Returns which way of a figure is better, by its name; losses are better when lower."""
    if name == "loss":
        return "lower"
    name = name.partition(FIRST)[0]
    for row in OBJECTIVES.rows:
        for figure in (row.watched, *row.list_figures(2), *row.list_figures(3)):
            if figure.name == name:
                return figure.direction
    return "higher"


def load_metric(name: str, sample: Sample) -> Callable[[Floats, Floats], float]:
    """Returns the metric `(answers, truth) -> float` that a name or an import path stands for.

    Raises:
        SpecError: It is no figure of the objective, or cannot be imported or called.
    """
    known = {
        figure.name: _bind(figure, sample)
        for figure in OBJECTIVES.find(sample.objective).list_figures(sample.classes)
    }
    return load_component(name, what="metric", known=known)


def _bind(figure: FigureSpec, sample: Sample) -> Callable[[Floats, Floats], float]:
    return lambda answers, truth: figure.compute(answers, truth, sample)


def choose_positive(
    class_weights: Sequence[float], labels: Sequence[str], named: str | None = None
) -> int:
    """Returns which class is the positive one: the one named, or the rarer of two.

    Args:
        class_weights: Weights that even out how often the classes occur; empty where not known.
        labels: The classes by name.
        named: The recipe's `model.positive`.
    """
    if named is not None and named in labels:
        return list(labels).index(named)
    return 0 if len(class_weights) == 2 and class_weights[0] > class_weights[1] else 1
