"""Tables and series from a file to answers: what the training process writes, and that artifacts
answer the same.
"""

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.targets.run.measure import Measurement
from deployments.targets.run.runtime import Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.golden import Golden
from flows.kinds import KINDS
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import Sample
from lightning_modules.specs.training import OptimizerSpec, TrainSpec
from storage.base.errors import InvalidInput
from storage.base.figures import find_value
from storage.base.store import Store
from storage.datasets.dataset import Dataset
from storage.forms.series import SeriesSpec
from storage.forms.table import TableSpec
from storage.pipeline.collecting import collect_rows
from storage.pipeline.fitted import Fitted
from storage.pipeline.preparing import prepare_rows
from storage.sources.csv import CsvSource
from tasks.data.collect import describe_version
from tasks.data.open_versions import open_version
from tasks.forms.describe import describe_sample
from tasks.forms.registry import find_task_form
from tasks.forms.streams import SampleRows
from tasks.objectives.forecast import read_pasts
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import unpack_answers
from tasks.release.bench import Bench, Candidate
from tasks.release.trial import Loss
from tasks.runtime.errors import StageStopped
from tasks.runtime.model_outcomes import Evaluated
from tasks.runtime.outcomes import Prepared
from tasks.training.answers import answer_split
from tasks.training.job import RESULT, DataRef, Export, Fit, Predict, TrainJob, WorkerResult

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
HOURS, MACHINES = DATA / "ett" / "ETTh1.csv.gz", DATA / "ai4i2020" / "ai4i2020.csv.gz"
needs_data = pytest.mark.skipif(not HOURS.exists() or not MACHINES.exists(), reason=f"needs {DATA}")

SERIES = SeriesSpec.model_validate(
    {
        "time": "date",
        "numbers": ["HUFL", "OT", "LULL"],
        "split": {"by": "time", "validation_from": "2016-08-10", "held_out_from": "2016-08-25"},
    }
)
TABLE = TableSpec.model_validate(
    {
        "numbers": ["Rotational speed [rpm]", "Torque [Nm]", "Tool wear [min]"],
        "texts": ["Type"],
        "label": "Machine_failure",
        "labels": ["0", "1"],
        "split": {"by": "hash", "held_out": 0.3, "validation": 0.2},
    }
)
FORECAST = ModelSpec.model_validate(
    {
        "head": {"instance_norm": True},
        "network": {"family": "linear"},
        "window": {"lookback": 24, "horizon": 6, "season": 24, "targets": ["OT", "HUFL"]},
        "figures_in": "standard",
    }
)
CLASSES = ModelSpec.model_validate({"network": {"family": "mlp", "params": {"widths": [32]}}})


DAYS = SeriesSpec.model_validate(
    {
        "time": "date",
        "entity": "day",
        "numbers": ["HUFL", "MULL", "LUFL"],
        "label": "season",
        "labels": ["cold", "warm"],
        "split": {"by": "entity", "held_out": 0.25, "validation": 0.2},
    }
)
NEXT_DAY = SeriesSpec.model_validate(
    {
        "time": "date",
        "numbers": ["OT", "HUFL"],
        "target": "next day",
        "split": {"by": "time", "validation_from": "2016-12-15", "held_out_from": "2017-01-15"},
    }
)
SEASON = ModelSpec.model_validate(
    {"network": {"family": "mlp", "params": {"widths": [32]}}, "window": {"lookback": 24}}
)
MEAN = ModelSpec.model_validate(
    {"network": {"family": "linear"}, "window": {"lookback": 24, "stride": 2}}
)


def cut_rows(file: Path, rows: int) -> str:
    """The first rows of a file, as CSV."""
    return "\n".join(gzip.decompress(file.read_bytes()).decode().splitlines()[: rows + 1])


