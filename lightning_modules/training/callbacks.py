"""What happens around the steps: figures, the best weights, resume states, the alarm."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lightning_modules.data.batches import Batch
from lightning_modules.specs.measure import find_direction
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.checkpoint import ResumeStates, copy_weights
from lightning_modules.training.learner import Learner, Tally
from lightning_modules.training.ranks import sum_over_ranks, tell_ranks

Record = dict[str, Any]
OnRecord = Callable[[Record], None]


class StepCallback(Callback, ABC):
    """Looks after each batch; what it does is in `after_batch`."""

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Hands on what is of use."""
        self.after_batch(trainer, cast(Learner, pl_module), read_loss(outputs), batch, batch_idx)

    @abstractmethod
    def after_batch(
        self, trainer: pl.Trainer, learner: Learner, loss: Tensor, batch: Batch, batch_idx: int
    ) -> None:
        """Called behind each batch of the epoch, numbered from 0, with its loss."""


def read_loss(outputs: object) -> Tensor:
    """Returns the loss that Lightning hands to `on_train_batch_end`.

    It is the step's own, divided by the number of micro-batches.
    """
    return cast(Mapping[str, Tensor], outputs)["loss"].detach()


class EpochJudge(Callback):
    """Takes every epoch's figures, keeps the best weights, and stops when they no longer improve.

    Attributes:
        history: One record an epoch.
        best: The record of the best epoch.
        weights: That epoch's weights, on the CPU.
    """

    def __init__(self, spec: TrainSpec, on_record: OnRecord) -> None:
        self.spec = spec
        self.on_record = on_record
        self.history: list[Record] = []
        self.best: Record | None = None
        self.weights: dict[str, Tensor] = {}
        self.stopped_early = False
        self._started_at, self._cpu_started_at = time.monotonic(), time.process_time()
        self._validation: dict[str, float] = {}

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the epoch's tally."""
        del trainer
        cast(Learner, pl_module).train_tally = Tally()
        self._started_at, self._cpu_started_at = time.monotonic(), time.process_time()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the validation tally, and gives every rank the running statistics of rank 0."""
        cast(Learner, pl_module).start_validation()
        if trainer.world_size > 1:
            for buffer in pl_module.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Adds up the ranks' figures; the plateau schedule reads the loss."""
        self._validation = cast(Learner, pl_module).finish_validation(trainer)
        if self.spec.scheduler.name == "plateau":
            pl_module.log(
                "validation_loss",
                self._validation["validation_loss"],
                sync_dist=trainer.world_size > 1,
            )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judges the epoch."""
        learner = cast(Learner, pl_module)
        tally = learner.train_tally
        tally.sums = sum_over_ranks(trainer, tally.sums)
        train_loss, train_figure = tally.read()
        cpu_s = torch.tensor(time.process_time() - self._cpu_started_at, dtype=torch.float64)
        record: Record = {
            "event": "epoch",
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "train_loss": train_loss,
            f"train_{learner.answer.spec.watched.name}": train_figure,
            **self._validation,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.monotonic() - self._started_at, 3),
            "cpu_s": round(float(sum_over_ranks(trainer, cpu_s)), 3),
        }
        record["best"] = self._is_better(record, learner)
        if record["best"]:
            self.best, self.weights = record, copy_weights(pl_module)
        self.history.append(record)
        patience = self.spec.early_stopping.patience_epochs
        if (
            patience is not None
            and self.best is not None
            and record["epoch"] - self.best["epoch"] >= patience
        ):
            trainer.should_stop = self.stopped_early = True
        self.on_record(record)

    def _is_better(self, record: Record, learner: Learner) -> bool:
        """Compares an epoch with the best by the figure that the spec selects by.

        The loss breaks ties, or the watched figure those of the loss.
        """
        if self.best is None or learner.selection == "last":
            return True
        second = learner.answer.spec.watched.name if learner.selection == "loss" else "loss"
        gains = []
        for name, lower in (
            (learner.selection, learner.lower_is_better),
            (second, find_direction(second) == "lower"),
        ):
            gain = record[f"validation_{name}"] - self.best[f"validation_{name}"]
            gains.append(-gain if lower else gain)
        return bool(
            gains[0] > self.spec.early_stopping.min_delta or (gains[0] == 0 and gains[1] > 0)
        )

    def state_dict(self) -> dict[str, Any]:
        """Returns history and best weights, for a resume."""
        return {"history": self.history, "best": self.best, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a resume state."""
        self.history, self.best, self.weights = (
            state_dict["history"],
            state_dict["best"],
            state_dict["weights"],
        )


class StepLog(StepCallback):
    """Writes a line every few steps: the loss, the learning rate, the speed."""

    def __init__(self, spec: TrainSpec, on_record: OnRecord) -> None:
        self.spec = spec
        self.on_record = on_record
        self._mark = (time.monotonic(), 0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock."""
        del pl_module
        self._mark = (time.monotonic(), trainer.global_step)

    def after_batch(
        self, trainer: pl.Trainer, learner: Learner, loss: Tensor, batch: Batch, batch_idx: int
    ) -> None:
        """Writes the line when it is due."""
        del learner, batch
        step = trainer.global_step
        if (batch_idx + 1) % self.spec.accumulate or step % self.spec.log_every_steps:
            return
        now, (then, since) = time.monotonic(), self._mark
        self._mark = (now, step)
        self.on_record(
            {
                "event": "step",
                "epoch": trainer.current_epoch,
                "step": step,
                "steps": int(trainer.estimated_stepping_batches),
                "loss": float(loss) * self.spec.accumulate,
                "lr": trainer.optimizers[0].param_groups[0]["lr"],
                "rows_per_s": round(
                    (step - since) * self.spec.batch_size / max(now - then, 1e-9), 1
                ),
            }
        )


class ResumeSaver(StepCallback):
    """Keeps a state every few optimizer steps or seconds, from which training resumes exactly.

    States are taken between two batches of an epoch, never behind its last one: then Lightning
    restarts in one way only, and it is the one that our tests walk through step by step.
    """

    def __init__(
        self,
        spec: TrainSpec,
        states: ResumeStates,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.states = states
        self._clock = clock
        self._saved_at = clock()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lays a resumed optimizer's tensors out as its weights are, as fused kernels demand."""
        del pl_module
        self._saved_at = self._clock()
        for optimizer in trainer.optimizers:
            for weight, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)

    def after_batch(
        self, trainer: pl.Trainer, learner: Learner, loss: Tensor, batch: Batch, batch_idx: int
    ) -> None:
        """Saves when it is due; every rank takes part."""
        del loss, batch
        last = batch_idx + 1 == trainer.num_training_batches
        if last or (batch_idx + 1) % self.spec.accumulate or not self._is_due(trainer):
            return
        total = sum_over_ranks(trainer, learner.train_tally.sums)
        # From here on rank 0 carries the sum of all, in this run as in a resumed one.
        learner.train_tally.sums = total if trainer.is_global_zero else torch.zeros_like(total)
        trainer.save_checkpoint(str(trainer.global_step))
        self._saved_at = self._clock()

    def _is_due(self, trainer: pl.Trainer) -> bool:
        """Tells whether a state is due, by steps or by the first rank's clock.

        It is asked behind every step, so no GPU is waited for: ranks tell each other by the host.
        """
        if trainer.global_step % self.spec.checkpoint_every_steps == 0:
            return True
        late = self._clock() - self._saved_at >= self.spec.checkpoint_every_s
        return late if trainer.world_size == 1 else tell_ranks(b"late" if late else None) == b"late"
