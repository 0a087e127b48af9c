"""Artifacts that a network is trained for: kill -9 in the middle of each, and the bytes are the
same.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lightning_modules.specs.compress import CompressSpec
from storage.base.store import Store
from tasks.training.job import CHECKPOINT, Export, TrainJob
from tests.tasks.jobs import find_processes, make_fit, make_job, run_job
from tests.tasks.training.conftest import Trained
from tests.tasks.training.test_exact_resume import LAUNCH

RUNGS = ("pruned", "distilled", "int8_aware")
TIMEOUT_S = 1800.0
"""Beside other work an export takes a minute, and each attempt makes those before it again."""


def kill_amid(job: TrainJob, rung: str) -> None:
    """Has a job done until a rung's training has left a state, then kills all of it at once."""
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCH, job.model_dump_json()])
    end_s = time.monotonic() + TIMEOUT_S
    try:
        while not list(Path(job.directory).glob(f"resume/*-{rung}/resume-*")):
            assert launcher.poll() is None, "the job ended by itself"
            assert time.monotonic() < end_s, "waited too long"
            time.sleep(0.005)
    finally:
        launcher.kill()
        launcher.wait()
    while find_processes(job.directory):
        assert time.monotonic() < end_s, "what it started lives on"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("rung", RUNGS)
def test_a_rung_that_is_killed_ends_in_the_bytes_of_one_that_never_was(
    rung: str,
    workspace: Store,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = ("fp32", rung)
    train = make_fit(max_epochs=30, checkpoint_every_steps=1).train
    export = Export(compress=CompressSpec(candidates=names), train=train)
    jobs = []
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
        shutil.copy(Path(trained[0].directory, CHECKPOINT), tmp_path / folder)
        jobs.append(make_job(workspace, tmp_path / folder, export))
    whole = run_job(jobs[0], timeout_s=TIMEOUT_S)
    kill_amid(jobs[1], rung)
    killed = run_job(jobs[1], timeout_s=TIMEOUT_S)
    assert whole.not_made == killed.not_made == {}
    assert {name: made.sha256 for name, made in killed.artifacts.items()} == {
        name: made.sha256 for name, made in whole.artifacts.items()
    }
    assert set(whole.artifacts) == set(names)
