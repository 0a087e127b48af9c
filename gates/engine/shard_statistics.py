"""Answers from a shard's stored statistics, so that a shard known to be fine is not read."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gates.engine.moments import Moments
from gates.engine.routes import Answer, Route
from gates.engine.sharded_table import ColumnStatistics, Shard

if TYPE_CHECKING:
    from great_expectations.validator.metric_configuration import MetricConfiguration

UNKNOWN: Final = object()
_CLEAR = {
    ".unexpected_count": 0,
    ".unexpected_values": [],
    ".unexpected_index_list": [],
    ".unexpected_index_query": "df.filter(items=[], axis=0)",
}


def answer_from_statistics(metric: "MetricConfiguration", route: Route, shard: Shard) -> Answer:
    """Return a shard's part of a metric from what was stored when it was written.

    UNKNOWN if that does not suffice.
    """
    domain = metric.metric_domain_kwargs
    if domain.get("row_condition"):
        return UNKNOWN
    name = metric.metric_name
    if name == "table.row_count":
        return shard.rows
    statistics = shard.statistics.get(domain.get("column", ""))
    if statistics is None:
        return UNKNOWN
    if route is Route.MOMENTS:
        return _answer_moments(statistics, shard.rows)
    if route is Route.DISTINCT:
        return _answer_distinct(statistics, shard.head[domain["column"]].dtype)
    figures = _list_figures(statistics, shard.rows)
    if name in figures:
        return UNKNOWN if figures[name] is None else figures[name]
    return _answer_clear(metric, statistics)


def _answer_moments(statistics: ColumnStatistics, rows: int) -> Answer:
    """Return the moments of a column."""
    if statistics.total is None or statistics.m2 is None:
        return UNKNOWN
    return Moments(rows - statistics.missing, float(statistics.total), statistics.m2)


def _answer_distinct(statistics: ColumnStatistics, dtype: Any) -> Answer:
    """Return the distinct values of a column."""
    import pandas as pd

    if statistics.distinct is None or statistics.missing:
        return UNKNOWN
    return pd.Series(statistics.distinct, dtype=dtype)


def _list_figures(statistics: ColumnStatistics, rows: int) -> dict[str, Any]:
    """Return the metrics that a column's statistics state outright; None where they do not."""
    present = rows - statistics.missing
    return {
        "column.min": statistics.min,
        "column.max": statistics.max,
        "column.sum": statistics.total,
        "column.non_null_count": present,
        "column_values.nonnull.unexpected_count": statistics.missing,
        "column_values.null.unexpected_count": present,
    }


def _answer_clear(metric: "MetricConfiguration", statistics: ColumnStatistics) -> Answer:
    """Return the empty answer of a rule on each value, if statistics prove that all keep it."""
    rule, _, figure = metric.metric_name.rpartition(".")
    answer = _CLEAR.get(f".{figure}", UNKNOWN)
    if answer is UNKNOWN or metric.metric_name.endswith(".count"):
        return UNKNOWN
    if rule == "column_values.nonnull" and statistics.missing == 0:
        return answer
    allowed = metric.metric_value_kwargs.get("value_set")
    if (
        rule == "column_values.in_set"
        and statistics.distinct is not None
        and isinstance(allowed, list)
    ):
        return answer if set(statistics.distinct) <= set(allowed) else UNKNOWN
    if rule == "column_values.between" and _is_within(metric.metric_value_kwargs, statistics):
        return answer
    return UNKNOWN


def _is_within(limits: Mapping[str, Any], statistics: ColumnStatistics) -> bool:
    """Return whether every value that is not missing is between the limits."""
    least, greatest = statistics.min, statistics.max
    low, high = limits.get("min_value"), limits.get("max_value")
    if not all(isinstance(figure, int | float) for figure in (least, greatest)):
        return False
    if not all(limit is None or isinstance(limit, int | float) for limit in (low, high)):
        return False
    above = low is None or (least > low if limits.get("strict_min") else least >= low)
    below = high is None or (greatest < high if limits.get("strict_max") else greatest <= high)
    return bool(above and below)
