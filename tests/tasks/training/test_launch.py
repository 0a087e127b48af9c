"""The launcher: it hands on what the worker does, says why it failed, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightning_modules.specs.model import NetworkSpec
from storage.base.store import Store
from tasks.runtime.cluster import count_cores
from tasks.runtime.errors import TIMED_OUT, WorkerFailed
from tasks.training.devices import (
    THREADS,
    count_gpus,
    read_chosen_threads,
    read_most_threads,
    share_threads,
)
from tasks.training.handover import describe_status
from tasks.training.job import METRICS, Predict
from tasks.training.launch import open_trainer
from tests.tasks.jobs import find_processes, make_fit, make_job, run_job

LONG = {"max_epochs": 100_000}
# One process of the suite runs all that train: it makes the slow imports and these trainings once.
pytestmark = pytest.mark.xdist_group("trainings")


def wait_until(true: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def assert_nothing_left(directory: Path) -> None:
    wait_until(lambda: not find_processes(str(directory)), timeout_s=10)


def test_interrupt_ends_the_worker(workspace: Store, tmp_path: Path) -> None:
    def interrupt(record: dict[str, Any]) -> None:
        if record["event"] == "epoch":
            assert find_processes(str(tmp_path))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(
            make_job(workspace, tmp_path, make_fit(**LONG)), timeout_s=120, on_metrics=interrupt
        )
    assert_nothing_left(tmp_path)


def test_time_limit_ends_the_worker(workspace: Store, tmp_path: Path) -> None:
    with pytest.raises(
        WorkerFailed,
        match=r"must finish within 2 s; it did not, and was ended; raise train.timeout_s",
    ):
        run_job(make_job(workspace, tmp_path, make_fit(**LONG)), timeout_s=2)
    assert_nothing_left(tmp_path)


@pytest.mark.slow
def test_a_rank_that_hangs_is_ended_by_the_time_limit(workspace: Store, tmp_path: Path) -> None:
    stopped: list[int] = []

    def hang(record: dict[str, Any]) -> None:
        if record["event"] == "step" and not stopped:
            # One of two: the other then waits for it for ever.
            stopped.extend(sorted(find_processes(str(tmp_path)))[-1:])
            os.kill(stopped[0], signal.SIGSTOP)

    with pytest.raises(WorkerFailed, match="must finish within") as caught:
        run_job(
            make_job(workspace, tmp_path, make_fit(**LONG), devices=2),
            timeout_s=45,
            on_metrics=hang,
        )
    assert stopped
    assert caught.value.kind == TIMED_OUT
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_worker_is_told_of_and_resumes(
    workspace: Store, tmp_path: Path, devices: int
) -> None:
    job = make_job(workspace, tmp_path / "killed", make_fit(), devices=devices)

    def kill(record: dict[str, Any]) -> None:
        if record.get("step", 0) >= 12:
            # Of two ranks one only: the launcher must end the other.
            # Lines that it wrote before it died are still told of afterwards.
            for process in sorted(find_processes(str(tmp_path / "killed")))[-1:]:
                os.kill(process, signal.SIGKILL)

    with pytest.raises(WorkerFailed, match=r"SIGKILL|status 1") as caught:
        run_job(job, timeout_s=120, on_metrics=kill)
    assert "it resumes" in str(caught.value)
    assert_nothing_left(tmp_path / "killed")
    resumed = run_job(job, timeout_s=300)
    whole = run_job(job.model_copy(update={"directory": str(tmp_path / "whole")}), timeout_s=300)
    assert resumed.fit is not None
    assert resumed.fit.resumed_step in (6, 8, 10, 12, 14, 16, 18, 20, 22)
    assert resumed.fit.world_size == devices
    assert resumed.checkpoint == whole.checkpoint
    lines = (tmp_path / "killed" / METRICS).read_text().splitlines()
    steps = [line.split('"step": ')[1].split(",")[0] for line in lines if '"step", ' in line]
    assert steps == ["4", "8", "12", "16", "20", "24"]


@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_worker_ends_with_a_launcher_that_is_killed(
    workspace: Store, tmp_path: Path, devices: int
) -> None:
    job = make_job(workspace, tmp_path / "job", make_fit(**LONG), devices=devices)
    script = (
        "import sys; from pathlib import Path\n"
        "from tasks.training.launch import open_trainer; from tasks.training.job import TrainJob\n"
        "job = TrainJob.model_validate_json(sys.argv[1])\n"
        "with open_trainer(Path(job.directory), job.devices) as trainer: trainer.run(job, "
        "timeout_s=300)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", script, job.model_dump_json()])
    try:
        wait_until((tmp_path / "job" / METRICS).exists)
        launcher.kill()
        launcher.wait()
        assert_nothing_left(tmp_path / "job")
    finally:
        launcher.kill()
        launcher.wait()


def test_fault_comes_back_in_the_worker_s_own_words(workspace: Store, tmp_path: Path) -> None:
    with pytest.raises(WorkerFailed, match=r"checkpoint\.safetensors") as caught:
        run_job(make_job(workspace, tmp_path, Predict(split="held_out")), timeout_s=300)
    assert caught.value.kind == "NotFound"
    assert "Traceback" not in str(caught.value)


def test_crash_comes_back_with_the_last_lines(
    workspace: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A user's own network that takes the whole process down.
    package = tmp_path / "package"
    package.mkdir()
    (package / "crashing_network.py").write_text(
        "import os, sys, signal\n"
        "def Crash(**_):\n"
        "    sys.stderr.write('about to fall\\n')\n"
        "    sys.stderr.flush()\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.delenv("LEPTON_PLUGINS", raising=False)
    fit = make_fit()
    model = fit.model.model_copy(update={"network": NetworkSpec(family="crashing_network:Crash")})
    job = make_job(workspace, tmp_path / "job", fit.model_copy(update={"model": model}))
    with pytest.raises(
        WorkerFailed,
        match=r"was killed by SIGSEGV; mend what its last lines name[\s\S]*about to fall",
    ):
        run_job(job, timeout_s=300)


@pytest.mark.usefixtures("cold_start")
def test_one_process_does_one_job_after_another(workspace: Store, tmp_path: Path) -> None:
    fit, predict = (
        make_job(workspace, tmp_path, make_fit()),
        make_job(workspace, tmp_path, Predict(split="held_out")),
    )
    with open_trainer(tmp_path, 1) as trainer:
        wait_until(lambda: bool(find_processes(str(tmp_path))))
        standing = find_processes(str(tmp_path))
        fitted = trainer.run(fit, timeout_s=300)
        answered = trainer.run(predict, timeout_s=300)
        assert len(standing) == 1
        assert find_processes(str(tmp_path)) == standing
    assert answered.checkpoint == fitted.checkpoint
    assert fitted.fit is not None
    assert fitted.fit.threads == int(os.environ["OMP_NUM_THREADS"])
    # What there was to import, the first job waited for.
    assert answered.seconds["start"] < min(0.5, fitted.seconds["start"])
    assert_nothing_left(tmp_path)


def test_process_that_died_is_replaced(workspace: Store, tmp_path: Path) -> None:
    with open_trainer(tmp_path, 1) as trainer:
        wait_until(lambda: bool(find_processes(str(tmp_path))))
        os.kill(find_processes(str(tmp_path))[0], signal.SIGKILL)
        assert_nothing_left(tmp_path)
        assert trainer.run(make_job(workspace, tmp_path, make_fit()), timeout_s=300).fit is not None
        with pytest.raises(WorkerFailed, match=r"no_such"):
            trainer.run(make_job(workspace, tmp_path, Predict(split="no_such")), timeout_s=300)
        assert trainer.run(
            make_job(workspace, tmp_path, Predict(split="held_out")), timeout_s=60
        ).predictions
    assert_nothing_left(tmp_path)


def test_statuses_are_told_in_words() -> None:
    assert describe_status(-signal.SIGSEGV) == "was killed by SIGSEGV"
    assert describe_status(7) == "ended with status 7"


@pytest.mark.parametrize("said", ["5", "5,2", " 5 "])
def test_threads_are_shared_unless_a_person_chose_them(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    assert share_threads(8, 3)["OMP_NUM_THREADS"] == "2"
    assert share_threads(2, 8)["MKL_NUM_THREADS"] == "1"
    assert (read_chosen_threads(), read_most_threads()) == (None, count_cores())
    with monkeypatch.context() as child:
        for name, value in share_threads(8, 3).items():
            child.setenv(name, value)
        assert (read_chosen_threads(), read_most_threads()) == (None, 2)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setenv("BLOSC_NTHREADS", "3")
    given = share_threads(8, 2)
    assert given["OMP_NUM_THREADS"] == said
    assert (given["MKL_NUM_THREADS"], given["BLOSC_NTHREADS"]) == ("5", "3")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert read_chosen_threads() == 5


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    assert count_gpus() == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert count_gpus() == 0
