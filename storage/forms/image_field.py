"""What a recipe says of the field that images are kept in."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from storage.base.documents import leave_out_defaults
from storage.base.pictures import BLACK

ImageDtype = Literal["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]
_Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[_Level, _Level, _Level]
_FIRST_KEYS = frozenset({"shape", "dtype", "value_range"})


class ImageField(BaseModel):
    """Images as they are stored: raw values in their native dtype."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    shape: tuple[int, int, int]
    """Channels, height, width."""
    dtype: ImageDtype = "uint8"
    """Type of a value."""
    value_range: tuple[float, float] = (0, 255)
    """Smallest and largest value that can occur, in the source's own unit."""

    background: Colour = BLACK
    """What stands behind what is transparent in a picture: red, green and blue from 0 to 255, such
    as [255, 255, 255] behind dark drawings."""

    @model_serializer(mode="wrap")
    def _leave_out_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out later keys that say nothing, so that the same rows keep their digest."""
        return leave_out_defaults(self, handler(self), _FIRST_KEYS)

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
