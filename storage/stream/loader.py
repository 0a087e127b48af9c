"""Loads shards of a version into memory, in threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

from storage.stream.resident import ResidentShards

ReadField = Callable[[int, str, ResidentShards], None]


class ShardLoader:
    """Brings shards into memory; a context manager that leaves no thread behind.

    Args:
        memory: Where the shards go.
        read_field: Reads one field of one shard into its pages.
        threads: Reading threads; 0 reads in `wait`, in the caller's thread.
    """

    def __init__(self, memory: ResidentShards, read_field: ReadField, threads: int) -> None:
        self._memory = memory
        self._read_field = read_field
        self._pending: dict[int, list[Future[None]]] = {}
        self._threads = ThreadPoolExecutor(threads, "lepton-stream") if threads else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the threads, and forgets shards that are not complete."""
        if self._threads:
            self._threads.shutdown(wait=True, cancel_futures=True)
        for shard, jobs in self._pending.items():
            if not all(
                job.done() and not job.cancelled() and job.exception() is None for job in jobs
            ):
                self._memory.drop(shard)
        self._pending.clear()

    def request(self, shards: Iterable[int], keep: set[int]) -> None:
        """Starts to load shards.

        Args:
            shards: What will be needed, most urgent first.
            keep: Shards that must stay in memory; those requested are among them.
        """
        for shard in shards:
            if shard in self._memory:
                self._memory.admit(shard, keep)
                continue
            self._memory.admit(shard, keep)
            self._pending[shard] = [self._start(shard, field) for field in self._memory.arrays]

    def wait(self, shards: Iterable[int]) -> None:
        """Returns when the shards are complete.

        Raises:
            StorageError: A shard is missing or damaged; names the file.
        """
        for shard in shards:
            for job in self._pending.get(shard, ()):
                job.result()
            self._pending.pop(shard, None)

    def _start(self, shard: int, field: str) -> Future[None]:
        job = partial(self._read_field, shard, field, self._memory)
        if self._threads:
            return self._threads.submit(job)
        return _LazyJob(job)


class _LazyJob(Future[None]):
    """A job that runs when its result is asked for."""

    def __init__(self, job: Callable[[], None]) -> None:
        super().__init__()
        self._job = job

    def result(self, timeout: float | None = None) -> None:
        if not self.done():
            try:
                self._job()
            except BaseException as error:
                self.set_exception(error)
                raise
            self.set_result(None)
        return super().result(timeout)
