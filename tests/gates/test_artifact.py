import pytest

from gates.artifact import judge_artifacts
from gates.errors import SuiteError
from gates.specs.artifact import ArtifactGate
from tests.gates.builders import find_failure, make_artifact

GATE = ArtifactGate()


def judge(artifacts):
    """All artifacts by the same limits."""
    return judge_artifacts({facts.name: GATE for facts in artifacts}, artifacts)


def test_good_artifacts_pass():
    report = judge([make_artifact(), make_artifact(name="fp32.onnx", score=0.991)])
    assert report.passed, report.reasons


@pytest.mark.parametrize(
    ("change", "figure", "ending"),
    [
        (
            {"score": 0.5},
            "accuracy_drop",
            "observed 0.49, limit <= 0.01; limited by gates.artifact.max_accuracy_drop",
        ),
        (
            {"agreement": 0.9},
            "agreement",
            "observed 0.9, limit [0.98, 1]; limited by gates.artifact.min_agreement",
        ),
        (
            {"size_bytes": 10**9},
            "size_bytes",
            "observed 1000000000, limit [1, 67108864]; limited by gates.artifact.max_size_bytes",
        ),
        (
            {"latency_ms_p50": 250.0},
            "latency_ms_p50",
            "observed 250, limit (0, 100]; limited by gates.artifact.max_latency_ms_p50",
        ),
        (
            {"loaded": False},
            "loaded",
            "observed 1 unexpected of 1, such as [false], limit in [true]",
        ),
        (
            {"sha256_judged": "cd"},
            "sha256",
            f"observed 1 unexpected of 1, such as [cd], limit in [{'ab' * 32}]",
        ),
    ],
)
def test_a_bad_figure_is_named(change, figure, ending):
    report = judge([make_artifact(name="fp32.onnx"), make_artifact(**change)])
    assert find_failure(report, f"int8.onnx {figure}").endswith(ending)
    assert len(report.reasons) == 1


@pytest.mark.parametrize(
    "figure", ["score", "score_float", "agreement", "size_bytes", "latency_ms_p50"]
)
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_not_a_number_never_passes(figure, value):
    assert not judge([make_artifact(**{figure: value})]).passed


def test_each_artifact_may_have_its_own_limits():
    limits = {"int8.onnx": ArtifactGate(max_size_bytes=100), "fp32.onnx": GATE}
    report = judge_artifacts(limits, [make_artifact(), make_artifact(name="fp32.onnx")])
    assert [check.about for check in report.checks if not check.passed] == ["int8.onnx size_bytes"]


def test_no_artifact_stops():
    assert not judge([]).passed


def test_one_name_for_two_artifacts_is_refused():
    with pytest.raises(SuiteError, match="different names"):
        judge([make_artifact(), make_artifact()])


def test_an_artifact_that_predicts_numbers_is_judged_by_its_error():
    numbers = {"scored_by": "error", "score_float": 2.0}
    assert judge([make_artifact(**numbers, score=2.02)]).passed
    report = judge([make_artifact(**numbers, score=2.2)])
    assert find_failure(report, "int8.onnx error_increase").endswith(
        "observed 0.1, limit <= 0.02; limited by gates.artifact.max_error_increase"
    )
    for error in (None, float("nan"), float("inf")):
        assert not judge([make_artifact(**numbers, score=error)]).passed


def test_a_channel_without_an_artifact_warns_while_another_has_one_and_stops_alone():
    refused = {"edge": ("int8 on edge: accuracy drop must be at most 0.01; got 0.2",)}
    report = judge_artifacts({"int8.onnx": GATE}, [make_artifact()], refused)
    assert report.passed
    (warning,) = report.warnings
    assert "on edge: nothing is released there, for int8 on edge: accuracy drop" in warning
    assert "targets.edge" in warning
    alone = judge_artifacts({}, [], refused)
    assert not alone.passed
    assert alone.reasons == (warning,)
