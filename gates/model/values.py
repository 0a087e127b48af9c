"""The model gate of numbers asks answers to be near the truth, and nearer than baselines."""

import math
from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import GateReport
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.model.champion import compare_champion
from gates.model.facts import STAGE, ModelFacts, find_measure
from gates.model.objective import ModelGateOfObjective
from gates.model.part import FIGURES, KEYS, LEAST, MOST, Part, join_parts, tabulate_figures
from gates.model.quantiles import judge_quantiles
from gates.model.skill import compare_baselines
from gates.model.slices import judge_worst, tabulate_skills
from gates.specs.model import ValuesGate

if TYPE_CHECKING:
    import numpy as np

SLICES = "worst slice's skill"
WORSE = "slices that are surely worse than their best baseline"
WORSE_SHARE = "largest share of slices of a sort that are surely worse than their best baseline"
MAE, RMSE = "mae", "rmse"
_SUM = "expect_column_sum_to_be_between"


def judge_values(gate: ValuesGate, facts: ModelFacts) -> GateReport:
    """Judge held-out answers: complete, finite, near the truth, nearer than the rest.

    The rest are every baseline and the champion. Figures: `mae` and `rmse`.

    Raises:
        SuiteError: there is no baseline, or the arrays do not share their shape.
    """
    _check_facts(facts)
    tables = {"answers": _tabulate_answers(facts), "windows": _tabulate_windows(facts)}
    expectations = _expect_complete(gate, facts)
    if not facts.rows:
        return run_suite(Suite(stage=STAGE, expectations=tuple(expectations)), tables)
    compared = join_parts(
        [
            _judge_errors(gate, facts),
            compare_baselines(gate, facts, gate.skill_by),
            judge_quantiles(gate, facts),
            _judge_slices(gate, facts),
            compare_champion(gate, facts, gate.skill_by),
        ]
    )
    tables |= {FIGURES: tabulate_figures(compared.figures), **compared.tables}
    suite = Suite(stage=STAGE, expectations=(*expectations, *compared.expectations))
    return run_suite(suite, tables, compared.skipped)


def _judge_errors(gate: ValuesGate, facts: ModelFacts) -> Part:
    """Judge the errors by themselves."""
    unit = f", {facts.unit}" if facts.unit else ""
    mae, rmse = f"held-out mean absolute error{unit}", f"held-out root mean squared error{unit}"
    return Part(
        expectations=(
            *expect_present(FIGURES, {MAE: mae, RMSE: rmse}),
            *_expect_most(mae, MAE, gate.max_mae, "max_mae"),
            *_expect_most(rmse, RMSE, gate.max_rmse, "max_rmse"),
        ),
        figures={MAE: facts.find_figure(MAE), RMSE: facts.find_figure(RMSE)},
    )


def _judge_slices(gate: ValuesGate, facts: ModelFacts) -> Part:
    """Judge the worst slice, and how many of each sort are surely worse than a baseline."""
    import pandas as pd

    found = tabulate_skills(facts, find_measure(facts, gate.skill_by), gate.min_slice_rows)
    limit = ("min_slice_skill", gate.min_slice_skill)
    worst = judge_worst(found, SLICES, "skill", limit, gate.min_slice_rows)
    if not found.table.rows:
        return worst
    frame = found.table.frame
    families = frame.groupby("family", sort=False)["worse"].agg(["size", "sum", "mean"])
    families = families.rename(columns={"size": "slices", "sum": "worse", "mean": "share"})
    table = Table(pd.DataFrame(families.reset_index()), identity=("family", "worse", "slices"))
    most = gate.max_worse_slices
    shares = expect(
        MOST,
        "families",
        WORSE_SHARE,
        column="share",
        max_value=most,
        key=KEYS + "max_worse_slices",
    )
    total = expect(
        _SUM, "slices", WORSE, column="worse", max_value=0, mark="worse", severity="warn"
    )
    more = Part(expectations=(shares, total), tables={"families": table})
    return join_parts([worst, more])


def _expect_complete(gate: ValuesGate, facts: ModelFacts) -> list[Expectation]:
    """Return expectations that every held-out row was judged, and enough of them."""
    rows, least = facts.rows_held_out, gate.min_judged_rows
    most = gate.max_unanswered_fraction
    about = "windows left out, as no step asked for has a value"
    return [
        expect("expect_table_row_count_to_equal", "answers", "rows judged", value=rows),
        expect(
            _SUM,
            "answers",
            "answers not finite",
            column="not_finite",
            max_value=0,
            mark="not_finite",
        ),
        expect(
            _SUM,
            "answers",
            "rows without a truth",
            column="target_lost",
            max_value=0,
            mark="target_lost",
        ),
        expect(
            LEAST,
            "windows",
            "rows or windows judged",
            column="judged",
            min_value=least,
            key=KEYS + "min_judged_rows",
        ),
        expect(
            MOST,
            "windows",
            about,
            column="unanswered",
            max_value=most,
            key=KEYS + "max_unanswered_fraction",
        ),
    ]


def _expect_most(about: str, column: str, limit: float | None, key: str) -> list[Expectation]:
    """Return the expectation on an error; none if it is not judged."""
    if limit is None:
        return []
    key = KEYS + key
    return [expect(MOST, FIGURES, about, column=column, min_value=0, max_value=limit, key=key)]


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


def _tabulate_answers(facts: ModelFacts) -> Table:
    """Return one row a held-out row: how many answers are not finite, and whether it has no truth.

    Of several steps or columns some may have no truth: these count nowhere.
    """
    import numpy as np
    import pandas as pd

    def flatten(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        finite = np.isfinite(values.astype(np.float64))
        rows: np.ndarray[Any, Any] = finite.reshape(len(finite), math.prod(finite.shape[1:]))
        return rows

    answered, known = flatten(facts.answers), flatten(facts.truth)
    columns = {
        "row_id": facts.row_id,
        "not_finite": (~answered).sum(axis=1),
        "target_lost": (~known).all(axis=1),
    }
    return Table(pd.DataFrame(columns), identity=("row_id",))


def _tabulate_windows(facts: ModelFacts) -> Table:
    """Return one row: rows judged, and the share that was left out."""
    import pandas as pd

    share = facts.unanswered / max(1, facts.rows + facts.unanswered)
    return Table(pd.DataFrame([{"judged": facts.rows, "unanswered": share}]))


GATE = ModelGateOfObjective("values", ValuesGate, judge_values)
