"""Golden samples are made, not taken: nobody's row, within the range, sure of their labels."""

from typing import Any

import numpy as np
import pytest

from deployments.targets.run.runtime import Answers, Predictor
from deployments.targets.run.self_test import check_golden
from deployments.targets.trust.card import InputSpec, OutputSpec
from deployments.targets.trust.golden import MAX_GOLDEN_BYTES
from tasks.release.golden import _choose, make_golden, shuffle_values
from tests.deployments.targets.material import OUTPUTS, SPEC, make_onnx

RNG = np.random.default_rng(0)


def make_rows(count: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rows = RNG.uniform(1, 16, (count, *shape))
    if dtype == "float64":
        rows[RNG.random(rows.shape) < 0.2] = np.nan
    return rows.astype(dtype)


def specify(shape: tuple[int, ...], dtype: str, bounds: Any = None) -> InputSpec:
    return InputSpec(form="x", name="x", dtype=dtype, shape=shape, value_range=bounds)


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 8, 8), "uint8"), ((5,), "float64"), ((6, 3), "float64")]
)
def test_each_value_is_one_of_its_place_and_no_sample_is_a_row(
    count: int, shape: tuple[int, ...], dtype: str
) -> None:
    rows = make_rows(count, shape, dtype)
    made = shuffle_values(rows, specify(shape, dtype))
    assert (made.dtype, made.shape[1:]) == (np.dtype(dtype), shape)
    assert not {sample.tobytes() for sample in made} & {row.tobytes() for row in rows}
    assert len({sample.tobytes() for sample in made}) == len(made)
    flat, real = made.reshape(len(made), -1), rows.reshape(count, -1)
    for place in range(flat.shape[1]):
        known = real[:, place]
        assert np.isin(flat[:, place][~np.isnan(flat[:, place])], known).all()
        assert np.isnan(known).any() or not np.isnan(flat[:, place]).any()
    np.testing.assert_array_equal(made, shuffle_values(rows, specify(shape, dtype)))


@pytest.mark.parametrize(
    "rows", [make_rows(1, (5,), "float32"), np.full((40, 5), 3, "float32")], ids=["one", "alike"]
)
@pytest.mark.parametrize(("bounds", "value"), [(None, 0), ((-1, 1), 0), ((2, 9), 2)])
def test_where_only_rows_could_be_made_a_plain_sample_is(
    rows: np.ndarray, bounds: Any, value: float
) -> None:
    made = shuffle_values(rows, specify((5,), "float32", bounds))
    np.testing.assert_array_equal(made, np.full((1, 5), value, "float32"))


def test_the_exact_bytes_answer_them_again_and_another_model_does_not() -> None:
    predictor = Predictor(make_onnx(1), SPEC, OUTPUTS)
    golden = make_golden(predictor, shuffle_values(make_rows(50, SPEC.shape, "uint8"), SPEC))
    assert golden.input.shape == (4, *SPEC.shape)
    assert len(set(golden.outputs["label"].read().tolist())) == 4
    check_golden(predictor, golden)
    with pytest.raises(Exception, match="self-test"):
        check_golden(Predictor(make_onnx(2), SPEC, OUTPUTS), golden)


@pytest.mark.parametrize(("side", "count"), [(8, 4), (300, 2), (400, 1), (600, 1)])
def test_large_samples_are_fewer(side: int, count: int) -> None:
    shape = (1, side, side)
    spec = SPEC.model_copy(update={"shape": shape})
    predictor = Predictor(make_onnx(1, shape=shape), spec, OUTPUTS)
    golden = make_golden(predictor, shuffle_values(make_rows(6, shape, "uint8"), spec, 6))
    assert len(golden.input.read()) == count
    assert count == 1 or golden.size_bytes <= MAX_GOLDEN_BYTES


def answer(labels: list[int], values: Any, meaning: str) -> Answers:
    outputs = (
        OutputSpec(name="label", dtype="int64", meaning="label", labels=("a", "b", "c")),
        OutputSpec(name="last", meaning=meaning),
    )
    return Answers(outputs, {"label": np.array(labels), "last": np.array(values, np.float32)})


def test_the_surest_of_each_label_come_first() -> None:
    sure, doubtful, other = [0.9, 0.1, 0.0], [0.5, 0.4, 0.1], [0.3, 0.6, 0.1]
    answers = answer([0, 0, 1, 0], [doubtful, sure, other, [0.7, 0.3, 0.0]], "probabilities")
    assert _choose(answers, 4) == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("labels", "scores", "order"),
    [
        ([0, 0, 1, 1], [1.0, 4.0, 6.0, 9.0], [0, 3, 1, 2]),
        ([1, 1, 1], [7.0, 9.0, 6.0], [1, 0, 2]),
        ([0, 0, 0], [3.0, 1.0, 2.0], [1, 2, 0]),
    ],
)
def test_scores_far_from_the_border_are_the_surest(
    labels: list[int], scores: list[float], order: list[int]
) -> None:
    assert _choose(answer(labels, scores, "score"), len(labels)) == order


def test_without_a_label_they_stay_in_order() -> None:
    values = OutputSpec(name="values", meaning="values")
    assert _choose(Answers((values,), {"values": np.arange(3.0)}), 3) == [0, 1, 2]
