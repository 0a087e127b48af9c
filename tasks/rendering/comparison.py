"""The model's figures on the held-out rows beside those of its baselines."""

from collections.abc import Mapping

from storage.base.figures import Figure, find_value
from tasks.rendering.answers import Comparison
from tasks.rendering.text import name_figure

Figures = tuple[Figure, ...]
UNITS = {"standard deviations": "standard deviations of the training rows"}


def compare_baselines(figures: Figures, baselines: Mapping[str, Figures]) -> Comparison:
    """Put the model's figures beside those of its baselines.

    Args:
        figures: The model's; its loss is left out, which no baseline has.
        baselines: Each baseline's, by name.
    """
    shown = [figure for figure in figures if figure.name != "loss"]
    answerers = {"model": figures, **baselines}
    units = [UNITS[figure.unit] for figure in shown if figure.unit in UNITS]
    return Comparison(
        metrics=tuple(name_figure(figure.name) for figure in shown),
        rows=tuple(
            (by, tuple(find_value(measured, figure.name) for figure in shown))
            for by, measured in answerers.items()
        ),
        unit=units[0] if units else "",
    )


def find_best_baseline(
    figure: Figure, baselines: Mapping[str, Figures]
) -> tuple[str, float] | None:
    """Return the baseline that is best by a figure, and its value; None where none has it."""
    values = {by: find_value(measured, figure.name) for by, measured in baselines.items()}
    known = {by: value for by, value in values.items() if value is not None}
    if not known:
        return None
    best = (min if figure.direction == "lower" else max)(known, key=lambda by: known[by])
    return best, known[best]
