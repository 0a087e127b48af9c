"""Held-out answers as a page shows them: figures side by side, lines, dots, counts and pictures."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from tasks.rendering.base import MAX_PICTURE_BYTES, Part, Text
from tasks.rendering.pictures import is_png


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


class Forecast(Part):
    """One window.

    Attributes:
        title: Which column, and why it is shown.
        lines: Over the steps ahead: `truth`, `answer` and the best baseline's.
        past: The last steps that the model saw; the newest comes last.
    """

    title: Text
    past: tuple[float, ...] = ()
    lines: dict[Text, tuple[float, ...]]


class Scatter(Part):
    """(truth, answer) of held-out values."""

    title: Text
    points: tuple[tuple[float, float], ...]


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
