"""Baselines of every objective answer what they should on rows made for them."""

import numpy as np

from lightning_modules.data.readers import SampleBatch
from lightning_modules.objectives.base import answer_baselines
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec

NUMBERS = (NumberColumn(name="a", mean=1e9, std=2.0), NumberColumn(name="b", mean=-1.0, std=0.0))
GRADE = CategoryColumn(name="grade", vocabulary=("H", "L", "M"))
ROW = RowSample(objective="classes", numbers=NUMBERS, categories=(GRADE,), classes=2)
WINDOW = WindowSpec(lookback=6, horizon=4, season=3)
FORECAST = RowSample(
    objective="forecast",
    numbers=(NumberColumn(name="a", mean=5.0, std=2.0),),
    window=WINDOW,
    forecast=1,
)


def make_samples(past: np.ndarray, future: np.ndarray) -> list[SampleBatch]:
    return [SampleBatch(past, future, np.arange(len(past), dtype=np.uint64))]


def answer(sample: RowSample, asked: list[SampleBatch]) -> dict[str, np.ndarray]:
    baselines = OBJECTIVES.find(sample.objective).fit_baselines(sample, lambda: asked)
    return answer_baselines(baselines, asked[0].row_id, lambda: asked)


def test_baselines_of_forecasts_know_a_season_and_a_line() -> None:
    steps = np.arange(10.0) + np.arange(40.0)[:, None]
    season = np.array([1.0, 5.0, 9.0])[(steps % 3).astype(int)][..., None]
    asked = make_samples(season[:, :6], season[:, 6:])
    answers = answer(FORECAST, asked)
    assert set(answers) == {"persistence", "seasonal naive", "linear"}
    np.testing.assert_allclose(answers["seasonal naive"], season[:, 6:], atol=1e-5)
    np.testing.assert_allclose(
        answers["persistence"], np.repeat(season[:, 5:6], 4, axis=1), atol=1e-5
    )
    trend = steps[..., None] * 0.5
    asked = make_samples(trend[:, :6], trend[:, 6:])
    found = answer(FORECAST, asked)["linear"]
    np.testing.assert_allclose(found, trend[:, 6:], atol=0.05)


def test_baselines_of_classes_and_values() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 2)) * [2.0, 1.0] + [1e9, -1.0]
    raw = np.concatenate([rows, draw.integers(0, 3, (200, 1))], 1)
    label = (rows[:, 0] > 1e9).astype(np.int64)
    asked = make_samples(raw, label)
    counts = np.bincount(label)
    row = ROW.model_copy(update={"class_weights": tuple((100 / counts).tolist())})
    answers = answer(row, asked)
    np.testing.assert_allclose(
        answers["majority"][0], [np.mean(label == 0), np.mean(label == 1)], atol=1e-6
    )
    assert np.mean(answers["linear"].argmax(1) == label) > 0.95
    value = RowSample(
        objective="values", numbers=NUMBERS, categories=(GRADE,), target_mean=3.0, target_std=2.0
    )
    asked = make_samples(raw, 3.0 + 0.5 * (rows[:, 0] - 1e9))
    answers = answer(value, asked)
    assert np.abs(answers["mean"] - 3.0).max() < 1e-6
    assert np.abs(answers["linear"] - asked[0].truth).max() < 0.05
