"""The self-test holds a model against its golden samples: what passes, what does not."""

from typing import Any

import numpy as np
import pytest

from deployments.targets.errors import BadArtifact
from deployments.targets.run.runtime import Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.golden import ArrayText, Golden
from tests.deployments.targets.material import OUTPUTS, SPEC, make_golden, make_onnx

MODEL = make_onnx(1)
GOLDEN = make_golden(MODEL)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(MODEL, SPEC, OUTPUTS)


def change(name: str, values: Any) -> Golden:
    old = GOLDEN.outputs[name]
    array = np.asarray(values, dtype=old.dtype)
    return GOLDEN.model_copy(update={"outputs": {**GOLDEN.outputs, name: ArrayText.of(array)}})


def test_the_same_answers_pass(predictor: Predictor) -> None:
    check_golden(predictor, GOLDEN)


@pytest.mark.parametrize(("off", "passes"), [(0.01, True), (-0.01, True), (0.04, False)])
def test_answers_within_the_tolerance_of_the_scale_pass(
    predictor: Predictor, off: float, passes: bool
) -> None:
    golden = change("probabilities", GOLDEN.outputs["probabilities"].read() + off)
    if passes:
        check_golden(predictor, golden)
    else:
        with pytest.raises(BadArtifact, match=r"self-test \(probabilities of golden samples\)"):
            check_golden(predictor, golden)


def test_another_label_fails(predictor: Predictor) -> None:
    golden = change("label", (GOLDEN.outputs["label"].read() + 1) % 10)
    with pytest.raises(BadArtifact, match=r"self-test \(label of golden samples\) must give"):
        check_golden(predictor, golden)


def test_another_label_passes_where_the_best_two_were_as_probable(predictor: Predictor) -> None:
    """Both are within the tolerance of what is answered, so either may come first."""
    tied = make_onnx(1, classes=10)
    answers = Predictor(tied, SPEC, OUTPUTS).predict(np.zeros((1, *SPEC.shape), SPEC.dtype))
    golden = Golden(
        input=ArrayText.of(np.zeros((1, *SPEC.shape), SPEC.dtype)),
        outputs={
            "label": ArrayText.of(np.array([7])),
            "probabilities": ArrayText.of(answers.values),
        },
        tolerance=0.02,
    )
    assert answers.arrays["label"][0] != 7
    check_golden(predictor, golden)


def test_another_model_fails(predictor: Predictor) -> None:
    with pytest.raises(BadArtifact, match="does not answer as the one that made the model"):
        check_golden(predictor, make_golden(make_onnx(2)))


def test_an_answer_of_another_shape_fails(predictor: Predictor) -> None:
    with pytest.raises(BadArtifact, match="must give shape"):
        check_golden(predictor, change("probabilities", np.zeros((2, 10, 1))))
