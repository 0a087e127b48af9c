"""The model gate: is the trained network good enough on rows it has never seen, and no worse than the champion?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.figures import tabulate_figures, tabulate_slices
from gates.model.reconstruction import measure_macro_precision
from gates.specs import ModelGate

if TYPE_CHECKING:
    import numpy as np

STAGE = "model"
GAIN = "accuracy gained over the champion"
SLICES = "worst slice's accuracy"
LOW = "lower end of the accuracy's 95 % interval"
PRECISION = "mean average precision of the classes"
CALIBRATION = "expected calibration error"
_MEAN = "expect_column_mean_to_be_between"
_LEAST = "expect_column_min_to_be_between"


@dataclass(frozen=True)
class ModelFacts:
    """What the model gate judges.

    Attributes:
        predictions: one row a held-out row, from `tabulate_predictions`.
        rows_held_out: rows of the held-out split: each must have been judged, once.
        labels: names of the declared classes.
        slice_columns: metadata columns of the predictions of which each value is a slice, beside
            each class.
    """

    predictions: Table
    rows_held_out: int
    labels: tuple[str, ...]
    slice_columns: tuple[str, ...] = ()

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
    metadata: "Mapping[str, np.ndarray[Any, Any]] | None" = None,
) -> Table:
    """Return one row a held-out row, with what the expectations judge.

    Columns: row_id, label, predicted, confidence, correct (0 or 1), probability_sum,
    probability_min, average_precision (one figure, repeated: the mean over the classes that occur),
    and with a champion champion_predicted and gain (candidate's correct minus champion's: -1, 0 or
    1).

    Args:
        row_id: (N,) uint64.
        label: (N,) integer true class.
        probabilities: (N, K) float, each row summing to 1.
        champion_predicted: (N,) integer classes that the promoted model answers for the same rows,
            in the same order.
        metadata: further (N,) columns, such as the site or the device, to be judged slice by slice.

    Raises:
        SuiteError: the arrays do not share their length, or there is no class.
    """
    import numpy as np
    import pandas as pd

    lengths = {
        len(array)
        for array in (row_id, label, probabilities, champion_predicted)
        if array is not None
    }
    if probabilities.ndim != 2 or probabilities.shape[1] == 0 or len(lengths) != 1:
        raise SuiteError(
            f"predictions (probabilities {probabilities.shape}) must be (N, K) with one row for "
            "each of the labels; "
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
    columns["average_precision"] = np.full(
        len(label), measure_macro_precision(label, probabilities)
    )
    if champion_predicted is not None:
        columns["champion_predicted"] = champion_predicted
        columns["gain"] = columns["correct"] - (champion_predicted == label).astype(np.float64)
    return Table(pd.DataFrame({**columns, **(metadata or {})}), identity=("row_id",))


def judge_model(gate: ModelGate, facts: ModelFacts) -> GateReport:
    """Judge held-out predictions: complete, proper probabilities, accurate everywhere, and no worse than the champion."""
    skipped: list[Check] = []
    if not facts.has_champion:
        skipped.append(skip_check(_MEAN, GAIN, "no model has been promoted yet"))
    tables = {"predictions": facts.predictions}
    if facts.predictions.rows:
        slices = tabulate_slices(
            facts.predictions, facts.labels, facts.slice_columns, gate.min_slice_rows
        )
        tables |= {"slices": slices, "figures": tabulate_figures(facts.predictions)}
        if not slices.rows:
            skipped.append(skip_check(_LEAST, SLICES, f"no slice has {gate.min_slice_rows} rows"))
    return run_suite(
        build_model_suite(gate, facts, judge_slices="slices" not in tables or slices.rows > 0),
        tables,
        skipped,
    )


def build_model_suite(gate: ModelGate, facts: ModelFacts, *, judge_slices: bool = True) -> Suite:
    """Return the model gate's expectations for these facts."""
    frame = facts.predictions.frame
    majority = float(frame["label"].value_counts(normalize=True).max()) if len(frame) else 1.0
    expectations = [
        *_expect_complete(facts),
        *_expect_probabilities(gate),
        _expect_mean("held-out accuracy", "correct", gate.min_accuracy),
        *_expect_gain(gate, majority),
        *_expect_figures(gate),
        *(
            [expect(_LEAST, "slices", SLICES, column="accuracy", min_value=gate.min_slice_accuracy)]
            if judge_slices
            else []
        ),
        *(_expect_champion(gate) if facts.has_champion else []),
    ]
    return Suite(stage=STAGE, expectations=tuple(expectations))


def _expect_gain(gate: ModelGate, majority: float) -> list[Expectation]:
    """Return the expectation on accuracy above the commonest class's share, if the recipe sets a limit."""
    gain = gate.min_gain_over_majority
    if gain is None:
        return []
    about = f"held-out accuracy above the majority class's {majority:.6g} by {gain:g}"
    unreached = "no model reaches that: lower min_gain_over_majority, or set it to null beside min_average_precision"
    hint = unreached if majority + gain > 1 else ""
    return [
        expect(_MEAN, "predictions", about, column="correct", min_value=majority + gain, hint=hint)
    ]


def _expect_figures(gate: ModelGate) -> list[Expectation]:
    """Return expectations on the accuracy's confidence interval and on calibration."""
    return [
        *expect_present("figures", {"accuracy_low": LOW, "calibration_error": CALIBRATION}),
        *_expect_precision(gate),
        expect(
            _LEAST, "figures", LOW, column="accuracy_low", min_value=gate.min_accuracy_lower_bound
        ),
        expect(
            "expect_column_max_to_be_between",
            "figures",
            CALIBRATION,
            column="calibration_error",
            min_value=0,
            max_value=gate.max_calibration_error,
        ),
    ]


def _expect_precision(gate: ModelGate) -> list[Expectation]:
    """Return the expectation on the average precision, if the recipe sets a limit."""
    least = gate.min_average_precision
    if least is None:
        return []
    return [
        *expect_present("figures", {"average_precision": PRECISION}),
        expect(_LEAST, "figures", PRECISION, column="average_precision", min_value=least),
    ]


def _expect_champion(gate: ModelGate) -> list[Expectation]:
    """Return expectations against the champion: the margin stops, the paired test warns."""
    return [
        *expect_present("predictions", ("champion_predicted", "gain")),
        _expect_mean(GAIN, "gain", -gate.max_loss_to_champion),
        expect(
            _LEAST,
            "figures",
            "p-value that the champion is no better (McNemar's exact test)",
            column="worse_p_value",
            min_value=gate.min_worse_p_value,
            severity="warn",
        ),
    ]


def _expect_complete(facts: ModelFacts) -> list[Expectation]:
    """Return expectations that every held-out row was judged once, with a declared class."""
    classes = list(range(len(facts.labels)))
    in_set = "expect_column_values_to_be_in_set"
    return [
        expect(
            "expect_table_row_count_to_equal",
            "predictions",
            "rows judged",
            value=facts.rows_held_out,
        ),
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
        expect(
            between,
            "predictions",
            column="probability_sum",
            min_value=1 - slack,
            max_value=1 + slack,
        ),
        expect(between, "predictions", column="probability_min", min_value=0, max_value=1),
        expect(between, "predictions", column="confidence", min_value=0, max_value=1 + slack),
    ]


def _expect_mean(about: str, column: str, floor: float) -> Expectation:
    """Return an expectation that the mean of a column is not below a floor."""
    return expect(_MEAN, "predictions", about, column=column, min_value=floor)
