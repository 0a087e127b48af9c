"""Training: it learns, it is repeatable, it chooses on validation rows, and it raises the alarm."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.data.batches import IMAGES, BatchLoader, to_batch
from lightning_modules.errors import CheckpointError, DivergedError, SpecError
from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import (
    EarlyStoppingSpec,
    LossSpec,
    OptimizerSpec,
    SchedulerSpec,
    TrainSpec,
)
from lightning_modules.training.checkpoint import unpack_weights
from lightning_modules.training.inference import predict_rows
from lightning_modules.training.trainer import Fitted, fit_learner, load_learner
from tests.lightning_modules.streams import MemoryStream, digits_rows, split_digits, take

MODEL = ModelSpec(network=NetworkSpec(family="mlp", params={"widths": [64], "dropout": 0.2}))
SAMPLE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))


def make_spec(**changes: Any) -> TrainSpec:
    return TrainSpec(
        **{
            "max_epochs": 2,
            "batch_size": 64,
            "precision": "fp32",
            "optimizer": OptimizerSpec(lr=5e-3),
            **changes,
        }
    )


def fit(spec: TrainSpec, rows: dict[str, np.ndarray] | None = None, **kwargs: Any) -> Fitted:
    splits = split_digits()
    return fit_learner(
        MODEL,
        spec,
        SAMPLE,
        train_stream=MemoryStream(
            rows or splits["train"], batch_size=spec.batch_size // spec.accumulate, seed=spec.seed
        ),
        validation_stream=MemoryStream(splits["validation"], batch_size=50, shuffle=False),
        **kwargs,
    )


def test_it_learns_and_tells_about_it() -> None:
    records: list[dict[str, Any]] = []
    fitted = fit(make_spec(max_epochs=8), on_record=records.append)
    result = fitted.result
    assert result.validation_figures["accuracy"] > 0.9
    assert (result.epochs, result.steps, result.resumed_step) == (8, 8 * 17, None)
    assert [record["event"] for record in records[:2]] == ["start", "epoch"]
    epochs = [record for record in records if record["event"] == "epoch"]
    assert tuple(epochs) == result.history
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]
    assert all(record["cpu_s"] > 0 for record in epochs)
    steps = [record for record in records if record["event"] == "step"]
    assert [record["step"] for record in steps] == list(range(20, 8 * 17, 20))
    assert steps[0]["steps"] == 8 * 17
    assert steps[0]["rows_per_s"] > 0
    json.dumps(records, allow_nan=False)


def test_equal_seeds_give_equal_bytes_and_others_do_not() -> None:
    first, again, other = fit(make_spec()), fit(make_spec()), fit(make_spec(seed=1))
    assert first.checkpoint == again.checkpoint
    assert first.checkpoint != other.checkpoint


def test_checkpoint_answers_as_the_fitted_network_does() -> None:
    fitted = fit(make_spec())
    image = torch.from_numpy(split_digits()["held_out"]["image"][:50])
    with torch.inference_mode():
        assert torch.equal(load_learner(fitted.checkpoint)(image), fitted.learner(image))
    _, about = unpack_weights(fitted.checkpoint)
    assert about["model"]["network"]["family"] == "mlp"
    with pytest.raises(CheckpointError, match="safetensors"):
        load_learner(fitted.checkpoint[: len(fitted.checkpoint) // 2])


def test_best_epoch_is_chosen_and_patience_ends_the_run() -> None:
    # So large a rate at the end spoils what was learned: the best epoch is not the last.
    spec = make_spec(
        max_epochs=60,
        optimizer=OptimizerSpec(lr=0.02),
        early_stopping=EarlyStoppingSpec(patience_epochs=2),
        select_by="loss",
    )
    fitted = fit(spec)
    losses = [record["validation_loss"] for record in fitted.result.history]
    assert fitted.result.stopped_early
    assert fitted.result.epochs == fitted.result.best_epoch + 3 < 60
    assert fitted.result.best_epoch == int(np.argmin(losses))
    answers = predict_rows(
        fitted.learner, MemoryStream(split_digits()["validation"], batch_size=64, shuffle=False)
    )
    assert answers.figures["accuracy"] == pytest.approx(
        fitted.result.validation_figures["accuracy"]
    )


def test_last_epoch_is_taken_where_no_figure_is_to_choose() -> None:
    changes = {
        "max_epochs": 8,
        "optimizer": OptimizerSpec(lr=0.02),
        "scheduler": SchedulerSpec(name="constant"),
    }
    # Labels that say nothing: the more of them is learned by heart, the worse is validation.
    train = split_digits()["train"]
    noise = {**train, "label": np.random.default_rng(0).permutation(train["label"])}
    chosen, last = (
        fit(make_spec(**changes, select_by="loss"), noise),
        fit(make_spec(**changes, select_by="last"), noise),
    )
    assert chosen.result.best_epoch < last.result.best_epoch == 7
    answers = predict_rows(
        last.learner, MemoryStream(split_digits()["validation"], batch_size=64, shuffle=False)
    )
    assert answers.figures["loss"] == pytest.approx(
        last.result.history[-1]["validation_loss"], rel=1e-5
    )


def test_uneven_validation_rows_count_once() -> None:
    fitted = fit(make_spec(loss=LossSpec(label_smoothing=0)))
    validation = split_digits()["validation"]
    answers = predict_rows(fitted.learner, MemoryStream(validation, batch_size=50, shuffle=False))
    assert len(answers.row_id) == 126
    assert sorted(answers.row_id.tolist()) == answers.row_id.tolist()
    assert answers.figures["accuracy"] == pytest.approx(
        fitted.result.validation_figures["accuracy"], abs=1e-12
    )
    assert answers.figures["loss"] == pytest.approx(fitted.result.validation_loss, rel=1e-5)


def test_accumulation_takes_the_same_steps() -> None:
    whole, cut = fit(make_spec()), fit(make_spec(accumulate=4))
    assert cut.result.steps == whole.result.steps
    # Without dropout the gradients are equal up to rounding; with it the losses are only alike.
    assert cut.result.history[0]["train_loss"] == pytest.approx(
        whole.result.history[0]["train_loss"], rel=0.1
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_row_stops_the_run_and_is_named(value: float) -> None:
    rows = take(split_digits()["train"], np.arange(640))
    rows["image"] = rows["image"].astype(np.float32)
    rows["image"][100, 0, 3, 3] = value
    bad = int(rows["row_id"][100])
    kept: list[dict[str, np.ndarray]] = []
    spec = make_spec(augmentation=AugmentationSpec(enabled=False))
    with pytest.raises(
        DivergedError, match=r"training loss \(epoch 0, step \d+\) must be finite"
    ) as caught:
        fit(spec, rows, on_diverged=kept.append)
    assert bad in caught.value.row_ids
    assert bad in kept[0]["row_id"].tolist()
    assert not np.isfinite(kept[0]["sample"]).all()


def test_exploding_loss_stops_the_run() -> None:
    spec = make_spec(
        optimizer=OptimizerSpec(name="sgd", lr=10.0),
        clip_norm=None,
        explode_factor=100.0,
        max_epochs=20,
    )
    with pytest.raises(DivergedError, match=r"lower train.optimizer.lr"):
        fit(spec)


def test_split_below_one_batch_is_refused() -> None:
    with pytest.raises(
        SpecError,
        match=r"training split must hold at least one batch; got none; lower train.batch_size",
    ):
        fit(make_spec(), take(digits_rows(), np.arange(63)))


def test_bf16_learns_too() -> None:
    assert (
        fit(make_spec(precision="bf16", max_epochs=8)).result.validation_figures["accuracy"] > 0.9
    )


def test_loader_resumes_behind_the_batch_that_was_handed_over() -> None:
    rows = take(digits_rows(), np.arange(100))
    loader = BatchLoader(MemoryStream(rows, batch_size=10))
    first = [batch.row_id.tolist() for batch in loader] + [
        batch.row_id.tolist() for batch in loader
    ]
    for place in range(20):
        resumed = BatchLoader(MemoryStream(rows, batch_size=10))
        resumed.load_state_dict({"epoch": place // 10, "step": place % 10})
        assert [batch.row_id.tolist() for batch in resumed] == first[place : (place // 10 + 1) * 10]
        assert resumed.state_dict() == {"epoch": place // 10 + 1, "step": 0}


def test_batch_without_a_field_is_refused() -> None:
    with pytest.raises(SpecError, match="must hold image, label, row_id; got no label"):
        to_batch({"image": np.zeros((2, 1, 8, 8)), "row_id": np.arange(2)}, IMAGES)
