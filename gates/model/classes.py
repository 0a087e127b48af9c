"""The model gate of classes judges how often, how evenly and how surely answers are right."""

from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import GateReport
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.calibration import judge_calibration
from gates.model.champion import compare_champion
from gates.model.facts import STAGE, ModelFacts
from gates.model.objective import ModelGateOfObjective
from gates.model.paired import bootstrap_accuracy
from gates.model.part import FIGURES, KEYS, LEAST, MOST, Part, join_parts, tabulate_figures
from gates.model.skill import compare_baselines
from gates.model.slices import judge_worst, list_few, tabulate_accuracies, tabulate_recalls
from gates.specs.model import ClassesGate

if TYPE_CHECKING:
    import numpy as np

RECALL = "worst class's accuracy, its recall"
SLICES = "worst slice's accuracy"
LOW = "lower end of the accuracy's 95 % interval"
ACCURACY = "accuracy"
_MEAN = "expect_column_mean_to_be_between"
_EACH = "expect_column_values_to_be_between"


def judge_classes(gate: ClassesGate, facts: ModelFacts) -> GateReport:
    """Judge held-out probabilities: complete, proper, right everywhere, no worse than the champion.

    Figures: `accuracy`, and the average precision that `name_precision` names if it is judged.

    Raises:
        SuiteError: the arrays do not share their length, or there is no class.
    """
    _check_facts(facts)
    predictions = _tabulate_predictions(facts)
    tables = {"predictions": predictions}
    expectations = _expect_answers(gate, facts)
    if not facts.rows:
        return run_suite(Suite(stage=STAGE, expectations=tuple(expectations)), tables)
    correct = predictions.frame["correct"].to_numpy(dtype="float64")
    figure = name_skill(gate, facts.labels)
    compared = join_parts(
        [
            judge_calibration(gate, facts, predictions),
            compare_baselines(gate, facts, figure),
            _judge_slices(gate, facts, correct),
            compare_champion(gate, facts, figure),
        ]
    )
    figures = {**_list_figures(gate, facts, correct), **compared.figures}
    tables |= {FIGURES: tabulate_figures(figures), **compared.tables}
    suite = Suite(stage=STAGE, expectations=(*expectations, *compared.expectations))
    return run_suite(suite, tables, compared.skipped)


def name_skill(gate: ClassesGate, labels: tuple[str, ...]) -> str:
    """Return the name of the figure by which baselines and champion are compared."""
    chosen = gate.skill_by
    if chosen is None:
        chosen = "accuracy" if gate.min_average_precision is None else "average_precision"
    ranked = chosen in ("average_precision", "auroc") and len(labels) > 2
    return f"macro_{chosen}" if ranked else chosen


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


def _expect_answers(gate: ClassesGate, facts: ModelFacts) -> list[Expectation]:
    """Return the expectations on the answers by themselves."""
    least = gate.min_accuracy_lower_bound
    return [
        *_expect_complete(facts),
        *_expect_probabilities(gate),
        _expect_accuracy("held-out accuracy", gate.min_accuracy, "min_accuracy"),
        *_expect_gain(gate, facts),
        *expect_present(FIGURES, {"accuracy_low": LOW}),
        *_expect_precision(gate, facts),
        *_expect_decided(gate),
        expect(
            LEAST,
            FIGURES,
            LOW,
            column="accuracy_low",
            min_value=least,
            key=KEYS + "min_accuracy_lower_bound",
        ),
    ]


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
    key = KEYS + "probability_sum_tolerance"
    return [
        *expect_present(table, ("confidence", total, "probability_min")),
        expect(_EACH, table, column=total, min_value=1 - slack, max_value=1 + slack, key=key),
        expect(_EACH, table, column="probability_min", min_value=0, max_value=1),
        expect(_EACH, table, column="confidence", min_value=0, max_value=1 + slack, key=key),
    ]


