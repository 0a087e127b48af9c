"""The rungs of the ladder: each is smaller, answers nearly as the network does, or says why not."""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch

from lightning_modules.compress.candidates import Candidate, make_artifacts
from lightning_modules.compress.onnx_export import run_onnx, stamp_model
from lightning_modules.compress.quantize import quantize_int8, write_ranges
from lightning_modules.compress.rungs import base
from lightning_modules.compress.rungs import int8 as int8_rung
from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.registry import RUNGS
from lightning_modules.compress.weights_int4 import quantize_blocks
from lightning_modules.errors import ExportError
from lightning_modules.specs.compress import CompressSpec, Method
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.rungs import list_rungs
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.specs.window import WindowSpec
from lightning_modules.training.build import build_learner
from tests.lightning_modules.streams import split_digits

SAMPLE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
SERIES = RowSample(
    objective="forecast",
    forecast=1,
    numbers=tuple(NumberColumn(name=name) for name in "abc"),
    window=WindowSpec(lookback=8, horizon=4),
)
ROW = RowSample(objective="values", numbers=(NumberColumn(name="a"),))
FITTED = ("fp16", "int8", "int8_dynamic", "int8_weights", "int4_weights")


def make_learner(sample: Any, family: str, **params: Any) -> Any:
    network = NetworkSpec(family=family, params=params)
    return build_learner(ModelSpec(network=network), sample).eval()


def draw_rows(sample: Any, rows: int = 64) -> np.ndarray:
    draw = np.random.default_rng(0)
    if sample is SAMPLE:
        return split_digits()["train"]["image"][:rows]
    return draw.normal(size=(rows, *sample.shape))


def make_all(sample: Any, family: str, *names: str, **params: Any) -> tuple[Any, dict[str, str]]:
    not_made: dict[str, str] = {}
    spec = CompressSpec(candidates=("fp32", *(names or FITTED)))
    made = make_artifacts(
        make_learner(sample, family, **params),
        sample,
        spec,
        calibration=draw_rows(sample),
        on_not_made=not_made.__setitem__,
    )
    return {each.name: each for each in made}, not_made


SIZES: list[tuple[Any, str, dict[str, Any], dict[str, float]]] = [
    # As many times smaller as the weights alone could be, less the head's share of so small a file.
    (SAMPLE, "mlp", {"widths": [128, 64]}, {"fp16": 1.8, "int8_dynamic": 2.8, "int4_weights": 4.0}),
    (SAMPLE, "cnn", {"widths": [16, 32]}, {"fp16": 1.5, "int8": 2.0, "int8_weights": 2.0}),
    (SERIES, "rnn", {"width": 48}, {"fp16": 1.7, "int8_dynamic": 2.0, "int8_weights": 2.5}),
    (SERIES, "rnn", {"width": 48, "cell": "gru"}, {"fp16": 1.7, "int8": 2.5}),
]


@pytest.mark.parametrize(("sample", "family", "params", "times"), SIZES)
def test_a_rung_is_as_many_times_smaller_as_its_weights_are_and_answers_alike(
    sample: Any, family: str, params: dict[str, Any], times: dict[str, float]
) -> None:
    made, _ = make_all(sample, family, *times, **params)
    assert list(made) == ["fp32", *sorted(times, key=list_rungs().index)]
    for name, least in times.items():
        assert len(made["fp32"].content) >= least * len(made[name].content), name
        assert made[name].difference <= (0.2 if name == "int4_weights" else 0.05), name


def test_weights_of_a_recurrent_cell_are_quantised_not_put_in_order_again_at_each_start() -> None:
    made, _ = make_all(SERIES, "rnn", "int8", width=48)
    for candidate in made.values():
        graph = onnx.load_from_string(candidate.content).graph
        produced = {name: node.op_type for node in graph.node for name in node.output}
        (cell,) = (node for node in graph.node if node.op_type == "LSTM")
        sources = [produced.get(name, "weights") for name in cell.input[1:3]]
        assert sources == ["weights" if candidate.name == "fp32" else "Mul"] * 2


def test_what_there_is_none_of_is_told_and_the_others_are_made() -> None:
    window = WindowSpec(lookback=8, horizon=4)
    sample = SERIES.model_copy(update={"window": window})
    made, not_made = make_all(sample, "seasonal_naive", season=4)
    assert list(made) == ["fp32"]
    assert set(not_made) == set(FITTED)
    assert all("network has n" in why for why in not_made.values())


