"""What is done inside one shard: the part of a worker, in this process or another.

Import this through `gates.runner`, which silences the vendor first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.validator.metric_configuration import (
    MetricConfiguration,
    MetricConfigurationID,
)

from gates.engine.moments import measure_moments
from gates.engine.routes import Answer, Route
from gates.engine.shard_statistics import UNKNOWN, answer_from_statistics
from gates.engine.sharded_table import Shard

Known = Mapping[MetricConfigurationID, Any]
Request = tuple[MetricConfiguration, Route]


class Deferred:
    """Stands for a value a row, which is computed inside each shard and never leaves it."""


@dataclass(frozen=True)
class Fault:
    """Says why a metric has no answer; it is a value, so that it spoils no other answer."""

    message: str


@dataclass(frozen=True)
class Placed:
    """A shard, and the position of its first row in the whole table."""

    shard: Shard
    offset: int


def answer_shard(
    placed: Placed, requests: Sequence[Request], known: Known, dtypes: Mapping[str, Any]
) -> list[Any]:
    """Answer metrics for one shard, which is read only if its stored statistics do not suffice.

    Args:
        placed: the shard.
        requests: metrics with their routes.
        known: answers over all shards that they depend on.
        dtypes: of the table's columns, over all shards.

    Returns:
        A part for each request: an answer, moments, distinct values, or a fault.
    """
    shard = placed.shard
    parts = [answer_from_statistics(metric, route, shard) for metric, route in requests]
    rest = [request for request, part in zip(requests, parts, strict=True) if part is UNKNOWN]
    if not rest:
        return parts
    try:
        frame = read_frame(placed, name_columns([metric for metric, _ in rest]), dtypes)
    except Exception as error:  # noqa: BLE001 - a shard that cannot be read has no answer
        fault = Fault(str(error) or type(error).__name__)
        return [fault if part is UNKNOWN else part for part in parts]
    engine = load_stock_engine(frame)
    memo: dict[MetricConfigurationID, Any] = {}
    return [
        compute_part(engine, metric, route, known, memo) if part is UNKNOWN else part
        for (metric, route), part in zip(requests, parts, strict=True)
    ]


def compute_part(
    engine: PandasExecutionEngine,
    metric: MetricConfiguration,
    route: Route,
    known: Known,
    memo: dict[MetricConfigurationID, Any],
) -> Answer:
    """Compute one shard's part of a metric."""
    try:
        if route in (Route.MOMENTS, Route.DISTINCT):
            values = engine.get_domain_records(dict(metric.metric_domain_kwargs))[
                metric.metric_domain_kwargs["column"]
            ]
            return measure_moments(values) if route is Route.MOMENTS else values.drop_duplicates()
        return compute_metric(engine, metric, known, memo)
    except Exception as error:  # noqa: BLE001 - whatever is raised, there is no answer
        return Fault(str(error) or type(error).__name__)


def compute_metric(
    engine: PandasExecutionEngine,
    metric: MetricConfiguration,
    known: Known,
    memo: dict[MetricConfigurationID, Any],
) -> Answer:
    """Compute a metric by its stock provider, after the deferred ones that it depends on."""
    if metric.id in memo:
        return memo[metric.id]
    needs: dict[MetricConfigurationID, Any] = {}
    for need in metric.metric_dependencies.values():
        value = known.get(need.id)
        deferred = isinstance(value, Deferred) or need.id not in known
        needs[need.id] = compute_metric(engine, need, known, memo) if deferred else value
    answer = engine.resolve_metrics([metric], metrics=needs, runtime_configuration={})[metric.id]
    memo[metric.id] = answer
    return answer


def load_stock_engine(frame: pd.DataFrame) -> PandasExecutionEngine:
    """Return the stock engine over one frame."""
    engine = PandasExecutionEngine()
    engine.load_batch_data("frame", frame)
    return engine


def read_frame(
    placed: Placed, columns: tuple[str, ...] | None, dtypes: Mapping[str, Any]
) -> pd.DataFrame:
    """Return a shard's rows with the table's dtypes and their positions in the table as index."""
    present = None if columns is None else tuple(column for column in columns if column in dtypes)
    frame = placed.shard.read(present)
    other = {
        column: dtypes[column] for column in frame.columns if frame[column].dtype != dtypes[column]
    }
    if other:
        frame = frame.astype(other)
    return frame.set_axis(pd.RangeIndex(placed.offset, placed.offset + len(frame)), axis=0)


def name_columns(metrics: Sequence[MetricConfiguration]) -> tuple[str, ...] | None:
    """Return the columns that metrics read; None if they read them all."""
    named: dict[str, None] = {}
    for metric in metrics:
        domain = metric.metric_domain_kwargs
        if domain.get("row_condition") or metric.metric_name.endswith(".unexpected_rows"):
            return None
        single = [domain[key] for key in ("column", "column_A", "column_B") if key in domain]
        result_format = metric.metric_value_kwargs.get("result_format") or {}
        index = result_format.get("unexpected_index_column_names") or []
        named |= dict.fromkeys([*single, *domain.get("column_list", []), *index])
    return tuple(named)
