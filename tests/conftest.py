"""What every test stands on: keys, caches and Prefect's database of their own, and one Prefect
server a session.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processors import PROCESSOR
from tests.small_disk import SmallDisk

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


WORKERS = {"gw0": ("amx", 1), "gw1": ("plain", 2), "gw2": ("plain", 1)}

SERVICES = {"client": "cluster", "endpoint": "object store", "s3_options": "emulator"}
"""What fixtures of a session start, which each process would start anew."""
SHORTEST = "tests/storage/"


def pytest_configure() -> None:
    """The suite's processes stand on two processors, with one and with two threads."""
    processor, threads = WORKERS.get(os.environ.get("PYTEST_XDIST_WORKER", ""), (None, 0))
    if processor is not None:
        os.environ[PROCESSOR] = processor
        os.environ["LEPTON_PLUGINS"] = "tests.processors"
        os.environ["OMP_NUM_THREADS"] = str(threads)
    # Measured threads differ from run to run, and sums with them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_report_header() -> str:
    """Says how the processors are dealt out, so that a failure can be repeated."""
    dealt = ", ".join(
        f"{worker} {name}, {count} thread(s)" for worker, (name, count) in WORKERS.items()
    )
    return f"simulated processors: {dealt}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever needs the session's one Prefect server, or one same thing that takes long to make,
    runs in one process; `make test` has others for the rest. The shortest tests come last, so that
    no process is at work alone in the end.
    """
    items.sort(key=lambda item: item.nodeid.startswith(SHORTEST))
    for item in items:
        if item.get_closest_marker("prefect") is not None:
            item.add_marker(pytest.mark.xdist_group("prefect"))
        elif item.get_closest_marker("xdist_group") is None and (group := find_shared(item)):
            item.add_marker(pytest.mark.xdist_group(group))


def find_shared(item: pytest.Item) -> str:
    """The group of a test by what it shares with others: what is made once a module, else a
    cluster or a server; empty if it shares nothing.
    """
    info = getattr(item, "_fixtureinfo", None)
    asked = info.name2fixturedefs if info is not None else {}
    scopes = {name: found[-1].scope for name, found in asked.items()}
    if "module" in scopes.values():
        return item.nodeid.partition("::")[0]
    return next((group for name, group in SERVICES.items() if scopes.get(name) == "session"), "")


@pytest.fixture(scope="session", autouse=True)
def _private_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's keys, caches or Prefect runs; no telemetry leaves the
    machine.
    """
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("LEPTON_CONFIG_DIR", str(home / "config"))
    patch.setenv("LEPTON_CACHE_DIR", str(home / "cache"))
    patch.setenv("PREFECT_HOME", str(home / "prefect"))
    patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    patch.setenv("DO_NOT_TRACK", "1")
    # Other processes find the components that tests name by import path.
    patch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    patch.delenv("PREFECT_API_URL", raising=False)
    patch.delenv("LEPTON_KEYS", raising=False)
    patch.delenv("LEPTON_WORKSPACE", raising=False)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _warm_start(_private_home: None) -> Iterator[None]:
    """Training processes that tests start are forks of one, which made the slow imports once."""
    from tests.warm import WarmStart

    patch = pytest.MonkeyPatch()
    patch.setattr("tasks.training.launch.start_child", WarmStart())
    yield
    patch.undo()


@pytest.fixture
def cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training process is started as in a run: for tests that claim something of its start."""
    from tasks.runtime.child import start_child

    monkeypatch.setattr("tasks.training.launch.start_child", start_child)


@pytest.fixture(scope="session")
def prefect_url(_private_home: None) -> Iterator[str]:
    """The session's one Prefect server; child processes find it by PREFECT_API_URL."""
    from flows.run.server import start_embedded_server

    url = start_embedded_server()
    patch = pytest.MonkeyPatch()
    patch.setenv("PREFECT_API_URL", url)
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    with temporary_settings({PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield url
    patch.undo()


@pytest.fixture(scope="session")
def mnist_files() -> Path:
    """The four MNIST files."""
    folder = SHARED_DATA / "mnist"
    if not folder.is_dir():
        pytest.skip(f"MNIST is not on this machine ({os.path.relpath(folder)} is absent)")
    return folder


@pytest.fixture(scope="session")
def dask_scheduler() -> Iterator[str]:
    """Address of the session's one Dask cluster, of one worker."""
    from tasks.runtime.cluster import open_cluster

    with open_cluster(workers=1) as address:
        yield address


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    yield SmallDisk(path)
    if path.is_mount():
        subprocess.run(["umount", "--lazy", str(path)], check=True)
