"""What programs and people are told: `lepton predict --json` keeps its keys, whatever is asked."""

import json
from typing import Any

import numpy as np
import pytest

from deployments.targets.run.objectives import ANSWERS, MOST_LISTED, Output
from deployments.targets.run.predictions import Prediction
from deployments.targets.run.runtime import Answers
from deployments.targets.trust.card import OutputSpec

LABEL = OutputSpec(name="label", dtype="int64", meaning="label", labels=("no", "yes"))
ASKED: dict[str, tuple[tuple[OutputSpec, ...], list[Any], dict[str, Any], str]] = {
    "classes": (
        (
            LABEL,
            OutputSpec(
                name="probabilities", shape=(2,), meaning="probabilities", labels=LABEL.labels
            ),
        ),
        [[1], [[0.25, 0.75]]],
        {"label": "yes", "confidence": 0.75, "probabilities": {"no": 0.25, "yes": 0.75}},
        "yes  75.0%",
    ),
    "reconstruction": (
        (LABEL, OutputSpec(name="score", meaning="score")),
        [[1], [2.5]],
        {"label": "yes", "score": 2.5},
        "yes (score 2.5)",
    ),
    "values": (
        (OutputSpec(name="values", meaning="values", unit=""),),
        [[-3.5]],
        {"value": -3.5},
        "-3.5",
    ),
    "forecast": (
        (OutputSpec(name="values", shape=(2, 2), meaning="values", labels=("a", "b")),),
        [[[[1.0, 2.0], [3.0, 4.0]]]],
        {"forecast": {"a": [1.0, 3.0], "b": [2.0, 4.0]}},
        "a: 1, 3; b: 2, 4",
    ),
}
BAND = OutputSpec(name="quantile_0.9", meaning="quantile 0.9", unit="")
ASKED["values with quantiles"] = (
    (BAND, *ASKED["values"][0]),
    [[-1.0], [-3.5]],
    {"value": -3.5, "quantiles": {"0.9": -1.0}},
    "-3.5  0.9: -1",
)
STEPS = ASKED["forecast"][0][0]
ASKED["forecast with quantiles"] = (
    (STEPS.model_copy(update={"name": "quantile_0.1", "meaning": "quantile 0.1"}), STEPS),
    [[[[0.5, 1.5], [2.5, 3.5]]], [[[1.0, 2.0], [3.0, 4.0]]]],
    {
        "forecast": {"a": [1.0, 3.0], "b": [2.0, 4.0]},
        "quantiles": {"0.1": {"a": [0.5, 2.5], "b": [1.5, 3.5]}},
    },
    "a: 1, 3; a 0.1: 0.5, 2.5; b: 2, 4; b 0.1: 1.5, 3.5",
)


def tell(objective: str, row: int | None = None) -> Prediction:
    outputs, arrays, _, _ = ASKED[objective]
    objective, *_ = objective.split()
    named = {
        output.name: np.array(array, dtype=output.dtype)
        for output, array in zip(outputs, arrays, strict=True)
    }
    said = ANSWERS.find(objective).list_outputs(Answers(outputs, named), 0)
    return Prediction(file="f", row=row, objective=objective, outputs=said, model_id="m")


@pytest.mark.parametrize("objective", ASKED)
def test_the_keys_of_predict_json_stay(objective: str) -> None:
    *_, expected, line = ASKED[objective]
    assert json.loads(tell(objective).to_json()) == {"file": "f", **expected, "model_id": "m"}
    several = json.loads(tell(objective, row=3).to_json())
    assert several == {"file": "f", "row": 3, **expected, "model_id": "m"}
    assert str(tell(objective, row=3)) == f"f row 3  {line}"


@pytest.mark.parametrize("objective", ASKED)
def test_a_prediction_is_a_list_of_outputs_and_survives_json(objective: str) -> None:
    prediction = tell(objective)
    again = Prediction.model_validate_json(prediction.model_dump_json())
    assert again == prediction
    assert [output.name for output in again.outputs] == list(ASKED[objective][2])
    assert again.find("nothing") is None


def test_a_note_is_said_with_the_answer_and_only_where_there_is_one():
    said = Prediction(
        file="f",
        objective="values",
        outputs=(Output(name="value", value=2.5, meaning="values"),),
        model_id="m",
    )
    assert "note" not in said.to_json()
    noted = said.model_copy(update={"note": "grade: 'X' is new"})
    assert str(noted) == "f  2.5  (note: grade: 'X' is new)"
    assert '"note":"grade: \'X\' is new"' in noted.to_json()


def test_of_many_classes_the_most_probable_ones_are_listed() -> None:
    names = tuple(f"c{n}" for n in range(MOST_LISTED + 3))
    label = LABEL.model_copy(update={"labels": names})
    outputs = (label, ASKED["classes"][0][1].model_copy(update={"labels": names}))
    shares = np.arange(len(names), dtype=np.float64) / 9999
    answers = Answers(outputs, {"label": np.array([5]), "probabilities": shares[None]})
    told = ANSWERS.find("classes").list_outputs(answers, 0)[2].value
    assert isinstance(told, dict)
    assert list(told) == list(names[3:])
