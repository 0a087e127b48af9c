import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from deployments.targets.edge.uplinks import HttpUplink, StoreUplink, open_uplink
from deployments.targets.errors import UplinkRefused
from storage.base.errors import InvalidInput, StorageError, Unreachable
from storage.base.store import Store

NAME = f"d1/3-9-{'ab' * 32}.safetensors"
DATA = b"batch" * 1000


class Endpoint(BaseHTTPRequestHandler):
    """Takes one batch after the other, and replies as it is told to."""

    reply: ClassVar[tuple[int, bytes]] = (200, b"")
    taken: ClassVar[list[tuple[str, bytes]]] = []
    key: ClassVar[str | None] = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, body))
        Endpoint.key = self.headers["Authorization"]
        status, data = self.reply
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    Endpoint.taken.clear()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/uplink"
    server.shutdown()
    thread.join()
    server.server_close()


def reply(status: int, document: object) -> None:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    Endpoint.reply = (status, data)


def test_an_endpoint_that_took_the_range_has_it(endpoint: str) -> None:
    reply(200, {"accepted": [3, 9]})
    uplink = open_uplink(endpoint)
    assert isinstance(uplink, HttpUplink)
    uplink.send(NAME, DATA)
    uplink.send(NAME, DATA)
    assert Endpoint.taken == [("/uplink", DATA)] * 2


def test_an_endpoint_that_asks_for_a_key_is_shown_it(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply(200, {"accepted": [3, 9]})
    for key in ("lepton_x", None):
        monkeypatch.setenv("LEPTON_API_KEY", key or "")
        open_uplink(endpoint).send(NAME, DATA)
        assert Endpoint.key == (key and f"Bearer {key}")


def test_an_endpoint_names_the_figures_that_it_took_by_their_digest(endpoint: str) -> None:
    digest = hashlib.sha256(DATA).hexdigest()
    name = f"d1/measured-{digest}.json"
    reply(200, {"accepted": digest})
    open_uplink(endpoint).send(name, DATA)
    reply(200, {"accepted": "0" * 64})
    with pytest.raises(Unreachable, match=f"must say that it took {digest}"):
        open_uplink(endpoint).send(name, DATA)


def test_a_refusal_is_repeated_in_its_words(endpoint: str) -> None:
    reply(403, {"error": "device (d1) must not be revoked; see http://user:secret@host"})
    with pytest.raises(UplinkRefused, match="must not be revoked") as caught:
        open_uplink(endpoint).send(NAME, DATA)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (200, {"accepted": [3, 8]}),
        (200, {"accepted": None}),
        (200, {}),
        (200, [3, 9]),
        (200, b""),
        (200, b"<html>" * 100_000),
        (204, b""),
        (302, {"accepted": [3, 9]}),
        (413, {"error": "too long"}),
        (500, b"\xff\xfe"),
        (503, {"error": "busy"}),
    ],
    ids=range(11),
)
def test_any_other_reply_acknowledges_nothing(endpoint: str, status: int, document: object) -> None:
    reply(status, document)
    with pytest.raises(Unreachable, match=f"took 3-9; got status {status}") as caught:
        open_uplink(endpoint).send(NAME, DATA)
    assert len(str(caught.value)) < 700
    assert len(Endpoint.taken) == 1


def test_nobody_there_is_said_without_secrets() -> None:
    uplink = open_uplink("http://user:secret@127.0.0.1:9/uplink?token=secret")
    with pytest.raises(Unreachable, match="must answer") as caught:
        uplink.send(NAME, DATA)
    assert "secret" not in str(caught.value) + uplink.display


def test_a_folder_has_a_batch_once(tmp_path: Path) -> None:
    uplink = open_uplink(str(tmp_path / "uplinks"))
    assert isinstance(uplink, StoreUplink)
    uplink.send(NAME, DATA)
    uplink.send(NAME, DATA)
    assert Store(tmp_path / "uplinks").list() == [NAME]
    assert Store(tmp_path / "uplinks").read(NAME) == DATA


def test_a_workspace_that_is_not_mounted_is_not_made_up(tmp_path: Path) -> None:
    uplink = open_uplink(str(tmp_path / "mount" / "uplinks"))
    with pytest.raises(Unreachable, match="mount it"):
        uplink.send(NAME, DATA)
    assert not (tmp_path / "mount").exists()
    (tmp_path / "mount").write_text("a file in the way")
    with pytest.raises(StorageError):
        uplink.send(NAME, DATA)


def test_any_file_system_with_both_promises_will_do() -> None:
    uplink = open_uplink("memory://test-uplinks/uplinks")
    uplink.send(NAME, DATA)
    uplink.send(NAME, DATA)
    assert Store("memory://test-uplinks/uplinks").list() == [NAME]


def test_a_url_that_can_be_none_is_refused_at_once() -> None:
    for url in ("", "s3://", "file://relative"):
        with pytest.raises(InvalidInput):
            open_uplink(url)
