"""Every family of tables and series: learns more than its baseline on real rows, and exports
exactly, whatever the batch.

An export costs seconds, training hardly anything: the short form exports each family once.
"""

from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.compress.candidates import make_artifacts
from lightning_modules.compress.onnx_export import run_onnx
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.metrics import compute_auroc, compute_mae
from lightning_modules.specs.model import DenoiseSpec, HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.training import LossSpec, OptimizerSpec, TrainSpec
from lightning_modules.specs.window import WindowSpec
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.trainer import Fitted, fit_learner, load_learner
from tests.lightning_modules import tables
from tests.lightning_modules.tables import describe_rows, make_reader, split_rows, stream_rows

needs_transformer = pytest.mark.skipif(not tables.ETT.exists(), reason=f"needs {tables.ETT}")
# The first export of a process costs as much as several later ones.
pytestmark = pytest.mark.xdist_group("exports")
STROKES = WindowSpec(lookback=8)
SLOW = pytest.mark.slow
HOURS = WindowSpec(lookback=48, horizon=12, season=24)


def fit(model: ModelSpec, splits: dict[str, tables.Rows], sample: Any, **changes: Any) -> Fitted:
    spec = TrainSpec(
        **{
            "max_epochs": 8,
            "batch_size": 32,
            "precision": "fp32",
            "optimizer": OptimizerSpec(lr=3e-3),
            **changes,
        }
    )
    return fit_learner(
        model,
        spec,
        sample,
        train_stream=stream_rows(splits["train"], spec.batch_size, shuffle=True),
        validation_stream=stream_rows(splits["validation"], 50),
        reader=make_reader(sample),
    )


def check_artifacts(fitted: Fitted, sample: Any, rows: tables.Rows) -> None:
    """Parity to 1e-4, one row or many, raw values with a hole in them, and equal weights after the
    checkpoint.
    """
    raw = make_reader(sample).read_samples(rows)[:40]
    raw[3, ..., 0] = np.nan
    fp32, int8 = make_artifacts(fitted.learner, sample, CompressSpec(), calibration=raw)
    assert fp32.difference <= 1e-4
    assert fp32.agreement == 1.0
    assert int8.agreement > 0.5
    whole = run_onnx(fp32.content, raw)[-1]
    np.testing.assert_allclose(
        run_onnx(fp32.content, raw[3:4])[-1], whole[3:4], rtol=1e-4, atol=1e-4
    )
    with torch.inference_mode():
        loaded = load_learner(fitted.checkpoint).answer_samples(torch.from_numpy(raw))[-1].numpy()
    np.testing.assert_allclose(loaded, whole, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("family", "params", "head"),
    [
        pytest.param("linear", {}, HeadSpec(), marks=SLOW),
        pytest.param("mlp", {"widths": [32]}, HeadSpec(), marks=SLOW),
        (
            "mlp",
            {"widths": [32, 32], "members": 4, "waves": 8},
            HeadSpec(mask=False, products=(("c0", "c1"),), differences=(("c2", "c3"),)),
        ),
    ],
)
def test_tables_are_told_apart(family: str, params: dict[str, Any], head: HeadSpec) -> None:
    splits = split_rows(tables.load_cancer())
    sample = describe_rows(splits["train"], "classes")
    model = ModelSpec(head=head, network=NetworkSpec(family=family, params=params))
    loss = LossSpec(name="focal", class_weights="balanced") if params else LossSpec()
    fitted = fit(model, splits, sample, loss=loss, select_by="average_precision")
    answers = predict_rows(fitted.learner, stream_rows(splits["held_out"], 64), make_reader(sample))
    majority = max(np.mean(answers.truth), 1 - np.mean(answers.truth))
    assert answers.figures["accuracy"] > majority + 0.2
    assert compute_auroc(answers.values, answers.truth, sample) > 0.97
    check_artifacts(fitted, sample, splits["held_out"])


@pytest.mark.parametrize("family", ["linear", pytest.param("mlp", marks=SLOW)])
def test_tables_are_regressed_in_the_users_units(family: str) -> None:
    splits = split_rows(tables.load_diabetes())
    sample = describe_rows(splits["train"], "values")
    fitted = fit(ModelSpec(network=NetworkSpec(family=family)), splits, sample, max_epochs=20)
    answers = predict_rows(fitted.learner, stream_rows(splits["held_out"], 64), make_reader(sample))
    mean = np.full_like(answers.values, splits["train"]["target"].mean())
    assert answers.values.shape == answers.truth.shape
    assert compute_mae(answers.values, answers.truth, sample) < 0.85 * compute_mae(
        mean, answers.truth, sample
    )
    assert answers.figures["error"] == pytest.approx(
        compute_mae(answers.values, answers.truth, sample), rel=1e-4
    )
    check_artifacts(fitted, sample, splits["held_out"])


