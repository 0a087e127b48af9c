"""The model gate of numbers asks answers to be near the truth, and nearer than baselines."""

import math
from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, Severity, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.facts import STAGE, ModelFacts
from gates.model.objective import ModelGateOfObjective
from gates.model.paired import bootstrap_skill, compare_errors, divide_errors
from gates.model.slices import tabulate_skills
from gates.specs.model import ValuesGate

if TYPE_CHECKING:
    import numpy as np

CHAMPION = "error above the champion's"
SLICES = "worst slice's skill"
SKILL_LOW = "lower end of the skill's 95 % interval"
WORSE = "p-value that the champion is no better (paired bootstrap)"
MAE, RMSE = "mae", "rmse"
_LEAST = "expect_column_min_to_be_between"
_MOST = "expect_column_max_to_be_between"
_COMPARED = ("skill", "skill_low", "champion_loss", "worse_p_value")


def judge_values(gate: ValuesGate, facts: ModelFacts) -> GateReport:
    """Judge held-out answers: complete, finite, near the truth, nearer than the rest.

    The rest are every baseline and the champion. Figures: `mae` and `rmse`.

    Raises:
        SuiteError: there is no baseline, or the arrays do not share their shape.
    """
    _check_facts(facts)
    tables = {"answers": _tabulate_answers(facts)}
    if not facts.rows:
        return run_suite(_build_suite(gate, facts, "none", slices=False), tables)
    errors = {name: _average_errors(facts, found) for name, found in facts.baselines.items()}
    best = min(errors, key=lambda name: _rank(errors[name]))
    own = _average_errors(facts, facts.answers)
    slices = tabulate_skills(facts.slices, own, errors[best], gate.min_slice_rows)
    tables |= {"figures": _tabulate_figures(facts, own, errors[best]), "slices": slices}
    suite = _build_suite(gate, facts, best, slices=slices.rows > 0)
    return run_suite(suite, tables, _list_skipped(gate, facts, slices))


def _build_suite(gate: ValuesGate, facts: ModelFacts, best: str, *, slices: bool) -> Suite:
    """Return the gate's expectations for these facts."""
    unit = f", {facts.unit}" if facts.unit else ""
    mae, rmse = f"held-out mean absolute error{unit}", f"held-out root mean squared error{unit}"
    skill = f"skill over the best baseline, {best}"
    present = {MAE: mae, RMSE: rmse, "skill": skill, "skill_low": SKILL_LOW}
    expectations: list[Expectation] = [
        *_expect_complete(facts),
        *expect_present("figures", present),
        *_expect_most(mae, MAE, gate.max_mae),
        *_expect_most(rmse, RMSE, gate.max_rmse),
        _expect_skill(skill, gate.min_skill),
        _expect_low(gate),
    ]
    if slices:
        least = gate.min_slice_skill
        expectations.append(expect(_LEAST, "slices", SLICES, column="skill", min_value=least))
    if facts.champion is not None:
        expectations += _expect_champion(gate)
    return Suite(stage=STAGE, expectations=tuple(expectations))


def _expect_complete(facts: ModelFacts) -> list[Expectation]:
    """Return expectations that every held-out row was judged, with a finite answer and truth."""
    total, rows = "expect_column_sum_to_be_between", facts.rows_held_out
    return [
        expect("expect_table_row_count_to_equal", "answers", "rows judged", value=rows),
        expect(total, "answers", "answers not finite", column="not_finite", max_value=0),
        expect(total, "answers", "truths not finite", column="target_lost", max_value=0),
    ]


def _expect_most(about: str, column: str, limit: float | None) -> list[Expectation]:
    """Return the expectation on an error; none if it is not judged."""
    if limit is None:
        return []
    return [expect(_MOST, "figures", about, column=column, min_value=0, max_value=limit)]


def _expect_skill(about: str, least: float) -> Expectation:
    """Return the expectation that the skill is above a limit."""
    return expect(_LEAST, "figures", about, column="skill", min_value=least, strict_min=True)


def _expect_low(gate: ValuesGate) -> Expectation:
    """Return the expectation on the skill's interval; it warns unless the recipe sets a limit."""
    limit = gate.min_skill_lower_bound
    severity: Severity = "warn" if limit is None else "stop"
    least = 0.0 if limit is None else limit
    column = "skill_low"
    return expect(_LEAST, "figures", SKILL_LOW, column=column, min_value=least, severity=severity)


