"""Heads, filters, figures and baselines of tables and series, held against other ways to compute
them.
"""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from lightning_modules.data.augment import JitterAugmentation
from lightning_modules.data.readers import CodeBook, RowReader, Samples, encode_texts
from lightning_modules.errors import SpecError
from lightning_modules.heads.rows import InstanceNormalised, RowHead
from lightning_modules.heads.time_filters import Denoiser
from lightning_modules.objectives.baselines import answer_baselines, fit_baselines
from lightning_modules.objectives.losses import (
    CrossEntropy,
    FocalLoss,
    build_loss,
    build_value_loss,
)
from lightning_modules.objectives.metrics import (
    compute_auroc,
    compute_average_precision,
    compute_macro_f1,
    compute_mae,
    compute_rmse,
)
from lightning_modules.specs.model import DenoiseSpec, HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from lightning_modules.specs.training import AugmentationSpec, LossSpec, TrainSpec
from lightning_modules.specs.window import WindowSpec
from lightning_modules.training.build import build_learner

MINE = "tests.lightning_modules.components"
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


def test_head_normalises_fills_in_and_tells_what_is_missing() -> None:
    raw = torch.tensor([[1e9 + 1.0, 3.0, 1.0], [np.nan, -1.0, np.nan]], dtype=torch.float64)
    features = RowHead(ROW, HeadSpec())(raw)
    assert features.dtype == torch.float32
    # a, b, their masks, then the grade as one-hot: nothing where it is missing or unknown.
    assert features.tolist() == [[0.5, 4.0, 0, 0, 0, 1, 0], [0.0, 0.0, 1, 0, 0, 0, 0]]
    assert RowHead(ROW, HeadSpec(embed=5))(raw).shape == (2, 2 + 2 + 5)


def test_head_combines_columns_in_their_own_units() -> None:
    numbers = (
        NumberColumn(name="torque", mean=40.0, std=10.0),
        NumberColumn(name="speed", mean=1500.0, std=200.0),
    )
    sample = RowSample(objective="classes", numbers=numbers, categories=(GRADE,), classes=2)
    spec = HeadSpec(
        mask=True,
        products=(("torque", "speed"), ("torque", "torque")),
        differences=(("speed", "torque"),),
    )
    head = RowHead(sample, spec)
    draw = np.random.default_rng(0)
    torque, speed = draw.normal(40, 10, 20_000), draw.normal(1500, 200, 20_000)
    raw = np.stack([torque, speed, draw.integers(0, 3, 20_000)], 1)
    features = head(torch.from_numpy(raw)).numpy()
    assert features.shape[1] == head.width == 2 + 2 + 3 + 3
    # Features are the combinations themselves but for level and scale, which are nearly those of
    # independent columns.
    for place, values in ((4, torque * speed), (6, speed - torque)):
        assert np.corrcoef(features[:, place], values)[0, 1] == pytest.approx(1.0, abs=1e-6)
        assert features[:, place].mean() == pytest.approx(0.0, abs=0.05)
        assert features[:, place].std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(features[:, 5], torque**2)[0, 1] == pytest.approx(1.0, abs=1e-6)
    half = head(torch.tensor([[np.nan, 1700.0, 0.0]], dtype=torch.float64))[0].tolist()
    assert half == [0.0, 1.0, 1, 0, 0, 0, 0, 1, 0, 0]  # what needs a missing value is at its level
    plain = RowHead(sample, spec.model_copy(update={"normalise": "none"}))(torch.from_numpy(raw))
    np.testing.assert_allclose(plain[:, 4].numpy(), torque * speed, rtol=1e-6)
    with pytest.raises(
        SpecError, match=r"differences \(wear - torque\) must combine .*; got no wear"
    ):
        RowHead(sample, HeadSpec(differences=(("wear", "torque"),)))


def test_head_reads_the_calendar() -> None:
    sample = FORECAST.model_copy(update={"time": True})
    quarter = torch.tensor([[[5.0, 86_400 * 3 + 6 * 3600]] * 6], dtype=torch.float64)
    features = RowHead(sample, HeadSpec(calendar=("day",)))(quarter)[0, 0]
    np.testing.assert_allclose(features.numpy(), [0.0, 1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "median", "savgol"])
def test_filters_take_out_noise_and_leave_what_they_should(name: str) -> None:
    draw = np.random.default_rng(0)
    clean = np.sin(np.arange(200) / 15)
    noisy = clean + draw.normal(0, 0.3, 200)
    denoise = Denoiser(DenoiseSpec(name=name, steps=9, sigma=2.0, degree=2))
    found = denoise(torch.tensor(noisy, dtype=torch.float32)[None, :, None])[0, :, 0].numpy()
    assert np.abs(found - clean).mean() < 0.6 * np.abs(noisy - clean).mean()
    flat = torch.full((1, 20, 2), 3.0)
    torch.testing.assert_close(denoise(flat), flat)
    spike = torch.zeros(1, 21, 1)
    spike[0, 10] = 9.0
    if name == "median":
        assert denoise(spike).abs().max() == 0
    if name == "savgol":
        parabola = (torch.arange(21.0) ** 2)[None, :, None]
        torch.testing.assert_close(
            denoise(parabola)[:, 4:-4], parabola[:, 4:-4], rtol=1e-4, atol=1e-3
        )


