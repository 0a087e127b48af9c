"""One process that serves an application until it is told to stop."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from deployments.targets.errors import ServeError
from deployments.targets.serve.connections import BoundedProtocol, Gate, bind_protocol
from deployments.targets.serve.exposure import CIPHERS, Certificate, Renewer
from deployments.targets.serve.replies import App

STOP_TIMEOUT_S = 30.0
BACKLOG = 2048
TICKS_A_LOOK = 5
"""Tenths of a second between two looks at how long connections take."""


def serve_app(
    app: App,
    host: str,
    port: int,
    *,
    on_ready: Callable[[str, int], None],
    on_stop: Callable[[], None],
    certificate: Certificate | None = None,
    gate: Gate | None = None,
    shared: bool = False,
) -> None:
    """Serves until SIGTERM or SIGINT; then finishes what it took, and returns.

    Args:
        app: What is served.
        host: Address that it listens on.
        port: Its port; 0: a free one.
        on_ready: Called with host and port once requests are answered.
        on_stop: Called after the last answer.
        certificate: What it shows over TLS, renewed as its files are; None: it talks in the clear.
        gate: What decides which requests are taken, the application's own; None: a new one.
        shared: Whether other processes of this user listen on the same port.

    Raises:
        ServeError: The address cannot be listened on.
    """
    with listen(host, port, shared=shared) as listener, _outlive_signals():
        address: tuple[str, int] = listener.getsockname()[:2]
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=bind_protocol(gate or Gate()),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=int(STOP_TIMEOUT_S),
            ssl_certfile=None if certificate is None else certificate.chain,
            ssl_keyfile=None if certificate is None else certificate.key,
            ssl_ciphers=CIPHERS,
        )
        try:
            with _renew(config, certificate):
                _Server(config, lambda: on_ready(*address)).run(sockets=[listener])
        finally:
            on_stop()


def check_address(host: str, port: int) -> None:
    """Find out whether an address can be listened on.

    Raises:
        ServeError: It cannot.
    """
    listen(host, port).close()


@contextlib.contextmanager
def _renew(config: uvicorn.Config, certificate: Certificate | None) -> Iterator[None]:
    """Takes renewed certificates as long as a server runs."""
    if certificate is None:
        yield
        return
    config.load()
    assert config.ssl is not None  # noqa: S101 - it has a certificate
    renewer = Renewer(certificate, config.ssl)
    renewer.start()
    try:
        yield
    finally:
        renewer.stop()


class _Server(uvicorn.Server):
    """A server that says when it is ready, and looks after its connections' time."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_A_LOOK == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.check_time()
        return await super().on_tick(counter)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that is bound to an address, and does not listen yet.

    Args:
        host: Address.
        port: Its port; 0: a free one.
        shared: Whether several sockets of this user may be bound to it, and share connections.

    Raises:
        ServeError: It cannot be bound.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise _refuse(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _refuse(host, port, error) from error
    return listener


def _refuse(host: str, port: int, error: Exception) -> ServeError:
    reason = getattr(error, "strerror", None) or error
    return ServeError(
        f"address ({host}:{port}) must be one of this machine that is free; got {reason}; choose "
        "another port, or 0 for a free one"
    )


@contextlib.contextmanager
def _outlive_signals() -> Iterator[None]:
    """Lets the process go on after the server: it raises the signal that stopped it once more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _pass) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass(number: int, frame: FrameType | None) -> None:
    """Do nothing: the server has stopped already."""
