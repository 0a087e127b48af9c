"""Who takes too long is left: with a head, with a body that is refused, with what it is told."""

import asyncio

import pytest

from deployments.targets.serve.bodies import BODY_TIMEOUT_S
from deployments.targets.serve.connections import HEAD_TIMEOUT_S, STALL_TIMEOUT_S, Gate
from deployments.targets.serve.replies import Receive, Send
from tests.deployments.targets.serve.test_connections import ASK, BODY, Server, fill, make_gate


def test_a_refused_request_whose_body_never_comes_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        server = Server(make_gate(1.0))
        await fill(server)
        protocol, wire = server.connect()
        protocol.data_received(ASK.removesuffix(BODY))
        protocol.check_time()
        assert (wire.said, wire.closed) == (b"", False)
        late = asyncio.get_running_loop().time() + HEAD_TIMEOUT_S + 1
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: late)
        protocol.check_time()
        assert (wire.said[:13], wire.closed) == (b"HTTP/1.1 429 ", True)
        monkeypatch.undo()

    asyncio.run(ask())


def test_a_body_that_never_begins_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head alone must not hold a place for good."""

    async def ask() -> None:
        server = Server(Gate(), receive_alone)
        protocol, wire = server.connect()
        protocol.data_received(ASK.removesuffix(BODY))
        await asyncio.sleep(0)
        protocol.check_time()
        assert (len(server.state.tasks), wire.closed) == (1, False)
        late = asyncio.get_running_loop().time() + BODY_TIMEOUT_S + 1
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: late)
        protocol.check_time()
        monkeypatch.undo()
        assert (wire.said[:13], wire.closed) == (b"HTTP/1.1 408 ", True)
        protocol.connection_lost(None)
        await asyncio.sleep(0.01)
        assert not server.state.tasks

    asyncio.run(ask())


async def receive_alone(scope: object, receive: Receive, send: Send) -> None:
    await receive()


def test_a_request_behind_another_is_given_as_long_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        server = Server(Gate())
        protocol, wire = server.connect()
        server.go_on.set()
        protocol.data_received(ASK + ASK)
        while server.asked < 2:
            server.go_on.clear() if wire.said else None
            await asyncio.sleep(0)
        late = asyncio.get_running_loop().time() + HEAD_TIMEOUT_S + 1
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: late)
        protocol.check_time()
        assert not wire.closed
        monkeypatch.undo()

    asyncio.run(ask())


def test_a_head_that_drips_is_given_up_and_a_body_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        server = Server(Gate())
        loop = asyncio.get_running_loop()
        (silent, quiet), (drips, wire) = server.connect(), server.connect()
        asks, answered = server.connect()
        asks.data_received(ASK)
        drips.data_received(b"POST /predict/x HTTP/1.1\r\n")
        later = loop.time() + HEAD_TIMEOUT_S
        for ahead_s, closed in ((-1.0, False), (1.0, True)):
            monkeypatch.setattr(loop, "time", lambda ahead_s=ahead_s: later + ahead_s)
            drips.data_received(b"a: b\r\n")
            for one in (silent, drips, asks):
                one.check_time()
            assert (quiet.closed, wire.closed, answered.closed) == (closed, closed, False)
        assert wire.said.startswith(b"HTTP/1.1 408 ")
        monkeypatch.undo()

    asyncio.run(ask())


def test_a_client_that_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        server = Server(Gate())
        loop = asyncio.get_running_loop()
        protocol, wire = server.connect()
        protocol.data_received(ASK)
        protocol.pause_writing()
        later = loop.time() + STALL_TIMEOUT_S + 1
        protocol.check_time()
        assert not wire.aborted
        monkeypatch.setattr(loop, "time", lambda: later)
        protocol.check_time()
        assert wire.aborted
        monkeypatch.undo()
        protocol.connection_lost(None)
        server.go_on.set()
        await asyncio.sleep(0.01)
        assert not server.state.tasks

    asyncio.run(ask())


@pytest.mark.parametrize("pauses", [True, False])
def test_a_closing_connection_is_not_held_by_who_does_not_read(
    pauses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer is written at once, and its connection may be closed long before it is read."""

    async def ask() -> None:
        server = Server(Gate())
        loop = asyncio.get_running_loop()
        protocol, wire = server.connect()
        if pauses:
            protocol.pause_writing()
        wire.close()
        protocol.check_time()
        assert not wire.aborted
        later = loop.time() + STALL_TIMEOUT_S + 1
        monkeypatch.setattr(loop, "time", lambda: later)
        protocol.check_time()
        assert wire.aborted
        monkeypatch.undo()

    asyncio.run(ask())
