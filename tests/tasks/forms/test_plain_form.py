"""A form of rows that says only what a sample is goes through the gates on data and their pages."""

from typing import Literal

import numpy as np
import pytest

from deployments.targets.trust.card import InputSpec
from gates.prepared.prepared_gate import judge_prepared
from gates.raw.forms import FORMS as RAW_FORMS
from gates.specs.prepared import PreparedGate
from gates.specs.sections import GatesSpec
from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.samples import Sample
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.base import RowsSpec
from storage.forms.form import Form
from storage.forms.registry import FORMS as STORED_FORMS
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.records.receipts import SourceRecord
from storage.shards.row_ids import hash_contents
from storage.shards.writing import write_shard
from tasks.data.collect import describe_version
from tasks.forms.base import TaskForm
from tasks.forms.registry import FORMS
from tasks.forms.streams import TRAIN, SampleRows
from tasks.gates.accepted import Accepted
from tasks.gates.prepared import describe_prepared
from tasks.gates.raw import judge_version
from tasks.pages.offenders import pick_offenders, pick_pairs
from tasks.runtime.outcomes import Collected, Prepared
from tests.tasks.gates.mills import find_red


class PlainSpec(RowsSpec):
    kind: Literal["plain"] = "plain"
    labels: tuple[str, ...] = ("low", "high")


class PlainSample(Sample):
    form: Literal["plain"] = "plain"
    shape: tuple[int, ...] = (3,)
    dtype: str = "float32"


class StoredPlain(Form):
    name = "plain"
    spec = PlainSpec


class PlainReader:
    fields = ("values", "label", "row_id")

    def read(self, rows):
        return SampleBatch(rows["values"], rows["label"], rows["row_id"])


class PlainForm(TaskForm):
    def describe_sample(self, objective, data, model, fitted):
        return PlainSample(objective=objective, classes=2)

    def describe_input(self, sample, data):
        return InputSpec(form="plain", name="plain", dtype="float32", shape=sample.shape)

    def open_reader(self, version, sample):
        return PlainReader()


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(FORMS._rows, "plain", PlainForm())
    monkeypatch.setitem(STORED_FORMS._rows, "plain", StoredPlain())
    monkeypatch.setitem(RAW_FORMS._rows, "plain", RAW_FORMS.find("image"))


def write_raw(folder, seed, lost=0):
    rng = np.random.default_rng(seed)
    dataset = Dataset(Store(folder), "plain-raw")
    rows = {"values": rng.random((400, 3)).astype(np.float32), "label": np.arange(400) % 2}
    rows["label__valid"] = np.arange(400) >= lost
    rows["content_hash"] = hash_contents({"values": rows["values"]})
    rows["row_id"] = np.arange(400, dtype=np.uint64) + 400 * seed
    return dataset.commit([write_shard(dataset.shards, rows)], kind="raw", parent=None)


def test_a_plain_form_goes_through_the_gates_on_data(tmp_path, registered):
    data = PlainSpec()
    accepted, raw = write_raw(tmp_path / "a", 0), write_raw(tmp_path / "b", 1)
    report = judge_version(raw, data, GatesSpec(), Accepted(accepted))
    assert not find_red(report)
    assert any(check.about.startswith("label: rise") for check in report.checks)
    version = prepare_rows(raw, data, Dataset(raw.dataset.workspace, "plain-prepared"))
    collected = Collected(source=SourceRecord(type="npz", digest=""), dataset=describe_version(raw))
    fitted = Fitted.model_validate(version.info["fitted"])
    prepared = Prepared(dataset=describe_version(version), fitted=fitted)
    facts = describe_prepared(version, collected, prepared, data)
    report = judge_prepared(PreparedGate(min_train_rows=10, min_validation_rows=10), facts)
    assert not find_red(report)
    assert not list(pick_pairs(version, raw, data, report))
    samples = SampleRows(version, PlainSample(objective="classes", classes=2))
    assert sum(len(batch.truth) for batch in samples.read(TRAIN)) == version.splits[TRAIN]


def test_a_fault_of_a_plain_form_is_named_and_shown(tmp_path, registered):
    raw = write_raw(tmp_path, 0, lost=5)
    report = judge_version(raw, PlainSpec(), GatesSpec())
    assert "label" in find_red(report)
    shown = list(pick_offenders(raw, PlainSpec(), report))
    assert len(shown) == 5
    assert all(each.picture is None for each in shown)
