"""What the records of all pages have in common: frozen, closed, every string of them cleaned."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from tasks.rendering.text import clean_text, clean_value

Text = Annotated[str, BeforeValidator(clean_text)]
Value = Annotated[JsonValue, BeforeValidator(clean_value)]

MAX_PICTURE_BYTES = 64 * 1024


class Part(BaseModel):
    """Base of the frozen records of a page."""

    model_config = ConfigDict(frozen=True, extra="forbid")
