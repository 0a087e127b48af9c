"""`lepton fleet simulate` leaves no process behind, however it ends; bad usage is said at once.

That it goes round is shown by the slow test; `tests/flows/test_round.py` has each step of it.
"""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.flows.material import call
from tests.flows.processes import Command

pytestmark = pytest.mark.prefect


def start(folder: Path, *options: str) -> Command:
    workspace = folder / "work space"
    return Command("fleet", "simulate", "--workspace", str(workspace), *options, cwd=folder)


SLOW = [pytest.param(sign, marks=pytest.mark.slow) for sign in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("sign", [signal.SIGKILL, *SLOW])
def test_no_process_is_left_behind(
    sign: signal.Signals, tmp_path: Path, prefect_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEPTON_CACHE_DIR", str(tmp_path / "cache"))
    victim = start(tmp_path)
    deadline = time.monotonic() + 120
    while not any(
        "deployments.targets.fleet.child" in line for line in victim.find_left().values()
    ):
        assert victim.process.poll() is None, victim.messages
        assert time.monotonic() < deadline, victim.messages
        time.sleep(0.1)
    assert victim.end(sign) != 0
    victim.expect_nothing_left(timeout_s=40)
    # Keys of devices do not stay either, where there was a chance to take them away.
    assert sign != signal.SIGINT or not list((tmp_path / "cache").glob("fleet/*"))


@pytest.mark.parametrize("options", [("--devices", "0"), ("--rounds", "7"), ("--devices", "51")])
def test_bad_usage_is_said_at_once(options: tuple[str, str], tmp_path: Path) -> None:
    outcome = call("fleet", "simulate", "--workspace", str(tmp_path / "new"), *options)
    assert outcome.status == 2
    assert f"{options[0]} must be 1 to " in outcome.messages
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "rounds"), [(3, 3), (1, 1)])
def test_a_simulation_holds_what_it_promises(
    devices: int, rounds: int, tmp_path: Path, prefect_url: str
) -> None:
    command = start(tmp_path, "--devices", str(devices), "--rounds", str(rounds), "--json")
    assert command.finish(timeout_s=1800) == 0, command.messages
    command.expect_nothing_left()
    said = json.loads(command.out.read_text().splitlines()[-1])
    assert len(said["invariants"]) == 7
    assert all(found["held"] for found in said["invariants"])
    assert "All held" in Path(said["page"]).read_text("utf-8")
