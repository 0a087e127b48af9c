"""Starts the training process, or one group of them, and sees it to its end.

One launcher for every size: one device is a plain subprocess, started while
others still prepare its rows, and kept for the jobs that follow; several are torchrun with no
restarts, since a fresh attempt that resumes from the newest state is surer than a restart in place.
However the launcher ends, nothing it started stays behind.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from tasks.runtime.child import end_child, start_child
from tasks.runtime.cluster import count_cores
from tasks.runtime.errors import TIMED_OUT, WorkerFailed
from tasks.training.devices import count_devices, share_threads
from tasks.training.follow import Follower, OnMetrics
from tasks.training.group import Group, Nodes, describe_group
from tasks.training.handover import check_end, read_result, write_job
from tasks.training.job import METRICS, OUTPUT, RESULT, TrainJob, WorkerResult
from tasks.training.worker import STAND_BY

WORKER = "tasks.training.worker"
POLL_S = 0.05


class Trainer:
    """The training process of a run: it takes one job after another, and is gone when its owner is.

    Args:
        directory: Local folder for its output; it is made.
        worth: Name of the file for which the folder stays when its owner is killed: before it is
            there, the folder goes, too. None lets the folder stay.
    """

    def __init__(self, directory: Path, worth: str | None = None) -> None:
        self.directory = directory
        self._worth = worth
        self._standing: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def stand_by(self) -> None:
        """Starts the process for jobs of one device, unless it is up; its imports take seconds."""
        if self._standing is None or self._standing.poll() is not None:
            self.close()
            arguments = [STAND_BY, str(self.directory), *filter(None, [self._worth])]
            self._standing = self._start(WORKER, arguments, share_threads(count_cores(), 1))

    def run(
        self,
        job: TrainJob,
        *,
        timeout_s: float,
        on_metrics: OnMetrics | None = None,
        group: Group | None = None,
    ) -> WorkerResult:
        """Has a job done, and waits for its result.

        Args:
            job: What to do; its directory is made, and keeps what an earlier attempt left to resume
                from.
            timeout_s: Wall time after which the processes are ended.
            on_metrics: Called with each line of the metric log, soon after it was written.
            group: Set where several machines train together.

        Raises:
            WorkerFailed: The worker gave up, crashed, was killed, or ran out of time; says which,
                and the remedy.
        """
        metrics = Follower(Path(job.directory) / METRICS, on_metrics)

        def look() -> None:
            metrics.follow()
            if group is not None:
                group.look()

        status = self._see_through(job, None if group is None else group.nodes, timeout_s, look)
        metrics.follow()
        return read_result(Path(job.directory), status, self.directory / OUTPUT)

    def join(self, job: TrainJob, group: Group, *, timeout_s: float) -> None:
        """Does the part of a node that is not the first: it leaves no result of its own.

        Args:
            job: The first node's job, with a directory of this one.
            group: This machine's place.
            timeout_s: As for `run`.

        Raises:
            WorkerFailed: As for `run`.
        """
        status = self._see_through(job, group.nodes, timeout_s, group.look)
        check_end(Path(job.directory), status, self.directory / OUTPUT)

    def _see_through(
        self, job: TrainJob, nodes: Nodes | None, timeout_s: float, look: Callable[[], None]
    ) -> int:
        """Has a job done, and returns the exit status.

        `look` is called often meanwhile; whatever it raises ends the job.
        """
        directory = Path(job.directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / RESULT).unlink(missing_ok=True)
        deadline = time.monotonic() + timeout_s
        child = self._hand_over(job, write_job(job, directory), nodes)
        status = None
        try:
            while child.poll() is None:
                # A process that stands by goes on to live; a group that is through ends by itself.
                if child is self._standing and (directory / RESULT).exists():
                    status = 0
                    break
                if time.monotonic() > deadline:
                    raise WorkerFailed(
                        f"training process (pid {child.pid}) must finish within {timeout_s:g} s; "
                        "it did not, and was ended; raise train.timeout_s, or run again: it goes "
                        "on from its newest state",
                        kind=TIMED_OUT,
                    )
                look()
                time.sleep(POLL_S)
        finally:
            if status is None:
                # No grace: it has finished, or it failed and resumes from what is on disk.
                status = end_child(child, grace_s=0.0)
        return status

    def close(self) -> None:
        """Ends the process that stands by."""
        if self._standing is not None:
            end_child(self._standing, grace_s=0.0)
            self._standing = None

    def _hand_over(
        self, job: TrainJob, job_file: Path, nodes: Nodes | None
    ) -> subprocess.Popen[bytes]:
        devices = count_devices(job.devices)
        if devices > 1 or nodes is not None:
            self.close()
            arguments, env = describe_group(devices, nodes)
            return self._start(
                "torch.distributed.run",
                [*arguments, "-m", WORKER, str(job_file)],
                share_threads(count_cores(), devices) | env,
            )
        self.stand_by()
        if self._standing is None or self._standing.stdin is None:
            raise RuntimeError("training process must stand by with an open input; it does not")
        with suppress(BrokenPipeError):  # It has just died: whoever waits for it finds out why.
            self._standing.stdin.write(json.dumps(str(job_file)).encode() + b"\n")
            self._standing.stdin.flush()
        return self._standing

    def _start(
        self, module: str, arguments: list[str], env: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        with (self.directory / OUTPUT).open("wb") as output:
            return start_child(module, arguments, env=env, stdout=output, stderr=output)


@contextmanager
def open_trainer(
    directory: Path, devices: int | Literal["auto"] = "auto", worth: str | None = None
) -> Iterator[Trainer]:
    """Yields a trainer for the duration of the block.

    Args:
        directory: Local folder for its output.
        devices: What its jobs will ask for: for one device its process is started at once.
        worth: As for `Trainer`.
    """
    trainer = Trainer(directory, worth)
    try:
        if count_devices(devices) == 1:
            trainer.stand_by()
        yield trainer
    finally:
        trainer.close()
