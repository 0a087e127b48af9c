"""Baselines of every objective answer what they should on rows made for them."""

import numpy as np
import pytest
import torch

from lightning_modules.data.readers import SampleBatch
from lightning_modules.networks.fitted import Distance
from lightning_modules.objectives import linear
from lightning_modules.objectives.base import answer_baselines
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.samples import CategoryColumn, ImageSample, NumberColumn, RowSample
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


def test_persistence_and_the_season_carry_what_was_last_seen() -> None:
    past = np.arange(1.0, 7.0)[None, :, None] * np.ones((3, 1, 1))
    past[0, -2:] = np.nan  # the sensor fell silent: 4 was seen last
    past[1, :] = np.nan  # nothing at all: the mean
    found = answer(FORECAST, make_samples(past, np.ones((3, 4, 1))))
    np.testing.assert_allclose(found["persistence"][:, 0, 0], [4, 5, 6])
    np.testing.assert_allclose(found["seasonal naive"][0, :, 0], [4, 2, 3, 4])
    np.testing.assert_allclose(found["seasonal naive"][2, :, 0], [4, 5, 6, 4])
    assert np.isfinite(found["linear"]).all()


def test_windows_without_an_answer_do_not_teach_the_linear_map() -> None:
    draw = np.random.default_rng(1)
    past = draw.normal(5, 2, (300, 6, 1))
    future = np.repeat(past[:, -2:-1], 4, axis=1)
    holes = future.copy()
    holes[::3, 2] = np.nan
    found = answer(FORECAST, make_samples(past, holes))["linear"]
    np.testing.assert_allclose(found, future, atol=0.02)


def split_batches(raw: np.ndarray, truth: np.ndarray, rows: int) -> list[SampleBatch]:
    ids = np.arange(len(raw), dtype=np.uint64)
    return [
        SampleBatch(
            raw[start : start + rows], truth[start : start + rows], ids[start : start + rows]
        )
        for start in range(0, len(raw), rows)
    ]


@pytest.mark.parametrize("objective", ["classes", "values"])
def test_linear_maps_know_rows_of_every_entity_however_they_are_stored(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear.draw_rows, "__defaults__", (300,))
    draw = np.random.default_rng(2)
    # One class, and one slope, an entity; the first alone has more rows than are drawn.
    raw = np.concatenate([draw.normal(-2, 1, (1900, 2)), draw.normal(2, 1, (100, 2))])
    raw = raw * [2.0, 1.0] + [1e9, -1.0]
    truth = np.repeat([0, 1], [1900, 100]) if objective == "classes" else raw[:, 0] - 1e9
    sample = RowSample(
        objective=objective, numbers=NUMBERS, classes=2 if objective == "classes" else 0
    )
    baselines = OBJECTIVES.find(objective).fit_baselines(
        sample, lambda: split_batches(raw, truth, 250)
    )
    asked = split_batches(raw, truth, 2000)
    found = answer_baselines(baselines, asked[0].row_id, lambda: asked)
    if objective == "classes":
        np.testing.assert_allclose(found["majority"][0], [0.95, 0.05])
        right = found["linear"].argmax(1) == truth
        assert min(right[:1900].mean(), right[1900:].mean()) > 0.9
        np.testing.assert_allclose(found["linear"].mean(0), [0.95, 0.05], atol=0.02)
    else:
        assert np.abs(found["linear"] - truth).max() < 0.05


def test_a_linear_map_of_one_class_answers_that_class_and_is_not_left_out() -> None:
    raw = np.random.default_rng(3).normal(size=(50, 2))
    row = RowSample(objective="classes", numbers=NUMBERS, classes=2)
    found = answer(row, make_samples(raw, np.ones(50, dtype=np.int64)))
    assert set(found) == {"majority", "linear"}
    np.testing.assert_array_equal(found["linear"], np.tile([0.0, 1.0], (50, 1)))


def test_baselines_of_anomalies_learn_from_normal_rows_alone_and_see_what_a_mean_does_not() -> None:
    draw = np.random.default_rng(4)
    angle = draw.uniform(0, 2 * np.pi, 800)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * 2 + draw.normal(0, 0.1, (800, 2))
    middle = draw.normal(0, 0.1, (40, 2))  # far from every normal row, at the mean of all
    numbers = (NumberColumn(name="a", std=1.0), NumberColumn(name="b", std=1.0))
    sample = RowSample(objective="reconstruction", numbers=numbers, labelled=True)
    truth = np.repeat([0, 1], [800, 40])
    samples = make_samples(np.concatenate([ring, middle]), truth)
    found = answer(sample, samples)
    assert set(found) == {"distance", "nearest neighbours", "isolation forest"}
    assert found["nearest neighbours"][800:].min() > np.quantile(
        found["nearest neighbours"][:800], 0.99
    )
    assert found["distance"][800:].mean() < found["distance"][:800].mean()
    assert np.isfinite(found["isolation forest"]).all()
    rows = torch.from_numpy(linear.read_features(sample, samples)[0]).float()
    network = Distance(input_shape=rows.shape[1:], outputs=rows.shape[1:])
    network.fit_rows(rows, torch.from_numpy(truth), torch.ones(840))
    shipped = (network(rows) - rows).square().mean(1).numpy()
    np.testing.assert_allclose(shipped, found["distance"], rtol=1e-4, atol=1e-6)


def make_images(rows: int, seed: int, colours: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images (rows, C, 40, 24) of two classes: a bar that lies or stands, anywhere."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 60, (rows, colours, 40, 24)).astype(np.uint8)
    truth = draw.integers(0, 2, rows)
    for image, label, place in zip(images, truth, draw.integers(0, 20, rows), strict=True):
        image[
            :, *((slice(place, place + 4),) if label else (slice(None), slice(place, place + 4)))
        ] = 250
    return images, truth


@pytest.mark.parametrize("colours", [1, 3])
def test_images_have_baselines_that_look_at_pixels(colours: int) -> None:
    images, truth = make_images(400, 5, colours)
    sample = ImageSample(classes=3, shape=images.shape[1:], mean=(60.0,), std=(70.0,))
    baselines = OBJECTIVES.find("classes").fit_baselines(
        sample, lambda: split_batches(images, truth, 150)
    )
    asked, wanted = make_images(200, 6, colours)
    found = answer_baselines(baselines, np.arange(200), lambda: split_batches(asked, wanted, 90))
    assert set(found) == {"majority", "linear", "nearest neighbours"}
    for answers in found.values():
        assert answers.shape == (200, 3)
        np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)
    right = {name: (answers.argmax(1) == wanted).mean() for name, answers in found.items()}
    assert right["nearest neighbours"] > 0.95
    assert right["majority"] < 0.7


def test_images_of_one_class_or_of_few_rows_leave_no_baseline_out() -> None:
    images, truth = make_images(3, 7)
    sample = ImageSample(classes=2, shape=images.shape[1:])
    for labels in (truth * 0, truth):
        found = answer_images(sample, images, labels)
        assert set(found) == {"majority", "linear", "nearest neighbours"}
        assert all(np.isfinite(answers).all() for answers in found.values())


def answer_images(
    sample: ImageSample, images: np.ndarray, truth: np.ndarray
) -> dict[str, np.ndarray]:
    rows = split_batches(images, truth, 100)
    baselines = OBJECTIVES.find("classes").fit_baselines(sample, lambda: rows)
    return answer_baselines(baselines, np.arange(len(images)), lambda: rows)
