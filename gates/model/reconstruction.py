"""The model gate of anomaly detectors: do high scores find the few labelled anomalies among rows never seen?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import GateReport, skip_check
from gates.engine.suite import Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.specs import AnomalyGate

if TYPE_CHECKING:
    import numpy as np

STAGE = "model"
CHAMPION = "average precision gained over the champion"
_LEAST = "expect_column_min_to_be_between"


@dataclass(frozen=True)
class AnomalyFacts:
    """What the model gate judges of an anomaly detector; all arrays are (N,) in the same order of rows.

    Attributes:
        label: 1 or true for an anomalous row.
        score: the candidate's; higher is more anomalous.
        champion: scores of the promoted model for the same rows; None if there is none.
        rows_held_out: rows that must have been judged; None if every row of `label` is one.
    """

    label: "np.ndarray[Any, Any]"
    score: "np.ndarray[Any, Any]"
    champion: "np.ndarray[Any, Any] | None" = None
    rows_held_out: int | None = None


def judge_anomaly(gate: AnomalyGate, facts: AnomalyFacts) -> GateReport:
    """Judge held-out scores: complete, finite, better than chance, and no worse than the champion's.

    Raises:
        SuiteError: the arrays do not share their length.
    """
    import numpy as np
    import pandas as pd

    lengths = {
        len(array) for array in (facts.label, facts.score, facts.champion) if array is not None
    }
    if len(lengths) != 1:
        raise SuiteError(
            f"scores must have one entry a labelled row; got lengths {sorted(lengths)}; score each "
            "once"
        )
    finite = np.isfinite(facts.score.astype(np.float64))
    scores = pd.DataFrame({"not_finite": ~finite, "anomalous": facts.label.astype(bool)})
    tables = {"scores": Table(scores), "figures": Table(pd.DataFrame([_measure(facts)]))}
    skipped = (
        []
        if facts.champion is not None
        else [skip_check(_LEAST, CHAMPION, "no model has been promoted yet")]
    )
    return run_suite(build_anomaly_suite(gate, facts), tables, skipped)


def build_anomaly_suite(gate: AnomalyGate, facts: AnomalyFacts) -> Suite:
    """Return the gate's expectations for these facts."""
    precision, auroc = "average precision", "area under the ROC curve"
    share = float(facts.label.astype(bool).mean()) if len(facts.label) else 1.0
    above = f"average precision above chance, {share:.4g}"
    rows = len(facts.label) if facts.rows_held_out is None else facts.rows_held_out
    total = "expect_column_sum_to_be_between"
    expectations = [
        expect("expect_table_row_count_to_equal", "scores", "rows judged", value=rows),
        expect(total, "scores", "scores not finite", column="not_finite", max_value=0),
        expect(total, "scores", "anomalous rows", column="anomalous", min_value=gate.min_anomalies),
        *expect_present("figures", {"average_precision": precision, "auroc": auroc}),
        expect(
            _LEAST,
            "figures",
            precision,
            column="average_precision",
            min_value=gate.min_average_precision,
        ),
        expect(_LEAST, "figures", above, column="gain", min_value=gate.min_gain_over_chance),
        expect(_LEAST, "figures", auroc, column="auroc", min_value=gate.min_auroc),
    ]
    if facts.champion is not None:
        expectations += [
            *expect_present("figures", {"champion_gain": CHAMPION}),
            expect(
                _LEAST,
                "figures",
                CHAMPION,
                column="champion_gain",
                min_value=-gate.max_loss_to_champion,
            ),
        ]
    return Suite(stage=STAGE, expectations=tuple(expectations))


def _measure(facts: AnomalyFacts) -> dict[str, float | None]:
    """Return average_precision, its gain over chance and over the champion's, and auroc; None where undefined."""
    label = facts.label.astype(bool)
    precision = measure_average_precision(label, facts.score)
    figures: dict[str, float | None] = {
        "average_precision": precision,
        "gain": None if precision is None else precision - float(label.mean()),
        "auroc": measure_auroc(label, facts.score),
    }
    if facts.champion is not None:
        other = measure_average_precision(label, facts.champion)
        figures["champion_gain"] = None if precision is None or other is None else precision - other
    return figures


def measure_average_precision(
    label: "np.ndarray[Any, Any]", score: "np.ndarray[Any, Any]"
) -> float | None:
    """Return the step-wise area under precision over recall, ties counted together; None where it is undefined.

    Args:
        label: (N,) bool.
        score: (N,) float; higher is more anomalous.
    """
    import numpy as np

    if not label.any() or not np.isfinite(score).all():
        return None
    order = np.argsort(-score, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    found = np.cumsum(label[order])[last]
    precision, recall = found / (last + 1), found / label.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def measure_auroc(label: "np.ndarray[Any, Any]", score: "np.ndarray[Any, Any]") -> float | None:
    """Return the share of pairs in which the anomalous row scores higher, ties as half (Mann and Whitney, 1947)."""
    import numpy as np

    positive, negative = int(label.sum()), int((~label).sum())
    if not positive or not negative or not np.isfinite(score).all():
        return None
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float(
        (ranks[place][label].sum() - positive * (positive + 1) / 2) / (positive * negative)
    )


def measure_macro_precision(
    label: "np.ndarray[Any, Any]", probabilities: "np.ndarray[Any, Any]"
) -> float:
    """Return the mean over the classes that occur of the average precision, one against the rest; NaN if undefined.

    Args:
        label: (N,) true class.
        probabilities: (N, K).
    """
    known_classes = range(probabilities.shape[1])
    found = [
        measure_average_precision(label == number, probabilities[:, number])
        if number in known_classes
        else None
        for number in _list_classes(label)
    ]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else float("nan")


def _list_classes(label: "np.ndarray[Any, Any]") -> list[int]:
    """Return the classes that occur."""
    import numpy as np

    return [int(number) for number in np.unique(label)]