@needs_transformer
@pytest.mark.parametrize(
    ("family", "params", "head"),
    [
        pytest.param("linear", {}, HeadSpec(instance_norm=True), marks=SLOW),
        ("dlinear", {}, HeadSpec()),
        ("mlp", {"widths": [64]}, HeadSpec(instance_norm=True)),
        pytest.param("mlp", {"mix": True}, HeadSpec(calendar=("day", "week")), marks=SLOW),
        ("cnn", {"width": 16, "layers": 3}, HeadSpec(instance_norm=True, calendar=("day",))),
        pytest.param(
            "rnn",
            {"cell": "gru", "width": 24},
            HeadSpec(instance_norm=True, calendar=("day",)),
            marks=SLOW,
        ),
        pytest.param(
            "rnn", {"cell": "lstm", "width": 24}, HeadSpec(instance_norm=True), marks=SLOW
        ),
        ("transformer", {"patch": 8, "stride": 4, "width": 8}, HeadSpec(instance_norm=True)),
        pytest.param("linear", {}, HeadSpec(denoise=DenoiseSpec(name="gaussian")), marks=SLOW),
        pytest.param(
            "linear", {}, HeadSpec(denoise=DenoiseSpec(name="median", steps=3)), marks=SLOW
        ),
        ("linear", {}, HeadSpec(denoise=DenoiseSpec(name="savgol", steps=7, degree=2))),
    ],
)
def test_series_are_forecast_better_than_they_persist(
    family: str, params: dict[str, Any], head: HeadSpec
) -> None:
    splits = split_rows(tables.load_transformer(48, 12), shuffle=False)
    sample = describe_rows(splits["train"], "forecast", window=HOURS, time=bool(head.calendar))
    model = ModelSpec(head=head, network=NetworkSpec(family=family, params=params), window=HOURS)
    fitted = fit(model, splits, sample, max_epochs=4, loss=LossSpec(name="huber"))
    answers = predict_rows(fitted.learner, stream_rows(splits["held_out"], 64), make_reader(sample))
    _, scale = sample.scales
    last = np.repeat(splits["held_out"]["numbers"][:, -1:], 12, axis=1)
    order = np.argsort(splits["held_out"]["row_id"])
    assert answers.values.shape == answers.truth.shape
    error = compute_mae(answers.values / np.array(scale), answers.truth / np.array(scale), sample)
    assert error < 0.9 * compute_mae(
        last[order] / np.array(scale), answers.truth / np.array(scale), sample
    )
    check_artifacts(fitted, sample, splits["held_out"])


@pytest.mark.parametrize(
    ("family", "params"),
    [
        pytest.param("linear", {}, marks=SLOW),
        pytest.param("dlinear", {"kernel": 3}, marks=SLOW),
        pytest.param("mlp", {"widths": [64]}, marks=SLOW),
        pytest.param("cnn", {"width": 24, "layers": 2}, marks=SLOW),
        (
            "rnn",
            {"cell": "gru", "width": 32},
        ),  # Few steps: exporting a recurrent network costs a second each ten.
        pytest.param("transformer", {"patch": 4, "stride": 2}, marks=SLOW),
    ],
)
def test_series_are_told_apart(family: str, params: dict[str, Any]) -> None:
    splits = split_rows(tables.load_strokes())
    sample = describe_rows(splits["train"], "classes", window=STROKES)
    model = ModelSpec(network=NetworkSpec(family=family, params=params), window=STROKES)
    fitted = fit(model, splits, sample, max_epochs=5, select_by="macro_f1")
    answers = predict_rows(fitted.learner, stream_rows(splits["held_out"], 64), make_reader(sample))
    assert answers.figures["accuracy"] > 0.7
    check_artifacts(fitted, sample, splits["held_out"])


@pytest.mark.slow
def test_series_are_regressed() -> None:
    splits = split_rows(tables.load_strokes())
    sample = describe_rows(splits["train"], "values", window=STROKES)
    model = ModelSpec(
        network=NetworkSpec(family="cnn", params={"width": 16, "layers": 2}), window=STROKES
    )
    fitted = fit(model, splits, sample)
    answers = predict_rows(fitted.learner, stream_rows(splits["held_out"], 64), make_reader(sample))
    mean = np.full_like(answers.values, sample.target_mean)
    assert compute_mae(answers.values, answers.truth, sample) < 0.5 * compute_mae(
        mean, answers.truth, sample
    )
    check_artifacts(fitted, sample, splits["held_out"])


@pytest.mark.parametrize("window", [None, pytest.param(STROKES, marks=SLOW)])
def test_what_is_not_normal_is_found_by_what_it_was_never_trained_on(
    window: WindowSpec | None,
) -> None:
    """Zeros are normal, other digits are not; of training rows only the normal ones are learned
    from.
    """
    rows = tables.load_strokes((0, 1, 7))
    rows["label"] = (rows["label"] > 0).astype(np.int64)
    if window is None:
        rows = {**rows, "numbers": rows["numbers"].reshape(-1, 64), "label": rows["label"][:, -1]}
        rows["numbers__valid"] = np.ones(rows["numbers"].shape, bool)
    splits = split_rows({name: values for name, values in rows.items() if name != "target"})
    sample = describe_rows(splits["train"], "reconstruction", window=window)
    model = ModelSpec(
        network=NetworkSpec(family="autoencoder"), window=window, anomaly_quantile=0.9
    )
    fitted = fit(model, splits, sample, max_epochs=20)
    answers = predict_rows(fitted.learner, stream_rows(splits["held_out"], 64), make_reader(sample))
    threshold = float(fitted.learner.answer.get_buffer("threshold"))
    assert compute_auroc(answers.values, answers.truth, sample) > 0.9
    assert 0.02 < np.mean(answers.values[answers.truth == 0] > threshold) < 0.3
    check_artifacts(fitted, sample, splits["held_out"])
