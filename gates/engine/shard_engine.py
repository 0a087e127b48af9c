"""Runs stock expectations over shards: Great Expectations' execution engine, untouched.

`ShardEngine` overrides only how metrics are resolved. A metric is computed shard by shard by the
stock provider and merged exactly; or it follows from other metrics; or, where a row's verdict
depends on other rows, it is computed on the whole of the columns that it names. Memory is bounded
by a shard, or by those columns, up to a limit.

Import this through `gates.runner`, which silences the vendor first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import pandas as pd
from great_expectations.constants import MAX_RESULT_RECORDS
from great_expectations.exceptions.exceptions import MetricResolutionError
from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
from great_expectations.validator.metric_configuration import (
    MetricConfiguration,
    MetricConfigurationID,
)

from gates.engine.moments import merge_moments
from gates.engine.routes import MERGED, Answer, Route, find_route, merge
from gates.engine.shard_work import (
    Deferred,
    Fault,
    Known,
    Placed,
    Request,
    answer_shard,
    compute_metric,
    compute_part,
    load_stock_engine,
    name_columns,
    read_frame,
)
from gates.engine.sharded_table import Shard
from gates.errors import UnmergeableError

MapShards = Callable[[Callable[[Placed], list[Any]], Sequence[Placed]], Iterable[list[Any]]]

GATHER_LIMIT_BYTES = 2 * 1024**3


class ShardEngine(PandasExecutionEngine):
    """An execution engine over shards.

    Args:
        shards: at least one; all with the same columns.
        map_shards: applies a function to every shard, in order; `map` in this process, or over Dask
            workers.
        gather_limit_bytes: largest size of the columns that one metric may gather.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        *,
        map_shards: MapShards = map,
        gather_limit_bytes: int = GATHER_LIMIT_BYTES,
    ) -> None:
        super().__init__()
        offsets = accumulate((shard.rows for shard in shards[:-1]), initial=0)
        self._placed = tuple(
            Placed(shard, offset) for shard, offset in zip(shards, offsets, strict=True)
        )
        self._map_shards = map_shards
        self._gather_limit_bytes = gather_limit_bytes
        self._head = pd.concat([shard.head for shard in shards], ignore_index=True)
        self._answers: dict[MetricConfigurationID, Answer] = {}
        self._head_engine = load_stock_engine(self._head)
        self.load_batch_data("head", self._head)

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: dict[MetricConfigurationID, Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> dict[MetricConfigurationID, Any]:
        """Answer metrics of which the dependencies are known.

        Raises:
            MetricResolutionError: some could not be answered; the answers of the others are kept
                for the next call.
        """
        wanted, known = list(metrics_to_resolve), metrics or {}
        routed = [
            (metric, self._choose_route(metric))
            for metric in wanted
            if metric.id not in self._answers
        ]
        merged = [
            (metric, route)
            for metric, route in routed
            if isinstance(route, Route) and route in MERGED
        ]
        for metric, route in routed:
            if isinstance(route, Fault):
                self._answers[metric.id] = route
            elif route is Route.DEFERRED:
                self._answers[metric.id] = Deferred()
            elif route in (Route.SCHEMA, Route.DERIVED):
                self._answers[metric.id] = compute_part(self._head_engine, metric, route, known, {})
        self._answer_merged(merged, known)
        self._answer_gathered([metric for metric, route in routed if route is Route.COLUMN], known)
        if failed := [metric for metric in wanted if isinstance(self._answers[metric.id], Fault)]:
            message = self._answers[failed[0].id].message
            alike = tuple(
                metric for metric in failed if self._answers[metric.id].message == message
            )
            raise MetricResolutionError(message=message, failed_metrics=alike)
        return {metric.id: self._answers[metric.id] for metric in wanted}

    def _choose_route(self, metric: MetricConfiguration) -> Route | Fault:
        """Return a metric's route, given its arguments and the dtype of its column."""
        if other := metric.metric_domain_kwargs.get("table"):
            return Fault(
                f"table ({other}) must be the one that is judged; got another; compare versions "
                "instead"
            )
        try:
            route = find_route(metric.metric_name)
        except UnmergeableError as error:
            return Fault(str(error))
        column = metric.metric_domain_kwargs.get("column")
        result_format = metric.metric_value_kwargs.get("result_format") or {}
        if route is Route.MOMENTS and (len(self._placed) == 1 or not self._is_real(column)):
            return Route.COLUMN
        if metric.metric_name == "column.histogram" and not isinstance(
            metric.metric_value_kwargs.get("bins"), list
        ):
            return Route.COLUMN
        if route is Route.LIST and result_format.get("exclude_unexpected_values"):
            return Route.COLUMN
        return route

    def _is_real(self, column: object) -> bool:
        """Return whether a column's dtype is a real number, of which moments merge."""
        if column not in self._head:
            return True  # the provider says that the column does not exist
        dtype = self._head[column].dtype
        return pd.api.types.is_numeric_dtype(dtype) and not (
            pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_complex_dtype(dtype)
        )

    def _answer_merged(self, requests: Sequence[Request], known: Known) -> None:
        """Answer metrics shard by shard, in one pass over the shards that must be read."""
        if not requests:
            return
        task = partial(
            answer_shard,
            requests=requests,
            known=_collect_needs([metric for metric, _ in requests], known),
            dtypes=dict(self._head.dtypes),
        )
        parts: list[list[Any]] = [[] for _ in requests]
        for answers in self._map_shards(task, self._placed):
            for kept, answer in zip(parts, answers, strict=True):
                kept.append(answer)
        for (metric, route), answers in zip(requests, parts, strict=True):
            self._answers[metric.id] = self._merge_parts(metric, route, answers, known)

    def _merge_parts(
        self, metric: MetricConfiguration, route: Route, parts: Sequence[Answer], known: Known
    ) -> Answer:
        """Return the answer over all shards, or the first fault."""
        faults = [part for part in parts if isinstance(part, Fault)]
        if faults:
            return faults[0]
        try:
            if route is Route.MOMENTS:
                moments = merge_moments(parts)
                return moments.mean if metric.metric_name == "column.mean" else moments.deviation
            if route is Route.DISTINCT:
                return _compute_distinct(metric, parts, known)
            return merge(route, metric.metric_name, parts, _find_most(metric))
        except Exception as error:  # noqa: BLE001 - answers that do not merge are no answer
            return Fault(str(error) or type(error).__name__)

    def _answer_gathered(self, metrics: Sequence[MetricConfiguration], known: Known) -> None:
        """Answer metrics on the whole of the columns that they name, gathered once for all."""
        groups: dict[tuple[str, ...] | None, list[MetricConfiguration]] = {}
        for metric in metrics:
            groups.setdefault(name_columns([metric]), []).append(metric)
        for columns, group in groups.items():
            frame = self._gather(columns)
            memo: dict[MetricConfigurationID, Any] = {}
            engine = None if isinstance(frame, Fault) else load_stock_engine(frame)
            for metric in group:
                part = (
                    frame
                    if engine is None
                    else compute_part(engine, metric, Route.COLUMN, known, memo)
                )
                self._answers[metric.id] = part

    def _gather(self, columns: tuple[str, ...] | None) -> pd.DataFrame | Fault:
        """Return columns of all shards, or a fault if they are larger than the limit."""
        frames: list[pd.DataFrame] = []
        size_bytes = 0
        try:
            for placed in self._placed:
                frames.append(read_frame(placed, columns, dict(self._head.dtypes)))
                size_bytes += int(frames[-1].memory_usage(deep=True).sum())
                if size_bytes > self._gather_limit_bytes:
                    return Fault(
                        f"columns ({columns or 'all'}) must be at most {self._gather_limit_bytes} "
                        "bytes to be judged as a whole; got more; judge fewer rows or choose an "
                        "expectation that merges"
                    )
            return pd.concat(frames)
        except Exception as error:  # noqa: BLE001 - a shard that cannot be read has no answer
            return Fault(str(error) or type(error).__name__)


def _compute_distinct(metric: MetricConfiguration, parts: Sequence[Answer], known: Known) -> Answer:
    """Answer a metric that depends on the set of values alone, on all shards' distinct values."""
    column = metric.metric_domain_kwargs["column"]
    values: pd.Series[Any] = pd.concat(list(parts), ignore_index=True)
    frame = pd.DataFrame({column: values.drop_duplicates(ignore_index=True)})
    narrow = MetricConfiguration(
        metric.metric_name, {"column": column}, dict(metric.metric_value_kwargs)
    )
    narrow.metric_dependencies = metric.metric_dependencies
    return compute_metric(load_stock_engine(frame), narrow, known, {})


def _find_most(metric: MetricConfiguration) -> int | None:
    """Return how many entries the stock metric keeps; None if it keeps all."""
    result_format: Mapping[str, Any] = metric.metric_value_kwargs.get("result_format") or {}
    complete = result_format.get("result_format") == "COMPLETE"
    most = int(result_format.get("partial_unexpected_count", MAX_RESULT_RECORDS))
    if metric.metric_name.endswith(".unexpected_index_list"):
        return None if complete else most
    return MAX_RESULT_RECORDS if complete else min(most, MAX_RESULT_RECORDS)


def _collect_needs(
    metrics: Sequence[MetricConfiguration], known: Known
) -> dict[MetricConfigurationID, Any]:
    """Return the known answers that metrics depend on: what a worker is sent.

    They may depend on them through deferred metrics.
    """
    needs: dict[MetricConfigurationID, Any] = {}
    waiting = list(metrics)
    while waiting:
        for need in waiting.pop().metric_dependencies.values():
            if need.id in known and need.id not in needs:
                needs[need.id] = known[need.id]
                waiting.append(need)
    return needs
