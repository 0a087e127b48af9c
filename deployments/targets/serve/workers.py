"""Several processes behind one port: each listens on it, the system shares connections out.

The first process answers nobody. It holds the port, forks the others before anything of them has a
thread, starts another for each that is lost, and passes on that it is told to stop.
"""

import contextlib
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from deployments.targets.serve.server import STOP_TIMEOUT_S, check_address, listen

logger = logging.getLogger(__name__)
LOOK_EVERY_S = 0.1
_TOLD = (signal.SIGTERM, signal.SIGINT)
LEAST_LIFE_S = 1.0
"""A worker that was lost sooner is replaced only after that time."""


@dataclass(frozen=True)
class Worker:
    """One of the processes that answer.

    Attributes:
        number: Its number, from 0.
        count: How many there are.
        port: The port that all of them listen on.
        tell_ready: To be called once it answers.
    """

    number: int
    count: int
    port: int
    tell_ready: Callable[[], None]

    @property
    def threads(self) -> int:
        """Its share of the processors."""
        return max(1, (os.cpu_count() or 1) // self.count)

    def name(self, node: str | None) -> str | None:
        """Return the id that it gives its answers; no two give the same one."""
        return None if node is None else f"{node}-{self.number}"


@dataclass
class _Lead:
    """What the first process knows of the others."""

    port: int
    on_ready: Callable[[int], None]
    numbers: dict[int, int] = field(default_factory=dict)
    began_s: dict[int, float] = field(default_factory=dict)
    ready: bool = False
    stopping: bool = False
    status: int = 0


def fork_workers(count: int, host: str, port: int, on_ready: Callable[[int], None]) -> Worker | int:
    """Start processes that answer behind one port, and look after them until they are to stop.

    Args:
        count: How many; 2 or more.
        host: Address that they listen on.
        port: Its port; 0: a free one.
        on_ready: Called in the first process with the port, once one of them answers.

    Returns:
        In each of the others what it is; in the first process, when all have ended, the exit
        status: 0 after SIGTERM or SIGINT, that of a worker that ended before any was ready.

    Raises:
        ServeError: The address cannot be listened on.
    """
    check_address(host, port)
    with listen(host, port, shared=True) as holder:
        lead = _Lead(holder.getsockname()[1], on_ready)
        told, tells = os.pipe()
        alive, lives = os.pipe()
        _obey(lead)
        waiting: list[tuple[float, int]] = [(0.0, number) for number in range(count)]
        while lead.numbers or waiting:
            now_s = time.monotonic()
            due = [number for due_s, number in waiting if due_s <= now_s]
            waiting = [one for one in waiting if one[0] > now_s and not lead.stopping]
            for number in due:
                if not lead.stopping and _fork(lead, number) == 0:
                    for end in (told, lives):
                        os.close(end)
                    _become(alive)
                    return Worker(number, count, lead.port, lambda: _say(tells))
            _wait_ready(lead, told)
            waiting += _collect(lead)
        return lead.status


def _fork(lead: _Lead, number: int) -> int:
    """Forks a process, and returns its id, 0 in itself; signals wait until it is known here."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
    pid = os.fork()
    if pid:
        lead.numbers[pid], lead.began_s[pid] = number, time.monotonic()
        if lead.stopping:
            _signal_all(lead, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)
    return pid


def _obey(lead: _Lead) -> None:
    """Passes SIGTERM and SIGINT on, and leaves nobody behind who does not heed them."""

    def stop(number: int, frame: FrameType | None) -> None:
        if not lead.stopping:
            lead.stopping = True
            signal.setitimer(signal.ITIMER_REAL, STOP_TIMEOUT_S + 5)
        _signal_all(lead, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGALRM, lambda *_: _signal_all(lead, signal.SIGKILL))


def _signal_all(lead: _Lead, number: signal.Signals) -> None:
    for pid in list(lead.numbers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _become(alive: int) -> None:
    """Makes a worker of a forked process: it hears signals itself, and ends with the first one."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)

    def wait() -> None:
        os.read(alive, 1)  # Nothing ever comes: it ends with the process that could write it.
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lepton-lead", daemon=True).start()


def _say(tells: int) -> None:
    with contextlib.suppress(OSError):
        os.write(tells, b".")


def _wait_ready(lead: _Lead, told: int) -> None:
    """Waits for a moment, and says once that one of the workers answers."""
    if select.select([told], [], [], LOOK_EVERY_S)[0]:
        os.read(told, 1024)
        if not lead.ready:
            lead.ready = True
            lead.on_ready(lead.port)


def _collect(lead: _Lead) -> list[tuple[float, int]]:
    """Return the workers that were lost, and when another takes each one's place."""
    lost: list[tuple[float, int]] = []
    while lead.numbers:
        pid, raw = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        number, began_s = lead.numbers.pop(pid), lead.began_s.pop(pid)
        status = os.waitstatus_to_exitcode(raw)
        if lead.stopping:
            lead.status = lead.status or max(0, status)
        elif not lead.ready:  # What keeps one from starting keeps all of them.
            lead.stopping, lead.status = True, status if status > 0 else 1
            _signal_all(lead, signal.SIGTERM)
        else:
            logger.warning("Worker %d ended with %d; another takes its place", number, status)
            lost.append((began_s + LEAST_LIFE_S, number))
    return lost
