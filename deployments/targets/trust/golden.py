"""Golden samples: a few made-up samples, and what an artifact's exact bytes answered to them.

A device asks itself the same before it takes a model: a runtime, a processor or a memory that
answers otherwise than where the model was made is found before it answers anybody else.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployments.targets.errors import BadArtifact
from storage.base.store import canonical_json

MAX_SAMPLES: Final = 4
MAX_GOLDEN_BYTES: Final = 256 * 2**10
"""Most bytes of all arrays together, unless there is only one sample."""
_MOST_PLACES: Final = 2**48

DType = Literal["bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArrayText(_Record):
    """An array as JSON.

    Attributes:
        dtype: numpy name of its dtype.
        shape: Its shape.
        data: Its values in C order, little-endian, in base64.
    """

    dtype: DType
    shape: tuple[Annotated[int, Field(ge=0)], ...] = Field(max_length=9)
    data: str = Field(repr=False)

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self:
        """Writes an array."""
        values = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        text = base64.b64encode(values.tobytes()).decode("ascii")
        return cls.model_validate({"dtype": array.dtype.name, "shape": array.shape, "data": text})

    @property
    def size_bytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def read(self) -> NDArray[Any]:
        """Returns the array; it cannot be written to."""
        values = np.frombuffer(base64.b64decode(self.data), np.dtype(self.dtype).newbyteorder("<"))
        return values.reshape(self.shape).astype(self.dtype, copy=False)

    @model_validator(mode="after")
    def _check_data(self) -> Self:
        # Of an array that is empty along one axis numpy still multiplies the others.
        if math.prod(max(length, 1) for length in self.shape) > _MOST_PLACES:
            raise ValueError(f"shape of an array must be that of one in memory; got {self.shape}")
        try:
            held = len(base64.b64decode(self.data, validate=True))
        except binascii.Error as error:
            raise ValueError(f"data of an array must be base64; got {error}") from error
        if held != self.size_bytes:
            raise ValueError(
                f"data of an array must be {self.size_bytes} bytes, as {self.shape} of "
                f"{self.dtype} has; got {held}"
            )
        return self


class Golden(_Record):
    """Golden samples of one artifact.

    Attributes:
        input: Raw samples, (N, *shape of the card's input), N of 1 to 4.
        outputs: What the artifact answers to them, by the name of the output: (N, *its shape).
        tolerance: How far an answer may be off, as a fraction of its output's scale.
    """

    input: ArrayText
    outputs: dict[str, ArrayText] = Field(min_length=1, max_length=32)
    tolerance: float = Field(gt=0.0, lt=1.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_samples(self) -> Self:
        count = self.input.shape[:1]
        if count not in {(number,) for number in range(1, MAX_SAMPLES + 1)}:
            raise ValueError(
                f"golden samples must be 1 to {MAX_SAMPLES}; got shape {self.input.shape}"
            )
        for name, output in self.outputs.items():
            if output.shape[:1] != count:
                raise ValueError(
                    f"golden samples must have {count[0]} answers of {name}; got shape "
                    f"{output.shape}"
                )
            # Whatever is compared with no number, or with an endless one, is never far from it.
            if not np.isfinite(output.read()).all():
                raise ValueError(f"golden samples must have finite answers of {name}; got others")
        if count != (1,) and self.size_bytes > MAX_GOLDEN_BYTES:
            raise ValueError(
                f"golden samples must be at most {MAX_GOLDEN_BYTES} bytes; got {self.size_bytes}; "
                "keep fewer"
            )
        return self

    @property
    def size_bytes(self) -> int:
        """Bytes of all arrays."""
        return self.input.size_bytes + sum(output.size_bytes for output in self.outputs.values())

    def read_outputs(self) -> Mapping[str, NDArray[Any]]:
        """Returns the answers by the name of the output."""
        return {name: output.read() for name, output in self.outputs.items()}

    def to_bytes(self) -> bytes:
        """Returns them as canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, data: bytes) -> "Golden":
        """Reads golden samples.

        Raises:
            BadArtifact: The bytes are none.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise BadArtifact(
                f"golden samples must follow their format; got {error}; run the recipe again"
            ) from error


def name_golden_file(artifact: str) -> str:
    """Names the file of an artifact's golden samples among the model's files."""
    return f"{artifact}.golden.json"
