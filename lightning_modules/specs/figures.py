"""The figures that objectives have: how each is measured, its unit and its direction."""

from dataclasses import dataclass, replace

from lightning_modules.specs import metrics
from lightning_modules.specs.metrics import Floats, Metric, RowMetric
from lightning_modules.specs.samples import Sample
from storage.base.figures import Direction

FIRST = "_first_"
"""Stands in the name of a figure of the first steps of a forecast, before their number."""


@dataclass(frozen=True)
class FigureSpec:
    """One figure of an objective.

    Attributes:
        name: What is measured, such as "accuracy".
        compute: Measures it: `(answers, truth, sample) -> float`, NaN where it is not defined.
        direction: Which way is better.
        power: Power of the truth's own unit that it is in; 0 for rates and shares, whose unit is 1.
        per_row: What each row adds, where the figure is a mean of that: then parts of the rows need
            not be measured again. None where only all rows together have it, as a ranking.
        root: Whether the figure is the square root of that mean.
    """

    name: str
    compute: Metric
    direction: Direction = "higher"
    power: int = 0
    per_row: RowMetric | None = None
    root: bool = False

    def name_unit(self, unit: str) -> str:
        """Returns its unit, where the truth is in the given one."""
        if not self.power:
            return "1"
        return f"{unit} squared" if unit and self.power == 2 else unit


ACCURACY = FigureSpec("accuracy", metrics.compute_accuracy, per_row=metrics.count_right)
MACRO_F1 = FigureSpec("macro_f1", metrics.compute_macro_f1)
DECIDED = (
    FigureSpec("recall", metrics.compute_recall),
    FigureSpec("precision", metrics.compute_precision),
)
"""Of the positive class, where a threshold says from which probability on it is answered."""
RANKED = (
    FigureSpec("average_precision", metrics.compute_average_precision),
    FigureSpec("auroc", metrics.compute_auroc),
)
MACRO_RANKED = (
    FigureSpec("macro_average_precision", metrics.compute_macro_average_precision),
    FigureSpec("macro_auroc", metrics.compute_macro_auroc),
)
ERROR = FigureSpec("error", metrics.compute_mae, "lower", 1, metrics.add_errors)
ERRORS = (
    FigureSpec("mae", metrics.compute_mae, "lower", 1, metrics.add_errors),
    FigureSpec("rmse", metrics.compute_rmse, "lower", 1, metrics.add_squares, root=True),
    FigureSpec("mse", metrics.compute_mse, "lower", 2, metrics.add_squares),
)


def cut_figure(figure: FigureSpec, steps: int) -> FigureSpec:
    """Returns the figure of the first steps of a forecast (N, H, T) alone, as `mae_first_3`."""

    def compute(answers: Floats, truth: Floats, sample: Sample) -> float:
        return figure.compute(answers[:, :steps], truth[:, :steps], sample)

    def add(answers: Floats, truth: Floats, sample: Sample) -> tuple[Floats, Floats]:
        if figure.per_row is None:
            raise TypeError(f"figure ({figure.name}) must be a mean of rows; got another")
        return figure.per_row(answers[:, :steps], truth[:, :steps], sample)

    return replace(
        figure,
        name=f"{figure.name}{FIRST}{steps}",
        compute=compute,
        per_row=None if figure.per_row is None else add,
    )
