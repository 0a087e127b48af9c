"""Judges the columns of raw tables and series: values, time, labels, and giveaways."""

from typing import Any

from gates.engine.judge import run_suite
from gates.engine.report import Check, GateReport, skip_check
from gates.engine.suite import Expectation, Suite, expect
from gates.raw.check_names import (
    DUPLICATES,
    FUTURE,
    INFINITE,
    MISSING,
    REPEATED,
    UNANSWERED,
    UNDATED,
    UNDECLARED,
    UNREADABLE,
    UNSORTED,
)
from gates.raw.column_facts import ColumnsFacts, tabulate_columns_facts
from gates.raw.form import STAGE
from gates.raw.hints import VAST, hint_undeclared, hint_unreadable
from gates.specs.raw import RawGate

LEAKS = "strength of the strongest single predictor"
_LEAST = "expect_column_min_to_be_between"
_MOST = "expect_column_max_to_be_between"
_EACH = "expect_column_values_to_be_between"
_KEYS = "gates.raw."


def judge_columns(gate: RawGate, facts: ColumnsFacts) -> GateReport:
    """Judge a raw table or series: missing values, labels, order in time, and no giveaway."""
    return run_suite(_build_suite(gate, facts), tabulate_columns_facts(facts), _list_skipped(facts))


def _build_suite(gate: RawGate, facts: ColumnsFacts) -> Suite:
    """Return the gate's expectations, of limits without gaps."""
    unread, least = "unread records, fraction", gate.min_rows
    expectations = (
        expect(
            _LEAST, "version", "row count", column="rows", min_value=least, key=_KEYS + "min_rows"
        ),
        _at_most(unread, "unread", gate, "max_unread_fraction", mark="unread"),
        _at_most(DUPLICATES, "duplicates", gate, "max_duplicate_fraction"),
        *_expect_columns(gate, facts),
        *(_expect_readable(gate, facts) if facts.unreadable else ()),
        *(_expect_time(gate) if facts.time else ()),
        *(_expect_labels(gate, facts) if facts.labels else ()),
        *(_expect_predictors(gate) if facts.predictors else ()),
    )
    return Suite(stage=STAGE, expectations=expectations)


def _list_skipped(facts: ColumnsFacts) -> list[Check]:
    """Return the checks that do not apply to these facts."""
    if facts.predictors:
        return []
    return [skip_check(_MOST, LEAKS, "the recipe names no label and no target")]


def _at_most(about: str, column: str, gate: RawGate, limit: str, mark: str = "") -> Expectation:
    """Return an expectation that a figure of the version is not above a limit of the gate."""
    most, key = getattr(gate, limit), _KEYS + limit
    return expect(
        _MOST, "version", about, column=column, min_value=0, max_value=most, mark=mark, key=key
    )


def _expect_columns(gate: RawGate, facts: ColumnsFacts) -> list[Expectation]:
    """Return expectations on each column: few values missing, none infinite, a varied answer."""
    each = {
        MISSING: ("missing", "max_missing_fraction"),
        INFINITE: ("infinite", "max_infinite_fraction"),
    }
    found = [
        expect(
            _EACH,
            "columns",
            about,
            column=column,
            max_value=getattr(gate, limit),
            hint=VAST if about == INFINITE else "",
            key=_KEYS + limit,
        )
        for about, (column, limit) in each.items()
    ]
    roles = {column.role for column in facts.columns}
    if roles & {"label", "target"}:
        column, most = "answer_missing", gate.max_unanswered_fraction
        key = _KEYS + "max_unanswered_fraction"
        found.append(expect(_MOST, "columns", UNANSWERED, column=column, max_value=most, key=key))
    if "target" in roles:
        column, about = "target_std", "spread of the target"
        found.append(expect(_MOST, "columns", about, column=column, min_value=0, strict_min=True))
    return found


def _expect_readable(gate: RawGate, facts: ColumnsFacts) -> list[Expectation]:
    """Return the expectation that what stands in a column of numbers or times is one."""
    hint, key = hint_unreadable(facts.unreadable, facts.rows), _KEYS + "max_unreadable_fraction"
    return [
        expect(
            _EACH,
            "unreadable",
            UNREADABLE,
            column="share",
            max_value=gate.max_unreadable_fraction,
            hint=hint,
            key=key,
        )
    ]


def _expect_time(gate: RawGate) -> list[Expectation]:
    """Return expectations on time: dated, once an entity, in order, few gaps, not to come."""
    return [
        _at_most(UNDATED, "undated", gate, "max_missing_fraction"),
        _at_most(REPEATED, "repeated", gate, "max_repeated_time_fraction"),
        _at_most(UNSORTED, "unsorted", gate, "max_unsorted_fraction"),
        _at_most("gaps in time, fraction of rows", "gaps", gate, "max_gap_fraction"),
        _at_most(FUTURE, "future", gate, "max_future_fraction"),
    ]


def _expect_labels(gate: RawGate, facts: ColumnsFacts) -> list[Expectation]:
    """Return expectations on labels: all declared, every class there, none too rare or common."""
    balanced = 1 / len(facts.labels)
    most = 1.0 if gate.max_class_balance is None else min(1.0, gate.max_class_balance * balanced)
    least = 0.0 if gate.min_class_balance is None else gate.min_class_balance * balanced
    hint, about, key = hint_undeclared(facts.undeclared), "class share", _KEYS + "min_class_balance"
    limits: dict[str, Any] = {"min_value": least, "max_value": most}
    return [
        expect(
            _MOST,
            "version",
            UNDECLARED,
            column="undeclared",
            min_value=0,
            max_value=0,
            hint=hint,
            key="data.labels",
        ),
        expect(_EACH, "classes", "rows of a class", column="count", min_value=1, key="data.labels"),
        expect(_EACH, "classes", about, column="share", **limits, key=f"{key}, max_class_balance"),
    ]


def _expect_predictors(gate: RawGate) -> list[Expectation]:
    """Return the expectation that no column alone is the answer."""
    most, key = gate.max_predictor_strength, _KEYS + "max_predictor_strength"
    column = "strength"
    return [expect(_EACH, "predictors", LEAKS, column=column, min_value=0, max_value=most, key=key)]
