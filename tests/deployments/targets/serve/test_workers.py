"""Several processes behind one port: a killed one comes back, the others go on, all stop as one."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.material import make_channel, publish_model
from tests.deployments.targets.serve.test_server import Endpoint, serve


def list_children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def ask_once(endpoint: Endpoint) -> str:
    """Asks over a connection of its own, and returns the half of the id that names who answered."""
    connection = endpoint.connect()
    try:
        status, said = endpoint.ask(connection)
    finally:
        connection.close()
    assert status == 200
    return str(said["answer_id"]).partition(":")[0]


def ask_until(endpoint: Endpoint, wanted: set[str]) -> None:
    """Asks until each of some workers has answered; one that was just killed may refuse one."""
    seen: set[str] = set()
    deadline_s = time.monotonic() + 30
    while not wanted <= seen:
        assert time.monotonic() < deadline_s, seen
        try:
            seen.add(ask_once(endpoint))
        except (ConnectionError, http.client.HTTPException):
            time.sleep(0.01)


def test_a_killed_worker_comes_back_and_the_others_go_on(workspace: Path, keys: KeyRing) -> None:
    publish_model(make_channel(workspace, "cloud"), 1, None)
    options = ["--channel", "cloud", "--workspace", str(workspace), "--id", "c"]
    with serve(*options, "--workers", "2") as endpoint:
        lead = endpoint.process.pid
        ask_until(endpoint, {"c-0", "c-1"})
        kept = endpoint.connect()
        assert endpoint.ask(kept)[0] == 200
        before = list_children(lead)
        assert len(before) == 2
        # Whoever holds this connection answered last; the other one is killed.
        holder = next(pid for pid in before if holds_connection(pid))
        (killed,) = before - {holder}
        os.kill(killed, signal.SIGKILL)
        assert endpoint.ask(kept)[0] == 200
        ask_until(endpoint, {"c-0", "c-1"})
        after = list_children(lead)
        assert len(after) == 2
        assert killed not in after
        kept.close()
        assert endpoint.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in after)


def holds_connection(pid: int) -> bool:
    """Tells whether a process has a TCP connection that is established."""
    established = {
        line.split()[9]
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "01"
    }
    links = (str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir())
    return any(link.startswith("socket:[") and link[8:-1] in established for link in links)


STOPPED_AS_IT_FORKS = """
import os, signal, sys, time
from deployments.targets.serve import workers

fork = os.fork

def stop_and_fork():
    os.kill(os.getpid(), signal.SIGTERM)
    return fork()

workers.os.fork = stop_and_fork
found = workers.fork_workers(2, "127.0.0.1", 0, lambda port: None)
if isinstance(found, workers.Worker):
    time.sleep(60)
sys.exit(found)
"""


def test_who_is_told_to_stop_as_it_forks_stops_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", STOPPED_AS_IT_FORKS], timeout=30)
    assert done.returncode == 0


@pytest.mark.slow
def test_what_keeps_one_worker_from_starting_ends_all(workspace: Path, keys: KeyRing) -> None:
    with (
        pytest.raises(AssertionError, match="nothing"),
        serve("--channel", "nothing", "--workspace", str(workspace), "--workers", "2"),
    ):
        pass


@pytest.mark.slow
def test_workers_end_with_the_process_that_leads_them(workspace: Path, keys: KeyRing) -> None:
    publish_model(make_channel(workspace, "cloud"), 1, None)
    options = ["--channel", "cloud", "--workspace", str(workspace), "--workers", "2"]
    with serve(*options) as endpoint:
        workers = list_children(endpoint.process.pid)
        endpoint.process.kill()
        endpoint.process.wait(10)
        deadline_s = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
