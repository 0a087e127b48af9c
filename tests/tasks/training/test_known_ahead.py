"""Forecasts with a lead, and with what is known of the steps to come: learned and asked alike."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.records import split_csv
from deployments.targets.run.forms.rows import read_records, read_rows
from deployments.targets.trust.card import InputSpec
from flows.errors import RecipeError
from flows.recipe.load import load_recipe
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import make_samples
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.datasets.version import Version
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.forms.describe import describe_sample
from tasks.forms.registry import find_task_form
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.objectives.sheets import unpack_answers
from tasks.training.baselines import answer_beside
from tasks.training.job import DataRef, Fit, Predict, TrainJob
from tests.tasks.jobs import run_job

pytestmark = pytest.mark.xdist_group("trainings")
DAYS, LOOKBACK, LEAD, HORIZON = 420, 14, 2, 3
COLUMNS = ["price", "sales", "offer"]


def write_sales() -> str:
    """What a shop sells a day: by the day of the week, and half as much again on offer days, which
    nothing in the past foretells.
    """
    draw = np.random.default_rng(3)
    days = np.datetime64("2024-01-01") + np.arange(DAYS)
    offer = (draw.random(DAYS) < 0.2).astype(int)
    week = 10 + 3 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
    sales = week * (1 + 0.5 * offer) + draw.normal(0, 0.4, DAYS)
    price = draw.normal(2, 0.1, DAYS)
    rows = zip(days, price, sales, offer, strict=True)
    return "\n".join(
        ["day,price,sales,offer", *(f"{d},{p:.3f},{s:.3f},{o}" for d, p, s, o in rows)]
    )


def describe(known: list[str], **model: Any) -> tuple[SeriesSpec, ModelSpec]:
    data = SeriesSpec.model_validate(
        {
            "time": "day",
            "numbers": COLUMNS,
            "split": {"by": "time", "held_out": 0.25, "validation": 0.15},
        }
    )
    window = {"lookback": LOOKBACK, "horizon": HORIZON, "lead": LEAD, "season": 7, "known": known}
    section = {"head": {"calendar": ["week"]}, "network": {"family": "linear"}, **model}
    return data, ModelSpec.model_validate({**section, "window": {**window, "targets": ["sales"]}})


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, str]:
    """The workspace in which they are prepared, and their text."""
    folder, text = tmp_path_factory.mktemp("sales"), write_sales()
    (folder / "sales.csv").write_text(text)
    workspace = Store(str(folder / "workspace"))
    data, _ = describe([])
    source = CsvSource(url=str(folder / "sales.csv"))
    raw = collect_rows(source, Dataset(workspace, "raw"), spec=data)
    prepare_rows(raw, data, Dataset(workspace, "prepared"), target_shard_bytes=4096)
    return workspace, text


def open_prepared(workspace: Store) -> tuple[Version, Fitted]:
    version = Dataset(workspace, "prepared").open()
    return version, Fitted.model_validate(version.info["fitted"])


def test_what_is_known_of_the_days_to_come_is_learned_from(
    sales: tuple[Store, str], tmp_path: Path
) -> None:
    workspace, _ = sales
    version, fitted = open_prepared(workspace)
    data, model = describe(["offer"])
    sample = describe_sample("forecast", data, model, fitted)
    optimizer = {"name": "adam", "lr": 0.01, "weight_decay": 0.0}
    train = {"max_epochs": 20, "precision": "fp32", "batch_size": 32, "optimizer": optimizer}
    fit = Fit(model=model, train=TrainSpec.model_validate(train), sample=sample)
    ref = DataRef(workspace=workspace.url, dataset="prepared", version=version.number)
    steps = (fit, Predict(split=HELD_OUT, baselines=True))
    run_job(TrainJob(directory=str(tmp_path), data=ref, steps=steps), timeout_s=120)
    sheet = unpack_answers((tmp_path / f"predictions.{HELD_OUT}.npz").read_bytes())
    found = np.concatenate([sheet.truth, sheet.baselines["seasonal naive"]], 2)
    np.testing.assert_allclose(_sort(found), _sort(_list_truths(len(found))), rtol=1e-5)
    told = (sheet.values, sheet.baselines["linear"])
    own, linear = (np.abs(values - sheet.truth).mean() for values in told)
    # An offer day is worth 5, one in five of them; chance is 0.4.
    assert own < 0.75 * linear


def _sort(windows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array(sorted(windows.reshape(len(windows), -1).round(3).tolist()))


def _list_sold() -> np.ndarray[Any, Any]:
    return np.array([float(line.split(",")[2]) for line in write_sales().splitlines()[1:]])


def _list_truths(windows: int) -> np.ndarray[Any, Any]:
    """What the last windows are asked for, and what was a week before it, (N, H, 2)."""
    sold = _list_sold()
    asked = DAYS - HORIZON + 1 - windows + np.arange(windows)[:, None] + np.arange(HORIZON)
    return np.stack([sold[asked], sold[asked - 7]], 2)


def test_a_file_with_the_days_to_come_is_read_as_it_was_learned_from(
    sales: tuple[Store, str],
) -> None:
    workspace, text = sales
    version, fitted = open_prepared(workspace)
    data, model = describe(["offer", "day"])
    sample = describe_sample("forecast", data, model, fitted)
    spec = find_task_form(data).describe_input(sample, data)
    assert isinstance(spec, InputSpec)
    assert (spec.ahead, spec.known) == (LEAD + HORIZON, ("offer", "day"))
    assert spec.shape == (LOOKBACK + LEAD + HORIZON, 4)
    *_, batch = SampleRows(version, sample).read(HELD_OUT)
    learned = batch.sample[np.argmax(batch.sample[:, -1, -1])]
    header, *lines = text.splitlines()
    blank = [_blank(line) for line in lines[-spec.ahead :]]
    asked = "\n".join([header, *lines[: -spec.ahead], *blank]).encode()
    samples = read_records(split_csv(asked, "f"), spec, "f")
    np.testing.assert_allclose(samples.raw[0], learned)
    assert np.isnan(samples.raw[0, -spec.ahead :, :2]).all()
    message = (
        r"end with 5 rows of the steps to come, of which only offer, day are known; got .*sales"
    )
    with pytest.raises(BadInput, match=message):
        read_records(split_csv(text.encode(), "f"), spec, "f")
    with pytest.raises(BadInput, match="append those rows behind the present"):
        read_rows(_save(np.zeros(spec.shape)), spec, "f")


def _blank(line: str) -> str:
    day, _, _, offer = line.split(",")
    return f"{day},,,{offer}"


def _save(values: np.ndarray[Any, Any]) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    ("family", "head", "params"),
    [
        ("mlp", {"instance_norm": True, "mask": True}, {}),
        ("closed_linear", {}, {}),
        ("seasonal_naive", {"instance_norm": True}, {"season": 7}),
    ],
)
@pytest.mark.parametrize("quantiles", [[], [0.1, 0.5, 0.9]])
def test_every_network_answers_by_what_is_known_and_by_nothing_else_ahead(
    sales: tuple[Store, str],
    family: str,
    head: dict[str, Any],
    params: dict[str, Any],
    quantiles: list[float],
) -> None:
    import torch

    _, fitted = open_prepared(sales[0])
    network = {"family": family, "params": params}
    data, model = describe(["offer"], head=head, network=network, quantiles=quantiles)
    sample = describe_sample("forecast", data, model, fitted)
    learner = build_learner(model, sample).eval()
    raw, _ = make_samples(sample)
    with torch.inference_mode():
        first = learner.answer_samples(raw)[-1]
        others, offered = raw.clone(), raw.clone()
        others[:, LOOKBACK:, :2] = 1e6  # sales and price, which nobody knows
        offered[:, -1, 2] += 1.0
        assert torch.equal(learner.answer_samples(others)[-1], first)
        changed = (learner.answer_samples(offered)[-1] != first).any(2).any(0)
    assert changed.tolist() == [False, False, family == "mlp"]


def test_a_seasonal_network_goes_by_the_lead(sales: tuple[Store, str]) -> None:
    _, fitted = open_prepared(sales[0])
    network = {"family": "seasonal_naive", "params": {"season": 7}}
    data, model = describe(["offer"], head={}, network=network)
    sample = describe_sample("forecast", data, model, fitted)
    raw, _ = make_samples(sample)
    learner = build_learner(model, sample).eval()
    found = learner.answer_samples(raw)[-1].numpy()
    # Two days behind the last one seen: what was five days before that one, and on.
    np.testing.assert_allclose(found[..., 0], raw[:, LOOKBACK - 5 : LOOKBACK - 2, 0], rtol=1e-5)


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.5, 0.9)])
def test_a_season_longer_than_the_lookback_is_read_from_the_series(
    sales: tuple[Store, str], quantiles: tuple[float, ...]
) -> None:
    version, fitted = open_prepared(sales[0])
    data, model = describe(["offer"])
    season = {"season": 28, "held_out_stride": 4}
    model = model.model_copy(update={"window": model.window.model_copy(update=season)})
    sample = describe_sample("forecast", data, model, fitted)
    sample = sample.model_copy(update={"quantiles": quantiles})
    batches = list(SampleRows(version, sample).read(HELD_OUT))
    order = np.argsort(row_id := np.concatenate([batch.row_id for batch in batches]))
    truth = np.concatenate([batch.truth for batch in batches])[order]
    opened = partial(SampleRows, version)
    beside = answer_beside(opened, sample, HELD_OUT, row_id[order], cut_nothing)
    found, margins = beside.answers, beside.margins
    sold = _list_sold()
    for asked, told in zip(truth[..., 0].tolist(), found["seasonal naive"][..., 0], strict=True):
        (place,) = (at for at in range(DAYS) if sold[at : at + HORIZON].tolist() == asked)
        np.testing.assert_allclose(told, sold[place - 28 : place - 28 + HORIZON], rtol=1e-5)
    assert len(truth) < 30
    assert set(margins) == (set(found) if quantiles else set())


def cut_nothing(values: np.ndarray, truth: np.ndarray) -> float | None:
    """Forecasts have no threshold."""
    raise AssertionError((values, truth))


def test_where_a_series_does_not_reach_back_a_season_the_last_value_stands_in(
    sales: tuple[Store, str],
) -> None:
    version, fitted = open_prepared(sales[0])
    data, model = describe([])
    model = model.model_copy(update={"window": model.window.model_copy(update={"season": 9000})})
    sample = describe_sample("forecast", data, model, fitted)
    sample = sample.model_copy(update={"quantiles": (0.1, 0.5)})
    row_id = np.sort(np.concatenate([b.row_id for b in SampleRows(version, sample).read(HELD_OUT)]))
    opened = partial(SampleRows, version)
    beside = answer_beside(opened, sample, HELD_OUT, row_id, cut_nothing)
    found, margins = beside.answers, beside.margins
    np.testing.assert_array_equal(found["seasonal naive"], found["persistence"])
    np.testing.assert_array_equal(margins["seasonal naive"], margins["persistence"])


@pytest.mark.parametrize(
    ("changes", "path", "word"),
    [
        ({"model.window.known": ["wind"]}, "model.window.known", "OT"),
        ({"model.window.known": ["date"]}, "model.window.known", "calendar"),
        ({"model.window.known": ["OT"], "model.window.targets": ["OT"]}, "model.window", "known"),
        (
            {"model.window.known": ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]},
            "model.window.known",
            "leave columns",
        ),
        ({"model.window.lead": 3, "model.window.horizon": 0}, "model.window", "horizon"),
    ],
)
def test_what_cannot_be_known_is_refused(changes: dict[str, Any], path: str, word: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("transformer-temperature", changes)
    faults = [fault for fault in caught.value.faults if fault.path.startswith(path)]
    assert any(word in str(fault) for fault in faults), [str(f) for f in caught.value.faults]
