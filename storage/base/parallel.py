"""Runs one function over many items, here or on a Dask cluster.

Few are in flight, results come in order, and faults are named.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from storage.base.errors import StorageError

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3


class TaskClient(Protocol):
    """What is asked of a `distributed.Client`."""

    def submit(self, function: Callable[..., Any], /, *args: Any, pure: bool, retries: int) -> Any:
        """Starts a task; its future has `result` and `key`."""

    def cancel(self, futures: list[Any], /, *, force: bool) -> Any:
        """Drops tasks that are no longer wanted."""

    def nthreads(self) -> Mapping[str, int]:
        """Return the threads of each worker."""


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], client: TaskClient | None
) -> Iterator[Result]:
    """Applies a function to items, which are taken one by one as results are.

    Args:
        function: A plain function of a module, or a `functools.partial` of one; running it twice
            must do no harm, because Dask does so when a worker is lost.
        items: May be endless or costly to make: only a few a thread are held.
        client: Client of a Dask cluster; None runs everything in this process.

    Yields:
        The results, in the order of the items.

    Raises:
        StorageError: Workers died again and again over one item, none is left, or the cluster went
            away. What the function raises comes through as it is.
    """
    if client is None:
        yield from map(function, items)
        return
    pending: deque[Any] = deque()
    most = 2 * max(1, sum(client.nthreads().values())) + 1
    try:
        for item in items:
            pending.append(client.submit(function, item, pure=False, retries=RETRIES))
            if len(pending) >= most:
                yield _take(pending)
        while pending:
            yield _take(pending)
    finally:
        if pending:
            client.cancel(list(pending), force=True)


def _take(pending: deque[Any]) -> Any:
    from distributed import CancelledError, KilledWorker
    from distributed.scheduler import NoValidWorkerError, NoWorkerError

    future = pending.popleft()
    try:
        return future.result()
    except KilledWorker as error:
        raise StorageError(
            f"Dask task ({future.key}) must finish; got: the workers that ran it died; give them "
            "more memory, or make target_shard_bytes smaller"
        ) from error
    except (NoWorkerError, NoValidWorkerError) as error:
        raise StorageError(
            f"Dask task ({future.key}) must have a worker to run on; got: none came back in time; "
            "see why they ended, give them more memory, then run again"
        ) from error
    except CancelledError as error:
        raise StorageError(
            f"Dask task ({future.key}) must finish; got: its cluster went away; check the "
            "scheduler, then run again"
        ) from error