def test_dynamic_bits_of_products_without_weights_are_none() -> None:
    row = onnx.helper.make_tensor_value_info("row", onnx.TensorProto.FLOAT, [4, 4])
    values = onnx.helper.make_tensor_value_info("values", onnx.TensorProto.FLOAT, [4, 4])
    node = onnx.helper.make_node("MatMul", ["row", "row"], ["values"], name="product")
    graph = onnx.helper.make_graph([node], "g", [row], [values])
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    rows = draw_rows(SAMPLE)
    material = Material(make_learner(SAMPLE, "mlp"), SAMPLE, CompressSpec(), rows, rows)
    vars(material)["fp32"] = model.SerializeToString()
    with pytest.raises(NotMade, match="none of the network's products has a matrix of weights"):
        RUNGS.find("int8_dynamic").make(material)


def test_equal_material_gives_equal_bytes_of_each_rung() -> None:
    learner, rows = make_learner(SAMPLE, "mlp", widths=[32]), draw_rows(SAMPLE)
    spec = CompressSpec(calibration="percentile")
    materials = [Material(learner, SAMPLE, spec, rows, rows[:8]) for _ in range(2)]
    for name in FITTED:
        first, second = (RUNGS.find(name).make(material) for material in materials)
        assert first == second, name


def test_the_two_tables_have_the_same_rungs() -> None:
    assert [rung.name for rung in RUNGS.rows] == list(list_rungs())
    for rung in RUNGS.rows:
        assert RUNGS.find(rung.name) is rung


@pytest.fixture(scope="module")
def digits() -> Material:
    learner = make_learner(SAMPLE, "mlp", widths=[32])
    rows = split_digits()["train"]["image"]
    spec = CompressSpec(calibration="auto")
    return Material(learner, SAMPLE, spec, rows[:128], rows[128:256])


@pytest.fixture(scope="module")
def ways(digits: Material) -> dict[str, bytes]:
    """Its int8 by each way to calibrate."""
    return {
        method: quantize_int8(digits.fp32, digits.calibration, method) or b""
        for method in get_args(Method)
    }


@pytest.mark.parametrize("labelled", [False, True])
def test_of_three_calibrations_the_best_on_validation_rows_is_kept(
    digits: Material, ways: dict[str, bytes], labelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_rung, "quantize_int8", lambda fp32, rows, method: ways[method])
    rows = digits.validation
    answers = {way: run_onnx(content, rows)[1] for way, content in ways.items()}
    wanted = run_onnx(digits.fp32, rows)[1]
    apart = {way: float(np.abs(found - wanted).mean()) for way, found in answers.items()}
    truth = None
    if labelled:
        # Labels that the way which is farthest from the network happens to be surest of.
        farthest = max(apart, key=lambda way: apart[way])
        others = [answers[way] for way in ways if way != farthest]
        truth = (answers[farthest] - np.maximum(*others)).argmax(1)
        apart = {way: measure_log_loss(found, truth) for way, found in answers.items()}
        assert min(apart, key=lambda way: apart[way]) == farthest
    chosen = int8_rung.make_int8(dataclasses.replace(digits, truth=truth))
    assert len(set(ways.values())) == 3
    assert chosen == ways[min(apart, key=lambda way: apart[way])]
    assert max(apart.values()) > min(apart.values())


def measure_log_loss(probabilities: np.ndarray, truth: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(truth)), truth]).mean())


def test_a_calibration_whose_answers_are_no_numbers_is_never_the_best(
    digits: Material, ways: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_rung, "quantize_int8", lambda fp32, rows, method: ways[method])
    run = base.run_onnx

    def run_badly(content: bytes, rows: np.ndarray) -> Any:
        found = run(content, rows)
        return (found[0], found[1] * np.nan) if content == ways["min_max"] else found

    monkeypatch.setattr(base, "run_onnx", run_badly)
    assert int8_rung.make_int8(digits) != ways["min_max"]
    labelled = dataclasses.replace(digits, truth=np.zeros(len(digits.validation), np.int64))
    assert labelled.measure_loss(ways["min_max"]) == np.inf
    assert labelled.measure_loss(ways["entropy"]) < np.inf


def test_a_loss_counts_each_value_that_has_a_truth_and_none_where_nothing_has() -> None:
    answer = make_learner(ROW, "mlp", widths=[4]).answer
    found, truth = torch.tensor([1.0, np.nan, 3.0]), torch.tensor([0.0, 0.0, np.nan]).double()
    loss = answer.measure_loss(found[[0, 2]], truth[[0, 2]])
    assert loss == pytest.approx(1.0 / float(answer.scale[0]))
    assert np.isnan(answer.measure_loss(found, truth))
    assert answer.measure_loss(found, truth * np.nan) is None


