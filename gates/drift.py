"""The drift gate: is a version like the one that was accepted last, although every value may be in range?

Two sizes of change are judged, each only if the rows are enough to tell it from chance: the Kolmogorov-Smirnov distance
of numbers, Cramer's V of categories, and the population stability index of both. A change stops if it is both certain
(its p-value is small) and large (its effect is): with millions of rows every change is certain, with ten none is.
"""

from collections.abc import Mapping

from gates.divergence import (
    Histogram,
    bucket_numbers,
    find_psi_chance,
    measure_chi_square,
    measure_ks,
    measure_psi,
)
from gates.engine import run_suite
from gates.report import Check, GateReport, skip_check
from gates.specs import DriftGate
from gates.suite import Expectation, Suite, expect, expect_present
from gates.tables import Table

STAGE = "drift"
_LARGEST = "expect_column_max_to_be_between"


Distribution = Histogram | dict[str, int]


def judge_drift(
    gate: DriftGate, accepted: Mapping[str, Distribution] | None, current: Mapping[str, Distribution]
) -> GateReport:
    """Judge a version against the last accepted one.

    Args:
        gate: the limits.
        accepted: distribution of each field of the accepted version (counts by value for categories); None if none is.
        current: the same of the version that is judged.
    """
    if accepted is None:
        skipped = skip_check(_LARGEST, "change since the last accepted version", "no version has been accepted yet")
        kept = expect("expect_table_row_count_to_be_between", "fields", "fields known", min_value=1)
        tables = {"fields": _tabulate_names(current)}
        return run_suite(Suite(stage=STAGE, expectations=(kept,)), tables, [skipped])
    tables = {"fields": _tabulate_names(current)}
    names = expect(
        "expect_column_distinct_values_to_equal_set", "fields", "fields", column="field", value_set=sorted(accepted)
    )
    expectations, checks = [names], list[Check]()
    for field in sorted(set(accepted) & set(current)):
        table, items, skips = _compare_field(gate, field, accepted[field], current[field])
        tables[field] = table
        expectations += items
        checks += skips
    return run_suite(Suite(stage=STAGE, expectations=tuple(expectations)), tables, checks)


def _compare_field(
    gate: DriftGate, field: str, accepted: Distribution, current: Distribution
) -> tuple[Table, list[Expectation], list[Check]]:
    """Return one field's figures, what is expected of them, and what cannot be judged."""
    if isinstance(accepted, Histogram) and isinstance(current, Histogram):
        rows = (accepted.total, current.total)
        effect, p_value = measure_ks(accepted, current)
        expected, got = bucket_numbers(accepted, current)
        name, limit = "Kolmogorov-Smirnov distance", gate.max_ks_distance
    elif isinstance(accepted, dict) and isinstance(current, dict):
        rows = (sum(accepted.values()), sum(current.values()))
        effect, p_value = measure_chi_square(accepted, current)
        values = sorted(set(accepted) | set(current))
        expected, got = [accepted.get(value, 0) for value in values], [current.get(value, 0) for value in values]
        name, limit = "Cramer's V", gate.max_cramers_v
    else:
        return _tabulate_figures({}), [_expect_same_kind(field)], []
    about = f"{field} {name}"
    if min(rows) < gate.min_rows:
        table, reason = _tabulate_figures({"rows": min(rows)}), f"only {min(rows)} of {gate.min_rows} rows"
        return (
            table,
            [expect(_LARGEST, field, f"{field} rows", column="rows", min_value=1)],
            [skip_check(_LARGEST, about, reason)],
        )
    psi = measure_psi(expected, got)
    chance = find_psi_chance(len(expected), *rows, gate.max_p_value)
    certain = p_value < gate.max_p_value
    figures = {"effect": effect if certain else 0.0, "p_value": p_value, "psi": psi}
    why = f"p-value {p_value:.2g}" if certain else f"not certain, p-value {p_value:.2g}, counted as 0"
    items = [
        *expect_present(field, {"effect": about, "psi": f"{field} population stability index"}),
        expect(_LARGEST, field, f"{about} ({why})", column="effect", max_value=limit),
        expect(
            _LARGEST, field, f"{field} population stability index", column="psi", max_value=max(gate.max_psi, chance)
        ),
    ]
    return _tabulate_figures(figures), items, []


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
