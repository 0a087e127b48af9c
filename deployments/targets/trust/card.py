"""The model card, card.json: what a device must know to feed an artifact and read its answer."""

import math
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from deployments.targets.errors import BadArtifact
from deployments.targets.trust.card_columns import ColumnSpec
from deployments.targets.trust.card_text import check_format
from deployments.targets.trust.golden import ArrayText, DType, Golden
from storage.base.documents import leave_out_defaults
from storage.base.pictures import BLACK
from storage.base.store import canonical_json
from storage.base.text_style import TextStyle

FORMAT: Final = 2
CARD_FILE = "card.json"
RECEIPT_FILE = "receipt.json"
FILE_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
QUANTILE: Final = "quantile "
"""What the meaning of an output begins with that is a quantile of what "values" is the median of;
the share below it stands behind."""
NORMAL_OR_NOT: Final = ("normal", "anomaly")
"""Labels of an anomaly detector whose recipe names none."""

_Level = Annotated[int, Field(ge=0, le=255)]
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
FileName = Annotated[str, Field(pattern=FILE_NAME_PATTERN)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OutputSpec(_Record):
    """One array that an artifact answers with.

    Attributes:
        name: Name of the output in the artifact.
        dtype: numpy name of its dtype.
        shape: One answer's shape without the batch axis; None for an axis of any length.
        meaning: What it says: "label" (int64 places in `labels`), "probabilities" of each label,
            "values" in the unit, "quantile 0.9" of them, "score" (how unlike what is normal), or a
            plug-in's own word.
        unit: Unit of its numbers: "1" for probabilities and scores; "" for the source's own.
        labels: Names of the labels, or of what lies along the last axis.
    """

    name: str
    dtype: DType = "float32"
    shape: tuple[Annotated[int, Field(gt=0)] | None, ...] = Field(default=(), max_length=8)
    meaning: str
    unit: str = "1"
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels of {self.name} must be unique; got {list(self.labels)}")
        if self.meaning == "label" and not self.labels:
            raise ValueError(f"labels of {self.name} must name each label; got none")
        width = self.shape[-1] if self.shape else None
        if self.meaning != "label" and self.labels and width not in (None, len(self.labels)):
            raise ValueError(
                f"labels of {self.name} must name each of {width} places; got {len(self.labels)}"
            )
        return self


class InputSpec(_Record):
    """The raw sample that an artifact takes.

    Attributes:
        form: What a sample is, by which the reader of files is found: "image", "table", "series",
            or a plug-in's.
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
        ahead: Rows at the end of a window that are of steps to come, of which only `known` columns,
            and the time, are looked at.
        known: Columns of these rows.
        max_gap_steps: Longest time between two neighbouring rows of a window, in steps of the
            file's series; None for any.
        file_style: How the CSV files look that the model learned from; None where it learned from
            none.
        details: What a plug-in's form needs to read a file, beyond the above.
        background: What stands behind what is transparent in a picture: red, green and blue.
    """

    form: str
    name: str
    dtype: DType
    shape: tuple[Annotated[int, Field(gt=0)], ...] = Field(min_length=1, max_length=8)
    value_range: tuple[int | float, int | float] | None = None
    columns: tuple[ColumnSpec, ...] = ()
    missing: tuple[str, ...] = ("",)
    entity: str | None = None
    time: ColumnSpec | None = None
    ahead: Annotated[int, Field(ge=0)] = 0
    known: tuple[str, ...] = ()
    max_gap_steps: float | None = Field(default=None, allow_inf_nan=False)
    file_style: TextStyle | None = None
    details: dict[str, JsonValue] = {}
    background: tuple[_Level, _Level, _Level] = BLACK

    @model_serializer(mode="wrap")
    def _leave_out_background(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a key that says nothing, so that older devices read the card."""
        kept = set(type(self).model_fields) - {"background"}
        return leave_out_defaults(self, handler(self), kept)

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
        if self.value_range is not None and self.columns:
            raise ValueError("input must have a value_range or columns; got both; publish it again")
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
        objective: What the model is asked, by which its answers are described: "classes",
            "values", "forecast", "reconstruction", or a plug-in's.
        input: The raw sample it takes.
        outputs: The arrays it answers with.
        artifact: The file it stands for.
        golden: Samples by which a device tests the artifact on itself.
        receipt: sha256 of the receipt that cleared it.
    """

    format: Literal[2] = FORMAT
    model_id: Sha256
    name: str
    kind: str
    objective: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...] = Field(min_length=1, max_length=32)
    artifact: ArtifactRef
    golden: Golden
    receipt: Sha256

    @field_validator("outputs")
    @classmethod
    def _check_names(cls, outputs: tuple[OutputSpec, ...]) -> tuple[OutputSpec, ...]:
        names = [output.name for output in outputs]
        if len(set(names)) != len(names):
            raise ValueError(f"outputs must have different names; got {names}")
        return outputs

    @model_validator(mode="after")
    def _check_golden(self) -> Self:
        wanted, given = {spec.name for spec in self.outputs}, self.golden.outputs
        if set(given) != wanted:
            raise ValueError(
                f"golden samples must have answers of {sorted(wanted)}; got {sorted(given)}"
            )
        _check_array("input", self.golden.input, self.input.dtype, self.input.shape)
        for spec in self.outputs:
            _check_array(spec.name, given[spec.name], spec.dtype, spec.shape)
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that it answers with; none where it tells none."""
        return next((spec.labels for spec in self.outputs if spec.meaning == "label"), ())

    def to_bytes(self) -> bytes:
        """Returns the card as canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, data: bytes) -> "Card":
        """Reads a card.

        Raises:
            BadArtifact: The bytes are no card of a format known here.
        """
        check_format(data, FORMAT)
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise BadArtifact(
                f"model card must follow its format; got {error}; publish the model again"
            ) from error


def _check_array(name: str, array: ArrayText, dtype: str, shape: tuple[int | None, ...]) -> None:
    """Holds golden samples against what the card says of one sample."""
    found = array.shape[1:]
    fits = len(found) == len(shape) and all(
        length in (None, size) for size, length in zip(found, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise ValueError(
            f"golden {name} must be {dtype} of shape {shape} each; got {array.dtype} {found}"
        )
