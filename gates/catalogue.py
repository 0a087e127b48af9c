"""The table of every stock expectation: exact over shards, exact on whole columns, or refused by name.

`python -m gates.catalogue docs/gates.md` writes the page, worked out from the metrics that each expectation asks for and
from the limits' own defaults and sentences.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from gates.engine.on_fail import ROW_CHECKS
from gates.engine.routes import Route, find_route
from gates.engine.sharded_table import ShardedTable, make_shard
from gates.engine.suite import Expectation
from gates.errors import UnmergeableError
from gates.specs import (
    AnomalyGate,
    ArtifactGate,
    DriftGate,
    ModelGate,
    PreparedGate,
    RawGate,
    RegressionGate,
)

# One use of each stock expectation on the columns of `make_example`.
_NUMBER, _TEXT, _PAIR = (
    {"column": "number"},
    {"column": "text"},
    {"column_A": "count", "column_B": "number"},
)
_LIST = {"column_list": ["count", "number"]}
_LIMITS = {"min_value": 1, "max_value": 3}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "expect_column_distinct_values_to_be_in_set": {**_TEXT, "value_set": ["a", "b"]},
    "expect_column_distinct_values_to_contain_set": {**_TEXT, "value_set": ["a", "z"]},
    "expect_column_distinct_values_to_equal_set": {**_TEXT, "value_set": ["a", "b"]},
    "expect_column_kl_divergence_to_be_less_than": {
        **_TEXT,
        "partition_object": {"values": ["a", "b", "c"], "weights": [0.5, 0.25, 0.25]},
        "threshold": 0.5,
    },
    "expect_column_max_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_mean_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_median_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_min_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_most_common_value_to_be_in_set": {**_TEXT, "value_set": ["a"]},
    "expect_column_pair_values_a_to_be_greater_than_b": {**_PAIR, "or_equal": True},
    "expect_column_pair_values_to_be_equal": _PAIR,
    "expect_column_pair_values_to_be_in_set": {**_PAIR, "value_pairs_set": [[1, 1.0], [2, 2.0]]},
    "expect_column_proportion_of_non_null_values_to_be_between": {
        **_NUMBER,
        "min_value": 0.5,
        "max_value": 0.9,
    },
    "expect_column_proportion_of_unique_values_to_be_between": {
        **_NUMBER,
        "min_value": 0.5,
        "max_value": 0.9,
    },
    "expect_column_quantile_values_to_be_between": {
        **_NUMBER,
        "quantile_ranges": {"quantiles": [0.25, 0.5], "value_ranges": [[0, 1], [None, 3]]},
    },
    "expect_column_stdev_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_sum_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_to_exist": _NUMBER,
    "expect_column_type_to_be": {**_NUMBER, "type_": "float64"},
    "expect_column_unique_value_count_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_value_lengths_to_be_between": {**_TEXT, **_LIMITS},
    "expect_column_value_lengths_to_equal": {**_TEXT, "value": 1},
    "expect_column_value_z_scores_to_be_less_than": {
        **_NUMBER,
        "threshold": 1,
        "double_sided": True,
    },
    "expect_column_values_to_be_between": {**_NUMBER, **_LIMITS},
    "expect_column_values_to_be_dateutil_parseable": _TEXT,
    "expect_column_values_to_be_decreasing": _NUMBER,
    "expect_column_values_to_be_in_set": {**_TEXT, "value_set": ["a", "b"]},
    "expect_column_values_to_be_in_type_list": {**_TEXT, "type_list": ["str", "float64"]},
    "expect_column_values_to_be_increasing": _NUMBER,
    "expect_column_values_to_be_json_parseable": _TEXT,
    "expect_column_values_to_be_null": _NUMBER,
    "expect_column_values_to_be_of_type": {**_TEXT, "type_": "str"},
    "expect_column_values_to_be_unique": _NUMBER,
    "expect_column_values_to_match_json_schema": {**_TEXT, "json_schema": {"type": "integer"}},
    "expect_column_values_to_match_like_pattern": {**_TEXT, "like_pattern": "a%"},
    "expect_column_values_to_match_like_pattern_list": {**_TEXT, "like_pattern_list": ["a%"]},
    "expect_column_values_to_match_regex": {**_TEXT, "regex": "^[ab]"},
    "expect_column_values_to_match_regex_list": {**_TEXT, "regex_list": ["^a", "b$"]},
    "expect_column_values_to_match_strftime_format": {**_TEXT, "strftime_format": "%Y"},
    "expect_column_values_to_not_be_in_set": {**_TEXT, "value_set": ["a"]},
    "expect_column_values_to_not_be_null": _NUMBER,
    "expect_column_values_to_not_be_outliers": {**_NUMBER, "method": "iqr", "multiplier": 1.5},
    "expect_column_values_to_not_match_like_pattern": {**_TEXT, "like_pattern": "a%"},
    "expect_column_values_to_not_match_like_pattern_list": {**_TEXT, "like_pattern_list": ["a%"]},
    "expect_column_values_to_not_match_regex": {**_TEXT, "regex": "^a"},
    "expect_column_values_to_not_match_regex_list": {**_TEXT, "regex_list": ["^a", "b$"]},
    "expect_compound_columns_to_be_unique": _LIST,
    "expect_multicolumn_sum_to_equal": {**_LIST, "sum_total": 4},
    "expect_multicolumn_values_to_be_equal": _LIST,
    "expect_query_results_to_match_comparison": {
        "base_query": "select 1",
        "comparison_data_source_name": "other",
        "comparison_query": "select 1",
    },
    "expect_select_column_values_to_be_unique_within_record": _LIST,
    "expect_table_column_count_to_be_between": {"min_value": 1, "max_value": 4},
    "expect_table_column_count_to_equal": {"value": 3},
    "expect_table_columns_to_match_ordered_list": {"column_list": ["number", "count", "text"]},
    "expect_table_columns_to_match_set": {"column_set": ["text", "count", "number"]},
    "expect_table_row_count_to_be_between": {"min_value": 1, "max_value": 4},
    "expect_table_row_count_to_equal": {"value": 3},
    "expect_table_row_count_to_equal_other_table": {"other_table_name": "other"},
    "unexpected_rows_expectation": {"unexpected_rows_query": "select * from {batch}"},
}
_SECTIONS: Mapping[str, type[BaseModel]] = {
    "raw": RawGate,
    "drift": DriftGate,
    "prepared": PreparedGate,
    "model": ModelGate,
    "model, of numbers": RegressionGate,
    "model, of anomalies": AnomalyGate,
    "artifact": ArtifactGate,
}
_INTRODUCTION = (
    "Any of them may stand in `gates.raw.expectations`, or in a suite that `gates.raw.suites` "
    "names, and is applied to the "
    "rows of the raw version: the columns of the recipe, `label`, `row_id`, `source`, and derived "
    "columns such as "
    "`image.brightness` or `<column>.flat`."
)
_MEMORY = (
    "The default checks hold one shard of rows at a time. Those that compare rows with each other "
    "(rows that repeat "
    "another, are shared between splits or look alike, the order of series, rows of one split "
    "among those of another) "
    "take keys in ranges, as many as fit into a budget (`MOST_BYTES` of "
    "`storage.upkeep.duplicates` and `storage.pipeline.timeline`, 256 "
    "MiB): more rows take more readings of these keys, not more memory. None of them samples rows; "
    "the label probe "
    "does (above). Labels of images, and all figures of single columns, are told by the manifest "
    "where it knows them. "
    "Rows that are set aside are listed in memory, with their reasons; `max_fraction` limits them."
)
_NOTES = {
    "raw": (
        "Rows are set aside, into `<recipe>-quarantine`, with `on_fail: {<check>: {quarantine: "
        "{max_fraction: 0.01}}}`, if "
        "the check fails and its bad rows are no more than that share of all; more of them stop "
        "the run. These checks are "
        "about rows: "
        + "; ".join(
            f"of {kind} " + ", ".join(f"`{name}`" for name in names)
            for kind, names in ROW_CHECKS.items()
        )
        + ". An expectation of your own has its own `on_fail`, and must judge each row (`expect_column_values_...`). "
        "`lepton quarantine list|show|release` looks at them and takes them out again. What the "
        "rows that stay look like "
        "to the comparison with the accepted version is judged with the bad ones among them."
    ),
    "drift": (
        "A version of series is compared with those rows of the accepted one that lie in its own "
        "span of time, if they are "
        "enough: a season that it does not have is no change. The rows of a table may come in any "
        "order.\n\n"
        "What `max_agreement_loss` can see: only labels that the probe agreed with before can be "
        "missed. Where it agrees "
        "with a share `a` of the labels of `K` classes, flipping a share `f` of them at random "
        "lowers that by "
        "`f * (a - (1 - a) / (K - 1))`: 4.6 points for 5 % of the digits of MNIST, of which `a` is "
        "0.93. No row is answered "
        "by a probe that learned from it, in either version. A fall counts if it is above "
        "`max_agreement_loss` and beyond "
        "chance: `3.1 * sqrt(a * (1 - a) * (1 / asked + 1 / asked_before))`, which is 1.4 points "
        "with 6,000 rows. Where a "
        "probe knows little (`a` near `1 / K`) or one class is rare, flipped labels are seen by "
        "its share alone, or by "
        "`max_strength_change`."
    ),
}
_KINDS = {
    "exact": "exact: shards are answered one by one and merged",
    "column": "exact by another route: one pass over the whole of the columns that it names, up to a limit of memory",
    "refused": "refused by name",
}


@dataclass(frozen=True)
class Entry:
    """How one stock expectation is answered.

    Attributes:
        rule: its type.
        kind: `exact`, `column` or `refused`.
        reason: why it is refused, or which metrics need whole columns; empty if it is exact.
    """

    rule: str
    kind: str
    reason: str


def list_entries() -> list[Entry]:
    """Return one entry for each expectation that the installed Great Expectations registers, by name."""
    from gates.engine.runner import list_rules  # Great Expectations takes seconds to import

    return [describe_rule(rule) for rule in list_rules()]


def describe_rule(rule: str) -> Entry:
    """Work out how an expectation is answered from the metrics that its example asks for."""
    from gates.engine.runner import list_metrics, run_expectations

    if rule not in EXAMPLES:
        return Entry(rule, "refused", "unknown to this version of Lepton")
    try:
        metrics = list_metrics(rule, EXAMPLES[rule], make_example())
    except Exception as error:  # noqa: BLE001 - whatever the vendor raises, the rule does not run on tables
        return Entry(
            rule,
            "refused",
            f"not offered on tables by Great Expectations: {str(error).splitlines()[0]}",
        )
    item = Expectation(rule=rule, table="example", about=rule, kwargs=dict(EXAMPLES[rule]))
    if fault := run_expectations({0: item}, split_example())[0].error:
        return Entry(rule, "refused", fault)
    whole: list[str] = []
    for metric in metrics:
        try:
            route = find_route(metric)
        except UnmergeableError as error:
            return Entry(rule, "refused", str(error))
        if route is Route.COLUMN:
            whole.append(metric)
    return Entry(rule, "column" if whole else "exact", ", ".join(f"`{metric}`" for metric in whole))


def make_example() -> pd.DataFrame:
    """Return the table of the examples."""
    columns = {
        "number": [1.0, 2.0, None, 4.0],
        "count": [1, 2, 3, 3],
        "text": ["a", "b", None, "a"],
    }
    return pd.DataFrame(columns)


def split_example() -> ShardedTable:
    """Return the table of the examples in two shards."""
    frame = make_example()
    halves = (frame.iloc[:2].reset_index(drop=True), frame.iloc[2:].reset_index(drop=True))
    return ShardedTable(tuple(make_shard(str(index), half) for index, half in enumerate(halves)))


def format_table(entries: list[Entry]) -> str:
    """Return the entries as Markdown, grouped by kind."""
    lines: list[str] = []
    for kind, title in _KINDS.items():
        chosen = [entry for entry in entries if entry.kind == kind]
        lines += [
            f"## {title[0].upper()}{title[1:]} ({len(chosen)})",
            "",
            "| expectation | why |",
            "|---|---|",
        ]
        lines += [f"| `{entry.rule}` | {entry.reason.replace('|', '/')} |" for entry in chosen]
        lines.append("")
    return "\n".join(lines)


def format_page(entries: list[Entry]) -> str:
    """Return the page of documentation: every limit with its default, then every stock expectation."""
    lines = [
        "# Gates",
        "",
        "Written by `python -m gates.catalogue docs/gates.md`; do not edit.",
        "",
    ]
    lines += [
        "## Limits",
        "",
        "A section of a recipe's `gates`; whatever is left out has the default.",
        "",
    ]
    for name, section in _SECTIONS.items():
        lines += [f"### {name}", "", "| limit | default | what it means |", "|---|---|---|"]
        for limit, field in section.model_fields.items():
            default = field.get_default(call_default_factory=True)
            lines.append(
                f"| `{limit}` | {show_default(default)} | "
                f"{' '.join((field.description or '').split())} |"
            )
        lines.append("")
        lines += [_NOTES[name], ""] if name in _NOTES else []
    lines += ["## Memory", "", _MEMORY, ""]
    head = "\n".join([*lines, "## Stock expectations", "", _INTRODUCTION, ""])
    return (
        head
        + "\n"
        + format_table(entries).replace("\n## ", "\n### ").replace("## Exact:", "### Exact:", 1)
    )


def show_default(value: object) -> str:
    """Return a default as a recipe would state it."""
    return (
        "none"
        if value is None or value in ((), {})
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


if __name__ == "__main__":
    page = format_page(list_entries())
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page, "utf-8")
    else:
        sys.stdout.write(page)
