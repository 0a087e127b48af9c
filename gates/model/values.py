"""The model gate of regressions and forecasts: near enough to rows it has never seen, and nearer than any baseline?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, Severity, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.errors import SuiteError
from gates.specs import RegressionGate

if TYPE_CHECKING:
    import numpy as np

STAGE = "model"
CHAMPION = "error above the champion's"
SLICES = "worst slice's skill"
_LEAST = "expect_column_min_to_be_between"
_MOST = "expect_column_max_to_be_between"
_SEED = 20260101  # the interval of the same answers is the same in every run
_RESAMPLES = 1000
_MOST_BLOCKS = 1000
_FIGURES = ("mae", "rmse", "skill", "skill_low", "skill_high", "champion_loss", "worse_p_value")


@dataclass(frozen=True)
class RegressionFacts:
    """What the model gate judges of a regression or a forecast; all arrays share their shape and the order of rows.

    Attributes:
        target: (N,) or (N, ...) true numbers, such as (N, steps ahead, variables), in their own
            unit.
        predicted: the candidate's answers, of the target's shape.
        baselines: answers of the baselines, by name, such as `last value` or `training mean`; at
            least one.
        champion: answers of the promoted model to the same rows; None if there is none.
        rows_held_out: rows of the held-out split that must have been judged; None if every row in
            `target` is one.
        unit: of the target, for messages; empty if unknown.
        slices: metadata columns of (N,) values, of which each value is a slice.
    """

    target: "np.ndarray[Any, Any]"
    predicted: "np.ndarray[Any, Any]"
    baselines: "Mapping[str, np.ndarray[Any, Any]]"
    champion: "np.ndarray[Any, Any] | None" = None
    rows_held_out: int | None = None
    unit: str = ""
    slices: "Mapping[str, np.ndarray[Any, Any]]" = field(default_factory=dict)


def judge_regression(gate: RegressionGate, facts: RegressionFacts) -> GateReport:
    """Judge held-out answers: complete, finite, near the truth, nearer than every baseline and than the champion.

    Raises:
        SuiteError: there is no baseline, or the arrays do not share their shape.
    """
    _check_facts(facts)
    if not len(facts.target):
        return run_suite(
            _build_suite(gate, facts, "none", slices=False), {"answers": _tabulate_answers(facts)}
        )
    errors = {name: _average_errors(facts, answers) for name, answers in facts.baselines.items()}
    best = min(errors, key=lambda name: _rank(errors[name]))
    own = _average_errors(facts, facts.predicted)
    slices = _tabulate_slices(facts, own, errors[best], gate.min_slice_rows)
    tables = {
        "answers": _tabulate_answers(facts),
        "figures": Table(_make_frame(_measure_figures(facts, own, errors[best]))),
        "slices": slices,
    }
    suite = _build_suite(gate, facts, best, slices=slices.rows > 0)
    return run_suite(suite, tables, _list_skipped(gate, facts, slices))


def _build_suite(gate: RegressionGate, facts: RegressionFacts, best: str, *, slices: bool) -> Suite:
    """Return the gate's expectations for these facts."""
    unit = f", {facts.unit}" if facts.unit else ""
    mae, rmse, skill = (
        f"held-out mean absolute error{unit}",
        f"held-out root mean squared error{unit}",
        "skill",
    )
    skill = f"skill over the best baseline, {best}"
    low = "lower end of the skill's 95 % interval"
    rows = len(facts.target) if facts.rows_held_out is None else facts.rows_held_out
    expectations: list[Expectation | None] = [
        expect("expect_table_row_count_to_equal", "answers", "rows judged", value=rows),
        expect(
            "expect_column_sum_to_be_between",
            "answers",
            "answers not finite",
            column="not_finite",
            max_value=0,
        ),
        expect(
            "expect_column_sum_to_be_between",
            "answers",
            "truths not finite",
            column="target_lost",
            max_value=0,
        ),
        *expect_present("figures", {"mae": mae, "rmse": rmse, "skill": skill, "skill_low": low}),
        _expect_most(mae, "mae", gate.max_mae),
        _expect_most(rmse, "rmse", gate.max_rmse),
        expect(_LEAST, "figures", skill, column="skill", min_value=gate.min_skill, strict_min=True),
        _expect_low(gate, low),
        expect(_LEAST, "slices", SLICES, column="skill", min_value=gate.min_slice_skill)
        if slices
        else None,
        *(_expect_champion(gate) if facts.champion is not None else []),
    ]
    return Suite(stage=STAGE, expectations=tuple(item for item in expectations if item is not None))


