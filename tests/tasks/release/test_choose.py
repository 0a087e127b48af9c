"""Which artifact a channel gets, and what is said of those that it does not get."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from deployments.targets.run.measure import Measurement
from deployments.targets.specs import DeviceClass, TargetSpec
from gates.specs.artifact import ArtifactGate
from tasks.gates.device_classes import ClassDemands
from tasks.release.bench import Candidate
from tasks.release.choose import Demands, choose, explain, list_passed_over
from tasks.release.costs import ClassCost, slow_down
from tasks.release.trial import Loss

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
NONE = Loss(0.0, 0.0, 1000)
GATE = ArtifactGate()


SIZES = (("small", 2000), ("tiny", 500))


def make_candidate(name: str, *, size_bytes: int = 1000, **changes: Any) -> Candidate:
    facts = {
        "content": b"",
        "score": 0.97,
        "agreement": 1.0,
        "is_error": False,
        "lost": NONE,
        "differing": NONE,
        "measured": Measurement(**{**MEASURED, "size_bytes": size_bytes}),
    }
    return Candidate(name=name, **{**facts, **changes})


def refuse_nothing(candidate: Candidate, asked: ClassDemands) -> tuple[str, ...]:
    del candidate, asked
    return ()


def refuse(*names: str) -> Callable[[Candidate, ClassDemands], tuple[str, ...]]:
    return lambda candidate, _: (f"{candidate.name} lost",) if candidate.name in names else ()


FP32 = make_candidate("fp32", size_bytes=4000)
BAD = make_candidate("int8", lost=Loss(0.07, 0.09, 1000))
DEMANDS = Demands.of(TargetSpec(prefer=("int8", "fp32")), GATE)


def test_the_first_preferred_one_that_holds_up_is_chosen() -> None:
    for int8, wanted in ((make_candidate("int8"), "int8"), (BAD, "fp32")):
        choice = choose("edge", DEMANDS, [FP32, int8], refuse_nothing)
        assert choice.candidate is not None
        assert choice.candidate.name == wanted


@pytest.mark.parametrize(
    ("candidate", "target", "fault"),
    [
        (BAD, {}, "accuracy drop must be at most 0.01; got 0.07 on 1000 rows"),
        (
            make_candidate("int8", lost=Loss(0.004, 0.03, 120)),
            {},
            "accuracy drop must be at most 0.01; got 0.004 on 120 rows, which may be 0.03 by",
        ),
        (
            make_candidate("int8", lost=Loss(0.2, 0.3, 50), is_error=True),
            {},
            "increase of the error must be at most 0.02; got 0.2",
        ),
        (
            make_candidate("int8", differing=Loss(0.0, 0.025, 119)),
            {},
            "disagreement with the float model must be at most 0.02; got 0 on 119 rows",
        ),
        (make_candidate("int8"), {"max_size_bytes": 10}, "size in bytes must be at most 10"),
        (make_candidate("int8"), {"max_latency_ms": 0.5}, "median latency in ms must be at most"),
        (make_candidate("int8"), {"max_memory_bytes": 1}, "memory in bytes"),
        (FP32, {}, "must be among what is made; got fp32"),
    ],
)
def test_where_none_holds_up_the_channel_gets_none_and_says_why(
    candidate: Candidate, target: dict[str, Any], fault: str
) -> None:
    demands = Demands.of(TargetSpec(prefer=("int8",), **target), GATE)
    choice = choose("edge", demands, [candidate], refuse_nothing)
    assert choice.candidate is None
    (reason,) = choice.reasons
    assert reason.startswith("int8 on edge: ")
    assert fault in reason


def test_what_the_gate_refuses_on_held_out_rows_gives_way_to_the_next_preference() -> None:
    candidates = [FP32, make_candidate("int8")]
    choice = choose("edge", DEMANDS, candidates, refuse("int8"))
    assert choice.candidate is FP32
    assert choice.passed_over == {"int8": ["refused on held-out rows: int8 lost"]}
    assert choose("edge", DEMANDS, candidates, refuse("int8", "fp32")).candidate is None


def test_one_that_fails_its_trial_is_never_asked_the_held_out_rows() -> None:
    asked: list[str] = []

    def note(candidate: Candidate, wanted: ClassDemands) -> tuple[str, ...]:
        asked.append(f"{candidate.name} {wanted.limits.max_size_bytes}")
        return ()

    demands = Demands.of(TargetSpec(prefer=("int8", "fp32"), max_size_bytes=5000), GATE)
    choose("edge", demands, [FP32, BAD], note)
    assert asked == ["fp32 5000"]


def test_a_score_that_the_trial_does_not_define_is_left_to_the_held_out_rows() -> None:
    nan = float("nan")
    undefined = make_candidate("int8", lost=Loss(nan, nan, 1000))
    assert choose("edge", DEMANDS, [FP32, undefined], refuse_nothing).candidate is undefined
    assert choose("edge", DEMANDS, [FP32, undefined], refuse("int8")).candidate is FP32


def test_by_cost_the_least_latency_times_size_that_meets_the_demands_is_taken() -> None:
    small, tiny = (make_candidate(name, size_bytes=size) for name, size in SIZES)
    made = [FP32, small, tiny]
    target = TargetSpec(choose="least")
    wanted = Demands.of(target, GATE)
    assert choose("edge", wanted, made, refuse_nothing).candidate is tiny
    taken = choose("edge", wanted, made, refuse("tiny"))
    assert taken.candidate is small
    assert list(taken.passed_over) == ["tiny"]
    # By preference, which is fp32's by default, it is as it was.
    assert choose("edge", Demands.of(TargetSpec(), GATE), made, refuse_nothing).candidate is FP32


def test_the_slowest_answers_may_be_limited_too() -> None:
    slow = make_candidate("int8")
    measured = slow.measured.model_copy(update={"latency_ms_p99": 7.0})
    slow = dataclasses.replace(slow, measured=measured)
    for limit, taken in ((8.0, slow), (6.0, None)):
        target = TargetSpec(prefer=("int8",), max_latency_ms_p99=limit)
        choice = choose("edge", Demands.of(target, GATE), [slow], refuse_nothing)
        assert choice.candidate is taken
    assert choice.reasons == ("int8 on edge: p99 latency in ms must be at most 6; got 7",)


def test_what_a_channel_did_not_get_says_why() -> None:
    asked = {"edge": TargetSpec(prefer=("int8", "fp32")), "cloud": TargetSpec()}
    choices = [
        choose(channel, Demands.of(target, GATE), [FP32, BAD], refuse_nothing)
        for channel, target in asked.items()
    ]
    note = explain(BAD, choices)
    assert note.startswith("not for edge: accuracy drop must be at most")
    assert "cloud" not in note
    assert explain(FP32, choices) == ""
    assert list_passed_over(BAD, choices) == {
        "edge": tuple(choices[0].passed_over["int8"]),
        "cloud": ("fp32 meets all demands and is preferred",),
    }
    assert list_passed_over(FP32, choices) == {}


CLASSES = {
    "camera": DeviceClass(slowdown=8, max_latency_ms_p99=20, threads=2),
    "hub": DeviceClass(),
}


def slow(candidate: Candidate, p99_ms: float = 1.0) -> Candidate:
    """The same with what it costs on both classes."""
    measured = candidate.measured.model_copy(update={"latency_ms_p99": p99_ms})
    costs = {
        (name, device.threads): ClassCost(slow_down(measured, device.slowdown), device.slowdown)
        for name, device in CLASSES.items()
    }
    return dataclasses.replace(candidate, measured=measured, costs=costs)


def test_a_class_gets_the_least_that_holds_up_on_each_of_its_devices() -> None:
    fp32, big, tiny = slow(FP32), slow(make_candidate("int8"), 3.0), slow(make_candidate("fp16"))
    target = TargetSpec(classes=("camera", "hub"))
    demands = Demands.of(target, GATE, CLASSES)
    # 3 ms here are 24 on a camera, which 20 are the limit of; on a hub nothing is against it.
    choice = choose("edge", demands, [fp32, big], refuse_nothing)
    assert choice.candidate is fp32
    (fault,) = choice.passed_over["int8"]
    assert fault == "class camera: p99 latency in ms must be at most 20; got 24"
    assert choose("edge", demands, [fp32, big, tiny], refuse_nothing).candidate is tiny
    refused = choose("edge", demands, [fp32, tiny], refuse("fp16", "fp32"))
    assert refused.candidate is None
    assert "class hub: refused on held-out rows: fp16 lost" in refused.reasons[1]
    # A channel that says what it prefers, or how to choose, gets that.
    for asked in ({"choose": "first"}, {"prefer": ("int8", "fp32")}):
        wanted = Demands.of(target.model_copy(update=asked), GATE, CLASSES)
        assert choose("edge", wanted, [fp32, tiny], refuse_nothing).candidate is fp32


def test_the_size_is_that_of_the_bytes_whatever_a_device_says() -> None:
    one = make_candidate("int8")
    small = one.measured.model_copy(update={"size_bytes": 1})
    one = dataclasses.replace(one, costs={("hub", 1): ClassCost(small, None, "hub-1")})
    target = TargetSpec(classes=("hub",), max_size_bytes=10)
    demands = Demands.of(target, GATE, {"hub": DeviceClass()})
    choice = choose("edge", demands, [one], refuse_nothing)
    assert choice.reasons == ("int8 on edge: size in bytes must be at most 10; got 1000",)


def test_a_budget_of_accuracy_is_a_class_s_own() -> None:
    lossy = make_candidate("int8", lost=Loss(0.004, 0.006, 1000))
    for most, taken in ((0.01, lossy), (0.005, None)):
        described = {"hub": DeviceClass(max_accuracy_drop=most)}
        demands = Demands.of(TargetSpec(classes=("hub",)), GATE, described)
        one = dataclasses.replace(lossy, costs={("hub", 1): ClassCost(lossy.measured)})
        found = choose("edge", demands, [one], refuse_nothing).candidate
        assert (found is one) == (taken is lossy)
