"""Networks that are fitted at once: each is what the baseline of its name is, and exports."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.compress.candidates import make_artifacts
from lightning_modules.heads.instance_norm import InstanceNormalised
from lightning_modules.networks.fitted import ClosedLinear, Distance, SeasonalNaive
from lightning_modules.networks.trees import BoostedTrees
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training import at_once
from lightning_modules.training.at_once import find_fitting
from lightning_modules.training.build import build_learner
from lightning_modules.training.trainer import fit_learner, load_learner
from tests.lightning_modules.tables import make_reader, stream_rows

DRAW = np.random.default_rng(0)
ROWS = torch.from_numpy(DRAW.normal(size=(600, 5)).astype(np.float32))
FIRST = ROWS[:, 0].contiguous()
ONES = torch.ones(len(ROWS))


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_closed_linear_values_are_least_squares() -> None:
    slopes = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0])
    network = ClosedLinear(input_shape=(5,), outputs=1)
    wanted = ROWS @ slopes + 0.7
    wanted[:7] = float("nan")
    network.fit_rows(ROWS, wanted, ONES)
    torch.testing.assert_close(network.layer.weight[0], slopes, atol=0.01, rtol=0)
    assert float(network.layer.bias[0]) == pytest.approx(0.7, abs=0.01)
    network.fit_rows(ROWS, torch.full((len(ROWS),), float("nan")), ONES)
    assert not network(ROWS).any()  # Where no value is known, it is the mean.


@pytest.mark.parametrize("present", [[0, 1], [0, 1, 2], [0, 2], [1]])
@pytest.mark.parametrize("family", [ClosedLinear, BoostedTrees])
def test_classes_are_told_apart_and_one_that_no_row_has_is_never_said(
    family: Any, present: list[int]
) -> None:
    turns = torch.bucketize(FIRST, torch.linspace(-0.5, 0.5, len(present) + 1)[1:-1])
    labels = torch.tensor(present)[turns]
    outputs = 2 if present == [0, 1] else 3
    network = family(input_shape=(5,), outputs=outputs)
    network.fit_rows(ROWS, labels, ONES)
    shares = torch.softmax(network(ROWS), 1)
    assert float((shares.argmax(1) == labels).float().mean()) > 0.9
    absent = [label for label in range(outputs) if label not in present]
    assert float(shares[:, absent].sum()) < 1e-3 * len(ROWS)


def test_a_linear_forecast_follows_what_lies_between_each_step_and_the_last() -> None:
    steps = torch.arange(400.0)
    series = torch.stack([torch.sin(steps / 7), 5 + torch.cos(steps / 9)], 1)
    windows = series.unfold(0, 30, 1).transpose(1, 2)
    network = ClosedLinear(input_shape=(24, 2), outputs=(6, 2))
    wrapped = InstanceNormalised(ClosedLinear(input_shape=(24, 2), outputs=(6, 2)), 2, 2)
    network.fit_rows(windows[:, :24], windows[:, 24:], torch.ones(len(windows)))
    fit = find_fitting(wrapped)
    assert fit is not None
    fit(windows[:, :24], windows[:, 24:], torch.ones(len(windows)))
    for fitted in (network, wrapped):
        assert float((fitted(windows[:, :24]) - windows[:, 24:]).abs().max()) < 0.2
    shifted = windows + 100
    assert float((network(shifted[:, :24]) - shifted[:, 24:]).abs().max()) < 0.2


def test_seasons_and_last_values_are_repeated() -> None:
    window = torch.arange(12.0).reshape(1, 6, 2)
    season = SeasonalNaive(input_shape=(6, 2), outputs=(5, 1), season=3)(window)
    assert season[0, :, 0].tolist() == [6, 8, 10, 6, 8]
    last = SeasonalNaive(input_shape=(6, 2), outputs=(3, 2))(window)
    assert last[0].tolist() == [[10, 11]] * 3
    with pytest.raises(ValueError, match="season must be from 1 to the lookback of 6"):
        SeasonalNaive(input_shape=(6, 2), outputs=(3, 2), season=7)


@pytest.mark.parametrize("shape", [(2,), (4, 2)])
def test_anomalies_among_what_is_learned_from_do_not_hide_the_column_that_tells_them(
    shape: tuple[int, ...],
) -> None:
    draw = torch.Generator().manual_seed(5)
    rows = torch.randn(600, *shape, generator=draw)
    truth = (torch.arange(600) % 4 == 0).long()
    rows[..., 1] *= 0.1
    rows[truth == 1, ..., 1] += 1.0  # ten deviations of what is normal, two of all rows
    network = Distance(input_shape=shape, outputs=shape)
    network.fit_rows(rows, truth, torch.ones(600))
    score = (network(rows) - rows).square().flatten(1).mean(1)
    assert score[truth == 1].min() > score[truth == 0].max()
    assert float(score[truth == 0].mean()) == pytest.approx(1.0, abs=1e-3)


def test_a_constant_column_counts_as_it_is_and_without_normal_rows_nothing_is_fitted() -> None:
    rows = torch.tensor([[1.0, 5.0], [3.0, 5.0], [9.0, 9.0]])
    network = Distance(input_shape=(2,), outputs=(2,))
    network.fit_rows(rows, torch.tensor([0, 0, 1]), torch.ones(3))
    assert (network(rows) - rows).square().tolist() == [[1, 0], [1, 0], [49, 16]]
    fresh = Distance(input_shape=(2,), outputs=(2,))
    fresh.fit_rows(rows, torch.ones(3, dtype=torch.int64), torch.ones(3))
    assert not fresh(rows).any()
    before = torch.nn.Sequential(Distance(input_shape=(2,), outputs=(2,)))
    before.load_state_dict({})  # As a checkpoint of before has it: no weights.
    assert not before(rows).any()


def test_trees_answer_as_scikit_learn_s_do() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    for labels in (
        (ROWS[:, 0] > 0).long(),
        torch.bucketize(ROWS[:, 1].contiguous(), torch.tensor([-1.0, 1.0])),
    ):
        network = BoostedTrees(input_shape=(5,), outputs=int(labels.max()) + 1, trees=8)
        network.fit_rows(ROWS, labels, ONES)
        model = HistGradientBoostingClassifier(**network.settings).fit(ROWS.numpy(), labels.numpy())
        found, wanted = torch.softmax(network(ROWS), 1).numpy(), model.predict_proba(ROWS.numpy())
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    values = ROWS[:, 0].square() + ROWS[:, 1]
    network = BoostedTrees(input_shape=(5,), outputs=1, trees=8)
    network.fit_rows(ROWS, values, ONES)
    regressor = HistGradientBoostingRegressor(**network.settings).fit(ROWS.numpy(), values.numpy())
    np.testing.assert_allclose(network(ROWS)[:, 0], regressor.predict(ROWS.numpy()), atol=1e-5)


def test_trees_tell_neighbouring_numbers_apart() -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    # What lies between them is no float32, and the nearest one is the upper of the two.
    rows = torch.tensor([above, np.nextafter(above, np.float32(2))]).repeat(100)[:, None]
    values = torch.tensor([0.0, 1.0]).repeat(100)
    network = BoostedTrees(input_shape=(1,), outputs=1, trees=1, rate=1.0)
    network.fit_rows(rows, values, torch.ones(len(rows)))
    torch.testing.assert_close(network(rows)[:, 0], values)


def test_trees_are_trained_kept_and_exported_as_any_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    walk = BoostedTrees._walk

    def count_rows(network: BoostedTrees, sample: torch.Tensor) -> torch.Tensor:
        asked.append(len(sample))
        return walk(network, sample)

    monkeypatch.setattr(BoostedTrees, "_walk", count_rows)
    monkeypatch.setattr(at_once, "JUDGED_ROWS", 256)
    numbers = tuple(NumberColumn(name=f"c{place}") for place in range(5))
    sample = RowSample(numbers=numbers, objective="classes", classes=2, class_weights=(1.0, 1.0))
    rows = {
        "numbers": ROWS.double().numpy(),
        "numbers__valid": np.ones(ROWS.shape, bool),
        "label": (ROWS[:, 0] * ROWS[:, 1] > 0).long().numpy(),
        "row_id": np.arange(len(ROWS), dtype=np.uint64),
    }
    spec = ModelSpec(
        head=HeadSpec(mask=False), network=NetworkSpec(family="trees", params={"trees": 12})
    )
    records: list[dict[str, Any]] = []
    fitted = fit_learner(
        spec,
        TrainSpec(),
        sample,
        train_stream=stream_rows(rows, 100, shuffle=True),
        validation_stream=stream_rows(rows, 256),
        reader=make_reader(sample),
        on_record=records.append,
    )
    assert fitted.result.validation_figures["accuracy"] > 0.9
    assert [record["event"] for record in records] == ["epoch"]
    assert records[0]["train_accuracy"] == fitted.result.validation_figures["accuracy"]
    assert max(asked) == 256  # Trees take memory for each row that they are asked at once.
    learner = load_learner(fitted.checkpoint)
    (fp32,) = make_artifacts(learner, sample, CompressSpec(), calibration=ROWS.double().numpy())
    assert (fp32.name, fp32.agreement) == ("fp32", 1.0)
    assert fp32.difference <= 1e-4
    assert build_learner(spec, sample).answer.aim(torch.tensor([1])).tolist() == [1]
