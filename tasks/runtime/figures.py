"""Figures of what something costs: a time, a size or a latency."""

from storage.base.figures import Figure


def measure_cost(name: str, value: float, unit: str, split: str = "") -> Figure:
    """Return a figure of which less is better."""
    return Figure(name=name, value=value, unit=unit, direction="lower", split=split)