def _expect_most(about: str, column: str, limit: float | None) -> Expectation | None:
    """Return an expectation on an error; None if it is not judged."""
    return (
        None
        if limit is None
        else expect(_MOST, "figures", about, column=column, min_value=0, max_value=limit)
    )


def _expect_low(gate: RegressionGate, about: str) -> Expectation:
    """Return the expectation on the skill's interval, which only warns unless the recipe sets a limit."""
    limit = gate.min_skill_lower_bound
    severity: Severity = "warn" if limit is None else "stop"
    return expect(
        _LEAST,
        "figures",
        about,
        column="skill_low",
        min_value=0.0 if limit is None else limit,
        severity=severity,
    )


def _expect_champion(gate: RegressionGate) -> list[Expectation]:
    """Return expectations against the champion: the margin stops, the paired test warns."""
    worse = "p-value that the champion is no better (paired bootstrap)"
    return [
        *expect_present("figures", {"champion_loss": CHAMPION}),
        expect(
            _MOST, "figures", CHAMPION, column="champion_loss", max_value=gate.max_loss_to_champion
        ),
        expect(
            _LEAST,
            "figures",
            worse,
            column="worse_p_value",
            min_value=gate.min_worse_p_value,
            severity="warn",
        ),
    ]


def _list_skipped(gate: RegressionGate, facts: RegressionFacts, slices: Table) -> list[Check]:
    """Return checks that do not apply, each with its reason."""
    skipped = []
    if facts.champion is None:
        skipped.append(skip_check(_MOST, CHAMPION, "no model has been promoted yet"))
    if not slices.rows:
        reason = (
            f"no slice has {gate.min_slice_rows} rows"
            if facts.slices
            else "no metadata column is given"
        )
        skipped.append(skip_check(_LEAST, SLICES, reason))
    return skipped


def _check_facts(facts: RegressionFacts) -> None:
    """Refuse facts that cannot be compared row by row."""
    if not facts.baselines:
        raise SuiteError(
            "baselines (none) must be given to judge skill; got none; give the last value or the "
            "mean"
        )
    shapes = {"predicted": facts.predicted.shape} | {
        name: array.shape for name, array in facts.baselines.items()
    }
    if facts.champion is not None:
        shapes["champion"] = facts.champion.shape
    wrong = {name: shape for name, shape in shapes.items() if shape != facts.target.shape}
    short = [name for name, values in facts.slices.items() if len(values) != len(facts.target)]
    if wrong or short:
        raise SuiteError(
            f"answers ({wrong or short}) must have the target's shape {facts.target.shape}; got "
            "others; "
            f"answer every held-out row once"
        )


def _average_errors(
    facts: RegressionFacts, answers: "np.ndarray[Any, Any]"
) -> "np.ndarray[Any, Any]":
    """Return each row's mean absolute error, (N,) float64."""
    import numpy as np

    gaps = np.abs(answers.astype(np.float64) - facts.target.astype(np.float64))
    means: np.ndarray[Any, Any] = gaps.mean(axis=tuple(range(1, gaps.ndim)))
    return means


def _rank(errors: "np.ndarray[Any, Any]") -> float:
    """Return a baseline's error; one that is not finite comes last."""
    mean = float(errors.mean())
    return mean if math.isfinite(mean) else math.inf


