"""Pairs as tasks know them: from what was stored to samples, and what gates are told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.targets.trust.card import InputSpec
from gates.engine.tables import FieldRule
from lightning_modules.data.readers import SampleBatch
from lightning_modules.specs.model import ModelSpec
from storage.datasets.version import Version
from storage.pipeline.fitted import Fitted
from tasks.forms.base import TaskForm
from tasks.forms.registry import FORMS
from tasks.objectives.base import TaskObjective
from tasks.objectives.registry import OBJECTIVES
from tests.toy_form.specs import PairSample
from tests.toy_form.storage import LEFT, RIGHT, PairsSpec


@dataclass(frozen=True)
class PairReader:
    """Reads pairs, (N, 2, size), and which side is larger."""

    fields: tuple[str, ...] = (LEFT, RIGHT, "label", "row_id")

    def read(self, rows: Mapping[str, Any]) -> SampleBatch:
        """Put both sides beside each other."""
        sides = np.stack([rows[LEFT], rows[RIGHT]], axis=1)
        return SampleBatch(sides, rows["label"], np.asarray(rows["row_id"], dtype=np.uint64))


class PairsForm(TaskForm[PairsSpec, PairSample]):
    """Pairs of vectors."""

    def describe_sample(
        self, objective: str, data: PairsSpec, model: ModelSpec, fitted: Fitted
    ) -> PairSample:
        """Describe a pair; nothing is fitted."""
        return PairSample(objective=objective, size=data.size)

    def describe_input(self, sample: PairSample, data: PairsSpec) -> InputSpec:
        """Describe the pair that an artifact takes."""
        return InputSpec(form="pairs", name="pair", dtype="float32", shape=sample.shape)

    def open_reader(self, version: Version, sample: PairSample) -> PairReader:
        """Open what reads both sides."""
        return PairReader()

    def declare_fields(self, data: PairsSpec) -> Mapping[str, FieldRule]:
        """Say what both sides are."""
        rule = FieldRule(dtype="float32", shape=(data.size,), value_range=(-1e9, 1e9))
        return {LEFT: rule, RIGHT: rule}


class Order(TaskObjective[PairSample]):
    """Answers (N,) are margins; truths (N,) are 1 where the right side is larger."""

    name = "order"


FORMS.register("pairs", PairsForm())
OBJECTIVES.register("order", Order())
