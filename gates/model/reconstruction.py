"""The model gate of anomaly detectors asks high scores to find the few labelled anomalies."""

from typing import TYPE_CHECKING

from gates.engine.judge import run_suite
from gates.engine.report import GateReport, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.facts import STAGE, ModelFacts
from gates.model.objective import ModelGateOfObjective
from gates.specs.model import ReconstructionGate

if TYPE_CHECKING:
    import pandas as pd

CHAMPION = "average precision gained over the champion"
AVERAGE_PRECISION, AUROC = "average_precision", "auroc"
_LEAST = "expect_column_min_to_be_between"
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
    tables = {"scores": Table(_tabulate_scores(facts)), "figures": Table(_tabulate_figures(facts))}
    reason = "no model has been promoted yet"
    skipped = [] if facts.champion is not None else [skip_check(_LEAST, CHAMPION, reason)]
    return run_suite(_build_suite(gate, facts), tables, skipped)


def _build_suite(gate: ReconstructionGate, facts: ModelFacts) -> Suite:
    """Return the gate's expectations for these facts."""
    precision, auroc = "average precision", "area under the ROC curve"
    above = f"average precision above chance, {_measure_chance(facts):.4g}"
    rows, few = facts.rows_held_out, gate.min_anomalies
    expectations = (
        expect("expect_table_row_count_to_equal", "scores", "rows judged", value=rows),
        expect(_SUM, "scores", "scores not finite", column="not_finite", max_value=0),
        expect(_SUM, "scores", "anomalous rows", column="anomalous", min_value=few),
        *expect_present("figures", {AVERAGE_PRECISION: precision, AUROC: auroc}),
        _expect_least(precision, AVERAGE_PRECISION, gate.min_average_precision),
        _expect_least(above, "gain", gate.min_gain_over_chance),
        _expect_least(auroc, AUROC, gate.min_auroc),
        *(_expect_champion(gate) if facts.champion is not None else ()),
    )
    return Suite(stage=STAGE, expectations=expectations)


def _expect_champion(gate: ReconstructionGate) -> list[Expectation]:
    """Return expectations against the champion's average precision."""
    least = -gate.max_loss_to_champion
    return [
        *expect_present("figures", {"champion_gain": CHAMPION}),
        _expect_least(CHAMPION, "champion_gain", least),
    ]


def _expect_least(about: str, column: str, least: float) -> Expectation:
    """Return an expectation that a figure is not below a floor."""
    return expect(_LEAST, "figures", about, column=column, min_value=least)


def _measure_chance(facts: ModelFacts) -> float:
    """Return the average precision of scores that know nothing: the anomalies' share."""
    return float(facts.truth.astype(bool).mean()) if facts.rows else 1.0


def _tabulate_scores(facts: ModelFacts) -> "pd.DataFrame":
    """Return one row a held-out row: not_finite and anomalous."""
    import numpy as np
    import pandas as pd

    finite = np.isfinite(facts.answers.astype(np.float64))
    return pd.DataFrame({"not_finite": ~finite, "anomalous": facts.truth.astype(bool)})


def _tabulate_figures(facts: ModelFacts) -> "pd.DataFrame":
    """Return one row: the figures, and the gains over chance and over the champion."""
    import pandas as pd

    precision = facts.find_figure(AVERAGE_PRECISION)
    figures = {
        AVERAGE_PRECISION: precision,
        "gain": precision - _measure_chance(facts),
        AUROC: facts.find_figure(AUROC),
    }
    if facts.champion is not None:
        figures["champion_gain"] = precision - facts.find_champion_figure(AVERAGE_PRECISION)
    return pd.DataFrame([figures])


GATE = ModelGateOfObjective("reconstruction", ReconstructionGate, judge_reconstruction)
