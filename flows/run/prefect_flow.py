"""Defines a Prefect flow that brings its own server when nobody runs one."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

from prefect import Flow
from prefect.exceptions import ParameterTypeError
from pydantic import TypeAdapter, ValidationError

from flows.recipe.load import load_recipe
from flows.recipe.shown import hide_parameter
from flows.run.server import have_patience, prefect_server
from storage.base.redaction import redact
from storage.base.shown import name_type

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
        return super().serialize_parameters(
            {name: hide_parameter(name, value) for name, value in parameters.items()}
        )

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters as the types that the flow declares.

        Prefect's own way would log all of them where one is wrong.

        Raises:
            RecipeError: A recipe that was given as plain data is wrong.
            ParameterTypeError: Another parameter is; says which, and not what it was.
        """
        types = get_type_hints(self.fn)
        return {name: _validate(name, value, types[name]) for name, value in parameters.items()}


def _validate(name: str, value: Any, kind: Any) -> Any:
    if name == "recipe" and isinstance(value, Mapping):
        return load_recipe(value)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        rules = dict.fromkeys(detail["msg"] for detail in error.errors())
        # Not chained: the error holds the value, which can be secret.
        raise ParameterTypeError(
            f"{name} ({name_type(value)}) must be what the flow takes; got: "
            f"{redact('; '.join(rules))}; see the flow's parameters"
        ) from None


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
