import json
import socket
import threading
import time

import pytest

from lepton_ai.client import transport
from lepton_ai.client.client import Client
from lepton_ai.client.errors import (
    BadAnswer,
    DeadlinePassed,
    RequestRefused,
    ServerBusy,
    ServerUnreachable,
)
from lepton_ai.client.retries import Retries
from tests.lepton_ai.client.scripted import Reply, serve, take_turns

ACCEPTED: Reply = (200, {}, b'{"accepted": 1}')
SOON = Retries(most=3, first_s=0.001)


def refuse(status: int, text: str = "too much", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"error": text}).encode()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", found.append)
    return found


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_is_busy_is_asked_again_and_not_sooner_than_it_said(
    status: int, pauses: list[float]
) -> None:
    with serve(take_turns(refuse(status, retry_after="3"), ACCEPTED)) as server:
        assert Client(server.url, retries=SOON).feedback("d:1", "a") == 1
    assert len(server.got) == 2
    assert server.got[0].body == server.got[1].body
    assert 3 <= pauses[0] < 3.01


def test_a_lost_connection_is_opened_again(pauses: list[float]) -> None:
    with serve(take_turns(None, ACCEPTED)) as server:
        assert Client(server.url, retries=SOON).feedback("d:1", "a") == 1
    assert len(server.got) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422, 500])
def test_what_would_be_refused_again_is_asked_once(status: int, pauses: list[float]) -> None:
    with (
        serve(lambda _: refuse(status, "no", location="http://127.0.0.1:9/")) as server,
        pytest.raises(RequestRefused, match=f"{status}: no") as told,
    ):
        Client(server.url, retries=SOON).feedback("d:1", "a")
    assert (told.value.status, len(server.got), pauses) == (status, 1, [])


def test_it_gives_up_after_so_many_times_and_says_what_was_said(pauses: list[float]) -> None:
    with (
        serve(lambda _: refuse(503, "queue is full")) as server,
        pytest.raises(ServerBusy, match="503: queue is full"),
    ):
        Client(server.url, retries=SOON).feedback("d:1", "a")
    assert len(server.got) == 1 + 3


def test_it_does_not_wait_for_what_comes_after_its_deadline() -> None:
    with serve(lambda _: refuse(429, retry_after="60")) as server:
        begun = time.monotonic()
        with pytest.raises(ServerBusy):
            Client(server.url, timeout_s=5).feedback("d:1", "a")
    assert time.monotonic() - begun < 4
    assert len(server.got) == 1


def test_the_deadline_holds_against_a_server_that_drips() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not over.wait(0.05):
            try:
                connection.sendall(b" ")
            except OSError:
                break
        connection.close()

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    try:
        client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(DeadlinePassed, match="timeout_s"):
            client.feedback("d:1", "a", timeout_s=0.3)
        assert time.monotonic() - begun < 2
    finally:
        over.set()
        thread.join(5)
        listening.close()


@pytest.mark.parametrize(("timeout_s", "most"), [(5.0, 5000), (1e6, 600_000)])
def test_the_server_is_told_how_long_it_has(timeout_s: float, most: int) -> None:
    with serve(lambda _: ACCEPTED) as server:
        Client(server.url).feedback("d:1", "a", timeout_s=timeout_s)
    assert most - 4000 < int(server.got[0].headers["x-request-timeout-ms"]) <= most


def test_an_answer_without_end_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1000)
    with (
        serve(lambda _: (200, {}, bytes(2000))) as server,
        pytest.raises(BadAnswer, match="at most 1000 bytes"),
    ):
        Client(server.url).feedback("d:1", "a")


def test_a_server_that_is_not_there_is_named_without_secrets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", retries=Retries(most=0))
    with pytest.raises(ServerUnreachable, match=f"127.0.0.1:{port}.*see that it runs"):
        client.feedback("d:1", "a")
    assert not client.is_live()
    assert not client.is_ready("digits")


def test_the_key_is_sent_and_never_shown() -> None:
    with serve(lambda _: refuse(401, "key must be one")) as server:
        client = Client(server.url, key="secret-key-1")
        with pytest.raises(RequestRefused) as told:
            client.is_ready()
    assert server.got[0].headers["authorization"] == "Bearer secret-key-1"
    assert "secret-key-1" not in f"{client!r}{told.value}"


@pytest.mark.parametrize(
    "url",
    ["", "localhost:80", "ftp://host", "http://", "http://user:hush@host", "http://host?key=hush"],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ValueError, match=r"url \(.*\) must be http") as told:
        Client(url)
    assert "hush" not in str(told.value)


@pytest.mark.parametrize("key", ["", "a b", "a\nx: y", "ключ"])
def test_a_key_that_would_break_a_header_is_refused_unquoted(key: str) -> None:
    with pytest.raises(ValueError, match="key must be printable ASCII") as told:
        Client("http://host", key=key)
    assert not key or key not in str(told.value)
