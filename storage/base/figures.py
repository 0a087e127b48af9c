"""A figure: one named number with its unit, the direction that is better, and the rows it is of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Direction = Literal["higher", "lower", "none"]


class Figure(BaseModel):
    """One measured number, as receipts, curves and `--json` state it.

    Attributes:
        name: What is measured, such as "accuracy" or "mae".
        value: The number; None where it is not defined, as an average precision without a positive.
        unit: Unit of the value: "1" for rates and shares in 0..1, "s", "bytes", the source's own.
        direction: Which way is better.
        split: The rows it is of: "train", "validation", "held_out"; "" where it is of no rows.
        interval: Lower and upper end of the 95 % interval, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    value: float | None
    unit: str = "1"
    direction: Direction = "higher"
    split: str = ""
    interval: tuple[float, float] | None = None


def find_figure(figures: tuple[Figure, ...], name: str, split: str | None = None) -> Figure | None:
    """Return the first figure of a name, and of a split if given; None without."""
    for figure in figures:
        if figure.name == name and split in (None, figure.split):
            return figure
    return None


def find_value(figures: tuple[Figure, ...], name: str, split: str | None = None) -> float | None:
    """Return the value of the first figure of a name, and of a split if given; None without."""
    figure = find_figure(figures, name, split)
    return None if figure is None else figure.value
