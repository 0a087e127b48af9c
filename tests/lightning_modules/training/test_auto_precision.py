"""What `precision: auto` comes to: bf16 where there are units for it and a measured step gains."""

import sys
from typing import Any

import pytest
import torch

from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.training import auto_precision
from lightning_modules.training.auto_precision import resolve_precision
from lightning_modules.training.build import build_learner
from lightning_modules.training.learner import Learner
from tests.processors import PROCESSORS, stand_on

IMAGE = ImageSample(shape=(1, 8, 8), classes=3)
ROW = RowSample(
    objective="classes", numbers=(NumberColumn(name="a"), NumberColumn(name="b")), classes=2
)
GPU = {"cuda.is_available": True, "cuda.is_bf16_supported": True}
OLD_GPU = {**GPU, "cuda.is_bf16_supported": False}


def build(sample: AnySample = IMAGE) -> Learner:
    family = {"family": "cnn", "params": {"widths": [4, 8]}} if sample is IMAGE else {}
    return build_learner(ModelSpec(network=NetworkSpec(**{"family": "mlp", **family})), sample)


@pytest.mark.parametrize(
    ("sample", "machine", "gain", "expected"),
    [
        (IMAGE, PROCESSORS["plain"], 9.9, "fp32"),
        (IMAGE, PROCESSORS["avx512_bf16"], 1.3, "bf16"),
        (IMAGE, PROCESSORS["avx512_bf16"], 1.29, "fp32"),
        (IMAGE, PROCESSORS["amx"], 1.9, "bf16"),
        (IMAGE, PROCESSORS["amx"], 1.1, "fp32"),
        (ROW, PROCESSORS["amx"], 1.9, "fp32"),
        (IMAGE, GPU, 2.0, "bf16"),
        (IMAGE, GPU, 1.0, "fp32"),
        (IMAGE, {**PROCESSORS["amx"], **OLD_GPU}, 2.0, "fp32"),
    ],
)
def test_auto_is_bf16_where_units_and_a_measured_step_say_so(
    monkeypatch: pytest.MonkeyPatch,
    sample: AnySample,
    machine: dict[str, bool],
    gain: float,
    expected: str,
) -> None:
    learner = build(sample)
    stand_on(monkeypatch, machine)
    monkeypatch.setattr(auto_precision, "measure_gain", lambda *_: gain)
    assert resolve_precision("auto", learner, sample) == expected
    assert resolve_precision("fp32", learner, sample) == "fp32"
    assert resolve_precision("bf16", learner, sample) == "bf16"


def test_measuring_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated = sys.modules.get("tests.processors.lightning_modules")
    measure_gain = (simulated or auto_precision).measure_gain
    learner = build()
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    torch.manual_seed(3)
    drawn = torch.rand(4)
    torch.manual_seed(3)
    asked: list[bool] = []
    autocast = torch.autocast

    def watch(*args: Any, enabled: bool, **kwargs: Any) -> Any:
        asked.append(enabled)
        return autocast(*args, enabled=enabled, **kwargs)

    monkeypatch.setattr(torch, "autocast", watch)
    assert measure_gain(learner, IMAGE) > 0
    assert asked[:4] == [False, True, False, True]
    assert torch.equal(torch.rand(4), drawn)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    assert all(weight.grad is None for weight in learner.parameters())


def test_torch_still_has_the_flags() -> None:
    assert isinstance(torch.cpu._is_amx_tile_supported(), bool)
    assert isinstance(torch.cpu._is_avx512_bf16_supported(), bool)
