"""Artifacts: they answer as the network does, take raw samples, and tell nothing of the machine
they were made on.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.onnx._internal.exporter import _registration

from lightning_modules.compress.candidates import Candidate, make_artifacts
from lightning_modules.compress.onnx_export import export_onnx, run_onnx
from lightning_modules.compress.quantize import quantize_int8
from lightning_modules.compress.weights import quantize_channels
from lightning_modules.errors import ExportError
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.window import WindowSpec
from lightning_modules.training.trainer import Fitted, build_learner, fit_learner
from tests.lightning_modules.streams import MemoryStream, split_digits

# As in tests/lightning_modules/specs/test_families.py.
pytestmark = pytest.mark.xdist_group("exports")
SLOW = partial(pytest.param, marks=pytest.mark.slow)
SAMPLE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    splits = split_digits()
    return fit_learner(
        ModelSpec(network=NetworkSpec(params={"widths": [16, 32, 64]})),
        TrainSpec(max_epochs=3, batch_size=64, precision="fp32"),
        SAMPLE,
        train_stream=MemoryStream(splits["train"], batch_size=64),
        validation_stream=MemoryStream(splits["validation"], batch_size=64, shuffle=False),
    )


@pytest.fixture(scope="module")
def made(fitted: Fitted) -> list[Candidate]:
    rows = split_digits()["train"]["image"][:256]
    return list(make_artifacts(fitted.learner, SAMPLE, CompressSpec(), calibration=rows))


def test_candidates_hold_up(fitted: Fitted, made: list[Candidate]) -> None:
    splits = split_digits()
    fp32, int8 = made
    assert (fp32.name, int8.name) == ("fp32", "int8")
    assert fp32.difference <= 1e-4
    assert len(fp32.content) >= 3 * len(int8.content)
    image = np.concatenate([splits[name]["image"] for name in ("held_out", "validation")])
    label, probabilities = run_onnx(fp32.content, image)
    assert label.dtype == np.int64
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    with torch.inference_mode():
        wanted = torch.softmax(fitted.learner(torch.from_numpy(image)), 1).numpy()
    np.testing.assert_allclose(probabilities, wanted, atol=1e-4)
    assert (run_onnx(int8.content, image)[0] == label).mean() >= 0.99


def test_interface_is_the_one_that_devices_expect(made: list[Candidate]) -> None:
    for candidate in made:
        graph = onnx.load_from_string(candidate.content).graph
        found = [
            (value.name, kind.elem_type, [dim.dim_param or dim.dim_value for dim in kind.shape.dim])
            for value in (*graph.input, *graph.output)
            for kind in [value.type.tensor_type]
        ]
        assert found == [
            ("image", onnx.TensorProto.UINT8, ["N", 1, 8, 8]),
            ("label", onnx.TensorProto.INT64, ["N"]),
            ("probabilities", onnx.TensorProto.FLOAT, ["N", 10]),
        ]
        for rows in (1, 7):
            assert run_onnx(candidate.content, np.zeros((rows, 1, 8, 8), np.uint8))[0].shape == (
                rows,
            )


def test_equal_weights_give_equal_bytes_that_name_no_place(
    fitted: Fitted, made: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The exporter's table of operators was built once, and is nobody else's.
    builder = vars(_registration.ONNXRegistry)["from_torchlib"]
    assert isinstance(builder, classmethod)
    apis = _registration.onnxscript_apis
    monkeypatch.setattr(apis, "get_torchlib_ops", lambda: pytest.fail("it was built again"))
    again = export_onnx(fitted.learner, SAMPLE)
    assert vars(_registration.ONNXRegistry)["from_torchlib"] is builder
    first, int8 = (candidate.content for candidate in made)
    assert again == first
    assert quantize_int8(again, split_digits()["train"]["image"][:256]) == int8
    for content in (first, int8):
        for word in (
            b'.py"',
            b".py:",
            str(Path.cwd()).encode(),
            str(Path.home()).encode() + b"/",
            b"site-packages",
        ):
            assert word not in content
        model = onnx.load_from_string(content)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("mlp", {}),
        ("cnn", {}),
        SLOW("cnn", {"early_pool": True, "convolutions": 1, "widths": [8, 16, 24]}),
        # An early pool is exported below, this activation in transformers, this cell in series.
        SLOW("cnn", {"early_pool": True, "activation": "gelu", "widths": [8, 16, 24]}),
        SLOW("cnn", {"activation": "silu", "widths": [8, 16]}),
        ("resnet", {"widths": [8, 16], "blocks": [1, 1]}),
        SLOW("resnet", {"widths": [8, 16], "blocks": [1, 1], "stem": "large"}),
        ("rnn", {"cell": "lstm", "layers": 2}),
        SLOW("rnn", {"cell": "gru"}),
        ("transformer", {}),
    ],
)
def test_every_family_exports_exactly(family: str, params: dict[str, Any]) -> None:
    sample = ImageSample(
        shape=(3, 8, 12), dtype="float32", classes=5, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)
    )
    learner = build_learner(
        ModelSpec(network=NetworkSpec(family=family, params=params)), sample
    ).eval()
    image = np.random.default_rng(0).normal(size=(9, 3, 8, 12)).astype(np.float32)
    fp32, int8 = make_artifacts(learner, sample, CompressSpec(), calibration=image)
    assert fp32.difference <= 1e-4
    assert fp32.agreement == 1.0
    assert int8.difference < 0.1
    for rows in (1, 5):
        np.testing.assert_allclose(
            run_onnx(fp32.content, image[:rows])[1],
            run_onnx(fp32.content, image)[1][:rows],
            atol=1e-5,
        )


BEYOND: list[tuple[str, str, dict[str, Any], bool]] = [
    ("series", "mlp", {"widths": [32]}, True),
    ("series", "transformer", {"patch": 8, "stride": 4}, True),
    ("series", "rnn", {"cell": "gru", "width": 24}, False),
    ("table", "mlp", {"widths": [32, 32], "members": 4}, False),
]


@pytest.mark.parametrize(("form", "family", "params", "instance_norm"), BEYOND)
def test_rows_beyond_those_that_calibrated_are_answered_as_by_the_float_network(
    form: Any, family: str, params: dict[str, Any], instance_norm: bool
) -> None:
    numbers = tuple(NumberColumn(name=name) for name in "abc")
    # Each step of a recurrent network is exported by itself, for a second each ten.
    lookback = 8 if family == "rnn" else 24
    window = WindowSpec(lookback=lookback, horizon=6) if form == "series" else None
    asked: Any = {"form": "series", "objective": "forecast", "forecast": 3, "window": window}
    sample = RowSample(numbers=numbers, **(asked if window else {"objective": "values"}))
    spec = ModelSpec(
        head=HeadSpec(instance_norm=instance_norm),
        network=NetworkSpec(family=family, params=params),
        window=window,
    )
    learner = build_learner(spec, sample).eval()
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(64, *sample.shape))
    rows[:8] += draw.standard_t(1.5, rows[:8].shape)
    later = 3 * draw.normal(size=(64, *sample.shape)) + 4
    fp32, int8 = make_artifacts(learner, sample, CompressSpec(), calibration=rows)
    found, wanted = (run_onnx(made.content, later)[0] for made in (int8, fp32))
    assert np.abs(found - wanted).max() <= 0.02 * np.abs(wanted).max()
    assert len(fp32.content) >= 1.5 * len(int8.content)


def test_weights_are_whole_numbers_with_a_scale_a_channel() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    weight[:, 2] = 0.0
    weight[:, 3] *= 1000
    whole, scale = quantize_channels(weight, 1)
    assert (whole.dtype, scale.shape) == (np.int8, (7,))
    restored = whole * scale[:, None]
    assert (np.abs(restored - weight) <= scale[:, None] / 2 + 1e-9).all()
    assert not restored[:, 2].any()


def test_a_mirrored_answer_exports_exactly_and_its_network_stands_in_the_file_once() -> None:
    sample = ImageSample(shape=(3, 16, 16), classes=5, mean=(100.0,), std=(60.0,))
    network = NetworkSpec(
        family="cnn", params={"early_pool": True, "convolutions": 1, "widths": [8, 16, 32]}
    )
    image = np.random.default_rng(0).integers(0, 256, (9, 3, 16, 16)).astype(np.uint8)
    sizes = []
    for mirror in (False, True):
        learner = build_learner(
            ModelSpec(head=HeadSpec(mirror=mirror), network=network), sample
        ).eval()
        fp32, int8 = make_artifacts(learner, sample, CompressSpec(), calibration=image)
        assert fp32.difference <= 1e-4
        assert int8.difference < 0.1
        sizes.append([len(artifact.content) for artifact in (fp32, int8)])
    np.testing.assert_allclose(
        run_onnx(fp32.content, image)[1], run_onnx(fp32.content, image[..., ::-1])[1], atol=1e-5
    )
    assert max(mirrored - plain for plain, mirrored in zip(*sizes, strict=True)) < 4096


def test_quantiser_needs_rows(made: list[Candidate]) -> None:
    with pytest.raises(ExportError, match="calibration must hold at least one row"):
        quantize_int8(made[0].content, np.zeros((0, 1, 8, 8), np.uint8))


def test_what_is_no_artifact_is_refused() -> None:
    with pytest.raises(ExportError, match="must run in onnxruntime"):
        run_onnx(b"not an artifact", np.zeros((1, 1, 8, 8), np.uint8))
