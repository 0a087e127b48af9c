"""Threads that compute, so that the event loop never waits for a model."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
MAX_THREADS = 4


class Pool:
    """A bounded number of threads.

    Args:
        threads: How many; None: one a processor, four at most.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._executor = ThreadPoolExecutor(
            threads or min(MAX_THREADS, os.cpu_count() or 1), thread_name_prefix="lepton-answer"
        )

    async def run(self, work: Callable[[], T]) -> T:
        """Runs work in one of the threads and returns what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Ends the threads after what they are doing."""
        self._executor.shutdown()
