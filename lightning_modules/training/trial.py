"""A short training of one network in a race: some steps, judged on validation rows."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.data.batches import Stream, WholeStream
from lightning_modules.data.readers import SampleReader
from lightning_modules.errors import SpecError
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.measure import find_direction, load_metric
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.trial import Bounds, Measured, Survey
from lightning_modules.training.at_once import find_fitting
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import make_samples
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.learner import Learner, choose_selection
from lightning_modules.training.start_weights import Start
from lightning_modules.training.trainer import Fitted, fit_learner

STEP_S, FLOPS_PER_S = 6e-3, 1.5e10
"""What a step of one core is taken to cost: what any network costs, and arithmetic. Not measured:
the same data must give the same race, however busy a machine is."""
BACKWARD = 3
"""Arithmetic of a training step, in forward passes."""


class TooDear(SpecError):
    """A trial has cost more processor time than it may."""


def choose_figure(train: TrainSpec, sample: AnySample) -> str:
    """Returns the figure that a race is decided by: what epochs are chosen by, as far as it can.

    Losses of networks that give their input back are not of one kind, so labels decide there.
    """
    objective = OBJECTIVES.find(sample.objective)
    chosen = choose_selection(train, objective)
    restored = objective.restores and chosen == "loss" and objective.find_truth(sample) is not None
    return objective.headline if chosen == "last" or restored else chosen


def survey_network(model: ModelSpec, train: TrainSpec, sample: AnySample) -> Survey:
    """Builds a network and counts what a step of it costs.

    Raises:
        SpecError: It does not fit the samples.
    """
    learner = build_learner(model, sample, train=train).eval()
    raw, _ = make_samples(sample)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        learner.respond(raw)
    parameters = sum(value.numel() for value in learner.network.parameters())
    # Some kernels, as those of recurrent cells, are not counted: each weight is used at least once.
    row = max(counter.get_total_flops() / len(raw), 2 * parameters)
    step_s = STEP_S + BACKWARD * row * train.batch_size / FLOPS_PER_S
    return Survey(find_fitting(learner.network) is not None, parameters, step_s)


def run_trial(
    model: ModelSpec,
    train: TrainSpec,
    sample: AnySample,
    *,
    train_stream: Stream,
    validation_stream: Stream,
    reader: SampleReader,
    bounds: Bounds,
    start: Start | None = None,
) -> Measured:
    """Trains a network as far as it may, and judges it.

    Args:
        model: Head and network.
        train: How to train.
        sample: What one sample looks like.
        train_stream: Shuffled rows, in batches of the training.
        validation_stream: Unshuffled rows.
        reader: From rows of the streams to samples.
        bounds: How far it goes.
        start: Weights that the network starts from; None draws them.

    Raises:
        SpecError: It does not fit the samples.
        TooDear: It cost more than it may.
        DivergedError: The loss was lost.
    """
    began = time.process_time()
    step = max(1, -(-len(validation_stream) // bounds.judged))
    judged = SomeBatches(validation_stream, len(validation_stream), step)
    spec = train.model_copy(
        update={"max_epochs": bounds.epochs, "precision": "fp32", "threads": 1, "accumulate": 1}
    )

    fitted = fit_learner(
        model,
        spec,
        sample,
        train_stream=SomeBatches(train_stream, bounds.batches),
        validation_stream=judged,
        reader=reader,
        start=start,
        on_record=lambda record: check_cost(time.process_time() - began, bounds),
    )
    name, result = choose_figure(train, sample), fitted.result
    known = _measure(fitted, name, judged, reader, sample)
    return Measured(
        name=name,
        direction=find_direction(name),
        value=known[name],
        loss=known["loss"],
        steps=result.steps,
        epochs=result.epochs,
        cpu_s=time.process_time() - began,
    )


def check_cost(spent_s: float, bounds: Bounds) -> None:
    """Ends a trial that has cost more than it may.

    Raises:
        TooDear: It has.
    """
    if spent_s > bounds.cpu_s:
        raise TooDear(
            f"trial must cost at most {bounds.cpu_s:.0f} s of processor time; got {spent_s:.0f} s; "
            "raise train.budget_minutes"
        )


def _measure(
    fitted: Fitted, name: str, stream: Stream, reader: SampleReader, sample: AnySample
) -> dict[str, float]:
    """Returns the loss and the figure by their names, on validation rows."""
    known = {"loss": fitted.result.validation_loss, **fitted.result.validation_figures}
    if name in known and not sample.quantiles:
        return known
    found = judge_learner(fitted.learner, name, stream, reader, sample)
    # Quantiles are calibrated last, and judged so, whatever network gave them.
    return found if sample.quantiles else {**found, **known}


def judge_learner(
    learner: Learner, name: str, stream: Stream, reader: SampleReader, sample: AnySample
) -> dict[str, float]:
    """Returns the loss and the figure by their names, on any rows."""
    answers = predict_rows(learner, stream, reader)
    known = dict(answers.figures)
    if name not in known:
        known[name] = float(load_metric(name, sample)(answers.values, answers.truth))
    return known


class SomeBatches:
    """Gives some batches of a stream: every so many-th of them, and at most so many.

    Args:
        stream: The stream.
        most: How many batches of it are looked at.
        step: Every how many-th of these is given.
    """

    def __init__(self, stream: Stream, most: int, step: int = 1) -> None:
        self._stream = stream
        self._stop, self._step = min(most, len(stream)), step

    def __len__(self) -> int:
        return -(-self._stop // self._step)

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self._stream), 0, self._stop, self._step)

    def take_all(self) -> Stream:
        """Returns every row once where all batches are given; else the same batches."""
        whole = self._step == 1 and self._stop == len(self._stream)
        held = self._stream
        return held.take_all() if whole and isinstance(held, WholeStream) else self

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch."""
        self._stream.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Returns the state of the stream."""
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to where `state_dict` was taken."""
        self._stream.load_state_dict(state)
