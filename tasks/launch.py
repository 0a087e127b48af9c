"""Starts the training process, or one group of them, and sees it to its end.

One launcher for every size (DESIGN section 5.6): one device is a plain subprocess; several are torchrun with no
restarts, since a fresh attempt that resumes from the newest state is surer than a restart in place. However the
launcher ends, nothing it started stays behind.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.child import end_child, start_child
from tasks.errors import TaskError
from tasks.train_job import FAILURE, METRICS, OUTPUT, RESULT, Failure, TrainJob, WorkerResult

Record = TypeVar("Record", bound=BaseModel)
OnMetrics = Callable[[dict[str, Any]], None]
WORKER = "tasks.train_worker"
POLL_S = 0.05
TAIL_LINES = 15


class WorkerFailed(TaskError):
    """The training process did not finish its job.

    Attributes:
        kind: Class of the fault that the worker named itself ("DivergedError", "Corrupt", ...); None if it was killed,
            crashed or ran out of time.
    """

    def __init__(self, message: str, *, kind: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind


class Nodes(BaseModel):
    """Several machines that train together: each runs the same job with its own `rank`.

    Attributes:
        count: Number of machines.
        rank: This machine, from 0.
        rendezvous: host:port of machine 0, reachable from all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=2)
    rank: int = Field(ge=0)
    rendezvous: str = Field(pattern=r"^[^\s:]+:\d+$")


def run_worker(
    job: TrainJob, *, timeout_s: float, on_metrics: OnMetrics | None = None, nodes: Nodes | None = None
) -> WorkerResult:
    """Runs a job in processes of its own, and waits for its result.

    Args:
        job: What to do; its directory is made, and keeps what an earlier attempt left to resume from.
        timeout_s: Wall time after which the processes are ended.
        on_metrics: Called with each line of the metric log, soon after it was written.
        nodes: Set where several machines train together.

    Raises:
        WorkerFailed: The worker gave up, crashed, was killed, or ran out of time; says which, and the remedy.
    """
    directory = Path(job.directory)
    directory.mkdir(parents=True, exist_ok=True)
    for name in (RESULT, FAILURE):
        (directory / name).unlink(missing_ok=True)
    job_file = _write_job(job, directory)
    metrics = _Follower(directory / METRICS, on_metrics)
    deadline = time.monotonic() + timeout_s
    with (directory / OUTPUT).open("wb") as output:
        child = _start(job, job_file, output, nodes)
        try:
            while child.poll() is None:
                if time.monotonic() > deadline:
                    raise WorkerFailed(
                        f"training process (pid {child.pid}) must finish within {timeout_s:g} s; it did not, and was "
                        "ended; raise train.timeout_s, or run again: it goes on from its newest state"
                    )
                metrics.follow()
                time.sleep(POLL_S)
        finally:
            # No grace: it has finished, or it failed and resumes from what is on disk.
            status = end_child(child, grace_s=0.0)
    metrics.follow()
    return _read_result(directory, status)


def _write_job(job: TrainJob, directory: Path) -> Path:
    """The job's file, for its owner's eyes only: it may hold credentials of the workspace."""
    path = directory / "job.json"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(job.model_dump_json())
    return path


def _start(job: TrainJob, job_file: Path, output: Any, nodes: Nodes | None) -> subprocess.Popen[bytes]:
    devices = count_devices(job)
    env = share_threads(job.threads or count_cores(), devices)
    if devices == 1 and nodes is None:
        return start_child(WORKER, [str(job_file)], env=env, stdout=output, stderr=output)
    if nodes is None:
        # One machine: talk over the loopback, whatever its name resolves to.
        place = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
        env["GLOO_SOCKET_IFNAME"] = "lo"
    else:
        place = [
            "--rdzv-backend=c10d", f"--rdzv-endpoint={nodes.rendezvous}", f"--nnodes={nodes.count}",
            f"--node-rank={nodes.rank}", "--rdzv-id=lepton",
        ]  # fmt: skip
    arguments = [*place, f"--nproc-per-node={devices}", "--max-restarts=0", "--monitor-interval=0.2", "-m", WORKER]
    return start_child("torch.distributed.run", [*arguments, str(job_file)], env=env, stdout=output, stderr=output)


def count_devices(job: TrainJob) -> int:
    """Processes that a job is done by on this machine: what it asks for, or every GPU, or one."""
    return count_gpus() or 1 if job.devices == "auto" else job.devices


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
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLOSC_NTHREADS")
    # Waiting threads sleep: spinning costs three times the time when other processes want the cores (measured).
    return dict.fromkeys(names, share) | {"OMP_WAIT_POLICY": "PASSIVE"}


def _read_result(directory: Path, status: int) -> WorkerResult:
    failure = _read(directory / FAILURE, Failure)
    if failure is not None:
        raise WorkerFailed(failure.message, kind=failure.kind)
    result = _read(directory / RESULT, WorkerResult)
    if status == 0 and result is not None:
        return result
    lines = (directory / OUTPUT).read_text("utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    said = "\n".join(lines) or "(nothing)"
    raise WorkerFailed(
        f"training process must end with status 0 and a result; it {describe_status(status)}; "
        f"{suggest_remedy(status)}. Its last lines, from {directory / OUTPUT}:\n{said}"
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

    An attempt replaces the file when it starts, with the lines that still hold: what is there before is not its own.
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
