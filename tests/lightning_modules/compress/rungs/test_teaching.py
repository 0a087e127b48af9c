"""What a taught network shares with its teacher, what it costs, and what cannot be taught."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_modules.compress.rungs.base import Material, NotMade
from lightning_modules.compress.rungs.distilled import Distilled
from lightning_modules.compress.rungs.int8_aware import round_weight
from lightning_modules.data.batches import IMAGES
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.model import ModelSpec, NetworkSpec
from lightning_modules.specs.samples import ImageSample
from lightning_modules.specs.training import TrainSpec
from lightning_modules.training import tuning as tuning_module
from lightning_modules.training.average import WeightAverage
from lightning_modules.training.build import build_learner
from lightning_modules.training.student import Student
from lightning_modules.training.tuning import Tuning
from storage.base.store import Store
from tests.lightning_modules.streams import MemoryStream, split_digits

SAMPLE = ImageSample(
    **{"shape": (1, 8, 8), "classes": 2, "positive": 1, "threshold": 0.3},
    **{"value_range": (0, 16), "mean": (4.9,), "std": (6.0,)},
)
MODEL = ModelSpec.model_validate(
    {"network": {"params": {"widths": [8, 16]}}, "threshold": {"recall": 0.9}}
)
TRAIN = TrainSpec(max_epochs=2, batch_size=64, precision="fp32", threads=1)
SPLITS = {
    name: {**rows, "label": (rows["label"] == 8).astype("int64")}
    for name, rows in split_digits().items()
}


def make_material(folder: Path, train: TrainSpec = TRAIN, **asked: Any) -> Material:
    tuning = Tuning(
        MODEL,
        train,
        lambda spec: MemoryStream(SPLITS["train"], batch_size=64, seed=spec.seed),
        lambda: MemoryStream(SPLITS["validation"], batch_size=64, shuffle=False),
        IMAGES,
        Store(str(folder)).child,
        max_minutes=10.0,
    )
    rows = SPLITS["train"]["image"][:16]
    learner = build_learner(MODEL, SAMPLE).eval()
    return Material(learner, SAMPLE, CompressSpec(**asked), rows, rows, tuning)


def test_a_threshold_by_which_artifacts_are_judged_stays_and_a_cost_is_counted_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning_module, "_train", lambda *given: 42.0)
    answers = [Distilled().tune(make_material(tmp_path)).learner.answer for _ in range(2)]
    assert [answer.settle(SAMPLE) for answer in answers] == [SAMPLE, SAMPLE]
    # An attempt that follows has spent what the finished training cost.
    material = make_material(tmp_path)
    Distilled().tune(material)
    assert material.tuning is not None
    assert material.tuning.spent_s == 42.0


def test_its_weights_are_averaged_where_the_model_s_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Built(Exception):
        pass

    def build(*given: Any, callbacks: list[Any], **others: Any) -> None:
        raise Built([each.decay for each in callbacks if isinstance(each, WeightAverage)])

    monkeypatch.setattr(tuning_module, "build_trainer", build)
    for decay, wanted in ((None, []), (0.9, [0.9])):
        train = TRAIN.model_copy(update={"average_weights": decay})
        with pytest.raises(Built) as caught:
            Distilled().tune(make_material(tmp_path, train))
        assert caught.value.args == (wanted,)


def test_the_teacher_stays_where_it_is_whatever_device_the_student_learns_on() -> None:
    teacher = build_learner(MODEL, SAMPLE).eval()
    student = Student(build_learner(MODEL, SAMPLE), copy.deepcopy(teacher.network), teacher)
    student.to("meta")
    rows = torch.empty(4, 1, 8, 8, dtype=torch.uint8, device="meta")
    student.add_to_loss(torch.zeros((), device="meta"), student(rows), rows)
    assert {value.device.type for value in teacher.state_dict().values()} == {"cpu"}


def test_weights_are_rounded_on_their_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []

    def round_all(*given: Any) -> Any:
        devices.extend(part.device.type for part in given if isinstance(part, torch.Tensor))
        return given[0]

    monkeypatch.setattr(torch, "fake_quantize_per_channel_affine", round_all)
    round_weight(torch.empty(4, 3, device="meta"))
    assert devices == ["meta"] * 3


def test_what_is_fitted_at_once_is_no_student(tmp_path: Path) -> None:
    student = NetworkSpec(family="linear_probe", params={"blocks": [1], "widths": [8]})
    with pytest.raises(NotMade, match=r"linear_probe is fitted at once.*compress\.student"):
        Distilled().make(make_material(tmp_path, student=student))
