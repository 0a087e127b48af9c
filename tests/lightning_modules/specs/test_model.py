"""Specs: sensible defaults, and every impossible value refused with the value and the remedy."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.base import Spec
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.forms import FORMS
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.start import StartSpec
from lightning_modules.specs.training import (
    EarlyStoppingSpec,
    LossSpec,
    OptimizerSpec,
    SchedulerSpec,
    TrainSpec,
)


def test_importing_the_specs_costs_neither_torch_nor_scikit_learn() -> None:
    names = "{'torch', 'onnx', 'sklearn', 'pandas'} & set(sys.modules)"
    modules = "lightning_modules.specs.training, lightning_modules.specs.result"
    code = f"import sys, {modules}; print({names})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_defaults_are_a_whole_recipe_section() -> None:
    assert ModelSpec() == ModelSpec.model_validate({"network": {"family": "cnn"}})
    assert TrainSpec.model_validate(TrainSpec().model_dump(mode="json")) == TrainSpec()
    assert CompressSpec().candidates == ("fp32", "int8")


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainSpec().seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("spec", "values", "names"),
    [
        (TrainSpec, {"max_epochs": 0}, "max_epochs"),
        (TrainSpec, {"batch_size": 0}, "batch_size"),
        (
            TrainSpec,
            {"batch_size": 100, "accumulate": 3},
            r"accumulate \(3\) must divide the batch; .* choose batch_size 99",
        ),
        (
            TrainSpec,
            {"batch_size": 33, "devices": 2},
            r"devices \(2\) on nodes \(1\) must be at least 1 and divide",
        ),
        (TrainSpec, {"devices": 0}, r"devices \(0\)"),
        (TrainSpec, {"clip_norm": -1}, "clip_norm"),
        (TrainSpec, {"clip_norm": float("nan")}, "clip_norm"),
        (TrainSpec, {"precision": "fp16"}, "precision"),
        (TrainSpec, {"timeout_s": 0}, "timeout_s"),
        (TrainSpec, {"learning_rate": 1e-3}, "learning_rate"),
        (StartSpec, {}, "name a model, or the url"),
        (StartSpec, {"model": "0" * 64, "url": "file"}, "and not both"),
        (StartSpec, {"model": "0" * 7}, r"model \(0000000\) must be 8 to 64 digits"),
        (StartSpec, {"model": "edge-champion"}, r"model \(edge-champion\) must be 8 to 64 digits"),
        (StartSpec, {"url": "file", "sha256": "0" * 8}, r"sha256 \(00000000\) must be 64 digits"),
        (StartSpec, {"model": "0" * 64, "sha256": "0" * 64}, "must go with a url"),
        (
            StartSpec,
            {"url": "file", "fresh": ["fc"], "freeze": ["fc", "conv1"]},
            r"freeze \(fc\) must not name",
        ),
        (OptimizerSpec, {"lr": 0}, "lr"),
        (OptimizerSpec, {"lr": float("inf")}, "lr"),
        (
            OptimizerSpec,
            {"name": "lion"},
            r"optimizer \('lion'\) must be one of adamw, adam, sgd, muon, or an import path",
        ),
        (SchedulerSpec, {"name": "step"}, r"scheduler \('step'\)"),
        (SchedulerSpec, {"warmup_fraction": 0.9}, "warmup_fraction"),
        (LossSpec, {"name": "quadratic"}, r"loss \('quadratic'\)"),
        (
            NetworkSpec,
            {"family": "resnet-9000"},
            r"network family \('resnet-9000'\) .* package.module:Name",
        ),
        (NetworkSpec, {"family": "os.path"}, "import path"),
        (HeadSpec, {"normalise": "l2"}, "normalise"),
        (AugmentationSpec, {"shift": 0.9}, "shift"),
        (AugmentationSpec, {"rotate_deg": -1}, "rotate_deg"),
        (EarlyStoppingSpec, {"patience_epochs": 0}, "patience_epochs"),
        (CompressSpec, {"candidates": []}, "candidates"),
        (CompressSpec, {"candidates": ["int8"]}, r"candidates \(int8\) must hold fp32"),
        (CompressSpec, {"candidates": ["fp32", "fp32"]}, "each artifact once"),
        (CompressSpec, {"calibration_rows": 3}, "calibration_rows"),
        (ImageSample, {"shape": [1, 8, 8], "classes": 1}, "classes"),
        (ImageSample, {"shape": [1, 8, 8], "classes": 2, "std": [-1.0]}, "std"),
    ],
)
def test_impossible_value_is_refused(spec: type[Spec], values: dict[str, Any], names: str) -> None:
    with pytest.raises(ValidationError, match=names):
        spec.model_validate(values)


def test_user_components_are_accepted_by_import_path() -> None:
    assert NetworkSpec(family="my_package.nets:Tiny").family == "my_package.nets:Tiny"
    assert LossSpec(name="my_package:focal").name == "my_package:focal"


def test_every_setting_of_a_recipe_is_described() -> None:
    sections = [ModelSpec, TrainSpec, CompressSpec]
    sections += [params for form in FORMS.rows for params in form.families.values()]
    absent = []
    for section in sections:
        schema = section.model_json_schema()
        for shown in (schema, *schema.get("$defs", {}).values()):
            fields = shown.get("properties", {})
            absent += [
                f"{shown['title']}.{name}" for name in fields if not fields[name].get("description")
            ]
    assert absent == []


def test_hashed_texts_have_no_more_buckets_than_a_card_can_name() -> None:
    assert HeadSpec(hash={"a": 65_536, "b": 65_536}).hash["b"] == 65_536
    with pytest.raises(ValidationError, match=r"131072 buckets together.*got 131074"):
        HeadSpec(hash={"a": 65_536, "b": 65_536, "c": 2})
