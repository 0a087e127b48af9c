"""Baselines are cut where a threshold is chosen for the model: on validation rows, by its rule."""

import numpy as np
import pytest

from lightning_modules.data.readers import SampleBatch
from lightning_modules.objectives.base import Baseline
from lightning_modules.objectives.registry import OBJECTIVES
from lightning_modules.specs.model import ModelSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import LossSpec
from tasks.training.baselines import cut_baselines

SAMPLE = RowSample(
    form="table", objective="classes", numbers=(NumberColumn(name="a"),), classes=2, positive=1
)
SCORES = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
TRUTH = np.array([0, 0, 0, 1, 0, 1])


class Validation:
    """Validation rows, in two batches."""

    def read(self, split: str) -> list[SampleBatch]:
        assert split == "validation"
        return [
            SampleBatch(SCORES[part], TRUTH[part], np.arange(3, dtype=np.uint64))
            for part in (slice(0, 3), slice(3, 6))
        ]


def answer(batch: SampleBatch) -> np.ndarray:
    return np.stack([1 - batch.sample, batch.sample], 1)


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        ({"recall": 1.0}, 0.15, 0.2),
        ({"recall": 0.5}, 0.25, 0.3),
        ({"cost": {"missed": 10, "false_alarm": 1}}, 0.15, 0.2),
        ({"cost": {"missed": 1, "false_alarm": 10}}, 0.25, 0.3),
    ],
)
def test_each_baseline_gets_the_threshold_that_the_rule_chooses_for_it(rule, low, high):
    model = ModelSpec.model_validate({"network": {"family": "mlp"}, "threshold": rule})
    given = OBJECTIVES.find("classes").build_answer(model, SAMPLE, LossSpec())
    found = cut_baselines({"linear": Baseline(answer)}, Validation(), given.cut)
    assert low < found["linear"] <= high


def test_without_a_rule_none_is_chosen():
    model = ModelSpec.model_validate({"network": {"family": "mlp"}})
    given = OBJECTIVES.find("classes").build_answer(model, SAMPLE, LossSpec())
    assert cut_baselines({"linear": Baseline(answer)}, Validation(), given.cut) == {}
