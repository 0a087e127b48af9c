"""Categories of series, and whose a row is, are learned from and asked alike, by every family."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadInput
from deployments.targets.run.forms.records import split_csv, tabulate_objects
from deployments.targets.run.forms.rows import list_columns, read_records
from deployments.targets.trust.card import InputSpec
from flows.errors import RecipeError
from flows.recipe.load import load_recipe
from lightning_modules.compress.onnx_export import export_onnx
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.dry_run import make_samples
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.forms.describe import describe_sample
from tasks.forms.registry import find_task_form
from tasks.forms.streams import HELD_OUT, TRAIN, SampleRows
from tasks.objectives.sheets import unpack_answers
from tasks.training.job import DataRef, Fit, Predict, TrainJob
from tests.tasks.jobs import run_job

pytestmark = pytest.mark.xdist_group("trainings")
SHOPS = {"north": 10.0, "east": 40.0, "süd": 90.0, "west": 20.0}
DAYS, LOOKBACK, HORIZON = 200, 7, 2


def write_sales() -> str:
    """What four shops sell: each by its own day of the week, twice as much where an offer is big.

    No day tells the next one but by the shop, the weekday and the offer.
    """
    draw = np.random.default_rng(3)
    days = np.datetime64("2024-01-01") + np.arange(DAYS)
    lines = ["day,shop,offer,sales"]
    for place, (shop, level) in enumerate(SHOPS.items()):
        offers = draw.choice(["none", "small", "big"], DAYS, p=[0.7, 0.15, 0.15])
        best = np.arange(DAYS) % 7 == 2 * place
        sales = level * (1 + best) * np.where(offers == "big", 2.0, 1.0)
        sales = sales + draw.normal(0, 0.02 * level, DAYS)
        rows = zip(days, offers, sales, strict=True)
        lines += [f"{day},{shop},{offer},{sold:.3f}" for day, offer, sold in rows]
    return "\n".join(lines)


def describe(texts: list[str], **model: Any) -> tuple[SeriesSpec, ModelSpec]:
    split = {"by": "time", "held_out": 0.2, "validation": 0.15}
    section = {"entity": "shop", "time": "day", "numbers": ["sales"], "texts": texts}
    data = SeriesSpec.model_validate({**section, "split": split})
    known = [name for name in ("offer", "day") if name == "day" or name in texts]
    window = {"lookback": LOOKBACK, "horizon": HORIZON, "known": known}
    rest = {"network": {"family": "linear"}, "window": window, **model}
    return data, ModelSpec.model_validate(
        {**rest, "head": {"calendar": ["week"], **model.get("head", {})}}
    )


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The workspace in which they are prepared."""
    folder = tmp_path_factory.mktemp("sales")
    (folder / "sales.csv").write_text(write_sales())
    workspace = Store(str(folder / "workspace"))
    data, _ = describe(["shop", "offer"])
    source = CsvSource(url=str(folder / "sales.csv"))
    raw = collect_rows(source, Dataset(workspace, "raw"), spec=data)
    prepare_rows(raw, data, Dataset(workspace, "prepared"), target_shard_bytes=4096)
    return workspace


def describe_prepared(workspace: Store, texts: list[str], **model: Any) -> Any:
    """The version, what is known of its rows, the model and its sample."""
    version = Dataset(workspace, "prepared").open()
    data, spec = describe(texts, **model)
    fitted = Fitted.model_validate(version.info["fitted"])
    return version, data, spec, describe_sample("forecast", data, spec, fitted)


def measure_error(workspace: Store, folder: Path, texts: list[str], **model: Any) -> float:
    """The mean absolute error of a short training on held-out windows, relative to each shop."""
    version, _, spec, sample = describe_prepared(workspace, texts, **model)
    optimizer = {"name": "adam", "lr": 0.01, "weight_decay": 0.0}
    train = {"max_epochs": 25, "precision": "fp32", "batch_size": 32, "optimizer": optimizer}
    fit = Fit(model=spec, train=TrainSpec.model_validate(train), sample=sample)
    ref = DataRef(workspace=workspace.url, dataset="prepared", version=version.number)
    job = TrainJob(directory=str(folder), data=ref, steps=(fit, Predict(split=HELD_OUT)))
    run_job(job, timeout_s=120)
    sheet = unpack_answers((folder / f"predictions.{HELD_OUT}.npz").read_bytes())
    return float((np.abs(sheet.values - sheet.truth) / sheet.truth).mean())


