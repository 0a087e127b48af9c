"""Runs one function over many items, here or on a Dask cluster: few in flight, results in order, faults named."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from storage.errors import StorageError

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], client: "Client | None"
) -> Iterator[Result]:
    """Applies a function to items, which are taken one by one as results are.

    Args:
        function: A plain function of a module, or a `functools.partial` of one; running it twice must do no harm,
            because Dask does so when a worker is lost.
        items: May be endless or costly to make: only a few a thread are held.
        client: Client of a Dask cluster; None runs everything in this process.

    Yields:
        The results, in the order of the items.

    Raises:
        StorageError: Workers died again and again over one item, or the cluster went away. What the function raises
            comes through as it is.
    """
    if client is None:
        yield from map(function, items)
        return
    pending: deque[Future] = deque()
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


def _take(pending: "deque[Future]") -> Result:
    from distributed import CancelledError, KilledWorker

    future = pending.popleft()
    try:
        result: Result = future.result()
    except KilledWorker as error:
        raise StorageError(
            f"Dask task ({future.key}) must finish; got: the workers that ran it died; give them more memory, or make "
            "target_shard_bytes smaller"
        ) from error
    except CancelledError as error:
        raise StorageError(
            f"Dask task ({future.key}) must finish; got: its cluster went away; check the scheduler, then run again"
        ) from error
    return result
