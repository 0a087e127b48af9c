"""The batch on which a loss was lost: kept beside the run's reports, named in the message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.base.store import Store
from tasks.runtime.errors import WorkerFailed

PATTERN = "diverged.rank*.npz"


@contextmanager
def keep_lost_batches(workspace: Store, directory: Path) -> Iterator[None]:
    """Copies the batches on which a training was lost to `reports/<run>/`.

    Args:
        workspace: Of the run.
        directory: The training's, named after the run.

    Raises:
        WorkerFailed: As the training did; the message also says where the batch lies and what is in
            it.
    """
    for stale in directory.glob(PATTERN):
        stale.unlink()
    try:
        yield
    except WorkerFailed as failure:
        kept = []
        for batch in sorted(directory.glob(PATTERN)):
            path = f"reports/{directory.name}/{batch.name}"
            workspace.write(path, batch.read_bytes())
            kept.append(f"{workspace.display}/{path}")
        if not kept:
            raise
        raise WorkerFailed(
            f"{failure}. The batch, with its sample, truth and row_id, is kept in "
            f"{', '.join(kept)}",
            kind=failure.kind,
        ) from failure
