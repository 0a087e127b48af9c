"""A training that dies at any step, of any rows, on one rank or two, ends as if it had not."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage.datasets.dataset import Dataset
from tasks.training.job import RESULT, DataRef, TrainJob, WorkerResult
from tests.tasks.jobs import find_processes, run_job
from tests.tasks.recorder import ATTEMPT, DYING, Died
from tests.tasks.small_kinds import KINDS, Prepared, prepare_kind

Batch = tuple[int, tuple[int, ...]]
Prepare = Callable[[str], Prepared]
STEPS_BETWEEN_STATES = 3
LAUNCH = (
    "import sys; from pathlib import Path\n"
    "from tasks.training.launch import open_trainer; from tasks.training.job import TrainJob\n"
    "job = TrainJob.model_validate_json(sys.argv[1])\n"
    "with open_trainer(Path(job.directory), job.devices) as trainer: trainer.run(job, "
    "timeout_s=300)"
)


@pytest.fixture(scope="module")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    made: dict[str, Prepared] = {}

    def prepare_once(kind: str) -> Prepared:
        if kind not in made:
            made[kind] = prepare_kind(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return prepare_once


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks are computed fastest by one thread."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class Training:
    """One training in a folder of its own, attempted once or more often."""

    def __init__(self, prepared: Prepared, folder: Path) -> None:
        self.folder = folder
        (folder / "job").mkdir(parents=True)
        number = Dataset(prepared.workspace, prepared.dataset).open().number
        ref = DataRef(workspace=prepared.workspace.url, dataset=prepared.dataset, version=number)
        fit = prepared.refit(folder, checkpoint_every_steps=STEPS_BETWEEN_STATES)
        self.job = TrainJob(directory=str(folder / "job"), data=ref, steps=(fit,), devices=1)
        self.attempts = 0

    def finish(self, ranks: int = 1, *, here: bool = False) -> WorkerResult:
        """Trains to the end, in a group of processes or in this one."""
        self._attempt(None)
        if not here:
            return run_job(self.job.model_copy(update={"devices": ranks}), timeout_s=300)
        self._work()
        return WorkerResult.model_validate_json((self.folder / "job" / RESULT).read_bytes())

    def kill(self, batch: Batch, ranks: int = 1) -> None:
        """Trains until a batch is reached, then kills the launcher: all that it started dies with
        it.
        """
        self._attempt({"epoch": batch[0], "row": batch[1][0], "raises": False})
        job = self.job.model_copy(update={"devices": ranks})
        launcher = subprocess.Popen([sys.executable, "-c", LAUNCH, job.model_dump_json()])
        try:
            wait_until(lambda: (self.folder / DYING).exists() or launcher.poll() is not None)
            assert launcher.poll() is None, "the training ended by itself"
        finally:
            launcher.kill()
            launcher.wait()
        wait_until(lambda: not find_processes(str(self.folder)))

    def die(self, batch: Batch) -> None:
        """Trains in this process until a batch is reached, where an error ends it."""
        self._attempt({"epoch": batch[0], "row": batch[1][0], "raises": True})
        with pytest.raises(Died):
            self._work()

    def _attempt(self, death: dict[str, Any] | None) -> None:
        (self.folder / DYING).unlink(missing_ok=True)
        (self.folder / ATTEMPT).write_text(json.dumps({"number": self.attempts, "death": death}))
        self.attempts += 1

    def _work(self) -> None:
        from tasks.training.steps import do_job

        do_job(self.job, told_at=time.monotonic())

    def read_batches(self, attempt: int) -> list[Batch]:
        """Epoch and rows of each global batch of an attempt; the rows sorted, since ranks share
        them.
        """
        ranks = [
            [json.loads(line) for line in notes.read_text().splitlines()]
            for notes in sorted(self.folder.glob(f"{attempt:03}.*.rows"))
        ]
        # Of several ranks one may have gone a batch further before all died.
        return [
            (parts[0][0], tuple(sorted(row for _, rows in parts for row in rows)))
            for parts in zip(*ranks, strict=False)
        ]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def strip_seconds(result: WorkerResult) -> list[dict[str, Any]]:
    assert result.fit is not None
    clocks = ("seconds", "cpu_s")
    return [
        {name: value for name, value in record.items() if name not in clocks}
        for record in result.fit.history
    ]


def expect_the_same_rows(training: Training, whole: list[Batch], deaths: list[int]) -> None:
    """Each attempt went on within a state's distance of the last one's end, over the same rows in
    the same batches.
    """
    last_epoch = 0
    for attempt in range(training.attempts):
        batches = training.read_batches(attempt)
        start = whole.index(batches[0])
        assert batches == whole[start : start + len(batches)]
        if attempt == 0:
            assert start == 0
        else:
            # No state is taken behind the last batch of an epoch: then the one before counts.
            assert deaths[attempt - 1] - 2 * STEPS_BETWEEN_STATES <= start <= deaths[attempt - 1]
        last_epoch = start + len(batches)
    assert last_epoch == len(whole)


def expect_the_same_losses(one: WorkerResult, other: WorkerResult) -> None:
    """Another number of ranks adds in another order."""
    for left, right in zip(strip_seconds(one), strip_seconds(other), strict=True):
        for name in ("train_loss", "validation_loss"):
            assert right[name] == pytest.approx(left[name], rel=1e-4)


def draw_deaths(whole: list[Batch], count: int, seed: int) -> list[int]:
    """Batches to die at: random ones, the last of an epoch and the first of the next among them."""
    draw = random.Random(seed)
    ends = [place for place in range(1, len(whole)) if whole[place][0] != whole[place - 1][0]]
    end = draw.choice(ends)
    chosen = {end - 1, end} if count > 2 else {end - draw.randrange(2)}
    others = [place for place in range(STEPS_BETWEEN_STATES + 1, len(whole)) if place not in chosen]
    return sorted(chosen | set(draw.sample(others, count - len(chosen))))


@pytest.mark.parametrize("kind", KINDS)
def test_training_that_dies_goes_on_exactly(prepare: Prepare, tmp_path: Path, kind: str) -> None:
    prepared = prepare(kind)
    whole = Training(prepared, tmp_path / "whole")
    expected = whole.finish(here=True)
    batches = whole.read_batches(0)
    lost = Training(prepared, tmp_path / "lost")
    deaths = draw_deaths(batches, 2, seed=len(kind))
    for death in deaths:
        lost.die(batches[death])
    resumed = lost.finish(here=True)
    assert resumed.checkpoint == expected.checkpoint
    assert strip_seconds(resumed) == strip_seconds(expected)
    expect_the_same_rows(lost, batches, deaths)


# Each starts one group of two processes: what only that can show, of a table and of a series.
@pytest.mark.parametrize(
    ("kind", "first"),
    [pytest.param("tabular-regression", 1, marks=pytest.mark.slow), ("forecasting", 2)],
)
def test_another_number_of_ranks_goes_on_with_the_same_rows(
    prepare: Prepare, tmp_path: Path, kind: str, first: int
) -> None:
    prepared = prepare(kind)
    whole = Training(prepared, tmp_path / "whole")
    expected = whole.finish(here=True)
    batches = whole.read_batches(0)
    assert len(batches) > 50
    lost = Training(prepared, tmp_path / "lost")
    # Two ranks have all but a few of the steps.
    death = 5 if first == 1 else len(batches) - 4
    if first == 1:
        lost.die(batches[death])
        other = lost.finish(2)
    else:
        lost.kill(batches[death], 2)
        other = lost.finish(here=True)
    expect_the_same_rows(lost, batches, [death])
    expect_the_same_losses(expected, other)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_training_that_is_killed_ten_times_goes_on_exactly(
    prepare: Prepare, tmp_path: Path, kind: str, ranks: int
) -> None:
    prepared = prepare(kind)
    whole = Training(prepared, tmp_path / "whole")
    expected = whole.finish(ranks)
    batches = whole.read_batches(0)
    lost = Training(prepared, tmp_path / "lost")
    deaths = draw_deaths(batches, 10, seed=random.SystemRandom().randrange(10**6))
    print(f"killed at the batches {deaths} of {len(batches)}")
    for death in deaths:
        lost.kill(batches[death], ranks)
    resumed = lost.finish(ranks)
    assert resumed.fit is not None
    assert resumed.fit.world_size == ranks
    assert resumed.checkpoint == expected.checkpoint
    assert strip_seconds(resumed) == strip_seconds(expected)
    expect_the_same_rows(lost, batches, deaths)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ranks_come_and_go_over_the_same_rows(prepare: Prepare, tmp_path: Path, kind: str) -> None:
    prepared = prepare(kind)
    whole, pair, lost = (Training(prepared, tmp_path / name) for name in ("whole", "pair", "lost"))
    expected = whole.finish(1)
    batches = whole.read_batches(0)
    assert len(batches) > 50
    both = pair.finish(2)
    assert pair.read_batches(0) == batches
    expect_the_same_losses(expected, both)
    deaths = draw_deaths(batches, 4, seed=random.SystemRandom().randrange(10**6))
    for place, death in enumerate(deaths):
        lost.kill(batches[death], 1 + place % 2)
    expect_the_same_losses(expected, lost.finish(1))
    expect_the_same_rows(lost, batches, deaths)
