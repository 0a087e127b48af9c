"""What `precision: auto` comes to goes by the hardware's own flags, and by what pays there."""

from typing import Any

import pytest
import torch

from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.training.build import build_learner
from lightning_modules.training.precision import resolve_precision

IMAGE = ImageSample(shape=(1, 8, 8), classes=3)
ROW = RowSample(
    objective="classes", numbers=(NumberColumn(name="a"), NumberColumn(name="b")), classes=2
)
GPU = {"cuda.is_available": True, "cuda.is_bf16_supported": True}
OLD_GPU = {**GPU, "cuda.is_bf16_supported": False}
AMX = {"cpu._is_amx_tile_supported": True, "cpu._is_avx512_bf16_supported": True}
AVX512_BF16 = {"cpu._is_avx512_bf16_supported": True}
FLAGS = (
    "cuda.is_available",
    "cuda.is_bf16_supported",
    "cpu._is_amx_tile_supported",
    "cpu._is_avx512_bf16_supported",
)


@pytest.mark.parametrize(
    ("family", "params", "sample", "machine", "expected"),
    [
        ("cnn", {"widths": [4, 8]}, IMAGE, {}, "fp32"),
        ("cnn", {"widths": [4, 8]}, IMAGE, AVX512_BF16, "bf16"),
        ("cnn", {"widths": [4, 8]}, IMAGE, AMX, "bf16"),
        ("transformer", {}, IMAGE, AVX512_BF16, "fp32"),
        ("transformer", {}, IMAGE, AMX, "bf16"),
        ("mlp", {}, IMAGE, AVX512_BF16, "fp32"),
        ("mlp", {}, ROW, AMX, "fp32"),
        ("mlp", {}, ROW, GPU, "bf16"),
        ("cnn", {"widths": [4, 8]}, IMAGE, GPU, "bf16"),
        ("cnn", {"widths": [4, 8]}, IMAGE, {**AMX, **OLD_GPU}, "fp32"),
    ],
)
def test_auto_is_bf16_where_the_hardware_says_that_it_is_fast(
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    params: dict[str, Any],
    sample: AnySample,
    machine: dict[str, bool],
    expected: str,
) -> None:
    network = build_learner(
        ModelSpec(network=NetworkSpec(family=family, params=params)), sample
    ).network
    for flag in FLAGS:
        monkeypatch.setattr(f"torch.{flag}", lambda flag=flag: machine.get(flag, False))
    assert resolve_precision("auto", network, sample) == expected
    assert resolve_precision("fp32", network, sample) == "fp32"
    assert resolve_precision("bf16", network, sample) == "bf16"


def test_torch_still_has_the_flags() -> None:
    assert isinstance(torch.cpu._is_amx_tile_supported(), bool)
    assert isinstance(torch.cpu._is_avx512_bf16_supported(), bool)