def test_instance_normalisation_is_given_back() -> None:
    class LastValue(torch.nn.Module):
        def forward(self, window: torch.Tensor) -> torch.Tensor:
            assert window.mean(1).abs().max() < 1e-5
            return window[:, -1:].expand(-1, 4, -1)

    window = torch.rand(3, 6, 2) * 100 + 1000
    answer = InstanceNormalised(LastValue(), 2, 2)(window)
    torch.testing.assert_close(answer, window[:, -1:].expand(-1, 4, -1), rtol=1e-5, atol=1e-2)


def test_categories_are_found_by_row_id_and_padding_has_none() -> None:
    codes = encode_texts(
        np.array(["L", "X", "M", ""]), np.array([True, True, True, False]), GRADE.vocabulary
    )
    np.testing.assert_array_equal(codes, [1, np.nan, 2, np.nan])
    book = CodeBook(np.array([3, 5, 7, 9], np.uint64), codes[:, None])
    reader = RowReader(ROW, ("b", "a"), book)
    rows = {
        "numbers": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "numbers__valid": np.array([[True, True], [True, False]]),
        "label": np.array([0, 1]),
        "row_id": np.array([7, 0], np.uint64),
    }
    np.testing.assert_array_equal(
        reader.read(rows).sample, [[2.0, 1.0, 2.0], [np.nan, 3.0, np.nan]]
    )
    with pytest.raises(SpecError, match="got no a; use the data set that it was trained on"):
        RowReader(ROW, ("b",), book)


def test_figures_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 300)
    scores = np.round(0.3 * truth + draw.random(300), 1)  # with ties
    both = np.stack([1 - scores, scores], 1)
    assert compute_average_precision(both, truth) == pytest.approx(
        average_precision_score(truth, scores)
    )
    assert compute_auroc(scores, truth) == pytest.approx(roc_auc_score(truth, scores))
    many, probabilities = draw.integers(0, 4, 200), draw.dirichlet(np.ones(4), 200)
    assert compute_macro_f1(probabilities, many) == pytest.approx(
        f1_score(many, probabilities.argmax(1), average="macro")
    )
    assert compute_auroc(probabilities, many) == pytest.approx(
        roc_auc_score(many, probabilities, multi_class="ovr")
    )
    assert np.isnan(compute_auroc(scores, np.zeros(300)))
    holes = np.array([1.0, np.nan, 3.0])
    assert compute_mae(np.array([2.0, 9.0, 1.0]), holes) == 1.5
    assert compute_rmse(np.array([2.0, 9.0, 1.0]), holes) == pytest.approx(np.sqrt(2.5))


def test_rare_classes_weigh_more_where_they_are_balanced() -> None:
    logits, label = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
    plain = build_loss(LossSpec(label_smoothing=0), (0.5, 5.0))(logits, label)
    balanced = build_loss(LossSpec(label_smoothing=0, class_weights="balanced"), (0.5, 5.0))(
        logits, label
    )
    assert balanced > plain
    same = FocalLoss(0.0)(logits, label)
    torch.testing.assert_close(same, plain)
    assert FocalLoss(2.0)(logits, label) < same
    with pytest.raises(SpecError, match="must be one of values; got a loss of classes"):
        build_value_loss(LossSpec(name="focal"))
    with pytest.raises(SpecError, match="must be one of classes; got a loss of values"):
        build_loss(LossSpec(name="mse"))


def test_smoothed_labels_of_a_common_class_do_not_speak_for_the_rare_ones() -> None:
    """Each row counts by the weight of its own class: where all answers are right, none is better
    for being rarer.
    """
    weights = (0.2, 40.0)
    logits, label = torch.tensor([[3.0, -3.0]]), torch.tensor([0])
    row = CrossEntropy(torch.tensor(weights), 0.1)(logits, label)
    plain = CrossEntropy(None, 0.1)(logits, label)
    assert row == pytest.approx(plain)  # one row: its weight cancels out
    free = torch.zeros(1, 2, requires_grad=True)
    CrossEntropy(torch.tensor(weights), 0.1)(free, label).backward()
    assert free.grad is not None
    assert free.grad[0, 0] < 0
    mixed = torch.tensor([[3.0, -3.0], [0.5, 0.5]]), torch.tensor([0, 1])
    apart = [CrossEntropy(None, 0.1)(mixed[0][i : i + 1], mixed[1][i : i + 1]) for i in (0, 1)]
    together = (weights[0] * apart[0] + weights[1] * apart[1]) / sum(weights)
    assert CrossEntropy(torch.tensor(weights), 0.1)(*mixed) == pytest.approx(together)


