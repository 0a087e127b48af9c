import numpy as np
import pytest

from deployments.targets.specs import DeviceClass, TargetSpec
from gates.specs.artifact import ArtifactGate
from lightning_modules.specs.samples import NumberColumn, RowSample
from tasks.gates.device_classes import limit_all, limit_class, list_demands
from tasks.objectives.registry import find_objective
from tasks.objectives.sheets import AnswerSheet

GATE = ArtifactGate(max_size_bytes=1000, max_latency_ms_p50=10)


def test_a_class_s_own_limits_stand_in_place_of_the_gate_s_and_a_target_s_in_place_of_those():
    (here,) = list_demands(TargetSpec(), {}, GATE)
    assert (here.limits, here.title) == (GATE, "")
    described = {"small": DeviceClass(max_size_bytes=2000, max_accuracy_drop=0.1, threads=2)}
    named = {"classes": ("small", "other")}
    (small,) = list_demands(TargetSpec(**named), described, GATE)
    assert (small.limits.max_size_bytes, small.limits.max_accuracy_drop) == (2000, 0.1)
    assert small.limits.min_agreement == GATE.min_agreement
    assert small.title == " on small in 2 threads"
    own = TargetSpec(max_size_bytes=500, max_latency_ms=1.5, threads=1, **named)
    (small,) = list_demands(own, described, GATE)
    assert (small.limits.max_size_bytes, small.limits.max_latency_ms_p50) == (500, 1.5)
    assert small.title == " on small"


def test_an_artifact_of_several_channels_must_hold_up_on_each():
    cloud, edge = DeviceClass(max_size_bytes=5000), DeviceClass(max_latency_ms=2)
    limits = limit_all([limit_class(GATE, each) for each in (cloud, edge)])
    assert (limits.max_size_bytes, limits.max_latency_ms_p50) == (1000, 2)


@pytest.mark.parametrize(("tolerance", "agreement"), [(0.05, 0.5), (0.2, 1.0), (0.01, 0.25)])
def test_the_recipe_s_tolerance_says_which_numbers_agree(tolerance, agreement):
    sample = RowSample(
        form="table", objective="values", numbers=(NumberColumn(name="a"),), target_std=2.0
    )
    row_id, truth = np.arange(4, dtype=np.uint64), np.zeros(4)
    float_model = AnswerSheet(row_id, truth, np.zeros(4))
    artifact = AnswerSheet(row_id, truth, np.array([0.0, 0.08, 0.2, -0.3]))
    objective = find_objective(sample)
    assert objective.measure_agreement(artifact, float_model, sample, tolerance) == agreement
