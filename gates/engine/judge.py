"""Run a suite over named tables and read Great Expectations' results as checks.

Nothing passes by default: an expectation that raises, an unknown rule, a missing table or column,
an empty table, a column without one value, and a suite without expectations are all red.

Great Expectations takes seconds to import; it is loaded at the first run, once a process.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from gates.engine.report import (
    MAX_ROWS_NAMED,
    Check,
    GateReport,
    is_proven,
    show,
    to_plain,
    verdict,
)
from gates.engine.sharded_table import ShardedTable
from gates.engine.suite import Expectation, Suite
from gates.engine.tables import Table

if TYPE_CHECKING:
    from gates.engine.runner import Outcome

_PRESENT = "expect_column_values_to_not_be_null"
# These answer 0 for a column without one value, and 0 can lie within the limit.
_ZERO_OF_NOTHING = frozenset(
    {
        "expect_column_sum_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
    }
)
_BETWEEN_EACH = frozenset({"expect_column_max_to_be_between", "expect_column_min_to_be_between"})


def run_suite(
    suite: Suite, tables: Mapping[str, Table | ShardedTable], skipped: Sequence[Check] = ()
) -> GateReport:
    """Judge tables by a suite.

    Args:
        suite: what is expected.
        tables: the tables that the expectations name.
        skipped: checks that do not apply this time, recorded after those that do.

    Returns:
        One check for each expectation, in the suite's order.
    """
    checks: dict[int, Check] = {}
    for name in dict.fromkeys(item.table for item in suite.expectations):
        chosen = {
            index: item for index, item in enumerate(suite.expectations) if item.table == name
        }
        table = tables.get(name)
        if table is None or table.rows == 0:
            problem = f"table {name} is {'missing' if table is None else 'empty'}"
            checks |= {index: _fail(item, problem) for index, item in chosen.items()}
        else:
            checks |= _judge_table(chosen, table)
    ordered = (*(checks[index] for index in range(len(suite.expectations))), *skipped)
    return GateReport(
        stage=suite.stage, passed=verdict(ordered), checks=ordered, suite_digest=suite.digest
    )


def _judge_table(
    expectations: Mapping[int, Expectation], table: Table | ShardedTable
) -> dict[int, Check]:
    """Return the checks of the expectations on one table, which has rows."""
    from gates.engine.runner import run_expectations  # Great Expectations takes seconds to import

    outcomes = run_expectations(expectations, table)
    return {
        index: _read_outcome(item, outcomes[index], table) for index, item in expectations.items()
    }


def _read_outcome(item: Expectation, outcome: "Outcome", table: Table | ShardedTable) -> Check:
    """Turn what Great Expectations returned for one expectation into a check."""
    if outcome.error:
        return _fail(item, outcome.error)
    observed = _read_observed(outcome.result, examples=not outcome.success)
    if _judged_nothing(outcome.result) or (
        item.rule in _ZERO_OF_NOTHING and not table.has_values(item.columns[0])
    ):
        return _fail(item, "not one value to judge", observed)
    passed = outcome.success and is_proven(observed)
    rows = () if passed else _name_rows(item, outcome, table)
    check = _make_check(item, observed, passed, rows)
    return check.model_copy(
        update={"contained": _is_contained(item, outcome.result, passed=passed)}
    )


def _is_contained(item: Expectation, result: Mapping[str, object], *, passed: bool) -> bool:
    """Return whether a failed rule on each value leaves few enough bad rows to set them aside."""
    unexpected, rows = result.get("unexpected_count"), result.get("element_count")
    if (
        passed
        or item.severity != "quarantine"
        or not isinstance(unexpected, int)
        or not isinstance(rows, int)
    ):
        return False
    return unexpected <= item.max_fraction * rows


def find_quarantined(
    suite: Suite, tables: Mapping[str, Table | ShardedTable]
) -> dict[str, dict[int, tuple[str, ...]]]:
    """Find every row that a suite sets aside, and why.

    Call it once the suite has passed: it reads the tables again, and only for rules with severity
    `quarantine`.

    Returns:
        For each table the positions of its offending rows, each with the names of what was wrong
        with it.
    """
    from gates.engine.runner import find_unexpected  # Great Expectations takes seconds to import

    found: dict[str, dict[int, tuple[str, ...]]] = {}
    for item in suite.expectations:
        if item.severity != "quarantine" or item.table not in tables:
            continue
        rows = found.setdefault(item.table, {})
        for position in find_unexpected(item, tables[item.table]):
            rows[position] = (*rows.get(position, ()), f"{item.rule} on {item.about}")
    return {table: dict(sorted(rows.items())) for table, rows in found.items()}


def _read_observed(result: Mapping[str, object], *, examples: bool) -> JsonValue:
    """Return the observed figure of a result in any of Great Expectations' three forms.

    Examples of bad values come with it if they are asked for.
    """
    value = result.get("observed_value")
    if value is not None:
        return to_plain(value)
    if "partial_missing_list" in result:
        return {
            "unexpected": to_plain(result.get("partial_unexpected_list", [])),
            "missing": to_plain(result["partial_missing_list"]),
        }
    if "unexpected_count" in result:
        observed: dict[str, JsonValue] = {
            "unexpected": to_plain(result["unexpected_count"]),
            "of": to_plain(result.get("element_count")),
        }
        if examples and (values := _read_examples(result)):
            observed["examples"] = values
        return observed
    return None


def _read_examples(result: Mapping[str, object]) -> list[JsonValue]:
    """Return the first distinct unexpected values."""
    values = to_plain(result.get("partial_unexpected_list") or [])
    return (
        list({show(value): value for value in values}.values()) if isinstance(values, list) else []
    )


def _judged_nothing(result: Mapping[str, object]) -> bool:
    """Return whether a rule on each value met no value at all.

    Great Expectations calls that a success.
    """
    if "element_count" not in result:
        return False
    return result["element_count"] in (0, None) or result["element_count"] == result.get(
        "missing_count"
    )


def _name_rows(
    item: Expectation, outcome: "Outcome", table: Table | ShardedTable
) -> tuple[str, ...]:
    """Name the first offending rows of a failed check."""
    positions: Sequence[int]
    if isinstance(table, Table) and item.mark in table.named:
        return tuple(table.named[item.mark][:MAX_ROWS_NAMED])
    if item.mark:
        positions = table.find_marked(item.mark, MAX_ROWS_NAMED)
    elif item.rule in _BETWEEN_EACH:
        low, high = item.kwargs.get("min_value"), item.kwargs.get("max_value")
        positions = table.find_outside(item.columns[0], low, high, MAX_ROWS_NAMED)
    else:
        positions = outcome.positions[:MAX_ROWS_NAMED]
    return table.name_rows(positions)


def _make_check(
    item: Expectation, observed: JsonValue, passed: bool, rows: tuple[str, ...]
) -> Check:
    """Return a check with its message."""
    where = f"; {rows[0]}" + (f" and {len(rows) - 1} more" if len(rows) > 1 else "") if rows else ""
    told = (item.hint, f"limited by {item.key}" if item.key else "")
    where += "".join(f"; {text}" for text in told if text and not passed)
    seen, limit = _show_observed(item.rule, observed), show_limit(item)
    message = f"{item.rule} on {item.about}: observed {seen}, limit {limit}{where}"
    return Check(
        rule=item.rule,
        about=item.about,
        observed=observed,
        limit=item.limit,
        passed=passed,
        severity=item.severity,
        message=message,
        rows=rows,
        subject=item.subject,
        hint="" if passed else item.hint,
        key="" if passed else item.key,
    )


def _fail(item: Expectation, problem: str, observed: JsonValue = None) -> Check:
    """Return the failed check of an expectation that could not be computed."""
    check = _make_check(item, observed, False, ())
    return check.model_copy(update={"message": f"{check.message}; {problem}"})


def _show_observed(rule: str, observed: JsonValue) -> str:
    """Return an observation in words."""
    if isinstance(observed, dict) and "of" in observed:
        if rule == _PRESENT:
            return f"{show(observed['unexpected'])} missing of {show(observed['of'])}"
        examples = f", such as {show(observed['examples'])}" if "examples" in observed else ""
        return f"{show(observed['unexpected'])} unexpected of {show(observed['of'])}{examples}"
    return show(observed)


def show_limit(item: Expectation) -> str:
    """Return an expectation's limit in words: `[0, 16]`, `>= 0.98`, `in [0, 1]`."""
    rest = dict(item.limit)
    low, high = rest.pop("min_value", None), rest.pop("max_value", None)
    strict_low, strict_high = (
        bool(rest.pop("strict_min", False)),
        bool(rest.pop("strict_max", False)),
    )
    words: list[str] = []
    if low is not None and high is not None:
        words.append(
            f"{'(' if strict_low else '['}{show(low)}, {show(high)}{')' if strict_high else ']'}"
        )
    elif low is not None:
        words.append(f"{'>' if strict_low else '>='} {show(low)}")
    elif high is not None:
        words.append(f"{'<' if strict_high else '<='} {show(high)}")
    if "value_set" in rest:
        words.append(f"in {show(rest.pop('value_set'))}")
    words += [f"{key} {show(value)}" for key, value in rest.items()]
    return ", ".join(words) or ("none missing" if item.rule == _PRESENT else "none unexpected")
