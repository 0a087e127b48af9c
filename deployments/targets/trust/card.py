"""The model card: what a device must know to feed an artifact and to read its answer (card.json, beside it)."""

import json
import math
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from deployments.targets.errors import BadArtifact
from storage.base.store import canonical_json

FORMAT: Final = 1
CARD_FILE = "card.json"
RECEIPT_FILE = "receipt.json"
FILE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"

UNNAMED: Final = {"classes": (), "values": (), "score": ("normal", "anomaly")}
"""Labels of a card where the recipe names none, by what its model answers."""

Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
FileName = Annotated[str, Field(pattern=FILE_NAME_PATTERN)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnSpec(_Record):
    """A column of a row or of a window's rows.

    Attributes:
        name: Its name in files.
        vocabulary: Texts of a column of categories, which stand in a sample as their places here;
            empty for numbers.
        is_time: Whether it is the time, which stands in a sample in seconds since 1970 (UTC).
        time_format: Format of the time in files after C's strptime; None for ISO 8601.
    """

    name: str
    vocabulary: tuple[str, ...] = ()
    is_time: bool = False
    time_format: str | None = None


class OutputSpec(_Record):
    """What an artifact answers.

    Attributes:
        kind: "classes": `label` (N,) int64 and `probabilities` (N, K) float32; "values": `values`
            (N,), or (N, H, T) of a forecast, float32, in the source's units; "score": `label` (N,),
            1 for an anomaly, and `score` (N,) float32.
        classes: K.
        columns: Names of the T columns that are forecast.
        horizon: H steps; 0 where nothing is forecast.
    """

    kind: Literal["classes", "values", "score"] = "classes"
    classes: int = Field(default=0, ge=0)
    columns: tuple[str, ...] = ()
    horizon: int = Field(default=0, ge=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values or score of one sample."""
        return (self.horizon, len(self.columns)) if self.columns else ()


class InputSpec(_Record):
    """The raw sample that an artifact takes.

    Attributes:
        name: Name of the input in the artifact.
        dtype: numpy name of its dtype.
        shape: One sample's shape without the batch axis, such as (C, H, W), (D,) of a row or (L, D)
            of a window.
        value_range: Smallest and largest raw value; None where any number may stand, and NaN where
            one is missing.
        columns: The D columns of a row or of a window's rows; empty for images.
        missing: Texts that mean in files that there is no value.
        entity: Column of files of a series that says whose a row is, where the model learned of
            several: a window is of one.
        time: Column of files of a series that says when a row was, where it has one.
        max_gap_steps: Longest time between two neighbouring rows of a window, in steps of the
            file's series; None for any.
    """

    name: str = "image"
    dtype: Literal["uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64"] = (
        "uint8"
    )
    shape: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1, max_length=8)
    value_range: tuple[int | float, int | float] | None = None
    columns: tuple[ColumnSpec, ...] = ()
    missing: tuple[str, ...] = ("",)
    entity: str | None = None
    time: ColumnSpec | None = None
    max_gap_steps: float | None = None

    @field_validator("value_range")
    @classmethod
    def _check_range(
        cls, value: tuple[int | float, int | float] | None
    ) -> tuple[int | float, int | float] | None:
        if value is None:
            return None
        if not all(math.isfinite(bound) for bound in value) or value[0] >= value[1]:
            raise ValueError(
                f"value_range must be [low, high] with low < high, both finite; got {list(value)}"
            )
        return value

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest raw value; infinite where there is no range."""
        return self.value_range if self.value_range is not None else (-math.inf, math.inf)

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if (self.value_range is None) != bool(self.columns):
            raise ValueError(
                "input must have either a value_range or columns; got both or neither; publish it "
                "again"
            )
        if self.columns and self.shape[-1] != len(self.columns):
            raise ValueError(
                f"columns must be as many as the shape says; got {len(self.columns)} for "
                f"{self.shape}"
            )
        return self


class ArtifactRef(_Record):
    """The file that a card stands for: its name among the candidates, its file name, its digest."""

    name: str
    file: FileName
    sha256: Sha256


class Card(_Record):
    """A released model's card.

    Attributes:
        format: Version of this record.
        model_id: Identity of the model, 64 hexadecimal digits.
        name: The recipe's name.
        kind: The recipe's kind, such as "image-classification".
        input: The raw sample it takes.
        labels: Names of the classes, in the order of the output; of anomaly detection what is
            normal and what is not.
        output: What it answers.
        artifact: The file it stands for.
        receipt: sha256 of the receipt that cleared it.
    """

    format: Literal[1] = FORMAT
    model_id: Sha256
    name: str
    kind: str
    input: InputSpec
    labels: tuple[str, ...] = ()
    output: OutputSpec = OutputSpec()
    artifact: ArtifactRef
    receipt: Sha256

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be unique; got {list(self.labels)}")
        wanted = {"classes": self.output.classes or len(self.labels) or 1, "score": 2}.get(
            self.output.kind
        )
        if wanted is not None and len(self.labels) != wanted:
            raise ValueError(f"labels must name each of {wanted} answers; got {list(self.labels)}")
        return self

    def to_bytes(self) -> bytes:
        """The card as canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, data: bytes) -> "Card":
        """Reads a card.

        Raises:
            BadArtifact: The bytes are no card of a format known here.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BadArtifact(
                f"model card must be JSON; got {error}; publish the model again"
            ) from error
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise BadArtifact(
                f"model card must have format {FORMAT}; got {found!r}; read it with a newer Lepton"
            )
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise BadArtifact(
                f"model card must follow its format; got {error}; publish the model again"
            ) from error
