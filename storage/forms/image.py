"""Images: the data section of a recipe whose rows are images with a class each."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from storage.forms.base import RowsSpec

ImageDtype = Literal["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]


class ImageField(BaseModel):
    """Images as they are stored: raw values in their native dtype.

    Attributes:
        shape: Channels, height, width.
        dtype: Type of a value.
        value_range: Smallest and largest value that can occur, in the source's own unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shape: tuple[int, int, int]
    dtype: ImageDtype = "uint8"
    value_range: tuple[float, float] = (0, 255)

    @field_validator("shape")
    @classmethod
    def _reject_empty(cls, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(shape) < 1:
            raise ValueError(
                "be three positive numbers: channels, height, width; write as [1, 28, 28]"
            )
        return shape

    @field_validator("value_range")
    @classmethod
    def _reject_backwards(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if not limits[0] < limits[1]:
            raise ValueError("be the smallest and then the largest value; write as [0, 255]")
        return limits


class ImageSpec(RowsSpec):
    """Labelled images.

    Attributes:
        kind: What the rows are.
        image: What an image is.
        labels: Names of the classes; class i has label i. Of folders of pictures their own names.
    """

    kind: Literal["image"] = "image"
    image: ImageField
    labels: tuple[str, ...] = Field(min_length=2)

    @field_validator("labels")
    @classmethod
    def _reject_repeated(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) != len(labels):
            raise ValueError("be names that differ; remove the repeated one")
        return labels
