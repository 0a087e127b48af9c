"""Measured numbers as figures: with a unit, a direction and the rows that they are of."""

import math
from collections.abc import Mapping

from lightning_modules.specs.objectives import find_direction
from storage.base.figures import Figure

STANDARD_DEVIATIONS = "standard deviations"
ERRORS = frozenset({"error", "mae", "mse", "rmse"})


def list_figures(
    values: Mapping[str, float | None], split: str, *, standard: bool = False
) -> tuple[Figure, ...]:
    """Return measured numbers as figures, in their order.

    Args:
        values: Numbers by name; NaN where a figure is not defined.
        split: The rows that they are of.
        standard: Whether errors are in standard deviations, not in the source's own unit.
    """
    return tuple(
        Figure(
            name=name,
            value=None if value is None or math.isnan(value) else value,
            unit=_name_unit(name, standard=standard),
            direction=find_direction(name),
            split=split,
        )
        for name, value in values.items()
    )


def measure_cost(name: str, value: float, unit: str, split: str = "") -> Figure:
    """Return a figure of which less is better, such as a time, a size or a latency."""
    return Figure(name=name, value=value, unit=unit, direction="lower", split=split)


def _name_unit(name: str, *, standard: bool) -> str:
    if name not in ERRORS:
        return "1"
    return STANDARD_DEVIATIONS if standard else ""
