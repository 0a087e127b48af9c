"""The process: it says when it is ready, swaps under load, and finishes what it took."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from deployments.targets.errors import ServeError
from deployments.targets.serve.server import serve_app
from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.material import make_channel, publish_model
from tests.deployments.targets.run.test_predict import PLATFORM
from tests.deployments.targets.serve.test_answers import write_npy

COMMAND = [sys.executable, "-c", "from lepton_ai.cli import main; main()", "serve"]
SAMPLE = write_npy(np.zeros((8, 8), np.uint8))


class Endpoint:
    """A `lepton serve` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.said: list[str] = []
        self.address = ("", 0)

    def wait_ready(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if line.startswith("ready http://"):
                url = urlsplit(line.split()[1])
                self.address = (str(url.hostname), int(url.port or 0))
                return
        raise AssertionError("".join(self.said))

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=10)

    def ask(self, connection: http.client.HTTPConnection) -> tuple[int, dict[str, object]]:
        connection.request("POST", "/predict/digits", SAMPLE)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def serve(*arguments: str) -> Iterator[Endpoint]:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments], stderr=subprocess.PIPE, text=True
    )
    endpoint = Endpoint(process)
    try:
        endpoint.wait_ready()
        yield endpoint
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        assert process.stderr is not None
        process.stderr.close()


def test_swaps_under_load_and_finishes_what_it_took(workspace: Path, keys: KeyRing) -> None:
    channel = make_channel(workspace, "cloud")
    publish_model(channel, 1, None)
    options = ["--channel", "cloud", "--workspace", str(workspace), "--interval-s", "0.1"]
    with serve(*options, "--id", "cloud-1") as endpoint:
        seen: list[tuple[int, str, str]] = []
        stopping = threading.Event()

        def load() -> None:
            with closing(endpoint.connect()) as connection:
                while not stopping.is_set():
                    status, said = endpoint.ask(connection)
                    seen.append((status, str(said.get("model_id")), str(said.get("answer_id"))))

        askers = [threading.Thread(target=load) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for number in range(3):
                publish_model(channel, number + 2, number + 1)
                deadline_s, models = time.monotonic() + 20, number + 2
                while len({model for _, model, _ in seen}) < models:
                    assert time.monotonic() < deadline_s
                    time.sleep(0.02)
        finally:
            stopping.set()
            for asker in askers:
                asker.join(20)
        assert {status for status, _, _ in seen} == {200}
        answer_ids = [answer_id for _, _, answer_id in seen]
        assert len(set(answer_ids)) == len(answer_ids)
        assert all(answer_id.startswith("cloud-1:") for answer_id in answer_ids)
        check_stop(endpoint)


def check_stop(endpoint: Endpoint) -> None:
    """Sends half of a request, stops the endpoint, and sends the other half."""
    with socket.create_connection(endpoint.address, 10) as client:
        head = f"POST /predict/digits HTTP/1.1\r\nhost: x\r\ncontent-length: {len(SAMPLE)}\r\n\r\n"
        client.sendall(head.encode() + SAMPLE[:50])
        time.sleep(0.3)
        idle = endpoint.connect()
        idle.connect()
        endpoint.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert endpoint.process.poll() is None
        client.sendall(SAMPLE[50:])
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert endpoint.process.wait(20) == 0
        idle.close()


def test_a_channel_that_is_gone_leaves_the_verified_model_answering(
    workspace: Path, keys: KeyRing
) -> None:
    publish_model(make_channel(workspace, "cloud"), 1, None)
    options = ["--channel", "cloud", "--workspace", str(workspace), "--interval-s", "0.1"]
    with serve(*options) as endpoint:
        workspace.rename(workspace.with_name("gone"))
        connection = endpoint.connect()
        deadline_s = time.monotonic() + 20
        while True:
            connection.request("GET", "/health")
            health = json.loads(connection.getresponse().read())
            if health["channel"]["status"] == "refused":
                break
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert set(health) == {"endpoint", "model_id", "release", "slot", "channel"}
        assert endpoint.ask(connection)[0] == 200
        connection.close()
        assert endpoint.stop() == 0


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def app(scope: object, receive: object, send: object) -> None:
            raise AssertionError

        with pytest.raises(ServeError, match=rf"127\.0\.0\.1:{port}.*in use"):
            serve_app(app, "127.0.0.1", port, on_ready=lambda *_: None, on_stop=lambda: None)


def test_without_the_extra_it_says_what_to_install(workspace: Path) -> None:
    code = "import sys; sys.modules['orjson'] = None\nfrom lepton_ai.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--channel", "cloud", "--workspace", str(workspace)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'lepton-ai[serve]'" in done.stderr


def test_the_app_needs_none_of_the_platform() -> None:
    code = (
        "import sys, deployments.targets.serve.app, deployments.targets.serve.server, "
        "lepton_ai.commands.serve; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {*PLATFORM, "fastapi", "jinja2"}