def name_seasons(file: Path, rows: int) -> str:
    """Hours of a transformer, each day a series of its own, with the half of the year that it lies
    in.
    """
    head, *lines = cut_rows(file, rows).splitlines()
    warm = [line[5:7] in ("04", "05", "06", "07", "08", "09") for line in lines]
    named = [
        f"{line},{line[:10]},{'warm' if is_warm else 'cold'}"
        for line, is_warm in zip(lines, warm, strict=True)
    ]
    return "\n".join([f"{head},day,season", *named])


def add_next_day(file: Path, rows: int) -> str:
    """Hours of a transformer, each with the mean oil temperature of the 24 hours after it."""
    head, *lines = cut_rows(file, rows).splitlines()
    oil = np.array([float(line.rsplit(",", 1)[1]) for line in lines])
    means = np.convolve(oil, np.ones(24) / 24, mode="valid")[1:]
    return "\n".join(
        [f"{head},next day", *(f"{line},{mean}" for line, mean in zip(lines, means, strict=False))]
    )


def prepare(folder: Path, text: str, data: TableSpec) -> tuple[Store, Prepared]:
    """A workspace with the rows of a CSV file, prepared."""
    (folder / "rows.csv").write_text(text)
    store = Store(str(folder / "workspace"))
    raw = collect_rows(
        CsvSource(url=str(folder / "rows.csv")), Dataset(store, "some-raw"), spec=data
    )
    version = prepare_rows(raw, data, Dataset(store, "some-prepared"))
    fitted = Fitted.model_validate(version.info["fitted"])
    return store, Prepared(dataset=describe_version(version), fitted=fitted)


def work(store: Store, prepared: Prepared, folder: Path, *steps: Any) -> WorkerResult:
    """A job, done in this process."""
    from tasks.training.steps import do_job

    folder.mkdir(exist_ok=True)
    ref = DataRef(
        workspace=store.url, dataset=prepared.dataset.name, version=prepared.dataset.number
    )
    do_job(
        TrainJob(directory=str(folder), data=ref, steps=steps, devices=1), told_at=time.monotonic()
    )
    return WorkerResult.model_validate_json((folder / RESULT).read_bytes())


