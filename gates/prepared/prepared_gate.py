"""The prepared gate asks whether splits are sound, before a model learns from one."""

from gates.engine.field_checks import SHARDS, build_field_expectations
from gates.engine.judge import run_suite
from gates.engine.report import GateReport, Severity
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.prepared.facts import (
    ASKED,
    REPEATS,
    SPLITS,
    PreparedFacts,
    count_allowed_contrary,
    tabulate_prepared_facts,
)
from gates.specs.prepared import PreparedGate

STAGE = "prepared"
_EACH = "expect_column_values_to_be_between"
_SUM = "expect_column_sum_to_be_between"
_KEYS = "gates.prepared."
CONTRARY = "rows equal to another one with a contrary label"


def judge_prepared(gate: PreparedGate, facts: PreparedFacts) -> GateReport:
    """Judge a prepared version: splits apart and large enough, statistics, every row accounted for.

    What else is judged depends on the facts: classes, columns, leakage in time, near duplicates,
    and what the model to start from has seen.
    """
    return run_suite(_build_suite(gate, facts), tabulate_prepared_facts(facts))


def _build_suite(gate: PreparedGate, facts: PreparedFacts) -> Suite:
    """Return the prepared gate's expectations for these facts."""
    fields = build_field_expectations(
        facts.fields, facts.shards, max_missing_fraction=0.0, max_infinite_fraction=0.0
    )
    alike = int(gate.max_near_duplicate_fraction * facts.rows.rows)
    expectations = (
        *_expect_splits(gate),
        *_expect_apart(),
        *(_expect_labels(gate, facts) if facts.labels else ()),
        *fields,
        *_expect_fitted(facts),
        *_expect_account(gate, facts),
        *(_expect_columns(gate) if facts.columns is not None else ()),
        *(_expect_no_leakage() if facts.leakage is not None else ()),
        *(_expect_near_duplicates(alike) if facts.near_duplicates is not None else ()),
        *(_expect_answers(gate) if facts.answers is not None else ()),
        *(_expect_not_learned(alike) if facts.learned is not None else ()),
    )
    return Suite(stage=STAGE, expectations=expectations)


def _expect_answers(gate: PreparedGate) -> list[Expectation]:
    """Return expectations on windows: enough in each split, and few without an answer."""
    few, lost = "windows in a split", "share of a split's windows without a value to forecast"
    least, most = gate.min_windows, gate.max_unanswered_fraction
    low, high = "expect_column_min_to_be_between", "expect_column_max_to_be_between"
    return [
        expect(low, "answers", few, column="windows", min_value=least, key=_KEYS + "min_windows"),
        expect(
            high,
            "answers",
            lost,
            column="unanswered",
            max_value=most,
            key=_KEYS + "max_unanswered_fraction",
        ),
    ]


def _expect_splits(gate: PreparedGate) -> list[Expectation]:
    """Return expectations on which splits there are, and how large each is."""
    rows = ("min_train_rows", "min_validation_rows", "min_held_out_rows")
    shares = ("min_train_share", "min_split_share", "min_split_share")
    wanted, same = list(SPLITS), "expect_column_distinct_values_to_equal_set"
    return [
        *expect_present("rows", ("row_id",)),
        *expect_present(SHARDS, ("split",)),
        expect(same, SHARDS, "splits", column="split", value_set=wanted),
        *(
            _expect_size(f"{split} rows", f"{split}.rows", gate, limit)
            for split, limit in zip(SPLITS, rows, strict=True)
        ),
        *(
            _expect_size(f"{split} share of rows", f"{split}.share", gate, limit)
            for split, limit in zip(SPLITS, shares, strict=True)
        ),
    ]


def _expect_size(about: str, column: str, gate: PreparedGate, limit: str) -> Expectation:
    """Return an expectation on the size of a split."""
    rule, least = "expect_column_min_to_be_between", getattr(gate, limit)
    return expect(rule, "splits", about, column=column, min_value=least, key=_KEYS + limit)


def _expect_none(
    table: str, about: str, column: str, mark: str = "", severity: Severity = "stop"
) -> Expectation:
    """Return an expectation that a count is 0."""
    return expect(_SUM, table, about, column=column, max_value=0, mark=mark, severity=severity)


def _expect_apart() -> list[Expectation]:
    """Return expectations that no row, by id or by content, is in two splits."""
    return [
        _expect_none("apart", "row_id over all splits", "row_id", mark="row_id"),
        _expect_none("apart", "content hash between splits", "content", mark="content"),
    ]


