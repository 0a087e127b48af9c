from pathlib import Path

import numpy as np
import onnx
import pytest

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run import measure
from deployments.targets.run.measure import measure_artifact
from deployments.targets.run.runtime import Predictor
from deployments.targets.trust.card import InputSpec
from storage.base.store import sha256_bytes
from tests.deployments.targets.material import LABELS, OUTPUTS, SPEC, list_classes, make_onnx

MODEL = make_onnx(1)


def samples(rows: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 17, (rows, 1, 8, 8), dtype=np.uint8)


def softmax_by_hand(raw: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(1).normal(size=(64, 10)).astype(np.float32)
    logits = raw.reshape(len(raw), -1).astype(np.float32) @ weights
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def test_answers_are_those_of_the_network() -> None:
    raw = samples(7)
    answers = Predictor(MODEL, SPEC, OUTPUTS, sha256=sha256_bytes(MODEL)).predict(raw)
    expected = softmax_by_hand(raw)
    np.testing.assert_allclose(answers.values, expected, atol=1e-5)
    np.testing.assert_array_equal(answers.arrays["label"], expected.argmax(axis=1))
    assert (answers.arrays["label"].dtype, answers.values.dtype) == (np.int64, np.float32)


def test_batches_do_not_change_the_answers() -> None:
    predictor = Predictor(MODEL, SPEC, OUTPUTS, threads=2)
    whole, parts = predictor.predict(samples(10)), predictor.predict(samples(10), batch_size=3)
    np.testing.assert_array_equal(whole.arrays["label"], parts.arrays["label"])
    np.testing.assert_allclose(whole.values, parts.values, atol=1e-6)


def test_other_bytes_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(BadArtifact, match="must hash to"):
        Predictor(b"not even ONNX", SPEC, OUTPUTS, sha256=sha256_bytes(MODEL))


@pytest.mark.parametrize("data", [b"", b"junk", MODEL[:100]])
def test_bytes_that_are_no_model(data: bytes) -> None:
    with pytest.raises(BadArtifact, match="must be an ONNX model"):
        Predictor(data, SPEC, OUTPUTS)


@pytest.mark.parametrize(
    ("change", "classes", "message"),
    [
        ({"name": "pixels"}, 10, "must take one input, 'pixels'"),
        ({"dtype": "float32"}, 10, r"must be float32 \(1, 8, 8\); got uint8"),
        ({"shape": (3, 8, 8)}, 10, r"must be uint8 \(3, 8, 8\); got uint8 \(1, 8, 8\)"),
        ({}, 9, r"'probabilities' must be float32 \(9\); got float32 \(10,\)"),
    ],
)
def test_a_card_that_does_not_fit_the_model(
    change: dict[str, object], classes: int, message: str
) -> None:
    with pytest.raises(BadArtifact, match=message):
        Predictor(MODEL, SPEC.model_copy(update=change), list_classes(LABELS[:classes]))


def test_a_model_without_probabilities() -> None:
    model = onnx.load_from_string(MODEL)
    del model.graph.output[1]
    with pytest.raises(BadArtifact, match=r"'probabilities' must be float32 \(10\); got none"):
        Predictor(model.SerializeToString(), SPEC, OUTPUTS)


def test_probabilities_that_are_not_finite_are_no_answer() -> None:
    model = onnx.load_from_string(MODEL)
    weights = np.full((64, 10), np.nan, dtype=np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "weights"))
    with pytest.raises(BadArtifact, match="finite probabilities"):
        Predictor(model.SerializeToString(), SPEC, OUTPUTS).predict(samples(1))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (samples(2).astype(np.float32), "must be uint8; got float32"),
        (samples(2)[:, 0], r"must have shape \(N, 1, 8, 8\)"),
        (samples(0), "N >= 1"),
        (samples(2)[..., :7], r"got \(2, 1, 8, 7\)"),
    ],
)
def test_arrays_that_the_model_does_not_take(raw: np.ndarray, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Predictor(MODEL, SPEC, OUTPUTS).predict(raw)


def test_measurement_is_of_the_exact_bytes() -> None:
    found = measure_artifact(MODEL, SPEC, OUTPUTS, budget_s=0.1, max_runs=50)
    assert (found.sha256, found.size_bytes, found.threads) == (sha256_bytes(MODEL), len(MODEL), 1)
    assert 20 <= found.runs <= 50
    assert 0 < found.latency_ms_p50 <= found.latency_ms_p95 < 1000
    assert found.latency_ms_p99 is not None
    assert found.latency_ms_p95 <= found.latency_ms_p99
    assert found.cpu_ms is not None
    assert found.cpu_ms > 0
    assert found.batch_ms_p50 is not None
    assert found.batch_ms_p50 > 0
    assert found.memory_bytes is None or 0 <= found.memory_bytes < 200 * 2**20


def test_batches_that_would_take_long_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "MOST_BATCH_S", 0.0)
    job = measure.MeasureJob(spec=SPEC, outputs=OUTPUTS, threads=1, max_runs=5, budget_s=0.1)
    assert measure.measure_here(MODEL, job).batch_ms_p50 is None


def test_a_larger_model_measures_larger() -> None:
    wide = InputSpec(
        form="image", name="image", dtype="uint8", shape=(3, 512, 512), value_range=(0, 255)
    )
    small = measure_artifact(MODEL, SPEC, OUTPUTS, budget_s=0.1)
    large = measure_artifact(
        make_onnx(1, shape=(3, 512, 512)), wide, OUTPUTS, budget_s=0.1, max_runs=20
    )
    assert large.latency_ms_p50 > small.latency_ms_p50
    if small.memory_bytes is not None and large.memory_bytes is not None:
        assert large.memory_bytes > small.memory_bytes + large.size_bytes / 2


def test_measuring_what_does_not_run() -> None:
    with pytest.raises(BadArtifact, match="must be an ONNX model"):
        measure_artifact(b"junk", SPEC, OUTPUTS)


def test_measuring_does_not_import_from_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise RuntimeError('a stranger')")
    monkeypatch.chdir(tmp_path)
    assert measure_artifact(MODEL, SPEC, OUTPUTS, budget_s=0.05).runs >= 20
