"""An application around another: it counts requests, gives each an id, and logs them if asked to.

A log is one JSON object a line. It names no path or query, which may hold what a client would not
have kept; a request's id is what its client sent as X-Request-Id, if that can be one.
"""

import itertools
import logging
import re
import secrets
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal

import orjson

from deployments.targets.serve.metrics import Metrics
from deployments.targets.serve.replies import App, Message, Receive, Scope, Send
from storage.base.store import redact

REQUEST_ID: Final = b"x-request-id"
GONE: Final = 499
"""Status, in counts and logs, of a request whose client left before its answer."""
logger = logging.getLogger("lepton.requests")
_ID = re.compile(rb"^[A-Za-z0-9._-]{1,80}$")
_ROUTES: Final = frozenset(
    {"predict", "feedback", "uplink", "health", "metrics", "models", "openapi.json", "v2", ""}
)
_current: ContextVar[bytes | None] = ContextVar("lepton_request", default=None)


class Watch:
    """Counts what comes in and goes out.

    Args:
        app: What answers.
        metrics: The counts.
    """

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        metrics, started_s = self._metrics, time.perf_counter()
        request_id = self._name(scope)
        status = GONE

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id)]
            await send(message)

        _current.set(request_id)
        metrics.under_way += 1
        try:
            await self._app(scope, receive, send_on)
        finally:
            metrics.under_way -= 1
            route, took_s = name_route(scope["path"]), time.perf_counter() - started_s
            metrics.note_request(route, status, took_s)
            answer = scope.get("lepton.answer")
            if answer is not None:
                metrics.note_answer(answer[0], answer[2])
            if logger.isEnabledFor(logging.INFO):
                _log(scope, route, status, took_s, answer)

    def _name(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == REQUEST_ID and _ID.match(value):
                return bytes(value)
        return f"{self._prefix}-{next(self._numbers)}".encode()


@lru_cache(maxsize=256)
def name_route(path: str) -> str:
    """Return what a path asks for, as one of a few words."""
    first = path[1:].partition("/")[0]
    if first == "v2" and path.endswith("/infer"):
        return "infer"
    return (first or "page") if first in _ROUTES else "other"


def _log(scope: Scope, route: str, status: int, took_s: float, answer: Any) -> None:
    said = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "ms": round(took_s * 1000, 3),
    }
    if answer is not None:
        said |= dict(zip(("model_id", "answer_id", "rows"), answer, strict=True))
    if (key := scope.get("lepton.key")) is not None:
        said["key"] = key
    logger.info("request", extra={"said": said})


class JsonLines(logging.Formatter):
    """Writes each record as one line of JSON, with the id of the request that it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if (request_id := _current.get()) is not None:
            line["request_id"] = request_id.decode()
        line |= getattr(record, "said", {})
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def start_log(form: Literal["text", "json"]) -> None:
    """Begin to write what goes wrong to stderr; as JSON, a line of each request, too."""
    if form == "text":
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logger.setLevel(logging.INFO)
    # Which release answers from now on, and which was refused.
    logging.getLogger("deployments.targets").setLevel(logging.INFO)