def make_golden_of(
    store: Store, prepared: Prepared, predictor: Predictor, sample: Sample, content: bytes
) -> Golden:
    """Golden samples, as the bench makes them of a candidate."""
    evaluated = Evaluated.model_construct(sample=sample)
    bench = Bench(store, prepared, evaluated, predictor.spec, predictor.outputs, 0.1)
    none, measured = Loss(0, 0, 1), Measurement.model_construct()
    candidate = Candidate("fp32", content, 0, 1, False, none, none, measured)
    golden = bench.make_golden(candidate)
    assert bench.make_golden(candidate) == golden
    assert bench.still_holds(candidate, golden.to_bytes())
    assert not bench.still_holds(candidate, b"")
    return golden


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks: one thread computes them fastest."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@needs_data
@pytest.mark.parametrize(
    ("kind", "text", "data", "model", "figure"),
    [
        (
            "forecasting",
            lambda: cut_rows(HOURS, 1800),
            SERIES,
            FORECAST,
            "mae",
        ),
        (
            "tabular-classification",
            lambda: cut_rows(MACHINES, 3000),
            TABLE,
            CLASSES,
            "average_precision",
        ),
        (
            "series-classification",
            lambda: name_seasons(HOURS, 6000),
            DAYS,
            SEASON,
            "accuracy",
        ),
        (
            "series-regression",
            lambda: add_next_day(HOURS, 6000),
            NEXT_DAY,
            MEAN,
            "mae",
        ),
    ],
    ids=["forecasting", "tabular-classification", "series-classification", "series-regression"],
)
def test_a_file_becomes_answers_in_the_users_units(
    one_thread: None,
    tmp_path: Path,
    kind: str,
    text: Callable[[], str],
    data: TableSpec,
    model: ModelSpec,
    figure: str,
) -> None:
    store, prepared = prepare(tmp_path, text(), data)
    sample = describe_sample(KINDS.find(kind).objective, data, model, prepared.fitted)
    train = TrainSpec(
        max_epochs=12,
        batch_size=64,
        precision="fp32",
        optimizer=OptimizerSpec(lr=1e-2, weight_decay=0.0),
    )
    fit = Fit(model=model, train=train, sample=sample)
    compress = CompressSpec(candidates=("fp32",))
    result = work(
        store,
        prepared,
        tmp_path / "job",
        fit,
        Predict(split="held_out", baselines=True),
        Export(compress=compress),
    )
    sheet = unpack_answers((tmp_path / "job" / "predictions.held_out.npz").read_bytes())
    objective = find_objective(sample)

    def measure(values: np.ndarray) -> float:
        figures = objective.measure(values, sheet.truth, sample, split="held_out", standard=False)
        found = find_value(figures, figure)
        assert found is not None
        return found

    own = measure(sheet.values)
    others = {name: measure(values) for name, values in sheet.baselines.items()}
    rows = prepared.dataset.rows["held_out"]
    assert result.predictions["held_out"].rows == len(sheet.row_id)
    assert set(others) == set(KINDS.find(kind).baselines)
    if kind == "forecasting":
        # Each held-out row is asked for, since windows look back into the rows before; targets are
        # in the asked order.
        assert sheet.truth.shape == (rows - 5, 6, 2)
        assert sheet.truth[..., 0].min() >= 0 < np.std(sheet.truth[..., 1])
        assert own < others["persistence"]
        # A page shows what each window was given: what persists is its last step.
        rows_again = SampleRows(open_version(store, prepared.dataset), sample)
        pasts = read_pasts(rows_again, sheet.row_id[[0, 40]])
        last = np.stack([pasts[int(name)][-1, :2] for name in sheet.row_id[[0, 40]]])
        np.testing.assert_allclose(
            sheet.baselines["persistence"][[0, 40], 0], last, rtol=1e-5, atol=1e-4
        )
    elif kind == "series-regression":
        assert sheet.truth.shape == (rows,)
        assert own < 0.6 * others["mean"]
    else:
        # Of series that are classified each day is one window.
        assert sheet.values.shape == (rows // 24 if kind == "series-classification" else rows, 2)
        assert own > others["majority"] + 0.1
    content = (tmp_path / "job" / result.artifacts["fp32"].file).read_bytes()
    taken = find_task_form(data).describe_input(sample, data)
    predictor = Predictor(content, taken, objective.describe_outputs(sample, data))
    again = answer_split(store, prepared, "held_out", predictor, sample)
    np.testing.assert_array_equal(again.row_id, sheet.row_id)
    np.testing.assert_array_equal(again.truth, sheet.truth)
    np.testing.assert_allclose(again.values, sheet.values, rtol=1e-4, atol=1e-3)
    assert objective.measure_agreement(again, sheet, sample, 0.05) == 1.0
    golden = make_golden_of(store, prepared, predictor, sample, content)
    assert 1 <= len(golden.input.read()) <= 4
    check_golden(predictor, golden)


@needs_data
def test_windows_longer_than_the_series_are_refused_before_training(tmp_path: Path) -> None:
    store, prepared = prepare(tmp_path, cut_rows(HOURS, 1800), SERIES)
    window = FORECAST.window.model_copy(update={"horizon": 2000}) if FORECAST.window else None
    model = FORECAST.model_copy(update={"window": window})
    sample = describe_sample("forecast", SERIES, model, prepared.fitted)
    with pytest.raises(
        InvalidInput, match=r"window \(24 \+ 2000 rows\) must fit .* choose a shorter one"
    ):
        work(store, prepared, tmp_path / "job", Fit(model=model, train=TrainSpec(), sample=sample))


@needs_data
def test_a_class_that_never_occurs_is_refused_before_training(tmp_path: Path) -> None:
    data = TABLE.model_copy(update={"labels": ("0", "1", "2")})
    _, prepared = prepare(tmp_path, cut_rows(MACHINES, 500), data)
    with pytest.raises(StageStopped, match="must hold rows of every class; got none of 2"):
        describe_sample("classes", data, CLASSES, prepared.fitted)
