"""A disk that is full while a network is trained: said in a sentence, nothing is lost, and training
goes on later.
"""

from collections.abc import Callable
from typing import Any

import pytest

from lightning_modules.training.checkpoint import ResumeStates
from storage.base.store import Store
from tasks.runtime.errors import WorkerFailed
from tasks.runtime.predictions import Written
from tests.small_disk import SmallDisk
from tests.tasks.jobs import find_processes, make_fit, make_job, run_job

SPACE = "must fit on its disk; got: No space left on device; free some space, then run again"
CHANGES = {"max_epochs": 6}
# One process of the suite runs all that train: it makes the slow imports and these trainings once.
pytestmark = pytest.mark.xdist_group("trainings")


@pytest.fixture(scope="module")
def finish(workspace: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Written]:
    """The weights of a training that had room, on as many ranks."""
    weights: dict[int, Written] = {}

    def finish_once(ranks: int) -> Written:
        if ranks not in weights:
            job = make_job(
                workspace, tmp_path_factory.mktemp("whole"), make_fit(**CHANGES), devices=ranks
            )
            weights[ranks] = run_job(job, timeout_s=120).checkpoint
        return weights[ranks]

    return finish_once


# Full when a state to resume from is due, or already when a line of the metric log is.
@pytest.mark.parametrize(
    ("ranks", "log_every_steps"),
    [(1, 1), *(pytest.param(ranks, 1000, marks=pytest.mark.slow) for ranks in (1, 2))],
)
def test_training_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    disk: SmallDisk,
    workspace: Store,
    finish: Callable[[int], Written],
    ranks: int,
    log_every_steps: int,
) -> None:
    disk.mount("size=2m")
    fit = make_fit(**CHANGES, log_every_steps=log_every_steps)
    job = make_job(workspace, disk.path / "job", fit, devices=ranks)

    def fill(record: dict[str, Any]) -> None:
        if record.get("epoch") == 1 and not disk.filler.exists():
            disk.fill()

    with pytest.raises(WorkerFailed) as caught:
        run_job(job, timeout_s=120, on_metrics=fill)
    assert disk.filler.exists()
    assert SPACE in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert not find_processes(str(disk.path))
    (states,) = (disk.path / "job" / "resume").iterdir()
    kept = ResumeStates(Store(str(states)))
    assert kept.find_newest() == kept.list_names()[-1]
    assert {path.name for path in states.iterdir()} == set(kept.list_names()), (
        "something half written was left"
    )
    disk.free()
    resumed = run_job(job, timeout_s=120)
    assert resumed.fit is not None
    assert resumed.fit.resumed_step
    assert resumed.checkpoint == finish(ranks)