def test_shops_and_offers_tell_what_the_past_does_not(sales: Store, tmp_path: Path) -> None:
    for name in ("told", "blind"):
        (tmp_path / name).mkdir()
    told = measure_error(sales, tmp_path / "told", ["shop", "offer"], head={"embed": 4})
    blind = measure_error(sales, tmp_path / "blind", [])
    assert told < 0.7 * blind


@pytest.mark.parametrize("embed", [None, 3])
def test_a_file_of_a_shop_is_read_as_it_was_learned_from(sales: Store, embed: int | None) -> None:
    version, data, _, sample = describe_prepared(sales, ["shop", "offer"], head={"embed": embed})
    spec = find_task_form(data).describe_input(sample, data)
    assert isinstance(spec, InputSpec)
    assert [column.name for column in spec.columns] == ["sales", "shop", "offer", "day"]
    batches = list(SampleRows(version, sample).read(HELD_OUT))
    windows = np.concatenate([batch.sample for batch in batches])
    place = spec.columns[1].vocabulary.index("süd")
    of_shop = windows[windows[:, 0, 1] == place]
    learned = of_shop[np.argmax(of_shop[:, -1, -1])]
    header, *lines = write_sales().splitlines()
    own = [line for line in lines if ",süd," in line]
    asked = [*own[:-HORIZON], *(line.rpartition(",")[0] + "," for line in own[-HORIZON:])]
    samples = read_records(split_csv("\n".join([header, *asked]).encode(), "f"), spec, "f")
    np.testing.assert_allclose(samples.raw[0], learned)
    assert not np.isnan(learned[:, 1:]).any()
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in asked]
    objects = read_records(tabulate_objects(rows, list_columns(spec), "f"), spec, "f")
    np.testing.assert_array_equal(objects.raw, samples.raw)
    other = "\n".join([header, *asked]).replace("süd", "new one").encode()
    unknown = read_records(split_csv(other, "f"), spec, "f")
    assert np.isnan(unknown.raw[0, :, 1]).all()
    assert any("shop: 'new one' is a category that was not" in words for _, words in unknown.notes)
    with pytest.raises(BadInput, match="of which only offer, day are known; got values of sales"):
        read_records(split_csv("\n".join([header, *own]).encode(), "f"), spec, "f")


def test_a_linear_map_is_the_same_by_each_shop_s_own_measure(sales: Store, tmp_path: Path) -> None:
    closed = {"network": {"family": "closed_linear"}}
    for name in ("own", "all"):
        (tmp_path / name).mkdir()
    head = {"normalise": "entity"}
    own = measure_error(sales, tmp_path / "own", ["shop"], head=head, **closed)
    shared = measure_error(sales, tmp_path / "all", ["shop"], **closed)
    # What lies between two steps scales with the shop, and so does what the map makes of it.
    assert own == pytest.approx(shared, rel=0.03)


@pytest.mark.parametrize("instance_norm", [False, True])
def test_a_number_by_its_entity_is_what_numpy_makes_of_it(
    sales: Store, instance_norm: bool
) -> None:
    import torch

    head = {"normalise": "entity", "instance_norm": instance_norm}
    network = {"family": "seasonal_naive", "params": {"season": 7}}
    version, _, spec, sample = describe_prepared(sales, ["shop"], head=head, network=network)
    learner = build_learner(spec, sample).eval()
    train = version.read("train")
    raw = next(iter(SampleRows(version, sample).read(TRAIN))).sample[:40]
    features = learner.head(torch.from_numpy(raw))[:, :LOOKBACK, 0].numpy()
    for place, name in enumerate(sample.categories[0].vocabulary):
        sold = train["numbers"][train["shop"] == name, 0]
        mine = raw[:, 0, 1] == place
        wanted = (raw[mine, :LOOKBACK, 0] - sold.mean()) / sold.std()
        np.testing.assert_allclose(features[mine], wanted, rtol=1e-4, atol=1e-5)
    # What was given is given back, whoever is unknown.
    asked = raw.copy()
    asked[:10, :, 1] = np.nan
    with torch.inference_mode():
        found = learner.answer_samples(torch.from_numpy(asked))[-1].numpy()
    np.testing.assert_allclose(found[..., 0], raw[:, :HORIZON, 0], rtol=1e-3)
    unknown = learner.head(torch.from_numpy(asked))[:10, :LOOKBACK, 0].numpy()
    column = sample.numbers[0]
    wanted = (raw[:10, :LOOKBACK, 0] - column.mean) / column.std
    np.testing.assert_allclose(unknown, wanted, rtol=1e-4, atol=1e-5)


