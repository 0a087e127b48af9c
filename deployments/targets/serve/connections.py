"""Connections of a server: how many, how long each may take its time, and which requests are shed.

uvicorn speaks HTTP; what stands here are bounds around it. When more is asked than can be answered
soon, requests are refused before anything is made of them, and their connection is not read for a
while: the queue then stands in the client, not here.
"""

import asyncio
import resource
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deployments.targets.serve.bodies import BODY_TIMEOUT_S
from deployments.targets.serve.replies import encode_error

MAX_UNDER_WAY = 128
"""Most requests under way: twice as many as run together, so that one run waits for another."""
MAX_WAIT_S = 0.5
"""Longest time that a request that is taken should wait for those before it, of slow models."""
MIN_UNDER_WAY = 16
"""As few requests under way are always taken."""
HTTP_COST = 1.5
"""What a request costs beside its work, as a factor of that."""
PAUSE_S = 0.1
HEAD_TIMEOUT_S = 10.0
"""Longest time from a connection's start, or its last answer, to the end of the next head."""
STALL_TIMEOUT_S = 30.0
"""Longest time that an answer may wait for a client that does not read it."""
MAX_CONNECTIONS = 4096
MAX_DRAINED_BYTES = 64 * 2**10
WAITS = "lepton.waits"
"""Key of a request's scope: the future that it waits for, cancelled where the client leaves."""
_ASKS = (b"/predict/", b"/v2/models/")


def _make_reply(status: str, text: str, *, closes: bool) -> bytes:
    body = encode_error(text)
    retry = "" if status.startswith("408") else "retry-after: 1\r\n"
    close = "connection: close\r\n" if closes else ""
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"{retry}{close}\r\n"
    )
    return head.encode() + body


_BUSY = "requests under way must be few enough to be answered soon; got more; try again in a second"
_SHED, _SHED_CLOSE = (
    _make_reply("429 Too Many Requests", _BUSY, closes=closes) for closes in (False, True)
)
_FULL = _make_reply(
    "429 Too Many Requests",
    "connections must be fewer; got as many as may be open; try again in a second",
    closes=True,
)
_LATE = _make_reply(
    "408 Request Timeout",
    f"head of a request must come within {HEAD_TIMEOUT_S:.0f} s; got a part of it or none; send it "
    "again",
    closes=True,
)
_SLOW = _make_reply(
    "408 Request Timeout",
    f"body must come within {BODY_TIMEOUT_S:.0f} s; got a part of it or none; send it again",
    closes=True,
)


class Gate:
    """Decides which requests and connections are taken.

    Args:
        max_connections: How many may be open; fewer where the process may not open as many.

    Attributes:
        cost_s: Says what one request's work is expected to take, in seconds of processor time; 0:
            nobody knows.
        shed: Requests that were refused.
    """

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        # Half of the files that may be open: models, the spool and the channel need some, too.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.max_connections = max(1, min(max_connections, files // 2))
        self.cost_s: Callable[[], float] = lambda: 0.0
        self.shed = 0

    def is_full(self, under_way: int) -> bool:
        """Tell whether one more request would wait too long."""
        waits_s = under_way * HTTP_COST * self.cost_s()
        return under_way >= MAX_UNDER_WAY or (under_way >= MIN_UNDER_WAY and waits_s > MAX_WAIT_S)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, within bounds.

    Attributes:
        gate: What decides; `bind_protocol` sets it.
    """

    gate: Gate
    _waits_s: float | None = None
    """Since when the head of a request is waited for; None while one is answered."""
    _body_s: float | None = None
    """Since when the rest of a request's body is waited for."""
    _stalled_s: float | None = None
    """Since when the client does not read, or the connection is closing; None: neither."""
    _shedding = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a connection, or sends it away."""
        super().connection_made(transport)
        self._waits_s = self.loop.time()
        if len(self.connections) > self.gate.max_connections:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees what a client that left had under way."""
        waits: object = None if self.scope is None else self.scope.get(WAITS)
        if isinstance(waits, asyncio.Future):
            waits.cancel()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        """Takes a request, or decides to refuse it."""
        self._waits_s, self._body_s = None, self.loop.time()
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.url.startswith(_ASKS) and self.gate.is_full(len(self.tasks)):
            self._shedding, self._waits_s = True, self.loop.time()
            self.gate.shed += 1
            length = dict(self.headers).get(b"content-length", b"")
            drained = length.isdigit() and int(length) <= MAX_DRAINED_BYTES
            if self.expect_100_continue or not drained:
                self.transport.write(_SHED_CLOSE)
                self.transport.close()
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Passes over the body of a request that is refused."""
        if not self._shedding:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Refuses a request once all of it came, and reads no other one for a while."""
        self._body_s = None
        if not self._shedding:
            super().on_message_complete()
            return
        self._shedding = False
        if self.transport.is_closing():
            return
        keeps = self.parser.should_keep_alive()
        self.transport.write(_SHED if keeps else _SHED_CLOSE)
        if not keeps:
            self.transport.close()
            return
        self._waits_s = self.loop.time()
        self.flow.pause_reading()
        self.loop.call_later(PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        is_last = not self.pipeline  # Else the next one is begun, and not waited for.
        super().on_response_complete()
        if is_last:
            self._waits_s = self.loop.time()

    def pause_writing(self) -> None:
        """Notes that the client does not read."""
        self._stalled_s = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Notes that the client reads again."""
        self._stalled_s = None
        super().resume_writing()

    def check_time(self) -> None:
        """Ends the connection if its client takes too long."""
        now_s, closes = self.loop.time(), self.transport.is_closing()
        if closes and self._stalled_s is None:
            self._stalled_s = now_s  # What was written is still to be sent.
        if self._stalled_s is not None and now_s - self._stalled_s > STALL_TIMEOUT_S:
            self.transport.abort()
        elif closes:
            return
        elif self._waits_s is not None and now_s - self._waits_s > HEAD_TIMEOUT_S:
            self.transport.write(_SHED_CLOSE if self._shedding else _LATE)
            self.transport.close()
        elif self._body_s is not None and now_s - self._body_s > BODY_TIMEOUT_S:
            if not self.cycle.response_started:
                self.transport.write(_SLOW)
            self.transport.close()


def bind_protocol(gate: Gate) -> type[BoundedProtocol]:
    """Return the protocol of a server whose gate this is."""
    return type("BoundProtocol", (BoundedProtocol,), {"gate": gate})
