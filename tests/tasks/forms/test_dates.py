"""Dates of tables: features of age and of place in day, week and year; asked as learned from."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from deployments.targets.run.forms.records import split_csv, tabulate_objects
from deployments.targets.run.forms.rows import list_columns, read_records
from deployments.targets.trust.card_rules import claim_rows
from lightning_modules.heads.columns import RowHead
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.trainer import fit_learner
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from storage.sources.parquet import ParquetSource
from tasks.forms.describe import describe_sample
from tasks.forms.registry import find_task_form
from tasks.forms.streams import SampleRows

START = np.datetime64("2022-03-01T00:00", "s")
DATA = {
    "dates": ["signed_up"],
    "numbers": ["x"],
    "target": "spent",
    "split": {"by": "hash", "held_out": 0.2, "validation": 0.2},
}
SPEC = TableSpec.model_validate(DATA)


def make_rows(count: int = 400) -> tuple[list[str | None], np.ndarray, np.ndarray]:
    """Sales that are twice as much at weekends; some rows lack their date."""
    draw = np.random.default_rng(3)
    dates = START + draw.integers(0, 900 * 86_400, count).astype("timedelta64[s]")
    day = (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
    spent = np.where(day >= 5, 20.0, 10.0) + draw.normal(0, 0.2, count)
    texts: list[str | None] = [str(date).replace("T", " ") for date in dates]
    texts[::40] = [None] * len(texts[::40])
    return texts, draw.normal(size=count), spent


def write_csv(path: Path) -> Path:
    lines = ["signed_up,x,spent"]
    lines += [f"{date or ''},{x},{spent}" for date, x, spent in zip(*make_rows(), strict=True)]
    path.write_text("\n".join(lines))
    return path


def prepare(source: CsvSource | ParquetSource, folder: Path):
    workspace = Store(str(folder))
    raw = collect_rows(source, Dataset(workspace, "raw"), spec=SPEC)
    return prepare_rows(raw, SPEC, Dataset(workspace, "prepared"))


def describe(version):
    fitted = Fitted.model_validate(version.info["fitted"])
    return describe_sample("values", SPEC, ModelSpec(network={"family": "trees"}), fitted)


@pytest.fixture
def version(tmp_path: Path):
    return prepare(CsvSource(url=str(write_csv(tmp_path / "rows.csv"))), tmp_path / "workspace")


def test_parquet_of_times_reads_as_text_does(version, tmp_path: Path) -> None:
    dates, x, spent = make_rows()
    typed = pa.array(
        [None if d is None else np.datetime64(d, "us") for d in dates], pa.timestamp("us")
    )
    pq.write_table(
        pa.table({"signed_up": typed, "x": x, "spent": spent}), tmp_path / "rows.parquet"
    )
    other = prepare(ParquetSource(url=str(tmp_path / "rows.parquet")), tmp_path / "other")
    found, wanted = describe(other).numbers[1], describe(version).numbers[1]
    assert found.date
    assert found.mean == pytest.approx(wanted.mean, rel=1e-12)
    assert found.std == pytest.approx(wanted.std, rel=1e-9)


def test_asked_as_a_file_or_as_json_a_row_is_what_was_learned_from(version, tmp_path: Path) -> None:
    sample = describe(version)
    spec = find_task_form(SPEC).describe_input(sample, SPEC)
    document = {"data": SPEC.model_dump(mode="json"), "model": {"window": None}, "source": {}}
    assert all(claim.got == claim.expected for claim in claim_rows(spec, document))
    content = (tmp_path / "rows.csv").read_bytes()
    asked = read_records(split_csv(content, "rows.csv", list_columns(spec)), spec, "rows.csv").raw
    dates, x, _ = make_rows()
    objects = [{"signed_up": date, "x": float(value)} for date, value in zip(dates, x, strict=True)]
    told = json.loads(json.dumps(objects))
    as_json = read_records(tabulate_objects(told, list_columns(spec), "json"), spec, "json").raw
    np.testing.assert_array_equal(asked, as_json)
    learned = np.concatenate(
        [
            batch.sample
            for name in version.splits
            for batch in SampleRows(version, sample).read(name)
        ]
    )
    order = [np.argsort(rows[:, 0]) for rows in (asked, learned)]
    np.testing.assert_array_equal(asked[order[0]], learned[order[1]])
    assert np.isnan(asked).any()


def test_the_weekday_is_learned_and_a_missing_date_is_told_apart(version) -> None:
    sample, rows = describe(version), SampleRows(version, describe(version))
    model, train = (
        ModelSpec(network={"family": "trees"}),
        TrainSpec(batch_size=32, precision="fp32"),
    )
    fitted = fit_learner(
        model,
        train,
        sample,
        train_stream=rows.open_training(train),
        validation_stream=rows.open_evaluation("validation", 64),
        reader=rows.reader,
    )
    found = predict_rows(fitted.learner, rows.open_evaluation("held_out", 64), rows.reader)
    error = np.abs(found.values - found.truth).mean()
    assert error < np.abs(found.truth - found.truth.mean()).mean() / 3


def test_the_head_tells_age_and_parts_and_nothing_of_a_missing_date(version) -> None:
    head = build_learner(ModelSpec(network={"family": "mlp"}), describe(version)).head
    assert isinstance(head, RowHead)
    week = 7 * 86_400.0
    first = 1.7e9
    raw = torch.tensor([[0.5, first], [0.5, first + week], [0.5, torch.nan]], dtype=torch.float64)
    features = head(raw)
    assert features.shape == (3, head.width)
    assert not torch.equal(features[0, :2], features[1, :2]), "a week older"
    parts = features[:, -6:]
    torch.testing.assert_close(parts[0, [1, 4]], parts[1, [1, 4]], atol=1e-4, rtol=0)
    assert not parts[2].any()


def test_a_data_section_without_dates_is_described_as_before_and_series_have_none(
    tmp_path: Path,
) -> None:
    plain = TableSpec.model_validate({**DATA, "dates": [], "numbers": ["x"]})
    assert plain.numbers == ("x",)
    assert SPEC.numbers == ("x", "signed_up")
    assert TableSpec.model_validate(SPEC.model_dump(mode="json")) == SPEC
    with pytest.raises(ValueError, match="calendar"):
        SeriesSpec.model_validate({"time": "t", "numbers": ["x"], "dates": ["d"]})
    with pytest.raises(ValueError, match="must go with dates"):
        TableSpec.model_validate({"numbers": ["x"], "date_format": "%Y"})
