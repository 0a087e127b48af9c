"""The precisions in which a network can be trained."""

from typing import Literal

Precision = Literal["fp32", "bf16"]
LIGHTNING_NAMES: dict[Precision, Literal["32-true", "bf16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
}
