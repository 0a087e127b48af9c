"""Asks baselines for the rows that a model was asked for, in the training process."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_modules.data.readers import SampleBatch
from lightning_modules.objectives.base import Baseline, answer_baselines, answer_some
from lightning_modules.objectives.quantiles import calibrate_baselines
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.samples import Sample
from storage.base.errors import InvalidInput
from tasks.forms.streams import TRAIN, VALIDATION, SampleRows

BaselineAnswers = dict[str, NDArray[np.float32]]
OpenRows = Callable[[Sample], SampleRows]
Cut = Callable[[NDArray[np.float64], NDArray[Any]], float | None]


@dataclass(frozen=True)
class Beside:
    """What baselines answer to the rows of a split.

    Attributes:
        answers: Of each, ordered by row id.
        margins: What makes them quantiles, where some are asked for.
        thresholds: From which probability on each answers with the positive class, where one is
            chosen.
    """

    answers: BaselineAnswers = field(default_factory=dict)
    margins: BaselineAnswers = field(default_factory=dict)
    thresholds: BaselineAnswers = field(default_factory=dict)


def answer_beside(
    open_rows: OpenRows, sample: Sample, split: str, row_id: NDArray[np.uint64], cut: Cut
) -> Beside:
    """Return the baselines' answers to a split, each fitted on validation rows as the model's are.

    One that looks farther back than the network answers as the first of the others does where a
    series does not reach so far.

    Args:
        open_rows: Opens the rows as samples of a kind.
        sample: What the network is asked with.
        split: Name of the split.
        row_id: (N,) ids of its rows, ascending.
        cut: Chooses a threshold from answers to the validation rows and their truth.
    """
    rows = open_rows(sample)
    fitted = OBJECTIVES.find(sample.objective).fit_baselines(sample, lambda: rows.read(TRAIN))
    near = {name: baseline for name, baseline in fitted.items() if baseline.sample is None}
    found = answer_baselines(near, row_id, lambda: rows.read(split))
    margins: BaselineAnswers = {}
    if sample.quantiles:
        margins = calibrate_baselines(near, sample.quantiles, lambda: rows.read(VALIDATION))
    for name, baseline in fitted.items():
        if baseline.sample is not None:
            far, first = open_rows(baseline.sample), next(iter(near))
            found[name] = answer_some(baseline, row_id, read_some(far, split), found[first])
            if sample.quantiles:
                margins[name] = _calibrate(baseline, sample, far, margins[first])
    thresholds = {} if sample.threshold is None else cut_baselines(near, rows, cut)
    return Beside(found, margins, thresholds)


def cut_baselines(baselines: Mapping[str, Baseline], rows: SampleRows, cut: Cut) -> BaselineAnswers:
    """Return the threshold of each baseline that one is chosen for, (1,) by its name."""
    batches = list(rows.read(VALIDATION))
    truth = np.concatenate([batch.truth for batch in batches])
    found = {
        name: cut(np.concatenate([baseline.answer(batch) for batch in batches]), truth)
        for name, baseline in baselines.items()
    }
    return {
        name: np.array([value], np.float32) for name, value in found.items() if value is not None
    }


def _calibrate(
    baseline: Baseline, sample: Sample, rows: SampleRows, otherwise: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the margins of one that looks farther back, or those of another, if it cannot."""
    opened = partial(read_some, rows, VALIDATION)
    return calibrate_baselines({"far": baseline}, sample.quantiles, opened).get("far", otherwise)


def read_some(rows: SampleRows, split: str) -> Iterator[SampleBatch]:
    """Yield the rows of a split that there are; none where a window is too long for all of it."""
    try:
        yield from rows.read(split)
    except InvalidInput:
        return
