"""One step on made-up samples, before any training: what a user's component cannot do is said."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from lightning_modules.errors import SpecError
from lightning_modules.heads.registry import HEADS
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.base import is_import_path
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.learner import Learner
from lightning_modules.training.optim import build_optimizer, build_scheduler


def dry_run_step(model: ModelSpec, train: TrainSpec, sample: AnySample, total_steps: int) -> None:
    """Goes through all that a step and a validation do, on a learner of its own.

    Does nothing where every component is Lepton's.

    Args:
        model: Names head and network.
        train: Names the other components.
        sample: What a sample looks like.
        total_steps: Optimizer steps of the whole training.

    Raises:
        SpecError: A component of the user's own raises, or gives something else than it should.
    """
    if not has_own_component(model, train):
        return
    with torch.random.fork_rng(devices=[]):
        learner = build_learner(model, sample, train=train, total_steps=total_steps).train()
        raw, truth = make_samples(sample)
        raw = _try_augmentation(learner, train, raw)
        shape = tuple(raw.shape)
        with blamed("network", model.network.family, "answer training samples of the shape", shape):
            output, features = learner.respond(raw)
        members = len(output) // len(features)
        truth = truth.repeat(members, *[1] * (truth.ndim - 1))
        features = features.repeat(members, *[1] * (features.ndim - 1))
        _try_loss(learner, train, output, features, truth)
        _try_optimizer(learner, train)
        _try_metric(learner, train, output, features, truth)


def has_own_component(model: ModelSpec, train: TrainSpec) -> bool:
    """Tells whether a recipe names a component by its import path."""
    names = (
        model.head.name,
        model.network.family,
        train.augmentation.name,
        train.loss.name,
        train.optimizer.name,
        train.scheduler.name,
        train.select_by,
    )
    return any(name and is_import_path(name) for name in names)


def _try_augmentation(learner: Learner, train: TrainSpec, raw: Tensor) -> Tensor:
    if learner.augmentation is None:
        return raw
    shape = tuple(raw.shape)
    with blamed("augmentation", train.augmentation.name, "change samples of the shape", shape):
        changed = learner.augmentation(raw, np.arange(len(raw), dtype=np.uint64), epoch=0)
        if tuple(changed.shape) != shape:
            raise ValueError(f"the shape {tuple(changed.shape)}")
    return changed


def _try_loss(
    learner: Learner, train: TrainSpec, output: Tensor, features: Tensor, truth: Tensor
) -> None:
    duty = "give a scalar with a gradient for answers of the shape"
    with blamed("loss", train.loss.name, duty, tuple(output.shape)):
        loss, _, _ = learner.answer.judge(output.float(), features, truth)
        if loss.ndim:
            raise ValueError(f"the shape {tuple(loss.shape)}")
        loss.backward()  # type: ignore[no-untyped-call]


def _try_optimizer(learner: Learner, train: TrainSpec) -> None:
    optimizer = build_optimizer(train.optimizer, learner)
    schedule = build_scheduler(train.scheduler, optimizer, learner.total_steps)
    with blamed("optimizer", train.optimizer.name, "make one of steps", learner.total_steps):
        optimizer.step()
    if schedule["interval"] == "step":
        with blamed("scheduler", train.scheduler.name, "make one of steps", learner.total_steps):
            schedule["scheduler"].step()


def _try_metric(
    learner: Learner, train: TrainSpec, output: Tensor, features: Tensor, truth: Tensor
) -> None:
    if learner.metric is None:
        return
    answers = learner.answer(output.detach().float(), features.detach())[-1]
    duty = "give a number for answers of the shape"
    with blamed("metric", train.select_by, duty, tuple(answers.shape)):
        float(learner.metric(answers.numpy(), truth.numpy()))


def make_samples(sample: AnySample) -> tuple[Tensor, Tensor]:
    """Returns samples of noise, raw values (N, ...), with truths that their objective asks for."""
    form, objective = HEADS.find(sample.form), OBJECTIVES.find(sample.objective)
    draw, rows = np.random.default_rng(0), objective.count_rows(sample)
    raw = torch.from_numpy(form.make_raw(sample, rows, draw))
    return raw, objective.make_truth(sample, rows, draw)


@contextmanager
def blamed(what: str, name: str | None, duty: str, value: object) -> Iterator[None]:
    """Lays whatever fails inside at the door of a component.

    Raises:
        SpecError: Something failed.
    """
    try:
        yield
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(
            f"{what} ({name!r}) must {duty} {value}; got {type(error).__name__}: {error}; correct "
            "it"
        ) from error
