"""Fits a network that needs no steps: its training rows are read once, and it is solved."""

import time
from functools import partial

import torch
from torch import Tensor

from lightning_modules.data.batches import StreamDataModule
from lightning_modules.heads.ahead import KnownAhead
from lightning_modules.heads.entity_scale import EntityScaled
from lightning_modules.heads.instance_norm import InstanceNormalised
from lightning_modules.heads.mirror import MirrorMean
from lightning_modules.networks.fitted import FitRows, FittedNetwork
from lightning_modules.specs.result import TrainResult
from lightning_modules.training.callbacks import OnRecord
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.learner import Learner, Tally
from lightning_modules.training.ranks import count_ranks, gather_ranks

MOST_NUMBERS = 60_000_000
"""Features that are held at once, over all ranks. The stream is shuffled, so that the first rows of
more are a fair sample of them all."""
JUDGED_ROWS, JUDGED_NUMBERS = 4096, 1_000_000
"""Rows that a fitted network is asked at once: trees take some 40 bytes a row and tree, and a
network for pictures many times what they are."""


def find_fitting(network: torch.nn.Module) -> FitRows | None:
    """Returns what fits a network at once; None for one that is trained step by step."""
    if isinstance(network, FittedNetwork):
        return network.fit_rows
    if isinstance(network, KnownAhead) and (fit := find_fitting(network.network)) is not None:
        return partial(fit_past, network, fit)
    if isinstance(network, EntityScaled) and (fit := find_fitting(network.network)) is not None:
        return partial(fit_entities, network, fit)
    if isinstance(network, MirrorMean):
        return find_fitting(network.network)
    if isinstance(network, InstanceNormalised):
        fit = find_fitting(network.network)
        return None if fit is None else partial(fit_inner, network, fit)
    return None


def fit_past(
    outer: KnownAhead, fit: FitRows, features: Tensor, wanted: Tensor, weight: Tensor
) -> None:
    """Fits a network on the steps of the past alone, which are all that it will be asked with."""
    fit(outer.take_past(features), wanted, weight)


def fit_entities(
    outer: EntityScaled, fit: FitRows, features: Tensor, wanted: Tensor, weight: Tensor
) -> None:
    """Fits a network by the entities' own measures; an error counts by its scale."""
    level, scale = outer.measure(features)
    fit(features, (wanted - level) / scale, weight * scale.square().mean((1, 2)))


def fit_inner(
    outer: InstanceNormalised,
    fit: FitRows,
    features: Tensor,
    wanted: Tensor,
    weight: Tensor,
) -> None:
    """Fits a network by each window's own measure, in which it will be asked.

    A window's error counts by its scale, as it does where nothing is normalised.
    """
    normalised, level, scale = outer.normalise(features)
    if outer.forecast:
        level, scale = level[..., : outer.forecast], scale[..., : outer.forecast]
        wanted, weight = (wanted - level) / scale, weight * scale.square().mean((1, 2))
    fit(normalised, wanted, weight)


def fit_at_once(
    learner: Learner, fit: FitRows, data: StreamDataModule, on_record: OnRecord
) -> TrainResult:
    """Fits the network on the training rows, and judges it on the validation rows.

    Args:
        learner: Its network is changed.
        fit: What fits it.
        data: Training and validation rows of this rank; each rank fits on the rows of all.
        on_record: Takes the lines of the metric log.
    """
    started_at, cpu_started_at = time.monotonic(), time.process_time()
    learner.eval()
    with torch.no_grad():
        features, truth = collect_features(learner, data)
        fit(features, learner.answer.aim(truth), _weigh(learner, truth))
        train_loss, train_figure = judge_rows(learner, features, truth)
    found = predict_rows(learner, data.validation_loader.stream, data.validation_loader.reader)
    watched = learner.answer.spec.watched.name
    record = {
        "event": "epoch",
        "epoch": 0,
        "step": 0,
        "train_loss": train_loss,
        f"train_{watched}": train_figure,
        **{f"validation_{name}": value for name, value in found.figures.items()},
        "lr": 0.0,
        "seconds": round(time.monotonic() - started_at, 3),
        "cpu_s": round(time.process_time() - cpu_started_at, 3),
        "best": True,
    }
    on_record(record)
    return TrainResult(
        epochs=1,
        steps=0,
        best_epoch=0,
        validation_loss=found.figures["loss"],
        validation_figures={name: found.figures[name] for name in found.figures if name != "loss"},
        stopped_early=False,
        parameters=sum(value.numel() for value in learner.network.state_dict().values()),
        world_size=count_ranks(),
        device="cpu",
        threads=torch.get_num_threads(),
        seconds=round(time.monotonic() - started_at, 3),
        history=(record,),
    )


def collect_features(learner: Learner, data: StreamDataModule) -> tuple[Tensor, Tensor]:
    """Returns what the head gives for the training rows of all ranks, and their truth."""
    found: list[tuple[Tensor, Tensor]] = []
    numbers = 0
    for batch in data.iter_training():
        real = slice(None) if batch.real is None else batch.real
        features = learner.head(batch.sample[real])
        found.append((features, batch.truth[real]))
        numbers += features.numel()
        if numbers >= MOST_NUMBERS // count_ranks():
            break
    features, truth = (torch.cat(part) for part in zip(*found, strict=True))
    return gather_ranks(features), gather_ranks(truth)


def judge_rows(learner: Learner, features: Tensor, truth: Tensor) -> tuple[float, float]:
    """Returns the mean loss and watched figure over rows, of which a few are asked at once."""
    tally = Tally()
    numbers = max(1, features[0].numel())
    rows = max(1, min(JUDGED_ROWS, JUDGED_NUMBERS // numbers))
    parts = (torch.split(values, rows) for values in (features, truth))
    for some, wanted in zip(*parts, strict=True):
        tally.add(*learner.answer.judge(learner.network(some), some, wanted))
    return tally.read()


def _weigh(learner: Learner, truth: Tensor) -> Tensor:
    """Returns what each row counts: by its class, where the loss weighs classes."""
    classes: Tensor | None = getattr(learner.answer.loss, "weight", None)
    if classes is None or truth.is_floating_point():
        return torch.ones(len(truth))
    weight = classes[truth]
    return weight / weight.mean()
