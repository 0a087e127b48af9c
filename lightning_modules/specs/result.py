"""The figures of a training, as plain data; importing them costs no torch."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class TrainResult(BaseModel):
    """What came of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    """Epochs that were run, resumed ones included."""
    steps: int
    """Optimizer steps, likewise."""
    best_epoch: int
    """Epoch whose weights were chosen, from 0."""
    validation_loss: float
    """Of those weights on the validation rows."""
    threshold: float | None = None
    """Probability from which on the positive class is answered; None where the more probable one
    is."""
    validation_figures: dict[str, float]
    """Likewise, by name: "accuracy" in [0, 1] or "error", and the metric that chose the epoch."""
    stopped_early: bool
    """Whether patience ran out."""
    resumed_step: int | None = None
    """Optimizer step from which this attempt resumed; None from the start."""
    parameters: int
    """Trained numbers of the network."""
    world_size: int
    """Processes that trained together."""
    device: str
    """"cpu" or "cuda"."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """In which it was trained, whatever "auto" has come to."""
    precision_kept: bool = False
    """Whether that is the precision of the state from which this attempt resumed, where this
    machine would have chosen another."""
    threads: int | None = None
    """Threads that each process computed in; None where that was not written down."""
    seconds: float
    """Wall time of this attempt's fit."""
    history: tuple[dict[str, Any], ...]
    """One record an epoch."""
