"""Threads that compute, so that the event loop never waits for a model.

One thread takes what comes, and tells the loop of all that it finished at once: a wake-up of the
loop costs more than a small model does. Others join in where work is slow and more of it waits;
beside a small model they would only take turns at the interpreter.
"""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
MAX_THREADS = 4
SLOW_S = 0.001
"""Work that takes longer is worth a thread of its own, and its result is told at once."""


class _Job(Generic[T]):
    """Work that was handed over, what came of it, and who waits for it."""

    __slots__ = ("_error", "_result", "future", "loop", "work")

    def __init__(self, work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> None:
        self.work, self.loop = work, loop
        self.future: asyncio.Future[T] = loop.create_future()
        self._result: T | None = None
        self._error: BaseException | None = None

    def compute(self) -> None:
        """Does the work, in a thread of the pool."""
        try:
            self._result = self.work()
        except BaseException as error:  # noqa: BLE001 (whoever waits raises it)
            self._error = error

    def settle(self) -> None:
        """Tells who waits, in the loop's thread."""
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]


class Pool:
    """A bounded number of threads, which start with the first work.

    Args:
        threads: How many at most; None: one a processor, four at most.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._jobs: queue.SimpleQueue[_Job[Any]] = queue.SimpleQueue()
        self._helpers = threading.Semaphore(0)
        self._starting = threading.Lock()
        self._started = False

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Hands work over; who waits for the future gets what it returns or raises."""
        if not self._started:
            self._start()
        job = _Job(work, asyncio.get_running_loop())
        self._jobs.put(job)
        return job.future

    def _start(self) -> None:
        with self._starting:
            if self._started:
                return
            self._started = True
            for number in range(self._threads):
                target = self._help if number else self._lead
                name = f"lepton-answer-{number}"
                # What is under way when the process ends has nobody left who waits for it.
                threading.Thread(target=target, name=name, daemon=True).start()

    def _lead(self) -> None:
        while True:
            self._drain(self._jobs.get())

    def _help(self) -> None:
        while True:
            self._helpers.acquire()
            try:
                first = self._jobs.get_nowait()
            except queue.Empty:
                continue
            self._drain(first)

    def _drain(self, job: _Job[Any]) -> None:
        """Computes until nothing waits, and tells of what is finished every millisecond or so."""
        finished: list[_Job[Any]] = []
        told_s = time.monotonic()
        while True:
            started_s = time.monotonic()
            job.compute()
            finished.append(job)
            now_s = time.monotonic()
            waiting = not self._jobs.empty()
            if waiting and now_s - started_s > SLOW_S and self._threads > 1:
                self._helpers.release()
            if not waiting or now_s - told_s > SLOW_S:
                _tell(finished)
                finished, told_s = [], now_s
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                if finished:
                    _tell(finished)
                return


def _tell(finished: list[_Job[Any]]) -> None:
    """Wakes each loop once for all that it waits for."""
    for loop in {job.loop for job in finished}:
        own = [job for job in finished if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_settle, own)
        except RuntimeError:
            continue  # The loop was closed; nobody waits there any more.


def _settle(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.settle()
