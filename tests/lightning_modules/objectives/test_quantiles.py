"""Quantiles: they never cross, hold their shares after calibration, and export as they answer."""

import math

import numpy as np
import pytest
import torch

from lightning_modules.compress.onnx_export import export_onnx, run_onnx
from lightning_modules.compress.rungs.base import compare_answers
from lightning_modules.data.readers import SampleBatch
from lightning_modules.errors import SpecError
from lightning_modules.objectives.base import Baseline
from lightning_modules.objectives.quantiles import (
    PinballLoss,
    QuantileAnswer,
    calibrate_baselines,
    measure_margins,
)
from lightning_modules.specs.metrics import add_pinball, share_below
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import make_samples
from tests.lightning_modules.samples import FORECAST, MLP, SERIES_MLP, VALUE, WINDOW

LEVELS = (0.05, 0.25, 0.5, 0.9)
PAIRS = [
    (VALUE, MLP),
    (VALUE, ModelSpec(network=NetworkSpec(family="trees", params={"trees": 4}))),
    (FORECAST, SERIES_MLP),
    (FORECAST, ModelSpec(network=NetworkSpec(family="transformer", params={"patch": 2}))),
    (FORECAST, ModelSpec(network=NetworkSpec(family="seasonal_naive", params={"season": 3}))),
]


def ask(sample, model, fitted=True):
    """A learner of quantiles, rows, their truth, and its answers to them."""
    sample = sample.model_copy(update={"quantiles": LEVELS})
    learner = build_learner(model.model_copy(update={"quantiles": LEVELS}), sample).eval()
    raw, truth = make_samples(sample)
    raw, truth = raw.repeat(8, *[1] * (raw.ndim - 1)), truth.repeat(8, *[1] * (truth.ndim - 1))
    with torch.inference_mode():
        output, features = learner.respond(raw)
        if fitted:
            learner.answer.fit(learner.answer.collect(output, features, truth))
        return learner, sample, raw, truth, learner.answer_samples(raw)


@pytest.mark.parametrize(("sample", "model"), PAIRS)
@pytest.mark.parametrize("fitted", [False, True])
def test_they_ascend_and_the_median_comes_last(sample, model, fitted):
    learner, _, _, truth, answers = ask(sample, model, fitted)
    assert learner.answer.names == ("quantile_0.05", "quantile_0.25", "quantile_0.9", "values")
    low, lower, high, median = answers
    assert all(part.shape == truth.shape for part in answers)
    assert (low <= lower).all()
    assert (lower <= median).all()
    assert (median <= high).all()
    assert not fitted or (low < high).any()


def test_an_exported_network_answers_any_number_of_rows_alike():
    learner, sample, raw, _, answers = ask(*PAIRS[-1])
    found = run_onnx(export_onnx(learner, sample), raw.numpy())
    assert len(found) == len(answers)
    for got, wanted in zip(found, answers, strict=True):
        np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-5, atol=1e-5)


def test_an_artifact_is_held_against_every_quantile():
    learner, _, _, _, answers = ask(*PAIRS[0])
    wanted = tuple(part.numpy() for part in answers)
    for place in range(len(wanted)):
        found = [part.copy() for part in wanted]
        found[place][3] += 0.5
        difference, _ = compare_answers(learner.answer, tuple(found), wanted)
        assert difference == pytest.approx(0.25)  # in standard deviations, which are 2


def test_what_crosses_is_put_in_order_and_costs_as_if_it_had_been():
    spec = OBJECTIVES.find("values")
    answer = QuantileAnswer(spec, (0.1, 0.5, 0.9), (), (0.0,), (2.0,), standard=False)
    crossed, ordered = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[1.0, 2.0, 3.0]])
    truth = torch.tensor([5.0])
    told = [[part.item() for part in answer(output, output)] for output in (crossed, ordered)]
    assert told == [[2.0, 6.0, 4.0]] * 2
    losses = [answer.judge(output, output, truth) for output in (crossed, ordered)]
    assert losses[0][0] == losses[1][0]
    assert losses[0][1].item() == pytest.approx(1.0)


def test_the_loss_is_least_at_the_quantile_and_for_the_median_half_the_absolute_error():
    truth = torch.from_numpy(np.random.default_rng(0).gamma(2.0, size=2001)).float()
    for level in (0.1, 0.5, 0.8):
        loss = PinballLoss((level,), 0)
        tried = torch.linspace(0.0, 6.0, 601)
        costs = [loss(at.expand(2001, 1), truth[:, None]).item() for at in tried]
        assert tried[int(np.argmin(costs))] == pytest.approx(truth.quantile(level).item(), abs=0.02)
    half = PinballLoss((0.5,), 0)(torch.zeros(2001, 1), truth[:, None])
    assert half.item() == pytest.approx(truth.abs().mean().item() / 2)


