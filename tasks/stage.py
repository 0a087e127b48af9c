"""A stage of the lifecycle as a Prefect task: coarse, never retried by itself, its outcome handed on, never stored."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed

from gates.report import GateReport
from tasks.errors import StageStopped

P = ParamSpec("P")
R = TypeVar("R")


def stage(function: Callable[P, R]) -> Task[P, R]:
    """Makes a Prefect task of a stage's function; the plain function stays at hand as `.fn`."""
    name = function.__name__.replace("_", " ")
    return task(name=name, cache_policy=NO_CACHE, persist_result=False, retries=0)(function)


def gate(function: Callable[P, GateReport]) -> Task[P, GateReport]:
    """Makes a Prefect task of a gate. A red report is a state Failed, named Stopped, whose result raises.

    Raises:
        StageStopped: When the task is called and the report is red.
    """

    @wraps(function)
    def judge(*args: P.args, **kwargs: P.kwargs) -> Any:
        report = function(*args, **kwargs)
        if report.passed:
            return report
        stopped = StageStopped(f"gate {report.stage}", report.reasons, report)
        return Failed(name="Stopped", message=str(stopped), data=stopped)

    judged: Task[P, GateReport] = stage(judge)
    return judged
