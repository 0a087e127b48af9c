"""Expectations on the fields of shards, shared by the raw and the prepared gate."""

from collections.abc import Mapping

from gates.engine.suite import Expectation, expect, expect_present
from gates.engine.tables import FieldRule, Table

SHARDS = "shards"


def build_field_expectations(
    fields: Mapping[str, FieldRule],
    shards: Table,
    *,
    max_missing_fraction: float,
    max_infinite_fraction: float,
    section: str = "",
) -> list[Expectation]:
    """Return what every shard must hold: dtype, shape, range, missing and infinite values.

    Args:
        fields: what the recipe declares about each field.
        shards: the table of `gates.tables.tabulate_shards`, from which fractions become counts.
        max_missing_fraction: most values that may be NaN or null, as a fraction of the field's
            values in all shards.
        max_infinite_fraction: the same for infinite values.
        section: where the recipe states these two, as `gates.raw.`; empty where it does not.
    """
    expectations: list[Expectation] = []
    for name, rule in fields.items():
        expectations += _expect_type(name, rule)
        if rule.value_range is not None:
            expectations += _expect_range(name, rule.value_range)
        values = (
            int(shards.frame[f"{name}.values"].sum()) if f"{name}.values" in shards.frame else 0
        )
        counted = {
            "missing": (max_missing_fraction, "max_missing_fraction"),
            "inf": (max_infinite_fraction, "max_infinite_fraction"),
        }
        for figure, (fraction, limit) in counted.items():
            column, most = f"{name}.{figure}", int(fraction * values)
            rule_name, key = "expect_column_sum_to_be_between", section and section + limit
            expectations.append(
                expect(rule_name, SHARDS, column=column, max_value=most, mark=column, key=key)
            )
    return expectations


def _expect_type(name: str, rule: FieldRule) -> list[Expectation]:
    """Return expectations on a field's dtype and shape; the shape includes the channels."""
    wanted = {f"{name}.dtype": rule.dtype, f"{name}.shape": str(rule.shape)}
    return [
        *expect_present(SHARDS, tuple(wanted)),
        *(
            expect(
                "expect_column_values_to_be_in_set",
                SHARDS,
                column=column,
                value_set=[value],
                key=f"data.{column}",
            )
            for column, value in wanted.items()
        ),
    ]


def _expect_range(name: str, value_range: tuple[float, float]) -> list[Expectation]:
    """Return expectations on a field's smallest and largest value."""
    low, high = value_range
    return [
        *expect_present(SHARDS, (f"{name}.min", f"{name}.max")),
        expect(
            "expect_column_min_to_be_between",
            SHARDS,
            column=f"{name}.min",
            min_value=low,
            max_value=high,
            key=f"data.{name}.value_range",
        ),
        expect(
            "expect_column_max_to_be_between",
            SHARDS,
            column=f"{name}.max",
            min_value=low,
            max_value=high,
            key=f"data.{name}.value_range",
        ),
    ]
