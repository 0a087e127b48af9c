"""Finds or starts the Prefect server that a run reports to.

The one that PREFECT_API_URL names; else a local one that is already up; else one of our own, which
lives exactly as long as this process. Prefect's built-in temporary server is not used: it survives
a SIGKILL of the flow's process.
"""

import atexit
import fcntl
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from prefect.context import FlowRunContext
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_SERVER_API_HOST,
    PREFECT_SERVER_API_PORT,
    get_current_settings,
    temporary_settings,
)

from flows.errors import ServerError
from storage.base.store import redact
from tasks.runtime.child import announce, end_child, end_with_parent, read_announcement, start_child
from tasks.runtime.progress import current_progress

START_TIMEOUT_S = 120.0
PROBE_TIMEOUT_S = 2.0
NAMED_TIMEOUT_S = 15.0
LEAST_RETRIES = 8
"""How often at least the client asks a server anew that was there and is away: it waits 2, 4, 8
and so on seconds, a fifth more or less: 400 s and more in all. Prefect's own 5 are a minute."""
AWAY_S = 400.0
AGAIN_S = 5.0


@contextmanager
def prefect_server() -> Iterator[str]:
    """Points Prefect at a server for the duration of the block and yields its API URL.

    A flow within another waits for one that is away: much was done already.

    Raises:
        ServerError: No server is named or up, and the embedded one did not start.
    """
    named = PREFECT_API_URL.value()
    if named is not None:
        _require_reachable(named, AWAY_S if FlowRunContext.get() is not None else 0.0)
    url = named or find_local_server() or _start_and_show()
    # The heartbeat thread holds every flow run for a second when it ends; a run's own process needs
    # none.
    settings = {PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    retries = max(PREFECT_CLIENT_MAX_RETRIES.value(), LEAST_RETRIES)
    with temporary_settings({**settings, PREFECT_CLIENT_MAX_RETRIES: retries}):
        yield url


def have_patience() -> None:
    """Lets a server be away for minutes where this process was started by a worker.

    Then the run's states are told outside of its flow, by a client that asks for its settings each
    time: they are changed for good.
    """
    client = get_current_settings().client
    client.max_retries = max(client.max_retries, LEAST_RETRIES)


def find_local_server() -> str | None:
    """Return the API URL of the Prefect server that listens on this machine, or None."""
    url = f"http://{PREFECT_SERVER_API_HOST.value()}:{PREFECT_SERVER_API_PORT.value()}/api"
    return url if is_healthy(url) else None


def is_healthy(url: str) -> bool:
    """Return whether a Prefect server answers at an API URL."""
    try:
        health = f"{url}/health"  # a loopback http URL
        with urllib.request.urlopen(health, timeout=PROBE_TIMEOUT_S) as reply:  # noqa: S310
            return bool(json.loads(reply.read()) is True)
    except (OSError, ValueError):
        return False


def _require_reachable(url: str, patience_s: float = 0.0) -> None:
    """Checks that a server answers; a refusal will do, for who may do what is its to say."""
    deadline = time.monotonic() + patience_s
    while (reason := _try_to_reach(url)) is not None:
        if time.monotonic() >= deadline:
            raise ServerError(
                f"Prefect server ({redact(url)}), named by PREFECT_API_URL or the profile, must "
                f"answer; got {redact(reason)}; start it, or unset the variable to use an embedded "
                "one"
            )
        time.sleep(AGAIN_S)


def _try_to_reach(url: str) -> str | None:
    """Return why a server does not answer; None if it does."""
    try:
        health = f"{url}/health"  # the user's own setting
        with urllib.request.urlopen(health, timeout=NAMED_TIMEOUT_S):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", None) or error)


def _start_and_show() -> str:
    """Starts the embedded server, and tells whoever watches what the seconds go into."""
    progress, started = current_progress(), time.monotonic()
    progress.begin("prefect server")
    url = start_embedded_server()
    progress.end(
        "prefect server",
        "done",
        "embedded: none was named and none is up",
        time.monotonic() - started,
    )
    return url


def start_embedded_server() -> str:
    """Return the API URL of this process's own server, which is started at the first call."""
    return _start_once()[0]


@cache
def _start_once() -> tuple[str, subprocess.Popen[bytes]]:
    """Starts the server; while its process is held, its standard input stays open."""
    home = Path(PREFECT_HOME.value())
    home.mkdir(parents=True, exist_ok=True)
    # Two servers must not create the same database at the same time.
    with (home / "lepton-server.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = start_child(
            "flows.run.server",
            stdout=subprocess.PIPE,
            env={
                "PREFECT_UI_ENABLED": "0",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "0",
                "DO_NOT_TRACK": "1",
                "PREFECT__SERVER_EPHEMERAL": "1",
                "PREFECT__SERVER_FINAL": "1",
            },
        )
        announced = read_announcement(child, timeout_s=START_TIMEOUT_S)
    if announced is None:
        raise ServerError(
            f"embedded Prefect server must start within {START_TIMEOUT_S:.0f} s; it ended with "
            f"status {end_child(child)}; start one with `prefect server start` and run again"
        )
    # It ends with our end of its pipe; this waits for it, too.
    atexit.register(end_child, child)
    return announced["url"], child


def main() -> None:
    """Serves on a free loopback port until the parent ends, in the server's own process."""
    end_with_parent()
    import socket

    import uvicorn
    from prefect.server.api.server import create_app

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"

    class Server(uvicorn.Server):
        """Says where it listens once it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce(url=url)

    config = uvicorn.Config(create_app(), log_level="error", lifespan="on")
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
