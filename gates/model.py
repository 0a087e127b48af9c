"""The model gate: is the trained network good enough on rows it has never seen, and no worse than the champion?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.engine import run_suite
from gates.errors import SuiteError
from gates.report import Check, GateReport, skip_check
from gates.specs import ModelGate
from gates.suite import Expectation, Suite, expect, expect_present
from gates.tables import Table

if TYPE_CHECKING:
    import numpy as np

STAGE = "model"
_MEAN = "expect_column_mean_to_be_between"


@dataclass(frozen=True)
class ModelFacts:
    """What the model gate judges.

    Attributes:
        predictions: one row a held-out row, from `tabulate_predictions`.
        rows_held_out: rows of the held-out split: each must have been judged, once.
        labels: names of the declared classes.
    """

    predictions: Table
    rows_held_out: int
    labels: tuple[str, ...]

    @property
    def has_champion(self) -> bool:
        """Whether a promoted model has answered the same rows."""
        return "champion_predicted" in self.predictions.frame


def tabulate_predictions(
    *,
    row_id: "np.ndarray[Any, Any]",
    label: "np.ndarray[Any, Any]",
    probabilities: "np.ndarray[Any, Any]",
    champion_predicted: "np.ndarray[Any, Any] | None" = None,
) -> Table:
    """Return one row a held-out row, with what the expectations judge.

    Columns: row_id, label, predicted, confidence, correct (0 or 1), probability_sum, probability_min, and with a
    champion champion_predicted and gain (candidate's correct minus champion's: -1, 0 or 1).

    Args:
        row_id: (N,) uint64.
        label: (N,) integer true class.
        probabilities: (N, K) float, each row summing to 1.
        champion_predicted: (N,) integer classes that the promoted model answers for the same rows, in the same order.

    Raises:
        SuiteError: the arrays do not share their length, or there is no class.
    """
    import numpy as np
    import pandas as pd

    lengths = {len(array) for array in (row_id, label, probabilities, champion_predicted) if array is not None}
    if probabilities.ndim != 2 or probabilities.shape[1] == 0 or len(lengths) != 1:
        raise SuiteError(
            f"predictions (probabilities {probabilities.shape}) must be (N, K) with one row for each of the labels; "
            f"got lengths {sorted(lengths)}; judge every held-out row once"
        )
    predicted = np.argmax(probabilities, axis=1)
    columns: dict[str, np.ndarray[Any, Any]] = {
        "row_id": row_id,
        "label": label,
        "predicted": predicted,
        "confidence": np.max(probabilities, axis=1).astype(np.float64),
        "correct": (predicted == label).astype(np.float64),
        "probability_sum": probabilities.sum(axis=1, dtype=np.float64),
        "probability_min": probabilities.min(axis=1).astype(np.float64),
    }
    if champion_predicted is not None:
        columns["champion_predicted"] = champion_predicted
        columns["gain"] = columns["correct"] - (champion_predicted == label).astype(np.float64)
    return Table(pd.DataFrame(columns), identity=("row_id",))


def judge_model(gate: ModelGate, facts: ModelFacts) -> GateReport:
    """Judge held-out predictions: complete, proper probabilities, accurate, and no worse than the champion."""
    skipped: list[Check] = []
    if not facts.has_champion:
        skipped.append(skip_check(_MEAN, "accuracy gained over the champion", "no model has been promoted yet"))
    return run_suite(build_model_suite(gate, facts), {"predictions": facts.predictions}, skipped)


def build_model_suite(gate: ModelGate, facts: ModelFacts) -> Suite:
    """Return the model gate's expectations for these facts."""
    frame = facts.predictions.frame
    majority = float(frame["label"].value_counts(normalize=True).max()) if len(frame) else 1.0
    expectations = [
        *_expect_complete(facts),
        *_expect_probabilities(gate),
        _expect_mean("held-out accuracy", "correct", gate.min_accuracy),
        _expect_mean(
            f"held-out accuracy above the majority class's {majority:.6g} by {gate.min_gain_over_majority:g}",
            "correct",
            majority + gate.min_gain_over_majority,
        ),
    ]
    if facts.has_champion:
        expectations += [
            *expect_present("predictions", ("champion_predicted", "gain")),
            _expect_mean("accuracy gained over the champion", "gain", -gate.max_loss_to_champion),
        ]
    return Suite(stage=STAGE, expectations=tuple(expectations))


def _expect_complete(facts: ModelFacts) -> list[Expectation]:
    """Return expectations that every held-out row was judged once, with a declared class."""
    classes = list(range(len(facts.labels)))
    in_set = "expect_column_values_to_be_in_set"
    return [
        expect("expect_table_row_count_to_equal", "predictions", "rows judged", value=facts.rows_held_out),
        *expect_present("predictions", ("row_id", "label", "predicted")),
        expect("expect_column_values_to_be_unique", "predictions", column="row_id"),
        expect(in_set, "predictions", column="label", value_set=classes),
        expect(in_set, "predictions", column="predicted", value_set=classes),
    ]


def _expect_probabilities(gate: ModelGate) -> list[Expectation]:
    """Return expectations that probabilities are finite, within [0, 1] and sum to 1 (Kolmogorov's axioms)."""
    slack = gate.probability_sum_tolerance
    between = "expect_column_values_to_be_between"
    columns = ("confidence", "probability_sum", "probability_min")
    return [
        *expect_present("predictions", columns),
        expect(between, "predictions", column="probability_sum", min_value=1 - slack, max_value=1 + slack),
        expect(between, "predictions", column="probability_min", min_value=0, max_value=1),
        expect(between, "predictions", column="confidence", min_value=0, max_value=1 + slack),
    ]


def _expect_mean(about: str, column: str, floor: float) -> Expectation:
    """Return an expectation that the mean of a column is not below a floor."""
    return expect(_MEAN, "predictions", about, column=column, min_value=floor)
