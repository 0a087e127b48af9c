"""What a node answers is taken as it is told; a lost reply is told apart from a refusal."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployments.targets.fleet import device
from deployments.targets.fleet.device import DeviceFailed, HttpNode, NoReply
from deployments.targets.fleet.ledger import Sample

SAMPLE = Sample(b"body", "text/csv", "3")
GOOD = {"answer_id": "d1:7", "model_id": "a" * 64, "predictions": [{"label": "3"}]}


class Handler(BaseHTTPRequestHandler):
    """Answers with what the server was told to, and closes idle connections after a moment."""

    protocol_version = "HTTP/1.1"
    timeout = 0.3
    server: Any

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append((self.path, self.headers["Content-Type"]))
        status, said = self.server.reply
        if status == 0:
            self.close_connection = True
            return
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    found: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.paths, found.reply = [], (200, GOOD)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def node(server: Any) -> Iterator[HttpNode]:
    with closing(HttpNode("d1", f"http://127.0.0.1:{server.server_port}")) as found:
        yield found


def test_an_answer_is_taken_as_it_is_told(server: Any, node: HttpNode) -> None:
    reply = node.ask("edge", SAMPLE)
    assert (reply.answer_id, reply.model_id, reply.predicted) == ("d1:7", "a" * 64, {"label": "3"})
    assert server.paths == [("/predict/edge", "text/csv")]


def test_answer_ids_of_several_rows_count_on(server: Any, node: HttpNode) -> None:
    server.reply = (200, {**GOOD, "predictions": [{"label": "3"}, {"label": "4"}]})
    replies = node.ask_all("edge", SAMPLE)
    assert [reply.answer_id for reply in replies] == ["d1:7", "d1:8"]
    assert [reply.predicted for reply in replies] == [{"label": "3"}, {"label": "4"}]


def test_a_connection_that_was_idle_is_made_anew(
    server: Any, node: HttpNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "IDLE_S", 0.1)
    for _ in range(2):
        node.ask("edge", SAMPLE)
        threading.Event().wait(0.5)  # longer than the server keeps an idle connection
    assert len(server.paths) == 2


@pytest.mark.parametrize(
    ("reply", "error", "word"),
    [
        ((0, None), NoReply, "must have a reply"),
        ((422, {"error": "at https://me:secret@example.org"}), DeviceFailed, "422"),
        ((200, b"no json"), DeviceFailed, "no json"),
        ((200, {**GOOD, "predictions": []}), DeviceFailed, "one prediction"),
        ((200, {**GOOD, "answer_id": "d1"}), DeviceFailed, "must hold answer_id"),
        ((200, {}), DeviceFailed, "must hold answer_id"),
    ],
)
def test_faults_are_told_apart(
    reply: Any, error: type[Exception], word: str, server: Any, node: HttpNode
) -> None:
    server.reply = reply
    with pytest.raises(error, match=word) as info:
        node.ask("edge", SAMPLE)
    assert "secret" not in str(info.value)


def test_nobody_there_is_no_reply() -> None:
    with closing(HttpNode("d1", "http://127.0.0.1:9")) as node, pytest.raises(NoReply):
        node.tell([("d1:1", "3")])
