"""The one door to Great Expectations: plain expectations in, plain outcomes out.

Only its core is used (metrics and expectations); no data context, no data docs, no analytics, no
progress bars. Importing this module takes seconds: `gates.engine` does so at the first run.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gates.engine.memo import keep_made, make_once
from gates.engine.report import MAX_ROWS_NAMED
from gates.engine.sharded_table import ShardedTable
from gates.engine.suite import Expectation
from gates.engine.tables import Table
from gates.errors import SuiteError

os.environ["GX_ANALYTICS_ENABLED"] = (
    "false"  # read once, when it is imported: no telemetry leaves the machine
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the vendor's own imports
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import Expectation as VendorExpectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations
    from great_expectations.validator.validation_graph import ValidationGraph
    from great_expectations.validator.validator import Validator

    from gates.engine.shard_engine import ShardEngine

keep_made(VendorExpectation, "configuration")
keep_made(ExpectationConfiguration, "to_domain_obj")

_RESULT_FORMAT = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": MAX_ROWS_NAMED,
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
}
_INDEX = "lepton_index"


@dataclass(frozen=True)
class Outcome:
    """What Great Expectations answered to one expectation.

    Attributes:
        success: its verdict; False whenever `error` is set.
        result: its result, in the SUMMARY form.
        positions: of the first unexpected rows, in the whole table.
        error: why it could not be computed; empty if it was.
    """

    success: bool
    result: Mapping[str, Any] = field(default_factory=dict)
    positions: tuple[int, ...] = ()
    error: str = ""


class _QuietValidator(Validator):
    """A validator without progress bars."""

    def _determine_progress_bars(self) -> bool:
        return False


def run_expectations(
    expectations: Mapping[int, Expectation], table: Table | ShardedTable
) -> dict[int, Outcome]:
    """Apply expectations to one table.

    Args:
        expectations: by any index.
        table: with at least one row.

    Returns:
        One outcome for each index. An expectation that cannot be built or computed has an error.
    """
    outcomes: dict[int, Outcome] = {}
    configurations: list[ExpectationConfiguration] = []
    for index, item in expectations.items():
        configuration = ExpectationConfiguration(
            type=item.rule, kwargs=dict(item.kwargs), meta={_INDEX: index}
        )
        try:
            configuration.to_domain_obj()
        except Exception as error:  # noqa: BLE001 - whatever a rule raises, it is a failed check
            outcomes[index] = Outcome(success=False, error=_first_line(error))
        else:
            configurations.append(configuration)
    validator = _QuietValidator(execution_engine=_open_engine(table))
    with _quiet_logs(), make_once():
        results = validator.graph_validate(
            configurations=configurations, runtime_configuration={"result_format": _RESULT_FORMAT}
        )
    for result in results:
        if result.expectation_config is not None and result.expectation_config.meta is not None:
            outcomes[result.expectation_config.meta[_INDEX]] = _read_result(result)
    unanswered = Outcome(success=False, error="no answer from Great Expectations")
    return {index: outcomes.get(index, unanswered) for index in expectations}


def find_unexpected(item: Expectation, table: Table | ShardedTable) -> list[int]:
    """Return the positions of all rows that a rule on each value does not accept.

    Raises:
        SuiteError: the rule could not be computed.
    """
    engine = _open_engine(table)
    configuration = ExpectationConfiguration(type=item.rule, kwargs=dict(item.kwargs))
    with _quiet_logs(), make_once():
        result = _QuietValidator(execution_engine=engine).graph_validate(
            configurations=[configuration],
            runtime_configuration={
                "result_format": {
                    "result_format": "COMPLETE",
                    "return_unexpected_index_query": False,
                }
            },
        )[0]
    if error := _read_exception(result.exception_info or {}):
        raise SuiteError(
            f"rows that fail {item.rule} on {item.about} must be found to set them aside; got: "
            f"{error}"
        )
    return [int(position) for position in result.result.get("unexpected_index_list") or ()]


def _open_engine(table: Table | ShardedTable) -> ShardEngine:
    """Return the engine over a table's shards, on workers where the table has some."""
    workers = table.map_shards if isinstance(table, ShardedTable) else None
    return (
        ShardEngine(table.shards)
        if workers is None
        else ShardEngine(table.shards, map_shards=workers)
    )


def _read_result(result: ExpectationValidationResult) -> Outcome:
    """Translate one result."""
    if error := _read_exception(result.exception_info or {}):
        return Outcome(success=False, error=error)
    positions = result.result.get("partial_unexpected_index_list") or ()
    return Outcome(
        success=result.success is True, result=result.result, positions=tuple(map(int, positions))
    )


def _read_exception(info: Mapping[str, Any]) -> str:
    """Return the first message of an exception record, which has one entry or one a metric."""
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if entry["raised_exception"]]
    return _first_line(raised[0]["exception_message"] or "an expectation raised") if raised else ""


def _first_line(error: object) -> str:
    """Return the first line of an error's text, without the vendor's prefix."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].removeprefix("Error: ")[:300]


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep the vendor from logging each failed metric: the report says it."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def list_rules() -> list[str]:
    """Return the types of all expectations that Great Expectations registers itself, sorted."""
    rules = (rule for rule in list_registered_expectation_implementations())
    return sorted(
        rule
        for rule in rules
        if rule.startswith("expect_") or rule == "unexpected_rows_expectation"
    )


def list_metrics(rule: str, kwargs: Mapping[str, Any], frame: pd.DataFrame) -> list[str]:
    """Return the names of all metrics that an expectation asks for on a table.

    Those that it asks for through others are among them.
    """
    engine = PandasExecutionEngine()
    engine.load_batch_data("frame", frame)
    expectation = ExpectationConfiguration(type=rule, kwargs=dict(kwargs)).to_domain_obj()
    needs = expectation.get_validation_dependencies(
        execution_engine=engine, runtime_configuration={"result_format": _RESULT_FORMAT}
    )
    graph = ValidationGraph(execution_engine=engine)
    for metric in needs.get_metric_configurations():
        graph.build_metric_dependency_graph(metric, runtime_configuration={})
    return list(dict.fromkeys(edge.left.metric_name for edge in graph.edges))