def _expect_labels(gate: PreparedGate, facts: PreparedFacts) -> list[Expectation]:
    """Return expectations on the labels: present, declared, and every class in every split."""
    classes, least = list(range(len(facts.labels))), gate.min_rows_per_class
    about, in_set = "rows of a class in a split", "expect_column_values_to_be_in_set"
    return [
        *expect_present("rows", ("label",)),
        expect(in_set, "rows", column="label", value_set=classes),
        expect(
            _EACH,
            "classes",
            about,
            column="count",
            min_value=least,
            key=_KEYS + "min_rows_per_class",
        ),
    ]


def _expect_fitted(facts: PreparedFacts) -> list[Expectation]:
    """Return expectations on fitted statistics: finite, mean in range, 0 < std <= half the range.

    No distribution on [a, b] has a standard deviation above (b - a) / 2 (Popoviciu's inequality,
    1935). Those of columns are not judged: a constant one teaches nothing, and harms nothing.
    """
    expectations: list[Expectation] = []
    for name in facts.fitted:
        if name not in facts.fields:
            continue
        mean, std = f"{name}.mean", f"{name}.std"
        low, high = facts.fields[name].value_range or (-1e300, 1e300)
        most = (high - low) / 2
        expectations += [
            *expect_present("fitted", (mean, std)),
            expect(_EACH, "fitted", column=mean, min_value=low, max_value=high),
            expect(_EACH, "fitted", column=std, min_value=0, max_value=most, strict_min=True),
        ]
    return expectations


def _expect_account(gate: PreparedGate, facts: PreparedFacts) -> list[Expectation]:
    """Return expectations that no collected row went missing unnamed, and that few were dropped."""
    asked = [reason for reason in (*ASKED, REPEATS) if facts.rows_dropped.get(reason)]
    dropped = f"rows dropped, not counting {', '.join(asked)}" if asked else "rows dropped"

    def ask(about: str, column: str, limit: str) -> Expectation:
        most = int(getattr(gate, limit) * facts.rows_collected)
        if column == "contrary":
            most = count_allowed_contrary(facts, gate.max_contrary_fraction)
        key = _KEYS + limit
        return expect(_SUM, "account", about, column=column, min_value=0, max_value=most, key=key)

    lost = "rows unaccounted for"
    found = [
        expect(_SUM, "account", lost, column="unaccounted", min_value=0, max_value=0),
        ask(dropped, "dropped", "max_dropped_fraction"),
        ask("rows dropped that repeat another", "repeats", "max_duplicate_fraction"),
    ]
    if facts.labels:
        found.append(ask(CONTRARY, "contrary", "max_contrary_fraction"))
    return found


def _expect_columns(gate: PreparedGate) -> list[Expectation]:
    """Return expectations on training columns: something to learn from, nothing infinite."""
    missing, infinite = "missing share of a training column", "infinite share of a training column"
    most, key = gate.max_missing_fraction, _KEYS + "max_missing_fraction"
    return [
        expect(_EACH, "columns", missing, column="missing", min_value=0, max_value=most, key=key),
        expect(_EACH, "columns", infinite, column="infinite", min_value=0, max_value=0),
    ]


def _expect_no_leakage() -> list[Expectation]:
    """Return expectations that no window reaches over a split in time."""
    held_out = "rows of a series that lie in time among held-out rows of it"
    validation = "rows of a series that lie in time among validation rows of it"
    return [
        _expect_none("leakage", held_out, "held_out", mark="held_out"),
        _expect_none("leakage", validation, "validation", mark="validation", severity="warn"),
    ]


def _expect_near_duplicates(most: int) -> list[Expectation]:
    """Return the expectation that few held-out pictures look like one that is learned from."""
    about = "held-out rows that look like a training row"
    key = _KEYS + "max_near_duplicate_fraction"
    return [expect(_SUM, "near_duplicates", about, column="rows", max_value=most, key=key)]


def _expect_not_learned(most: int) -> list[Expectation]:
    """Return expectations that the model to start from has not learned from held-out rows."""
    start = "the model to start from learned from"
    place = f"held-out rows from the same place in the source as one that {start}"
    looks = f"held-out rows that look like one that {start}"
    return [
        _expect_none("learned", f"held-out rows that {start}", "content"),
        _expect_none("learned", place, "place"),
        expect(
            _SUM,
            "learned",
            looks,
            column="looks",
            max_value=most,
            key=_KEYS + "max_near_duplicate_fraction",
        ),
    ]
