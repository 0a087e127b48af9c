"""The model gate of classes judges how often, how evenly and how surely answers are right."""

from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.facts import STAGE, ModelFacts
from gates.model.objective import ModelGateOfObjective
from gates.model.paired import bootstrap_accuracy, compare_classes
from gates.model.slices import tabulate_accuracies
from gates.specs.model import ClassesGate

if TYPE_CHECKING:
    import numpy as np

GAIN = "accuracy gained over the champion"
SLICES = "worst slice's accuracy"
LOW = "lower end of the accuracy's 95 % interval"
CALIBRATION = "expected calibration error"
WORSE = "p-value that the champion is no better (McNemar's exact test)"
ACCURACY = "accuracy"
_MEAN = "expect_column_mean_to_be_between"
_LEAST = "expect_column_min_to_be_between"
_MOST = "expect_column_max_to_be_between"
_EACH = "expect_column_values_to_be_between"
_BINS = 15


def judge_classes(gate: ClassesGate, facts: ModelFacts) -> GateReport:
    """Judge held-out probabilities: complete, proper, right everywhere, no worse than the champion.

    Figures: `accuracy`, and the average precision that `name_precision` names if it is judged.

    Raises:
        SuiteError: the arrays do not share their length, or there is no class.
    """
    _check_facts(facts)
    predictions = _tabulate_predictions(facts)
    tables = {"predictions": predictions}
    skipped: list[Check] = []
    if facts.champion is None:
        skipped.append(skip_check(_MEAN, GAIN, "no model has been promoted yet"))
    judge_slices = True
    if facts.rows:
        least = gate.min_slice_rows
        slices = tabulate_accuracies(predictions, facts.labels, tuple(facts.slices), least)
        tables |= {"slices": slices, "figures": _tabulate_figures(facts, predictions)}
        if not slices.rows:
            judge_slices = False
            skipped.append(skip_check(_LEAST, SLICES, f"no slice has {least} rows"))
    return run_suite(_build_suite(gate, facts, judge_slices=judge_slices), tables, skipped)


def name_precision(labels: tuple[str, ...]) -> str:
    """Return the name of the average precision's figure.

    Of two classes it is that of the positive one, of more the unweighted mean of all.
    """
    return "average_precision" if len(labels) <= 2 else "macro_average_precision"


def _check_facts(facts: ModelFacts) -> None:
    """Refuse facts that are not one proper row of probabilities for each label."""
    arrays = (facts.row_id, facts.truth, facts.answers, facts.champion, *facts.slices.values())
    lengths = {len(array) for array in arrays if array is not None}
    if facts.answers.ndim != 2 or facts.answers.shape[1] == 0 or len(lengths) != 1:
        raise SuiteError(
            f"predictions (probabilities {facts.answers.shape}) must be (N, K) with one row for "
            f"each of the labels; got lengths {sorted(lengths)}; judge every held-out row once"
        )


def _build_suite(gate: ClassesGate, facts: ModelFacts, *, judge_slices: bool) -> Suite:
    """Return the gate's expectations for these facts."""
    expectations = [
        *_expect_complete(facts),
        *_expect_probabilities(gate),
        _expect_accuracy("held-out accuracy", gate.min_accuracy),
        *_expect_gain(gate, facts),
        *_expect_figures(gate, facts),
    ]
    if judge_slices:
        least = gate.min_slice_accuracy
        expectations.append(expect(_LEAST, "slices", SLICES, column=ACCURACY, min_value=least))
    if facts.champion is not None:
        expectations += _expect_champion(gate)
    return Suite(stage=STAGE, expectations=tuple(expectations))


def _expect_complete(facts: ModelFacts) -> list[Expectation]:
    """Return expectations that every held-out row was judged once, with a declared class."""
    classes, rows = list(range(len(facts.labels))), facts.rows_held_out
    table, in_set = "predictions", "expect_column_values_to_be_in_set"
    return [
        expect("expect_table_row_count_to_equal", table, "rows judged", value=rows),
        *expect_present(table, ("row_id", "label", "predicted")),
        expect("expect_column_values_to_be_unique", table, column="row_id"),
        expect(in_set, table, column="label", value_set=classes),
        expect(in_set, table, column="predicted", value_set=classes),
    ]


def _expect_probabilities(gate: ClassesGate) -> list[Expectation]:
    """Return expectations that probabilities lie in [0, 1] and sum to 1 (Kolmogorov's axioms)."""
    slack, table, total = gate.probability_sum_tolerance, "predictions", "probability_sum"
    return [
        *expect_present(table, ("confidence", total, "probability_min")),
        expect(_EACH, table, column=total, min_value=1 - slack, max_value=1 + slack),
        expect(_EACH, table, column="probability_min", min_value=0, max_value=1),
        expect(_EACH, table, column="confidence", min_value=0, max_value=1 + slack),
    ]


def _expect_accuracy(about: str, least: float, hint: str = "") -> Expectation:
    """Return an expectation that the accuracy is not below a floor."""
    return expect(_MEAN, "figures", about, column=ACCURACY, min_value=least, hint=hint)


