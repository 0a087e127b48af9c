"""What one sample of a table or a series looks like to head and network, and what was fitted on the training rows.

A sample is one array of float64: a row (D,), or a window of rows (L, D). NaN is a missing number.
Its columns are the numbers, those that are forecast first, then the categories as places in their
vocabulary (NaN where missing or unknown), then, if the head wants it, the time in seconds since
1970 (UTC).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lightning_modules.specs.families import Form
from lightning_modules.specs.model import SampleSpec, Spec, WindowSpec

Task = Literal["classification", "regression", "forecasting", "reconstruction"]
TASKS: dict[str, Task] = {
    "image-classification": "classification",
    "tabular-classification": "classification",
    "tabular-regression": "regression",
    "forecasting": "forecasting",
    "series-classification": "classification",
    "series-regression": "regression",
    "anomaly-detection": "reconstruction",
}


class NumberColumn(Spec):
    """A column of numbers: its name, and mean and standard deviation of the training rows in its own unit."""

    name: str
    mean: float = 0.0
    std: float = Field(default=1.0, ge=0)


class CategoryColumn(Spec):
    """A column of categories: its name, and the texts that the training rows hold, sorted."""

    name: str
    vocabulary: tuple[str, ...] = Field(min_length=1)


class RowSample(Spec):
    """A row of a table, or a window of a series.

    Attributes:
        kind: Tells it apart from a `specs.SampleSpec`, an image.
        task: What is asked about it.
        numbers: Columns of numbers, the forecast ones first.
        categories: Columns of categories.
        time: Whether the last column is the time.
        window: Steps of a sample; None for a row of a table.
        forecast: Number of columns that are forecast; 0 where none is.
        classes: K; 0 where no class is asked for.
        class_weights: Weight of each class that evens out how often it occurs.
        labelled: Whether rows of anomaly detection have labels, 0 for what is normal.
        target_mean: Mean of the number that is asked for over the training rows.
        target_std: Its standard deviation.
    """

    kind: Literal["rows"] = "rows"
    task: Task
    numbers: tuple[NumberColumn, ...] = ()
    categories: tuple[CategoryColumn, ...] = ()
    time: bool = False
    window: WindowSpec | None = None
    forecast: int = Field(default=0, ge=0)
    classes: int = Field(default=0, ge=0)
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] = ()
    labelled: bool = False
    target_mean: float = 0.0
    target_std: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _check_columns(self) -> "RowSample":
        if not self.numbers and not self.categories:
            raise ValueError("a sample must have a column; got none; name numbers or texts in data")
        if (self.task == "forecasting") != bool(self.forecast):
            raise ValueError(
                f"forecast ({self.forecast}) must be above 0 for forecasts only; got task "
                f"{self.task}"
            )
        return self

    @property
    def form(self) -> Form:
        """Form of the sample, by which families of networks are known."""
        return "table" if self.window is None else "series"

    @property
    def width(self) -> int:
        """Columns of a row."""
        return len(self.numbers) + len(self.categories) + self.time

    @property
    def shape(self) -> tuple[int, ...]:
        """(D,), or (L, D)."""
        return (self.width,) if self.window is None else (self.window.lookback, self.width)

    @property
    def dtype(self) -> str:
        """Of the raw values."""
        return "float64"

    @property
    def scales(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation (1 where it is 0) of what is asked for, one a value or forecast column."""
        if self.task == "forecasting":
            asked = self.numbers[: self.forecast]
            return tuple(column.mean for column in asked), tuple(
                column.std or 1.0 for column in asked
            )
        return (self.target_mean,), (self.target_std or 1.0,)

    @property
    def outputs(self) -> int | tuple[int, ...]:
        """What a network gives: K classes, one value, or (H, T) steps of columns; 0 where it gives its input back."""
        if self.task == "forecasting" and self.window is not None:
            return (self.window.horizon, self.forecast)
        return {"classification": self.classes, "regression": 1}.get(self.task, 0)


AnySample = Annotated[SampleSpec | RowSample, Field(discriminator="kind")]
