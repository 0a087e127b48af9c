"""What is asked of the training process where artifacts are made."""

from types import SimpleNamespace
from typing import Any

import pytest

from deployments.targets.errors import BadArtifact
from gates.specs.artifact import ArtifactGate
from lightning_modules.specs.compress import CompressSpec
from lightning_modules.specs.samples import NumberColumn, RowSample
from lightning_modules.specs.training import TrainSpec
from tasks.release.compress import measure_all, plan_export

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
        def measure(self, name: str, content: bytes, trial: Any) -> str:
            if content == b"broken":
                raise BadArtifact("artifact must load and run; got exit -9")
            return name

    bench: Any = Measures()
    contents = {"fp32": b"whole", "int8": b"broken", "fp16": b"whole"}
    candidates, failed = measure_all(bench, contents, None)  # type: ignore[arg-type]
    assert candidates == ["fp32", "fp16"]
    assert failed == {"int8": "artifact must load and run; got exit -9"}