def make_samples(past: np.ndarray, future: np.ndarray) -> list[Samples]:
    return [Samples(past, future, np.arange(len(past), dtype=np.uint64))]


def test_baselines_of_forecasts_know_a_season_and_a_line() -> None:
    steps = np.arange(10.0) + np.arange(40.0)[:, None]
    season = np.array([1.0, 5.0, 9.0])[(steps % 3).astype(int)][..., None]
    asked = make_samples(season[:, :6], season[:, 6:])
    answers = answer_baselines(fit_baselines(FORECAST, lambda: asked), asked)
    assert set(answers) == {"persistence", "seasonal naive", "linear"}
    np.testing.assert_allclose(answers["seasonal naive"], season[:, 6:], atol=1e-5)
    np.testing.assert_allclose(
        answers["persistence"], np.repeat(season[:, 5:6], 4, axis=1), atol=1e-5
    )
    trend = steps[..., None] * 0.5
    asked = make_samples(trend[:, :6], trend[:, 6:])
    found = answer_baselines(fit_baselines(FORECAST, lambda: asked), asked)["linear"]
    np.testing.assert_allclose(found, trend[:, 6:], atol=0.05)


def test_baselines_of_classes_and_values() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(200, 2)) * [2.0, 1.0] + [1e9, -1.0]
    raw = np.concatenate([rows, draw.integers(0, 3, (200, 1))], 1)
    label = (rows[:, 0] > 1e9).astype(np.int64)
    asked = make_samples(raw, label)
    counts = np.bincount(label)
    row = ROW.model_copy(update={"class_weights": tuple((100 / counts).tolist())})
    answers = answer_baselines(fit_baselines(row, lambda: asked), asked)
    np.testing.assert_allclose(
        answers["majority"][0], [np.mean(label == 0), np.mean(label == 1)], atol=1e-6
    )
    assert np.mean(answers["linear"].argmax(1) == label) > 0.95
    value = RowSample(
        objective="values", numbers=NUMBERS, categories=(GRADE,), target_mean=3.0, target_std=2.0
    )
    asked = make_samples(raw, 3.0 + 0.5 * (rows[:, 0] - 1e9))
    answers = answer_baselines(fit_baselines(value, lambda: asked), asked)
    assert np.abs(answers["mean"] - 3.0).max() < 1e-6
    assert np.abs(answers["linear"] - asked[0].truth).max() < 0.05


def test_jitter_is_a_function_of_seed_epoch_and_row() -> None:
    spec, raw = AugmentationSpec(noise=0.1), torch.zeros(3, 4, 2, dtype=torch.float64)
    ids = np.array([1, 2, 3], np.uint64)
    noisy = JitterAugmentation(spec, 7, [10.0])(raw, ids, epoch=1)
    again = JitterAugmentation(spec, 7, [10.0])(raw[1:2], ids[1:2], epoch=1)
    assert torch.equal(noisy[1:2], again)
    assert noisy[..., 1].abs().max() == 0
    assert 0.2 < noisy[..., 0].std() < 3.0
    assert not torch.equal(noisy, JitterAugmentation(spec, 7, [10.0])(raw, ids, epoch=2))


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        ({"network": {"family": "cnn"}}, {}, "must be one of autoencoder, linear, mlp"),
        ({"head": {"name": f"{MINE}:make_nothing"}}, {}, "must accept its parameters"),
        ({"head": {"name": f"{MINE}:TwiceAsFloat64"}}, {}, "must give float32 features"),
        ({"network": {"family": f"{MINE}:make_nothing"}}, {}, "must build a torch.nn.Module"),
        ({}, {"select_by": f"{MINE}:NOT_CALLABLE"}, "must be a class or a function"),
        (
            {},
            {"augmentation": {"name": "affine"}},
            "must suit the samples; got table; write jitter",
        ),
    ],
)
def test_misfits_are_refused_before_training(
    model: dict[str, Any], train: dict[str, Any], message: str
) -> None:
    spec = {"network": {"family": "mlp"}, **model}
    with pytest.raises(SpecError, match=message):
        build_learner(ModelSpec.model_validate(spec), ROW, train=TrainSpec.model_validate(train))


def test_own_components_of_every_kind_are_used() -> None:
    model = ModelSpec(
        head=HeadSpec(name=f"{MINE}:Twice", params={"times": 3.0}),
        network=NetworkSpec(family="linear"),
    )
    train = TrainSpec.model_validate(
        {
            "select_by": f"{MINE}:share_of_ones",
            "augmentation": {"name": f"{MINE}:NoChange", "params": {"note": 1}},
        }
    )
    learner = build_learner(model, ROW, train=train)
    assert learner.head(torch.ones(2, 3, dtype=torch.float64)).tolist() == [[3.0] * 3] * 2
    assert learner.selection == f"{MINE}:share_of_ones"
    assert type(learner.augmentation).__name__ == "NoChange"
