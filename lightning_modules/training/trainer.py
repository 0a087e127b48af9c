"""Trains a network: streams in, weights and figures out.

The same call serves one process and each of several ranks; `torchrun` or our launcher sets the
environment.
"""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from lightning_modules.data.batches import IMAGES, Stream, StreamDataModule
from lightning_modules.data.readers import SampleReader
from lightning_modules.errors import CheckpointError
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.result import TrainResult
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.alarm import LossAlarm, OnDiverged
from lightning_modules.training.at_once import find_fitting, fit_at_once
from lightning_modules.training.average import list_averages
from lightning_modules.training.build import build_learner
from lightning_modules.training.callbacks import (
    EpochJudge,
    OnRecord,
    ResumeSaver,
    StepLog,
)
from lightning_modules.training.checkpoint import (
    ResumeStates,
    copy_weights,
    pack_weights,
    unpack_weights,
)
from lightning_modules.training.dry_run import dry_run_step
from lightning_modules.training.fit_answer import fit_answer
from lightning_modules.training.learner import Learner
from lightning_modules.training.lightning_trainer import build_trainer, quiet_lightning
from lightning_modules.training.manner import choose_manner
from lightning_modules.training.ranks import is_first_rank
from lightning_modules.training.start_weights import Start
from storage.base.store import Store

CHECKPOINT_FORMAT = 2
_SAMPLES: TypeAdapter[AnySample] = TypeAdapter(AnySample)


@dataclass(frozen=True)
class Fitted:
    """A trained network with its best weights, and its figures."""

    learner: Learner
    checkpoint: bytes
    result: TrainResult


def load_learner(checkpoint: bytes) -> Learner:
    """Returns the learner that a checkpoint holds, ready to answer.

    Raises:
        CheckpointError: The bytes are no checkpoint, or of a newer format.
    """
    weights, about = unpack_weights(checkpoint)
    check_format(about)
    learner = build_learner(
        ModelSpec.model_validate(about["model"]), _SAMPLES.validate_python(about["sample"])
    )
    load_weights(learner, weights)
    return learner.eval()


def read_sample(checkpoint: bytes) -> AnySample:
    """Returns what the samples of a checkpoint's network look like.

    Raises:
        CheckpointError: The bytes are no checkpoint, or of a newer format.
    """
    _, about = unpack_weights(checkpoint)
    check_format(about)
    return _SAMPLES.validate_python(about["sample"])


def read_model(checkpoint: bytes) -> ModelSpec:
    """Returns head and network of a checkpoint.

    Raises:
        CheckpointError: The bytes are no checkpoint, or of a newer format.
    """
    _, about = unpack_weights(checkpoint)
    check_format(about)
    return ModelSpec.model_validate(about["model"])


def check_format(about: Mapping[str, Any]) -> None:
    """Refuses a checkpoint of another format.

    Raises:
        CheckpointError: It is of one.
    """
    if about.get("format") != CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"checkpoint format ({about.get('format')}) must be {CHECKPOINT_FORMAT}; got another; "
            "train it again, or update Lepton"
        )


