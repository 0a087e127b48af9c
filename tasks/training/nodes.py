"""Several machines that train together: this one, and Dask workers that offer themselves as nodes.

A worker offers itself by `dask worker SCHEDULER --resources node=1`, so a person says which
machines train, and each takes one job at a time. All read the same workspace; rank 0 is here, and
what it writes is the result.
"""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from tasks.runtime.errors import ClusterError, WorkerFailed
from tasks.training.group import Group, Nodes
from tasks.training.job import TrainJob
from tasks.training.launch import Trainer

if TYPE_CHECKING:
    from distributed import Client, Future

NODE = "node"
CAUSE_WAIT_S = 10.0


def check_nodes(count: int, scheduler: str | None) -> None:
    """Refuses a training over more machines than there are.

    Args:
        count: Machines that are to train together, this one among them.
        scheduler: Address of a Dask scheduler; None if the run has none but its own.

    Raises:
        ClusterError: Fewer workers offer themselves.
    """
    if count == 1:
        return
    offered = 0
    if scheduler is not None:
        from distributed import Client

        with Client(scheduler) as client:
            offered = len(_find_offers(client))
    if offered < count - 1:
        raise ClusterError(
            f"train.nodes ({count}) must not exceed one more than the Dask workers that offer "
            f"themselves as nodes; got {offered} of them; on each further machine start `dask "
            f"worker SCHEDULER --resources {NODE}=1`, and give the run that --scheduler"
        )


def _find_offers(client: "Client") -> list[str]:
    """Lists the addresses of the workers that offer themselves as nodes."""
    workers: dict[str, dict[str, Any]] = client.scheduler_info(n_workers=-1)["workers"]
    return sorted(address for address, about in workers.items() if about["resources"].get(NODE))


@contextmanager
def call_nodes(
    count: int, scheduler: str | None, job: TrainJob, *, timeout_s: float
) -> Iterator[Group | None]:
    """Has the other nodes do a job, too, for the duration of the block.

    Args:
        count: Machines that train together, this one among them; with 1, nobody is called.
        scheduler: Address of the Dask scheduler that the others work for.
        job: What this machine is about to do; the others do it in a folder of their own, which they
            remove.
        timeout_s: Wall time after which they end by themselves.

    Yields:
        This machine's place among them, and a look at the others; None with 1.

    Raises:
        ClusterError: Fewer workers offer themselves.
        WorkerFailed: The group failed; if a node has said why, by that word.
    """
    check_nodes(count, scheduler)
    if count == 1:
        yield None
        return
    from distributed import Client, Event

    with Client(scheduler) as client:
        over = Event(f"lepton-training-{uuid4().hex}", client)
        here = Nodes(count=count, rank=0, rendezvous=_choose_rendezvous(_find_offers(client)))
        others = [here.model_copy(update={"rank": rank}) for rank in range(1, count)]
        futures = [
            client.submit(
                join_training, job, nodes, timeout_s, over.name, pure=False, resources={NODE: 1}
            )
            for nodes in others
        ]
        try:
            yield Group(here, lambda: _look_after(futures))
        except WorkerFailed as failed:
            raise _find_cause(failed, futures) from failed
        finally:
            with suppress(OSError):  # A scheduler that is gone has lost its workers, too.
                over.set()
                client.cancel(futures)


def join_training(job: TrainJob, nodes: Nodes, timeout_s: float, over: str) -> None:
    """Does another node's part of the job, in a folder that is removed.

    Args:
        job: The job of the first node.
        nodes: This node's place.
        timeout_s: Wall time after which it ends.
        over: Name of the Dask event that says that the first node has ended, well or not.

    Raises:
        WorkerFailed: This node's part failed.
    """
    from distributed import Event, get_client

    ended = Event(over, get_client())

    def look() -> None:
        if ended.is_set():
            raise WorkerFailed(
                f"node {nodes.rank} must train as long as node 0 does; that has ended; see its "
                "fault"
            )

    with tempfile.TemporaryDirectory(prefix="lepton-node-") as folder:
        own = job.model_copy(update={"directory": folder})
        Trainer(Path(folder)).join(own, Group(nodes, look), timeout_s=timeout_s)


def _look_after(futures: "list[Future]") -> None:
    """Ends this node's part when another has given up: who waits for it to join would wait long."""
    lost = next(
        (
            rank
            for rank, future in enumerate(futures, start=1)
            if future.status in ("error", "cancelled")
        ),
        None,
    )
    if lost is not None:
        raise WorkerFailed(
            f"node {lost} must train as long as this one does; it has ended; run again: it resumes"
        )


def _find_cause(failed: WorkerFailed, futures: "list[Future]") -> WorkerFailed:
    """Return what a node itself said was wrong: the others merely lost it."""
    if failed.kind is not None:
        return failed
    from distributed import wait

    with suppress(TimeoutError):
        wait(futures, timeout=CAUSE_WAIT_S)
    for rank, future in enumerate(futures, start=1):
        error = future.exception() if future.status == "error" else None
        if isinstance(error, WorkerFailed) and error.kind is not None:
            return WorkerFailed(f"node {rank}: {error}", kind=error.kind)
    return failed


def _choose_rendezvous(offers: list[str]) -> str:
    """Return this machine's address, as the other nodes see it, and a free port."""
    from distributed.utils import get_ip

    address = get_ip(urlsplit(offers[0]).hostname or "127.0.0.1")
    with socket.socket() as probe:
        probe.bind((address, 0))
        return f"{address}:{probe.getsockname()[1]}"
