"""The lifecycle as a deployment: real server and worker, a run triggered as the UI's button does, a
schedule that fires. They have a server of their own: any process may run this.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.run.server import is_healthy
from tests.flows.material import FAST

ROOT = Path(__file__).resolve().parents[2]
POOL = "lepton"
PREFECT = str(Path(sys.executable).with_name("prefect"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real `prefect server start`, its scheduler included, and the environment that names it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    command = ("server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    with _started(command, env, tmp_path / "server.log", tmp_path):
        deadline = time.monotonic() + 400
        while not is_healthy(env["PREFECT_API_URL"]):
            assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.2)
        yield env


@pytest.fixture
def deployed(server: dict[str, str], tmp_path: Path) -> Iterator[Path]:
    """The project's prefect.yaml deployed on that server, with a worker that runs in an empty
    folder.
    """
    document = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for deployment in document["deployments"]:
        deployment["parameters"]["workspace"] = str(tmp_path / "workspace")
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    (project / "prefect.yaml").write_text(yaml.safe_dump(document))
    _prefect("work-pool", "create", POOL, "--type", "process", env=server, cwd=project)
    _prefect("--no-prompt", "deploy", "--all", env=server, cwd=project)
    worker = ("worker", "start", "--pool", POOL, "--limit", "1")
    with _started(worker, server, tmp_path / "worker.log", elsewhere):
        yield tmp_path


@contextmanager
def _started(command: tuple[str, ...], env: dict[str, str], log: Path, cwd: Path) -> Iterator[None]:
    """`prefect COMMAND` for the duration of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PREFECT, *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=True,
        )
    try:
        yield
    finally:
        # A worker asked to end waits for the runs that the schedule has set going meanwhile; nobody
        # needs them.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)


def _prefect(*command: str, env: dict[str, str], cwd: Path) -> None:
    done = subprocess.run(
        [PREFECT, *command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=400,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _wait_completed(client: Any, run_id: Any, where: Path, timeout_s: float = 400) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        state = client.read_flow_run(run_id).state
        if state is not None and state.is_final():
            assert state.name == "Completed", (
                f"{state}\n{(where / 'worker.log').read_text()[-3000:]}"
            )
            return
        assert time.monotonic() < deadline, (
            f"still {state}\n{(where / 'worker.log').read_text()[-3000:]}"
        )
        time.sleep(0.5)


def test_a_run_is_triggered_and_promoted_and_a_schedule_fires(
    deployed: Path, server: dict[str, str]
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.settings import PREFECT_API_URL, temporary_settings

    workspace = deployed / "workspace"
    with (
        temporary_settings({PREFECT_API_URL: server["PREFECT_API_URL"]}),
        get_client(sync_client=True) as client,
    ):
        deployment = client.read_deployment_by_name("lifecycle/digits-nightly")
        (nightly,) = deployment.schedules
        assert nightly.active
        # Nights come while tests run, too, and the worker takes one run at a time.
        client.update_deployment_schedule(deployment.id, nightly.id, active=False)
        parameters = {"recipe": "digits", "workspace": str(workspace), "overrides": FAST}
        triggered = client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
        _wait_completed(client, triggered.id, deployed)
        signed = workspace / "channels" / "edge" / "metadata" / "timestamp.json"
        promoted = signed.read_bytes()
        renewal = client.read_deployment_by_name("refresh_channels/channels-daily")
        (schedule,) = renewal.schedules
        every = IntervalSchedule(interval=timedelta(seconds=20))
        client.update_deployment_schedule(renewal.id, schedule.id, schedule=every, active=True)
        fired = _wait_scheduled(client, renewal.id)
        client.update_deployment_schedule(renewal.id, schedule.id, active=False)
        _wait_completed(client, fired, deployed)
    assert signed.read_bytes() != promoted


def _wait_scheduled(client: Any, deployment_id: Any, timeout_s: float = 400) -> Any:
    """The id of a run that the schedule, and nobody else, has set going."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId

    chosen = DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id]))
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for run in client.read_flow_runs(deployment_filter=chosen):
            if run.auto_scheduled and run.state is not None and not run.state.is_scheduled():
                return run.id
        time.sleep(0.5)
    raise AssertionError("no scheduled run has started")
