"""The model gate of anomaly detectors asks high scores to find the few labelled anomalies."""

from typing import TYPE_CHECKING

from gates.engine.judge import run_suite
from gates.engine.report import GateReport
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.champion import compare_champion
from gates.model.facts import STAGE, ModelFacts, find_measure
from gates.model.objective import ModelGateOfObjective
from gates.model.part import FIGURES, KEYS, LEAST, Part, join_parts, tabulate_figures
from gates.model.skill import compare_baselines
from gates.model.slices import judge_worst, tabulate_rankings
from gates.specs.model import ReconstructionGate

if TYPE_CHECKING:
    import pandas as pd

SLICES = "worst slice's area under the ROC curve"
AVERAGE_PRECISION, AUROC = "average_precision", "auroc"
_SUM = "expect_column_sum_to_be_between"


def judge_reconstruction(gate: ReconstructionGate, facts: ModelFacts) -> GateReport:
    """Judge held-out scores: complete, finite, better than chance, no worse than the champion's.

    Figures: `average_precision` and `auroc`, of the anomalous rows.

    Raises:
        SuiteError: the arrays do not share their length.
    """
    arrays = (facts.row_id, facts.truth, facts.answers, facts.champion)
    lengths = {len(array) for array in arrays if array is not None}
    if len(lengths) != 1:
        raise SuiteError(
            f"scores must have one entry a labelled row; got lengths {sorted(lengths)}; score each "
            "once"
        )
    compared = join_parts(
        [
            compare_baselines(gate, facts, gate.skill_by),
            _judge_slices(gate, facts),
            compare_champion(gate, facts, gate.skill_by),
        ]
    )
    tables = {
        "scores": Table(_tabulate_scores(facts)),
        FIGURES: tabulate_figures({**_list_figures(facts), **compared.figures}),
        **compared.tables,
    }
    expectations = (*_expect_figures(gate, facts), *compared.expectations)
    return run_suite(Suite(stage=STAGE, expectations=expectations), tables, compared.skipped)


def _expect_figures(gate: ReconstructionGate, facts: ModelFacts) -> list[Expectation]:
    """Return the expectations on the scores and their figures."""
    precision, auroc = "average precision", "area under the ROC curve"
    above = f"average precision above chance, {_measure_chance(facts):.4g}"
    rows, few = facts.rows_held_out, gate.min_anomalies
    return [
        expect("expect_table_row_count_to_equal", "scores", "rows judged", value=rows),
        expect(_SUM, "scores", "scores not finite", column="not_finite", max_value=0),
        expect(
            _SUM,
            "scores",
            "anomalous rows",
            column="anomalous",
            min_value=few,
            key=KEYS + "min_anomalies",
        ),
        *expect_present(FIGURES, {AVERAGE_PRECISION: precision, AUROC: auroc}),
        _expect_least(precision, AVERAGE_PRECISION, gate, "min_average_precision"),
        _expect_least(above, "gain", gate, "min_gain_over_chance"),
        _expect_least(auroc, AUROC, gate, "min_auroc"),
    ]


def _judge_slices(gate: ReconstructionGate, facts: ModelFacts) -> Part:
    """Judge how well each value of metadata is ranked."""
    measure = find_measure(facts, AUROC)
    found = tabulate_rankings(facts, measure, gate.min_slice_rows, gate.min_anomalies)
    limit = ("min_slice_auroc", gate.min_slice_auroc)
    return judge_worst(found, SLICES, "figure", limit, gate.min_slice_rows)


def _expect_least(about: str, column: str, gate: ReconstructionGate, limit: str) -> Expectation:
    """Return an expectation that a figure is not below a limit of the gate."""
    least, key = getattr(gate, limit), KEYS + limit
    return expect(LEAST, FIGURES, about, column=column, min_value=least, key=key)


def _measure_chance(facts: ModelFacts) -> float:
    """Return the average precision of scores that know nothing: the anomalies' share."""
    return float(facts.truth.astype(bool).mean()) if facts.rows else 1.0


def _tabulate_scores(facts: ModelFacts) -> "pd.DataFrame":
    """Return one row a held-out row: not_finite and anomalous."""
    import numpy as np
    import pandas as pd

    finite = np.isfinite(facts.answers.astype(np.float64))
    return pd.DataFrame({"not_finite": ~finite, "anomalous": facts.truth.astype(bool)})


def _list_figures(facts: ModelFacts) -> dict[str, float]:
    """Return the figures, and the gain over chance."""
    precision = facts.find_figure(AVERAGE_PRECISION)
    return {
        AVERAGE_PRECISION: precision,
        "gain": precision - _measure_chance(facts),
        AUROC: facts.find_figure(AUROC),
    }


GATE = ModelGateOfObjective("reconstruction", ReconstructionGate, judge_reconstruction)
