"""Rungs that a network is trained for: smaller, as good, the same each time, and bounded."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lightning_modules.compress.candidates import make_artifacts
from lightning_modules.compress.onnx_export import run_onnx
from lightning_modules.compress.rungs import base
from lightning_modules.compress.rungs import pruned as pruned_module
from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.distilled import Distilled, halve_network
from lightning_modules.compress.rungs.int8_aware import simulate_int8
from lightning_modules.compress.rungs.learned import Learned
from lightning_modules.compress.rungs.pruned import count_weights, prune_network
from lightning_modules.compress.rungs.registry import RUNGS
from lightning_modules.data.batches import IMAGES
from lightning_modules.errors import DivergedError, ExportError
from lightning_modules.specs.augmentation import AugmentationSpec
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training import tuning as tuning_module
from lightning_modules.training.build import build_learner
from lightning_modules.training.trainer import Fitted, fit_learner
from lightning_modules.training.tuning import Tuning
from storage.base.store import Store
from tests.lightning_modules.streams import MemoryStream, split_digits

SAMPLE = ImageSample(shape=(1, 8, 8), classes=10, value_range=(0, 16), mean=(4.9,), std=(6.0,))
MODEL = ModelSpec(network=NetworkSpec(params={"widths": [16, 32], "dropout": 0.0}))
TRAIN = TrainSpec(
    max_epochs=6,
    batch_size=64,
    precision="fp32",
    threads=1,
    augmentation=AugmentationSpec(enabled=False),
)
SPLITS = split_digits()


def open_stream(split: str, **options: Any) -> MemoryStream:
    return MemoryStream(SPLITS[split], batch_size=64, **options)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    torch.set_num_threads(1)
    return fit_learner(
        MODEL,
        TRAIN,
        SAMPLE,
        train_stream=open_stream("train"),
        validation_stream=open_stream("validation", shuffle=False),
    )


def make_tuning(folder: Path, **changes: Any) -> Tuning:
    return Tuning(
        **{
            "model": MODEL,
            "train": TRAIN,
            "open_training": lambda spec: open_stream("train", seed=spec.seed),
            "open_validation": lambda: open_stream("validation", shuffle=False),
            "reader": IMAGES,
            "open_states": Store(str(folder)).child,
            "max_minutes": 10.0,
            **changes,
        }
    )


def make_material(fitted: Fitted, folder: Path, **changes: Any) -> Material:
    rows = SPLITS["train"]["image"]
    tuning = make_tuning(folder, **changes)
    return Material(
        fitted.learner, SAMPLE, CompressSpec(), rows[:64], SPLITS["validation"]["image"], tuning
    )


@pytest.fixture(scope="module")
def material(fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return make_material(fitted, tmp_path_factory.mktemp("tuned"), most_lost=0.2)


def measure_accuracy(content: bytes) -> float:
    held = SPLITS["held_out"]
    return float((run_onnx(content, held["image"])[0] == held["label"]).mean())


# Half of all channels is a quarter of the weights; files have other bytes, too.
@pytest.mark.parametrize(("name", "times"), [("pruned", 2.5), ("distilled", 2.5)])
def test_a_smaller_network_is_trained_once_and_answers_as_well(
    material: Material, name: str, times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = RUNGS.find(name).make(material)
    assert len(material.fp32) >= times * len(made)
    assert measure_accuracy(made) >= measure_accuracy(material.fp32) - 0.04
    # Its int8 trains nothing anew, and neither does an attempt that follows a finished one.
    monkeypatch.setattr(tuning_module, "_train", lambda *given: pytest.fail("it trained again"))
    int8 = RUNGS.find(f"{name}_int8").make(material)
    assert len(int8) < len(made)
    assert measure_accuracy(int8) >= measure_accuracy(made) - 0.02
    again = dataclasses.replace(material, tuned={})
    assert RUNGS.find(name).make(again) == made


def test_eight_bits_in_mind_are_an_int8_of_the_same_size_that_answers_as_well(
    material: Material,
) -> None:
    made, plain = (RUNGS.find(name).make(material) for name in ("int8_aware", "int8"))
    assert len(made) == pytest.approx(len(plain), rel=0.1)
    assert made != plain
    assert measure_accuracy(made) >= measure_accuracy(material.fp32) - 0.02


def test_a_training_in_two_attempts_is_the_one_in_one(
    fitted: Fitted, material: Material, tmp_path: Path
) -> None:
    wanted = RUNGS.find("pruned").make(material)
    train = TRAIN.model_copy(update={"checkpoint_every_steps": 7})

    class Killed(Exception):
        pass

    steps = 0

    def open_training(spec: TrainSpec) -> MemoryStream:
        stream = open_stream("train", seed=spec.seed)
        take = MemoryStream.__iter__

        class Failing(MemoryStream):
            def __iter__(self) -> Any:
                nonlocal steps
                for batch in take(self):
                    steps += 1
                    if steps == 30:
                        raise Killed
                    yield batch

        stream.__class__ = Failing
        return stream

    changes = {"train": train, "open_training": open_training}
    with pytest.raises(Killed):
        RUNGS.find("pruned").make(make_material(fitted, tmp_path, **changes))
    assert list(tmp_path.glob("pruned/resume-*"))
    assert RUNGS.find("pruned").make(make_material(fitted, tmp_path, **changes)) == wanted
    assert not list(tmp_path.glob("pruned/resume-*"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"max_minutes": 1e-6}, "raise compress.max_minutes"),
        ({"most_lost": -1.0}, "accuracy must come to"),
    ],
)
def test_what_cannot_win_is_given_up_with_the_reason(
    fitted: Fitted, tmp_path: Path, changes: dict[str, float], why: str
) -> None:
    material = make_material(fitted, tmp_path, **changes)
    for name in ("pruned", "pruned_int8"):  # The second is told at once.
        with pytest.raises(NotMade, match=f"pruned was given up after .*{why}"):
            RUNGS.find(name).make(material)
    assert material.tuning is not None
    assert material.tuning.spent_s > 0


def test_cutting_channels_keeps_the_answer_s_shape_and_the_same_ones_each_time(
    fitted: Fitted,
) -> None:
    network, features = fitted.learner.network, torch.randn(2, 1, 8, 8)
    made = [prune_network(network, features, 0.5) for _ in range(2)]
    assert made[0](features).shape == network(features).shape
    assert count_weights(made[0]) < count_weights(network) / 2.5
    for one, two in zip(made[0].parameters(), made[1].parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(NotMade):
        prune_network(torch.nn.Linear(8, 10), torch.randn(2, 8), 0.5)


def test_channels_go_in_eights_as_kernels_take_them() -> None:
    made = prune_network(build_learner(MODEL, SAMPLE).network, torch.randn(2, 1, 8, 8), 0.6)
    widths = [part.out_channels for part in made.modules() if isinstance(part, torch.nn.Conv2d)]
    assert not [width for width in widths if width % 8]
    assert max(widths) < 32


@pytest.mark.parametrize(
    "failing",
    [
        tuning_module.GivenUp("it cannot win"),
        DivergedError("it cannot win", epoch=0, step=0, row_ids=(1,)),
    ],
)
def test_the_deepest_cut_that_can_win_is_taken(
    failing: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, learner = SPLITS["train"]["image"][:16], build_learner(MODEL, SAMPLE).eval()
    spec, tuning = CompressSpec(prune="auto"), make_tuning(tmp_path)
    material = Material(learner, SAMPLE, spec, rows, rows, tuning)
    tried: dict[str, int] = {}

    def tune(name: str, teacher: Any, sample: Any, tuning: Any, plan: Any, make: Any) -> Any:
        tried[name] = count_weights(make(teacher))
        if len(tried) < wins:
            raise failing
        return learner

    monkeypatch.setattr(pruned_module, "tune_network", tune)
    wins = 2
    assert RUNGS.find("pruned").tune(material).learner is learner  # type: ignore[attr-defined]
    assert list(tried) == ["pruned-75", "pruned-60"]
    assert [*tried.values()] == sorted(tried.values())
    wins = 9
    with pytest.raises(NotMade, match="cannot win"):
        RUNGS.find("pruned").make(dataclasses.replace(material, tuned={}))


def test_half_the_width_is_that_of_each_layer_and_a_family_without_one_is_told() -> None:
    assert halve_network(NetworkSpec(), "image").params["widths"] == (8, 16, 32)
    halved = halve_network(NetworkSpec(family="transformer", params={"width": 32}), "image")
    assert halved.params["width"] == 16
    for family, params in (("linear", {}), ("transformer", {"width": 4, "heads": 4})):
        with pytest.raises(NotMade, match=r"name the smaller network in compress\.student"):
            halve_network(NetworkSpec(family=family, params=params), "image")


def test_rounding_is_what_the_artifact_will_do(fitted: Fitted) -> None:
    import copy

    features = torch.from_numpy(np.random.default_rng(0).normal(size=(32, 1, 8, 8))).float()
    network = copy.deepcopy(fitted.learner.network).eval()
    rounded = simulate_int8(copy.deepcopy(network))
    for _ in range(3):
        rounded.train()(features)
    with torch.no_grad():
        apart = (rounded.eval()(features) - network(features)).abs().max()
    assert 0 < apart < 0.2 * network(features).abs().max()
    loss = rounded.train()(features).square().mean()
    loss.backward()
    assert all(value.grad is not None for value in rounded.parameters())


def test_nothing_is_trained_where_there_is_nothing_to_train_with(fitted: Fitted) -> None:
    rows = SPLITS["train"]["image"][:16]
    bare = Material(fitted.learner, SAMPLE, CompressSpec(), rows, rows)
    for rung in RUNGS.rows:
        if isinstance(rung, Learned):
            with pytest.raises(NotMade, match="nothing is trained here"):
                rung.make(bare)


def test_a_taught_network_whose_export_fails_ends_nothing_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, taught = (build_learner(MODEL, SAMPLE).eval() for _ in range(2))

    def export(learner: Any, sample: Any) -> bytes:
        if learner is taught:
            raise ExportError("network must be exportable; got an operator without export")
        return b"fp32"

    monkeypatch.setattr(base, "export_onnx", export)
    monkeypatch.setattr(Material, "compare", lambda material, content: (0.0, 1.0))
    monkeypatch.setattr(Distilled, "learn", lambda rung, material, tuning: taught)
    told: dict[str, str] = {}
    made = make_artifacts(
        teacher,
        SAMPLE,
        CompressSpec(candidates=("fp32", "distilled", "distilled_int8")),
        calibration=SPLITS["train"]["image"][:4],
        tuning=make_tuning(tmp_path),
        on_not_made=told.__setitem__,
    )
    assert [each.name for each in made] == ["fp32"]
    assert set(told) == {"distilled", "distilled_int8"}
    assert all("operator without export" in why for why in told.values())