def _expect_champion(gate: ValuesGate) -> list[Expectation]:
    """Return expectations against the champion: the margin stops, the paired test warns."""
    loss, column = gate.max_loss_to_champion, "worse_p_value"
    least = gate.min_worse_p_value
    return [
        *expect_present("figures", {"champion_loss": CHAMPION}),
        expect(_MOST, "figures", CHAMPION, column="champion_loss", max_value=loss),
        expect(_LEAST, "figures", WORSE, column=column, min_value=least, severity="warn"),
    ]


def _list_skipped(gate: ValuesGate, facts: ModelFacts, slices: Table) -> list[Check]:
    """Return checks that do not apply, each with its reason."""
    skipped = []
    if facts.champion is None:
        skipped.append(skip_check(_MOST, CHAMPION, "no model has been promoted yet"))
    if not slices.rows:
        few = f"no slice has {gate.min_slice_rows} rows"
        reason = few if facts.slices else "no metadata column is given"
        skipped.append(skip_check(_LEAST, SLICES, reason))
    return skipped


def _check_facts(facts: ModelFacts) -> None:
    """Refuse facts that cannot be compared row by row."""
    if not facts.baselines:
        raise SuiteError(
            "baselines (none) must be given to judge skill; got none; give the last value or the "
            "mean"
        )
    answers = {"predicted": facts.answers, **facts.baselines}
    if facts.champion is not None:
        answers["champion"] = facts.champion
    wanted = facts.truth.shape
    wrong = {name: found.shape for name, found in answers.items() if found.shape != wanted}
    short = [name for name, values in facts.slices.items() if len(values) != len(facts.truth)]
    if wrong or short or facts.rows != len(facts.truth):
        raise SuiteError(
            f"answers ({wrong or short or facts.row_id.shape}) must have the target's shape "
            f"{wanted}; got others; answer every held-out row once"
        )


def _average_errors(facts: ModelFacts, answers: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return each row's mean absolute error, (N,) float64."""
    import numpy as np

    gaps = np.abs(answers.astype(np.float64) - facts.truth.astype(np.float64))
    means: np.ndarray[Any, Any] = gaps.mean(axis=tuple(range(1, gaps.ndim)))
    return means


def _rank(errors: "np.ndarray[Any, Any]") -> float:
    """Return a baseline's error; one that is not finite comes last."""
    mean = float(errors.mean())
    return mean if math.isfinite(mean) else math.inf


def _tabulate_figures(
    facts: ModelFacts, own: "np.ndarray[Any, Any]", base: "np.ndarray[Any, Any]"
) -> Table:
    """Return one row: mae, rmse, and comparisons with others' answers, row by row."""
    import numpy as np
    import pandas as pd

    figures = {MAE: facts.find_figure(MAE), RMSE: facts.find_figure(RMSE)}
    if not np.isfinite(own).all():
        figures |= dict.fromkeys(_COMPARED, math.nan)
        return Table(pd.DataFrame([figures]))
    low, _ = bootstrap_skill(own, base)
    skill = 1 - divide_errors(float(own.mean()), float(base.mean()))
    figures |= {"skill": skill, "skill_low": low}
    if facts.champion is not None:
        champion = _average_errors(facts, facts.champion)
        loss = divide_errors(float(own.mean()), float(champion.mean())) - 1
        figures |= {"champion_loss": loss, "worse_p_value": compare_errors(own, champion)}
    return Table(pd.DataFrame([figures]))


def _tabulate_answers(facts: ModelFacts) -> Table:
    """Return one row a held-out row: how many of its answers and truths are not finite."""
    import numpy as np
    import pandas as pd

    def count(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        lost = ~np.isfinite(values.astype(np.float64))
        counts: np.ndarray[Any, Any] = lost.sum(axis=tuple(range(1, lost.ndim)), dtype=np.int64)
        return counts

    columns = {"not_finite": count(facts.answers), "target_lost": count(facts.truth)}
    return Table(pd.DataFrame(columns))


GATE = ModelGateOfObjective("values", ValuesGate, judge_values)
