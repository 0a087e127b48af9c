"""One workspace, and one training each on one device and on two, for all tests that ask for it."""

from pathlib import Path
from typing import Any

import pytest

from storage.base.store import Store
from tasks.training.job import Export, Predict, TrainJob, WorkerResult
from tests.tasks.jobs import make_fit, make_job, make_workspace, run_job

EPOCHS = 7
Trained = tuple[TrainJob, WorkerResult, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_workspace(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(scope="session")
def trained(workspace: Store, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A job with every step, its result, and the records that were told of meanwhile."""
    steps = (
        make_fit(max_epochs=EPOCHS),
        Predict(split="validation"),
        Predict(split="held_out", batch_size=16),
        Export(),
    )
    job = make_job(workspace, tmp_path_factory.mktemp("job"), *steps)
    records: list[dict[str, Any]] = []
    return job, run_job(job, timeout_s=120, on_metrics=records.append), records


@pytest.fixture(scope="session")
def pair(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorkerResult]:
    """Where two ranks did the same job but for its export, and their result."""
    job, _, _ = trained
    steps = tuple(step for step in job.steps if not isinstance(step, Export))
    folder = tmp_path_factory.mktemp("pair")
    changes = {"directory": str(folder), "devices": 2, "steps": steps}
    return folder, run_job(job.model_copy(update=changes), timeout_s=120)
