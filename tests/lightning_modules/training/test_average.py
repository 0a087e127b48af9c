"""An average of the weights: what is judged and kept, while training goes on from its own."""

from typing import Any

import torch
from torch import Tensor

from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training.average import WeightAverage
from lightning_modules.training.build import build_learner
from lightning_modules.training.checkpoint import copy_weights
from lightning_modules.training.learner import Learner
from lightning_modules.training.trainer import fit_learner
from tests.lightning_modules.tables import (
    describe_rows,
    load_cancer,
    make_reader,
    split_rows,
    stream_rows,
)

MLP = ModelSpec.model_validate(
    {"network": {"family": "mlp", "params": {"widths": [8], "dropout": 0.0}}}
)


def make_learner() -> Learner:
    return build_learner(MLP, describe_rows(load_cancer(), "classes"))


def find_weight(learner: Learner) -> Tensor:
    return next(iter(learner.network.parameters()))


def step(callback: WeightAverage, learner: Learner, value: float, batch: int = 0) -> None:
    with torch.no_grad():
        find_weight(learner).fill_(value)
    nothing: Any = None
    callback.after_batch(nothing, learner, torch.zeros(()), nothing, batch)


def test_it_follows_the_weights_and_gives_them_back_behind_validation() -> None:
    learner, callback, nothing = make_learner(), WeightAverage(0.5), None
    expected = 0.0
    for number in range(1, 30):
        step(callback, learner, float(number))
        stays = 0.0 if number == 1 else min(0.5, number / (number + 10))
        expected = stays * expected + (1 - stays) * number
    callback.on_validation_start(nothing, learner)  # type: ignore[arg-type]
    torch.testing.assert_close(
        find_weight(learner), torch.full_like(find_weight(learner), expected)
    )
    assert expected < 29
    callback.on_train_epoch_end(nothing, learner)  # type: ignore[arg-type]
    assert (find_weight(learner) == 29).all()


def test_a_step_of_several_batches_moves_it_once_and_a_resumed_one_goes_on() -> None:
    learner, callback = make_learner(), WeightAverage(0.9, accumulate=2)
    step(callback, learner, 1.0, batch=0)
    assert callback.steps == 0
    step(callback, learner, 1.0, batch=1)
    again = WeightAverage(0.9, accumulate=2)
    again.load_state_dict(callback.state_dict())
    for each in (callback, again):
        step(each, learner, 3.0, batch=3)
    assert all(torch.equal(value, again.average[name]) for name, value in callback.average.items())


def test_a_resumed_one_goes_on_where_the_network_is() -> None:
    learner, callback, nothing = make_learner(), WeightAverage(0.9), None
    step(callback, learner, 1.0)
    again = WeightAverage(0.9)
    again.load_state_dict(callback.state_dict())
    # Stands for any device: a resume state is read onto the CPU.
    step(again, learner.to("meta"), 3.0)
    assert {value.device.type for value in again.average.values()} == {"meta"}
    again.on_validation_start(nothing, learner)  # type: ignore[arg-type]


def test_the_average_is_kept_and_training_is_not_changed_by_it() -> None:
    splits = split_rows(load_cancer())
    sample = describe_rows(splits["train"], "classes")

    def fit(average: float | None, **changes: Any) -> Any:
        return fit_learner(
            MLP,
            TrainSpec(
                max_epochs=2,
                batch_size=32,
                precision="fp32",
                select_by="last",
                average_weights=average,
                **changes,
            ),
            sample,
            train_stream=stream_rows(splits["train"], 32, shuffle=True),
            validation_stream=stream_rows(splits["validation"], 50),
            reader=make_reader(sample),
        )

    plain, averaged, again = fit(None), fit(0.9), fit(0.9)
    losses = [[each["train_loss"] for each in f.result.history] for f in (plain, averaged)]
    assert losses[0] == losses[1]
    kept = [copy_weights(each.learner) for each in (plain, averaged, again)]
    assert any(not torch.equal(kept[0][name], value) for name, value in kept[1].items())
    assert all(torch.equal(kept[2][name], value) for name, value in kept[1].items())
    assert averaged.result.validation_loss != plain.result.validation_loss
