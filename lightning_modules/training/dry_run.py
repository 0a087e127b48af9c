"""One step on made-up samples with a user's own components, before any training: what one of them cannot do is said then."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from lightning_modules.errors import SpecError
from lightning_modules.specs.base import is_import_path
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.learner import Learner
from lightning_modules.training.optim import build_optimizer, build_scheduler

ROWS = 8


def rehearse_step(model: ModelSpec, train: TrainSpec, sample: AnySample, total_steps: int) -> None:
    """Goes through all that a step and a validation do, on a learner of its own; not where every component is Lepton's.

    Args:
        model: Names head and network.
        train: Names the other components.
        sample: What a sample looks like.
        total_steps: Optimizer steps of the whole training.

    Raises:
        SpecError: A component of the user's own raises, or gives something else than it should.
    """
    others = (
        train.augmentation.name,
        train.loss.name,
        train.optimizer.name,
        train.scheduler.name,
        train.select_by,
    )
    if not any(
        name and is_import_path(name) for name in (model.head.name, model.network.family, *others)
    ):
        return
    with torch.random.fork_rng(devices=[]):
        understudy = build_learner(model, sample, train=train, total_steps=total_steps).train()
        raw, truth = make_samples(sample)
        row_id = np.arange(len(raw), dtype=np.uint64)
        if understudy.augmentation is not None:
            with blamed(
                "augmentation",
                train.augmentation.name,
                "change samples of the shape",
                tuple(raw.shape),
            ):
                changed = understudy.augmentation(raw, row_id, epoch=0)
                if tuple(changed.shape) != tuple(raw.shape):
                    raise ValueError(f"the shape {tuple(changed.shape)}")
                raw = changed
        with blamed(
            "network",
            model.network.family,
            "answer training samples of the shape",
            tuple(raw.shape),
        ):
            output, features = understudy.respond(raw)
        truth = truth.repeat(len(output) // len(features), *[1] * (truth.ndim - 1))
        features = features.repeat(len(output) // len(features), *[1] * (features.ndim - 1))
        with blamed(
            "loss",
            train.loss.name,
            "give a scalar with a gradient for answers of the shape",
            tuple(output.shape),
        ):
            loss, _, _ = understudy.answer.judge(output.float(), features, truth)
            if loss.ndim:
                raise ValueError(f"the shape {tuple(loss.shape)}")
            loss.backward()  # type: ignore[no-untyped-call]
        _rehearse_optimizer(train, understudy)
        if understudy.metric is not None:
            answers = understudy.answer(output.detach().float(), features.detach())[-1]
            with blamed(
                "metric",
                train.select_by,
                "give a number for answers of the shape",
                tuple(answers.shape),
            ):
                float(understudy.metric(answers.numpy(), truth.numpy()))


def _rehearse_optimizer(train: TrainSpec, understudy: Learner) -> None:
    optimizer = build_optimizer(train.optimizer, understudy)
    schedule = build_scheduler(train.scheduler, optimizer, understudy.total_steps)
    with blamed("optimizer", train.optimizer.name, "make one of steps", understudy.total_steps):
        optimizer.step()
    if schedule["interval"] == "step":
        with blamed("scheduler", train.scheduler.name, "make one of steps", understudy.total_steps):
            schedule["scheduler"].step()


def make_samples(sample: AnySample) -> tuple[Tensor, Tensor]:
    """Samples of noise, raw values (N, ...), with truths of every class or around the usual value."""
    draw = np.random.default_rng(0)
    classes = (
        2
        if isinstance(sample, RowSample) and sample.objective == "reconstruction"
        else sample.classes
    )
    rows = max(ROWS, 2 * classes)
    if not isinstance(sample, RowSample):
        low, high = sample.value_range
        pixels = low + (high - low) * draw.random((rows, *sample.shape))
        return torch.from_numpy(pixels.astype(sample.dtype)), torch.arange(rows) % classes
    values = np.zeros((rows, *sample.shape))
    for place, column in enumerate(sample.numbers):
        values[..., place] = column.mean + column.std * draw.standard_normal(values.shape[:-1])
    raw = torch.from_numpy(values)
    if sample.objective in ("classes", "reconstruction"):
        return raw, torch.arange(rows) % classes
    mean, std = (np.asarray(values) for values in sample.scales)
    outputs = OBJECTIVES.find(sample.objective).shape_output(sample)
    asked = (rows, *outputs) if isinstance(outputs, tuple) else (rows,)
    return raw, torch.from_numpy(draw.standard_normal(asked) * std + mean)


@contextmanager
def blamed(what: str, name: str | None, duty: str, value: object) -> Iterator[None]:
    """Whatever fails inside is the fault of that component.

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
