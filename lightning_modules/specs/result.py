"""The figures of a training, as plain data; importing them costs no torch."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class TrainResult(BaseModel):
    """What came of a training.

    Attributes:
        epochs: Epochs that were run, resumed ones included.
        steps: Optimizer steps, likewise.
        best_epoch: Epoch whose weights were chosen, from 0.
        validation_loss: Of those weights on the validation rows.
        validation_figures: Likewise, by name: "accuracy" in [0, 1] or "error", and the metric that
            chose the epoch.
        stopped_early: Whether patience ran out.
        resumed_step: Optimizer step from which this attempt resumed; None from the start.
        parameters: Trained numbers of the network.
        world_size: Processes that trained together.
        device: "cpu" or "cuda".
        precision: In which it was trained, whatever "auto" has come to.
        precision_kept: Whether that is the precision of the state from which this attempt resumed,
            where this machine would have chosen another.
        seconds: Wall time of this attempt's fit.
        history: One record an epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    steps: int
    best_epoch: int
    validation_loss: float
    validation_figures: dict[str, float]
    stopped_early: bool
    resumed_step: int | None = None
    parameters: int
    world_size: int
    device: str
    precision: Literal["fp32", "bf16"] = "fp32"
    precision_kept: bool = False
    seconds: float
    history: tuple[dict[str, Any], ...]
