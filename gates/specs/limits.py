"""What all limits of gates have in common, as a recipe states them.

Every limit has its unit in its name or its description. A fraction is 0 to 1, never a percentage.
The defaults are those of small, clean image sets; a recipe tightens them.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gates.engine.on_fail import Soft, refuse_quarantines

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Rows = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Skill = Annotated[float, Field(lt=1, allow_inf_nan=False)]
SoftOnFail = Annotated[dict[str, Soft], BeforeValidator(refuse_quarantines)]


class Limits(BaseModel):
    """A frozen set of limits that refuses unknown names and values that are not numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
