"""How each metric of Great Expectations is answered over shards.

A metric is answered by one of these routes, chosen by its name. What has no route is refused by
name: an approximation never stands in for an exact answer.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import reduce
from typing import Any, TypeAlias

from gates.errors import UnmergeableError

Answer: TypeAlias = Any  # whatever the provider of a metric returns


class Route(StrEnum):
    """The ways to an exact answer."""

    SCHEMA = "schema"  # from column names and dtypes alone
    DERIVED = "derived"  # from other metrics alone
    DEFERRED = "deferred"  # one value a row: computed inside a shard, when a metric below needs it
    SUM = "sum"  # of the shards' answers
    LEAST = "least"
    GREATEST = "greatest"
    MOMENTS = "moments"  # mean and deviation from count, mean and squared deviations
    DISTINCT = "distinct"  # of the distinct values of all shards
    LIST = "list"  # the shards' lists, one after the other, cut as the stock metric cuts them
    QUERY = "query"
    FRAME = "frame"
    COLUMN = "column"  # of the whole of the columns that it names, gathered from all shards


MERGED = frozenset(
    {
        Route.SUM,
        Route.LEAST,
        Route.GREATEST,
        Route.MOMENTS,
        Route.DISTINCT,
        Route.LIST,
        Route.QUERY,
        Route.FRAME,
    }
)

_BY_NAME = {
    "table.columns": Route.SCHEMA,
    "table.column_types": Route.SCHEMA,
    "table.column_count": Route.SCHEMA,
    "table.row_count": Route.SUM,
    "column.non_null_count": Route.SUM,
    "column_values.between.count": Route.SUM,
    "column_values.match_regex.count": Route.DERIVED,
    "column_values.not_match_regex.count": Route.DERIVED,
    "column_values.nonnull.count": Route.DERIVED,
    "column_values.null.count": Route.DERIVED,
    "column.sum": Route.SUM,
    "column.histogram": Route.SUM,
    "column.min": Route.LEAST,
    "column_values.length.min": Route.LEAST,
    "column.max": Route.GREATEST,
    "column_values.length.max": Route.GREATEST,
    "column.mean": Route.MOMENTS,
    "column.standard_deviation": Route.MOMENTS,
    "column.distinct_values": Route.DISTINCT,
    "column.distinct_values.count": Route.DISTINCT,
    "column.distinct_values.count.under_threshold": Route.DISTINCT,
    "column.distinct_values.missing_from_column": Route.DISTINCT,
    "column.distinct_values.missing_from_column.count": Route.DISTINCT,
    "column.distinct_values.not_in_set": Route.DISTINCT,
    "column.distinct_values.not_in_set.count": Route.DISTINCT,
    "column.non_null_proportion": Route.DERIVED,
    "column.unique_proportion": Route.DERIVED,
    "column.partition": Route.DERIVED,
    "column.median": Route.COLUMN,
    "column.quantile_values": Route.COLUMN,
    "column.outlier_statistics": Route.COLUMN,
    "column.most_common_value": Route.COLUMN,
    "column.value_counts": Route.COLUMN,
    "column.descriptive_stats": Route.COLUMN,
    "column.parameterized_distribution_ks_test_p_value": Route.COLUMN,
}
# A row's verdict that depends on other rows: all that follows from it needs the whole column.
_ACROSS_ROWS = (
    "column_values.unique.",
    "column_values.increasing.",
    "column_values.decreasing.",
    "compound_columns.unique.",
)
_BY_ENDING = {
    ".condition": Route.DEFERRED,
    ".map": Route.DEFERRED,
    ".unexpected_count": Route.SUM,
    ".filtered_row_count": Route.SUM,
    ".unexpected_values": Route.LIST,
    ".unexpected_index_list": Route.LIST,
    ".unexpected_index_query": Route.QUERY,
    ".unexpected_rows": Route.FRAME,
}
_REASONS = {
    "column.bootstrapped_ks_test_p_value": (
        "it draws random samples, so that no two answers are the same"
    ),
}
_QUERY_HEAD, _QUERY_TAIL = "df.filter(items=[", "], axis=0)"


def find_route(metric: str) -> Route:
    """Return the route of a metric.

    Raises:
        UnmergeableError: there is none.
    """
    if metric in _BY_NAME:
        return _BY_NAME[metric]
    for ending, route in _BY_ENDING.items():
        if metric.endswith(ending):
            across = metric.startswith(_ACROSS_ROWS)
            return Route.COLUMN if across and route is not Route.DEFERRED else route
    reason = _REASONS.get(metric, "no exact way to merge it is known")
    raise UnmergeableError(
        f"metric ({metric}) must merge exactly over shards; got one that does not: {reason}; judge "
        "a table instead"
    )


def merge(route: Route, metric: str, parts: Sequence[Answer], most: int | None) -> Answer:
    """Merge the answers of the shards, in their order, into the answer of all rows.

    Args:
        route: of the metric; not MOMENTS or DISTINCT, which need more than answers.
        metric: its name, for refusals.
        parts: at least one.
        most: entries at which lists are cut; None for no cut.
    """
    if route is Route.SUM:
        return parts[0] if len(parts) == 1 else _add(parts)
    if route in (Route.LEAST, Route.GREATEST):
        return _choose(parts, min if route is Route.LEAST else max)
    if route is Route.LIST:
        return [item for part in parts for item in part][:most]
    if route is Route.QUERY:
        return _join_queries(parts)
    if route is Route.FRAME:
        import pandas as pd

        frames: list[pd.DataFrame] = [part for part in parts if len(part)] or [parts[0]]
        return pd.concat(frames).iloc[:most]
    raise UnmergeableError(
        f"metric ({metric}) must have answers that merge; got route {route}; add its merge"
    )


def _add(parts: Sequence[Answer]) -> Answer:
    """Add counts, sums, or lists of counts; a shard that answers 0 adds nothing."""
    if isinstance(parts[0], list):
        return [sum(counts) for counts in zip(*parts, strict=True)]
    present = [part for part in parts if not _is_zero(part)]
    if len(present) > 1 and all(isinstance(part, float) for part in present):
        return _add_floats(present)
    return reduce(lambda left, right: left + right, present) if present else parts[0]


def _add_floats(parts: Sequence[float]) -> float:
    """Add floats without losing digits between shards."""
    finite = all(math.isfinite(part) for part in parts)
    return math.fsum(parts) if finite else sum(parts[1:], start=parts[0])


def _is_zero(part: Answer) -> bool:
    """Return whether an answer is the number 0."""
    return not isinstance(part, str) and bool(part == 0)


def _choose(parts: Sequence[Answer], chooser: Callable[[list[Answer]], Answer]) -> Answer:
    """Return the least or greatest answer that is not missing; the first answer if all are."""
    present = [part for part in parts if not is_missing(part)]
    return chooser(present) if present else parts[0]


def is_missing(value: Answer) -> bool:
    """Return whether an answer is None, NaN, NaT or NA."""
    import pandas as pd

    return bool(pd.isna(value))


def _join_queries(parts: Iterable[str | None]) -> str | None:
    """Join the shards' `df.filter(items=[...], axis=0)` into one; None if they give none."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    items = [part.removeprefix(_QUERY_HEAD).removesuffix(_QUERY_TAIL) for part in given]
    return _QUERY_HEAD + ", ".join(item for item in items if item) + _QUERY_TAIL
