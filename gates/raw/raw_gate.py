"""The raw gate: are the collected rows what the recipe says they are, before anything is made from them?"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gates.engine.field_checks import SHARDS, build_field_expectations
from gates.engine.judge import run_suite
from gates.engine.on_fail import DUPLICATES, BadRows
from gates.engine.report import GateReport
from gates.engine.sharded_table import ShardedTable
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import FieldRule, Table, tabulate_classes
from gates.raw.column_checks import (
    ColumnsFacts,
    build_columns_suite,
    hint_undeclared,
    list_skipped,
    tabulate_columns_facts,
)
from gates.specs import RawGate

if TYPE_CHECKING:
    from collections.abc import Mapping

STAGE = "raw"


@dataclass(frozen=True)
class RawFacts:
    """What the raw gate judges.

    Attributes:
        shards: one row a shard, from `gates.tables.tabulate_shards`.
        rows: one row a sample, with its label.
        duplicates: rows that repeat an earlier row of their split.
        fields: what the recipe declares about each field.
        labels: names of the declared classes; class i has label i.
        label_counts: rows with each label.
        unread: records of the source that could not be read as rows: how many, and which the first
            ones are.
        undeclared: first names of classes in the source that are not declared.
    """

    shards: Table
    rows: ShardedTable
    duplicates: BadRows
    fields: "Mapping[str, FieldRule]"
    labels: tuple[str, ...]
    label_counts: "Mapping[int, int]"
    unread: BadRows = field(default_factory=lambda: BadRows(0, 0))
    undeclared: tuple[str, ...] = ()


def judge_raw(gate: RawGate, facts: "RawFacts | ColumnsFacts") -> GateReport:
    """Judge a raw version.

    Images: shape, dtype, value range, missing values, label set, duplicates, class balance, size.
    Tables and series: missing values and labels of each column, order in time, and that no column
    is the answer.
    """
    if isinstance(facts, ColumnsFacts):
        suite = build_columns_suite(gate, facts, STAGE)
        return run_suite(suite, tabulate_columns_facts(facts), list_skipped(facts))
    tables: dict[str, Table | ShardedTable] = {SHARDS: facts.shards, "rows": facts.rows}
    tables["classes"] = tabulate_classes(facts.label_counts, facts.labels)
    tables["source"] = _tabulate_source(facts)
    return run_suite(build_raw_suite(gate, facts), tables)


def build_raw_suite(gate: RawGate, facts: RawFacts) -> Suite:
    """Return the raw gate's expectations for images."""
    gate = gate.for_kind("image")
    fields = build_field_expectations(
        facts.fields,
        facts.shards,
        max_missing_fraction=gate.max_missing_fraction or 0.0,
        max_infinite_fraction=gate.max_infinite_fraction,
    )
    size = expect(
        "expect_table_row_count_to_be_between", "rows", "row count", min_value=gate.min_rows
    )
    duplicates = expect(
        "expect_column_mean_to_be_between",
        "source",
        DUPLICATES,
        column="duplicate",
        min_value=0,
        max_value=gate.max_duplicate_fraction,
        mark="duplicate",
    )
    unread = expect(
        "expect_column_max_to_be_between",
        "source",
        "unread records, fraction",
        column="unread",
        min_value=0,
        max_value=gate.max_unread_fraction,
        mark="unread",
    )
    expectations = (size, unread, *fields, *_expect_labels(gate, facts), duplicates)
    return Suite(stage=STAGE, expectations=expectations)


def _expect_labels(gate: RawGate, facts: RawFacts) -> list[Expectation]:
    """Return expectations on the labels: present, in the declared set, every class there, none too rare or common."""
    classes = list(range(len(facts.labels)))
    balanced = 1 / len(classes)
    present = expect_present("rows", ("label",))[0]
    hint = hint_undeclared(facts.undeclared)
    mostly = 1 - (gate.max_missing_fraction or 0.0)
    return [
        present.model_copy(update={"kwargs": {**present.kwargs, "mostly": mostly}})
        if mostly < 1
        else present,
        expect(
            "expect_column_values_to_be_in_set",
            "rows",
            column="label",
            value_set=classes,
            hint=hint,
        ),
        expect(
            "expect_column_distinct_values_to_contain_set",
            "rows",
            "classes",
            column="label",
            value_set=classes,
        ),
        expect(
            "expect_column_values_to_be_between",
            "classes",
            "class share",
            column="share",
            min_value=(gate.min_class_balance or 0.0) * balanced,
            max_value=min(1.0, (gate.max_class_balance or math.inf) * balanced),
        ),
    ]


def _tabulate_source(facts: RawFacts) -> Table:
    """Return one row: the fraction of the source's records that could not be read, and of the rows that repeat another."""
    import pandas as pd

    rows = facts.rows.rows
    figures = {
        "unread": facts.unread.count / max(1, rows + facts.unread.count),
        "duplicate": facts.duplicates.count / max(1, rows),
    }
    return Table(
        pd.DataFrame([figures]),
        named={"duplicate": facts.duplicates.names, "unread": facts.unread.names},
    )
