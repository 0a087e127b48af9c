"""Asking an ASGI application without a socket, and a runtime whose model is not one of ONNX."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from deployments.targets.errors import BadArtifact
from deployments.targets.follow.client import VerifiedModel
from deployments.targets.run.live import LiveModel
from deployments.targets.run.objectives import ANSWERS
from deployments.targets.run.runtime import Answers
from deployments.targets.serve.app import make_app
from deployments.targets.serve.recorder import CountingRecorder
from deployments.targets.trust.card import Card
from deployments.targets.trust.release import Release
from storage.base.store import Store


class Adding:
    """Answers with the sum of a sample, as each of its outputs is."""

    def __init__(self, card: Card, on_call: Callable[[], None] = lambda: None) -> None:
        self._card, self._on_call = card, on_call

    def predict(self, raw: np.ndarray) -> Answers:
        self._on_call()
        with np.errstate(all="ignore"):
            sums = np.nan_to_num(raw.astype(np.float64)).reshape(len(raw), -1).sum(axis=1)
            sums = sums.astype(np.float32)
        if not np.isfinite(sums).all():
            raise BadArtifact("artifact must answer finite values; got others; export it again")
        arrays = {}
        for output in self._card.outputs:
            if output.meaning == "label":
                arrays[output.name] = (sums.astype(np.int64) % len(output.labels)).astype(np.int64)
            else:
                shape = (len(raw), *(length or 1 for length in output.shape))
                arrays[output.name] = np.broadcast_to(
                    sums.reshape(-1, *[1] * len(output.shape)), shape
                ).astype(output.dtype)
        return Answers(self._card.outputs, arrays)


def make_live(card: Card, number: int = 1, on_call: Callable[[], None] = lambda: None) -> LiveModel:
    release = Release(
        channel="cloud",
        number=number,
        model_id=card.model_id,
        artifact=card.artifact.name,
        file=card.artifact.file,
        sha256=card.artifact.sha256,
        size_bytes=1,
        receipt=card.receipt,
        expected=None,
        published_at="2026-01-01T00:00:00Z",
        publication="x",
    )
    receipt = b'{"signatures":[],"signed":{"recipe":{}}}'
    verified = VerifiedModel(release=release, card=card, data=b"", receipt=receipt)
    return LiveModel(verified, Adding(card, on_call), ANSWERS.find(card.objective), joins_rows=True)


@dataclass
class Held:
    """What a runtime holds."""

    current: LiveModel
    previous: LiveModel | None = None


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Node:
    """An application and ways to ask it."""

    held: Held
    workspace: Store | None = None
    recorder: Any = None
    app: Any = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = self.recorder or CountingRecorder(self.workspace)
        self.app = make_app(
            self.held,
            self.recorder,
            names=["cloud"],
            health=lambda: {"device": "d1"},
            workspace=self.workspace,
            threads=1,
        )

    def post(self, path: str, body: bytes | object, kind: str = "", **headers: str) -> Reply:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        return self.send("POST", path, [data], kind, **headers)

    def get(self, path: str) -> Reply:
        return self.send("GET", path, [b""])

    def send(
        self, method: str, path: str, parts: list[bytes | None], kind: str = "", **headers: str
    ) -> Reply:
        """Sends a request whose body comes in parts; None is a client that leaves."""
        given = {"content-type": kind, **headers} if kind else headers
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [
                (name.replace("_", "-").encode(), text.encode()) for name, text in given.items()
            ],
        }
        return asyncio.run(call(self.app, scope, parts))


async def call(app: Any, scope: dict[str, Any], parts: list[bytes | None]) -> Reply:
    sent: list[dict[str, Any]] = []
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        part = waiting.pop(0) if waiting else None
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return Reply(0, {}, b"")
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], dict(sent[0]["headers"]), body)
