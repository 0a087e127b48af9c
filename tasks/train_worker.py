"""The training process: `python -P -m tasks.train_worker JOB.json`, alone or as each rank of a torchrun group.

Knows no Prefect. Reads a job, translates between storage and the network, and writes into the job's directory only;
`result.json` comes last. Ends when its parent does.

Exit status: 0 done; 3 a fault that `failure.json` explains; anything else is a crash.
"""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from tasks.child import end_with_parent

EXIT_FAULT = 3


def main(arguments: list[str]) -> int:
    """Does the job of the file that is named."""
    started_at = time.monotonic()
    # Before the slow imports: a parent that dies meanwhile must not leave us behind.
    end_with_parent()
    from pydantic import ValidationError

    from lightning_modules.errors import ModelError
    from storage.errors import StorageError
    from storage.files import Store
    from tasks.train_job import FAILURE, Failure, TrainJob

    job = TrainJob.model_validate_json(Path(arguments[0]).read_bytes())
    try:
        from tasks.train_steps import do_job

        do_job(job, started_at=started_at)
    except (ModelError, StorageError, ValidationError) as error:
        failure = Failure(kind=type(error).__name__, message=str(error))
        sys.stderr.write(f"{failure.kind}: {failure.message}\n")
        # On a full disk the launcher has the line above. The other ranks are ended with the group.
        with suppress(StorageError):
            Store(job.directory).write(FAILURE, failure.model_dump_json().encode())
        return EXIT_FAULT
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of libraries must not hold up the end: everything is on disk.
    os._exit(status)
