"""Several machines that train together; here the other one is a Dask worker of this machine with a
folder of its own.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from flows.lifecycle import lifecycle
from lightning_modules.specs.training import TrainSpec
from storage.base.store import Store
from tasks.runtime.errors import ClusterError, WorkerFailed
from tasks.training.group import Nodes, choose_interface, describe_group
from tasks.training.job import TrainJob, WorkerResult
from tasks.training.launch import open_trainer
from tasks.training.nodes import NODE, call_nodes, check_nodes
from tests.tasks.jobs import find_processes, make_fit, make_job
from tests.tasks.training.conftest import EPOCHS
from tests.tasks.training.test_launch import LONG, assert_nothing_left, wait_until

# They look for the other node's processes by name, and end them.
pytestmark = pytest.mark.xdist_group("trainings")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the other node has its folders: by this its processes are known from all else."""
    return tmp_path_factory.mktemp("others")


@pytest.fixture(scope="module")
def scheduler(others: Path) -> Iterator[str]:
    """A scheduler with one worker that offers itself as a node. One core for all."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            resources={NODE: 1},
            env={"TMPDIR": str(others)},
            silence_logs=50,
        ) as cluster:
            yield cluster.scheduler_address
    finally:
        os.sched_setaffinity(0, cores)


def train_on_two(job: TrainJob, scheduler: str, **options: Any) -> WorkerResult:
    with (
        open_trainer(Path(job.directory), job.devices) as trainer,
        call_nodes(2, scheduler, job, timeout_s=120) as group,
    ):
        return trainer.run(job, timeout_s=120, group=group, **options)


def find_other_node(others: Path) -> list[int]:
    """Processes of the node that is not the first."""
    return find_processes(f"{others}/lepton-node-")


@pytest.fixture(scope="module")
def together(
    workspace: Store, scheduler: str, tmp_path_factory: pytest.TempPathFactory
) -> WorkerResult:
    """An undisturbed training on two nodes."""
    fit = make_fit(max_epochs=EPOCHS)
    return train_on_two(make_job(workspace, tmp_path_factory.mktemp("nodes"), fit), scheduler)


def test_one_worker_runs_what_belongs_together(request: pytest.FixtureRequest) -> None:
    # By which xdist knows them; one process without it runs all there is.
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@trainings")


def test_two_nodes_train_as_two_devices_do(
    together: WorkerResult, pair: tuple[Path, WorkerResult], others: Path
) -> None:
    assert together.fit is not None
    assert together.fit.world_size == 2
    assert together.checkpoint == pair[1].checkpoint
    wait_until(lambda: not find_other_node(others), timeout_s=10)


@pytest.mark.slow
def test_node_that_is_lost_is_told_of_and_a_fresh_one_resumes(
    workspace: Store, scheduler: str, together: WorkerResult, others: Path, tmp_path: Path
) -> None:
    job = make_job(workspace, tmp_path / "lost", make_fit(max_epochs=EPOCHS))

    def kill(record: dict[str, Any]) -> None:
        if record.get("step", 0) >= 12:
            for process in find_other_node(others):
                os.kill(process, signal.SIGKILL)

    with pytest.raises(WorkerFailed, match="it resumes") as caught:
        train_on_two(job, scheduler, on_metrics=kill)
    assert caught.value.kind is None  # Which is what is tried again.
    assert_nothing_left(tmp_path / "lost")
    # The other node begins with an empty folder: it is given the state of the first.
    resumed = train_on_two(job, scheduler)
    assert resumed.fit is not None
    assert resumed.fit.resumed_step is not None
    assert resumed.checkpoint == together.checkpoint


@pytest.mark.slow
def test_node_ends_with_the_first(
    workspace: Store, scheduler: str, others: Path, tmp_path: Path
) -> None:
    def interrupt(record: dict[str, Any]) -> None:
        if record["event"] == "epoch":
            assert find_other_node(others)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_on_two(
            make_job(workspace, tmp_path, make_fit(**LONG)), scheduler, on_metrics=interrupt
        )
    wait_until(lambda: not find_other_node(others), timeout_s=10)
    assert_nothing_left(tmp_path)


@pytest.mark.slow
def test_what_a_node_says_is_what_the_run_says(
    workspace: Store, scheduler: str, tmp_path: Path
) -> None:
    # The other node cannot read the workspace: it is a folder of this machine's own.
    job = make_job(workspace, tmp_path / "job", make_fit())
    elsewhere = job.model_copy(
        update={"data": job.data.model_copy(update={"workspace": str(tmp_path / "elsewhere")})}
    )
    with (
        pytest.raises(WorkerFailed, match=r"node 1: .*squares-prepared") as caught,
        open_trainer(tmp_path / "job", 1) as trainer,
        call_nodes(2, scheduler, elsewhere, timeout_s=120) as group,
    ):
        trainer.run(job, timeout_s=120, group=group)
    assert caught.value.kind == "NotFound"


@pytest.mark.parametrize("count", [2, 3])
def test_more_nodes_than_offered_are_refused(scheduler: str, count: int) -> None:
    address = scheduler if count == 3 else None
    with pytest.raises(
        ClusterError,
        match=rf"train.nodes \({count}\) must not exceed .*got {count - 2} of them; on each",
    ):
        check_nodes(count, address)


def test_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"train.nodes \(2\)"):
        lifecycle.fn("digits", str(tmp_path / "workspace"), {"train.nodes": 2})
    assert not (tmp_path / "workspace").exists()


def test_batch_must_be_divided_by_all_devices_of_all_nodes() -> None:
    with pytest.raises(
        ValueError, match=r"devices \(2\) on nodes \(3\) must be at least 1 and divide"
    ):
        TrainSpec(batch_size=64, devices=2, nodes=3)
    assert TrainSpec(batch_size=96, devices=2, nodes=3).nodes == 3


def test_ranks_follow_the_nodes_own() -> None:
    arguments, _ = describe_group(4, Nodes(count=3, rank=2, rendezvous="127.0.0.1:29500"))
    assert {"--rdzv-backend=static", "--nnodes=3", "--node-rank=2", "--nproc-per-node=4"} <= set(
        arguments
    )


def test_interface_leads_to_the_first_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "chosen")
    assert choose_interface("127.0.0.1:29500") == {"GLOO_SOCKET_IFNAME": "lo"}
