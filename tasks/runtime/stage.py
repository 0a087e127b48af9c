"""A stage of the lifecycle as a Prefect task: coarse, its outcome handed on, never stored.

Only a stage that resumes exactly is tried again by itself.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Failed

from gates.engine.report import GateReport
from tasks.runtime.errors import StageStopped, WorkerFailed

P = ParamSpec("P")
R = TypeVar("R")


def stage(function: Callable[P, R]) -> Task[P, R]:
    """Makes a Prefect task of a stage's function; the plain function stays at hand as `.fn`."""
    name = function.__name__.replace("_", " ")
    return task(name=name, cache_policy=NO_CACHE, persist_result=False, retries=0)(function)


def resuming_stage(function: Callable[P, R]) -> Task[P, R]:
    """Makes a Prefect task of a stage that resumes: after a crash it is tried once more.

    It goes on from what the lost attempt left. What a worker says itself (a loss that diverged,
    rows that are damaged, no time left) would be said again: that ends it.
    """
    name = function.__name__.replace("_", " ")
    options: dict[str, Any] = {
        "retries": 1,
        "retry_delay_seconds": 0,
        "retry_condition_fn": was_lost,
    }
    return task(name=name, cache_policy=NO_CACHE, persist_result=False, **options)(function)


def was_lost(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether an attempt ended because its process was killed or crashed."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, WorkerFailed) and error.was_lost


def gate(function: Callable[P, GateReport]) -> Task[P, GateReport]:
    """Makes a Prefect task of a gate; a red report is a state Failed, named Stopped.

    Raises:
        StageStopped: When the task is called and the report is red.
    """

    @wraps(function)
    def judge(*args: P.args, **kwargs: P.kwargs) -> Any:
        report = function(*args, **kwargs)
        if report.passed:
            return report
        stopped = StageStopped(f"gate {report.stage}", report.told, report)
        return Failed(name="Stopped", message=str(stopped), data=stopped)

    judged: Task[P, GateReport] = stage(judge)
    return judged
