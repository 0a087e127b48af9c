"""The spool: what a device keeps until it is acknowledged, written by one thread.

Whoever records hands rows over and waits; the thread takes what has gathered meanwhile into one
transaction, and tells all of them once it is committed. Numbers are given in the order of the
rows' commits, so a range of numbers that was seen is complete. A spool that is full, or a disk that
fails, costs the oldest records and never an answer.
"""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from deployments.targets.edge.spool_file import SpoolFile, SpoolReader
from deployments.targets.edge.spool_rows import SpoolMarks, SpoolRow
from deployments.targets.errors import SpoolError

logger = logging.getLogger(__name__)
MAX_GROUP_ROWS = 50
_TRIES = 20

T = TypeVar("T")
MakeRows = Callable[[int], Iterable[SpoolRow]]
"""From the first of the numbers that were given to the rows that are kept."""


@dataclass(frozen=True)
class _Entry:
    """Rows to be recorded: how many numbers they take, and who waits for the first of them."""

    count: int
    make_rows: MakeRows
    waiting: "Future[int]"


@dataclass(frozen=True)
class _Act:
    """Something else to be done by the thread that writes."""

    call: Callable[[SpoolFile], Any]
    waiting: "Future[Any]"


class _End:
    """Nothing comes after it."""


_Item = _Entry | _Act | _End


@dataclass
class _Group:
    """What one transaction takes: its rows, and who waits for which number."""

    rows: list[SpoolRow] = field(default_factory=list)
    size_bytes: int = 0
    given: list[tuple["Future[int]", int]] = field(default_factory=list)


class Spool:
    """A device's spool, open.

    Args:
        path: Its file.
        max_bytes: The most that it takes on the disk.

    Raises:
        SpoolError: It cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._file = SpoolFile(path, max_bytes)
        self._next = self._file.marks.reserved + 1
        self._lost = 0  # Records that could not even be counted in the file.
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._is_closed = False
        self._reader: SpoolReader | None = None
        self._thread = threading.Thread(target=self._write, name="lepton-spool")
        self._thread.start()

    @property
    def marks(self) -> SpoolMarks:
        """How far it got, and what it holds."""
        return self._file.marks

    @property
    def dropped(self) -> int:
        """Records that made room for others, or could not be written, ever."""
        return self._file.marks.dropped + self._lost

    def record(self, count: int, make_rows: MakeRows) -> "Future[int]":
        """Gives numbers and commits what is kept of them.

        Args:
            count: How many numbers.
            make_rows: Called by the thread that writes with the first of them.

        Returns:
            The first number, once all that is kept is durable.

        Raises:
            SpoolError: The spool is closed.
        """
        waiting: Future[int] = Future()
        self._put(_Entry(count, make_rows, waiting))
        return waiting

    def begin_range(self, max_bytes: int, max_rows: int) -> tuple[int, int] | None:
        """Fixes which rows are sent next; the same ones until `end_range`.

        Raises:
            SpoolError: The spool is closed.
            sqlite3.Error: The file cannot be written.
        """
        return self._do(lambda file: file.begin_range(max_bytes, max_rows))

    def read_rows(self, first: int, last: int) -> list[SpoolRow]:
        """Reads the rows of a range; by one thread only, beside the one that writes."""
        if self._reader is None:
            self._reader = SpoolReader(self._file.path)
        return self._reader.read_rows(first, last)

    def end_range(self, *, dropped: bool = False) -> None:
        """Deletes the rows of the range that was begun: they were acknowledged.

        Args:
            dropped: Whether they were not, and are counted as dropped.

        Raises:
            SpoolError: The spool is closed.
            sqlite3.Error: The file cannot be written.
        """
        self._do(lambda file: file.end_range(dropped=dropped))

    def close(self) -> None:
        """Commits what was handed over, and closes the file. Closing again does nothing."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self._queue.put(_End())
        self._thread.join()
        if self._reader is not None:
            self._reader.close()
        self._file.close(self._next - 1)

    def _put(self, item: _Item) -> None:
        with self._closing:
            if self._is_closed:
                raise SpoolError("spool must be open; got one that was closed; start the agent")
            self._queue.put(item)

    def _do(self, call: Callable[[SpoolFile], T]) -> T:
        waiting: Future[T] = Future()
        self._put(_Act(call, waiting))
        return waiting.result()

    def _write(self) -> None:
        """Does what is handed over, in order, until the spool is closed."""
        item = self._queue.get()
        while not isinstance(item, _End):
            if isinstance(item, _Act):
                _settle(item, self._file)
                item = self._queue.get()
            else:
                item = self._write_group(item)

    def _write_group(self, entry: _Entry) -> _Item:
        """Commits an entry and those that gathered behind it; returns what comes next."""
        group = _Group()
        item: _Item | None = entry
        while isinstance(item, _Entry):
            self._gather(item, group)
            if len(group.rows) >= MAX_GROUP_ROWS or group.size_bytes >= self._file.most_row_bytes:
                item = None
                break
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                item = None
        self._commit(group)
        return item if item is not None else self._queue.get()

    def _gather(self, entry: _Entry, group: _Group) -> None:
        if not entry.waiting.set_running_or_notify_cancel():
            return  # Who asked is gone, and has no number yet.
        first = self._next
        self._next += entry.count
        try:
            rows = list(entry.make_rows(first))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's to hear
            entry.waiting.set_exception(error)
            return
        fitting = [row for row in rows if row.size_bytes <= self._file.most_row_bytes]
        self._lost += len(rows) - len(fitting)
        group.rows += fitting
        group.size_bytes += sum(row.size_bytes for row in fitting)
        group.given.append((entry.waiting, first))

    def _commit(self, group: _Group) -> None:
        for rows in _cut(group.rows, self._file.most_row_bytes):
            lost = self._lost
            try:
                self._insert(rows, lost)
            except Exception as error:  # noqa: BLE001 - an answer must not wait for a disk
                logger.warning(
                    "%d records were lost, the spool cannot be written: %s", len(rows), error
                )
                self._lost += len(rows)
            else:
                self._lost -= lost
        for waiting, first in group.given:
            waiting.set_result(first)

    def _insert(self, rows: list[SpoolRow], lost: int) -> None:
        for _ in range(_TRIES):
            try:
                self._file.insert(rows, self._next - 1, lost)
            except sqlite3.OperationalError as error:
                is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
                if not is_full or not self._file.make_room(sum(row.size_bytes for row in rows)):
                    raise
            else:
                return
        raise SpoolError(f"spool ({self._file.path}) must have room; got none after {_TRIES} tries")


def _cut(rows: list[SpoolRow], most_bytes: int) -> Iterator[list[SpoolRow]]:
    """Cut rows into transactions that the log beside the spool has room for; at least one."""
    taken: list[SpoolRow] = []
    size_bytes = 0
    for row in rows:
        if taken and size_bytes + row.size_bytes > most_bytes:
            yield taken
            taken, size_bytes = [], 0
        taken.append(row)
        size_bytes += row.size_bytes
    yield taken


def _settle(act: _Act, file: SpoolFile) -> None:
    try:
        act.waiting.set_result(act.call(file))
    except BaseException as error:  # noqa: BLE001 - the caller's to hear, whatever it is
        act.waiting.set_exception(error)
