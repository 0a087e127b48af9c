"""Servers that drop a connection, or give a byte now and then."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from tuf.api.exceptions import DownloadError, SlowRetrievalError

from deployments.targets.errors import BadInput, ChannelRefused
from deployments.targets.follow.client import update_model
from deployments.targets.follow.fetch import Deadline, HttpFetcher, read_http
from deployments.targets.publish.channel import Channel
from deployments.targets.run.predict import predict
from tests.deployments.targets.follow.test_client import channel as channel
from tests.deployments.targets.material import make_onnx

Serve = Callable[[socket.socket, threading.Event], None]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@contextmanager
def serving(serve: Serve) -> Iterator[str]:
    """Answers every connection by a function of its own, until the test is over."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while not over.is_set():
                with suppress(OSError):
                    asked, _ = listener.accept()
                    threading.Thread(target=answer, args=(asked,), daemon=True).start()

        def answer(asked: socket.socket) -> None:
            with asked, suppress(OSError):
                serve(asked, over)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()


def read_path(asked: socket.socket) -> str:
    """Reads what is asked for, so that closing does not reset the connection."""
    return asked.recv(65536).decode().split(" ")[1]


def drop_in_body(asked: socket.socket, over: threading.Event) -> None:
    read_path(asked)
    asked.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 10)


def drop_in_chunk(asked: socket.socket, over: threading.Event) -> None:
    read_path(asked)
    asked.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\nxx")


def send_no_http(asked: socket.socket, over: threading.Event) -> None:
    read_path(asked)
    asked.sendall(b"SSH-2.0-OpenSSH\r\n")


def send_broken_gzip(asked: socket.socket, over: threading.Event) -> None:
    read_path(asked)
    asked.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx")


def drip_body(asked: socket.socket, over: threading.Event) -> None:
    read_path(asked)
    asked.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    while not over.wait(0.05):
        asked.sendall(b"x")


def drip_header(asked: socket.socket, over: threading.Event) -> None:
    read_path(asked)
    asked.sendall(HEAD)
    while not over.wait(0.05):
        asked.sendall(b"x")


FAULTS = [drop_in_body, drop_in_chunk, send_no_http, send_broken_gzip]


@pytest.mark.parametrize("serve", FAULTS)
def test_whatever_a_server_breaks_is_a_failed_download(serve: Serve) -> None:
    with serving(serve) as url, pytest.raises(DownloadError):
        read_http(f"{url}/file", 1 << 20)


@pytest.mark.parametrize("serve", [drip_body, drip_header])
def test_a_download_has_a_deadline_in_all(serve: Serve) -> None:
    deadline = Deadline(first_s=0.3, least_rate=1000.0, most_s=60.0)
    with serving(serve) as url, pytest.raises(SlowRetrievalError, match="bytes in"):
        HttpFetcher(url, deadline).download_bytes("file", 1 << 20)


def test_what_comes_in_time_comes_whole() -> None:
    content = bytes(range(256)) * 4000

    def send(asked: socket.socket, over: threading.Event) -> None:
        read_path(asked)
        asked.sendall(HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode())
        for start in range(0, len(content), 100_000):
            time.sleep(0.01)
            asked.sendall(content[start : start + 100_000])

    with serving(send) as url:
        assert HttpFetcher(url).download_bytes("file", 1 << 21) == content


def test_a_deadline_counts_what_has_come() -> None:
    deadline = Deadline(first_s=10, least_rate=100, most_s=50)
    assert deadline.find_left(4, 0) == 6
    assert deadline.find_left(4, 1000) == 16
    assert deadline.find_left(4, 10**9) == 46


@pytest.mark.parametrize("serve", FAULTS)
def test_the_verified_model_answers_when_a_connection_drops(
    channel: Channel, workspace: Path, tmp_path: Path, serve: Serve
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((8, 8), np.uint8))
    ways = [serve]

    def send_file(asked: socket.socket, over: threading.Event) -> None:
        found = workspace / read_path(asked).lstrip("/")
        data = found.read_bytes() if found.is_file() else None
        head = HEAD if data is not None else b"HTTP/1.1 404 Not Found\r\n"
        length = f"Content-Length: {len(data or b'')}\r\nConnection: close\r\n\r\n"
        asked.sendall(head + length.encode() + (data or b""))

    with serving(lambda asked, over: ways[-1](asked, over)) as base:
        url = f"{base}/channels/edge"
        with pytest.raises(ChannelRefused):
            update_model(url)
        ways.append(send_file)
        answered = list(predict(url, [str(tmp_path / "x.npy")]))
        ways.append(serve)
        assert list(predict(url, [str(tmp_path / "x.npy")])) == answered
        update = update_model(url)
    assert (update.status, update.model.data) == ("refused", make_onnx(1))
    with serving(serve) as base, pytest.raises(BadInput, match="can be read"):
        list(predict(str(workspace / "channels/edge"), [f"{base}/x.npy"]))


def test_a_pipe_is_no_input(channel: Channel, workspace: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(BadInput, match="a pipe"):
        list(predict(str(workspace / "channels/edge"), [str(tmp_path / "x.npy")]))
