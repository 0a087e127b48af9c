"""A table and a forecast go round, too: run, answers that come back, a better model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from deployments.targets.publish.channel import open_channel, read_champion
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from tests.flows.material import Outcome, call
from tests.tasks.feedback.made import (
    HORIZON,
    LOOKBACK,
    START_S,
    describe_series,
    describe_table,
)
from tests.uplinks import Device

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
TRAIN = {"max_epochs": 30, "precision": "fp32", "batch_size": 32, "optimizer": {"lr": 0.01}}


def go(folder: Path, document: dict[str, Any], scheduler: str, *arguments: str) -> Outcome:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(document))
    place = ("--workspace", str(folder / "workspace"), "--scheduler", scheduler, "--json")
    return call(arguments[0], str(path), *place, *arguments[1:])


def find_model(folder: Path) -> str:
    release = read_champion(open_channel(str(folder / "workspace"), "edge"))
    assert release is not None
    return release.model_id


def test_a_table(tmp_path: Path, prefect_url: str, dask_scheduler: str) -> None:
    model = {"network": {"family": "mlp", "params": {"widths": [32, 32], "dropout": 0.0}}}
    gates = {"model": {"min_accuracy": 0.8, "max_calibration_error": 0.5, "min_skill": -50.0}}
    document = describe_table(tmp_path) | {"train": TRAIN, "model": model, "gates": gates}
    ran = go(tmp_path, document, dask_scheduler, "run")
    assert ran.status == 0, ran.messages
    # Where no row was before, the height tells the class.
    generator = np.random.default_rng(8)
    asked = np.column_stack([generator.normal(5, 1, 400), generator.normal(size=400)])
    inputs = np.column_stack([asked, np.ones(400)]).round(6)
    before, store = find_model(tmp_path), Store(tmp_path / "workspace")
    _, ids = Device(store).enroll().send(inputs, before)
    truth = tmp_path / "truth.csv"
    lines = [f"{name},{int(row[1] > 0)}" for name, row in zip(ids, inputs, strict=True)]
    truth.write_text("\n".join(["answer_id,truth", *lines]))
    outcome = go(tmp_path, document, dask_scheduler, "feedback", "--truth", str(truth))
    assert outcome.status == 0, outcome.messages
    assert (outcome.summary["decision"], outcome.summary["collected"]) == ("retrain", 400)
    assert find_model(tmp_path) != before
    again = go(tmp_path, document, dask_scheduler, "feedback")
    assert again.summary["decision"] == "nothing"


def draw_other(hours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The series as it was for 480 hours, and faster and higher from then on."""
    angle = np.where(hours < 480, hours * 2 * np.pi / 24, hours * 2 * np.pi / 10)
    size = np.where(hours < 480, 1.0, 3.0)
    return np.stack([np.sin(angle) * size, np.cos(angle) * size], axis=-1)


def test_a_forecast(tmp_path: Path, prefect_url: str, dask_scheduler: str) -> None:
    document = describe_series(tmp_path)
    model = document["model"] | {
        "network": {"family": "mlp", "params": {"widths": [64, 64], "dropout": 0.0}}
    }
    # Linear answers to sines are all but right: what they are beside is not the question here.
    gates = {"model": {"min_skill": -50.0, "min_slice_skill": -50.0, "max_worse_slices": 1.0}}
    document |= {"train": TRAIN, "model": model, "gates": gates}
    ran = go(tmp_path, document, dask_scheduler, "run")
    assert ran.status == 0, ran.messages
    before, store = find_model(tmp_path), Store(tmp_path / "workspace")
    device = Device(store).enroll()
    for first in range(474, 974, 100):
        hours = first + np.arange(100)[:, np.newaxis] + np.arange(LOOKBACK)
        times = (START_S + hours * 3600).astype(np.float64)
        device.send(draw_other(hours), before, times=times)
    outcome = go(tmp_path, document, dask_scheduler, "feedback")
    assert outcome.status == 0, outcome.messages
    assert outcome.summary["decision"] == "retrain"
    assert find_model(tmp_path) != before
    prepared = Dataset(store, "waves-prepared").open()
    last = Dataset(store, "waves-feedback").open().read()["time"].max()
    assert prepared.read("held_out")["time"].max() == last
    assert prepared.splits["held_out"] > 200
    assert prepared.splits["validation"] > HORIZON
    again = go(tmp_path, document, dask_scheduler, "feedback")
    assert again.summary["decision"] == "nothing"
