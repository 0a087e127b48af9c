"""Texts of any number of different values: hashed or counted, alike in learning and asking."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from deployments.targets.run.forms.records import split_csv, tabulate_objects
from deployments.targets.run.forms.rows import list_columns, read_records
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.card import InputSpec
from deployments.targets.trust.card_columns import ColumnSpec
from lightning_modules.compress.candidates import make_artifacts
from lightning_modules.heads.categories import Categories
from lightning_modules.heads.layout import lay_out
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import HeadSpec, ModelSpec
from lightning_modules.specs.samples import CategoryColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.trainer import fit_learner
from storage.base.buckets import find_bucket, name_buckets
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.forms.describe import describe_sample
from tasks.forms.registry import find_task_form
from tasks.forms.streams import SampleRows
from tasks.forms.table.inputs import read_columns
from tasks.objectives.registry import find_objective
from tasks.runtime.errors import StageStopped

BUCKETS, PARTS = 64, 2000
SPEC = TableSpec.model_validate(
    {
        "numbers": ["x"],
        "texts": ["part"],
        "target": "hours",
        "split": {"by": "hash", "held_out": 0.2, "validation": 0.2},
    }
)
MODEL = ModelSpec.model_validate(
    {"network": {"family": "closed_linear"}, "head": {"hash": {"part": BUCKETS}}}
)


def write_repairs(path: Path) -> Path:
    """Repairs of 2,000 parts, of which a pump takes longest: the pumps are most of the rows."""
    draw = np.random.default_rng(5)
    lines = ["part,x,hours"]
    for row in range(2 * PARTS):
        part = "pump" if row >= PARTS else f"part {row}, Größe {row % 7}"
        name = "" if row % 97 == 0 else f'"{part}"'
        hours = (9.0 if part == "pump" else 2.0) + draw.normal(0, 0.1)
        lines.append(f"{name},{draw.normal():.6f},{hours:.4f}")
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hashed")
    source = CsvSource(url=str(write_repairs(folder / "rows.csv")))
    workspace = Store(str(folder / "workspace"))
    raw = collect_rows(source, Dataset(workspace, "raw"), spec=SPEC)
    return prepare_rows(raw, SPEC, Dataset(workspace, "prepared"))


def describe(version, model=MODEL):
    fitted = Fitted.model_validate(version.info["fitted"])
    return describe_sample("values", SPEC, model, fitted, version)


def count(model=MODEL, **head):
    """The model that is told how often a part is repaired, and not which one it is."""
    return model.model_copy(
        update={"head": model.head.model_copy(update={"frequency": ("part",), **head})}
    )


def fit(version, model):
    """A network of training rows, and how far it errs on held-out ones beside their mean."""
    sample = describe(version, model)
    rows = SampleRows(version, sample)
    train = TrainSpec(batch_size=64, precision="fp32")
    fitted = fit_learner(
        model,
        train,
        sample,
        train_stream=rows.open_training(train),
        validation_stream=rows.open_evaluation("validation", 64),
        reader=rows.reader,
    )
    found = predict_rows(fitted.learner, rows.open_evaluation("held_out", 64), rows.reader)
    base = np.abs(found.truth - found.truth.mean()).mean()
    return fitted.learner, sample, rows, np.abs(found.values - found.truth).mean() / base


def test_more_than_a_thousand_texts_are_refused_with_the_remedy_and_hashed_on_demand(version):
    plain = MODEL.model_copy(update={"head": MODEL.head.model_copy(update={"hash": {}})})
    with pytest.raises(StageStopped, match=r"model\.head\.hash: \{part: 256\}"):
        describe(version, plain)
    (column,) = describe(version).categories
    assert column.hashed
    assert column.vocabulary == name_buckets(BUCKETS)


def test_a_row_asked_as_a_file_or_as_json_is_what_was_learned_from(version, tmp_path: Path) -> None:
    sample = describe(version)
    spec = find_task_form(SPEC).describe_input(sample, SPEC)
    spec = InputSpec.model_validate_json(spec.model_dump_json())
    content = write_repairs(tmp_path / "rows.csv").read_bytes()
    records = split_csv(content, "rows.csv", list_columns(spec))
    asked = read_records(records, spec, "rows.csv")
    objects = [dict(zip(records.header, row, strict=True)) for row in records.rows]
    objects = [{"part": row["part"] or None, "x": float(row["x"])} for row in objects]
    as_json = tabulate_objects(json.loads(json.dumps(objects)), list_columns(spec), "json")
    np.testing.assert_array_equal(asked.raw, read_records(as_json, spec, "json").raw)
    assert not asked.notes  # No text is unknown.
    learned = np.concatenate(
        [b.sample for name in version.splits for b in SampleRows(version, sample).read(name)]
    )
    order = [np.lexsort((rows[:, 1], rows[:, 0])) for rows in (asked.raw, learned)]
    np.testing.assert_array_equal(asked.raw[order[0]], learned[order[1]])
    assert np.isnan(asked.raw[:, 1]).any()
    assert np.nanmax(asked.raw[:, 1]) < BUCKETS
    number = read_records(
        tabulate_objects([{"part": 7, "x": 1}], list_columns(spec), "j"), spec, ""
    )
    assert number.raw[0, 1] == find_bucket("7", BUCKETS)


def test_what_is_learned_of_a_text_is_in_the_artifact_and_a_row_sent_back_keeps_its_bucket(
    version,
) -> None:
    learner, sample, rows, error = fit(version, MODEL)
    assert error < 1 / 4
    form, compress = find_task_form(SPEC), CompressSpec(candidates=("fp32",))
    spec = form.describe_input(sample, SPEC)
    calibration = rows.draw(64, 0).sample
    (made,) = make_artifacts(learner, sample, compress, calibration=calibration)
    outputs = find_objective(sample).describe_outputs(sample, SPEC)
    asked = np.array([[0.0, find_bucket("pump", BUCKETS)], [0.0, np.nan]])
    answers = Predictor(made.content, spec, outputs).predict(asked).values
    assert answers[0] > 8
    back, _ = read_columns(asked, spec, SPEC)
    assert [find_bucket(text, BUCKETS) for text in back["part"][:1].tolist()] == [asked[0, 1]]
    assert back["part__valid"].tolist() == [True, False]


def test_a_card_says_nothing_of_hashes_where_there_are_none_and_buckets_are_spread() -> None:
    assert "hashed" not in ColumnSpec(name="a", vocabulary=("x",)).model_dump_json()
    counts = np.bincount([find_bucket(f"text {n}", 16) for n in range(3200)], minlength=16)
    assert counts.min() > 140
    assert [find_bucket(name, 16) for name in name_buckets(16)] == list(range(16))
    assert 0 <= find_bucket("#3 of 17", 16) < 16


def test_how_often_a_text_is_among_training_rows_is_learned_and_in_the_artifact(version) -> None:
    model = count(hash={"part": 4096})
    learner, sample, rows, error = fit(version, model)
    texts = version.read("train", ("part", "part__valid"))
    pumps = int((texts["part"] == "pump").sum())
    bucket = find_bucket("pump", 4096)
    often = sample.categories[0].frequencies
    inside = [find_bucket(text, 4096) == bucket for text in texts["part"][texts["part__valid"]]]
    assert pumps <= sum(inside) <= pumps + 5
    assert often[bucket] == pytest.approx(np.log1p(sum(inside)) / np.log1p(len(texts["part"])))
    assert max(often) == often[bucket] < 1
    # One feature tells of 2,000 parts, and is enough where that is all there is to know.
    assert learner.head(torch.from_numpy(np.array([[0.0, bucket]]))).shape == (1, 3)
    assert error < 1 / 4
    compress, form = CompressSpec(candidates=("fp32",)), find_task_form(SPEC)
    (made,) = make_artifacts(learner, sample, compress, calibration=rows.draw(64, 0).sample)
    outputs = find_objective(sample).describe_outputs(sample, SPEC)
    predictor = Predictor(made.content, form.describe_input(sample, SPEC), outputs)
    never = next(place for place, share in enumerate(often) if not share)
    asked = np.array([[0.0, bucket], [0.0, never], [0.0, np.nan]])
    answers = predictor.predict(asked).values
    with torch.inference_mode():
        told = learner.head(torch.from_numpy(asked)).numpy()
    assert told[1:, 2].tolist() == [0.0, 0.0]
    assert answers[0] > 8 > 4 > answers[1] == answers[2]


def test_columns_that_are_counted_and_embedded_stand_beside_each_other() -> None:
    often = (0.5, 0.25, 1.0)
    columns = [
        CategoryColumn(name="a", vocabulary=("x", "y")),
        CategoryColumn(name="b", vocabulary=("u", "v", "w"), frequencies=often),
    ]
    codes = torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [0.0, torch.nan]], dtype=torch.float64)
    for embed, width in ((None, 3), (4, 5)):
        sample = RowSample(numbers=(), categories=tuple(columns), objective="values")
        assert lay_out(sample, HeadSpec(embed=embed, mask=False)).width == width
        made = Categories(columns, embed)
        for asked in (codes, codes[:, None, :].expand(3, 2, 2)):
            told = made(asked)
            assert told.shape == (*asked.shape[:-1], width)
            assert told.reshape(3, -1, width)[:, 0, -1].tolist() == [1.0, 0.5, 0.0]
