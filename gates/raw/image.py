"""Raw images: shape, dtype, value range and labels must be what the recipe says."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gates.engine.field_checks import SHARDS, build_field_expectations
from gates.engine.judge import run_suite
from gates.engine.on_fail import BadRows
from gates.engine.report import GateReport
from gates.engine.sharded_table import ShardedTable
from gates.engine.suite import Expectation, Suite, expect, expect_present
from gates.engine.tables import FieldRule, Table, tabulate_classes
from gates.raw.check_names import (
    DUPLICATES,
    IMAGE_INF,
    IMAGE_MAX,
    IMAGE_MIN,
    IMAGE_MISSING,
    LABEL,
)
from gates.raw.form import STAGE, RawForm
from gates.raw.hints import hint_undeclared
from gates.specs.raw import RawGate

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = {
    "max_missing_fraction": 0.0,
    "max_duplicate_fraction": 0.05,
    "min_class_balance": 0.2,
    "max_class_balance": 5.0,
}
ROW_CHECKS = (IMAGE_MIN, IMAGE_MAX, IMAGE_MISSING, IMAGE_INF, LABEL, DUPLICATES)


@dataclass(frozen=True)
class ImageFacts:
    """What the raw gate judges of images.

    Attributes:
        shards: one row a shard, from `gates.engine.tables.tabulate_shards`.
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


def judge_images(gate: RawGate, facts: ImageFacts) -> GateReport:
    """Judge raw images: size, fields, labels, duplicates and the balance of classes."""
    tables: dict[str, Table | ShardedTable] = {
        SHARDS: facts.shards,
        "rows": facts.rows,
        "classes": tabulate_classes(facts.label_counts, facts.labels),
        "source": _tabulate_source(facts),
    }
    return run_suite(_build_suite(gate, facts), tables)


def _build_suite(gate: RawGate, facts: ImageFacts) -> Suite:
    """Return the gate's expectations, of limits without gaps."""
    least, about = gate.min_rows, "unread records, fraction"
    expectations = (
        expect(
            "expect_table_row_count_to_be_between",
            "rows",
            "row count",
            min_value=least,
            key="gates.raw.min_rows",
        ),
        _expect_most("max", about, "unread", gate, "max_unread_fraction"),
        *build_field_expectations(
            facts.fields,
            facts.shards,
            max_missing_fraction=gate.max_missing_fraction or 0.0,
            max_infinite_fraction=gate.max_infinite_fraction,
            section="gates.raw.",
        ),
        *_expect_labels(gate, facts),
        _expect_most("mean", DUPLICATES, "duplicate", gate, "max_duplicate_fraction"),
    )
    return Suite(stage=STAGE, expectations=expectations)


def _expect_most(figure: str, about: str, column: str, gate: RawGate, limit: str) -> Expectation:
    """Return an expectation that a fraction of records or of rows is not above a limit."""
    return expect(
        f"expect_column_{figure}_to_be_between",
        "source",
        about,
        column=column,
        min_value=0,
        max_value=getattr(gate, limit),
        mark=column,
        key=f"gates.raw.{limit}",
    )


def _expect_labels(gate: RawGate, facts: ImageFacts) -> list[Expectation]:
    """Return expectations on labels: present, declared, every class there, none too rare."""
    classes = list(range(len(facts.labels)))
    balanced = 1 / len(classes)
    least = (gate.min_class_balance or 0.0) * balanced
    most = min(1.0, (gate.max_class_balance or math.inf) * balanced)
    each, in_set = "expect_column_values_to_be_between", "expect_column_values_to_be_in_set"
    every, hint = "expect_column_distinct_values_to_contain_set", hint_undeclared(facts.undeclared)
    about = "class share"
    return [
        _expect_label(1 - (gate.max_missing_fraction or 0.0)),
        expect(in_set, "rows", column="label", value_set=classes, hint=hint, key="data.labels"),
        expect(every, "rows", "classes", column="label", value_set=classes, key="data.labels"),
        expect(
            each,
            "classes",
            about,
            column="share",
            min_value=least,
            max_value=most,
            key="gates.raw.min_class_balance, max_class_balance",
        ),
    ]


def _expect_label(mostly: float) -> Expectation:
    """Return the expectation that at least a fraction of the rows has a label."""
    present = expect_present("rows", ("label",), "gates.raw.max_missing_fraction")[0]
    if mostly == 1:
        return present
    return present.model_copy(update={"kwargs": {**present.kwargs, "mostly": mostly}})


def _tabulate_source(facts: ImageFacts) -> Table:
    """Return one row: shares of records that could not be read, and of rows that repeat another."""
    import pandas as pd

    rows = facts.rows.rows
    figures = {
        "unread": facts.unread.count / max(1, rows + facts.unread.count),
        "duplicate": facts.duplicates.count / max(1, rows),
    }
    named = {"duplicate": facts.duplicates.names, "unread": facts.unread.names}
    return Table(pd.DataFrame([figures]), named=named)


FORM = RawForm("image", LIMITS, ROW_CHECKS, judge_images)
