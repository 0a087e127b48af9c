"""Trains a smaller form of a trained network, within a budget, and only as long as it can win."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytorch_lightning as pl
from torch import Tensor, nn

from lightning_modules.data.batches import Batch, Stream, StreamDataModule
from lightning_modules.data.readers import SampleReader
from lightning_modules.errors import ModelError
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.measure import find_direction
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.alarm import LossAlarm
from lightning_modules.training.average import list_averages
from lightning_modules.training.build import build_learner
from lightning_modules.training.callbacks import EpochJudge, ResumeSaver, StepCallback
from lightning_modules.training.checkpoint import (
    ResumeStates,
    copy_weights,
    pack_weights,
    unpack_weights,
)
from lightning_modules.training.fit_answer import fit_answer
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.learner import Learner
from lightning_modules.training.lightning_trainer import build_trainer, quiet_lightning
from lightning_modules.training.student import Student
from lightning_modules.training.trainer import load_weights
from storage.base.store import Store

DONE = "tuned.safetensors"
HOPE = 2.0
"""How many times the gain of its last epochs a network may still make in each that remains."""
LOOKED_BACK = 3


class GivenUp(ModelError):
    """A network was not trained to its end; the message says why."""


@dataclass
class Tuning:
    """Where and how long smaller networks are trained.

    Attributes:
        model: Head and network of the trained one.
        train: How it was trained.
        open_training: Opens the shuffled training rows.
        open_validation: Opens the validation rows.
        reader: From rows of the streams to samples.
        open_states: From a name to where resume states of that training are kept.
        max_minutes: Processor time that all trainings may cost together.
        most_lost: How much worse than the trained one's the headline figure may be: a difference,
            or of an error a relative increase; None: any.
        spent_s: Processor time that they have cost.
    """

    model: ModelSpec
    train: TrainSpec
    open_training: Callable[[TrainSpec], Stream]
    open_validation: Callable[[], Stream]
    reader: SampleReader
    open_states: Callable[[str], Store]
    max_minutes: float
    most_lost: float | None = None
    spent_s: float = field(default=0.0)

    def open_data(self, train: TrainSpec) -> StreamDataModule:
        """Opens the rows in batches."""
        streams = self.open_training(train), self.open_validation()
        return StreamDataModule(*streams, train.accumulate, self.reader)

    def plan(self, *, epochs: float, lr: float) -> TrainSpec:
        """Returns how a network is trained for so many times the epochs and the learning rate."""
        optimizer = self.train.optimizer
        changes: dict[str, Any] = {
            "max_epochs": max(2, round(self.train.max_epochs * epochs)),
            "optimizer": optimizer.model_copy(update={"lr": optimizer.lr * lr}),
            **{"devices": 1, "nodes": 1, "start_from": None, "budget_minutes": None},
        }
        return self.train.model_copy(update=changes)


def tune_network(
    name: str,
    teacher: Learner,
    sample: AnySample,
    tuning: Tuning,
    train: TrainSpec,
    make: Callable[[Learner], nn.Module],
) -> Learner:
    """Trains a network that takes the place of a trained one, taught by it.

    It goes on from the newest state that an earlier attempt left, or takes what that finished.

    Args:
        name: Of the training, by which its states are found.
        teacher: The trained one, on the CPU.
        sample: What its samples look like.
        tuning: Where and how long.
        train: How; see `Tuning.plan`.
        make: From a copy of the teacher to what is trained; equal copies give equal networks.

    Returns:
        A learner with its best weights, that only answers.

    Raises:
        GivenUp: It cannot win, or costs more than is left of the budget.
        DivergedError: The loss became NaN, infinite or far too large.
    """
    states, data = tuning.open_states(name), tuning.open_data(train)
    steps = train.max_epochs * len(data.train_loader) // train.accumulate
    base = build_learner(tuning.model, sample, train=train, total_steps=steps)
    load_weights(base, teacher.state_dict())
    student = Student(base, make(copy.deepcopy(teacher)), teacher)
    if states.exists(DONE):
        weights, about = unpack_weights(states.read(DONE))
        load_weights(student, weights)
        tuning.spent_s += about["spent_s"]
        return student.eval()
    spent_s = _train(name, student, teacher, data, tuning, ResumeStates(states))
    # By a chosen threshold all artifacts are judged: it stays the teacher's.
    if sample.threshold is None:
        fit_answer(student, data.validation_loader)
    about = {"name": name, "spent_s": spent_s}
    states.write(DONE, pack_weights(copy_weights(student), about))
    return student.eval()


def _train(
    name: str,
    student: Student,
    teacher: Learner,
    data: StreamDataModule,
    tuning: Tuning,
    keeper: ResumeStates,
) -> float:
    """Trains a student, gives it the best weights, and returns what that cost in seconds."""
    train = student.spec
    judge = EpochJudge(train, lambda record: None)
    watch = Watch(judge, train, tuning, find_goal(teacher, tuning))
    callbacks = [judge, watch, LossAlarm(train), *list_averages(train), ResumeSaver(train, keeper)]
    try:
        with quiet_lightning():
            trainer = build_trainer(train, "fp32", callbacks=callbacks, keeper=keeper)
            newest = keeper.agree_on_newest()
            trainer.fit(student, datamodule=data, ckpt_path=newest, weights_only=True)
    finally:
        tuning.spent_s += watch.spent_s
    if watch.reason:
        raise GivenUp(f"{name} was given up after {len(judge.history)} epochs: {watch.reason}")
    keeper.clear()
    load_weights(student, judge.weights)
    return watch.spent_s


def find_goal(teacher: Learner, tuning: Tuning) -> float | None:
    """Returns the worst watched figure that is good enough, by the teacher's on validation rows.

    None where any is, and where artifacts are judged by another figure than the watched one: what
    they may lose of that says nothing of this.
    """
    spec = teacher.answer.spec
    if tuning.most_lost is None or spec.headline != spec.watched_as:
        return None
    name = spec.watched.name
    own = predict_rows(teacher, tuning.open_validation(), tuning.reader).figures[name]
    if find_direction(name) == "lower":
        return float(own * (1 + tuning.most_lost))
    return float(own - tuning.most_lost)


class Watch(StepCallback):
    """Ends a training that costs more than is left, or cannot become good enough.

    Args:
        judge: Whose history it reads; it stands before this one.
        train: How many epochs there are.
        tuning: What may be spent, and has been.
        goal: The worst watched figure that is good enough; None: any is.

    Attributes:
        reason: Why it ended the training; empty where it did not.
    """

    def __init__(
        self, judge: EpochJudge, train: TrainSpec, tuning: Tuning, goal: float | None
    ) -> None:
        self.judge = judge
        self.epochs = train.max_epochs
        self.left_s = tuning.max_minutes * 60 - tuning.spent_s
        self.goal = goal
        self.reason = ""
        self._begun_s = time.process_time()

    @property
    def spent_s(self) -> float:
        """Processor time so far, of epochs before a resume, too."""
        over_s = sum(record["cpu_s"] for record in self.judge.history)
        return float(max(over_s, time.process_time() - self._begun_s))

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of this attempt."""
        del trainer, pl_module
        self._begun_s = time.process_time()

    def after_batch(
        self, trainer: pl.Trainer, learner: Learner, loss: Tensor, batch: Batch, batch_idx: int
    ) -> None:
        """Ends a training whose first epoch alone is too long."""
        del learner, loss, batch, batch_idx
        if time.process_time() - self._begun_s > self.left_s:
            self._end(trainer, self._tell_cost())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Asks behind each epoch whether it is worth while to go on."""
        done = len(self.judge.history)
        if self.spent_s / max(1, done) * self.epochs > self.left_s:
            self._end(trainer, self._tell_cost())
        elif not self._can_win(cast(Learner, pl_module).answer.spec.watched.name):
            found = self.judge.best
            name = cast(Learner, pl_module).answer.spec.watched.name
            best = found[f"validation_{name}"] if found else float("nan")
            self._end(trainer, f"{name} must come to {self.goal:.4g}, and was {best:.4g}")

    def _tell_cost(self) -> str:
        return (
            f"it costs more than the {max(0.0, self.left_s) / 60:.3g} minutes of processor time "
            "that are left; raise compress.max_minutes"
        )

    def _can_win(self, name: str) -> bool:
        """Tells whether the goal can be met yet; asked of the second half of the epochs."""
        values = [record[f"validation_{name}"] for record in self.judge.history]
        if self.goal is None or len(values) < max(2, self.epochs / 2):
            return True
        sign = -1 if find_direction(name) == "lower" else 1
        gained = [sign * value for value in values]
        best, before = max(gained), max(gained[:-LOOKED_BACK] or gained[:1])
        gain = max(0.0, best - before) / min(LOOKED_BACK, len(values))
        return bool(best + HOPE * gain * (self.epochs - len(values)) >= sign * self.goal)

    def _end(self, trainer: pl.Trainer, reason: str) -> None:
        self.reason = self.reason or reason
        trainer.should_stop = True


def keep_frozen(network: nn.Module, model: nn.Module) -> None:
    """Lets learn of a network what learns of another one, by name."""
    learns = {name: value.requires_grad for name, value in model.named_parameters()}
    for name, value in network.named_parameters():
        value.requires_grad = learns.get(name, True)
