"""Keeps an average of the last weights beside those that are trained, and has it judged and kept.

An exponential moving average (Polyak and Juditsky, 1992; as in Tarvainen and Valpola, 2017): each
step moves it a little towards the weights. Early in a training it moves faster, so that the weights
that were drawn count for little.
"""

from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.callbacks import StepCallback
from lightning_modules.training.learner import Learner


class WeightAverage(StepCallback):
    """Averages weights and running statistics after each optimizer step.

    In validation the network has the average, which the judge of epochs therefore keeps; it must
    stand behind the judge in the list of callbacks, since it then puts the trained weights back.

    Args:
        decay: Share of the average that stays at a step, in [0, 1).
        accumulate: Micro-batches of a step.
    """

    def __init__(self, decay: float, accumulate: int = 1) -> None:
        self.decay = decay
        self.accumulate = accumulate
        self.steps = 0
        self.average: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] = {}

    def after_batch(
        self, trainer: pl.Trainer, learner: Learner, loss: Tensor, batch: Any, batch_idx: int
    ) -> None:
        """Moves the average, behind the last micro-batch of a step."""
        del trainer, loss, batch
        if (batch_idx + 1) % self.accumulate:
            return
        self.steps += 1
        stays = min(self.decay, self.steps / (self.steps + 10))
        with torch.no_grad():
            for name, value in _list_floats(learner).items():
                if name not in self.average:
                    self.average[name] = value.detach().clone()
                # A resume state is read onto the CPU.
                self.average[name] = self.average[name].to(value.device)
                self.average[name].lerp_(value.detach(), 1 - stays)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the average into the network."""
        del trainer
        if self.average and not self._trained:
            learner = cast(Learner, pl_module)
            self._trained = {n: v.detach().clone() for n, v in _list_floats(learner).items()}
            _put(learner, self.average)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the trained weights back."""
        del trainer
        _put(cast(Learner, pl_module), self._trained)
        self._trained = {}

    def state_dict(self) -> dict[str, Any]:
        """Returns the average, for a resume."""
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from a resume state."""
        self.steps, self.average = state_dict["steps"], dict(state_dict["average"])


def _list_floats(learner: Learner) -> dict[str, Tensor]:
    """Returns the network's weights and running statistics by name, and the head's."""
    return {
        name: value for name, value in learner.state_dict().items() if value.is_floating_point()
    }


def _put(learner: Learner, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        own = _list_floats(learner)
        for name, value in values.items():
            own[name].copy_(value)


def list_averages(train: TrainSpec) -> list[WeightAverage]:
    """Returns the callback of an average; none where none is asked for."""
    if train.average_weights is None:
        return []
    return [WeightAverage(train.average_weights, train.accumulate)]
