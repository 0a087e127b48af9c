"""The HTTP of an endpoint or an agent, as one ASGI application.

    POST /predict/MODEL                               a picture, a CSV or .npy file, rows of JSON
    GET  /v2, /v2/health/live, /v2/health/ready       Open Inference Protocol v2
    GET  /v2/models/MODEL[/versions/V][/ready]
    POST /v2/models/MODEL[/versions/V]/infer
    POST /feedback                                    truths of answers
    POST /uplink                                      batches of devices
    GET  /health, /metrics                            what this node is at, and has counted
    GET  /models/MODEL/receipt, /openapi.json         what cleared a model; what can be asked
    GET  /                                            a page to try it on

What is asked often goes straight through; starlette routes the rest.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from deployments.targets.serve.answers import Answerer
from deployments.targets.serve.batches import Question, answer_together
from deployments.targets.serve.bodies import Admission, Body
from deployments.targets.serve.connections import Gate
from deployments.targets.serve.guard import Guard, KeyFolder
from deployments.targets.serve.inbox import Inbox
from deployments.targets.serve.metrics import Metrics, render_metrics
from deployments.targets.serve.models import LiveModels
from deployments.targets.serve.pool import Pool
from deployments.targets.serve.recorder import Recorder
from deployments.targets.serve.replies import (
    UNKNOWN_PATH,
    App,
    Gone,
    Receive,
    Refusal,
    Reply,
    Scope,
    Send,
    send_refusal,
    send_reply,
)
from deployments.targets.serve.views import make_views
from deployments.targets.serve.watch import Watch
from storage.base.store import Store

logger = logging.getLogger(__name__)


def make_app(
    runtime: LiveModels,
    recorder: Recorder,
    *,
    names: Sequence[str],
    health: Callable[[], dict[str, Any]],
    workspace: Store | None = None,
    threads: int | None = None,
    keys: KeyFolder | None = None,
    gate: Gate | None = None,
    processes: int = 1,
) -> App:
    """Return the application.

    Args:
        runtime: What answers; it may swap its model at any time.
        recorder: Numbers the answers and keeps truths.
        names: Names by which the current model is asked for beside its recipe's, such as the
            channel's.
        health: Says what the node is at; called in a thread.
        workspace: Where batches of devices are written; None: none are taken.
        threads: How many threads compute; None: one a processor, four at most.
        keys: Who may ask; None: everybody who reaches it.
        gate: The server's, which is told what a request takes; None: nobody asks.
        processes: Processes that answer behind one port, and share a key's rate.
    """
    metrics = Metrics()

    def answer(questions: Sequence[Question[Any]]) -> list[Any]:
        metrics.note_batch(len(questions))
        return answer_together(questions)

    pool = Pool(answer, threads)
    metrics.gauges.append(lambda: {"queue_requests": pool.waiting})
    if gate is not None:
        gate.cost_s = lambda: pool.cpu_s
        metrics.gauges.append(lambda: {"requests_shed_unread": gate.shed})
    answerer = Answerer(runtime, names, recorder, pool)
    # Notes are counted: many of them say that what is asked is not what was learned from.
    views = make_views(
        runtime,
        names,
        lambda: {**health(), **answerer.counts},
        lambda: render_metrics(metrics, runtime, answerer.counts),
    )
    node: App = _Node(answerer, Inbox(recorder, workspace), views)
    return Watch(node if keys is None else Guard(node, keys, processes), metrics)


class _Node:
    """Finds what a request asks for, and sends what comes of it."""

    def __init__(self, answerer: Answerer, inbox: Inbox, views: App) -> None:
        self._answerer, self._inbox, self._views = answerer, inbox, views
        self._admission = Admission()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        parts = scope["path"].split("/") if scope["type"] == "http" else []
        if not _takes_body(parts):
            await self._views(scope, receive, send)
            return
        try:
            _require_post(scope, parts)
            with Body(self._admission) as body:
                reply = await self._find(parts, scope, receive, body)
            await send_reply(send, reply)
        except Refusal as refusal:
            await send_refusal(send, refusal)
        except Gone:
            return
        except Exception:
            logger.exception("A request to /%s failed", parts[1])
            await send_refusal(
                send,
                Refusal(500, "request must be answered; got a fault of this node; see its log"),
            )

    async def _find(self, parts: list[str], scope: Scope, receive: Receive, body: Body) -> Reply:
        match parts[1:]:
            case ["v2", "models", name, "infer"]:
                return await self._answerer.infer(name, None, scope, receive, body)
            case ["v2", "models", name, "versions", version, "infer"]:
                return await self._answerer.infer(name, version, scope, receive, body)
            case ["predict", name]:
                return await self._answerer.predict(name, scope, receive, body)
            case ["feedback"]:
                return await self._inbox.add_truth(scope, receive, body)
            case ["uplink"]:
                return await self._inbox.accept(scope, receive, body)
        raise Refusal(404, UNKNOWN_PATH)


def _require_post(scope: Scope, parts: list[str]) -> None:
    if scope["method"] != "POST":
        raise Refusal(
            405,
            f"method of /{parts[1]} must be POST; got {scope['method'][:20]}; send a body",
            [(b"allow", b"POST")],
        )


def _takes_body(parts: list[str]) -> bool:
    return len(parts) > 1 and (
        parts[1] in ("predict", "feedback", "uplink") or (parts[1] == "v2" and parts[-1] == "infer")
    )