def test_a_calibration_that_fails_leaves_the_others(
    digits: Material, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = {"entropy"}

    def quantize(fp32: bytes, rows: Any, method: str) -> bytes:
        if method in failing:
            raise ExportError(f"{method} failed")
        return digits.fp32

    monkeypatch.setattr(int8_rung, "quantize_int8", quantize)
    assert int8_rung.make_int8(digits) == digits.fp32
    failing |= set(get_args(Method))
    with pytest.raises(ExportError, match="entropy failed"):
        int8_rung.make_int8(digits)


@pytest.mark.parametrize("broken", ["fp16", "int8"])
def test_an_artifact_that_fails_its_export_leaves_the_others(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(material: Material) -> bytes:
        raise ExportError("its operator has no export")

    monkeypatch.setattr(Material, "compare", lambda material, content: (0.0, 1.0))
    for name in ("fp32", "fp16", "int8"):
        make = fail if name == broken else lambda material: b"made"
        monkeypatch.setattr(RUNGS.find(name), "make", make)
    made, not_made = make_all(SAMPLE, "mlp", "fp16", "int8", widths=[8])
    assert set(made) == {"fp32", "fp16", "int8"} - {broken}
    assert not_made == {broken: "its operator has no export"}
    monkeypatch.setattr(RUNGS.find("fp32"), "make", fail)
    with pytest.raises(ExportError, match="no export"):
        make_all(SAMPLE, "mlp", "fp16", widths=[8])


def test_ranges_are_those_of_all_rows_however_they_come_along(
    digits: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightning_modules.compress import quantize

    source = tmp_path / "fp32.onnx"
    source.write_bytes(digits.fp32)
    widest = []
    for batch in (16, 128):
        monkeypatch.setattr(quantize, "CALIBRATION_BATCH", batch)
        rows = quantize.CalibrationRows(digits.calibration, "image")
        write_ranges(source, rows, "percentile", tmp_path / f"{batch}.json")
        ranges = onnx_ranges(tmp_path / f"{batch}.json")
        widest.append({name: high - low for name, (low, high) in ranges.items()})
    assert widest[0].keys() == widest[1].keys()
    for name, width in widest[0].items():
        assert width == pytest.approx(widest[1][name], rel=0.1, abs=1e-3), name


def onnx_ranges(path: Path) -> dict[str, tuple[float, float]]:
    from onnxruntime.quantization.calibrate import load_tensors_data

    found = load_tensors_data(path)
    return {name: tuple(float(end) for end in data.range_value) for name, data in found.items()}


def test_blocks_of_four_bits_lose_at_most_half_a_step_of_their_own_scale() -> None:
    weight = np.random.default_rng(0).normal(size=(48, 5)).astype(np.float32)
    weight[:16] *= 1000
    whole, scale = quantize_blocks(weight)
    assert (np.abs(whole).max(), scale.shape) == (7, (3, 5))
    restored = whole.reshape(weight.shape) * np.repeat(scale, 16, axis=0)
    assert (np.abs(restored - weight) <= np.repeat(scale, 16, axis=0) / 2 + 1e-6).all()


def test_an_artifact_says_whose_it_is_and_answers_as_before() -> None:
    made, _ = make_all(SAMPLE, "mlp", "int8", widths=[16])
    candidate: Candidate = made["int8"]
    stamped = stamp_model(candidate.content, {"model": "f" * 64, "kind": "a b"}, "int8")
    assert stamped == stamp_model(candidate.content, {"kind": "a b", "model": "f" * 64}, "int8")
    found = {entry.key: entry.value for entry in onnx.load_from_string(stamped).metadata_props}
    assert found == {"lepton.artifact": "int8", "lepton.kind": "a b", "lepton.model": "f" * 64}
    rows = draw_rows(SAMPLE)
    for one, two in zip(run_onnx(stamped, rows), run_onnx(candidate.content, rows), strict=True):
        np.testing.assert_array_equal(one, two)
    assert stamp_model(candidate.content, {}, "int8") == candidate.content


@pytest.mark.parametrize(("sample", "family"), [(SAMPLE, "mlp"), (SERIES, "rnn")])
def test_a_device_takes_the_file_of_each_rung(sample: Any, family: str) -> None:
    from deployments.targets.run.onnx_check import check_onnx

    made, _ = make_all(sample, family)
    for candidate in made.values():
        check_onnx(candidate.content)
