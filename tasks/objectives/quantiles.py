"""Answers that are quantiles: what they measure, and how a card and the model gate tell them."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.targets.trust.card import QUANTILE, OutputSpec
from gates.model.measure import Measure
from gates.model.quantile_facts import QuantileFacts
from lightning_modules.specs.metrics import add_pinball, share_below
from lightning_modules.specs.quantiles import MEDIAN, list_bands, name_quantile
from lightning_modules.specs.samples import Sample
from storage.base.figures import Figure
from tasks.objectives.sheets import AnswerSheet
from tasks.rendering.answers import Coverage


def stack_quantiles(sheet: AnswerSheet, levels: tuple[float, ...]) -> NDArray[np.float64]:
    """Return the quantiles of each row, (N, Q, ...), the median among them."""
    parts = [sheet.values if level == MEDIAN else sheet.bands[level] for level in levels]
    return np.stack(parts, axis=1).astype(np.float64)


def measure_quantiles(
    sheet: AnswerSheet, sample: Sample, *, split: str, unit: str
) -> tuple[Figure, ...]:
    """Measure the quantiles of a sheet; nothing of one without any.

    Returns:
        The mean pinball loss, and the largest distance between a quantile and the share of the
        truths that are below what it answers.
    """
    if not sheet.bands:
        return ()
    quantiles = stack_quantiles(sheet, sample.quantiles)
    sums, counts = add_pinball(sample.quantiles, quantiles, sheet.truth)
    gaps = np.abs(share_below(quantiles, sheet.truth) - np.array(sample.quantiles))
    loss = float(sums.sum() / max(1.0, counts.sum()))
    beside = [place for place, level in enumerate(sample.quantiles) if level != MEDIAN]
    return (
        Figure(name="pinball", value=loss, unit=unit, direction="lower", split=split),
        Figure(
            name="coverage_gap",
            value=float(gaps[beside].max()),
            unit="1",
            direction="lower",
            split=split,
        ),
    )


def describe_quantiles(sheet: AnswerSheet, sample: Sample) -> QuantileFacts | None:
    """Describe the quantiles of a sheet for the model gate; None where there are none."""
    if not sheet.bands:
        return None
    levels = sample.quantiles
    quantiles = stack_quantiles(sheet, levels)
    return QuantileFacts(
        levels=levels,
        answers=quantiles,
        shares=tuple(share_below(quantiles, sheet.truth).tolist()),
        margins={name: margins.astype(np.float64) for name, margins in sheet.margins.items()},
        measure=Measure(
            name="pinball",
            compute=partial(_compute_pinball, levels),
            direction="lower",
            per_row=partial(add_pinball, levels),
        ),
    )


def _compute_pinball(
    levels: tuple[float, ...], answers: NDArray[Any], truth: NDArray[Any]
) -> float:
    sums, counts = add_pinball(levels, answers, truth)
    return float(sums.sum() / counts.sum())


def describe_bands(values: OutputSpec, sample: Sample) -> tuple[OutputSpec, ...]:
    """Describe a model's outputs: its quantiles beside the median, then the median itself.

    Args:
        values: The output that figures are of.
        sample: What a sample is.
    """
    bands = list_bands(sample.quantiles)
    others = [
        values.model_copy(update={"name": name_quantile(level), "meaning": f"{QUANTILE}{level:g}"})
        for level in bands
    ]
    return (*others, values)


def find_band(sheet: AnswerSheet) -> tuple[float, float] | None:
    """Return the lowest and the highest level around the median; None where a side has none."""
    low, high = min(sheet.bands, default=MEDIAN), max(sheet.bands, default=MEDIAN)
    return (low, high) if low < MEDIAN < high else None


def measure_coverage(sheet: AnswerSheet) -> Coverage | None:
    """Return how many truths lie between the outermost quantiles; None without any."""
    band = find_band(sheet)
    known = ~np.isnan(sheet.truth)
    if band is None or not known.any():
        return None
    low, high = (sheet.bands[level][known] for level in band)
    truth = sheet.truth[known]
    return Coverage(
        low=band[0], high=band[1], seen=float(((low <= truth) & (truth <= high)).mean())
    )