def test_shops_of_any_number_are_hashed_alike_where_one_learns_and_asks(sales: Store) -> None:
    head = {"hash": {"shop": 16}, "embed": 2}
    version, data, _, sample = describe_prepared(sales, ["shop"], head=head)
    assert isinstance(sample, RowSample)
    assert (sample.categories[0].entity, sample.categories[0].hashed) == (True, True)
    learned = np.concatenate([b.sample for b in SampleRows(version, sample).read(TRAIN)])
    spec = find_task_form(data).describe_input(sample, data)
    header, *lines = write_sales().splitlines()
    for shop in SHOPS:
        own = [line for line in lines if f",{shop}," in line][: LOOKBACK + HORIZON]
        blank = [line.rpartition(",")[0] + "," for line in own[-HORIZON:]]
        text = "\n".join([header, *own[:-HORIZON], *blank]).encode()
        asked = read_records(split_csv(text, "f"), spec, "f").raw[0]
        assert not np.isnan(asked[:, 1]).any()
        assert (asked == learned).all(where=~np.isnan(asked), axis=(1, 2)).any()


FAMILIES = {
    "linear": {},
    "dlinear": {"kernel": 3},
    "mlp": {"widths": [8]},
    "cnn": {"width": 8, "layers": 1},
    "rnn": {"width": 8},
    "transformer": {"patch": 4, "stride": 2, "width": 8, "layers": 1},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_network_that_is_trained_tells_shops_apart(sales: Store, family: str) -> None:
    import torch

    network = {"family": family, "params": FAMILIES[family]}
    head = {"embed": 4, "instance_norm": family == "mlp"}
    head |= {"normalise": "entity"} if family == "cnn" else {}
    _, _, spec, sample = describe_prepared(sales, ["shop", "offer"], network=network, head=head)
    learner = build_learner(spec, sample).eval()
    raw, _ = make_samples(sample)
    with torch.inference_mode():
        first = learner.answer_samples(raw)[-1]
        other, unknown = raw.clone(), raw.clone()
        other[..., 1], unknown[..., 1] = 1.0, np.nan
        assert not torch.equal(learner.answer_samples(other)[-1], first)
        assert torch.isfinite(learner.answer_samples(unknown)[-1]).all()
        ahead = raw.clone()
        ahead[:, -1, 2] = 2.0
        changed = (learner.answer_samples(ahead)[-1] != first).any(2).any(0)
    assert changed.tolist() == [False, True]


def test_an_artifact_answers_as_the_network_does_unknown_shops_too(sales: Store) -> None:
    import onnxruntime
    import torch

    head = {"embed": 4, "normalise": "entity"}
    _, _, spec, sample = describe_prepared(sales, ["shop", "offer"], head=head)
    learner = build_learner(spec, sample).eval()
    version = Dataset(sales, "prepared").open()
    raw = next(iter(SampleRows(version, sample).read(TRAIN))).sample[:50].copy()
    raw[:5, :, 1], raw[5:9, :, 1] = np.nan, 17.0
    session = onnxruntime.InferenceSession(export_onnx(learner, sample))
    (found,) = session.run(None, {"window": raw})
    with torch.inference_mode():
        wanted = learner.answer_samples(torch.from_numpy(raw))[-1].numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_whose_a_row_is_stands_in_the_sample(sales: Store) -> None:
    *_, sample = describe_prepared(sales, ["shop", "offer"])
    assert isinstance(sample, RowSample)
    assert [column.entity for column in sample.categories] == [True, False]
    assert sample.categories[0].vocabulary == tuple(sorted(SHOPS))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.split": {"by": "entity", "held_out": 0.2, "validation": 0.1}}, "does not know"),
        (
            {"data.split": {"by": "group", "field": "shop", "held_out": 0.2, "validation": 0.1}},
            "does not know",
        ),
        ({"model.head.normalise": "entity", "model.head.hash": {"shop": 9}}, "not hashed"),
        ({"data.texts": [], "model.head.normalise": "entity"}, "data.texts: .shop."),
        ({"model.window.known": ["wind"]}, "choose among .*OT, shop, date"),
    ],
)
def test_entities_that_nobody_could_know_are_refused(changes: dict[str, Any], words: str) -> None:
    section = {"data.entity": "shop", "data.texts": ["shop"]}
    with pytest.raises(RecipeError, match=words):
        load_recipe("transformer-temperature", {**section, **changes})
