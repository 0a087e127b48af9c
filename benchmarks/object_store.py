"""An S3 emulator in a process of its own that counts what it serves and takes its time.

`python -m benchmarks.object_store PORT` serves moto; `GET /-/counts` answers with the requests and
bytes so far as JSON, `GET /-/latency/MILLISECONDS` makes every later request wait that long.
"""

import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

OPTIONS = {"key": "bench", "secret": "bench"}


class CountingApp:
    """WSGI middleware: counts, and waits."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app, self._counts, self._latency_s, self._lock = app, Counter(), 0.0, threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            if path.startswith("/-/latency/"):
                self._latency_s = int(path.rsplit("/", 1)[1]) / 1000
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self._counts).encode()]
        time.sleep(self._latency_s)

        def count(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            size = next(
                (int(value) for name, value in headers if name.lower() == "content-length"), 0
            )
            with self._lock:
                self._counts[environ["REQUEST_METHOD"]] += 1
                self._counts["bytes"] += size if environ["REQUEST_METHOD"] == "GET" else 0
            return start_response(status, headers, *rest)

        return self._app(environ, count)


class ObjectStore:
    """The running emulator, as a client sees it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.options = {**OPTIONS, "endpoint_url": url}

    def counts(self) -> Counter[str]:
        """Requests by method, and `bytes` sent in answer to GET, so far."""
        return Counter(json.loads(self._ask("counts")))

    def set_latency(self, milliseconds: int) -> None:
        """Makes every later request wait."""
        self._ask(f"latency/{milliseconds}")

    def _ask(self, what: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/-/{what}") as answer:
            return answer.read()


@contextmanager
def start_object_store() -> Iterator[ObjectStore]:
    """Runs the emulator for the time of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.object_store", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    store = ObjectStore(f"http://127.0.0.1:{port}")
    try:
        for _ in range(300):
            try:
                store.counts()
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit("the S3 emulator did not start within 30 s")
        yield store
    finally:
        process.terminate()
        process.wait()


def main(port: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    run_simple(
        "127.0.0.1",
        port,
        CountingApp(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
