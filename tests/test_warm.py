"""Forks of the warmed process are what processes of their own would be."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tasks.training.devices import THREADS, WAITING
from tests.warm import PASSIVE, Fork, read_threads, start_fork

# Where the warmed process stands anyway.
pytestmark = pytest.mark.xdist_group("trainings")


def start(folder: Path, status: str, env: dict[str, str]) -> Fork:
    """A fork that tells how it stands into a file, until it is let go."""
    reading, writing = os.pipe()
    whole = {**os.environ, **env}
    with (folder / "told").open("wb") as told:
        files = [reading, told.fileno(), told.fileno()]
        stdin = os.fdopen(writing, "wb")
        fork = start_fork("tests.warm.telling", [status], whole, folder, files, stdin)
    os.close(reading)
    deadline_s = time.monotonic() + 60
    while not (folder / "told").read_bytes().endswith(b"\n"):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return fork


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fork_has_its_own_threads_environment_folder_and_status(
    tmp_path: Path, threads: int
) -> None:
    env = {**dict.fromkeys(THREADS, str(threads)), WAITING: PASSIVE, "TOLD": "a word"}
    fork = start(tmp_path, "7", env)
    assert json.loads((tmp_path / "told").read_text()) == ["7", threads, "a word", str(tmp_path)]
    line = Path(f"/proc/{fork.pid}/cmdline").read_bytes()
    assert line.startswith(b"tests.warm.telling\x007\x00")
    assert fork.poll() is None
    assert fork.stdin is not None
    fork.stdin.close()
    assert (fork.wait(timeout=60), fork.poll(), fork.returncode) == (7, 7, 7)


def test_a_fork_that_is_killed_has_the_signal_s_status(tmp_path: Path) -> None:
    fork = start(tmp_path, "0", {})
    assert fork.stdin is not None
    with fork.stdin:
        fork.send_signal(signal.SIGKILL)
        assert fork.wait(timeout=60) == -signal.SIGKILL


def test_who_gives_libraries_different_threads_gets_a_process_of_its_own() -> None:
    alike = {**dict.fromkeys(THREADS, "3"), WAITING: PASSIVE}
    assert read_threads(alike) == 3
    for other in ({"BLOSC_NTHREADS": "2"}, {WAITING: "ACTIVE"}, {THREADS[0]: "3,1"}):
        assert read_threads({**alike, **other}) is None
    assert read_threads({}) is None
