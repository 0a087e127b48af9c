"""Defines a Prefect flow that brings its own server when nobody runs one."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect import Flow

from flows.run.server import have_patience, prefect_server
from storage.sources.base import hide_secrets

P = ParamSpec("P")
R = TypeVar("R")


class LeptonFlow(Flow[P, R]):
    """Finds a server first when it is called from Python.

    That is the one named, the local one, or its own. Started by a worker or by `serve`, a server is
    named already. Parameters are plain data; results live in the workspace, so Prefect stores none.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the flow; raises what stopped it."""
        with prefect_server():
            return super().__call__(*args, **kwargs)

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return what Prefect keeps and shows of a call: its parameters without secrets.

        The flow gets them whole.
        """
        given = super().serialize_parameters(parameters)
        return {name: hide_secrets(name, value) for name, value in given.items()}


def lepton_flow(function: Callable[P, R]) -> LeptonFlow[P, R]:
    """Makes a flow of a function.

    It is never retried by itself: a gate's verdict does not change by asking again.
    """

    @wraps(function)
    def carry_out(*args: P.args, **kwargs: P.kwargs) -> R:
        have_patience()
        return function(*args, **kwargs)

    return LeptonFlow(
        carry_out, name=function.__name__, retries=0, persist_result=False, log_prints=False
    )
