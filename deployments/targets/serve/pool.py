"""Where works are computed, several at once: in the event loop's turn, or in threads beside it.

Handing work to a thread and back costs more than a small model does. So small works that took
little are computed in the loop's own next turn, for a few milliseconds at most; all others in
threads, so that the loop never waits for a model. There one thread takes all that waits and wakes
the loop once for it; others join in where work is slow and more of it waits.
"""

import asyncio
import math
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

W = TypeVar("W")
T = TypeVar("T")
MAX_THREADS = 4
MAX_TOGETHER = 64
"""Most works that are taken at once."""
TOGETHER_S = 0.004
"""What is taken at once should take no longer, by what works took before."""
SLOW_S = 0.001
"""Work that takes longer is worth a thread of its own."""
QUICK_S = 0.0005
"""Work that takes less is computed in the loop's turn, if it is small."""
LEAST_SPIKE_S = 0.003
"""What one may take at least without being cut down, as of a sudden hold-up."""
MEMORY = 0.2
"""Weight of the newest works in what one is expected to take."""


class _Job(Generic[W, T]):
    """Work that was handed over, and who waits for it."""

    __slots__ = ("future", "light", "loop", "work")

    def __init__(self, work: W, light: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.work, self.light, self.loop = work, light, loop
        self.future: asyncio.Future[T] = loop.create_future()


class Pool(Generic[W, T]):
    """A bounded number of threads, which start with the first work.

    Args:
        compute: Computes several works: what comes of each, an exception where it failed.
        threads: How many at most; None: one a processor, four at most.

    Attributes:
        cost_s: What one work is expected to take, in seconds; 0 before the first.
        cpu_s: The same in processor time, which does not grow where other programs are at work.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[W]], Sequence[T | BaseException]],
        threads: int | None = None,
    ) -> None:
        self._compute = compute
        self._threads = threads or min(MAX_THREADS, os.cpu_count() or 1)
        self._jobs: queue.SimpleQueue[_Job[W, T]] = queue.SimpleQueue()
        self._helpers = threading.Semaphore(0)
        self._starting = threading.Lock()
        self._started = False
        self._turn: deque[_Job[W, T]] = deque()
        self.cost_s = self.cpu_s = 0.0

    @property
    def waiting(self) -> int:
        """Returns how much work waits for a thread."""
        return self._jobs.qsize() + len(self._turn)

    def run(self, work: W, *, light: bool = True, small: bool = False) -> "asyncio.Future[T]":
        """Hands work over; who waits for the future gets what it comes to, or the exception.

        Args:
            work: The work; none is begun for a future that was cancelled.
            light: Whether it may be taken together with others, which then wait for each other.
            small: Whether it surely takes little if works did so far; then it is computed in the
                loop's turn.
        """
        loop = asyncio.get_running_loop()
        job: _Job[W, T] = _Job(work, light, loop)
        if small and 0 < self.cost_s < QUICK_S and self._jobs.empty():
            if not self._turn:
                loop.call_soon(self._take_turn, loop)
            self._turn.append(job)
            return job.future
        if not self._started:
            self._start()
        self._jobs.put(job)
        return job.future

    def _take_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Computes small works in the loop's thread, and leaves the rest to its next turn."""
        count = min(self._count_together(), len(self._turn))
        jobs = [self._turn.popleft() for _ in range(count)]
        if self._turn:
            loop.call_soon(self._take_turn, loop)
        _settle(self._compute_all(jobs))

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
            if (first := self._take_next()) is not None:
                self._drain(first)

    def _take_next(self) -> _Job[W, T] | None:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            return None

    def _drain(self, first: _Job[W, T]) -> None:
        """Computes until nothing waits."""
        job: _Job[W, T] | None = first
        while job is not None:
            taken, job = self._gather(job)
            began_s = time.monotonic()
            _tell(self._compute_all(taken))
            took_s = time.monotonic() - began_s
            waiting = job is not None or not self._jobs.empty()
            if waiting and took_s > SLOW_S * len(taken) and self._threads > 1:
                self._helpers.release()
            job = job or self._take_next()

    def _gather(self, first: _Job[W, T]) -> tuple[list[_Job[W, T]], _Job[W, T] | None]:
        """Take what waits and may be taken together; one that may not comes next."""
        taken = [first]
        most = self._count_together() if first.light else 1
        while len(taken) < most and (job := self._take_next()) is not None:
            if not job.light:
                return taken, job
            taken.append(job)
        return taken, None

    def _count_together(self) -> int:
        """Return how many works may be taken at once; of slow ones each thread gets its share."""
        if not self.cost_s:
            return 1
        most = min(MAX_TOGETHER, max(1, int(TOGETHER_S / self.cost_s)))
        if self.cost_s > SLOW_S:
            most = min(most, math.ceil((1 + self._jobs.qsize()) / self._threads))
        return most

    def _compute_all(self, taken: list[_Job[W, T]]) -> list[tuple[_Job[W, T], T | BaseException]]:
        """Compute jobs that somebody waits for, and learn what one takes."""
        jobs = [job for job in taken if not job.future.cancelled()]
        if not jobs:
            return []
        began_s, cpu_s = time.monotonic(), time.thread_time()
        outcomes: Sequence[T | BaseException]
        try:
            outcomes = self._compute([job.work for job in jobs])
        except BaseException as error:  # noqa: BLE001 (whoever waits raises it)
            outcomes = [error] * len(jobs)
        cost_s = (time.monotonic() - began_s) / len(jobs)
        cpu_s = (time.thread_time() - cpu_s) / len(jobs)
        self.cpu_s += (cpu_s - self.cpu_s) * (MEMORY if self.cpu_s else 1.0)
        if self.cost_s:  # One that was held up by other programs says little.
            cost_s = min(cost_s, max(4 * self.cost_s, LEAST_SPIKE_S))
        self.cost_s += (cost_s - self.cost_s) * (MEMORY if self.cost_s else 1.0)
        return list(zip(jobs, outcomes, strict=True))


def _tell(found: list[tuple[_Job[W, T], T | BaseException]]) -> None:
    """Wakes each loop that waits for some of it once."""
    told: dict[asyncio.AbstractEventLoop, list[tuple[_Job[W, T], T | BaseException]]] = {}
    for job, outcome in found:
        told.setdefault(job.loop, []).append((job, outcome))
    for loop, own in told.items():
        try:
            loop.call_soon_threadsafe(_settle, own)
        except RuntimeError:
            continue  # The loop was closed; nobody waits there any more.


def _settle(told: list[tuple[_Job[W, T], T | BaseException]]) -> None:
    """Tells who waits, in the loop's thread."""
    for job, outcome in told:
        if job.future.done():
            continue
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)
