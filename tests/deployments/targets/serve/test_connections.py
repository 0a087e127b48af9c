"""Bounds around connections: what is shed before it is parsed, what takes too long, who left."""

import asyncio
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from deployments.targets.serve.app import make_app
from deployments.targets.serve.connections import (
    MAX_UNDER_WAY,
    MIN_UNDER_WAY,
    PAUSE_S,
    BoundedProtocol,
    Gate,
    bind_protocol,
)
from deployments.targets.serve.recorder import CountingRecorder
from tests.deployments.targets.serve.asking import Held, Node, make_live

BODY = b"[1]"
ASK = b"POST /predict/x HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n" + BODY
LOOK = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"


class Wire:
    """What a protocol writes to, and whether it reads."""

    def __init__(self) -> None:
        self.said, self.closed, self.aborted, self.reads = b"", False, False, True

    def write(self, data: bytes) -> None:
        self.said += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


class Server:
    """Connections to an application that answers nobody before it is told to."""

    def __init__(self, gate: Gate, app: Any = None) -> None:
        self.asked = 0
        self.go_on = asyncio.Event()
        self.state = ServerState()
        self.config = uvicorn.Config(
            app or self._answer,
            http=bind_protocol(gate),
            interface="asgi3",
            lifespan="off",
            log_config=None,
        )
        self.config.load()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await receive()
        await self.go_on.wait()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    def connect(self) -> tuple[BoundedProtocol, Wire]:
        protocol: Any = self.config.http_protocol_class
        made, wire = protocol(self.config, self.state, {}), Wire()
        made.connection_made(wire)
        return made, wire


def make_gate(cost_s: float) -> Gate:
    gate = Gate()
    gate.cost_s = lambda: cost_s
    return gate


async def fill(server: Server, count: int = MIN_UNDER_WAY) -> list[Wire]:
    """As many requests as are taken."""
    wires = []
    for _ in range(count):
        protocol, wire = server.connect()
        protocol.data_received(ASK)
        wires.append(wire)
    await asyncio.sleep(0)
    return wires


@pytest.mark.parametrize(("cost_s", "most"), [(1.0, MIN_UNDER_WAY), (0.0, MAX_UNDER_WAY)])
def test_what_would_wait_too_long_is_shed_unseen_and_the_rest_is_answered(
    cost_s: float, most: int
) -> None:
    async def ask() -> None:
        server = Server(make_gate(cost_s))
        taken = await fill(server, most)
        protocol, wire = server.connect()
        protocol.data_received(ASK)
        assert wire.said.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1\r\n" in wire.said
        assert (wire.reads, wire.closed, server.asked) == (False, False, most)
        server.go_on.set()
        await asyncio.sleep(2 * PAUSE_S)
        assert all(wire.said.endswith(b"\r\n\r\nok") for wire in taken)
        assert wire.reads
        wire.said = b""
        protocol.data_received(ASK)
        await asyncio.sleep(0.01)
        assert wire.said.startswith(b"HTTP/1.1 200 ")

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("cost_s", "request_"), [(0.0, ASK), (1e-4, ASK), (1.0, LOOK)], ids=["unknown", "quick", "look"]
)
def test_no_other_request_is_shed(cost_s: float, request_: bytes) -> None:
    async def ask() -> None:
        server = Server(make_gate(cost_s))
        await fill(server)
        protocol, wire = server.connect()
        protocol.data_received(request_)
        await asyncio.sleep(0)
        assert (wire.said, server.asked) == (b"", MIN_UNDER_WAY + 1)

    asyncio.run(ask())


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 10000000\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n",
        b"content-length: 3\r\nexpect: 100-continue\r\n\r\n",
    ],
)
def test_a_body_that_is_not_waited_for_closes_its_connection(head: bytes) -> None:
    async def ask() -> None:
        server = Server(make_gate(1.0))
        await fill(server)
        protocol, wire = server.connect()
        protocol.data_received(b"POST /predict/x HTTP/1.1\r\nhost: x\r\n" + head)
        assert (wire.said[:13], wire.closed) == (b"HTTP/1.1 429 ", True)
        assert b"connection: close" in wire.said

    asyncio.run(ask())


def test_connections_are_bounded() -> None:
    async def ask() -> None:
        server = Server(Gate(max_connections=2))
        wires = [server.connect()[1] for _ in range(3)]
        assert [wire.closed for wire in wires] == [False, False, True]
        assert wires[2].said.startswith(b"HTTP/1.1 429 ")

    asyncio.run(ask())


def test_a_client_that_leaves_frees_its_place(card: Any) -> None:
    """What it asked is not computed, and what was counted of it is let go."""

    async def ask() -> None:
        calls: list[int] = []
        live = make_live(card, on_call=lambda: calls.append(1))
        app = make_app(Held(live), CountingRecorder(None), names=[], health=dict, threads=1)
        server = Server(Gate(), app)
        protocol, wire = server.connect()
        data = b"[" + b",".join([b"[1,2,3,4,5,6,7,8]"] * 8) + b"]"
        head = f"POST /predict/digits HTTP/1.1\r\ncontent-length: {len(data)}\r\n\r\n".encode()
        blocked = server.connect()
        blocked[0].data_received(head + data)
        await asyncio.sleep(0.2)  # From the first one on small ones wait for the loop's turn.
        protocol.data_received(head + data)
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        async with asyncio.timeout(20):
            while server.state.tasks:
                await asyncio.sleep(0.01)
        assert (wire.said, len(calls)) == (b"", 1)
        assert blocked[1].said.startswith(b"HTTP/1.1 200 ")

    asyncio.run(ask())


def test_a_request_waits_no_longer_than_its_sender(card: Any) -> None:
    calls: list[int] = []

    def take_time() -> None:
        calls.append(1)
        time.sleep(0.2)

    node = Node(Held(make_live(card, on_call=take_time)))
    picture = [[0] * 8] * 8
    late = node.post("/predict/digits", picture, x_request_timeout_ms="20")
    assert (late.status, late.headers[b"retry-after"]) == (429, b"1")
    assert node.post("/predict/digits", picture, x_request_timeout_ms="5000").status == 200
    computed = len(calls)
    for wrong in ("0", "soon", "-1", "1e3", "99999999", "9" * 5000):
        reply = node.post("/predict/digits", picture, x_request_timeout_ms=wrong)
        assert (reply.status, "x-request-timeout-ms" in reply.json["error"]) == (400, True)
    time.sleep(0.05)
    assert len(calls) == computed
