"""Quantiles on real rows: from the training process to the gate's facts and the artifact."""

from pathlib import Path

import numpy as np
import pytest

from lightning_modules.compress.onnx_export import run_onnx
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import ModelSpec
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from tasks.forms.streams import HELD_OUT, SampleRows
from tasks.objectives.quantiles import describe_quantiles, measure_quantiles
from tasks.objectives.sheets import pack_answers, unpack_answers
from tasks.training.job import DataRef, Export, Predict, TrainJob
from tests.tasks.jobs import run_job
from tests.tasks.small_kinds import prepare_kind

pytestmark = pytest.mark.xdist_group("trainings")
LEVELS = (0.1, 0.5, 0.9)


@pytest.mark.parametrize("family", ["mlp", "trees"])
def test_diabetes_lies_between_its_quantiles_as_often_as_they_say(family, tmp_path: Path) -> None:
    prepared = prepare_kind("tabular-regression", tmp_path)
    model = prepared.fit.model.model_dump(mode="json")
    model |= {"network": {"family": family}, "quantiles": LEVELS}
    sample = prepared.fit.sample.model_copy(update={"quantiles": LEVELS})
    changes = {"model": ModelSpec.model_validate(model), "sample": sample}
    fit = prepared.fit.model_copy(update=changes)
    number = Dataset(prepared.workspace, prepared.dataset).open().number
    ref = DataRef(workspace=prepared.workspace.url, dataset=prepared.dataset, version=number)
    folder = tmp_path / "job"
    export = Export(compress=CompressSpec(candidates=("fp32",)))
    steps = (fit, Predict(split=HELD_OUT, baselines=True), export)
    run_job(TrainJob(directory=str(folder), data=ref, steps=steps), timeout_s=120)
    content = (folder / f"predictions.{HELD_OUT}.npz").read_bytes()
    sheet = unpack_answers(content)
    assert pack_answers(sheet) == content
    assert list(sheet.bands) == [0.1, 0.9]
    assert set(sheet.margins) == set(sheet.baselines) == {"mean", "linear"}
    facts = describe_quantiles(sheet, sample)
    assert facts is not None
    # 88 rows are calibrated on, 88 judged: of each quantile two such shares are apart by chance.
    assert np.abs(np.array(facts.shares) - LEVELS)[[0, 2]].max() < 0.15
    measured = measure_quantiles(sheet, sample, split="", unit="")
    figures = {figure.name: figure.value for figure in measured}
    errors = np.abs(sheet.values - sheet.truth).mean()
    assert 0 < figures["pinball"] < errors / 2
    rows = SampleRows(Dataset(Store(prepared.workspace.url), prepared.dataset).open(), sample)
    (batch,) = rows.read(HELD_OUT)
    order = np.argsort(batch.row_id)
    low, high, median = run_onnx((folder / "fp32.onnx").read_bytes(), batch.sample[order])
    for told, kept in zip((low, high, median), (*sheet.bands.values(), sheet.values), strict=True):
        np.testing.assert_allclose(told, kept, rtol=1e-4)
