"""What one sample looks like to head and network, and what was fitted on the training rows.

A sample of rows is one array of float64: a row (D,), or a window of rows (L, D). NaN is a missing
number. Its columns are the numbers, those that are forecast first, then the categories as places in
their vocabulary (NaN where missing or unknown), then, if the head wants it, the time in seconds
since 1970 (UTC).
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lightning_modules.specs.base import Spec
from lightning_modules.specs.window import WindowSpec

Weight = Annotated[float, Field(ge=0)]


ROUNDING = 1e-12
"""Standard deviation, as a part of the mean, below which a value does not vary: of the same number
many times over, mean and deviation are as exact as float64 sums are."""


def drop_rounding(mean: float, std: float) -> float:
    """Return a standard deviation; 0 where all that varies is how the mean is rounded."""
    return std if std > ROUNDING * abs(mean) else 0.0


class Sample(Spec):
    """Base of the samples of every form; what a form does not have, stays neutral.

    A form's own sample adds `shape`, of one raw sample without its batch, and `dtype`, of the raw
    values, as fields or properties.
    """

    form: str
    """What a row is: "image", "table", "series", or a plug-in's."""
    objective: str
    """What is asked about it: "classes", "values", "forecast", "reconstruction", or a plug-in's."""
    classes: int = Field(default=0, ge=0)
    """Classes that are told apart; 0 where no class is asked for."""
    class_weights: tuple[Weight, ...] = ()
    """Weight of each class that evens out how often it occurs; empty where it is not known."""
    positive: int = Field(default=1, ge=0)
    """Of two classes the one that average precision and AUROC are of."""
    threshold: float | None = None
    """Of two classes the probability of the positive one from which on it is answered; None where
    the more probable one is."""
    labelled: bool = False
    """Whether rows that need no label have one, 0 for what is normal."""
    window: WindowSpec | None = None
    """Steps of a sample; None where a sample is one row."""
    quantiles: tuple[float, ...] = ()
    """Quantiles that are answered, the median among them; empty for one answer."""

    @model_validator(mode="after")
    def _check_class_count(self) -> Self:
        if self.classes == 1:
            raise ValueError(
                "classes (1) must be 0, or at least 2; got 1; name them in data.labels"
            )
        return self

    if TYPE_CHECKING:

        @property
        def shape(self) -> tuple[int, ...]:
            """Shape of one raw sample."""

        @property
        def dtype(self) -> str:
            """Type of the raw values."""

    @property
    def scales(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each value that is asked for; 0 and 1 where none is."""
        return (0.0,), (1.0,)


class ImageSample(Sample):
    """An image, (C, H, W)."""

    form: Literal["image"] = "image"
    objective: str = "classes"
    shape: tuple[int, int, int]
    """(C, H, W)."""
    dtype: Literal["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"] = "uint8"
    """Type of the raw values."""
    value_range: tuple[float, float] = (0.0, 255.0)
    """Smallest and largest raw value that the recipe allows."""
    mean: tuple[float, ...] = (0.0,)
    """Mean raw value of the training rows: of each channel, or one for all."""
    std: tuple[Weight, ...] = (1.0,)
    """Standard deviation, likewise."""


class NumberColumn(Spec):
    """A column of numbers, with what was fitted on its training rows, in its own unit."""

    name: str
    """Name of the column."""
    mean: float = 0.0
    """Mean of the training rows."""
    std: float = Field(default=1.0, ge=0)
    """Standard deviation of the training rows."""
    date: bool = False
    """Whether it is a date, in seconds since 1970 (UTC)."""
    entity_mean: tuple[float, ...] = ()
    """Mean of the training rows of each entity, in the order of their vocabulary; empty where
    numbers are not normalised by entity."""
    entity_std: tuple[Weight, ...] = ()
    """Standard deviation, likewise."""

    @property
    def spread(self) -> float:
        """The standard deviation; 0 where all that varies is how the mean is rounded."""
        return drop_rounding(self.mean, self.std)


class CategoryColumn(Spec):
    """A column of categories."""

    name: str
    """Name of the column."""
    vocabulary: tuple[str, ...] = Field(min_length=1)
    """The texts that the training rows hold, sorted; or names of buckets."""
    entity: bool = False
    """Whether it tells whose a row of a series is."""
    hashed: bool = False
    """Whether each text has the bucket that its hash says, as `head.hash` asks for."""
    frequencies: tuple[Weight, ...] = ()
    """How often each text or bucket occurs among the training rows, as `head.frequency` asks for;
    empty where a feature says which one it is."""

    def count_features(self, embed: int | None) -> int:
        """Returns how many features tell of it, where an embedding has so many."""
        return 1 if self.frequencies else embed or len(self.vocabulary)


def _form_of(window: object) -> str:
    """A window makes a series of a table."""
    return "table" if window is None else "series"


class RowSample(Sample):
    """A row of a table, or a window of a series."""

    form: Literal["table", "series"] = "table"
    numbers: tuple[NumberColumn, ...] = ()
    """Columns of numbers, the forecast ones first, those last that are known of steps to come."""
    categories: tuple[CategoryColumn, ...] = ()
    """Columns of categories."""
    time: bool = False
    """Whether the last column is the time."""
    forecast: int = Field(default=0, ge=0)
    """Number of columns that are forecast; 0 where none is."""
    target_mean: float = 0.0
    """Mean of the number that is asked for over the training rows."""
    target_std: float = Field(default=1.0, ge=0)
    """Standard deviation of that number."""

    @model_validator(mode="before")
    @classmethod
    def _name_form(cls, found: Any) -> Any:
        if isinstance(found, dict) and "form" not in found:
            return {"form": _form_of(found.get("window")), **found}
        return found

    @model_validator(mode="after")
    def _check_columns(self) -> "RowSample":
        if not self.numbers and not self.categories:
            raise ValueError("a sample must have a column; got none; name numbers or texts in data")
        if self.form != (form := _form_of(self.window)):
            raise ValueError(
                f"form ({self.form}) must be series for windows, only; got another; write {form}"
            )
        if self.forecast and (self.window is None or not self.window.horizon):
            raise ValueError(
                f"forecast ({self.forecast}) must be 0 where no step is forecast; got columns; "
                "give the window a horizon"
            )
        return self

    @property
    def width(self) -> int:
        """Columns of a row."""
        return len(self.numbers) + len(self.categories) + self.time

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sample: (D,), or (L, D), with the rows ahead of which something is known."""
        if self.window is None:
            return (self.width,)
        return (self.window.lookback + self.window.ahead, self.width)

    @property
    def known(self) -> int:
        """Number of columns of numbers, the last ones, that are known of steps to come."""
        names = self.window.known if self.window is not None else ()
        return sum(column.name in names for column in self.numbers)

    def is_known(self, column: CategoryColumn) -> bool:
        """Tells whether a category is known of steps to come, as whose they are always is."""
        names = self.window.known if self.window is not None else ()
        return column.entity or column.name in names

    @property
    def dtype(self) -> str:
        """Type of the raw values."""
        return "float64"

    @property
    def scales(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation (1 where it is 0) of each value or column asked for."""
        asked = self.numbers[: self.forecast]
        if not asked:
            spread = drop_rounding(self.target_mean, self.target_std)
            return (self.target_mean,), (spread or 1.0,)
        means = tuple(column.mean for column in asked)
        return means, tuple(column.spread or 1.0 for column in asked)
