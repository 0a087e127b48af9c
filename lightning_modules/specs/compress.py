"""Which artifacts are made of a network, as a recipe says it."""

from typing import Literal

from pydantic import Field, model_validator

from lightning_modules.specs.base import Spec


class CompressSpec(Spec):
    """Which artifacts are made from the trained network."""

    candidates: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")
    """"fp32" (ONNX, float32) and "int8": 8-bit weights with a scale a channel; where samples are
    whole numbers, as pixels, 8-bit activations, too (static QDQ)."""
    calibration_rows: int = Field(default=256, ge=16, le=10_000)
    """Training rows that fix the activations' ranges, in [16, 10000]."""

    @model_validator(mode="after")
    def _check_candidates(self) -> "CompressSpec":
        if not self.candidates or len(set(self.candidates)) != len(self.candidates):
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must name each artifact once and at "
                "least one; write candidates: [fp32, int8]"
            )
        if "fp32" not in self.candidates:
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must hold fp32, the reference that the "
                "others are measured against; add it"
            )
        return self