def test_the_loss_that_is_trained_is_the_one_that_is_measured():
    _, sample, raw, truth, _ = ask(FORECAST, SERIES_MLP, fitted=False)
    learner = build_learner(SERIES_MLP, sample).eval()
    truth[::3, 1] = math.nan
    with torch.inference_mode():
        output, features = learner.respond(raw)
        loss, _, rows = learner.answer.judge(output, features, truth)
        answers = learner.answer(output, features)
    mean, std = (np.array(part) for part in sample.scales)
    quantiles = np.stack([answers[place].numpy() for place in (0, 1, 3, 2)], 1).astype(float)
    standard = (quantiles - mean) / std
    sums, counts = add_pinball(LEVELS, standard, ((truth.numpy() - mean) / std))
    assert counts.sum() < standard.size
    # What is unknown counts as answered right in training.
    assert loss.item() == pytest.approx(sums.sum() / standard.size, rel=1e-4)
    assert rows == len(truth)


@pytest.mark.parametrize("rows", [40, 99, 1000])
def test_margins_give_each_quantile_its_share_of_the_rows_outwards(rows):
    above = torch.from_numpy(np.random.default_rng(rows).normal(size=(rows, 1, 3)))
    margins = measure_margins(above.expand(-1, len(LEVELS), 3), LEVELS)
    assert (margins[2] == 0).all()
    for place, level in enumerate(LEVELS):
        below = (above[:, 0] <= margins[place]).sum(0)
        # Of one row more, which any of them may be, the quantile has its share or lies outwards.
        wanted = level * (rows + 1)
        if level > 0.5:
            assert ((below >= wanted - 1e-6) & (below < wanted + 1)).all()
        elif level < 0.5:
            assert ((below <= wanted + 1e-6) & (below > wanted - 1)).all()


def test_margins_hold_on_other_rows_and_go_by_what_is_known():
    draw = np.random.default_rng(5)
    scale = np.array([1.0, 3.0])
    first, other = (draw.standard_t(4, size=(3000, 2)) * scale for _ in range(2))
    unknown = first.copy()
    unknown[::2, 0] = math.nan
    above = torch.from_numpy(unknown).unsqueeze(1).expand(-1, len(LEVELS), 2)
    margins = measure_margins(above, LEVELS).numpy()
    for column in range(2):
        shares = share_below(margins[None, :, column].repeat(3000, 0), other[:, column])
        np.testing.assert_allclose(np.delete(shares, 2), np.delete(LEVELS, 2), atol=0.03)
    nothing = torch.full((50, len(LEVELS), 1), math.nan)
    assert (measure_margins(nothing, LEVELS) == 0).all()


def test_too_few_validation_rows_for_a_far_quantile_are_refused():
    answer = QuantileAnswer(
        OBJECTIVES.find("values"), (0.02, 0.5), (), (0.0,), (1.0,), standard=False
    )
    with pytest.raises(SpecError, match=r"at least 49 rows .* got 48; change data\.split"):
        answer.fit(torch.zeros(48, 2))
    answer.fit(torch.zeros(49, 2))


def test_baselines_are_calibrated_as_the_model_is():
    draw = np.random.default_rng(1)
    truth = draw.normal(size=(500, 2, 1))
    half = [SampleBatch(part, part, np.arange(250)) for part in np.split(truth, 2)]
    zero = {"zero": Baseline(lambda batch: np.zeros_like(batch.truth))}
    margins = calibrate_baselines(zero, LEVELS, lambda: half)
    assert margins["zero"].shape == (len(LEVELS), 2, 1)
    wanted = measure_margins(
        torch.from_numpy(truth).float().unsqueeze(1).expand(-1, len(LEVELS), 2, 1), LEVELS
    )
    np.testing.assert_allclose(margins["zero"], wanted.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.9, 0.5], "must ascend"),
        ([0.1, 0.9], "0.5"),
        ([0.0, 0.5], "between 0 and 1"),
        ([0.5], "more"),
        ([0.1, 0.1, 0.5], "must ascend"),
        ([0.1234567, 0.12345671, 0.5], "got quantile_0.123457 twice"),
        ([place / 100 for place in range(1, 61)], "more"),
    ],
)
def test_levels_that_are_none_are_refused(levels, message):
    with pytest.raises(ValueError, match=message):
        ModelSpec.model_validate({"quantiles": levels, "window": WINDOW.model_dump()})