def _expect_gain(gate: ClassesGate, facts: ModelFacts) -> list[Expectation]:
    """Return the expectation on accuracy above always answering the commonest class, if any."""
    gain = gate.min_gain_over_majority
    if gain is None:
        return []
    majority = _measure_majority(facts)
    unreached = (
        "no model reaches that: lower min_gain_over_majority, or set it to null beside "
        "min_average_precision"
    )
    about = f"held-out accuracy above the majority class's {majority:.6g} by {gain:g}"
    return [_expect_accuracy(about, majority + gain, unreached if majority + gain > 1 else "")]


def _expect_figures(gate: ClassesGate, facts: ModelFacts) -> list[Expectation]:
    """Return expectations on the accuracy's interval, on calibration and on rare classes."""
    least, most = gate.min_accuracy_lower_bound, gate.max_calibration_error
    column, table = "calibration_error", "figures"
    return [
        *expect_present(table, {"accuracy_low": LOW, column: CALIBRATION}),
        *_expect_precision(gate, facts),
        expect(_LEAST, table, LOW, column="accuracy_low", min_value=least),
        expect(_MOST, table, CALIBRATION, column=column, min_value=0, max_value=most),
    ]


def _expect_precision(gate: ClassesGate, facts: ModelFacts) -> list[Expectation]:
    """Return the expectation on the average precision; none without a limit."""
    least = gate.min_average_precision
    if least is None:
        return []
    name = name_precision(facts.labels)
    about = {
        "average_precision": "average precision of the positive class",
        "macro_average_precision": "mean average precision of the classes",
    }[name]
    return [
        *expect_present("figures", {name: about}),
        expect(_LEAST, "figures", about, column=name, min_value=least),
    ]


def _expect_champion(gate: ClassesGate) -> list[Expectation]:
    """Return expectations against the champion: the margin stops, the paired test warns."""
    margin, least, column = -gate.max_loss_to_champion, gate.min_worse_p_value, "worse_p_value"
    return [
        *expect_present("predictions", ("champion_predicted", "gain")),
        expect(_MEAN, "predictions", GAIN, column="gain", min_value=margin),
        expect(_LEAST, "figures", WORSE, column=column, min_value=least, severity="warn"),
    ]


def _measure_majority(facts: ModelFacts) -> float:
    """Return the share of the rows that always answering the commonest class gets right."""
    import numpy as np

    if not facts.rows:
        return 1.0
    _, counts = np.unique(facts.truth, return_counts=True)
    return float(counts.max() / facts.rows)


def _tabulate_predictions(facts: ModelFacts) -> Table:
    """Return one row a held-out row, with what the expectations judge.

    Columns: row_id, label, predicted, confidence, correct (0 or 1), probability_sum,
    probability_min, the slices' metadata, and with a champion champion_predicted and gain
    (candidate's correct minus champion's: -1, 0 or 1).
    """
    import numpy as np
    import pandas as pd

    predicted = np.argmax(facts.answers, axis=1)
    correct = (predicted == facts.truth).astype(np.float64)
    columns = {
        "row_id": facts.row_id,
        "label": facts.truth,
        "predicted": predicted,
        "confidence": np.max(facts.answers, axis=1).astype(np.float64),
        "correct": correct,
        "probability_sum": facts.answers.sum(axis=1, dtype=np.float64),
        "probability_min": facts.answers.min(axis=1).astype(np.float64),
    }
    if facts.champion is not None:
        answered = np.argmax(facts.champion, axis=1)
        gain = correct - (answered == facts.truth).astype(np.float64)
        columns |= {"champion_predicted": answered, "gain": gain}
    return Table(pd.DataFrame({**columns, **facts.slices}), identity=("row_id",))


def _tabulate_figures(facts: ModelFacts, predictions: Table) -> Table:
    """Return one row: figures handed in, the interval, the calibration and McNemar's p-value."""
    import numpy as np
    import pandas as pd

    frame = predictions.frame
    correct = frame["correct"].to_numpy(dtype=np.float64)
    low, _ = bootstrap_accuracy(correct)
    confidence = frame["confidence"].to_numpy(dtype=np.float64)
    precision = name_precision(facts.labels)
    figures = {
        ACCURACY: facts.find_figure(ACCURACY),
        "accuracy_low": low,
        "calibration_error": measure_calibration(confidence, correct),
        precision: facts.find_figure(precision),
    }
    if "gain" in frame:
        lost, won = int((frame["gain"] < 0).sum()), int((frame["gain"] > 0).sum())
        figures["worse_p_value"] = compare_classes(lost, won)
    return Table(pd.DataFrame([figures]))


def measure_calibration(
    confidence: "np.ndarray[Any, Any]", correct: "np.ndarray[Any, Any]"
) -> float:
    """Return the expected calibration error over 15 equal bins (Guo et al., 2017).

    Args:
        confidence: (N,) probability of the answer, 0 to 1; the error is NaN if one is not finite.
        correct: (N,) 0 or 1.
    """
    import numpy as np

    if not np.isfinite(confidence).all():
        return float("nan")
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(correct))


GATE = ModelGateOfObjective("classes", ClassesGate, judge_classes)
