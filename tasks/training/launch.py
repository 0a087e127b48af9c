"""Starts the training process, or one group of them, and sees it to its end.

One launcher for every size (DESIGN section 5.6): one device is a plain subprocess, started while
others still prepare its rows, and kept for the jobs that follow; several are torchrun with no
restarts, since a fresh attempt that resumes from the newest state is surer than a restart in place.
However the launcher ends, nothing it started stays behind.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from storage.base.local import translate_faults
from tasks.runtime.child import end_child, start_child
from tasks.runtime.errors import TaskError
from tasks.training.group import Group, Nodes, describe_group
from tasks.training.job import (
    FAILURE,
    FAILURE_BYTES,
    METRICS,
    OUTPUT,
    RESULT,
    Failure,
    TrainJob,
    WorkerResult,
)
from tasks.training.worker import STAND_BY

Record = TypeVar("Record", bound=BaseModel)
OnMetrics = Callable[[dict[str, Any]], None]
WORKER = "tasks.training.worker"
POLL_S = 0.05
TAIL_LINES = 15
TIMED_OUT = "TimedOut"
# Kinds of faults that training would end in again, unless the recipe changes.
FAULTS_OF_THE_RECIPE = ("DivergedError", "InvalidInput", "SpecError")


class WorkerFailed(TaskError):
    """The training process did not finish its job.

    Attributes:
        kind: Class of the fault that the worker named itself ("DivergedError", "Corrupt", ...);
            `TIMED_OUT`; None if it was killed or crashed.
    """

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class Trainer:
    """The training process of a run: it takes one job after another, and is gone when its owner is.

    Args:
        directory: Local folder for its output; it is made.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._standing: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def stand_by(self) -> None:
        """Starts the process for jobs of one device, unless it is up: its imports take seconds, so start it early."""
        if self._standing is None or self._standing.poll() is not None:
            self.close()
            self._standing = self._start(
                WORKER, [STAND_BY, str(self.directory)], share_threads(count_cores(), 1)
            )

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
        metrics = _Follower(Path(job.directory) / METRICS, on_metrics)

        def look() -> None:
            metrics.follow()
            if group is not None:
                group.look()

        status = self._see_through(job, None if group is None else group.nodes, timeout_s, look)
        metrics.follow()
        return _read_result(Path(job.directory), status, self.directory / OUTPUT)

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
        _check_end(Path(job.directory), status, self.directory / OUTPUT)

    def _see_through(
        self, job: TrainJob, nodes: Nodes | None, timeout_s: float, look: Callable[[], None]
    ) -> int:
        """Has a job done, and returns the exit status; `look` is called often meanwhile. Whatever it raises ends the job."""
        directory = Path(job.directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / RESULT).unlink(missing_ok=True)
        deadline = time.monotonic() + timeout_s
        child = self._hand_over(job, _write_job(job, directory), nodes)
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
                        "it did not, and was "
                        "ended; raise train.timeout_s, or run again: it goes on from its newest "
                        "state",
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
def open_trainer(directory: Path, devices: int | Literal["auto"] = "auto") -> Iterator[Trainer]:
    """A trainer for the duration of the block.

    Args:
        directory: Local folder for its output.
        devices: What its jobs will ask for: for one device its process is started at once.
    """
    trainer = Trainer(directory)
    try:
        if count_devices(devices) == 1:
            trainer.stand_by()
        yield trainer
    finally:
        trainer.close()


def _write_job(job: TrainJob, directory: Path) -> Path:
    """The job's file, for its owner's eyes only: it may hold credentials of the workspace; and room for a failure."""
    path = directory / "job.json"
    with translate_faults(str(path)):
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(job.model_dump_json())
        (directory / FAILURE).write_bytes(b" " * FAILURE_BYTES)
    return path


def count_devices(devices: int | Literal["auto"]) -> int:
    """Processes on this machine that a job is done by: what it asks for, or one for every GPU, or one."""
    return count_gpus() or 1 if devices == "auto" else devices


def count_gpus() -> int:
    """NVIDIA GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    driver = Path("/proc/driver/nvidia/gpus")
    return len(list(driver.iterdir())) if driver.is_dir() else 0


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_threads(cores: int, processes: int) -> dict[str, str]:
    """Environment in which each process takes its share of the cores, and no more."""
    share = str(max(1, cores // processes))
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "BLOSC_NTHREADS",
    )
    # Waiting threads sleep: spinning costs three times the time when other processes want the cores
    # (measured).
    return dict.fromkeys(names, share) | {"OMP_WAIT_POLICY": "PASSIVE"}


def _read_result(directory: Path, status: int, output: Path) -> WorkerResult:
    _check_end(directory, status, output)
    result = _read(directory / RESULT, WorkerResult)
    if result is None:
        raise WorkerFailed(
            f"training process must leave a result; {directory / RESULT} holds none; see {output}"
        )
    return result


def _check_end(directory: Path, status: int, output: Path) -> None:
    """Raises `WorkerFailed` for an end that was not a good one, with the worker's own word if it left one."""
    failure = _read(directory / FAILURE, Failure)
    if failure is not None:
        raise WorkerFailed(failure.message, kind=failure.kind)
    if status != 0:
        lines = output.read_text("utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        said = "\n".join(lines) or "(nothing)"
        raise WorkerFailed(
            f"training process must end with status 0 and a result; it {describe_status(status)}; "
            f"{suggest_remedy(status)}. Its last lines, from {output}:\n{said}"
        )


def describe_status(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"


def suggest_remedy(status: int) -> str:
    """What to do about it."""
    if status == -signal.SIGKILL:
        return "if memory ran out, lower train.batch_size or raise train.accumulate; run again: it resumes"
    return "mend what its last lines name, then run again: it resumes from its newest state"


def _read(path: Path, model: type[Record]) -> Record | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


class _Follower:
    """Hands on the lines of a growing file, each once and whole.

    An attempt replaces the file when it starts, with the lines that still hold: what is there
    before is not its own.
    """

    def __init__(self, path: Path, on_line: OnMetrics | None) -> None:
        self.path = path
        self.on_line = on_line
        self._stale = path.stat().st_ino if path.exists() else None
        self._offset = 0

    def follow(self) -> None:
        """Hands on what was written since the last call."""
        if self.on_line is None or not self.path.exists() or self.path.stat().st_ino == self._stale:
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        for line in whole.splitlines():
            self.on_line(json.loads(line))