def _measure_figures(
    facts: RegressionFacts, own: "np.ndarray[Any, Any]", base: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    """Return mae, rmse, skill, its interval, and with a champion the loss to it and the paired p-value."""
    import numpy as np

    if not np.isfinite(own).all():
        return dict.fromkeys(_FIGURES, math.nan)
    squares = np.square(facts.predicted.astype(np.float64) - facts.target.astype(np.float64))
    draws = _draw_means(own, base)
    skills = [1 - _divide(mine, theirs) for mine, theirs in draws]
    low, high = np.quantile(skills, [0.025, 0.975])
    figures = {
        "mae": float(own.mean()),
        "rmse": float(np.sqrt(squares.mean())),
        "skill": 1 - _divide(float(own.mean()), float(base.mean())),
        "skill_low": float(low),
        "skill_high": float(high),
    }
    if facts.champion is not None:
        champion = _average_errors(facts, facts.champion)
        figures["champion_loss"] = _divide(float(own.mean()), float(champion.mean())) - 1
        no_better = sum(mine <= theirs for mine, theirs in _draw_means(own, champion))
        figures["worse_p_value"] = (no_better + 1) / (_RESAMPLES + 1)
    return figures


def _divide(error: float, base: float) -> float:
    """Return a ratio of errors; two perfect answers are equal, and nothing comes near one perfect answer."""
    if base == 0:
        return 1.0 if error == 0 else float("inf")
    return error / base


def _draw_means(
    own: "np.ndarray[Any, Any]", other: "np.ndarray[Any, Any]"
) -> list[tuple[float, float]]:
    """Return mean errors of both on the same resampled rows.

    Rows next to each other are alike in a series, so that blocks of them are drawn (Kuensch, 1989),
    at most 1000; with fewer rows a block is a row, and this is the ordinary paired bootstrap (Efron
    and Tibshirani, 1993).
    """
    import numpy as np

    starts = np.linspace(0, len(own), min(_MOST_BLOCKS, len(own)), endpoint=False).astype(int)
    sums = np.stack([np.add.reduceat(own, starts), np.add.reduceat(other, starts)])
    sizes = np.diff([*starts, len(own)])
    chosen = np.random.default_rng(_SEED).integers(0, len(starts), (_RESAMPLES, len(starts)))
    rows = sizes[chosen].sum(axis=1)
    means = (
        np.stack([sums[0][chosen].sum(axis=1), sums[1][chosen].sum(axis=1)], axis=1)
        / rows[:, np.newaxis]
    )
    return [(float(mine), float(theirs)) for mine, theirs in means]


def _tabulate_answers(facts: RegressionFacts) -> Table:
    """Return one row a held-out row: how many of its answers and truths are not finite."""
    import numpy as np

    def count(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        lost = ~np.isfinite(values.astype(np.float64))
        counts: np.ndarray[Any, Any] = lost.sum(axis=tuple(range(1, lost.ndim)), dtype=np.int64)
        return counts

    return Table(
        _make_frame({"not_finite": count(facts.predicted), "target_lost": count(facts.target)})
    )


def _tabulate_slices(
    facts: RegressionFacts, own: "np.ndarray[Any, Any]", base: "np.ndarray[Any, Any]", min_rows: int
) -> Table:
    """Return one row for each value of each metadata column with enough rows: slice, rows, skill."""
    import numpy as np
    import pandas as pd

    records: list[dict[str, object]] = []
    for column, values in facts.slices.items():
        for value in np.unique(values).tolist():
            here = values == value
            if here.sum() >= min_rows:
                skill = 1 - _divide(float(own[here].mean()), float(base[here].mean()))
                records.append(
                    {"slice": f"{column} {value}", "rows": int(here.sum()), "skill": skill}
                )
    return Table(
        pd.DataFrame.from_records(records, columns=["slice", "rows", "skill"]), identity=("slice",)
    )


def _make_frame(columns: Mapping[str, Any]) -> Any:
    """Return a frame of columns, or of one row of figures."""
    import pandas as pd

    single = all(isinstance(value, float | int) for value in columns.values())
    return pd.DataFrame([dict(columns)] if single else dict(columns))
