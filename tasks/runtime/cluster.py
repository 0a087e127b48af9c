"""The Dask cluster that collect and prepare run on: a local one, or any scheduler's."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from storage.base.parts import locate_part
from tasks.runtime.child import announce, end_child, end_with_parent, read_announcement, start_child
from tasks.runtime.errors import ClusterError

START_TIMEOUT_S = 60.0
SETTINGS = {
    "distributed.worker.daemon": True,
    "distributed.scheduler.allowed-failures": 3,
    # A worker that died is started anew by its nanny. Dask looks once, so many seconds later,
    # whether it is back, and gives it up for good if it is not: on a busy machine, or if it dies
    # again, until no worker is left and all wait.
    "distributed.deploy.lost-worker-timeout": "365 days",
    # Should none come back, that is an error and not a silence.
    "distributed.scheduler.no-workers-timeout": "5 minutes",
    # A look at each worker's stack a hundred times a second, for a page that nobody opens.
    "distributed.worker.profile.enabled": False,
    # Whether event loops keep up is asked fifty times a second in each process, and what they cost
    # twice: beside a training, that is a tenth of a core for nobody (measured; a third is left).
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.cycle": "10s",
    "distributed.admin.system-monitor.interval": "5s",
    # One thread each, and not the threshold of memory that Dask sets beside it, see `main`.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}


def count_cores() -> int:
    """Count the cores that this process may use: those of its affinity mask."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_cluster(scheduler: str | None = None, *, workers: int | None = None) -> Iterator[str]:
    """Yields a scheduler's address; a local cluster made for it ends with the block.

    It ends with this process, too. The local cluster lives in a process of its own
    (`python -P -m tasks.runtime.cluster`), so that a user's script needs no
    `if __name__ == "__main__"` guard, and listens on loopback only: a Dask scheduler unpickles what
    it is sent.

    Args:
        scheduler: Address of a running scheduler, `tcp://host:port` or `tls://host:port`. Not ended
            by us.
        workers: Worker processes of the local cluster, one thread each; by default one a core.

    Raises:
        ClusterError: The local cluster did not start within a minute.
    """
    if scheduler is not None:
        yield scheduler
        return
    with tempfile.TemporaryDirectory(prefix="lepton-dask-") as scratch:
        child = start_child(
            "tasks.runtime.cluster",
            [str(workers or count_cores()), scratch],
            # A task's fault is raised where its result is asked for; workers need not tell of it,
            # too.
            env={"DASK_LOGGING__DISTRIBUTED": "critical"},
            stdout=subprocess.PIPE,
        )
        try:
            announced = read_announcement(child, timeout_s=START_TIMEOUT_S)
            if announced is None:
                raise ClusterError(
                    f"local Dask cluster must start within {START_TIMEOUT_S:.0f} s; its process "
                    f"ended with status {child.wait()}; see the messages above, or give "
                    "--scheduler ADDRESS"
                )
            yield announced["address"]
        finally:
            end_child(child)


def carry_parts(scheduler: str | None, modules: Sequence[str]) -> None:
    """Brings files of code that lay beside a recipe to the workers of a scheduler of one's own.

    Workers that join later get them, too; a local cluster reads them where they are kept.

    Args:
        scheduler: Address of the scheduler; None for a local cluster.
        modules: Their names.
    """
    found = [path for path in map(locate_part, modules) if path is not None]
    if scheduler is None or not found:
        return
    from distributed import Client

    with Client(scheduler) as client:
        for path in found:
            client.upload_file(str(path))


def main(workers: int, scratch: str) -> None:
    """Starts the cluster in its own process, announces its address, and ends with the parent."""
    end_with_parent(finish=lambda: shutil.rmtree(scratch, ignore_errors=True))
    # Dask has the C library give memory back above 64 KiB: every picture of some kilobytes then
    # faults its pages in anew, a seventh of the time of collecting them (measured). A Dask cluster
    # in the process that called us has left that in the environment too, for good.
    os.environ.pop("MALLOC_TRIM_THRESHOLD_", None)
    import dask
    from distributed import LocalCluster

    dask.config.set(SETTINGS)
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=scratch,
        silence_logs="CRITICAL",
    ) as cluster:
        announce(address=cluster.scheduler_address)
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
