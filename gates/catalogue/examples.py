"""One use of each stock expectation, on the columns of a small table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gates.engine.sharded_table import ShardedTable, make_shard

# One use of each stock expectation on the columns of `make_example`.
_NUMBER, _TEXT = {"column": "number"}, {"column": "text"}
_PAIR = {"column_A": "count", "column_B": "number"}
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
