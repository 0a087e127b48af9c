"""The training process: it does the steps of a job.

It is `python -P -m tasks.training.worker JOB.json` as each rank of a torchrun group, else
`--stand-by DIR [FILE]`. Standing by it makes its slow imports, then takes the jobs whose files the
parent names on its standard input, a line of JSON each, one after another. Where the parent dies
before FILE is in DIR, nobody goes on from DIR, and it is deleted. Knows no Prefect. Reads a job,
translates between storage and the network, and writes into the job's directory only; `result.json`
comes last. Ends when its parent does.

Exit status: 0 done; 3 a fault that `failure.json` explains; anything else is a crash.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from tasks.runtime.child import end_with_parent

STAND_BY = "--stand-by"
EXIT_FAULT = 3


def main(arguments: list[str]) -> int:
    """Does the job that is named; standing by, the jobs that the parent names, until one fails."""
    if arguments[0] != STAND_BY:
        # Before the slow imports: a parent that dies meanwhile must not leave us behind.
        end_with_parent()
        if "TORCHELASTIC_RUN_ID" in os.environ:
            die_with_agent()
        return do_job_file(arguments[0], told_at=time.monotonic())
    told: SimpleQueue[tuple[str, float]] = SimpleQueue()
    end_with_parent(
        finish=lambda: leave_nothing(*map(Path, arguments[1:])),
        on_line=lambda line: told.put((json.loads(line), time.monotonic())),
    )
    import tasks.training.steps  # noqa: F401 - takes seconds, while others still prepare

    if told.empty():
        # There is time: for what follows the training, too.
        from lightning_modules.compress.onnx_export import warm_up_exporter

        warm_up_exporter()
    while True:
        path, told_at = told.get()
        if status := do_job_file(path, told_at=told_at):
            return status


def leave_nothing(directory: Path, worth: Path | None = None) -> None:
    """Deletes a folder that lacks the file for which it would stay."""
    if worth is not None and not (directory / worth).exists():
        shutil.rmtree(directory, ignore_errors=True)


def die_with_agent() -> None:
    """Has the kernel kill this rank when torchrun's agent ends, on Linux.

    One that hangs watches no pipe.
    """
    if sys.platform == "linux":
        # PR_SET_PDEATHSIG of prctl(2); the agent starts its ranks from its main thread, whose end
        # is the agent's.
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def do_job_file(path: str, *, told_at: float) -> int:
    """Does the job of a file, and returns an exit status.

    Args:
        path: The job's file.
        told_at: `time.monotonic()` at which the job was known: what lies between it and the first
            step is waiting.
    """
    from pydantic import ValidationError

    from lightning_modules.errors import ModelError
    from storage.base.errors import StorageError
    from tasks.training.job import FAILURE, Failure, TrainJob

    job = TrainJob.model_validate_json(Path(path).read_bytes())
    try:
        from tasks.training.steps import do_job

        do_job(job, told_at=told_at)
    except (ModelError, StorageError, ValidationError) as error:
        failure = Failure(kind=type(error).__name__, message=str(error))
        # The other ranks are ended with the group.
        note_failure(Path(job.directory) / FAILURE, failure.model_dump_json().encode())
        with suppress(OSError):  # The log may lie on a full disk.
            sys.stderr.write(f"{failure.kind}: {failure.message}\n")
        return EXIT_FAULT
    return 0


def note_failure(path: Path, content: bytes) -> None:
    """Writes a failure into the room left for it, at once, since other ranks may fail as well."""
    from tasks.training.job import FAILURE_BYTES

    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.pwrite(descriptor, content.ljust(FAILURE_BYTES), 0)
        finally:
            os.close(descriptor)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Threads of libraries must not hold up the end: everything is on disk.
    os._exit(status)
