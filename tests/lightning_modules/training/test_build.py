"""Components that do not fit each other are refused; those of one's own are used."""

from typing import Any

import pytest
import torch

from lightning_modules.errors import SpecError
from lightning_modules.specs.model import HeadSpec, ModelSpec, NetworkSpec
from lightning_modules.specs.samples import CategoryColumn, NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.build import build_learner

MINE = "tests.lightning_modules.components"
NUMBERS = (NumberColumn(name="a", mean=1e9, std=2.0), NumberColumn(name="b", mean=-1.0, std=0.0))
GRADE = CategoryColumn(name="grade", vocabulary=("H", "L", "M"))
ROW = RowSample(objective="classes", numbers=NUMBERS, categories=(GRADE,), classes=2)


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        (
            {"network": {"family": "cnn"}},
            {},
            "must be one of autoencoder, closed_linear, distance, linear, mlp, trees",
        ),
        ({"head": {"name": f"{MINE}:make_nothing"}}, {}, "must accept its parameters"),
        ({"head": {"name": f"{MINE}:TwiceAsFloat64"}}, {}, "must give float32 features"),
        ({"network": {"family": f"{MINE}:make_nothing"}}, {}, "must build a torch.nn.Module"),
        ({}, {"select_by": f"{MINE}:NOT_CALLABLE"}, "must be a class or a function"),
        (
            {},
            {"augmentation": {"name": "affine"}},
            "must suit the samples; got table; write jitter",
        ),
    ],
)
def test_misfits_are_refused_before_training(
    model: dict[str, Any], train: dict[str, Any], message: str
) -> None:
    spec = {"network": {"family": "mlp"}, **model}
    with pytest.raises(SpecError, match=message):
        build_learner(ModelSpec.model_validate(spec), ROW, train=TrainSpec.model_validate(train))


def test_own_components_of_every_kind_are_used() -> None:
    model = ModelSpec(
        head=HeadSpec(name=f"{MINE}:Twice", params={"times": 3.0}),
        network=NetworkSpec(family="linear"),
    )
    train = TrainSpec.model_validate(
        {
            "select_by": f"{MINE}:share_of_ones",
            "augmentation": {"name": f"{MINE}:NoChange", "params": {"note": 1}},
        }
    )
    learner = build_learner(model, ROW, train=train)
    assert learner.head(torch.ones(2, 3, dtype=torch.float64)).tolist() == [[3.0] * 3] * 2
    assert learner.selection == f"{MINE}:share_of_ones"
    assert type(learner.augmentation).__name__ == "NoChange"
