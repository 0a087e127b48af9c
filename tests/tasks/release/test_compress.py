"""What is asked of the training process where artifacts are made."""

from types import SimpleNamespace
from typing import Any

import pytest

from deployments.targets.errors import BadArtifact
from deployments.targets.run.measure import Measurement
from deployments.targets.specs import TargetSpec
from gates.specs.artifact import ArtifactGate
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from tasks.gates.device_classes import limit_any
from tasks.release.choose import Demands
from tasks.release.compress import count_rounds, measure_all, plan_export
from tests.tasks.release.test_choose import MEASURED

ROW: dict[str, Any] = {"numbers": (NumberColumn(name="a"),)}
GATE = ArtifactGate(max_accuracy_drop=0.03, max_error_increase=0.07)


@pytest.mark.parametrize(
    ("sample", "most"),
    [
        (RowSample(objective="classes", classes=2, **ROW), 0.03),
        (RowSample(objective="values", **ROW), 0.07),
    ],
)
def test_a_network_is_trained_only_for_artifacts_that_ask_for_one(
    sample: RowSample, most: float
) -> None:
    trained: Any = SimpleNamespace(sample=sample)
    for names, learns in ((("fp32", "int8"), False), (("fp32", "pruned_int8"), True)):
        spec = CompressSpec(candidates=names)
        step = plan_export(trained, spec, GATE, TrainSpec(), {})
        assert (step.train is not None) == learns
        assert step.most_lost == most
        assert plan_export(trained, spec, GATE, None, {}).train is None


def test_an_artifact_that_does_not_run_here_is_a_reason_and_no_end() -> None:
    class Measures:
        def measure_costs(self, content: bytes, rounds: int) -> dict[int, Measurement]:
            if content == b"broken":
                raise BadArtifact("artifact must load and run; got exit -9")
            return {1: Measurement(**MEASURED)}

        def measure(self, name: str, content: bytes, trial: Any, found: Any) -> str:
            if content == b"others":
                raise BadArtifact("artifact must answer finite values; got others")
            return name

    bench: Any = Measures()
    contents = {"fp32": b"whole", "int8": b"broken", "int4": b"others", "fp16": b"whole"}
    candidates, failed = measure_all(bench, contents, None, rounds=2)  # type: ignore[arg-type]
    assert candidates == ["fp32", "fp16"]
    assert failed == {
        "int8": "artifact must load and run; got exit -9",
        "int4": "artifact must answer finite values; got others",
    }


def test_costs_are_measured_in_turns_so_that_a_busy_moment_chooses_nothing() -> None:
    begun: list[bytes] = []

    class Measures:
        def measure_costs(self, content: bytes, rounds: int) -> dict[int, Measurement]:
            begun.append(content)
            busy = len(begun) in (2, 3)  # The end of the first turn, and the start of the second.
            times = {"latency_ms_p50": 9.0, "latency_ms_p99": 99.0} if busy else {}
            base = {"latency_ms_p50": 1.0, "latency_ms_p99": 2.0, "batch_ms_p50": 3.0}
            return {1: Measurement(**{**MEASURED, **base, **times})}

        def measure(self, name: str, content: bytes, trial: Any, found: Any) -> Measurement:
            return found[1]

    bench: Any = Measures()
    contents = {"fp32": b"fp32", "int8": b"int8"}
    found, failed = measure_all(bench, contents, None, rounds=3)  # type: ignore[arg-type]
    assert begun == [b"fp32", b"int8"] * 3
    assert failed == {}
    measured: list[Any] = [*found]
    assert [(each.latency_ms_p50, each.latency_ms_p99) for each in measured] == [(1.0, 2.0)] * 2
    assert [(each.batch_ms_p50, each.cpu_ms, each.runs) for each in measured] == [
        (3.0, None, 60)
    ] * 2


@pytest.mark.parametrize(
    ("target", "rounds"),
    [
        ({}, 1),
        ({"max_latency_ms": 5.0}, 1),
        ({"choose": "least"}, 3),
        ({"max_latency_ms_p99": 9.0}, 3),
    ],
)
def test_costs_are_measured_once_where_no_moment_chooses(target: Any, rounds: int) -> None:
    asked = [Demands.of(TargetSpec(**each), GATE) for each in ({}, target)]
    assert count_rounds(asked) == rounds


def test_a_network_is_trained_as_long_as_some_class_may_take_it() -> None:
    each = [GATE.model_copy(update={"max_accuracy_drop": most}) for most in (0.01, 0.05, 0.02)]
    loosest = limit_any(each)
    assert (loosest.max_accuracy_drop, loosest.max_error_increase) == (0.05, 0.07)
    assert loosest.min_agreement == GATE.min_agreement
