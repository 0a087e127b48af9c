"""Which artifacts are made of a network, as a recipe says it."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from lightning_modules.specs.base import Spec
from lightning_modules.specs.model import NetworkSpec
from lightning_modules.specs.rungs import FP32, RUNGS, list_rungs

Method = Literal["min_max", "percentile", "entropy"]
"""How the range of an activation is found from what training rows gave there."""


def _check_rung(name: str) -> str:
    if name not in RUNGS:
        raise ValueError(
            f"candidate ({name!r}) must be one of {', '.join(list_rungs())}; got another; choose "
            "among them"
        )
    return name


class CompressSpec(Spec):
    """Which artifacts are made from the trained network."""

    candidates: tuple[Annotated[str, AfterValidator(_check_rung)], ...] = ("fp32", "int8")
    """Artifacts, all ONNX. "fp32": float32. "fp16": 16-bit weights, half the file. "int8": 8-bit
    weights with a scale a channel; where samples are whole numbers, as pixels, 8-bit activations,
    too, in layers that are faster so (static QDQ). "int8_dynamic": products and LSTMs of 8 bits,
    the ranges of activations taken from each batch. "int8_weights", "int4_weights": weights alone
    of 8 bits, or those of products of 4, with floating arithmetic. Trained for, within
    `max_minutes`: "pruned", without its weakest channels; "distilled", a smaller network that
    imitates it; "pruned_int8", "distilled_int8", the same in 8 bits; "int8_aware", 8 bits that
    training had in mind."""
    calibration_rows: int = Field(default=256, ge=16, le=10_000)
    """Training rows that fix the activations' ranges, in [16, 10000]."""
    calibration: Method | Literal["auto"] = "min_max"
    """How they fix them: "min_max", all that was seen; "percentile", but for the last 0.001 %;
    "entropy", where least is lost of what was seen (Kullback and Leibler, 1951); "auto" makes all
    three and keeps the one with the least loss on validation rows, or, where these have no truth,
    whose answers are nearest to the float network's."""

    prune: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = 0.5
    """Share of the channels that "pruned" cuts off (Fang et al., 2023), in (0, 1); "auto" trains on
    with a quarter of them, then with more, until one can lose as little as the gate allows."""
    student: NetworkSpec | None = None
    """The network of "distilled"; None: the recipe's own family at half its width."""
    max_minutes: float = Field(default=10.0, gt=0, le=100_000)
    """Processor time in minutes that all trainings for artifacts may cost together. One that would
    cost more than is left, or cannot become good enough, is given up, and says so."""

    @model_validator(mode="after")
    def _check_candidates(self) -> "CompressSpec":
        if not self.candidates or len(set(self.candidates)) != len(self.candidates):
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must name each artifact once and at "
                "least one; write candidates: [fp32, int8]"
            )
        if FP32 not in self.candidates:
            raise ValueError(
                f"candidates ({', '.join(self.candidates)}) must hold fp32, the reference that the "
                "others are measured against; add it"
            )
        return self
