"""Questions that run together: each gets its own answer, whatever the others are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.targets.errors import BadArtifact, BadInput
from deployments.targets.run.live import LiveModel
from deployments.targets.run.objectives import ANSWERS
from deployments.targets.run.runtime import Answers, Array, Predictor
from deployments.targets.run.self_test import answers_rows_alone
from deployments.targets.serve.batches import MAX_JOINED_ROWS, answer_together
from tests.deployments.targets.material import OUTPUTS, SPEC, make_golden, make_onnx
from tests.deployments.targets.serve.asking import Node, make_live

DATA = make_onnx(1)
PREDICTOR = Predictor(DATA, SPEC, OUTPUTS)


class Asked:
    """Asks for rows; tells the probabilities."""

    def __init__(self, live: LiveModel, raw: Array | Exception) -> None:
        self.live, self._raw = live, raw

    def read(self) -> Array:
        if isinstance(self._raw, Exception):
            raise self._raw
        return self._raw

    def tell(self, answers: Answers) -> Array:
        assert set(answers.arrays) == {"label", "probabilities"}
        return answers.values


class Counting:
    """A real artifact that counts its runs, and fails where a row has a forbidden value."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def predict(self, raw: Array) -> Answers:
        self.runs.append(len(raw))
        if (raw == 16).all(axis=(1, 2, 3)).any():
            raise BadArtifact("artifact must answer finite values; got others")
        return PREDICTOR.predict(raw)


@pytest.fixture
def live(pictures: Node) -> LiveModel:
    card = pictures.held.current.card
    counting: Any = Counting()
    return LiveModel(make_live(card).verified, counting, ANSWERS.find("classes"), True)


def draw(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 16, (rows, 1, 8, 8), dtype=np.uint8)


@settings(max_examples=40, deadline=None, database=None)
@given(data=st.data())
def test_each_question_gets_its_own_answer_whatever_the_others_are(data: st.DataObject) -> None:
    counting: Any = Counting()
    verified: Any = None
    models = [LiveModel(verified, counting, ANSWERS.find("classes"), True) for _ in range(2)]
    kinds = st.sampled_from(["good", "good", "good", "unreadable", "empty", "no answer", "shape"])
    questions, expected = [], []
    for number in range(data.draw(st.integers(1, 12))):
        kind, rows = data.draw(kinds), data.draw(st.sampled_from([1, 2, 5, MAX_JOINED_ROWS + 1]))
        raw: Array | Exception = draw(rows, number)
        wanted: Any = None
        if kind == "good":
            wanted = PREDICTOR.predict(draw(rows, number)).values
        elif kind == "unreadable":
            raw, wanted = ValueError(str(number)), ValueError
        elif kind == "empty":
            raw, wanted = draw(0), BadInput
        elif kind == "no answer":
            raw, wanted = np.full((1, 1, 8, 8), 16, np.uint8), BadArtifact
        else:
            raw, wanted = draw(rows)[:, :, :4], BadInput
        questions.append(Asked(data.draw(st.sampled_from(models)), raw))
        expected.append(wanted)
    found = answer_together(questions)
    for got, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, type):
            assert isinstance(got, wanted)
        else:
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_rows_of_many_requests_run_together(live: LiveModel) -> None:
    answer_together([Asked(live, draw(2, seed)) for seed in range(8)])
    assert live.predictor.runs == [16]  # type: ignore[attr-defined]


def test_a_fault_of_a_run_is_no_fault_of_those_that_ran_with_it(live: LiveModel) -> None:
    """Whatever a joined run fails with, such as memory that it does not get."""
    counting: Any = live.predictor
    real = counting.predict

    def predict(raw: Array) -> Answers:
        if len(raw) > 3:
            raise MemoryError
        return real(raw)

    counting.predict = predict
    found = answer_together([Asked(live, draw(rows, rows)) for rows in (1, 2, 4)])
    assert [len(found[0]), len(found[1]), type(found[2])] == [1, 2, MemoryError]


def test_a_model_whose_rows_are_not_alone_is_asked_alone(live: LiveModel) -> None:
    apart = replace(live, joins_rows=False)
    answer_together([Asked(apart, draw(2, seed)) for seed in range(3)])
    assert apart.predictor.runs == [2, 2, 2]  # type: ignore[attr-defined]


def test_a_model_whose_scale_comes_from_the_run_is_told_apart() -> None:
    golden = make_golden(DATA)
    assert answers_rows_alone(PREDICTOR, DATA, golden)

    class Centred(Predictor):
        """Takes the mean of the run off each row."""

        def predict(self, raw: Array, *, batch_size: int = 256) -> Answers:
            answers = super().predict(raw, batch_size=batch_size)
            if batch_size > 1:
                values = answers.arrays["probabilities"]
                answers.arrays["probabilities"] = values - values.mean(axis=0)
            return answers

    assert not answers_rows_alone(Centred(DATA, SPEC, OUTPUTS), DATA, golden)
    assert not answers_rows_alone(PREDICTOR, DATA + b"DynamicQuantizeLinear", golden)
