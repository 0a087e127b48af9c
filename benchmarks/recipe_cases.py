"""The recipes that are measured: their data, the figure that is shown, its goal or its rival."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.boosting import measure_boosting

SHARED = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """One recipe.

    Attributes:
        recipe: Its name.
        data: File or folder below shared/data; None where the data comes with a dependency.
        figure: Metric of the receipt that is shown.
        goal: What it should reach; None for no goal, or for that of the rival.
        higher: Whether more is better.
        rival: Measures another model on the rows of a run, given recipe, figure and workspace; its
            figure is the goal.
        rival_name: What that is.
        informed: Measures the rival with what the recipe's author knows of the data too; only
            shown.
        published: What others report, and where; only to be held beside it where the rows are the
            same.
        preset: The one of the recipe's presets that is run; None for none.
    """

    recipe: str
    data: str | None
    figure: str
    goal: float | None
    higher: bool = True
    rival: Callable[[str, str, Path], float] | None = None
    rival_name: str = ""
    informed: Callable[[str, str, Path], float] | None = None
    published: str = ""
    preset: str | None = None

    @property
    def name(self) -> str:
        """What its row is called."""
        return self.recipe if self.preset is None else f"{self.recipe}-{self.preset}"


CASES = (
    Case("digits", None, "accuracy", 0.985),
    Case("mnist", "mnist", "accuracy", 0.996, published="98.0 % to beat"),
    Case("mnist", "mnist", "accuracy", 0.996, preset="best"),
    Case(
        "cifar",
        "cifar10-jpeg/cifar10_jpeg.tar.xz",
        "accuracy",
        0.90,
        published="ResNet-20 91.25 % on the original pixels (He et al., 2016, table 6), "
        "not on these JPEGs",
    ),
    Case(
        "machine-failure",
        "ai4i2020/ai4i2020.csv.gz",
        "average_precision",
        None,
        rival=measure_boosting,
        rival_name="HistGradientBoosting, tuned",
        informed=partial(measure_boosting, combined=True),
    ),
    Case("traffic", "traffic-pems-single", "mae", 7.0, higher=False),
    Case(
        "transformer-temperature",
        "ett/ETTh1.csv.gz",
        "mse",
        0.38,
        higher=False,
        published="96 steps ahead: PatchTST 0.370 at a lookback of 512 "
        "(Nie et al., 2023, table 3), "
        "DLinear 0.375 at 336 (Zeng et al., 2023, table 2); at a lookback of 96, PatchTST 0.414 "
        "and iTransformer 0.386 (Liu et al., 2024, table 10)",
    ),
    Case("transformer-temperature", "ett/ETTh1.csv.gz", "mse", 0.37, higher=False, preset="long"),
    Case(
        "photos",
        "photos-ants-bees",
        "accuracy",
        None,
        published="nothing comparable: what others report is of networks pretrained elsewhere, "
        "on more photos",
    ),
)
