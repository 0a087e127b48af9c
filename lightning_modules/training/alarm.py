"""Stops a training whose loss is lost."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor

from lightning_modules.data.batches import Batch
from lightning_modules.errors import DivergedError
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.callbacks import StepCallback
from lightning_modules.training.learner import Learner

OnDiverged = Callable[[Mapping[str, Any]], None]


class LossAlarm(StepCallback):
    """Stops the run at the first loss that is NaN, infinite, or far above the first one.

    On a GPU the losses are looked at every `log_every_steps` batches only, since each look waits
    for the device; the batches in between are remembered, so that the right one is named.
    """

    def __init__(self, spec: TrainSpec, on_diverged: OnDiverged | None = None) -> None:
        self.spec = spec
        self.on_diverged = on_diverged
        self.first_loss: float | None = None
        self._pending: list[tuple[int, int, Tensor, Batch]] = []

    def after_batch(
        self, trainer: pl.Trainer, learner: Learner, loss: Tensor, batch: Batch, batch_idx: int
    ) -> None:
        """Remembers the loss, and looks when it is due."""
        del batch_idx
        self._pending.append((trainer.current_epoch, trainer.global_step, loss, batch))
        if learner.device.type == "cpu" or len(self._pending) >= self.spec.log_every_steps:
            self._look()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at what is left before the epoch is judged."""
        del trainer, pl_module
        self._look()

    def _look(self) -> None:
        pending, self._pending = self._pending, []
        for epoch, step, value, batch in pending:
            loss = float(value) * self.spec.accumulate
            if self.first_loss is None:
                self.first_loss = loss
            limit = self.spec.explode_factor * max(abs(self.first_loss), 1e-3)
            # Written so that NaN fails it too.
            if not abs(loss) <= limit:
                self._stop(epoch, step, loss, limit, batch)

    def _stop(self, epoch: int, step: int, loss: float, limit: float, batch: Batch) -> None:
        rows = tuple(int(row) for row in batch.row_id)
        if self.on_diverged is not None:
            self.on_diverged(
                {
                    "sample": batch.sample.cpu().numpy(),
                    "truth": batch.truth.cpu().numpy(),
                    "row_id": batch.row_id,
                    "epoch": np.array([epoch]),
                    "step": np.array([step]),
                }
            )
        shown = ", ".join(str(row) for row in rows[:8]) + (", ..." if len(rows) > 8 else "")
        raise DivergedError(
            f"training loss (epoch {epoch}, step {step}) must be finite and at most {limit:.4g}; "
            f"got {loss:.4g} on the rows {shown}; look at those rows, lower train.optimizer.lr, "
            "or clip gradients with train.clip_norm",
            epoch=epoch,
            step=step,
            row_ids=rows,
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns the first loss, for a resume."""
        return {"first_loss": self.first_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a resume state."""
        self.first_loss = state_dict["first_loss"]
