"""Held-out answers as a page shows them: figures side by side, lines, dots, counts and pictures."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from tasks.rendering.base import MAX_PICTURE_BYTES, Part, Text
from tasks.rendering.pictures import is_png
from tasks.rendering.text import format_together


class Comparison(Part):
    """The model's figures on the held-out rows beside those of its baselines.

    Attributes:
        metrics: Names of the figures.
        rows: For each answerer its name and its figures, None where one has none; the model comes
            first.
        unit: Of errors.
    """

    metrics: tuple[Text, ...]
    rows: tuple[tuple[Text, tuple[float | None, ...]], ...]
    unit: Text = ""

    @property
    def shown(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The rows as they are written: of each figure as many digits as tell answerers apart."""
        columns = [
            format_together(column) for column in zip(*(row for _, row in self.rows), strict=True)
        ]
        return tuple(
            (name, tuple(column[place] for column in columns))
            for place, (name, _) in enumerate(self.rows)
        )


class Forecast(Part):
    """One window.

    Attributes:
        title: Which column, and why it is shown.
        lines: Over the steps ahead: `truth`, `answer` and the best baseline's.
        past: The last steps that the model saw; the newest comes last.
        moments: When the first step that is shown was, the last that the model saw, and the last
            ahead; empty where nobody knows.
        band: The lowest and the highest of the quantiles that were answered, over the steps ahead;
            empty without quantiles.
    """

    title: Text
    past: tuple[float, ...] = ()
    lines: dict[Text, tuple[float, ...]]
    moments: tuple[Text, ...] = ()
    band: tuple[tuple[float, ...], ...] = ()


class Scatter(Part):
    """(truth, answer) of held-out values."""

    title: Text
    points: tuple[tuple[float, float], ...]


class Coverage(Part):
    """How many truths lie between two quantiles, beside how many are meant to."""

    low: float
    high: float
    seen: float

    @property
    def meant(self) -> float:
        """Share of the truths that should lie there."""
        return self.high - self.low


class StepErrors(Part):
    """How an error grows with the steps ahead.

    Attributes:
        unit: Of the error.
        lines: The mean absolute error of each step, by who answers; the model comes first.
    """

    unit: Text = ""
    lines: dict[Text, tuple[float, ...]]


class Breakdown(Part):
    """A figure apart for each part of the held-out rows, the worst part first.

    Attributes:
        by: What the parts are of, such as "column".
        figure: Its name.
        rate: Whether it is a share of 0 to 1, and higher is better.
        answerers: Who answers; the model comes first.
        rows: For each part its name, its rows, and the figure of each answerer.
        more: Parts that are left out.
    """

    by: Text
    figure: Text
    rate: bool = False
    answerers: tuple[Text, ...]
    rows: tuple[tuple[Text, int, tuple[float | None, ...]], ...]
    more: int = 0


class PrecisionRecall(Part):
    """How many of the positive rows are found, and how many of those that are called so are.

    Attributes:
        positive: Name of the class that is sought.
        base: Share of the rows that are of it.
        average_precision: The area under the curve, by steps.
        points: (recall, precision) from the surest answer on.
        threshold: The least score that is called positive; None where none is.
        at: Recall and precision there.
    """

    positive: Text
    base: float
    average_precision: float
    points: tuple[tuple[float, float], ...]
    threshold: float | None = None
    at: tuple[float, float] | None = None


class Confusion(Part):
    """The held-out rows by class: `counts[truth][predicted]`, (K, K), for K labels."""

    labels: tuple[Text, ...]
    counts: tuple[tuple[Annotated[int, Field(ge=0)], ...], ...]

    @model_validator(mode="after")
    def _must_be_square(self) -> Self:
        sizes = [len(row) for row in self.counts]
        if sizes != [len(self.labels)] * len(self.labels):
            raise ValueError(
                f"counts must have {len(self.labels)} rows and columns, one a label; got {sizes}"
            )
        return self


class Sample(Part):
    """One held-out row with what the model answers; `picture` holds PNG bytes."""

    picture: bytes = Field(max_length=MAX_PICTURE_BYTES)
    truth: Text
    predicted: Text
    confidence: float
    name: Text = ""

    @field_validator("picture")
    @classmethod
    def _must_be_png(cls, picture: bytes) -> bytes:
        if not is_png(picture):
            raise ValueError(
                f"picture must be PNG bytes; got {picture[:8]!r}; make it with encode_picture"
            )
        return picture

    @property
    def correct(self) -> bool:
        """Whether the answer is the truth."""
        return self.truth == self.predicted
