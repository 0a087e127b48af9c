"""However a run ends, nothing stays behind, nothing is torn, and the next run is promoted once."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.flows.material import FAST, call
from tests.flows.processes import Command, fast_settings, find_torn

pytestmark = pytest.mark.prefect
# The line that a run prints when the stage before is over: the kill falls into the stage after it.
BEFORE = {
    "collect": None,
    "prepare": "gate raw",
    "train": "gate prepared",
    "evaluate": "train",
    "compress": "gate model",
    "promote": "gate artifact",
}


def _start(
    workspace: Path,
    tmp_path: Path,
    overrides: dict[str, int] | None = None,
    *,
    is_warm: bool = False,
) -> Command:
    settings = fast_settings({**FAST, **(overrides or {})})
    arguments = ("run", "digits", "--workspace", str(workspace), "--json", *settings)
    return Command(*arguments, cwd=tmp_path, is_warm=is_warm)


def _expect_promoted_once(workspace: Path, tmp_path: Path) -> None:
    again = _start(workspace, tmp_path)
    assert again.finish() == 0, again.messages
    again.expect_nothing_left()
    summary = json.loads(again.out.read_text().splitlines()[-1])
    assert call("verify", summary["receipt"], "--workspace", str(workspace)).status == 0
    for channel in ("edge", "cloud"):
        targets = [
            json.loads(path.read_bytes())["signed"]["targets"]
            for path in (workspace / "channels" / channel / "metadata").glob("*.targets.json")
        ]
        assert sum(1 for entry in targets if entry) == 1, f"{channel} was published more than once"


# By default a run is killed in training (tests/flows/test_resume.py), and publishing at each of its
# steps (tests/deployments/targets/publish/test_publish_faults.py).
@pytest.mark.slow
@pytest.mark.parametrize("stage", BEFORE)
def test_kill_in_the_middle_of_a_stage(stage: str, tmp_path: Path, prefect_url: str) -> None:
    workspace = tmp_path / "work space"
    victim = _start(workspace, tmp_path)
    before = BEFORE[stage]
    if before is None:
        while not (workspace / "datasets").exists():
            assert victim.process.poll() is None, victim.messages
    else:
        victim.wait_for(before)
    victim.end(signal.SIGKILL)
    victim.expect_nothing_left()
    if before is None:
        assert not list((workspace / "runs").iterdir()), "nobody goes on from that"
    _expect_promoted_once(workspace, tmp_path)


def test_ctrl_c_ends_everything_in_order(tmp_path: Path, prefect_url: str) -> None:
    workspace = tmp_path / "workspace"
    # So long that it cannot have ended by itself.
    victim = _start(workspace, tmp_path, {"train.max_epochs": 10_000}, is_warm=True)
    victim.wait_for("gate prepared")
    assert victim.end(signal.SIGINT) != 0, victim.messages
    victim.expect_nothing_left()
    assert not find_torn(workspace)
    assert not (workspace / "channels").exists()
    assert not (workspace / "receipts").exists()
    assert "to go on with it: lepton run --resume" in victim.messages


@pytest.mark.slow  # of the process alone: tests/tasks/training/test_launch.py
def test_a_crash_of_the_training_process_fails_the_run(tmp_path: Path, prefect_url: str) -> None:
    workspace = tmp_path / "workspace"
    victim = _start(workspace, tmp_path, {"train.max_epochs": 10_000})
    while not list(workspace.glob("runs/*/metrics.jsonl")):
        assert victim.process.poll() is None, victim.messages
        time.sleep(0.05)
    killed: set[int] = set()
    # A lost attempt is tried once more.
    while len(killed) < 2:
        for pid, line in victim.find_left().items():
            if "tasks.training.worker" in line and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    assert victim.finish() == 1
    assert "SIGKILL" in victim.messages
    assert "to go on with it: lepton run --resume" in victim.messages
    assert "Traceback" not in victim.messages
    victim.expect_nothing_left()


@pytest.mark.slow
def test_two_runs_at_once_in_one_workspace(tmp_path: Path, prefect_url: str) -> None:
    workspace = tmp_path / "workspace"
    both = [_start(workspace, tmp_path, {"train.seed": seed}) for seed in (1, 2)]
    statuses = [command.finish() for command in both]
    said = "\n".join(command.messages for command in both)
    assert 0 in statuses, said
    assert set(statuses) <= {0, 3}, said
    summaries = [json.loads(command.out.read_text().splitlines()[-1]) for command in both]
    for status, summary in zip(statuses, summaries, strict=True):
        if status == 3:
            assert summary["stopped_at"] in {"promote", "gate model"}
            assert summary["reasons"]
        assert call("verify", summary["receipt"], "--workspace", str(workspace)).status == 0
    for channel in ("edge", "cloud"):
        targets = sorted((workspace / "channels" / channel / "metadata").glob("*.targets.json"))
        published = [path for path in targets if json.loads(path.read_bytes())["signed"]["targets"]]
        assert len(published) == statuses.count(0)
