"""Metrics are those of scikit-learn, ties and unknown values among them."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from lightning_modules.specs.measure import choose_positive, find_direction, measure_figures
from lightning_modules.specs.metrics import (
    compute_auroc,
    compute_average_precision,
    compute_macro_auroc,
    compute_macro_average_precision,
    compute_macro_f1,
    compute_mae,
    compute_rmse,
)
from lightning_modules.specs.objectives import OBJECTIVES
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from storage.base.figures import find_value

TWO = ImageSample(shape=(1, 2, 2), classes=2)
FOUR = ImageSample(shape=(1, 2, 2), classes=4)
VALUE = RowSample(objective="values", numbers=(NumberColumn(name="a"),))
SCORE = RowSample(objective="reconstruction", numbers=(NumberColumn(name="a"),), labelled=True)


def draw_ranked() -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores of the second class with ties."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 300)
    return truth, np.round(0.3 * truth + 0.6 * draw.random(300), 1)


def test_two_classes_are_ranked_by_the_positive_one() -> None:
    truth, scores = draw_ranked()
    both = np.stack([1 - scores, scores], 1)
    assert compute_average_precision(both, truth, TWO) == average_precision_score(truth, scores)
    assert compute_auroc(scores, truth, SCORE) == roc_auc_score(truth, scores)
    first = TWO.model_copy(update={"positive": 0})
    assert compute_average_precision(both, truth, first) == average_precision_score(
        1 - truth, 1 - scores
    )
    assert np.isnan(compute_auroc(scores, np.zeros(300), SCORE))
    assert np.isnan(compute_average_precision(scores, np.zeros(300), SCORE))


def test_more_classes_are_a_mean_and_say_so() -> None:
    draw = np.random.default_rng(0)
    truth, answers = draw.integers(0, 4, 200), draw.dirichlet(np.ones(4), 200)
    assert compute_macro_f1(answers, truth, FOUR) == pytest.approx(
        f1_score(truth, answers.argmax(1), average="macro")
    )
    assert compute_macro_auroc(answers, truth, FOUR) == pytest.approx(
        roc_auc_score(truth, answers, multi_class="ovr")
    )
    assert compute_macro_average_precision(answers, truth, FOUR) == pytest.approx(
        average_precision_score(np.eye(4)[truth], answers)
    )
    names = [figure.name for figure in measure_figures(answers, truth, FOUR)]
    assert names == ["accuracy", "macro_f1", "macro_average_precision", "macro_auroc"]
    absent = measure_figures(answers, np.minimum(truth, 2), FOUR)
    assert find_value(absent, "macro_average_precision") is None


def test_values_that_are_not_known_do_not_count() -> None:
    truth, answers = np.array([1.0, np.nan, 3.0]), np.array([2.0, 9.0, 1.0])
    assert compute_mae(answers, truth, VALUE) == 1.5
    assert compute_rmse(answers, truth, VALUE) == pytest.approx(np.sqrt(2.5))
    assert np.isnan(compute_mae(answers, np.full(3, np.nan), VALUE))


def test_figures_have_unit_direction_and_split() -> None:
    truth, answers = np.array([1.0, 3.0]), np.array([2.0, 1.0])
    figures = measure_figures(answers, truth, VALUE, split="held_out", unit="K")
    assert [(figure.name, figure.unit, figure.direction) for figure in figures] == [
        ("mae", "K", "lower"),
        ("rmse", "K", "lower"),
        ("mse", "K squared", "lower"),
    ]
    assert {figure.split for figure in figures} == {"held_out"}
    ranked = measure_figures(np.eye(2), np.array([0, 1]), TWO)
    assert {figure.unit for figure in ranked} == {"1"}
    assert find_direction("macro_auroc") == "higher"
    assert find_direction("loss") == find_direction("error") == "lower"


def test_rarer_class_is_the_positive_one() -> None:
    assert choose_positive((0.6, 5.0), ("a", "b")) == 1
    assert choose_positive((5.0, 0.6), ("a", "b")) == 0
    assert choose_positive((1.0, 1.0), ("a", "b")) == choose_positive((), ("a", "b")) == 1


def test_positive_class_can_be_named() -> None:
    assert choose_positive((0.6, 5.0), ("a", "b"), "a") == 0
    check = OBJECTIVES.find("classes").check_positive
    check("a", ("a", "b"))
    with pytest.raises(ValueError, match=r"positive \(c\) .* choose a or b"):
        check("c", ("a", "b"))
    with pytest.raises(ValueError, match=r"positive \(a\) must be left out"):
        check("a", ("a", "b", "c"))


FORECAST = RowSample(
    objective="forecast",
    numbers=(NumberColumn(name="a"), NumberColumn(name="b")),
    window=WindowSpec(lookback=4, horizon=6, horizons=(1, 4)),
    forecast=2,
)


def test_a_forecast_is_judged_by_each_horizon_that_is_named() -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(50, 6, 2))
    answers = truth + draw.normal(size=truth.shape) * np.arange(1, 7)[:, None]
    truth[draw.random(truth.shape) < 0.1] = np.nan
    figures = measure_figures(answers, truth, FORECAST)
    assert len(figures) == 3 * 3
    for steps, name in ((1, "mae_first_1"), (4, "mae_first_4"), (6, "mae")):
        error = np.nanmean(np.abs(answers - truth)[:, :steps])
        assert find_value(figures, name) == pytest.approx(error)
    for steps in (1, 4):
        square = np.nanmean(np.square(answers - truth)[:, :steps])
        assert find_value(figures, f"mse_first_{steps}") == pytest.approx(square)
    for spec in OBJECTIVES.find("forecast").list_sample_figures(FORECAST):
        assert spec.direction == find_direction(spec.name) == "lower"
        assert spec.per_row is not None
        sums, counts = spec.per_row(answers, truth, FORECAST)
        whole = sums.sum() / counts.sum()
        found = np.sqrt(whole) if spec.root else whole
        assert found == pytest.approx(spec.compute(answers, truth, FORECAST))


@pytest.mark.parametrize("horizons", [(6,), (4, 1), (2, 2), (1, 9)])
def test_horizons_that_are_none_of_the_forecast_are_refused(horizons: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"horizons .* must rise and stay below the horizon of 6"):
        WindowSpec(lookback=4, horizon=6, horizons=horizons)
