"""The drift gate compares a version with the one that was accepted last.

Two sizes of change are judged, each only if the rows are enough to tell it from chance: the
Kolmogorov-Smirnov distance of numbers, Cramer's V of categories, and the population stability index
of both. A change stops if it is both certain (its p-value is small) and large (its effect is): with
millions of rows every change is certain, with ten none is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gates.drift.divergence import (
    Histogram,
    bucket_numbers,
    find_psi_chance,
    measure_chi_square,
    measure_far,
    measure_ks,
    measure_novelty,
    measure_psi,
    measure_ratio,
    measure_spike,
)
from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, skip_check
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import Table
from gates.specs.drift import DriftGate

STAGE = "drift"
_LARGEST = "expect_column_max_to_be_between"


Distribution = Histogram | dict[str, int]


@dataclass(frozen=True)
class DriftFigure:
    """A figure of a whole version against the accepted one.

    Attributes:
        about: its name in messages.
        value: what was seen; NaN if it could not be computed, and then it fails.
        most: the largest allowed; None sets no limit.
        least: the smallest allowed.
    """

    about: str
    value: float
    most: float | None = None
    least: float | None = None


def judge_drift(
    gate: DriftGate,
    accepted: Mapping[str, Distribution] | None,
    current: Mapping[str, Distribution],
    figures: Sequence[DriftFigure] = (),
    why_not: str = "no version has been accepted yet",
) -> GateReport:
    """Judge a version against the last accepted one.

    Args:
        gate: the limits.
        accepted: distribution of each field of the accepted version (counts by value for
            categories); None if none is.
        current: the same of the version that is judged.
        figures: of the whole version against the accepted one.
        why_not: why there is no accepted version to compare with.
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
        table, items, skips = _compare_field(gate, field, accepted[field], current[field])
        tables[field] = table
        expectations += items
        checks += skips
    for number, figure in enumerate(figures):
        tables[f"figure {number}"] = _tabulate_figures({"value": figure.value})
        expectations += _expect_figure(f"figure {number}", figure)
    return run_suite(Suite(stage=STAGE, expectations=tuple(expectations)), tables, checks)


def _expect_figure(table: str, figure: DriftFigure) -> list[Expectation]:
    """Return what is expected of a figure: that it is there, and within its limits."""
    return [
        *expect_present(table, {"value": figure.about}),
        expect(
            _LARGEST,
            table,
            figure.about,
            column="value",
            min_value=figure.least,
            max_value=figure.most,
        ),
    ]


def _compare_field(
    gate: DriftGate, field: str, accepted: Distribution, current: Distribution
) -> tuple[Table, list[Expectation], list[Check]]:
    """Return one field's figures, what is expected of them, and what cannot be judged."""
    if isinstance(accepted, Histogram) and isinstance(current, Histogram):
        rows, effect = (accepted.total, current.total), "Kolmogorov-Smirnov distance"
        if min(rows) < gate.min_rows:
            return _skip_field(gate, field, effect, rows)
        measured = _measure_numbers(gate, accepted, current)
    elif isinstance(accepted, dict) and isinstance(current, dict):
        rows, effect = (sum(accepted.values()), sum(current.values())), "Cramer's V"
        if min(rows) < gate.min_rows:
            return _skip_field(gate, field, effect, rows)
        measured = _measure_categories(gate, accepted, current)
    else:
        return _tabulate_figures({}), [_expect_same_kind(field)], []
    most = gate.max_ks_distance if isinstance(accepted, Histogram) else gate.max_cramers_v
    p_value, chance = measured.pop("p_value"), measured.pop("chance")
    certain = p_value < gate.max_p_value
    why = (
        f"p-value {p_value:.2g}" if certain else f"not certain, p-value {p_value:.2g}, counted as 0"
    )
    limits = {"effect": (f"{effect} ({why})", most), **_list_limits(gate, chance)}
    items = [
        expect(
            _LARGEST, field, f"{field} {limits[name][0]}", column=name, max_value=limits[name][1]
        )
        for name in measured
    ]
    return _tabulate_figures(measured), items, []


def _list_limits(gate: DriftGate, chance: float) -> dict[str, tuple[str, float]]:
    """Return the name and the limit of each figure of a field, but for its effect."""
    return {
        "psi": ("population stability index", max(gate.max_psi, chance)),
        "spike": ("rise of one narrow range's share", gate.max_spike),
        "novelty": ("share of a narrow range that was rare", gate.max_novel_fraction),
        "far": ("share far outside the accepted range", gate.max_far_fraction),
        "unseen": ("share of categories never seen", gate.max_unseen_fraction),
        "ratio": ("largest change of a category's share, as a factor", gate.max_class_ratio),
    }


def _skip_field(
    gate: DriftGate, field: str, effect: str, rows: tuple[int, int]
) -> tuple[Table, list[Expectation], list[Check]]:
    """Return what is left to ask of a field with too few rows: that it has any."""
    skipped = skip_check(_LARGEST, f"{field} {effect}", f"only {min(rows)} of {gate.min_rows} rows")
    if not rows[0]:
        return _tabulate_figures({"rows": rows[1]}), [], [skipped]
    kept = expect(_LARGEST, field, f"{field} rows", column="rows", min_value=1)
    return _tabulate_figures({"rows": rows[1]}), [kept], [skipped]


def _measure_numbers(
    gate: DriftGate, accepted: Histogram, current: Distribution
) -> dict[str, float]:
    """Return the figures of a numeric field."""
    if not isinstance(current, Histogram):
        return {}
    rows = (accepted.total, current.total)
    effect, p_value = measure_ks(accepted, current)
    expected, got = bucket_numbers(accepted, current)
    figures = {
        "effect": effect if p_value < gate.max_p_value else 0.0,
        "p_value": p_value,
        "psi": measure_psi(expected, got),
        "chance": find_psi_chance(len(expected), *rows, gate.max_p_value),
    }
    if accepted.edges == current.edges:
        figures["spike"] = measure_spike(accepted.counts, current.counts, gate.max_p_value)
        figures["novelty"] = measure_novelty(accepted.counts, current.counts, gate.max_p_value)
        figures["far"] = measure_far(accepted, current)
    return figures


def _measure_categories(
    gate: DriftGate, accepted: dict[str, int], current: dict[str, int]
) -> dict[str, float]:
    """Return the figures of a field of categories or of the label."""
    rows = (sum(accepted.values()), sum(current.values()))
    effect, p_value = measure_chi_square(accepted, current)
    values = sorted(set(accepted) | set(current))
    expected, got = (
        [accepted.get(value, 0) for value in values],
        [current.get(value, 0) for value in values],
    )
    unseen = sum(count for value, count in current.items() if value not in accepted)
    return {
        "effect": effect if p_value < gate.max_p_value else 0.0,
        "p_value": p_value,
        "psi": measure_psi(expected, got),
        "chance": find_psi_chance(len(expected), *rows, gate.max_p_value),
        "unseen": unseen / rows[1],
        "ratio": measure_ratio(expected, got, gate.max_p_value),
    }


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
