"""What is sent back: JSON, or one sentence that says what was refused, where, and the remedy."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

import orjson

from storage.base.store import redact

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI 3 application (https://asgi.readthedocs.io/en/latest/specs/main.html)."""

MAX_ERROR_CHARS = 2000
UNKNOWN_PATH = "path must be one of this node's; got another; see /v2 and /"
_JSON = (b"content-type", b"application/json")


class Reply(NamedTuple):
    """What is answered.

    Attributes:
        body: The body.
        kind: The header that says what it is.
        headers: Further ones.
    """

    body: bytes
    kind: tuple[bytes, bytes] = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):
    """A request that is not answered.

    Args:
        status: HTTP status, 4xx or 503.
        text: What was refused, where, and the remedy.
        headers: Headers that the status asks for.

    Attributes:
        text: The same without secrets, and not at any length.
    """

    def __init__(self, status: int, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status = status
        self.text = redact(text)[:MAX_ERROR_CHARS]
        self.headers = tuple(headers)
        super().__init__(self.text)


class Gone(Exception):
    """The client has left; nobody waits for an answer."""


def refuse_busy(what: str) -> Refusal:
    """Return the refusal of a request that comes while something is out of reach or too busy."""
    return Refusal(503, f"{what}; try again in a second", [(b"retry-after", b"1")])


def encode_error(text: str) -> bytes:
    """Return the body of a refusal."""
    return orjson.dumps({"error": text})


async def send_reply(send: Send, reply: Reply, status: int = 200) -> None:
    """Sends an answer."""
    length = (b"content-length", str(len(reply.body)).encode())
    headers = [reply.kind, length, *reply.headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_refusal(send: Send, refusal: Refusal) -> None:
    """Sends a refusal as `{"error": text}`."""
    reply = Reply(encode_error(refusal.text), headers=refusal.headers)
    await send_reply(send, reply, refusal.status)