def _expect_accuracy(about: str, least: float, key: str, hint: str = "") -> Expectation:
    """Return an expectation that the accuracy is not below a floor."""
    key = KEYS + key
    return expect(_MEAN, FIGURES, about, column=ACCURACY, min_value=least, hint=hint, key=key)


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
    hint = unreached if majority + gain > 1 else ""
    return [_expect_accuracy(about, majority + gain, "min_gain_over_majority", hint)]


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
    key = KEYS + "min_average_precision"
    return [
        *expect_present(FIGURES, {name: about}, key),
        expect(LEAST, FIGURES, about, column=name, min_value=least, key=key),
    ]


def _expect_decided(gate: ClassesGate) -> list[Expectation]:
    """Return the expectations on recall and precision by a chosen threshold; none without limits.

    One that was not measured, as without a threshold, does not pass.
    """
    limits = {"recall": gate.min_recall, "precision": gate.min_precision}
    found: list[Expectation] = []
    for name, least in limits.items():
        if least is not None:
            about, key = f"{name} of the positive class", f"{KEYS}min_{name}"
            found += expect_present(FIGURES, {name: about}, key)
            found.append(expect(LEAST, FIGURES, about, column=name, min_value=least, key=key))
    return found


def _judge_slices(gate: ClassesGate, facts: ModelFacts, correct: "np.ndarray[Any, Any]") -> Part:
    """Judge the recall of each class and the accuracy of each value of metadata.

    A class of too few rows warns: that it is found was not shown.
    """
    limit, rows = ("min_slice_accuracy", gate.min_slice_accuracy), gate.min_slice_rows
    classes = tabulate_recalls(facts, correct, rows)
    others = tabulate_accuracies(facts, correct, rows)
    hint = f"too few rows: {list_few(classes.few)}; hold out more"
    few = "classes whose recall is not judged"
    unjudged = Part(
        expectations=(
            expect(
                MOST,
                FIGURES,
                few,
                column="classes_few",
                max_value=0,
                severity="warn",
                hint=hint,
                key=KEYS + "min_slice_rows",
            ),
        ),
        figures={"classes_few": float(len(classes.few))},
    )
    recalls = judge_worst(classes, RECALL, ACCURACY, limit, rows, "classes")
    return join_parts([recalls, unjudged, judge_worst(others, SLICES, ACCURACY, limit, rows)])


def _measure_majority(facts: ModelFacts) -> float:
    """Return the share of the rows that always answering the commonest class gets right."""
    import numpy as np

    if not facts.rows:
        return 1.0
    _, counts = np.unique(facts.truth, return_counts=True)
    return float(counts.max() / facts.rows)


def _tabulate_predictions(facts: ModelFacts) -> Table:
    """Return one row a held-out row, with what the expectations judge.

    Columns: row_id, label, predicted, confidence, correct (0 or 1), likeliest (whether the most
    probable class is right, 0 or 1), probability_sum, probability_min.
    """
    import numpy as np
    import pandas as pd

    likeliest = np.argmax(facts.answers, axis=1)
    predicted = likeliest if facts.predicted is None else facts.predicted
    columns = {
        "row_id": facts.row_id,
        "label": facts.truth,
        "predicted": predicted,
        "confidence": np.max(facts.answers, axis=1).astype(np.float64),
        "correct": (predicted == facts.truth).astype(np.float64),
        "likeliest": (likeliest == facts.truth).astype(np.float64),
        "probability_sum": facts.answers.sum(axis=1, dtype=np.float64),
        "probability_min": facts.answers.min(axis=1).astype(np.float64),
    }
    return Table(pd.DataFrame(columns), identity=("row_id",))


def _list_figures(
    gate: ClassesGate, facts: ModelFacts, correct: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    """Return the figures handed in, and the accuracy's interval."""
    low, _ = bootstrap_accuracy(correct)
    precision = name_precision(facts.labels)
    limits = {"recall": gate.min_recall, "precision": gate.min_precision}
    decided = {name: facts.find_figure(name) for name, least in limits.items() if least is not None}
    return {
        **decided,
        ACCURACY: facts.find_figure(ACCURACY),
        "accuracy_low": low,
        precision: facts.find_figure(precision),
    }


GATE = ModelGateOfObjective("classes", ClassesGate, judge_classes)
