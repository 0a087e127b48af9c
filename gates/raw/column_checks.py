"""Raw tables and series: are the columns what the recipe says, is time in order, and does none give the answer away?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from gates.engine.on_fail import UNSORTED, BadRows
from gates.engine.report import Check, skip_check
from gates.engine.suite import Expectation, Suite, expect
from gates.engine.tables import Table
from gates.specs import RawGate

_MOST = "expect_column_max_to_be_between"
_EACH = "expect_column_values_to_be_between"
LEAKS = "strength of the strongest single predictor"


class ColumnFacts(BaseModel):
    """Figures of one column of a version, as its manifest states them.

    Attributes:
        column: the recipe's name.
        role: what it is for.
        rows: number of rows.
        missing: rows without a value, or with one that does not parse.
        infinite: rows with an infinite value.
        std: standard deviation of the numbers; None for texts, or without numbers.
        distinct: number of different values; None if unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    role: Literal["number", "text", "target", "label", "time"]
    rows: int
    missing: int
    infinite: int = 0
    std: float | None = None
    distinct: int | None = None


@dataclass(frozen=True)
class ColumnsFacts:
    """What the raw gate judges of a table or of series.

    Attributes:
        columns: one entry a column of the recipe.
        rows: number of rows.
        unread: records that could not be read as rows: how many, and which the first ones are.
        duplicates: rows that repeat an earlier one of their split.
        labels: names of the declared classes; empty if none is.
        label_counts: rows by class index; -1 counts labels that are not declared.
        undeclared: first names of those.
        time: figures of the time column, by name: rows `undated`, `repeated` (with entity and time
            of another), `unsorted`, `gaps` (places where the next row comes late), `future`; empty
            without one.
        predictors: how nearly each column alone gives the answer away, 0 to 1; empty where nothing
            is to be predicted.
    """

    columns: tuple[ColumnFacts, ...]
    rows: int
    unread: BadRows
    duplicates: int
    labels: tuple[str, ...] = ()
    label_counts: Mapping[int, int] = field(default_factory=dict)
    undeclared: tuple[str, ...] = ()
    time: Mapping[str, int] = field(default_factory=dict)
    predictors: Mapping[str, float] = field(default_factory=dict)


def build_columns_suite(gate: RawGate, facts: ColumnsFacts, stage: str) -> Suite:
    """Return the raw gate's expectations for a table or series."""
    gate = gate.for_kind("table")
    return Suite(
        stage=stage,
        expectations=(
            expect(
                "expect_column_min_to_be_between",
                "version",
                "row count",
                column="rows",
                min_value=gate.min_rows,
            ),
            _at_most("unread records, fraction", "unread", gate.max_unread_fraction, mark="unread"),
            _at_most("duplicate fraction", "duplicates", gate.max_duplicate_fraction),
            *_expect_columns(gate, facts),
            *(_expect_time(gate) if facts.time else []),
            *(_expect_labels(gate, facts) if facts.labels else []),
            *(_expect_predictors(gate) if facts.predictors else []),
        ),
    )


def tabulate_columns_facts(facts: ColumnsFacts) -> dict[str, Table]:
    """Return the tables that the suite names: version, columns, classes, predictors."""
    import pandas as pd

    rows = max(1, facts.rows)
    version = {
        "rows": facts.rows,
        "unread": facts.unread.count / max(1, facts.rows + facts.unread.count),
        "duplicates": facts.duplicates / rows,
        **{name: count / rows for name, count in facts.time.items()},
        "undeclared": facts.label_counts.get(-1, 0) / rows,
    }
    tables = {
        "version": Table(pd.DataFrame([version]), named={"unread": facts.unread.names}),
        "columns": _tabulate_columns(facts),
    }
    if facts.labels:
        tables["classes"] = _tabulate_classes(facts)
    if facts.predictors:
        frame = pd.DataFrame(
            {"column": list(facts.predictors), "strength": list(facts.predictors.values())}
        )
        tables["predictors"] = Table(frame, identity=("column",))
    return tables


def list_skipped(facts: ColumnsFacts) -> list[Check]:
    """Return the checks that do not apply to these facts."""
    return (
        []
        if facts.predictors
        else [skip_check(_MOST, LEAKS, "the recipe names no label and no target")]
    )


