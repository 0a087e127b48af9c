"""What launcher and worker leave each other in a folder: the job, its result, or a failure."""

import os
import signal
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from storage.base.local_errors import translate_faults
from tasks.runtime.errors import WorkerFailed
from tasks.training.job import FAILURE, FAILURE_BYTES, RESULT, Failure, TrainJob, WorkerResult

Record = TypeVar("Record", bound=BaseModel)
TAIL_LINES = 15


def write_job(job: TrainJob, directory: Path) -> Path:
    """Writes the job's file, and leaves room for a failure.

    The file is for its owner's eyes only: it may hold credentials of the workspace.
    """
    path = directory / "job.json"
    with translate_faults(str(path)):
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(job.model_dump_json())
        (directory / FAILURE).write_bytes(b" " * FAILURE_BYTES)
    return path


def read_result(directory: Path, status: int, output: Path) -> WorkerResult:
    """Reads what a training process has left.

    Args:
        directory: The job's.
        status: Exit status of the process.
        output: Where it wrote its messages.

    Raises:
        WorkerFailed: It did not end well, or left no result.
    """
    check_end(directory, status, output)
    result = _read(directory / RESULT, WorkerResult)
    if result is None:
        raise WorkerFailed(
            f"training process must leave a result; {directory / RESULT} holds none; see {output}"
        )
    return result


def check_end(directory: Path, status: int, output: Path) -> None:
    """Checks that a training process ended well.

    Raises:
        WorkerFailed: It did not; in the worker's own words if it left any.
    """
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
    """Return an exit status in words."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"


def suggest_remedy(status: int) -> str:
    """Return what to do about an exit status."""
    if status == -signal.SIGKILL:
        remedy = "lower train.batch_size or raise train.accumulate"
        return f"if memory ran out, {remedy}; run again: it resumes"
    return "mend what its last lines name, then run again: it resumes from its newest state"


def _read(path: Path, model: type[Record]) -> Record | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
