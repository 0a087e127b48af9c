"""What cannot be tried out in bounded memory is not loaded for use."""

import onnx
import pytest
from onnx import TensorProto, helper

from deployments.targets.errors import BadArtifact
from deployments.targets.run import onnx_memory
from deployments.targets.run.onnx_memory import check_memory
from tests.deployments.targets.hostile_onnx import change, put_first
from tests.deployments.targets.material import SPEC, make_onnx


def fail_on_zeros() -> bytes:
    """The honest model, which looks up a place that a picture of zeros does not have."""

    def alter(model: onnx.ModelProto) -> None:
        put_first(
            model,
            helper.make_node("Cast", ["image"], ["whole"], to=TensorProto.INT64),
            helper.make_node("ReduceMax", ["whole"], ["most"], keepdims=0),
            helper.make_node("Sub", ["most", "five"], ["place"]),
            helper.make_node("Gather", ["two", "place"], ["found"], axis=0),
            two=[1, 2],
            five=5,
        )

    return change(alter)


def test_an_honest_model_is_let_through() -> None:
    check_memory(make_onnx(1), SPEC)


def test_a_model_that_does_not_answer_is_not_taken_for_one_that_stays_small() -> None:
    """A fault on zeros, put first, would hide whatever grows behind it."""
    with pytest.raises(BadArtifact, match="answers a sample of zeros"):
        check_memory(fail_on_zeros(), SPEC)


def test_without_bounds_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no arena")

    monkeypatch.setattr(onnx_memory, "_open_arena", fail)
    with pytest.raises(BadArtifact, match="no arena"):
        check_memory(make_onnx(1), SPEC)
