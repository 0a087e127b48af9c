"""What a node shows: its health and counts, its models and their receipts, a page to try it on."""

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from deployments.targets.serve.metrics import CONTENT_TYPE
from deployments.targets.serve.models import LiveModels, find_model, list_versions
from deployments.targets.serve.oip import describe_model
from deployments.targets.serve.oip_bytes import EXTENSION
from deployments.targets.serve.openapi import describe_api
from deployments.targets.serve.page import render_page
from deployments.targets.serve.replies import UNKNOWN_PATH, App, Refusal, encode_error

NAME = "lepton"


def make_views(
    runtime: LiveModels,
    names: Sequence[str],
    health: Callable[[], dict[str, Any]],
    count: Callable[[], bytes],
) -> App:
    """Return the application of everything that is only looked at.

    Args:
        runtime: What answers.
        names: Names of the current model beside its recipe's.
        health: Says what the node is at.
        count: Says what it counted, as Prometheus reads it.
    """
    views = _Views(runtime, names, health, count)
    model = "/v2/models/{name}"
    routes = [
        Route("/", views.show_page),
        Route("/health", views.show_health),
        Route("/metrics", views.show_metrics),
        Route("/openapi.json", views.show_api),
        Route("/models/{name}/receipt", views.show_receipt),
        Route("/v2", views.show_server),
        Route("/v2/health/live", views.show_live),
        Route("/v2/health/ready", views.show_ready),
    ]
    for path in (model, model + "/versions/{version}"):
        routes += [Route(path, views.show_model), Route(path + "/ready", views.show_model_ready)]
    return Starlette(
        routes=routes, exception_handlers={Refusal: _show_refusal, HTTPException: _show_fault}
    )


class _Views:
    """Plain functions: starlette calls them in a thread, for a health may look at a disk."""

    def __init__(
        self,
        runtime: LiveModels,
        names: Sequence[str],
        health: Callable[[], dict[str, Any]],
        count: Callable[[], bytes],
    ) -> None:
        self._runtime, self._names, self._health, self._count = runtime, names, health, count

    def show_page(self, request: Request) -> Response:
        text, headers = render_page(self._runtime.current)
        return HTMLResponse(text, headers=headers)

    def show_health(self, request: Request) -> Response:
        return _reply(self._health())

    def show_metrics(self, request: Request) -> Response:
        return Response(self._count(), headers={"content-type": CONTENT_TYPE})

    def show_api(self, request: Request) -> Response:
        return _reply(describe_api(list_versions(self._runtime), self._names, _find_version()))

    def show_receipt(self, request: Request) -> Response:
        live = find_model(self._runtime, self._names, request.path_params["name"])
        # What was signed: whoever checks it needs the very bytes.
        return Response(
            live.verified.receipt,
            media_type="application/json",
            headers={"etag": f'"{live.card.receipt}"', "x-content-type-options": "nosniff"},
        )

    def show_server(self, request: Request) -> Response:
        return _reply({"name": NAME, "version": _find_version(), "extensions": [EXTENSION]})

    def show_live(self, request: Request) -> Response:
        return _reply({"live": True})

    def show_ready(self, request: Request) -> Response:
        return _reply({"ready": True})

    def show_model(self, request: Request) -> Response:
        name, wanted = _read_path(request)
        live = find_model(self._runtime, self._names, name, wanted)
        return _reply(describe_model(name, list_versions(self._runtime), live))

    def show_model_ready(self, request: Request) -> Response:
        name, wanted = _read_path(request)
        find_model(self._runtime, self._names, name, wanted)
        return _reply({"name": name, "ready": True})


def _read_path(request: Request) -> tuple[str, str | None]:
    return request.path_params["name"], request.path_params.get("version")


def _reply(document: object, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _find_version() -> str:
    try:
        return version("lepton-ai")
    except PackageNotFoundError:
        return "unknown"


async def _show_refusal(request: Request, error: Any) -> Response:
    return Response(encode_error(error.text), error.status, media_type="application/json")


async def _show_fault(request: Request, error: Any) -> Response:
    """Say what starlette refuses, as everything else is said."""
    text = {
        404: UNKNOWN_PATH,
        405: "method must be GET; got another; look at this path, do not send to it",
    }.get(error.status_code, error.detail)
    return Response(
        encode_error(text), error.status_code, error.headers, media_type="application/json"
    )
