"""A run that is killed goes on by hand, and ends as if nothing had happened."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.flows.conftest import Promoted
from tests.flows.material import FAST, call
from tests.flows.processes import Command, fast_settings

pytestmark = pytest.mark.prefect


def test_kill_in_training_then_resume_gives_the_same_weights(
    promoted: Promoted, tmp_path: Path
) -> None:
    folder = tmp_path / "a stranger's folder"
    folder.mkdir()
    workspace = folder / "workspace"
    settings = fast_settings({**FAST, "train.checkpoint_every_steps": 5})
    victim = Command("run", "digits", *settings, cwd=folder, is_warm=True)
    while not list(workspace.glob("runs/*/resume/*/resume-*")):
        assert victim.process.poll() is None, victim.messages
        time.sleep(0.005)
    victim.end(signal.SIGKILL)
    victim.expect_nothing_left()
    (run,) = [path.name for path in (workspace / "runs").iterdir()]
    assert not (workspace / "runs" / run / "checkpoint.safetensors").exists(), (
        "training was over when it was killed"
    )

    where = ("--workspace", str(workspace), "--json")
    again = Command("run", "--resume", run, *where, cwd=tmp_path, is_warm=True)
    assert again.finish() == 0, again.messages
    assert "kept, 1,797 rows" in again.messages
    summary = json.loads(again.out.read_text().splitlines()[-1])
    assert summary["run"] == run
    body = json.loads(Path(summary["receipt"]).read_bytes())["signed"]
    assert [entry["kept"] for entry in body["resumptions"]] == [["collect", "prepare"]]
    assert [gate["stage"] for gate in body["gates"]] == ["raw", "prepared", "model", "artifact"]
    assert call("verify", summary["receipt"], "--workspace", str(workspace)).status == 0
    whole = json.loads(Path(promoted.summary["receipt"]).read_bytes())["signed"]
    assert body["model"]["checkpoint"] == whole["model"]["checkpoint"]
    assert not list((workspace / "runs").iterdir())


@pytest.mark.parametrize(
    "arguments", [("digits", "--resume", "x"), ("--resume", "x", "--set", "train.max_epochs=3")]
)
def test_a_recipe_and_a_lost_run_exclude_each_other(arguments: tuple[str, ...]) -> None:
    outcome = call("run", *arguments)
    assert outcome.status == 2
    assert "--resume RUN" in outcome.messages


def test_a_run_that_is_not_there_is_bad_usage(tmp_path: Path) -> None:
    outcome = call("run", "--resume", "20200101-000000-aaaaaa", "--workspace", str(tmp_path))
    assert outcome.status == 2
    assert "those that can: none" in outcome.messages
