"""An S3 emulator in a process of its own, and a proxy in front of it that can lose replies."""

import http.client
import http.server
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress

CREDENTIALS = {"key": "access-key", "secret": "not-a-real-secret"}
_START_TIMEOUT_S = 60


@contextmanager
def start_object_store():
    """Yields the endpoint of a moto server; it ends with the block."""
    script = (
        "import sys, threading; from moto.server import ThreadedMotoServer; server = "
        "ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False); server.start(); "
        "print(server.get_host_and_port()[1], flush=True); sys.stdin.read(); server.stop()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = int(process.stdout.readline())
        endpoint = f"http://127.0.0.1:{port}"
        _wait_for(endpoint)
        yield endpoint
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()


def describe_options(endpoint):
    """Options of a store at the endpoint."""
    return {**CREDENTIALS, "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}


def create_bucket(endpoint, name):
    """Creates a bucket."""
    urllib.request.urlopen(
        urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=30
    ).close()


def _wait_for(endpoint):
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


class Proxy:
    """Passes requests on to an endpoint, counts them, and answers some with silence after they took
    effect.

    Attributes:
        lose: Called with method and path after a request took effect; true closes the connection
            without a reply.
        strip: Names of request headers that are not passed on.
        requests: Method, path and size of each reply.
    """

    def __init__(self, endpoint):
        self.lose = lambda method, path: False
        self.strip = ()
        self.requests = []
        proxy, target = self, endpoint.removeprefix("http://")

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self):
                body = _read_body(self)
                headers = {
                    k: v
                    for k, v in self.headers.items()
                    if k.lower() not in (*proxy.strip, "transfer-encoding")
                }
                if body is not None:
                    headers["Content-Length"] = str(len(body))
                upstream = http.client.HTTPConnection(target, timeout=30)
                upstream.request(self.command, self.path, body, headers)
                reply = upstream.getresponse()
                data = reply.read()
                proxy.requests.append((self.command, self.path, len(data)))
                lost = proxy.lose(self.command, self.path)
                if lost:
                    self.close_connection = True
                else:
                    self._send(reply, data)
                upstream.close()

            def _send(self, reply, data):
                self.send_response_only(reply.status)
                for name, value in reply.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding"):
                        self.send_header(name, value)
                if self.command != "HEAD" and reply.getheader("Content-Length") is None:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, *args):
                pass

        for command in ("GET", "PUT", "POST", "HEAD", "DELETE"):
            setattr(Handler, f"do_{command}", Handler.handle_request)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        with suppress(OSError):
            self._server.server_close()


def _read_body(handler):
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        parts = []
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            parts.append(handler.rfile.read(size))
            handler.rfile.readline()
        handler.rfile.readline()
        return b"".join(parts)
    length = handler.headers.get("Content-Length")
    return handler.rfile.read(int(length)) if length else None