def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Puts weights into a module.

    Raises:
        CheckpointError: Names or shapes differ.
    """
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError(
            f"checkpoint must hold the weights of this network; got {error}; use the recipe that "
            "it was trained with"
        ) from error


def fit_learner(
    model: ModelSpec,
    train: TrainSpec,
    sample: AnySample,
    *,
    train_stream: Stream,
    validation_stream: Stream,
    reader: SampleReader = IMAGES,
    start: Start | None = None,
    states: Store | None = None,
    most_threads: int | None = None,
    on_record: OnRecord | None = None,
    on_diverged: OnDiverged | None = None,
) -> Fitted:
    """Trains, and chooses the weights that did best on the validation rows.

    Args:
        model: Head and network.
        train: How to train.
        sample: What one sample looks like, with statistics fitted on the training rows.
        train_stream: Shuffled rows of this rank, in batches of `batch_size / accumulate` rows over
            all ranks.
        validation_stream: Unshuffled rows of this rank.
        reader: From rows of the streams to samples.
        start: Weights that the network starts from; None draws them.
        states: Where resume states are kept; training goes on from the newest valid one. None keeps
            none.
        most_threads: How many threads `train.threads: auto` may choose, by a measured step; None
            leaves this process those that it has.
        on_record: Called on rank 0 with every line of the metric log.
        on_diverged: Called with the rows of the batch (`sample`, `truth`, `row_id`) on which the
            loss was lost, and with the `epoch` and `step` that it was.

    Raises:
        SpecError: A component cannot be built, or does not fit the samples; a split is empty.
        DivergedError: The loss became NaN, infinite or far too large.
    """
    data = StreamDataModule(train_stream, validation_stream, train.accumulate, reader)
    total_steps = train.max_epochs * len(data.train_loader) // train.accumulate
    learner = build_learner(model, sample, train=train, total_steps=total_steps, start=start)
    dry_run_step(model, train, sample, total_steps)
    write = on_record if on_record is not None and is_first_rank() else _write_nothing
    if (fit := find_fitting(learner.network)) is not None:
        return _conclude(model, sample, learner, data, fit_at_once(learner, fit, data, write))
    keeper = ResumeStates(states) if states is not None else None
    resume_from = keeper.agree_on_newest() if keeper else None
    judge = EpochJudge(train, write)
    callbacks = [judge, StepLog(train, write), LossAlarm(train, on_diverged), *list_averages(train)]
    callbacks += [ResumeSaver(train, keeper)] if keeper else []
    manner = choose_manner(train, learner, sample, most_threads, keeper, resume_from)
    torch.set_num_threads(manner.threads)
    resumed_step = int(resume_from.split("-")[1]) if resume_from else None
    how = {"resumed_step": resumed_step, **dataclasses.asdict(manner)}
    write({"event": "start", "steps": total_steps, "epochs": train.max_epochs, **how})
    started_at = time.monotonic()
    with quiet_lightning():
        trainer = build_trainer(train, manner.precision, callbacks=callbacks, keeper=keeper)
        trainer.fit(learner, datamodule=data, ckpt_path=resume_from, weights_only=True)
    if keeper is not None and trainer.is_global_zero:
        keeper.clear()
    result = _describe_result(learner, judge, trainer, time.monotonic() - started_at)
    load_weights(learner, judge.weights)
    return _conclude(model, sample, learner, data, result.model_copy(update=how))


def _write_nothing(record: dict[str, Any]) -> None:
    """Takes the place of `on_record` on other ranks."""


def _conclude(
    model: ModelSpec,
    sample: AnySample,
    learner: Learner,
    data: StreamDataModule,
    result: TrainResult,
) -> Fitted:
    """Returns the learner's weights, with what is fitted to them."""
    fit_answer(learner, data.validation_loader)
    sample = learner.answer.settle(sample)
    about = {
        "format": CHECKPOINT_FORMAT,
        "model": model.model_dump(mode="json"),
        "sample": sample.model_dump(mode="json"),
    }
    result = result.model_copy(update={"threshold": sample.threshold})
    return Fitted(learner.eval(), pack_weights(copy_weights(learner), about), result)


def _describe_result(
    learner: Learner, judge: EpochJudge, trainer: pl.Trainer, seconds: float
) -> TrainResult:
    if judge.best is None:
        raise CheckpointError(
            "training must end with at least one judged epoch; got none; delete its resume states"
        )
    return TrainResult(
        epochs=len(judge.history),
        steps=trainer.global_step,
        best_epoch=judge.best["epoch"],
        validation_loss=judge.best["validation_loss"],
        validation_figures={
            name.removeprefix("validation_"): value
            for name, value in judge.best.items()
            if name.startswith("validation_") and name != "validation_loss"
        },
        stopped_early=judge.stopped_early,
        parameters=sum(value.numel() for value in learner.network.parameters()),
        world_size=trainer.world_size,
        device=trainer.strategy.root_device.type,
        seconds=round(seconds, 3),
        history=tuple(judge.history),
    )
