"""Retry in Prefect's UI, and a flow run that a worker starts again, go on with what was lost."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.states import AwaitingRetry

from flows.lifecycle import lifecycle
from tests.flows.material import FAST

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
ENTRYPOINT = "flows.lifecycle.lifecycle"


def start(flow_run: Any, cwd: Path) -> subprocess.Popen[bytes]:
    """Carries a flow run out as a worker of a process pool does."""
    env = {"PREFECT__FLOW_RUN_ID": str(flow_run), "PREFECT__FLOW_ENTRYPOINT": ENTRYPOINT}
    with (cwd / "engine.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect.engine"],
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


@pytest.mark.parametrize("is_retried", [True, False], ids=["Retry in the UI", "a worker again"])
def test_a_flow_run_goes_on_where_it_was_lost(
    is_retried: bool, tmp_path: Path, prefect_url: str
) -> None:
    workspace = tmp_path / "workspace"
    overrides = {**FAST, "train.checkpoint_every_steps": 5}
    parameters = {"recipe": "digits", "workspace": str(workspace), "overrides": overrides}
    with get_client(sync_client=True) as client:
        flow_run = client.create_flow_run(lifecycle, parameters=parameters).id
        victim = start(flow_run, tmp_path)
        while not list(workspace.glob("runs/*/resume/*/resume-*")):
            assert victim.poll() is None, (tmp_path / "engine.log").read_text()
            time.sleep(0.005)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        (run,) = (workspace / "runs").iterdir()
        if is_retried:
            client.set_flow_run_state(flow_run, AwaitingRetry(), force=True)
        again = start(flow_run, tmp_path)
        assert again.wait(timeout=600) == 0, (tmp_path / "engine.log").read_text()
        assert client.read_flow_run(flow_run).state_name == "Completed"
    (receipt,) = (workspace / "receipts").iterdir()
    signed = json.loads(receipt.read_bytes())["signed"]
    assert signed["run"] == run.name
    assert [entry["kept"] for entry in signed["resumptions"]] == [["collect", "prepare"]]
    assert not list((workspace / "runs").iterdir())
