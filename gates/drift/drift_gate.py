"""The drift gate compares a version with the one that was accepted last.

Two sizes of change are judged, each only if the rows are enough to tell it from chance: the
Kolmogorov-Smirnov distance of numbers, Cramer's V of categories, and the population stability index
of both. A change stops if it is both certain (its p-value is small) and large (its effect is): with
millions of rows every change is certain, with ten none is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gates.drift.divergence import Histogram
from gates.drift.explain import explain_change
from gates.drift.fields import Distribution, list_limits, measure_categories, measure_numbers
from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.specs.drift import DriftGate

STAGE = "drift"
_LARGEST = "expect_column_max_to_be_between"
_KEYS = "gates.drift."
SEASONAL = frozenset({"effect", "psi", "spike", "novelty", "ratio"})
"""Figures of a whole field that a season changes, too."""

__all__ = ["Distribution", "DriftFigure", "judge_drift"]


@dataclass(frozen=True)
class DriftFigure:
    """A figure of a whole version against the accepted one.

    Attributes:
        about: its name in messages.
        value: what was seen; NaN if it could not be computed, and then it fails.
        most: the largest allowed; None sets no limit.
        least: the smallest allowed.
        key: the limit's name in the recipe's section; empty where there is none.
        why_not: why it does not apply; then nothing is judged, and the report says why.
        hint: what a person should know besides, such as where to look.
        warns: whether a failure warns and does not stop.
        field: the column that it is of; empty where it is of none, or its name begins with it.
    """

    about: str
    value: float
    most: float | None = None
    least: float | None = None
    key: str = ""
    why_not: str = ""
    hint: str = ""
    warns: bool = False
    field: str = ""

    @property
    def subject(self) -> str:
        """The column that it is of; the first words of its name where it is of none."""
        return self.field or self.about.split(":")[0]


def judge_drift(
    gate: DriftGate,
    accepted: Mapping[str, Distribution] | None,
    current: Mapping[str, Distribution],
    figures: Sequence[DriftFigure] = (),
    why_not: str = "no version has been accepted yet",
    softened: Collection[str] = (),
) -> GateReport:
    """Judge a version against the last accepted one.

    Args:
        gate: the limits.
        accepted: distribution of each field of the accepted version (counts by value for
            categories); None if none is.
        current: the same of the version that is judged.
        figures: of the whole version against the accepted one.
        why_not: why there is no accepted version to compare with.
        softened: fields of which a change of level warns and does not stop, since what is new among
            them is judged by itself.
    """
    tables = {"fields": _tabulate_names(current)}
    if accepted is None:
        skipped = skip_check(_LARGEST, "change since the last accepted version", why_not)
        kept = expect("expect_table_row_count_to_be_between", "fields", "fields known", min_value=1)
        return run_suite(Suite(stage=STAGE, expectations=(kept,)), tables, [skipped])
    names = expect(
        "expect_column_distinct_values_to_equal_set",
        "fields",
        "fields",
        column="field",
        value_set=sorted(accepted),
    )
    expectations, checks = [names], list[Check]()
    for field in sorted(set(accepted) & set(current)):
        table, items, skips = _compare_field(
            gate, field, accepted[field], current[field], soft=field in softened
        )
        tables[field] = table
        expectations += items
        checks += skips
    checks += [
        skip_check(_LARGEST, figure.about, figure.why_not) for figure in figures if figure.why_not
    ]
    for number, figure in enumerate(each for each in figures if not each.why_not):
        tables[f"figure {number}"] = _tabulate_figures({"value": figure.value})
        expectations += _expect_figure(f"figure {number}", figure)
    return run_suite(Suite(stage=STAGE, expectations=tuple(expectations)), tables, checks)


def _expect_figure(table: str, figure: DriftFigure) -> list[Expectation]:
    """Return what is expected of a figure: that it is there, and within its limits."""
    key = figure.key and _KEYS + figure.key
    limit = expect(
        _LARGEST,
        table,
        figure.about,
        column="value",
        min_value=figure.least,
        max_value=figure.most,
        severity="warn" if figure.warns else "stop",
        key=key,
        hint=figure.hint,
        subject=figure.subject,
    )
    return [*expect_present(table, {"value": figure.about}, key), limit]


def _compare_field(
    gate: DriftGate,
    field: str,
    accepted: Distribution,
    current: Distribution,
    *,
    soft: bool = False,
) -> tuple[Table, list[Expectation], list[Check]]:
    """Return one field's figures, what is expected of them, and what cannot be judged."""
    if isinstance(accepted, Histogram) and isinstance(current, Histogram):
        rows, effect = (accepted.total, current.total), "Kolmogorov-Smirnov distance"
        if min(rows) < gate.min_rows:
            return _skip_field(gate, field, effect, rows)
        measured = measure_numbers(gate, accepted, current)
    elif isinstance(accepted, dict) and isinstance(current, dict):
        rows, effect = (sum(accepted.values()), sum(current.values())), "Cramer's V"
        if min(rows) < gate.min_rows:
            return _skip_field(gate, field, effect, rows)
        measured = measure_categories(gate, accepted, current)
    else:
        return _tabulate_figures({}), [_expect_same_kind(field)], []
    p_value, chance = measured.pop("p_value"), measured.pop("chance")
    names = {"effect": f"{effect} ({_tell_chance(gate, p_value)})"}
    hints = explain_change(accepted, current)
    items = [
        expect(
            _LARGEST,
            field,
            f"{field} {names.get(name, limit.about)}",
            column=name,
            max_value=max(getattr(gate, limit.key), chance if name == "psi" else 0.0),
            key=_KEYS + limit.key,
            hint=hints.get(name, ""),
            severity="warn" if soft and name in SEASONAL else "stop",
            subject=field,
        )
        for name, limit in list_limits(accepted).items()
        if name in measured
    ]
    return _tabulate_figures(measured), items, []


def _tell_chance(gate: DriftGate, p_value: float) -> str:
    """Return how certain a change is, in words."""
    why = f"p-value {p_value:.2g}"
    return why if p_value < gate.max_p_value else f"not certain, {why}, counted as 0"


def _skip_field(
    gate: DriftGate, field: str, effect: str, rows: tuple[int, int]
) -> tuple[Table, list[Expectation], list[Check]]:
    """Return what is left to ask of a field with too few rows: that it has any."""
    skipped = skip_check(_LARGEST, f"{field} {effect}", f"only {min(rows)} of {gate.min_rows} rows")
    if not rows[0]:
        return _tabulate_figures({"rows": rows[1]}), [], [skipped]
    kept = expect(_LARGEST, field, f"{field} rows", column="rows", min_value=1)
    return _tabulate_figures({"rows": rows[1]}), [kept], [skipped]


def _expect_same_kind(field: str) -> Expectation:
    """Return an expectation that fails: numbers became categories, or the other way round."""
    return expect("expect_column_to_exist", field, f"{field} kind as accepted", column="effect")


def _tabulate_names(fields: Mapping[str, Distribution]) -> Table:
    """Return one row a field."""
    import pandas as pd

    return Table(pd.DataFrame({"field": sorted(fields)}), identity=("field",))


def _tabulate_figures(figures: Mapping[str, float]) -> Table:
    """Return one row of figures."""
    import pandas as pd

    return Table(pd.DataFrame([{"judged": 1, **figures}]))
