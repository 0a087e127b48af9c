"""The agent on a device's install: the base packages and those of HTTP, nothing that trains."""

import os
import subprocess
from pathlib import Path

import pytest

from deployments.targets.trust.keys import KeyRing
from tests.deployments.targets.edge.processes import (
    TRAINS,
    WATCHED,
    Agent,
    Client,
    Ledger,
    check_ledger,
    check_modules,
    read_all,
)
from tests.deployments.targets.edge.test_agent import agents, channel
from tests.device_install import PACKAGES, make_device_python

__all__ = ["agents", "channel"]


@pytest.fixture(scope="module")
def device_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_device_python(tmp_path_factory.mktemp("device") / "venv", ["serve"])


def test_an_agent_runs_on_a_device(
    tmp_path: Path, device_python: Path, channel: object, keys: KeyRing, agents: list[Agent]
) -> None:
    modules = tmp_path / "modules.json"
    env = {k: v for k, v in os.environ.items() if k not in ("LEPTON_PLUGINS", "PYTHONPATH")}
    env["LEPTON_MODULES"] = str(modules)
    start = ["-P", *WATCHED]
    agents.append(agent := Agent(tmp_path, python=str(device_python), start=start, env=env))
    ledger = Ledger()
    client = Client(agent, ledger, 1)
    while len(ledger.answers) < 5:
        assert agent.process.poll() is None, agent.messages
    assert agent.stop() == 0
    client.join()
    check_ledger(ledger, read_all(tmp_path / "workspace", keys))
    check_modules(modules)


def test_a_devices_install_has_no_platform(device_python: Path) -> None:
    names = sorted(set(TRAINS) - set(PACKAGES))
    code = f"import importlib.util; print([n for n in {names} if importlib.util.find_spec(n)])"
    found = subprocess.run(
        [str(device_python), "-P", "-c", code], check=True, capture_output=True, text=True
    )
    assert found.stdout == "[]\n"
