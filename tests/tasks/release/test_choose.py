"""Which artifact a channel gets, and what is said of those that it does not get."""

from typing import Any

import pytest

from deployments.targets.run.measure import Measurement
from deployments.targets.specs import TargetSpec
from gates.specs.artifact import ArtifactGate
from tasks.release.bench import Candidate
from tasks.release.choose import Demands, choose, explain
from tasks.runtime.errors import StageStopped

MEASURED = {
    "sha256": "a" * 64,
    "size_bytes": 1000,
    "latency_ms_p50": 1.0,
    "latency_ms_p95": 2.0,
    "load_ms": 1.0,
    "memory_bytes": None,
    "runs": 20,
    "threads": 1,
}


def make_candidate(name: str, *, size_bytes: int = 1000, **changes: Any) -> Candidate:
    facts = {
        "content": b"",
        "score": 0.97,
        "reference": 0.97,
        "is_error": False,
        "agreement": 1.0,
        "measured": Measurement(**{**MEASURED, "size_bytes": size_bytes}),
    }
    return Candidate(name=name, **{**facts, **changes})


GATE = ArtifactGate()
FP32 = make_candidate("fp32", size_bytes=4000)


def test_the_first_preferred_one_that_holds_up_is_chosen() -> None:
    demands = Demands.of(TargetSpec(prefer=("int8", "fp32")), GATE)
    assert choose("edge", demands, [FP32, make_candidate("int8")]).name == "int8"
    assert choose("edge", demands, [FP32, make_candidate("int8", score=0.9)]).name == "fp32"


@pytest.mark.parametrize(
    ("candidate", "target", "fault"),
    [
        (make_candidate("int8", score=0.9), {}, "accuracy drop must be at most 0.005; got 0.07"),
        (
            make_candidate("int8", score=1.2, reference=1.0, is_error=True),
            {},
            "increase of the error must be at most 0.01; got 0.2",
        ),
        (make_candidate("int8", agreement=0.5), {}, "disagreement with the float model"),
        (make_candidate("int8"), {"max_size_bytes": 10}, "size in bytes must be at most 10"),
        (make_candidate("int8"), {"max_latency_ms": 0.5}, "median latency in ms must be at most"),
        (make_candidate("int8"), {"max_memory_bytes": 1}, "memory in bytes.* got no figure"),
        (FP32, {}, "int8 must be among compress.candidates; got fp32"),
    ],
)
def test_where_none_holds_up_the_channel_stops_the_run(
    candidate: Candidate, target: dict[str, Any], fault: str
) -> None:
    demands = Demands.of(TargetSpec(prefer=("int8",), **target), GATE)
    with pytest.raises(StageStopped, match=fault) as caught:
        choose("edge", demands, [candidate])
    assert caught.value.stage == "compress"


def test_what_a_channel_did_not_get_says_why() -> None:
    asked = {"edge": TargetSpec(prefer=("int8", "fp32")), "cloud": TargetSpec()}
    demands = {channel: Demands.of(target, GATE) for channel, target in asked.items()}
    chosen = {"edge": FP32, "cloud": FP32}
    note = explain(make_candidate("int8", score=0.9), demands, chosen)
    assert note.startswith("not for edge: accuracy drop must be at most")
    assert "cloud" not in note
    assert explain(FP32, demands, chosen) == ""
