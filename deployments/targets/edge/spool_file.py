"""The spool's file: an SQLite database in WAL mode, whose size is bounded.

A transaction that was committed survives a power cut (`synchronous=FULL`). The database grows to
`max_page_count` pages and no further, the log beside it is cut back by checkpoints; both together
stay within the bytes that were declared. Where a row has no room, the oldest ones that were not
sent yet make it.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from deployments.targets.edge.spool_rows import SpoolMarks, SpoolRow
from deployments.targets.errors import SpoolError

PAGE_BYTES = 4096
LEAST_BYTES = 2**20
MOST_ROW_BYTES = 32 * 2**20
BLOCK = 1000
"""Sequence numbers are reserved durably this many at a time, so that a kill never gives one
twice."""
_GROUP = "model_id, dtype, shape, length(times)"


_COLUMNS = tuple(column.name for column in fields(SpoolRow))
_read_columns = attrgetter(*_COLUMNS)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM records"  # noqa: S608 - names of our own
_INSERT = (
    f"INSERT INTO records (size, {', '.join(_COLUMNS)}) VALUES "  # noqa: S608
    f"({', '.join('?' * (len(_COLUMNS) + 1))})"
)


class SpoolFile:
    """One connection that writes. Used by one thread at a time.

    Args:
        path: The file; made on first use, with mode 0600.
        max_bytes: The most that it and its log take on the disk.

    Raises:
        SpoolError: It cannot be opened, is no spool, or the bound is too small.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        if max_bytes < LEAST_BYTES:
            raise SpoolError(
                f"spool ({path}) must have at least {LEAST_BYTES} bytes; got {max_bytes}; give it "
                "more with --spool-bytes"
            )
        self.path = path
        self.most_row_bytes = min(max_bytes // 8, MOST_ROW_BYTES)
        self._least_room = max_bytes // 64
        try:
            path.touch(mode=0o600)
            self._connection = _connect(path)
            self._set_up(max_bytes)
            self.marks = self._read_marks()
        except (sqlite3.Error, OSError) as error:
            raise SpoolError(
                f"spool ({path}) must be an SQLite file that can be written; got {error}; mend "
                "that, or move the file away: what it holds is lost then"
            ) from error

    def _set_up(self, max_bytes: int) -> None:
        log_pages = min(max_bytes // 16 // PAGE_BYTES, 256)
        # The log grows by a transaction before it is cut back; its index lies beside it.
        beside = log_pages * PAGE_BYTES + 2 * self.most_row_bytes + 2**16
        run = self._connection.execute
        run(f"PRAGMA page_size={PAGE_BYTES}")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")
        run(f"PRAGMA wal_autocheckpoint={log_pages}")
        run(f"PRAGMA journal_size_limit={log_pages * PAGE_BYTES}")
        run(f"PRAGMA max_page_count={(max_bytes - beside) // PAGE_BYTES}")
        if not run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            run("BEGIN IMMEDIATE")
            kinds = "sequence INTEGER PRIMARY KEY, size INTEGER NOT NULL, probability REAL NOT NULL"
            others = ", ".join(name for name in _COLUMNS if name not in ("sequence", "probability"))
            run(f"CREATE TABLE records ({kinds}, {others})")
            run("CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
            self._connection.executemany(
                "INSERT INTO marks VALUES (?, 0)", [(mark.name,) for mark in fields(SpoolMarks)]
            )
            run("COMMIT")

    def _read_marks(self) -> SpoolMarks:
        return SpoolMarks(**dict(self._connection.execute("SELECT name, value FROM marks")))

    @contextlib.contextmanager
    def _change(self) -> Iterator[dict[str, int]]:
        """Runs one transaction; the marks that the block changes are committed with it."""
        before = vars(self.marks)
        marks = dict(before)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield marks
            self._connection.executemany(
                "UPDATE marks SET value = ? WHERE name = ?",
                [(value, name) for name, value in marks.items() if value != before[name]],
            )
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self.marks = SpoolMarks(**marks)

    def insert(self, rows: Sequence[SpoolRow], through: int, dropped: int = 0) -> None:
        """Commits rows, and reserves numbers beyond the last that was given.

        Args:
            rows: The rows.
            through: The highest number that was given.
            dropped: Records that were lost since, because nothing could be written.

        Raises:
            sqlite3.Error: They were not committed; the spool is as it was.
        """
        runs_out = through + BLOCK // 2 > self.marks.reserved
        if not rows and not dropped and not runs_out:
            return
        with self._change() as marks:
            if runs_out:
                marks["reserved"] = through + BLOCK
            self._connection.executemany(
                _INSERT, [(row.size_bytes, *_read_columns(row)) for row in rows]
            )
            marks["records"] += len(rows)
            marks["bytes"] += sum(row.size_bytes for row in rows)
            marks["dropped"] += dropped

    def make_room(self, size_bytes: int) -> bool:
        """Drops the oldest rows that are not being sent, and counts them.

        It drops a part of the spool at a time, so that not every row has to make its own room.

        Args:
            size_bytes: At least how much is needed.

        Returns:
            Whether there was any to drop.

        Raises:
            sqlite3.Error: Nothing was dropped; the spool is as it was.
        """
        last, freed, count = self.marks.pending, 0, 0
        query = "SELECT sequence, size FROM records WHERE sequence > ? ORDER BY sequence"
        for sequence, size in self._connection.execute(query, (self.marks.pending,)):
            last, freed, count = sequence, freed + size, count + 1
            if freed >= max(size_bytes, self._least_room):
                break
        if not count:
            return False
        with self._change() as marks:
            self._connection.execute(
                "DELETE FROM records WHERE sequence > ? AND sequence <= ?",
                (self.marks.pending, last),
            )
            marks["records"] -= count
            marks["bytes"] -= freed
            marks["dropped"] += count
        return True

    def begin_range(self, max_bytes: int, max_rows: int) -> tuple[int, int] | None:
        """Fixes which rows are sent next, durably: a range that was begun is sent as it is.

        Args:
            max_bytes: About how much they may take; one row alone may take more.
            max_rows: How many there may be.

        Returns:
            The first and last number of the range; None where there is nothing to send.
        """
        if not self.marks.pending:
            last = self._find_last(max_bytes, max_rows)
            if last is None:
                return None
            with self._change() as marks:
                marks["pending"] = last
        return self.marks.sent + 1, self.marks.pending

    def _find_last(self, max_bytes: int, max_rows: int) -> int | None:
        """Return the last row of the longest range that fits one batch; truths go with any."""
        query = (
            f"SELECT sequence, kind, size, {_GROUP} FROM records WHERE sequence > ? "  # noqa: S608
            "ORDER BY sequence LIMIT ?"
        )
        last, taken_bytes, group = None, 0, None
        for sequence, kind, size, *found in self._connection.execute(
            query, (self.marks.sent, max_rows)
        ):
            if kind == "answer":
                if group is not None and found != group:
                    break
                group = found
            taken_bytes += size
            if last is not None and taken_bytes > max_bytes:
                break
            last = sequence
        return last

    def end_range(self, *, dropped: bool = False) -> None:
        """Deletes the rows of the range that was acknowledged, or counts them as dropped."""
        last = self.marks.pending
        with self._change() as marks:
            count, size = self._connection.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM records WHERE sequence <= ?", (last,)
            ).fetchone()
            self._connection.execute("DELETE FROM records WHERE sequence <= ?", (last,))
            marks["records"] -= count
            marks["bytes"] -= size
            marks["dropped"] += count if dropped else 0
            marks["sent"], marks["pending"] = last, 0

    def close(self, through: int) -> None:
        """Gives back the reserved numbers that were never given, and empties the log."""
        with contextlib.suppress(sqlite3.Error):
            with self._change() as marks:
                marks["reserved"] = through
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


class SpoolReader:
    """A connection that reads, for another thread than the one that writes."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path)
        self._connection.execute("PRAGMA query_only=ON")

    def read_rows(self, first: int, last: int) -> list[SpoolRow]:
        """Reads the rows of a range, ascending."""
        found = self._connection.execute(
            f"{_SELECT} WHERE sequence BETWEEN ? AND ? ORDER BY sequence", (first, last)
        )
        return [SpoolRow(*row) for row in found.fetchall()]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    # Transactions are begun by hand; one thread uses a connection at a time.
    return sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
