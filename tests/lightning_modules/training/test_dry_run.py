"""What a component of one's own cannot do is said before any training, whatever it raises."""

from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.errors import SpecError
from lightning_modules.specs.components import load_component
from lightning_modules.specs.forms import AnySample
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import ImageSample, NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.specs.window import WindowSpec
from lightning_modules.training.dry_run import dry_run_step, make_samples
from lightning_modules.training.trainer import fit_learner
from tests.lightning_modules.streams import MemoryStream, split_digits

MINE = "tests.lightning_modules.components"
IMAGE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
NUMBERS = (NumberColumn(name="a", mean=5.0, std=2.0), NumberColumn(name="b"))
FORECAST = RowSample(
    objective="forecast", numbers=NUMBERS, window=WindowSpec(lookback=6, horizon=4), forecast=2
)


class Untouched(MemoryStream):
    """Nothing may be read of it."""

    def __iter__(self) -> Any:
        raise AssertionError("a batch was taken before the components were tried out")


@pytest.mark.parametrize(
    ("model", "train", "message"),
    [
        (
            {"network": {"family": f"{MINE}:RaisesInConstructor"}},
            {},
            "RuntimeError: no licence found; correct `params`",
        ),
        (
            {"network": {"family": f"{MINE}:RaisesInTraining"}},
            {},
            r"network .* must answer training samples .* KeyError",
        ),
        ({}, {"optimizer": {"name": f"{MINE}:RaisesInStep"}}, r"optimizer .* ZeroDivisionError"),
        (
            {},
            {"scheduler": {"name": f"{MINE}:RaisesInSchedule"}},
            r"scheduler .* ZeroDivisionError",
        ),
        (
            {},
            {"augmentation": {"name": f"{MINE}:HalfAsMany"}},
            r"augmentation .* got ValueError: the shape \(10, 1, 8, 8\)",
        ),
        ({}, {"loss": {"name": f"{MINE}:without_gradient"}}, r"loss .* gradient .* RuntimeError"),
        (
            {},
            {"loss": {"name": f"{MINE}:for_two_classes"}},
            r"loss .* answers of the shape \(20, 10\); got ValueError: two",
        ),
        ({}, {"select_by": f"{MINE}:one_a_row"}, r"metric .* must give a number .* TypeError"),
    ],
)
def test_misfits_are_refused_before_a_row_is_read(
    model: dict[str, Any], train: dict[str, Any], message: str
) -> None:
    rows = split_digits()
    streams = {
        "train_stream": Untouched(rows["train"], batch_size=64),
        "validation_stream": Untouched(rows["validation"], batch_size=50, shuffle=False),
    }
    model = {"network": {"family": "mlp", "params": {"widths": [8]}}, **model}
    with pytest.raises(SpecError, match=message):
        fit_learner(
            ModelSpec.model_validate(model),
            TrainSpec.model_validate({"max_epochs": 1, **train}),
            IMAGE,
            **streams,
        )


@pytest.mark.parametrize("kind", ["image", "classes", "values", "reconstruction", "forecast"])
def test_sound_components_of_every_kind_of_sample_pass_and_leave_no_trace(kind: str) -> None:
    samples: dict[str, AnySample] = {
        "image": IMAGE,
        "classes": RowSample(objective="classes", numbers=NUMBERS, classes=3),
        "values": RowSample(objective="values", numbers=NUMBERS, target_mean=3.0, target_std=2.0),
        "reconstruction": RowSample(objective="reconstruction", numbers=NUMBERS, labelled=True),
        "forecast": FORECAST,
    }
    sample = samples[kind]
    family = "autoencoder" if kind == "reconstruction" else "mlp"
    model = ModelSpec.model_validate({"network": {"family": family, "params": {"widths": [8]}}})
    train = TrainSpec.model_validate(
        {
            "augmentation": {"name": f"{MINE}:NoChange"},
            "optimizer": {"name": f"{MINE}:plain_descent"},
        }
    )
    state = torch.get_rng_state()
    dry_run_step(model, train, sample, total_steps=10)
    assert torch.equal(torch.get_rng_state(), state)
    raw, truth = make_samples(sample)
    assert raw.shape[1:] == torch.Size(sample.shape)
    assert len(raw) == len(truth)
    assert np.isfinite(raw.double().numpy()).all()


def test_modules_that_raise_when_they_are_imported_are_told_of() -> None:
    with pytest.raises(
        SpecError, match="must be importable; got RuntimeError: this package needs a licence"
    ):
        load_component("tests.lightning_modules.broken_module:Thing", what="loss", known={})