def hint_undeclared(names: Sequence[str]) -> str:
    """Return what to do about classes that are in the source and not in the recipe."""
    return (
        f"data.labels lacks {', '.join(map(repr, names))}: add it, or mend the source"
        if names
        else ""
    )


def _at_most(
    about: str, column: str, limit: float | None, mark: str = "", hint: str = ""
) -> Expectation:
    return expect(
        _MOST, "version", about, column=column, min_value=0, max_value=limit, mark=mark, hint=hint
    )


def _expect_columns(gate: RawGate, facts: ColumnsFacts) -> list[Expectation]:
    """Return expectations on each column: few values missing, none infinite, and what is learned varies."""
    found = [
        expect(
            _EACH,
            "columns",
            "missing share of a column",
            column="missing",
            max_value=gate.max_missing_fraction,
        ),
        expect(
            _EACH,
            "columns",
            "infinite share of a column",
            column="infinite",
            max_value=gate.max_infinite_fraction,
        ),
    ]
    if any(column.role in ("label", "target") for column in facts.columns):
        about = "missing share of the label or target"
        found.append(
            expect(
                _MOST,
                "columns",
                about,
                column="answer_missing",
                max_value=gate.max_unanswered_fraction,
            )
        )
    if any(column.role == "target" for column in facts.columns):
        about = "spread of the target"
        found.append(
            expect(_MOST, "columns", about, column="target_std", min_value=0, strict_min=True)
        )
    return found


def _expect_time(gate: RawGate) -> list[Expectation]:
    """Return expectations on time: every row dated, once an entity, in order, without many gaps, not in the future."""
    return [
        _at_most("rows without a time, fraction", "undated", gate.max_missing_fraction),
        _at_most(
            "rows with entity and time of another, fraction",
            "repeated",
            gate.max_repeated_time_fraction,
        ),
        _at_most(UNSORTED, "unsorted", gate.max_unsorted_fraction),
        _at_most("gaps in time, fraction of rows", "gaps", gate.max_gap_fraction),
        _at_most("rows in the future, fraction", "future", gate.max_future_fraction),
    ]


def _expect_labels(gate: RawGate, facts: ColumnsFacts) -> list[Expectation]:
    """Return expectations on the labels: all declared, every class there, none too rare or common."""
    balanced = 1 / len(facts.labels)
    most = 1.0 if gate.max_class_balance is None else min(1.0, gate.max_class_balance * balanced)
    least = 0.0 if gate.min_class_balance is None else gate.min_class_balance * balanced
    return [
        _at_most(
            "labels that are not declared, fraction",
            "undeclared",
            0.0,
            hint=hint_undeclared(facts.undeclared),
        ),
        expect(_EACH, "classes", "rows of a class", column="count", min_value=1),
        expect(_EACH, "classes", "class share", column="share", min_value=least, max_value=most),
    ]


def _expect_predictors(gate: RawGate) -> list[Expectation]:
    """Return the expectation that no column alone is the answer."""
    limit = gate.max_predictor_strength
    return [expect(_EACH, "predictors", LEAKS, column="strength", min_value=0, max_value=limit)]


def _tabulate_columns(facts: ColumnsFacts) -> Table:
    """Return one row a column: column, missing, infinite, and of the answer answer_missing and target_std."""
    import pandas as pd

    records: list[dict[str, object]] = []
    for column in facts.columns:
        share = column.missing / max(1, column.rows)
        answer = column.role in ("label", "target")
        records.append(
            {
                "column": column.column,
                "missing": None if answer else share,
                "infinite": column.infinite / max(1, column.rows),
                "answer_missing": share if answer else None,
                "target_std": column.std if column.role == "target" else None,
            }
        )
    frame = pd.DataFrame.from_records(records)
    numeric = [name for name in frame.columns if name != "column"]
    return Table(frame.astype(dict.fromkeys(numeric, "float64")), identity=("column",))


def _tabulate_classes(facts: ColumnsFacts) -> Table:
    """Return one row a declared class: class, count, share."""
    import pandas as pd

    counts = [facts.label_counts.get(index, 0) for index in range(len(facts.labels))]
    shares = [count / max(1, sum(counts)) for count in counts]
    frame = pd.DataFrame({"class": list(facts.labels), "count": counts, "share": shares})
    return Table(frame, identity=("class",))
